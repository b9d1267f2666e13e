//! One line an event, for people: local time, thread, place, message. Steps of traced calls are an indented listing.

mod source_line;
mod steps;

use std::io::{self, Write};

use super::aggregate::AggregateTable;
use super::stamp::Clock;
use super::{Begin, Sink};
use crate::base::visible::Visible;
use crate::event::{
    Aggregate, Event, ProbeDone, ProbeLimited, Stack, StackFrame, StepEvent, StepKind,
};
use crate::session::{FollowedProcesses, ProbeStatus};
pub use source_line::LineTexts;
use source_line::{LineTextPlace, placed};
use steps::StepListing;

const DIM: &str = "\x1b[2m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";
/// Before each further line of an event, so that no text of the target passes for an event.
const CONTINUED: &str = "    ";
/// Columns of a step's place at most, up to which the steps of all calls are indented alike.
const PLACE: usize = 32;

/// Writes events as lines of text.
pub struct TextSink<W> {
    out: W,
    colour: bool,
    /// Show the process id before the thread's id.
    processes: bool,
    clock: Clock,
    steps: StepListing,
    /// Columns of the widest place of a step so far.
    place: usize,
    /// The texts of the lines of steps, if they are shown.
    texts: Option<Box<dyn LineTexts>>,
}

/// The part of a step's line before its place.
struct StepHead {
    time: String,
    thread: String,
    ids: String,
    call: String,
}

impl StepHead {
    fn write(&self, out: &mut impl Write, dim: &str, reset: &str) -> io::Result<()> {
        let Self {
            time,
            thread,
            ids,
            call,
        } = self;
        write!(
            out,
            "{dim}{time}{reset} {thread}{dim}/{ids}{reset} {dim}{call}{reset} "
        )
    }

    fn columns(&self) -> usize {
        let parts = [&self.time, &self.thread, &self.ids, &self.call];
        parts.map(|part| part.chars().count() + 1).iter().sum()
    }
}

impl<W: Write + Send> TextSink<W> {
    /// A sink that shows times as `clock` does.
    pub fn new(out: W, clock: Clock, colour: bool) -> Self {
        Self {
            out,
            colour,
            processes: false,
            clock,
            steps: StepListing::default(),
            place: 0,
            texts: None,
        }
    }

