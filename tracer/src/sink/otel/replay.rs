//! A recording, sent to a collector.
//!
//! The collector sets the pace: reading waits for it, so nothing is dropped. It is given up if it takes nothing
//! for a while.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::batch::{EncodedRequest, RecordBatch};
use super::conventions::attribute as names;
use super::delivery::{Account, Delivery, Kept};
use super::exporter::{ExportEnd, ExportPlan, ExportUrls};
use super::limits::{REPLAY_REQUESTS, RESOURCES};
use super::logs::LogRecords;
use super::metrics::{Metrics, otlp};
use super::transport::Transport;
use super::{number_attribute, spans, text_attribute};
use crate::base::diagnostic::Diagnostic;
use crate::event::{Aggregate, Event, ProbeId, TargetStatus};
use crate::session::ProbeStatus;
use crate::sink::recording::lines::RecordingLine;
use crate::sink::{Begin, Sink};

/// Tells the user something while requests are sent.
pub type Tell = Box<dyn Fn(String) + Send + Sync>;

/// Sends what it gets to a collector.
pub struct OtlpReplay {
    records: LogRecords,
    resources: RecordedResources,
    batch: RecordBatch,
    spans: RecordBatch,
    logs: Delivery,
    metrics: Delivery,
    traces: Delivery,
    urls: ExportUrls,
    account: Arc<RecordedAccount>,
    patience: Duration,
    made: Metrics,
    aggregates: Vec<Aggregate>,
    probes: Vec<ProbeStatus>,
    last_ns: u64,
    /// The collector has taken all.
    is_complete: bool,
}

/// Events that a collector did not get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Events that were sent and did not arrive, by probe.
    pub events: BTreeMap<ProbeId, u64>,
    /// Remarks for the user on the end.
    pub said: Vec<String>,
}

/// Counts what was not delivered.
struct RecordedAccount {
    undelivered: Mutex<BTreeMap<ProbeId, u64>>,
    tell: Tell,
}

impl Account for RecordedAccount {
    fn count_undelivered(&self, probe: ProbeId, events: u64) {
        let mut undelivered = self
            .undelivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *undelivered.entry(probe).or_default() += events;
    }

    fn warn(&self, text: String) {
        (self.tell)(format!("warning: {text}"));
    }

    fn note(&self, text: String) {
        (self.tell)(format!("note: {text}"));
    }
}

impl OtlpReplay {
    /// Prepares sending. The collector is given up if it takes nothing for `patience`.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(
        plan: ExportPlan,
        session: &RecordingLine,
        patience: Duration,
        tell: Tell,
    ) -> Result<Self, Diagnostic> {
        let undelivered = Mutex::default();
        let account = Arc::new(RecordedAccount { undelivered, tell });
        let start = |name, (url, transport): (String, Transport), kept| {
            let account: Arc<dyn Account> = Arc::<RecordedAccount>::clone(&account);
            let delivery = Delivery::start(name, url.clone(), transport, account, kept);
            let failed = |error| Diagnostic::new(format!("cannot start a thread: {error}"));
            delivery.map_err(failed).map(|delivery| (url, delivery))
        };
        let (logs_url, logs) = start("otlp-logs", plan.logs, Kept::All)?;
        let (metrics_url, metrics) = start("otlp-metrics", plan.metrics, Kept::Newest)?;
        let (traces_url, traces) = start("otlp-traces", plan.traces, Kept::All)?;
        Ok(Self {
            records: LogRecords::default(),
            resources: RecordedResources::new(plan.resource, session),
            batch: RecordBatch::default(),
            spans: RecordBatch::default(),
            logs,
            metrics,
            traces,
            urls: ExportUrls {
                logs: logs_url,
                metrics: metrics_url,
                traces: traces_url,
            },
            account,
            patience,
            made: Metrics::new(0),
            aggregates: Vec::new(),
            probes: Vec::new(),
            last_ns: 0,
            is_complete: false,
        })
    }

    /// Sends a request, after the ones before it.
    fn push(&self, delivery: &Delivery, request: Option<EncodedRequest>) -> io::Result<()> {
        let Some(request) = request else {
            return Ok(());
        };
        let is_taken = delivery.wait_below(REPLAY_REQUESTS, self.patience);
        delivery.push(request);
        match is_taken {
            true => Ok(()),
            false => Err(gave_up(self.patience)),
        }
    }

    fn send_logs(&mut self) -> io::Result<()> {
        let request = self.batch.take();
        self.push(&self.logs, request)
    }

    fn send_spans(&mut self) -> io::Result<()> {
        let request = self.spans.take();
        self.push(&self.traces, request)
    }

    fn send_metrics(&mut self) -> io::Result<()> {
        let set = self.made.of(&self.aggregates, &self.probes, self.last_ns);
        let resource = self.resources.session();
        let request = EncodedRequest {
            bytes: otlp::request(&set, &resource).into(),
            events: BTreeMap::new(),
        };
        self.push(&self.metrics, Some(request))
    }

    /// Counts what has not arrived by now as not delivered.
    pub fn end(self) -> Undelivered {
        // Without a wait, if it was given up.
        let deadline = match self.is_complete {
            true => Instant::now() + self.patience,
            false => Instant::now(),
        };
        let end = ExportEnd {
            logs: self.logs.finish(deadline),
            metrics: self.metrics.finish(deadline),
            traces: self.traces.finish(deadline),
        };
        let mut undelivered = self
            .account
            .undelivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Undelivered {
            events: std::mem::take(&mut *undelivered),
            said: end.said(&self.urls),
        }
    }
}

