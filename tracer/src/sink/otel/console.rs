//! `--output otel-console`: log records, spans and metrics as the SDKs' console exporters print them.
//!
//! The form is that of the Python SDK: JSON objects over several lines, without a comma between them.

use std::io::{self, Write};

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, exemplar,
    metric, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event as InnerEvent;
use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Value, json};

use super::endpoint::Environment;
use super::logs::LogRecords;
use super::metrics::{MetricSet, Metrics, otlp};
use super::resource::{Resources, now_ns};
use super::spans;
use super::{SCHEMA_URL, scope};
use crate::base::diagnostic::Diagnostic;
use crate::base::visible::is_hostile;
use crate::event::{Aggregate, Event, ProbeDone, ProbeLimited};
use crate::session::{FollowedProcesses, ProbeStatus};
use crate::sink::{Begin, Sink};

/// Writes log records and metrics as JSON for people.
pub struct ConsoleSink<W> {
    out: W,
    records: LogRecords,
    resources: Resources,
    metrics: Metrics,
    /// The only process, and the name of all otherwise.
    only: Option<u32>,
    service: String,
}

impl<W: Write + Send> ConsoleSink<W> {
    /// A sink that writes to `out`.
    ///
    /// # Errors
    /// A variable of the resource cannot be understood.
    pub fn new(out: W) -> Result<Self, Diagnostic> {
        Ok(Self {
            out,
            records: LogRecords::default(),
            resources: Resources::new(Environment::read().resource()?),
            metrics: Metrics::new(now_ns()),
            only: None,
            service: "tracer".to_owned(),
        })
    }

    fn write(&mut self, object: &Value) -> io::Result<()> {
        let mut line = Vec::new();
        let formatter = PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut line, formatter);
        object.serialize(&mut serializer)?;
        let text = String::from_utf8_lossy(&line);
        let mut units = [0; 2];
        for c in text.chars() {
            // Line feeds outside of texts are ours, and those inside are escaped already.
            if c == '\n' || !is_hostile(c) {
                write!(self.out, "{c}")?;
                continue;
            }
            for unit in c.encode_utf16(&mut units) {
                write!(self.out, "\\u{unit:04x}")?;
            }
        }
        self.out.write_all(b"\n")
    }

    fn metric_set(&mut self, set: &MetricSet) -> io::Result<()> {
        let scope = scope();
        let metrics = set.families.iter();
        let metrics = metrics.map(|family| of_metric(&otlp::metric(family, set.time_ns)));
        let metrics: Vec<Value> = metrics.collect();
        let resource = self.resources.of_session(self.only, &self.service);
        let object = json!({
            "resource_metrics": [{
                "resource": {"attributes": attributes(&resource), "schema_url": SCHEMA_URL},
                "scope_metrics": [{
                    "scope": {
                        "name": scope.name,
                        "version": scope.version,
                        "schema_url": SCHEMA_URL,
                        "attributes": null,
                    },
                    "metrics": metrics,
                    "schema_url": SCHEMA_URL,
                }],
                "schema_url": SCHEMA_URL,
            }],
        });
        self.write(&object)
    }
}

impl<W: Write + Send> Sink for ConsoleSink<W> {
    fn begin(&mut self, session: &Begin) -> io::Result<()> {
        self.metrics = Metrics::new(session.time_ns);
        let mut programs = session.targets.iter();
        if let Some(first) = programs.next() {
            let is_only = session.selectors.is_none() && session.targets.len() == 1;
            self.only = is_only.then_some(first.pid);
            if let Some(name) = first.exe.file_name()
                && programs.all(|other| other.exe == first.exe)
            {
                self.service = name.to_string_lossy().into_owned();
            }
        }
        // Their files are gone when they have ended.
        for target in &session.targets {
            self.resources.came(target.pid);
        }
        Ok(())
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        let resource = self.resources.of(event.pid);
        if let Some(span) = &event.span {
            return self.write(&of_span(&spans::span(event, span), &resource));
        }
        let record = self.records.of(event, now_ns());
        let object = json!({
            "body": any(record.body.as_ref()),
            "severity_number": record.severity_number,
            "severity_text": record.severity_text,
            "attributes": attributes(&record.attributes),
            "dropped_attributes": 0,
            "timestamp": timestamp(record.time_unix_nano),
            "observed_timestamp": timestamp(record.observed_time_unix_nano),
            "trace_id": id(&record.trace_id, 16),
            "span_id": id(&record.span_id, 8),
            "trace_flags": record.flags,
            "resource": {"attributes": attributes(&resource), "schema_url": SCHEMA_URL},
            "event_name": record.event_name,
        });
        self.write(&object)
    }

