//! Paths as text in recordings. Bytes that are not UTF-8 become `U+FFFD`: the path is only shown.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(path: &Arc<PathBuf>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&path.to_string_lossy())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Arc<PathBuf>, D::Error> {
    String::deserialize(input).map(|text| Arc::new(PathBuf::from(text)))
}
