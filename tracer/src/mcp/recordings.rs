//! Recordings that the user has named for an assistant.

use std::io;

use serde_json::{Map, Value};

use crate::base::diagnostic::Diagnostic;
use crate::event::{Aggregate, Event};
use crate::mcp::shown::{AnswerPage, shown_aggregate, shown_event, shown_summary};
use crate::session::ProbeStatus;
use crate::sink::export::replay::replay;
use crate::sink::recording::reader::Recording;
use crate::sink::{Begin, Sink};
use crate::value::redact::Redactor;

/// A recording, with the name that an assistant has for it.
#[derive(Debug)]
pub(super) struct NamedRecording {
    pub(super) name: String,
    recording: Recording,
}

impl NamedRecording {
    /// Checks that a recording shows no more than a session would.
    ///
    /// # Errors
    /// A name that is redacted here is not in the recording.
    pub(super) fn new(recording: Recording, redactor: &Redactor) -> Result<Self, Diagnostic> {
        let path = recording.path();
        let redacted = &recording.session().redacted;
        let lacking = |name: &String| !redacted.contains(name);
        if let Some(name) = redactor.names().into_iter().find(lacking) {
            let error = Diagnostic::new(format!(
                "`{}` may show values that are redacted here: `{name}` was not redacted when it was recorded",
                path.display()
            ));
            return Err(error.hint("record it without `--no-redact`, and with the same `--redact`"));
        }
        let name = path.file_name().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            recording,
        })
    }

    /// Events of the session.
    pub(super) fn events(&self) -> u64 {
        let blocks = self.recording.index().blocks.iter();
        blocks.map(|block| block.header.events).sum()
    }

    /// A page of the lines of `--output json`, from a number on. Returns the number of the next page's first line, if
    /// there are more.
    pub(super) fn page(&self, from: u64, page: &mut AnswerPage) -> Option<u64> {
        let mut sink = PageSink {
            from,
            passed: 0,
            page,
        };
        match replay(&self.recording, &mut sink) {
            Ok(_) => None,
            // The page is full.
            Err(_) => Some(sink.passed),
        }
    }
}

/// Takes lines until the page is full.
struct PageSink<'p> {
    from: u64,
    passed: u64,
    page: &'p mut AnswerPage,
}

impl PageSink<'_> {
    fn take(&mut self, line: impl FnOnce() -> Map<String, Value>) -> io::Result<()> {
        if self.passed >= self.from && !self.page.push(Value::Object(line())) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.passed += 1;
        Ok(())
    }
}

impl Sink for PageSink<'_> {
    fn begin(&mut self, _: &Begin) -> io::Result<()> {
        Ok(())
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.take(|| shown_event(event))
    }

    fn aggregate(&mut self, aggregate: &Aggregate, time_ns: u64) -> io::Result<()> {
        self.take(|| shown_aggregate(aggregate, time_ns))
    }

    fn summary(&mut self, probe: &ProbeStatus) -> io::Result<()> {
        self.take(|| shown_summary(probe))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
