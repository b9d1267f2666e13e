//! `--summary FILE`: what is traced, and what became of it, whatever happens to stdout.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::session::{ProbeStatus, Session};
use crate::sink::json::JsonSink;
use crate::sink::{Begin, Sink as _};

/// The file, once there is something to say.
pub(super) struct SummaryFile {
    path: PathBuf,
    sink: JsonSink<File>,
}

impl SummaryFile {
    /// Makes the file, or empties it: before anything is attached, so that a mistake in its name
    /// costs nothing.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| failure(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            sink: JsonSink::new(file),
        })
    }

    /// Writes what is traced.
    pub(super) fn begin(&mut self, begin: &Begin) -> Result<(), Failure> {
        let written = self.sink.begin(begin);
        written.map_err(|error| failure(&self.path, &error))
    }

    /// Writes the last state of each probe, and what became of processes that were forked.
    pub(super) fn end(mut self, session: &Session, probes: &[ProbeStatus]) -> Result<(), Failure> {
        let mut write = || -> io::Result<()> {
            for probe in probes {
                self.sink.summary(probe)?;
            }
            if let Some(followed) = session.followed() {
                self.sink.followed(&followed)?;
            }
            self.sink.flush()
        };
        write().map_err(|error| failure(&self.path, &error))
    }
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write `{}`: {error}", path.display()))
}