    fn limited(&mut self, _: &ProbeLimited) -> io::Result<()> {
        Ok(())
    }

    fn done(&mut self, _: &ProbeDone) -> io::Result<()> {
        Ok(())
    }

    fn aggregate(&mut self, aggregate: &Aggregate, time_ns: u64) -> io::Result<()> {
        let set = self
            .metrics
            .of(std::slice::from_ref(aggregate), &[], time_ns);
        self.metric_set(&set)
    }

    fn summary(&mut self, probe: &ProbeStatus) -> io::Result<()> {
        let set = self.metrics.of(&[], std::slice::from_ref(probe), now_ns());
        self.metric_set(&set)
    }

    fn followed(&mut self, _: &FollowedProcesses) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The digits of an id. All are zero if there is none.
fn id(bytes: &[u8], length: usize) -> String {
    let zeros = std::iter::repeat_n(&0, length.saturating_sub(bytes.len()));
    let digits = zeros.chain(bytes).map(|byte| format!("{byte:02x}"));
    format!("0x{}", digits.collect::<String>())
}

fn of_span(span: &Span, resource: &[KeyValue]) -> Value {
    let parent = (!span.parent_span_id.is_empty()).then(|| id(&span.parent_span_id, 8));
    let mut status = json!({"status_code": "UNSET"});
    if let Some(told) = span.status.as_ref().filter(|status| status.code != 0) {
        status = json!({"status_code": "ERROR", "description": told.message});
    }
    let event = |event: &InnerEvent| {
        json!({
            "name": event.name,
            "timestamp": timestamp(event.time_unix_nano),
            "attributes": attributes(&event.attributes),
        })
    };
    json!({
        "name": span.name,
        "context": {
            "trace_id": id(&span.trace_id, 16),
            "span_id": id(&span.span_id, 8),
            "trace_state": "[]",
        },
        "kind": "SpanKind.INTERNAL",
        "parent_id": parent,
        "start_time": timestamp(span.start_time_unix_nano),
        "end_time": timestamp(span.end_time_unix_nano),
        "status": status,
        "attributes": attributes(&span.attributes),
        "events": span.events.iter().map(event).collect::<Vec<_>>(),
        "links": [],
        "resource": {"attributes": attributes(resource), "schema_url": SCHEMA_URL},
    })
}

/// UTC with microseconds, as the SDK prints it.
fn timestamp(ns: u64) -> String {
    let time = jiff::Timestamp::from_nanosecond(ns.into()).unwrap_or_default();
    format!("{time:.6}")
}

fn attributes(attributes: &[KeyValue]) -> Value {
    let attributes = attributes.iter();
    let map: Map<String, Value> = attributes
        .map(|attribute| (attribute.key.clone(), any(attribute.value.as_ref())))
        .collect();
    Value::Object(map)
}

fn any(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => Value::String(text.clone()),
        Some(Any::BoolValue(value)) => Value::Bool(*value),
        Some(Any::IntValue(number)) => (*number).into(),
        // JSON has no infinity.
        Some(Any::DoubleValue(number)) if !number.is_finite() => number.to_string().into(),
        Some(Any::DoubleValue(number)) => (*number).into(),
        Some(Any::ArrayValue(array)) => array.values.iter().map(|one| any(Some(one))).collect(),
        Some(Any::KvlistValue(list)) => attributes(&list.values),
        Some(Any::BytesValue(bytes)) => Value::String(bytes.escape_ascii().to_string()),
    }
}

