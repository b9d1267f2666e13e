//! The outputs in addition to the terminal UI or stdout: files, a collector, a page for Prometheus.

mod record;
mod summary_file;
mod tee;
mod telemetry;

use std::sync::Arc;

use super::args::TraceArgs;
use super::failure::CommandFailure;
use crate::session::{Control, Session};
use crate::sink::Begin;

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
    tee: Option<TeeFile>,
    record: Option<RecordFile>,
    telemetry: TelemetryPlan,
}

impl OutputsPlan {
    /// Makes the files, and reads what the others need: before anything is attached, so that a mistake costs
    /// nothing.
    pub(super) fn new(args: &TraceArgs) -> Result<Self, CommandFailure> {
        Ok(Self {
            telemetry: TelemetryPlan::new(args)?,
            summary: args
                .summary
                .as_deref()
                .map(|path| SummaryFile::create(path, args.per_process))
                .transpose()?,
            tee: args.tee.as_deref().map(TeeFile::create).transpose()?,
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
            tee: self.tee.map(|file| file.subscribe(session)),
            record: self.record.map(|file| file.subscribe(session)),
            telemetry: self.telemetry.subscribe(session),
        }
    }
}

/// The outputs' places at the session.
pub(super) struct SubscribedOutputs {
    summary: Option<SummaryFile>,
    tee: Option<TeeSubscription>,
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
        let start = |tee: TeeSubscription| tee.start(begin.clone(), args.every, args.per_process);
        Ok(StartedOutputs {
            summary,
            tee: self.tee.map(start).transpose()?,
            record: self.record.map(|record| record.start(begin)).transpose()?,
            telemetry: self.telemetry.start(control, begin.time_ns)?,
        })
    }
}

/// The outputs of a session, which end at different times.
pub(super) struct StartedOutputs {
    pub(super) summary: Option<SummaryFile>,
    pub(super) tee: Option<Tee>,
    pub(super) record: Option<Record>,
    pub(super) telemetry: Telemetry,
}
