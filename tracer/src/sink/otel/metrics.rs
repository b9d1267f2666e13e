//! Aggregates and counters as metrics, cumulative since the session began.
//!
//! The model here is neither that of OTLP nor that of Prometheus: buckets stay exact, and each form is made
//! of them ([`otlp`], [`super::openmetrics`]).

pub(super) mod otlp;

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;

use super::logs::{PROBE, value_key};
use super::{attribute, conventions::attribute as names, text_attribute, values};
use crate::event::{
    Aggregate, AggregateBody, Bucket, CountRow, Exemplar, Histogram, ProbeId, Times,
};
use crate::lang::ast::Format;
use crate::session::ProbeStatus;
use crate::value::Value;
use crate::value::debug::to_string;

/// Attributes of the tracer's own.
const OUTCOME: &str = "tracer.outcome";
const REASON: &str = "tracer.reason";
const OVERFLOW: &str = "otel.metric.overflow";

const NS_PER_SECOND: f64 = 1e9;

/// All metrics at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MetricSet {
    /// In ns since the Unix epoch.
    pub(super) time_ns: u64,
    /// Each name once.
    pub(super) families: Vec<MetricFamily>,
}

/// All points with one name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MetricFamily {
    pub(super) name: String,
    /// As UCUM writes it.
    pub(super) unit: &'static str,
    pub(super) description: String,
    pub(super) points: MetricPoints,
}

/// The points of a family.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum MetricPoints {
    /// Sums that only grow.
    Counters(Vec<NumberPoint>),
    /// Numbers that grow and shrink.
    Levels(Vec<NumberPoint>),
    /// Distributions.
    Distributions(Vec<DistributionPoint>),
}

/// A number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NumberPoint {
    pub(super) attributes: Vec<KeyValue>,
    /// When it was zero, in ns since the Unix epoch.
    pub(super) start_ns: u64,
    pub(super) value: u64,
}

/// A distribution.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DistributionPoint {
    pub(super) attributes: Vec<KeyValue>,
    /// When it was empty, in ns since the Unix epoch.
    pub(super) start_ns: u64,
    /// Both ends are in a bucket. In order.
    pub(super) buckets: Vec<Bucket>,
    /// Numbers of a bucket's ends in one unit of the metric.
    pub(super) per_unit: f64,
    /// The buckets have one width, and do not grow with their numbers.
    pub(super) is_linear: bool,
    /// Sum of all, if it is known.
    pub(super) sum: Option<f64>,
    /// The least and the largest number, if they are known.
    pub(super) extremes: Option<(f64, f64)>,
    /// Examples, smallest first.
    pub(super) exemplars: Vec<Exemplar>,
}

impl DistributionPoint {
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }

    /// The number of an example in the metric's unit.
    pub(super) fn value(&self, exemplar: &Exemplar) -> f64 {
        exemplar.elapsed_ns as f64 / self.per_unit
    }
}

/// Makes metrics of aggregates.
#[derive(Debug)]
pub(super) struct Metrics {
    began_ns: u64,
    /// Total at the last look, and the time from which it counts. A probe that begins anew counts from zero.
    starts: HashMap<ProbeId, (u64, u64)>,
    last_ns: u64,
}

impl Metrics {
    /// Metrics of a session that began at this time, in ns since the Unix epoch.
    pub(super) fn new(began_ns: u64) -> Self {
        Self {
            began_ns,
            starts: HashMap::new(),
            last_ns: began_ns,
        }
    }

    /// The metrics of now. A probe that has an aggregate also has its counters, like all others.
    pub(super) fn of(
        &mut self,
        aggregates: &[Aggregate],
        probes: &[ProbeStatus],
        time_ns: u64,
    ) -> MetricSet {
        let mut set = MetricSet {
            time_ns,
            families: Vec::new(),
        };
        for aggregate in aggregates {
            let start_ns = self.start(aggregate.probe, aggregate.total);
            let status = probes.iter().find(|status| status.id == aggregate.probe);
            let about = AboutProbe::new(aggregate, status, start_ns);
            match &aggregate.body {
                AggregateBody::Count(rows) => set.count(aggregate, rows, &about),
                AggregateBody::Histogram(histogram) => {
                    set.histogram(aggregate, histogram, &about);
                }
                AggregateBody::Times(times) => set.times(aggregate, times, &about),
            }
        }
        for status in probes {
            set.counters(status, self.began_ns);
        }
        self.last_ns = time_ns;
        set
    }

