//! Telemetry: OTLP to a receiver that checks each field and to a collector, a page for Prometheus, and the
//! console.

mod console;
mod export;
mod failures;
mod own_spans;
mod prometheus;
mod spans;
