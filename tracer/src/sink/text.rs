//! One line an event, for people: local time, thread, place, message.

use std::io::{self, Write};

use super::aggregate::AggregateTable;
use super::stamp::Clock;
use super::{Begin, Sink};
use crate::base::visible::Visible;
use crate::event::{Aggregate, Event, ProbeDone, ProbeLimited, Stack, StackFrame};
use crate::session::{FollowedProcesses, ProbeStatus};

const DIM: &str = "\x1b[2m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";
/// Before each further line of an event, so that no text of the target passes for an event.
const CONTINUED: &str = "    ";

/// Writes events as lines of text.
pub struct TextSink<W> {
    out: W,
    colour: bool,
    /// Show the process id before the thread's id.
    processes: bool,
    clock: Clock,
}

impl<W: Write + Send> TextSink<W> {
    /// A sink that shows times as `clock` does.
    pub fn new(out: W, clock: Clock, colour: bool) -> Self {
        Self {
            out,
            colour,
            processes: false,
            clock,
        }
    }

    /// Shows the process of each event if `processes` is true.
    #[must_use]
    pub fn with_processes(self, processes: bool) -> Self {
        Self { processes, ..self }
    }

    const fn paint(&self, code: &'static str) -> &'static str {
        if self.colour { code } else { "" }
    }

    /// Writes a message: on one line, or on many when it is meant to be.
    fn message(&mut self, message: &str, multiline: bool) -> io::Result<()> {
        if !multiline {
            return writeln!(self.out, "{}", Visible(message));
        }
        for (index, line) in message.split('\n').enumerate() {
            let indent = if index == 0 { "" } else { CONTINUED };
            writeln!(self.out, "{indent}{}", Visible(line))?;
        }
        Ok(())
    }

    fn stack(&mut self, stack: &Stack) -> io::Result<()> {
        stack
            .frames
            .iter()
            .try_for_each(|frame| self.frame(frame))?;
        match &stack.stopped {
            Some(why) => {
                let (dim, reset) = (self.paint(DIM), self.paint(RESET));
                writeln!(self.out, "{CONTINUED}{dim}no more: {}{reset}", Visible(why))
            }
            None => Ok(()),
        }
    }

    fn frame(&mut self, frame: &StackFrame) -> io::Result<()> {
        let (dim, reset) = (self.paint(DIM), self.paint(RESET));
        match &frame.function {
            Some(function) => write!(self.out, "{CONTINUED}at {}", Visible(function))?,
            None => write!(self.out, "{CONTINUED}at {:#x}", frame.address)?,
        }
        let mark = frame.kind.mark();
        if !mark.is_empty() {
            write!(self.out, "{dim} {mark}{reset}")?;
        }
        if let Some(file) = &frame.file {
            let file = file.to_string_lossy();
            write!(self.out, " {dim}{}", Visible(&file))?;
            if let Some(line) = frame.line {
                write!(self.out, ":{line}")?;
            }
            write!(self.out, "{reset}")?;
        }
        writeln!(self.out)?;
        for named in &frame.values {
            let value = named.value.to_string();
            writeln!(
                self.out,
                "{CONTINUED}{CONTINUED}{} = {}",
                Visible(&named.expr),
                Visible(&value)
            )?;
        }
        Ok(())
    }
}

impl<W: Write + Send> Sink for TextSink<W> {
    /// Writes nothing: this is a message, and goes to stderr.
    fn begin(&mut self, _session: &Begin) -> io::Result<()> {
        Ok(())
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        let (dim, cyan, reset) = (self.paint(DIM), self.paint(CYAN), self.paint(RESET));
        let origin = &event.origin;
        if !event.left_out.is_none() {
            let line = event.left_out.line(&origin.probe_name);
            writeln!(self.out, "{dim}{}{reset}", Visible(&line))?;
        }
        let time = self.clock.line(event.time_ns);
        write!(
            self.out,
            "{dim}{time}{reset} {}{dim}/{}{reset} {cyan}{}{reset} ",
            Visible(&event.thread),
            event.ids(self.processes),
            Visible(&origin.place()),
        )?;
        self.message(&event.message, origin.multiline)?;
        self.stack(&event.stack)
    }

    /// Writes nothing: this is a message, and goes to stderr.
    fn limited(&mut self, _limited: &ProbeLimited) -> io::Result<()> {
        Ok(())
    }

