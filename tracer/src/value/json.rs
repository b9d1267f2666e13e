//! Writes values as JSON: `serde::Serialize`, node by node, straight to the
//! writer.
//!
//! Nothing is lost or guessed: what JSON cannot say (large integers, floats
//! that are no numbers, bytes that are no text, absence) has a form of its own,
//! with keys that begin with `$`.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{
    Cut, DURATION, LEFT_OUT, MORE, Map, Pointer, RANGE, Sequence, Struct, Text, Value, Variant,
};

/// Integers beyond this are strings: readers hold numbers in doubles.
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

/// Anything as the string that it displays.
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

/// Bytes of which some are no UTF-8: those as `\xNN`, backslashes doubled.
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
    /// A string; `{"$bytes": …}` when it is no UTF-8, `{"$cut": …, "text": …}` when it is cut.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let text = match std::str::from_utf8(&self.bytes) {
            Ok(text) => Ok(text),
            // The cut went through a character.
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
        let name = match self.name.as_str() {
            DURATION => "Duration",
            RANGE => "Range",
            name => name,
        };
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("$type", name)?;
        for (name, value) in self.fields.iter().filter(|(name, _)| name != MORE) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Variant {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let shown = self.fields.iter().filter(|(name, _)| name != LEFT_OUT);
        let mut map = out.serialize_map(Some(1 + shown.clone().count()))?;
        map.serialize_entry("$variant", &self.name)?;
        for (name, value) in shown {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Sequence {
    /// An array; `{"$cut": …, "items": […]}` when there are more.
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

/// Keys and values as an array of pairs: keys may be anything.
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
    /// What it points to; of raw pointers `{"$address": "0x…", …}`.
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