fn gave_up(patience: Duration) -> io::Error {
    let text = format!("the collector took nothing for {patience:?}");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl Sink for OtlpReplay {
    fn begin(&mut self, session: &Begin) -> io::Result<()> {
        self.made = Metrics::new(session.time_ns);
        self.last_ns = session.time_ns;
        Ok(())
    }

    fn came(&mut self, target: &TargetStatus) -> io::Result<()> {
        self.resources.came(target);
        self.batch.separate(target.pid);
        self.spans.separate(target.pid);
        Ok(())
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.last_ns = self.last_ns.max(event.time_ns);
        let resources = &mut self.resources;
        let probe = event.origin.probe;
        if let Some(span) = &event.span {
            let span = spans::span(event, span);
            self.spans
                .add(event.pid, probe, &span, || resources.of(event.pid));
            return match self.spans.is_full() {
                true => self.send_spans(),
                false => Ok(()),
            };
        }
        // When it was read is not recorded.
        let record = self.records.of(event, event.time_ns);
        self.batch
            .add(event.pid, probe, record, || resources.of(event.pid));
        match self.batch.is_full() {
            true => self.send_logs(),
            false => Ok(()),
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate, time_ns: u64) -> io::Result<()> {
        self.last_ns = self.last_ns.max(time_ns);
        self.aggregates.push(aggregate.clone());
        Ok(())
    }

    fn summary(&mut self, probe: &ProbeStatus) -> io::Result<()> {
        self.probes.push(probe.clone());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Sends the rest, and waits until the collector has it.
    fn finish(&mut self) -> io::Result<()> {
        self.send_logs()?;
        self.send_spans()?;
        self.send_metrics()?;
        for delivery in [&self.logs, &self.traces, &self.metrics] {
            if !delivery.wait_below(1, self.patience) {
                return Err(gave_up(self.patience));
            }
        }
        self.is_complete = true;
        Ok(())
    }
}

/// Resources by what a recording says. This machine and its processes are others.
struct RecordedResources {
    /// Attributes that the user gave, which replace ours.
    given: Vec<KeyValue>,
    host: Vec<KeyValue>,
    /// The paths of programs, or their names.
    programs: HashMap<u32, String>,
    by_pid: HashMap<u32, Arc<[KeyValue]>>,
    /// The only process, if the session was for one.
    only: Option<u32>,
}

impl RecordedResources {
    fn new(given: Vec<KeyValue>, session: &RecordingLine) -> Self {
        let host = (!session.host.is_empty())
            .then(|| text_attribute(names::HOST_NAME, session.host.as_str()));
        let kernel = (!session.kernel.is_empty())
            .then(|| text_attribute(names::OS_VERSION, session.kernel.as_str()));
        let system = text_attribute(names::OS_TYPE, "linux");
        let programs = session.targets.iter();
        Self {
            given,
            host: host.into_iter().chain([system]).chain(kernel).collect(),
            programs: programs
                .map(|target| (target.pid, target.exe.clone()))
                .collect(),
            by_pid: HashMap::new(),
            only: session.pid,
        }
    }

    /// Another program has this process id.
    fn came(&mut self, target: &TargetStatus) {
        self.by_pid.remove(&target.pid);
        if self.programs.len() >= RESOURCES {
            self.programs.clear();
        }
        let known = self.programs.get(&target.pid);
        let is_known = known.is_some_and(|path| *name(path) == *target.program);
        if !is_known {
            self.programs.insert(target.pid, target.program.to_string());
        }
    }

    /// The resource of a process.
    fn of(&mut self, pid: u32) -> Arc<[KeyValue]> {
        if let Some(known) = self.by_pid.get(&pid) {
            return Arc::clone(known);
        }
        if self.by_pid.len() >= RESOURCES {
            self.by_pid.clear();
        }
        let mut attributes = Vec::new();
        match self.programs.get(&pid) {
            Some(path) => {
                attributes.push(text_attribute(names::SERVICE_NAME, name(path)));
                attributes.push(text_attribute(names::PROCESS_EXECUTABLE_NAME, name(path)));
                if Path::new(path).is_absolute() {
                    attributes.push(text_attribute(
                        names::PROCESS_EXECUTABLE_PATH,
                        path.as_str(),
                    ));
                }
            }
            None => attributes.push(text_attribute(names::SERVICE_NAME, "unknown_service")),
        }
        attributes.push(number_attribute(names::PROCESS_PID, pid.into()));
        let resource = self.complete(attributes);
        self.by_pid.insert(pid, Arc::clone(&resource));
        resource
    }

    /// The resource of the aggregates: that of the only process, or of all.
    fn session(&mut self) -> Arc<[KeyValue]> {
        if let Some(pid) = self.only {
            return self.of(pid);
        }
        let mut programs = self.programs.values().map(|path| name(path));
        let service = match programs.next() {
            Some(first) if programs.all(|other| other == first) => first,
            _ => "tracer",
        };
        self.complete(vec![text_attribute(names::SERVICE_NAME, service)])
    }

    fn complete(&self, mut attributes: Vec<KeyValue>) -> Arc<[KeyValue]> {
        attributes.extend(self.host.iter().cloned());
        let is_given = |key: &str| self.given.iter().any(|given| given.key == key);
        attributes.retain(|attribute| !is_given(&attribute.key));
        attributes.extend(self.given.iter().cloned());
        attributes.into()
    }
}

/// The file name of a program.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