    /// Writes nothing: this is a message, and goes to stderr.
    fn done(&mut self, _done: &ProbeDone) -> io::Result<()> {
        Ok(())
    }

    fn aggregate(&mut self, aggregate: &Aggregate, time_ns: u64) -> io::Result<()> {
        let (dim, reset) = (self.paint(DIM), self.paint(RESET));
        let time = self.clock.moment(time_ns);
        write!(self.out, "{dim}{time}{reset} {}", AggregateTable(aggregate))
    }

    /// Nothing: the summary is talk, and goes to stderr.
    fn summary(&mut self, _probe: &ProbeStatus) -> io::Result<()> {
        Ok(())
    }

    fn followed(&mut self, _followed: &FollowedProcesses) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::TimeStyle;
    use crate::sink::json::tests::event;

    fn clock() -> Clock {
        Clock::new(TimeStyle::Local, jiff::tz::TimeZone::UTC, 0)
    }

    fn written(event: &Event, colour: bool) -> String {
        let mut out = Vec::new();
        let mut sink = TextSink::new(&mut out, clock(), colour);
        sink.event(event).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn event_is_one_line() {
        assert_eq!(
            written(&event(), false),
            "12:04:31.250117 Monitor/4711 main.rs:57 x 640 -> 812\n"
        );
    }

    #[test]
    fn gap_stands_on_a_line_before_its_event() {
        let mut event = event();
        event.left_out.limited = 1432;
        assert_eq!(
            written(&event, false),
            "… 1,432 hits of p1 were over its rate limit\n\
             12:04:31.250117 Monitor/4711 main.rs:57 x 640 -> 812\n"
        );
    }

    #[test]
    fn event_of_several_processes_names_its_own() {
        let mut out = Vec::new();
        let sink = TextSink::new(&mut out, clock(), false);
        sink.with_processes(true).event(&event()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "12:04:31.250117 Monitor/4242/4711 main.rs:57 x 640 -> 812\n"
        );
    }

    #[test]
    fn colour_surrounds_the_same_text() {
        let plain = written(&event(), true)
            .replace(DIM, "")
            .replace(CYAN, "")
            .replace(RESET, "");
        assert_eq!(plain, written(&event(), false));
    }

    #[test]
    fn hostile_thread_and_message_stay_on_their_line() {
        let mut event = event();
        event.thread = "ev\x1b[2Jil".into();
        event.message = "a\n12:00:00.000000 forged/1 main.rs:1 b\u{9b}c".into();
        assert_eq!(
            written(&event, false),
            "12:04:31.250117 ev\\u{1b}[2Jil/4711 main.rs:57 a\\n12:00:00.000000 forged/1 main.rs:1 b\\u{9b}c\n"
        );
    }

    #[test]
    fn message_of_many_lines_is_indented_where_it_was_asked_for() {
        let mut event = event();
        let mut origin = (*event.origin).clone();
        origin.multiline = true;
        event.origin = origin.into();
        event.message = "Pointer {\n    x: 1,\n}".into();
        assert_eq!(
            written(&event, false),
            "12:04:31.250117 Monitor/4711 main.rs:57 Pointer {\n        x: 1,\n    }\n"
        );
    }

    #[test]
    fn stack_stands_below_its_event() {
        let mut event = event();
        event.stack.frames = vec![
            StackFrame {
                function: Some("app::run".into()),
                file: Some(std::sync::Arc::new("/src/main.rs".into())),
                line: Some(9),
                kind: crate::event::FrameKind::Inlined,
                address: 0x1000,
                values: vec![crate::event::NamedValue {
                    expr: "n".into(),
                    ty: "i32".into(),
                    value: crate::value::Value::Int(4, 32),
                }],
            },
            StackFrame {
                function: None,
                file: None,
                line: None,
                kind: crate::event::FrameKind::Function,
                address: 0x7f00,
                values: Vec::new(),
            },
        ];
        event.stack.stopped = Some("no call frame information for 0x7f00".into());
        assert!(written(&event, false).ends_with(
            "\n    at app::run (inlined) /src/main.rs:9\n        n = 4\n    at 0x7f00\n    no more: no call frame information for 0x7f00\n"
        ));
    }
}