    fn start(&mut self, probe: ProbeId, total: u64) -> u64 {
        let (last, start) = self.starts.entry(probe).or_insert((0, self.began_ns));
        if total < *last {
            *start = self.last_ns;
        }
        *last = total;
        *start
    }
}

/// The name of a probe's metric, and the attributes of all its points.
struct AboutProbe {
    name: String,
    description: String,
    attributes: Vec<KeyValue>,
    start_ns: u64,
}

impl AboutProbe {
    fn new(aggregate: &Aggregate, status: Option<&ProbeStatus>, start_ns: u64) -> Self {
        let is_named = aggregate.probe_name != aggregate.probe.to_string();
        let (name, description) = match (is_named, status) {
            (true, status) => (
                aggregate.probe_name.clone(),
                status.map_or_else(String::new, |status| status.text.trim().to_owned()),
            ),
            // All probes without a name share a metric, and so its description.
            (false, _) => (
                format!("tracer.{}", aggregate.action),
                format!("probes of the action {}", aggregate.action),
            ),
        };
        let mut attributes = vec![text_attribute(PROBE, &aggregate.probe_name)];
        if let Some(status) = status.filter(|status| !status.function.is_empty()) {
            attributes.push(text_attribute(names::CODE_FUNCTION_NAME, &status.function));
        }
        Self {
            name,
            description,
            attributes,
            start_ns,
        }
    }

    fn with(&self, more: impl IntoIterator<Item = KeyValue>) -> Vec<KeyValue> {
        self.attributes.iter().cloned().chain(more).collect()
    }

    fn number(&self, more: impl IntoIterator<Item = KeyValue>, value: u64) -> NumberPoint {
        NumberPoint {
            attributes: self.with(more),
            start_ns: self.start_ns,
            value,
        }
    }
}

impl MetricSet {
    /// Adds points to the family of this name.
    fn add(&mut self, name: String, unit: &'static str, description: &str, points: MetricPoints) {
        let known = self.families.iter_mut().find(|family| family.name == name);
        match (known.map(|family| &mut family.points), points) {
            (Some(MetricPoints::Counters(there)), MetricPoints::Counters(more))
            | (Some(MetricPoints::Levels(there)), MetricPoints::Levels(more)) => there.extend(more),
            (Some(MetricPoints::Distributions(there)), MetricPoints::Distributions(more)) => {
                there.extend(more);
            }
            (_, points) => self.families.push(MetricFamily {
                name,
                unit,
                description: description.to_owned(),
                points,
            }),
        }
    }

    fn count(&mut self, aggregate: &Aggregate, rows: &[CountRow], about: &AboutProbe) {
        let of_row = |row: &CountRow| about.number(key(&aggregate.expr, &row.value), row.count);
        let mut points: Vec<NumberPoint> = rows.iter().map(of_row).collect();
        if aggregate.expr.is_empty() {
            points.push(about.number([], aggregate.total));
        } else if aggregate.other > 0 {
            let other = attribute(OVERFLOW, Any::BoolValue(true));
            points.push(about.number([other], aggregate.other));
        }
        let points = MetricPoints::Counters(points);
        self.add(about.name.clone(), "{hit}", &about.description, points);
    }

    fn histogram(&mut self, aggregate: &Aggregate, histogram: &Histogram, about: &AboutProbe) {
        let points = MetricPoints::Distributions(vec![DistributionPoint {
            attributes: about.with([]),
            start_ns: about.start_ns,
            buckets: histogram.buckets.clone(),
            per_unit: 1.0,
            is_linear: histogram.step.is_some(),
            sum: None,
            extremes: None,
            exemplars: Vec::new(),
        }]);
        self.add(about.name.clone(), "1", &about.description, points);
        let unavailable = histogram
            .unavailable
            .iter()
            .map(|(why, count)| (why.to_string(), *count));
        self.uncounted(aggregate, unavailable, about);
    }