fn of_metric(metric: &Metric) -> Value {
    let data = match &metric.data {
        Some(metric::Data::Sum(sum)) => json!({
            "data_points": sum.data_points.iter().map(of_number).collect::<Vec<_>>(),
            "aggregation_temporality": sum.aggregation_temporality,
            "is_monotonic": sum.is_monotonic,
        }),
        Some(metric::Data::Histogram(histogram)) => json!({
            "data_points": histogram.data_points.iter().map(of_histogram).collect::<Vec<_>>(),
            "aggregation_temporality": histogram.aggregation_temporality,
        }),
        Some(metric::Data::ExponentialHistogram(histogram)) => json!({
            "data_points": histogram.data_points.iter().map(of_exponential).collect::<Vec<_>>(),
            "aggregation_temporality": histogram.aggregation_temporality,
        }),
        _ => Value::Null,
    };
    json!({
        "name": metric.name,
        "description": metric.description,
        "unit": metric.unit,
        "data": data,
    })
}

fn of_number(point: &NumberDataPoint) -> Value {
    let value = match point.value {
        Some(number_data_point::Value::AsInt(number)) => number.into(),
        Some(number_data_point::Value::AsDouble(number)) => number.into(),
        None => Value::Null,
    };
    json!({
        "attributes": attributes(&point.attributes),
        "start_time_unix_nano": point.start_time_unix_nano,
        "time_unix_nano": point.time_unix_nano,
        "value": value,
        "exemplars": exemplars(&point.exemplars),
    })
}

fn of_histogram(point: &HistogramDataPoint) -> Value {
    json!({
        "attributes": attributes(&point.attributes),
        "start_time_unix_nano": point.start_time_unix_nano,
        "time_unix_nano": point.time_unix_nano,
        "count": point.count,
        "sum": point.sum,
        "bucket_counts": point.bucket_counts,
        "explicit_bounds": point.explicit_bounds,
        "min": point.min,
        "max": point.max,
        "exemplars": exemplars(&point.exemplars),
    })
}

fn of_exponential(point: &ExponentialHistogramDataPoint) -> Value {
    let buckets = |buckets: &Option<Buckets>| {
        let buckets = buckets.clone().unwrap_or_default();
        json!({"offset": buckets.offset, "bucket_counts": buckets.bucket_counts})
    };
    json!({
        "attributes": attributes(&point.attributes),
        "start_time_unix_nano": point.start_time_unix_nano,
        "time_unix_nano": point.time_unix_nano,
        "count": point.count,
        "sum": point.sum,
        "scale": point.scale,
        "zero_count": point.zero_count,
        "positive": buckets(&point.positive),
        "negative": buckets(&point.negative),
        "flags": point.flags,
        "min": point.min,
        "max": point.max,
        "exemplars": exemplars(&point.exemplars),
    })
}

/// The ids are written as those of spans, so that the span is found by them.
fn exemplars(exemplars: &[Exemplar]) -> Vec<Value> {
    let of_one = |one: &Exemplar| {
        let value = match one.value {
            Some(exemplar::Value::AsInt(number)) => number.into(),
            Some(exemplar::Value::AsDouble(number)) => number.into(),
            None => Value::Null,
        };
        json!({
            "filtered_attributes": attributes(&one.filtered_attributes),
            "value": value,
            "time_unix_nano": one.time_unix_nano,
            "span_id": id(&one.span_id, 8),
            "trace_id": id(&one.trace_id, 16),
        })
    };
    exemplars.iter().map(of_one).collect()
}

#[cfg(test)]
mod tests;
