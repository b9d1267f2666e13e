//! `--otlp`: events as log records, calls as spans and aggregates as metrics, to a collector.
//!
//! It is a frontend with a queue of its own. Its thread makes requests, and those of [`super::delivery`] send
//! them, so a collector that is down, slow or hangs holds up nobody.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use tokio::sync::Notify;

use super::batch::{EncodedRequest, RecordBatch};
use super::delivery::{Account, Delivery, FinishedDelivery, Kept};
use super::endpoint::{Endpoint, Environment, Signal};
use super::limits::{METRICS_INTERVAL, REQUEST_WAIT};
use super::logs::LogRecords;
use super::metrics::{Metrics, otlp};
use super::resource::{Resources, now_ns};
use super::spans;
use super::transport::Transport;
use crate::base::diagnostic::Diagnostic;
use crate::event::{Event, ProbeId, Used, grouped};
use crate::session::{Control, Notice};

/// Notices taken from the queue at a time.
const BATCH: usize = 1024;

/// Between two looks whether events were dropped before this thread had them.
const DROPPED_LOOK: Duration = Duration::from_secs(1);

/// Time that the thread may take beyond the deadline, to count the rest.
const SLACK: Duration = Duration::from_millis(500);

/// Where to export, before there is a session.
#[derive(Debug)]
pub struct ExportPlan {
    pub(super) logs: (String, Transport),
    pub(super) metrics: (String, Transport),
    pub(super) traces: (String, Transport),
    pub(super) resource: Vec<KeyValue>,
    every: Duration,
}

impl ExportPlan {
    /// Reads the variables, and prepares the connections. Nothing is sent.
    ///
    /// # Errors
    /// A variable, the URL or a certificate cannot be used.
    pub fn new(url: Option<&str>, every: Option<Duration>) -> Result<Self, Diagnostic> {
        let environment = Environment::read();
        let prepare = |signal| {
            let endpoint = environment.endpoint(signal, url)?;
            let transport = Transport::new(signal, &endpoint)?;
            Ok::<_, Diagnostic>((shown(&endpoint), transport))
        };
        let interval = environment.metrics_interval()?;
        Ok(Self {
            logs: prepare(Signal::Logs)?,
            metrics: prepare(Signal::Metrics)?,
            traces: prepare(Signal::Traces)?,
            resource: environment.resource()?,
            every: every.or(interval).unwrap_or(METRICS_INTERVAL),
        })
    }