    fn times(&mut self, aggregate: &Aggregate, times: &Times, about: &AboutProbe) {
        let seconds = |ns: u64| ns as f64 / NS_PER_SECOND;
        let points = MetricPoints::Distributions(vec![DistributionPoint {
            attributes: about.with([]),
            start_ns: about.start_ns,
            buckets: times.buckets.clone(),
            per_unit: NS_PER_SECOND,
            is_linear: false,
            sum: (aggregate.other == 0).then(|| seconds(times.sum_ns)),
            extremes: times
                .extremes_ns
                .map(|(shortest, longest)| (seconds(shortest), seconds(longest))),
            exemplars: times.exemplars.clone(),
        }]);
        self.add(about.name.clone(), "s", &about.description, points);
        let level = MetricPoints::Levels(vec![about.number([], times.in_progress)]);
        let name = format!("{}.in_progress", about.name);
        self.add(
            name,
            "{call}",
            "calls that have started and not ended",
            level,
        );
        let [_in_progress, others @ ..] = times.others();
        let others = others.map(|(count, why)| (why.to_owned(), count));
        self.uncounted(aggregate, others, about);
    }

    /// Adds the hits that are in no bucket, by reason.
    fn uncounted(
        &mut self,
        aggregate: &Aggregate,
        reasons: impl IntoIterator<Item = (String, u64)>,
        about: &AboutProbe,
    ) {
        let other = ("beyond the limit of buckets".to_owned(), aggregate.other);
        let reasons = reasons.into_iter().chain([other]);
        let points: Vec<NumberPoint> = reasons
            .filter(|(_, count)| *count > 0)
            .map(|(why, count)| about.number([text_attribute(REASON, why)], count))
            .collect();
        if !points.is_empty() {
            let name = format!("{}.uncounted", about.name);
            let what = "hits that are in no bucket, by reason";
            self.add(name, "{hit}", what, MetricPoints::Counters(points));
        }
    }

    /// Adds a probe's counters, each hit once.
    fn counters(&mut self, status: &ProbeStatus, start_ns: u64) {
        let counters = &status.counters;
        let outcomes = [
            ("event", counters.events),
            ("lost", counters.lost),
            ("limited", counters.limited),
            ("rejected", counters.rejected),
            ("fault", counters.faults),
            ("silenced", counters.silenced),
            ("expired", counters.expired),
            ("over_budget", counters.over_budget),
        ];
        let point = |attributes, value| NumberPoint {
            attributes,
            start_ns,
            value,
        };
        let probe = || text_attribute(PROBE, &status.name);
        let of_outcome = |(outcome, count)| {
            let attributes = vec![probe(), text_attribute(OUTCOME, outcome)];
            point(attributes, count)
        };
        let hits = MetricPoints::Counters(outcomes.into_iter().map(of_outcome).collect());
        let what = "hits of probes, by outcome";
        self.add("tracer.probe.hits".to_owned(), "{hit}", what, hits);
        let undelivered = point(vec![probe()], status.undelivered);
        let undelivered = MetricPoints::Counters(vec![undelivered]);
        let what = "events that could not be delivered to a collector";
        let name = "tracer.probe.undelivered".to_owned();
        self.add(name, "{event}", what, undelivered);
    }
}

/// The attribute of a row of `count … by`: numbers, texts and booleans as they are, all others as text.
fn key(expr: &str, value: &Value) -> [KeyValue; 1] {
    let special = match expr {
        "$pid" => Some(names::PROCESS_PID),
        "$tid" => Some(names::THREAD_ID),
        "$thread" => Some(names::THREAD_NAME),
        "$function" => Some(names::CODE_FUNCTION_NAME),
        _ => None,
    };
    let name = special.map(str::to_owned).or_else(|| value_key(expr));
    let name = name.unwrap_or_else(|| expr.to_owned());
    [match (value, values::any(value)) {
        (Value::Unavailable(why), _) => text_attribute("tracer.unavailable", why.to_string()),
        (
            _,
            Some(
                simple @ (Any::BoolValue(_)
                | Any::IntValue(_)
                | Any::StringValue(_)
                | Any::DoubleValue(_)),
            ),
        ) => attribute(name, simple),
        _ => text_attribute(name, to_string(value, Format::default())),
    }]
}

#[cfg(test)]
pub(super) mod tests;
