//! `--otlp` and `--prometheus`: outputs that go elsewhere, beside the one on this terminal.

use std::sync::Arc;
use std::time::Duration;

use crate::base::visible::Visible;
use crate::cli::args::TraceArgs;
use crate::cli::failure::CommandFailure;
use crate::cli::output::say;
use crate::cli::watchdog::Progress;
use crate::session::{Control, Session, Subscriber};
use crate::sink::otel::exporter::{Export, ExportPlan};
use crate::sink::otel::scrape::{ScrapePlan, Scrapes};

/// The outputs, before there is a session.
pub(in crate::cli) struct TelemetryPlan {
    export: Option<ExportPlan>,
    scrape: Option<ScrapePlan>,
    timeout: Duration,
}

impl TelemetryPlan {
    /// Reads the variables and reserves the address: before anything is attached, so that a mistake in them
    /// costs nothing.
    pub(in crate::cli) fn new(args: &TraceArgs) -> Result<Self, CommandFailure> {
        let telemetry = &args.telemetry;
        let export = telemetry
            .collector()
            .map(|url| ExportPlan::new(url, args.every))
            .transpose()?;
        let scrape = telemetry.prometheus.map(ScrapePlan::bind).transpose()?;
        Ok(Self {
            export,
            scrape,
            timeout: telemetry.otlp_timeout,
        })
    }

    /// Subscribes to a session: before its first probe, so that no event is older.
    pub(in crate::cli) fn subscribe(self, session: &Arc<Session>) -> TelemetrySubscription {
        let subscriber = Subscriber {
            patient: true,
            ..Subscriber::default()
        };
        TelemetrySubscription {
            control: self
                .export
                .is_some()
                .then(|| Arc::new(session.subscribe(subscriber)) as Arc<dyn Control>),
            plan: self,
        }
    }
}

/// The outputs' place at the session.
pub(in crate::cli) struct TelemetrySubscription {
    control: Option<Arc<dyn Control>>,
    plan: TelemetryPlan,
}

impl TelemetrySubscription {
    /// Starts the outputs. The page of metrics has those that `shown` has.
    pub(in crate::cli) fn start(
        self,
        shown: &Arc<dyn Control>,
        began_ns: u64,
    ) -> Result<Telemetry, CommandFailure> {
        let Self { control, plan } = self;
        let export = match (plan.export, control) {
            (Some(export), Some(control)) => Some(export.start(control, began_ns)?),
            _ => None,
        };
        let scrapes = match plan.scrape {
            Some(scrape) => {
                shown.note(format!(
                    "metrics are at http://{}/metrics",
                    scrape.address()
                ));
                Some(scrape.start(Arc::clone(shown), began_ns)?)
            }
            None => None,
        };
        Ok(Telemetry {
            export,
            scrapes,
            timeout: plan.timeout,
        })
    }
}

/// The outputs of a session.
#[derive(Debug, Default)]
pub(in crate::cli) struct Telemetry {
    export: Option<Export>,
    scrapes: Option<Scrapes>,
    timeout: Duration,
}

impl Telemetry {
    /// Sends the rest, once the session has finished: before its counters are shown, so that these have what
    /// was not delivered.
    pub(in crate::cli) fn end(self, progress: &Progress) {
        if let Some(scrapes) = self.scrapes {
            scrapes.end();
        }
        if let Some(export) = self.export {
            progress.set_exporting(true);
            for text in export.end(self.timeout) {
                say!("warning: {}", Visible(&text));
            }
            progress.set_exporting(false);
        }
    }
}
