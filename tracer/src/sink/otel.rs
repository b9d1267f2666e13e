//! OpenTelemetry: events, aggregates and counters in the forms that collectors and Prometheus take.
//!
//! `logs` and `metrics` say what an event and an aggregate are there. The rest carries that out of the
//! process: [`exporter`] by OTLP, [`replay`] those of a recording, [`scrape`] as a page for Prometheus, [`console`] on stdout. This room knows
//! a session and its targets' files in `/proc`, and no probe.

pub mod console;
pub mod endpoint;
pub mod exporter;
pub mod limits;
pub mod replay;
pub mod scrape;

mod batch;
mod delivery;
mod logs;
mod metrics;
mod openmetrics;
mod resource;
mod spans;
mod transport;
mod values;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_semantic_conventions as conventions;

/// The conventions that names of attributes follow.
const SCHEMA_URL: &str = conventions::SCHEMA_URL;

/// The maker of all records.
fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "tracer".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// An attribute.
fn attribute(key: impl Into<String>, value: Any) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// An attribute that is a text.
fn text_attribute(key: impl Into<String>, text: impl Into<String>) -> KeyValue {
    attribute(key, Any::StringValue(text.into()))
}

/// An attribute that is a number. One beyond 63 bits is a text.
fn number_attribute(key: impl Into<String>, number: u64) -> KeyValue {
    attribute(key, values::unsigned(number.into()))
}
