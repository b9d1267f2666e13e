//! `--summary FILE`: the traced probes and their results, whatever happens to stdout.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::failure::CommandFailure;
use crate::session::{Control, ProbeStatus};
use crate::sink::json::JsonSink;
use crate::sink::{Begin, Sink as _};

/// The file, once there is a summary to write.
pub(in crate::cli) struct SummaryFile {
    path: PathBuf,
    sink: JsonSink<File>,
}

impl SummaryFile {
    /// Makes the file, or empties it: before anything is attached, so that a mistake in its name
    /// costs nothing.
    pub(in crate::cli) fn create(path: &Path, per_process: bool) -> Result<Self, CommandFailure> {
        let file =
            File::create(path).map_err(|error| CommandFailure::cannot_write(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            sink: JsonSink::new(file).with_processes(per_process),
        })
    }

    /// Writes the target, the start time and the probes.
    pub(in crate::cli) fn begin(&mut self, begin: &Begin) -> Result<(), CommandFailure> {
        let written = self.sink.begin(begin);
        written.map_err(|error| CommandFailure::cannot_write(&self.path, &error))
    }

    /// Writes the last state of each probe, and the counts of forked processes.
    pub(in crate::cli) fn end(
        mut self,
        session: &dyn Control,
        probes: &[ProbeStatus],
    ) -> Result<(), CommandFailure> {
        let mut write = || -> io::Result<()> {
            for probe in probes {
                self.sink.summary(probe)?;
            }
            if let Some(followed) = session.followed() {
                self.sink.followed(&followed)?;
            }
            self.sink.flush()
        };
        write().map_err(|error| CommandFailure::cannot_write(&self.path, &error))
    }
}
