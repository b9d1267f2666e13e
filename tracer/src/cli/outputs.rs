//! The outputs in addition to the terminal UI or stdout: files, a collector, a page for Prometheus.

mod line_texts;
mod record;
mod summary_file;
mod tee;
mod telemetry;

use std::sync::Arc;

use super::args::TraceArgs;
use super::failure::CommandFailure;
use super::watchdog::Progress;
use crate::session::{Control, Session};
use crate::sink::Begin;

pub(super) use line_texts::SessionLines;
pub(super) use record::Record;
pub(super) use summary_file::SummaryFile;
pub(super) use tee::Tee;
pub(super) use telemetry::Telemetry;

use record::{RecordFile, RecordSubscription};
use tee::{TeeFile, TeeSubscription};
use telemetry::{TelemetryPlan, TelemetrySubscription};

/// The outputs, before there is a session.
pub(super) struct OutputsPlan {
    summary: Option<SummaryFile>,
    files: Vec<TeeFile>,
    record: Option<RecordFile>,
    telemetry: TelemetryPlan,
}

impl OutputsPlan {
    /// Makes the files, and reads what the others need: before anything is attached, so that a mistake costs
    /// nothing.
    pub(super) fn new(args: &TraceArgs) -> Result<Self, CommandFailure> {
        let tee = args.tee.as_deref().map(TeeFile::tee);
        let exports = args.exports.iter().map(TeeFile::export);
        Ok(Self {
            telemetry: TelemetryPlan::new(args)?,
            summary: args
                .summary
                .as_deref()
                .map(|path| SummaryFile::create(path, args.per_process))
                .transpose()?,
            files: tee.into_iter().chain(exports).collect::<Result<_, _>>()?,
            record: args
                .record
                .as_deref()
                .map(|path| RecordFile::create(path, args))
                .transpose()?,
        })
    }

    /// Subscribes to a session: before its first probe, so that no event is older.
    pub(super) fn subscribe(self, session: &Arc<Session>) -> SubscribedOutputs {
        SubscribedOutputs {
            summary: self.summary,
            files: self
                .files
                .into_iter()
                .map(|file| file.subscribe(session))
                .collect(),
            record: self.record.map(|file| file.subscribe(session)),
            telemetry: self.telemetry.subscribe(session),
        }
    }
}

/// The outputs' places at the session.
pub(super) struct SubscribedOutputs {
    summary: Option<SummaryFile>,
    files: Vec<TeeSubscription>,
    record: Option<RecordSubscription>,
    telemetry: TelemetrySubscription,
}

impl SubscribedOutputs {
    /// Starts the outputs. `control` is that of the terminal UI or stdout.
    pub(super) fn start(
        self,
        control: &Arc<dyn Control>,
        begin: &Begin,
        args: &TraceArgs,
    ) -> Result<StartedOutputs, CommandFailure> {
        let mut summary = self.summary;
        if let Some(summary) = &mut summary {
            summary.begin(begin)?;
        }
        let start = |file: TeeSubscription| file.start(begin.clone(), args.every, args.per_process);
        Ok(StartedOutputs {
            summary,
            files: self
                .files
                .into_iter()
                .map(start)
                .collect::<Result<_, _>>()?,
            record: self.record.map(|record| record.start(begin)).transpose()?,
            telemetry: self.telemetry.start(control, begin.time_ns)?,
        })
    }
}

/// The outputs of a session, which end at different times.
pub(super) struct StartedOutputs {
    pub(super) summary: Option<SummaryFile>,
    pub(super) files: Vec<Tee>,
    pub(super) record: Option<Record>,
    pub(super) telemetry: Telemetry,
}

/// Waits until all files are written. One that cannot be written holds up no other.
pub(super) fn end_files(files: Vec<Tee>, progress: &Progress) -> Result<(), CommandFailure> {
    let ended: Vec<_> = files.into_iter().map(|file| file.end(progress)).collect();
    ended.into_iter().collect()
}