    /// Exports the notices of a session from now on. `began_ns` is its start, in ns since the Unix epoch.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(self, control: Arc<dyn Control>, began_ns: u64) -> Result<Export, Diagnostic> {
        let failed =
            |error: std::io::Error| Diagnostic::new(format!("cannot start a thread: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(failed)?;
        let account: Arc<dyn Account> = Arc::new(SessionAccount(Arc::clone(&control)));
        let start = |name, (url, transport): (String, Transport), kept| {
            let delivery =
                Delivery::start(name, url.clone(), transport, Arc::clone(&account), kept);
            delivery.map_err(failed).map(|delivery| (url, delivery))
        };
        let (logs_url, logs) = start("otlp-logs", self.logs, Kept::All)?;
        let (metrics_url, metrics) = start("otlp-metrics", self.metrics, Kept::Newest)?;
        let (traces_url, traces) = start("otlp-traces", self.traces, Kept::All)?;
        let end = Arc::<ExportDeadline>::default();
        let (told, ended) = mpsc::channel();
        let exporter = Exporter {
            control,
            end: Arc::clone(&end),
            runtime,
            records: LogRecords::default(),
            resources: Resources::new(self.resource),
            batch: RecordBatch::default(),
            spans: RecordBatch::default(),
            logs,
            metrics,
            traces,
            made: Metrics::new(began_ns),
            every: self.every,
            next_metrics: Instant::now() + self.every,
            dropped: BTreeMap::new(),
            next_look: Instant::now() + DROPPED_LOOK,
            used: Vec::new(),
        };
        thread::Builder::new()
            .name("otlp".into())
            .spawn(move || exporter.run(&told))
            .map_err(failed)?;
        Ok(Export {
            end,
            ended,
            urls: ExportUrls {
                logs: logs_url,
                metrics: metrics_url,
                traces: traces_url,
            },
        })
    }
}

/// The URL without a password in it.
fn shown(endpoint: &Endpoint) -> String {
    let url = endpoint.url.to_string();
    match url.split_once('@') {
        Some((front, rest)) => {
            let scheme = front.split("//").next().unwrap_or_default();
            format!("{scheme}//{rest}")
        }
        None => url,
    }
}

/// An export that is under way.
#[derive(Debug)]
pub struct Export {
    end: Arc<ExportDeadline>,
    ended: Receiver<ExportEnd>,
    urls: ExportUrls,
}

/// The session's end, and the time until which to wait.
#[derive(Debug, Default)]
struct ExportDeadline {
    deadline: Mutex<Option<Instant>>,
    notify: Notify,
}

impl ExportDeadline {
    fn deadline(&self) -> Option<Instant> {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome, at the end of the thread.
#[derive(Debug, Default)]
pub(super) struct ExportEnd {
    pub(super) logs: FinishedDelivery,
    pub(super) metrics: FinishedDelivery,
    pub(super) traces: FinishedDelivery,
}

/// The collectors, in words.
#[derive(Debug)]
pub(super) struct ExportUrls {
    pub(super) logs: String,
    pub(super) metrics: String,
    pub(super) traces: String,
}

impl ExportEnd {
    /// Remarks for the user on it.
    pub(super) fn said(self, urls: &ExportUrls) -> Vec<String> {
        let mut said = Vec::new();
        for (url, what, ended) in [
            (&urls.logs, "events", self.logs),
            (&urls.metrics, "metrics", self.metrics),
            (&urls.traces, "spans", self.traces),
        ] {
            if let Some(why) = ended.failure {
                said.push(format!("{url} did not get the last {what}: {why}"));
            }
            if ended.refused_of_several > 0 {
                said.push(format!(
                    "{url} refused {} {what}, and did not say whose",
                    grouped(ended.refused_of_several)
                ));
            }
        }
        said
    }
}

impl Export {
    /// Sends the rest, once the session has finished, and waits no longer than this. Returns what the user
    /// should know about it.
    pub fn end(self, timeout: Duration) -> Vec<String> {
        let deadline = Instant::now() + timeout;
        *self
            .end
            .deadline
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(deadline);
        self.end.notify.notify_one();
        match self.ended.recv_timeout(timeout + SLACK) {
            Ok(ended) => ended.said(&self.urls),
            Err(_) => vec![format!(
                "{} did not get the last events in time",
                self.urls.logs
            )],
        }
    }
}

/// Counts and tells by the session.
struct SessionAccount(Arc<dyn Control>);

impl Account for SessionAccount {
    fn count_undelivered(&self, probe: ProbeId, events: u64) {
        self.0.count_undelivered(probe, events);
    }

    fn warn(&self, text: String) {
        self.0.warn(text);
    }

    fn note(&self, text: String) {
        self.0.note(text);
    }
}

/// The thread that makes requests.
struct Exporter {
    control: Arc<dyn Control>,
    end: Arc<ExportDeadline>,
    runtime: tokio::runtime::Runtime,
    records: LogRecords,
    resources: Resources,
    batch: RecordBatch,
    spans: RecordBatch,
    logs: Delivery,
    metrics: Delivery,
    traces: Delivery,
    made: Metrics,
    every: Duration,
    next_metrics: Instant,
    /// Events that were dropped before this thread had them, as far as they are counted.
    dropped: BTreeMap<ProbeId, u64>,
    next_look: Instant,
    used: Vec<Used>,
}

impl Exporter {
    fn run(mut self, told: &Sender<ExportEnd>) {
        // While the targets are there. A session may be over before its first metrics are due.
        self.resources.of_control(&*self.control);
        loop {
            // The order matters: notices from before the end are taken after the look at it.
            let deadline = self.end.deadline();
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.control.drop_events();
            }
            let notices = self.control.take_notices(BATCH);
            let is_idle = notices.is_empty();
            let observed_ns = now_ns();
            for notice in notices {
                match notice {
                    Notice::Event(event) => {
                        self.event(&event, observed_ns);
                        self.used.push(Used(event));
                    }
                    Notice::TargetCame(target) => {
                        self.resources.came(target.pid);
                        self.batch.separate(target.pid);
                        self.spans.separate(target.pid);
                        self.resources.of_control(&*self.control);
                    }
                    _ => {}
                }
            }
            self.control.give_back(&mut self.used);
            if is_idle && let Some(deadline) = deadline {
                let ended = self.finish(deadline);
                // The receiver is gone if nobody waits any more.
                let _ = told.send(ended);
                return;
            }
            let now = Instant::now();
            let is_old = |since: Instant| since + REQUEST_WAIT <= now;
            if self.batch.since().is_some_and(is_old) {
                self.send_logs();
            }
            if self.spans.since().is_some_and(is_old) {
                self.send_spans();
            }
            if self.next_metrics <= now {
                self.send_metrics();
                self.next_metrics = now + self.every;
            }
            if self.next_look <= now {
                self.count_dropped();
                self.next_look = now + DROPPED_LOOK;
            }
            if is_idle {
                self.wait();
            }
        }
    }

    /// Waits for notices, for the end, or until something is due.
    fn wait(&self) {
        let since = [self.batch.since(), self.spans.since()];
        let batches = since
            .into_iter()
            .flatten()
            .map(|since| since + REQUEST_WAIT);
        let due = batches.chain([self.next_metrics]).min();
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        let left = left.unwrap_or(self.every);
        let ready = self.control.notices_ready();
        self.runtime.block_on(async {
            tokio::select! {
                () = ready => {}
                () = self.end.notify.notified() => {}
                () = tokio::time::sleep(left) => {}
            }
        });
    }

    fn event(&mut self, event: &Event, observed_ns: u64) {
        let resources = &mut self.resources;
        let probe = event.origin.probe;
        if let Some(span) = &event.span {
            let span = spans::span(event, span);
            self.spans
                .add(event.pid, probe, &span, || resources.of(event.pid));
            if self.spans.is_full() {
                self.send_spans();
            }
            return;
        }
        let record = self.records.of(event, observed_ns);
        self.batch
            .add(event.pid, probe, record, || resources.of(event.pid));
        if self.batch.is_full() {
            self.send_logs();
        }
    }

    fn send_logs(&mut self) {
        if let Some(request) = self.batch.take() {
            self.logs.push(request);
        }
    }

    fn send_spans(&mut self) {
        if let Some(request) = self.spans.take() {
            self.traces.push(request);
        }
    }

    fn send_metrics(&mut self) {
        let mut aggregates = self.control.aggregates();
        let mut probes = self.control.probes();
        // Removed probes are told once more.
        for removed in self.control.take_removed() {
            aggregates.extend(removed.aggregate);
            probes.push(removed.status);
        }
        let set = self.made.of(&aggregates, &probes, now_ns());
        let resource = self.resources.of_control(&*self.control);
        self.metrics.push(EncodedRequest {
            bytes: otlp::request(&set, &resource).into(),
            events: BTreeMap::new(),
        });
    }

    /// Counts events that came faster than this thread made records of them.
    fn count_dropped(&mut self) {
        for (probe, dropped) in self.control.dropped_events() {
            let counted = self.dropped.entry(probe).or_default();
            let more = dropped.saturating_sub(*counted);
            *counted += more;
            if more > 0 {
                self.control.count_undelivered(probe, more);
            }
        }
    }

    fn finish(mut self, deadline: Instant) -> ExportEnd {
        self.send_logs();
        self.send_spans();
        self.count_dropped();
        self.logs.hurry(deadline);
        self.traces.hurry(deadline);
        self.send_metrics();
        self.metrics.hurry(deadline);
        ExportEnd {
            logs: self.logs.finish(deadline),
            metrics: self.metrics.finish(deadline),
            traces: self.traces.finish(deadline),
        }
    }
}