    /// Shows the text of the source line beside each step.
    #[must_use]
    pub fn with_line_texts(self, texts: Box<dyn LineTexts>) -> Self {
        Self {
            texts: Some(texts),
            ..self
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

    /// Writes a step of a traced call.
    fn step(&mut self, event: &Event, step: &StepEvent) -> io::Result<()> {
        let (dim, cyan, reset) = (self.paint(DIM), self.paint(CYAN), self.paint(RESET));
        let place = Visible(&event.origin.place()).to_string();
        let columns = place.chars().count();
        self.place = self.place.max(columns.min(PLACE));
        let head = StepHead {
            time: self.clock.line(event.time_ns).to_string(),
            thread: Visible(&event.thread).to_string(),
            ids: event.ids(self.processes).to_string(),
            call: format!("{}#{}", Visible(&event.origin.probe_name), step.call),
        };
        for line in self.steps.lines(event, step) {
            head.write(&mut self.out, dim, reset)?;
            match line.is_step {
                true => write!(self.out, "{cyan}{place}{reset}")?,
                false => write!(self.out, "{:columns$}", "")?,
            }
            let indent = line.indent + self.place.saturating_sub(columns);
            let text = Visible(&line.text).to_string();
            let used = if text.is_empty() {
                columns
            } else {
                write!(self.out, "{:indent$}{text}", "")?;
                columns + indent + text.chars().count()
            };
            let has_source = line.is_step && step.kind != StepKind::Return;
            let source = has_source.then(|| self.line_text(event)).flatten();
            let below = head.columns() + columns + indent;
            match source.and_then(|text| placed(&text, head.columns() + used, below)) {
                None => writeln!(self.out)?,
                Some(LineTextPlace::Beside { spaces, text }) => {
                    writeln!(self.out, "{:spaces$}{dim}│ {text}{reset}", "")?;
                }
                Some(LineTextPlace::Below { text }) => {
                    writeln!(self.out)?;
                    head.write(&mut self.out, dim, reset)?;
                    let spaces = columns + indent;
                    writeln!(self.out, "{:spaces$}{dim}│ {text}{reset}", "")?;
                }
            }
        }
        Ok(())
    }

    /// The text of an event's line.
    fn line_text(&mut self, event: &Event) -> Option<String> {
        let origin = &event.origin;
        self.texts.as_mut()?.line(&origin.file, origin.line)
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
        if let Some(step) = &event.step {
            return self.step(event, step);
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

    /// A step of a call of `work`, or of `leaf` at depth 1.
    fn step(call: u64, number: u64, kind: StepKind, depth: u32, line: u64) -> Event {
        let mut event = event();
        let mut origin = (*event.origin).clone();
        (origin.line, origin.function) = (line, ["work", "leaf"][depth as usize].into());
        event.origin = origin.into();
        event.time_ns += number * 1_000;
        event.values.clear();
        event.step = Some(Box::new(StepEvent {
            call,
            number,
            depth,
            frame: 0x1000 - u64::from(depth),
            kind,
            repeated: 0,
        }));
        event
    }

    fn valued(mut event: Event, values: &[(&str, i128)]) -> Event {
        let named = values.iter().map(|(name, value)| crate::event::NamedValue {
            expr: (*name).into(),
            ty: "int".into(),
            value: crate::value::Value::Int(*value, 32),
        });
        event.values = named.collect();
        event
    }

    fn listed(events: &[Event], colour: bool) -> String {
        let mut out = Vec::new();
        let mut sink = TextSink::new(&mut out, clock(), colour);
        events.iter().for_each(|event| sink.event(event).unwrap());
        String::from_utf8(out).unwrap()
    }

    /// A call with everything that a listing has.
    fn call() -> Vec<Event> {
        let mut turned = valued(step(1, 19, StepKind::Line, 0, 9), &[("n", 2), ("sum", 7)]);
        if let Some(step) = &mut turned.step {
            step.repeated = 8;
        }
        vec![
            valued(step(1, 1, StepKind::Enter, 0, 8), &[("n", 2)]),
            valued(step(1, 2, StepKind::Line, 0, 9), &[("n", 2), ("sum", 0)]),
            valued(step(1, 3, StepKind::Enter, 1, 104), &[("k", 0)]),
            valued(step(1, 4, StepKind::Line, 1, 105), &[("k", 0)]),
            valued(step(1, 5, StepKind::Return, 1, 105), &[("$return", 7)]),
            valued(step(1, 6, StepKind::Line, 0, 10), &[("n", 2), ("sum", 7)]),
            turned,
            valued(step(1, 20, StepKind::Enter, 1, 104), &[("k", 1)]),
            valued(step(1, 21, StepKind::Line, 0, 11), &[("n", 3), ("sum", 7)]),
            step(1, 22, StepKind::Return, 0, 12),
            step(2, 1, StepKind::Enter, 0, 8),
            valued(step(2, 2, StepKind::Cut, 0, 9), &[("n", 2)]),
        ]
    }

    #[test]
    fn call_is_an_indented_listing_with_the_values_that_changed() {
        insta::assert_snapshot!(listed(&call(), false));
        let plain = listed(&call(), true)
            .replace(DIM, "")
            .replace(CYAN, "")
            .replace(RESET, "");
        assert_eq!(plain, listed(&call(), false));
    }

    /// Sources in which each line says its number.
    struct NumberedLines;

    impl LineTexts for NumberedLines {
        fn line(&mut self, _: &std::sync::Arc<std::path::PathBuf>, line: u64) -> Option<String> {
            (line != 9).then(|| format!("\tline_{line}(\x1b); {}", "a ".repeat(40)))
        }
    }

    #[test]
    fn steps_have_the_text_of_their_lines_beside_or_below() {
        let mut events = call();
        let long: Vec<String> = (0..6).map(|index| format!("value_{index}")).collect();
        let long: Vec<(&str, i128)> = long.iter().map(|name| (name.as_str(), 7)).collect();
        events.truncate(6);
        events.push(valued(step(1, 7, StepKind::Line, 0, 11), &long));
        let mut out = Vec::new();
        let sink = TextSink::new(&mut out, clock(), false);
        let mut sink = sink.with_line_texts(Box::new(NumberedLines));
        events.iter().for_each(|event| sink.event(event).unwrap());
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('\x1b'), "it is escaped");
        let mut sources = text.lines().filter(|line| line.contains('│'));
        assert!(sources.all(|line| line.chars().count() <= 120), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn calls_of_several_threads_are_told_apart() {
        let of_other = |number, kind, value| {
            let mut event = valued(step(2, number, kind, 0, 8), &[("n", value)]);
            (event.tid, event.thread) = (9, "ev\x1b[2Jil".into());
            event
        };
        let mut events = call();
        events.truncate(2);
        events.insert(1, of_other(1, StepKind::Enter, 5));
        events.push(of_other(2, StepKind::Line, 5));
        // It comes again, and then it is left.
        events.push(of_other(2, StepKind::Line, 5));
        events.push(of_other(3, StepKind::Left, 99));
        insta::assert_snapshot!(listed(&events, false));
    }

    #[test]
    fn listing_that_begins_within_a_call_says_so() {
        let events = [
            valued(step(4, 30, StepKind::Line, 1, 105), &[("k", 0)]),
            valued(step(4, 31, StepKind::Return, 1, 105), &[("$return", 1)]),
            valued(step(4, 32, StepKind::Line, 0, 9), &[("n", 1)]),
        ];
        insta::assert_snapshot!(listed(&events, false));
    }

    #[test]
    fn calls_that_never_end_are_forgotten() {
        let mut listing = StepListing::default();
        for call in 1..=5_000 {
            let event = step(call, 1, StepKind::Enter, 0, 8);
            let step = event.step.clone().expect("it is a step");
            assert_eq!(listing.lines(&event, &step).len(), 2);
        }
        assert!(listing.len() <= 1 << 10, "{}", listing.len());
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
