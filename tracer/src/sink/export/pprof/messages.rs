//! The messages of a profile, with the numbers of `profile.proto` in pprof's repository.

/// `Profile`.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::sink::export) struct Profile {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::sink::export) sample_type: Vec<SampleKind>,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::sink::export) sample: Vec<ProfileSample>,
    #[prost(message, repeated, tag = "4")]
    pub(in crate::sink::export) location: Vec<ProfileLocation>,
    #[prost(message, repeated, tag = "5")]
    pub(in crate::sink::export) function: Vec<ProfileFunction>,
    #[prost(string, repeated, tag = "6")]
    pub(in crate::sink::export) string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    pub(in crate::sink::export) time_nanos: i64,
    #[prost(int64, tag = "10")]
    pub(in crate::sink::export) duration_nanos: i64,
    #[prost(int64, repeated, tag = "13")]
    pub(in crate::sink::export) comment: Vec<i64>,
}

/// `ValueType`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(in crate::sink::export) struct SampleKind {
    #[prost(int64, tag = "1")]
    pub(in crate::sink::export) r#type: i64,
    #[prost(int64, tag = "2")]
    pub(in crate::sink::export) unit: i64,
}

/// `Sample`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::sink::export) struct ProfileSample {
    /// The innermost first.
    #[prost(uint64, repeated, tag = "1")]
    pub(in crate::sink::export) location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    pub(in crate::sink::export) value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    pub(in crate::sink::export) label: Vec<SampleLabel>,
}

/// `Label`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub(in crate::sink::export) struct SampleLabel {
    #[prost(int64, tag = "1")]
    pub(in crate::sink::export) key: i64,
    #[prost(int64, tag = "2")]
    pub(in crate::sink::export) str: i64,
    #[prost(int64, tag = "3")]
    pub(in crate::sink::export) num: i64,
}

/// `Location`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(in crate::sink::export) struct ProfileLocation {
    #[prost(uint64, tag = "1")]
    pub(in crate::sink::export) id: u64,
    #[prost(uint64, tag = "3")]
    pub(in crate::sink::export) address: u64,
    #[prost(message, repeated, tag = "4")]
    pub(in crate::sink::export) line: Vec<ProfileLine>,
}

/// `Line`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(in crate::sink::export) struct ProfileLine {
    #[prost(uint64, tag = "1")]
    pub(in crate::sink::export) function_id: u64,
    #[prost(int64, tag = "2")]
    pub(in crate::sink::export) line: i64,
}

/// `Function`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(in crate::sink::export) struct ProfileFunction {
    #[prost(uint64, tag = "1")]
    pub(in crate::sink::export) id: u64,
    #[prost(int64, tag = "2")]
    pub(in crate::sink::export) name: i64,
    #[prost(int64, tag = "3")]
    pub(in crate::sink::export) system_name: i64,
    #[prost(int64, tag = "4")]
    pub(in crate::sink::export) filename: i64,
}
