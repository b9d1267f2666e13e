//! Values as JSON, by `serde::Serialize`, without an intermediate tree.
//!
//! JSON loses nothing. Large integers, NaN and infinity, bytes that are not UTF-8, and missing
//! values have forms of their own, with keys that begin with `$`.

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{Cut, Map, Pointer, Sequence, Struct, Text, Value, Variant};

/// Larger integers are strings, since many readers keep numbers in doubles.
const EXACT: u128 = 1 << 53;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(number, _) => match i64::try_from(*number) {
                Ok(small) if number.unsigned_abs() <= EXACT => out.serialize_i64(small),
                _ => out.collect_str(number),
            },
            Self::Uint(number) => match u64::try_from(*number) {
                Ok(small) if *number <= EXACT => out.serialize_u64(small),
                _ => out.collect_str(number),
            },
            Self::Nanoseconds(number) => Self::Uint(u128::from(*number)).serialize(out),
            Self::Bool(value) => out.serialize_bool(*value),
            Self::Char(c) => out.serialize_char(*c),
            Self::Float32(value) if value.is_finite() => out.serialize_f32(*value),
            Self::Float32(value) => out.collect_str(value),
            Self::Float64(value) if value.is_finite() => out.serialize_f64(*value),
            Self::Float64(value) => out.collect_str(value),
            Self::Text(text) => text.serialize(out),
            Self::Unit => out.serialize_unit(),
            Self::Duration(duration) => serialize_duration(*duration, out),
            Self::Range(range) => serialize_range(range, out),
            Self::Struct(value) => value.serialize(out),
            Self::Tuple(items) => items.serialize(out),
            Self::Variant(variant) => variant.serialize(out),
            Self::Sequence(sequence) => sequence.serialize(out),
            Self::Map(map) => map.serialize(out),
            Self::Pointer(pointer) => pointer.serialize(out),
            Self::Unavailable(why) => {
                let mut map = out.serialize_map(Some(1))?;
                map.serialize_entry("$unavailable", &Shown(why))?;
                map.end()
            }
        }
    }
}

/// Serializes a displayable value as its string.
struct Shown<T>(T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&self.0)
    }
}

/// `{"shown": 64, "of": 4096}`.
struct Shortened(usize, Cut);

impl Serialize for Shortened {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("shown", &self.0)?;
        if let Some(of) = self.1.of {
            map.serialize_entry("of", &of)?;
        }
        map.end()
    }
}

/// Bytes that are not UTF-8 become `
///
/// xNN`, and backslashes are doubled.
struct Escaped<'b>(&'b [u8]);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for (index, part) in chunk.valid().split('\\').enumerate() {
                f.write_str(if index > 0 { "\\\\" } else { "" })?;
                f.write_str(part)?;
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Text {
    /// A string. `{"$bytes": …}` if it is not UTF-8, `{"$cut": …, "text": …}` if it is cut.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let text = match std::str::from_utf8(&self.bytes) {
            Ok(text) => Ok(text),
            // The cut may have split a character.
            Err(error) if self.cut.is_some() && error.error_len().is_none() => {
                let whole = self.bytes.get(..error.valid_up_to()).unwrap_or_default();
                std::str::from_utf8(whole).map_err(|_| ())
            }
            Err(_) => Err(()),
        };
        match (text, self.cut) {
            (Ok(text), None) => out.serialize_str(text),
            (Ok(text), Some(cut)) => {
                let mut map = out.serialize_map(Some(2))?;
                map.serialize_entry("$cut", &Shortened(text.len(), cut))?;
                map.serialize_entry("text", text)?;
                map.end()
            }
            (Err(()), cut) => {
                let mut map = out.serialize_map(None)?;
                if let Some(cut) = cut {
                    map.serialize_entry("$cut", &Shortened(self.bytes.len(), cut))?;
                }
                map.serialize_entry("$bytes", &Shown(Escaped(&self.bytes)))?;
                map.end()
            }
        }
    }
}

impl Serialize for Struct {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("$type", &self.name)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// `{"$type": "Range", "start": 1, "end": 3}`.
fn serialize_range<S: Serializer>(range: &[Value; 2], out: S) -> Result<S::Ok, S::Error> {
    let [start, end] = range;
    let mut map = out.serialize_map(Some(3))?;
    map.serialize_entry("$type", "Range")?;
    map.serialize_entry("start", start)?;
    map.serialize_entry("end", end)?;
    map.end()
}

/// `{"$type": "Duration", "secs": 1, "nanos": 500}`.
fn serialize_duration<S: Serializer>(duration: Duration, out: S) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(Some(3))?;
    map.serialize_entry("$type", "Duration")?;
    map.serialize_entry("secs", &Value::Uint(duration.as_secs().into()))?;
    map.serialize_entry("nanos", &Value::Uint(duration.subsec_nanos().into()))?;
    map.end()
}

impl Serialize for Variant {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("$variant", &self.name)?;
        if let Some(line) = self.line {
            map.serialize_entry("$line", &Value::Uint(line.into()))?;
        }
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Sequence {
    /// An array. `{"$cut": …, "items": […]}` if there are more elements.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Some(cut) = self.cut else {
            return self.items.serialize(out);
        };
        let mut map = out.serialize_map(Some(2))?;
        map.serialize_entry("$cut", &Shortened(self.items.len(), cut))?;
        map.serialize_entry("items", &self.items)?;
        map.end()
    }
}

/// Keys and values as an array of pairs, since keys may be of any type.
struct Pairs<'m>(&'m [(Value, Value)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut seq = out.serialize_seq(Some(self.0.len()))?;
        for pair in self.0 {
            seq.serialize_element(pair)?;
        }
        seq.end()
    }
}

impl Serialize for Map {
    /// `{"$map": [[key, value], …]}`.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        if let Some(cut) = self.cut {
            map.serialize_entry("$cut", &Shortened(self.entries.len(), cut))?;
        }
        map.serialize_entry("$map", &Pairs(&self.entries))?;
        map.end()
    }
}

impl Serialize for Pointer {
    /// The target. A raw pointer is `{"$address": "0x…", …}`.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if let (true, Some(target)) = (self.transparent, &self.target) {
            return target.serialize(out);
        }
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("$address", &Shown(format_args!("{:#x}", self.address)))?;
        if let Some(symbol) = &self.symbol {
            map.serialize_entry("$symbol", symbol)?;
        }
        if let Some(target) = &self.target {
            map.serialize_entry("$target", target)?;
        }
        map.end()
    }
}
