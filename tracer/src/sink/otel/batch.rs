//! Requests under way: records are encoded one by one, behind those of the same process.
//!
//! The messages are those of `opentelemetry-proto`. A record is encoded where it stays, so that a request is
//! one block of bytes from the start, also for a second attempt. Only the frames around the records are
//! written here, because a frame's length is known last.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::limits::{REQUEST_BYTES, REQUEST_RECORDS};
use super::{SCHEMA_URL, scope};
use crate::event::ProbeId;

/// Fields of the parts of a request, and of the records of a scope: `repeated`, in `logs_service.proto` and
/// `logs.proto`. Requests with spans have the same fields under other names.
const RESOURCE_LOGS: u32 = 1;
const SCOPE_LOGS: u32 = 2;
const LOG_RECORDS: u32 = 2;

/// An encoded request, and its events by probe.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EncodedRequest {
    /// Shared with an attempt that has not ended.
    pub(super) bytes: Arc<[u8]>,
    pub(super) events: BTreeMap<ProbeId, u64>,
}

/// A request that grows.
#[derive(Debug, Default)]
pub(super) struct RecordBatch {
    /// Records of each process, encoded, behind each other.
    parts: Vec<RecordPart>,
    /// Places in `parts`, by process id.
    by_pid: HashMap<u32, usize>,
    events: BTreeMap<ProbeId, u64>,
    records: usize,
    bytes: usize,
    since: Option<Instant>,
}

#[derive(Debug)]
struct RecordPart {
    resource: Arc<[KeyValue]>,
    records: Vec<u8>,
}

impl RecordBatch {
    /// Adds a record of a process.
    pub(super) fn add(
        &mut self,
        pid: u32,
        probe: ProbeId,
        record: &impl Message,
        resource: impl FnOnce() -> Arc<[KeyValue]>,
    ) {
        let at = *self.by_pid.entry(pid).or_insert_with(|| {
            self.parts.push(RecordPart {
                resource: resource(),
                records: Vec::new(),
            });
            self.parts.len() - 1
        });
        let Some(part) = self.parts.get_mut(at) else {
            return;
        };
        let before = part.records.len();
        frame(LOG_RECORDS, record, &mut part.records);
        self.bytes += part.records.len() - before;
        self.records += 1;
        *self.events.entry(probe).or_default() += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    /// Another process has this id from now on.
    pub(super) fn separate(&mut self, pid: u32) {
        self.by_pid.remove(&pid);
    }

    /// Returns true if it should be sent now.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= REQUEST_BYTES || self.records >= REQUEST_RECORDS
    }

    /// Time of the first record in it. `None` if it is empty.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Ends the request. `None` if it is empty. The next record begins another one.
    pub(super) fn take(&mut self) -> Option<EncodedRequest> {
        let batch = std::mem::take(self);
        batch.since?;
        let mut bytes = Vec::with_capacity(batch.bytes + (batch.parts.len() << 9));
        for part in batch.parts {
            let mut scope_logs = ScopeLogs {
                scope: Some(scope()),
                log_records: Vec::new(),
                schema_url: SCHEMA_URL.to_owned(),
            }
            .encode_to_vec();
            scope_logs.extend_from_slice(&part.records);
            let mut resource_logs = ResourceLogs {
                resource: Some(Resource {
                    attributes: part.resource.to_vec(),
                    ..Resource::default()
                }),
                scope_logs: Vec::new(),
                schema_url: SCHEMA_URL.to_owned(),
            }
            .encode_to_vec();
            frame_bytes(SCOPE_LOGS, &scope_logs, &mut resource_logs);
            frame_bytes(RESOURCE_LOGS, &resource_logs, &mut bytes);
        }
        Some(EncodedRequest {
            bytes: bytes.into(),
            events: batch.events,
        })
    }
}

/// Appends a message as an element of a `repeated` field.
fn frame(field: u32, message: &impl Message, out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(message.encoded_len() as u64, out);
    message.encode_raw(out);
}

fn frame_bytes(field: u32, message: &[u8], out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(message.len() as u64, out);
    out.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::super::text_attribute;
    use super::*;

    fn record(time_unix_nano: u64) -> LogRecord {
        LogRecord {
            time_unix_nano,
            attributes: vec![text_attribute("x", "y")],
            ..LogRecord::default()
        }
    }

    fn resource(name: &str) -> Arc<[KeyValue]> {
        [text_attribute("service.name", name)].into()
    }

    #[test]
    fn request_is_what_the_messages_would_be_as_a_whole() {
        let mut batch = RecordBatch::default();
        assert!(batch.take().is_none());
        batch.add(7, ProbeId(1), &record(1), || resource("a"));
        batch.add(8, ProbeId(2), &record(2), || resource("b"));
        batch.add(7, ProbeId(1), &record(3), || unreachable!("it is known"));
        batch.separate(7);
        batch.add(7, ProbeId(1), &record(4), || resource("c"));
        let EncodedRequest { bytes, events } = batch.take().expect("records");
        assert_eq!(events, BTreeMap::from([(ProbeId(1), 3), (ProbeId(2), 1)]));
        let part = |name: &str, times: &[u64]| ResourceLogs {
            resource: Some(Resource {
                attributes: resource(name).to_vec(),
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records: times.iter().copied().map(record).collect(),
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        };
        let expected = ExportLogsServiceRequest {
            resource_logs: vec![part("a", &[1, 3]), part("b", &[2]), part("c", &[4])],
        };
        assert_eq!(
            ExportLogsServiceRequest::decode(&*bytes).expect("a message"),
            expected
        );
        assert!(batch.take().is_none(), "the next request is empty");
    }

    #[test]
    fn request_with_spans_has_the_same_frames() {
        let span = Span {
            name: "checkout".into(),
            ..Span::default()
        };
        let mut batch = RecordBatch::default();
        batch.add(7, ProbeId(1), &span, || resource("a"));
        let expected = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: resource("a").to_vec(),
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope()),
                    spans: vec![span],
                    schema_url: SCHEMA_URL.to_owned(),
                }],
                schema_url: SCHEMA_URL.to_owned(),
            }],
        };
        let bytes = batch.take().expect("a span").bytes;
        let made = ExportTraceServiceRequest::decode(&*bytes);
        assert_eq!(made.expect("a message"), expected);
    }

    #[test]
    fn request_is_full_at_its_limits() {
        let mut batch = RecordBatch::default();
        let mut large = record(1);
        large.severity_text = "x".repeat(REQUEST_BYTES / 2);
        batch.add(1, ProbeId(1), &large, || resource("a"));
        assert!(!batch.is_full() && batch.since().is_some());
        batch.add(1, ProbeId(1), &large, || resource("a"));
        assert!(batch.is_full());
        batch.take();
        for _ in 0..REQUEST_RECORDS {
            assert!(!batch.is_full());
            batch.add(1, ProbeId(1), &record(1), || resource("a"));
        }
        assert!(batch.is_full());
    }
}
