//! The messages of a Perfetto trace that are written, with the numbers of their published definitions:
//! `protos/perfetto/trace/*.proto` in Perfetto's repository. A test reads traces by those definitions.

/// `TracePacket`.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::sink::export) struct TracePacket {
    #[prost(uint64, optional, tag = "8")]
    pub(in crate::sink::export) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "58")]
    pub(in crate::sink::export) timestamp_clock_id: Option<u32>,
    #[prost(uint32, optional, tag = "10")]
    pub(in crate::sink::export) trusted_packet_sequence_id: Option<u32>,
    #[prost(uint32, optional, tag = "13")]
    pub(in crate::sink::export) sequence_flags: Option<u32>,
    #[prost(message, optional, tag = "6")]
    pub(in crate::sink::export) clock_snapshot: Option<ClockSnapshot>,
    #[prost(message, optional, tag = "60")]
    pub(in crate::sink::export) track_descriptor: Option<TrackDescriptor>,
    #[prost(message, optional, tag = "11")]
    pub(in crate::sink::export) track_event: Option<TrackEvent>,
}

/// `ClockSnapshot`.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::sink::export) struct ClockSnapshot {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::sink::export) clocks: Vec<ClockReading>,
    #[prost(int32, optional, tag = "2")]
    pub(in crate::sink::export) primary_trace_clock: Option<i32>,
}

/// `ClockSnapshot.Clock`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(in crate::sink::export) struct ClockReading {
    #[prost(uint32, optional, tag = "1")]
    pub(in crate::sink::export) clock_id: Option<u32>,
    #[prost(uint64, optional, tag = "2")]
    pub(in crate::sink::export) timestamp: Option<u64>,
}

/// `TrackDescriptor`.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::sink::export) struct TrackDescriptor {
    #[prost(uint64, optional, tag = "1")]
    pub(in crate::sink::export) uuid: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    pub(in crate::sink::export) parent_uuid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    pub(in crate::sink::export) name: Option<String>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::sink::export) process: Option<ProcessDescriptor>,
    #[prost(message, optional, tag = "4")]
    pub(in crate::sink::export) thread: Option<ThreadDescriptor>,
    #[prost(message, optional, tag = "8")]
    pub(in crate::sink::export) counter: Option<CounterDescriptor>,
}

/// `ProcessDescriptor`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::sink::export) struct ProcessDescriptor {
    #[prost(int32, optional, tag = "1")]
    pub(in crate::sink::export) pid: Option<i32>,
    #[prost(string, optional, tag = "6")]
    pub(in crate::sink::export) process_name: Option<String>,
}

/// `ThreadDescriptor`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::sink::export) struct ThreadDescriptor {
    #[prost(int32, optional, tag = "1")]
    pub(in crate::sink::export) pid: Option<i32>,
    #[prost(int64, optional, tag = "2")]
    pub(in crate::sink::export) tid: Option<i64>,
    #[prost(string, optional, tag = "5")]
    pub(in crate::sink::export) thread_name: Option<String>,
}

/// `CounterDescriptor`. Ours has nothing in it: the track has the name.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(in crate::sink::export) struct CounterDescriptor {}

/// `TrackEvent.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::export) enum TrackEventKind {
    SliceBegin = 1,
    SliceEnd = 2,
    Instant = 3,
    Counter = 4,
}

/// `TrackEvent`.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::sink::export) struct TrackEvent {
    #[prost(string, repeated, tag = "22")]
    pub(in crate::sink::export) categories: Vec<String>,
    #[prost(string, optional, tag = "23")]
    pub(in crate::sink::export) name: Option<String>,
    #[prost(int32, optional, tag = "9")]
    pub(in crate::sink::export) r#type: Option<i32>,
    #[prost(uint64, optional, tag = "11")]
    pub(in crate::sink::export) track_uuid: Option<u64>,
    #[prost(int64, optional, tag = "30")]
    pub(in crate::sink::export) counter_value: Option<i64>,
    #[prost(double, optional, tag = "44")]
    pub(in crate::sink::export) double_counter_value: Option<f64>,
    #[prost(message, repeated, tag = "4")]
    pub(in crate::sink::export) debug_annotations: Vec<DebugAnnotation>,
    #[prost(message, optional, tag = "55")]
    pub(in crate::sink::export) callstack: Option<InlineCallstack>,
}

/// `TrackEvent.InlineCallstack`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::sink::export) struct InlineCallstack {
    /// The outermost first.
    #[prost(message, repeated, tag = "1")]
    pub(in crate::sink::export) frames: Vec<InlineFrame>,
}

/// `TrackEvent.InlineCallstack.Frame`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::sink::export) struct InlineFrame {
    #[prost(string, optional, tag = "1")]
    pub(in crate::sink::export) function_name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(in crate::sink::export) source_file: Option<String>,
    #[prost(uint32, optional, tag = "3")]
    pub(in crate::sink::export) line_number: Option<u32>,
}

/// `DebugAnnotation`. Elements of arrays have no name.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::sink::export) struct DebugAnnotation {
    #[prost(string, optional, tag = "10")]
    pub(in crate::sink::export) name: Option<String>,
    #[prost(oneof = "AnnotationValue", tags = "2, 3, 4, 5, 6, 7")]
    pub(in crate::sink::export) value: Option<AnnotationValue>,
    #[prost(message, repeated, tag = "11")]
    pub(in crate::sink::export) dict_entries: Vec<DebugAnnotation>,
    #[prost(message, repeated, tag = "12")]
    pub(in crate::sink::export) array_values: Vec<DebugAnnotation>,
}

/// `DebugAnnotation.value`.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(in crate::sink::export) enum AnnotationValue {
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(uint64, tag = "3")]
    Unsigned(u64),
    #[prost(int64, tag = "4")]
    Signed(i64),
    #[prost(double, tag = "5")]
    Double(f64),
    #[prost(string, tag = "6")]
    Text(String),
    #[prost(uint64, tag = "7")]
    Pointer(u64),
}
