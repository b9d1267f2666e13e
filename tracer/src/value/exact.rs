//! Values as JSON that is read back: the form of recordings.
//!
//! [`super::json`] is for programs that read values: a tuple is an array there, and a character is a
//! string. Here each kind of value has a form of its own, so that a value that is read back shows the
//! same text as the one that was written. docs/recording.md describes the forms.
//!
//! Only the width and the sign of an integer's type are not kept. They are part of the type's name,
//! which stands beside the value.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Cut, Map, OmittedFields, Pointer, Sequence, Struct, Text, Value, Variant};
use crate::base::unavailable::Unavailable;

/// Larger integers are strings, since many readers keep numbers in doubles.
const EXACT: u128 = 1 << 53;
/// Bits of an integer whose type is not known.
const BITS: u32 = 128;
/// Most elements for which space is reserved ahead. The input may claim any number.
const RESERVED: usize = 1024;

/// A value to be written.
#[derive(Clone, Copy, Debug)]
pub struct Exact<'v>(pub &'v Value);

/// A value that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Restored(pub Value);

impl Serialize for Exact<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Int(number, _) => match i64::try_from(*number) {
                Ok(small) if number.unsigned_abs() <= EXACT => out.serialize_i64(small),
                _ => tagged(out, "$int", &number.to_string()),
            },
            Value::Uint(number) => match u64::try_from(*number) {
                Ok(small) if *number <= EXACT => out.serialize_u64(small),
                _ => tagged(out, "$int", &number.to_string()),
            },
            Value::Nanoseconds(number) => tagged(out, "$ns", number),
            Value::Duration(time) => {
                tagged(out, "$duration", &(time.as_secs(), time.subsec_nanos()))
            }
            Value::Bool(value) => out.serialize_bool(*value),
            Value::Char(c) => tagged(out, "$char", c),
            Value::Float32(value) if value.is_finite() => tagged(out, "$f32", value),
            Value::Float32(value) => tagged(out, "$f32", &value.to_string()),
            Value::Float64(value) if value.is_finite() => out.serialize_f64(*value),
            Value::Float64(value) => tagged(out, "$f64", &value.to_string()),
            Value::Text(text) => write_text(text, out),
            Value::Unit => out.serialize_unit(),
            Value::Range(range) => tagged(out, "$range", &Items(&**range)),
            Value::Tuple(items) => tagged(out, "$tuple", &Items(items)),
            Value::Struct(value) => write_struct(value, out),
            Value::Variant(value) => write_variant(value, out),
            Value::Sequence(value) => write_sequence(value, out),
            Value::Map(value) => write_map(value, out),
            Value::Pointer(value) => write_pointer(value, out),
            Value::Unavailable(why) => tagged(out, "$unavailable", &why.to_string()),
        }
    }
}

/// An object with one key.
fn tagged<S: Serializer>(
    out: S,
    tag: &'static str,
    value: &(impl Serialize + ?Sized),
) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(Some(1))?;
    map.serialize_entry(tag, value)?;
    map.end()
}

struct Items<'v>(&'v [Value]);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.0.iter().map(Exact))
    }
}

struct Fields<'v>(&'v [(String, Value)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(self.0.iter().map(|(name, value)| (name, Exact(value))))
    }
}

struct ExactPairs<'v>(&'v [(Value, Value)]);

impl Serialize for ExactPairs<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.0.iter().map(|(key, value)| (Exact(key), Exact(value))))
    }
}

/// The key `cut`: the whole length, or `null` if that is not known.
fn write_cut<M: SerializeMap>(map: &mut M, cut: Option<Cut>) -> Result<(), M::Error> {
    match cut {
        Some(Cut { of }) => map.serialize_entry("cut", &of),
        None => Ok(()),
    }
}

fn write_text<S: Serializer>(text: &Text, out: S) -> Result<S::Ok, S::Error> {
    match (std::str::from_utf8(&text.bytes), text.cut) {
        (Ok(text), None) => out.serialize_str(text),
        (valid, cut) => {
            let mut map = out.serialize_map(None)?;
            match valid {
                Ok(text) => map.serialize_entry("$text", text)?,
                Err(_) => map.serialize_entry("$bytes", &hex(&text.bytes))?,
            }
            write_cut(&mut map, cut)?;
            map.end()
        }
    }
}

fn write_struct<S: Serializer>(value: &Struct, out: S) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(None)?;
    map.serialize_entry("$struct", &value.name)?;
    map.serialize_entry("fields", &Fields(&value.fields))?;
    if value.has_more {
        map.serialize_entry("more", &true)?;
    }
    map.end()
}

fn write_variant<S: Serializer>(value: &Variant, out: S) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(None)?;
    map.serialize_entry("$variant", &value.name)?;
    if !value.ty.is_empty() {
        map.serialize_entry("enum", &value.ty)?;
    }
    if let Some(line) = value.line {
        map.serialize_entry("line", &line)?;
    }
    if !value.fields.is_empty() {
        map.serialize_entry("fields", &Fields(&value.fields))?;
    }
    match value.omitted {
        Some(OmittedFields::Tuple) => map.serialize_entry("omitted", "tuple")?,
        Some(OmittedFields::Named) => map.serialize_entry("omitted", "named")?,
        None => {}
    }
    map.end()
}

fn write_sequence<S: Serializer>(value: &Sequence, out: S) -> Result<S::Ok, S::Error> {
    if value.cut.is_none() && !value.set {
        return Items(&value.items).serialize(out);
    }
    let mut map = out.serialize_map(None)?;
    let tag = if value.set { "$set" } else { "$items" };
    map.serialize_entry(tag, &Items(&value.items))?;
    write_cut(&mut map, value.cut)?;
    map.end()
}

fn write_map<S: Serializer>(value: &Map, out: S) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(None)?;
    map.serialize_entry("$map", &ExactPairs(&value.entries))?;
    write_cut(&mut map, value.cut)?;
    map.end()
}

fn write_pointer<S: Serializer>(value: &Pointer, out: S) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(None)?;
    let tag = if value.transparent {
        "$reference"
    } else {
        "$address"
    };
    map.serialize_entry(tag, &format_args!("{:#x}", value.address))?;
    if let Some(symbol) = &value.symbol {
        map.serialize_entry("symbol", symbol)?;
    }
    if let Some(target) = &value.target {
        map.serialize_entry("target", &Exact(target))?;
    }
    map.end()
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

impl<'de> Deserialize<'de> for Restored {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number.into(), BITS))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Uint(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float64(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(Text {
            bytes: text.as_bytes().to_vec(),
            cut: None,
        }))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Unit)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, input: A) -> Result<Value, A::Error> {
        Ok(Value::Sequence(Sequence {
            items: read_items(input)?,
            cut: None,
            set: false,
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        let mut parts = ValueParts::default();
        while let Some(Name(name)) = input.next_key::<Name<'_>>()? {
            parts.read(&name, &mut input)?;
        }
        parts.build().ok_or_else(|| A::Error::custom("not a value"))
    }
}

/// A key, borrowed where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        input.deserialize_str(NameVisitor)
    }
}

fn read_items<'de, A: SeqAccess<'de>>(mut input: A) -> Result<Vec<Value>, A::Error> {
    let mut items = Vec::with_capacity(input.size_hint().unwrap_or(0).min(RESERVED));
    while let Some(Restored(item)) = input.next_element()? {
        items.push(item);
    }
    Ok(items)
}

/// Fields in their order, with names that may repeat.
struct ReadFields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for ReadFields {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = ReadFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<ReadFields, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, Restored(value))) = input.next_entry::<String, _>()? {
                    fields.push((name, value));
                }
                Ok(ReadFields(fields))
            }
        }
        input.deserialize_map(FieldsVisitor)
    }
}

/// The key that tells the kind of a value, with its content.
enum TaggedKind {
    Whole(Value),
    Text(Vec<u8>),
    Struct(String),
    Variant(String),
    Sequence(Vec<Value>, bool),
    Map(Vec<(Value, Value)>),
    Pointer(u64, bool),
}

/// The parts of a value that is an object.
#[derive(Default)]
struct ValueParts {
    kind: Option<TaggedKind>,
    fields: Vec<(String, Value)>,
    more: bool,
    ty: String,
    line: Option<u64>,
    omitted: Option<OmittedFields>,
    cut: Option<Cut>,
    symbol: Option<String>,
    target: Option<Box<Value>>,
}

/// A number, or its text if JSON has no number for it.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum FloatForm {
    Number(f64),
    Text(String),
}

impl FloatForm {
    fn f64(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(text) => text.parse().ok(),
        }
    }

    /// A shortest decimal form that was written for 32 bits, read as 64 bits and rounded again, is the
    /// number that it was written for.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the number was written from 32 bits"
    )]
    fn f32(self) -> Option<f32> {
        match self {
            Self::Number(number) => Some(number as f32),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

fn whole_number(text: &str) -> Option<Value> {
    match text.parse::<u128>() {
        Ok(number) => Some(Value::Uint(number)),
        Err(_) => Some(Value::Int(text.parse().ok()?, BITS)),
    }
}

fn address(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

impl ValueParts {
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, input: &mut A) -> Result<(), A::Error> {
        match name {
            "fields" => self.fields = input.next_value::<ReadFields>()?.0,
            "more" => self.more = input.next_value()?,
            "enum" => self.ty = input.next_value()?,
            "line" => self.line = input.next_value()?,
            "cut" => {
                self.cut = Some(Cut {
                    of: input.next_value()?,
                });
            }
            "symbol" => self.symbol = Some(input.next_value()?),
            "target" => self.target = Some(Box::new(input.next_value::<Restored>()?.0)),
            "omitted" => {
                self.omitted = match &*input.next_value::<Name<'_>>()?.0 {
                    "tuple" => Some(OmittedFields::Tuple),
                    "named" => Some(OmittedFields::Named),
                    _ => return Err(A::Error::custom("unknown form of omitted fields")),
                };
            }
            _ if name.starts_with('$') => {
                let kind = read_kind(name, input)?;
                self.kind = Some(kind.ok_or_else(|| A::Error::custom("not a value"))?);
            }
            // A key of a newer version.
            _ => {
                input.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn build(self) -> Option<Value> {
        let Self { fields, cut, .. } = self;
        Some(match self.kind? {
            TaggedKind::Whole(value) => value,
            TaggedKind::Text(bytes) => Value::Text(Text { bytes, cut }),
            TaggedKind::Struct(name) => Value::Struct(Struct {
                name,
                fields,
                has_more: self.more,
            }),
            TaggedKind::Variant(name) => Value::Variant(Variant {
                ty: self.ty,
                name,
                line: self.line,
                fields,
                omitted: self.omitted,
            }),
            TaggedKind::Sequence(items, set) => Value::Sequence(Sequence { items, cut, set }),
            TaggedKind::Map(entries) => Value::Map(Map { entries, cut }),
            TaggedKind::Pointer(address, transparent) => Value::Pointer(Pointer {
                address,
                symbol: self.symbol,
                target: self.target,
                transparent,
            }),
        })
    }
}

/// Reads the content of a key that tells the kind. `None` if it is not valid.
fn read_kind<'de, A: MapAccess<'de>>(
    name: &str,
    input: &mut A,
) -> Result<Option<TaggedKind>, A::Error> {
    let whole = |value: Option<Value>| value.map(TaggedKind::Whole);
    Ok(match name {
        "$int" => whole(whole_number(&input.next_value::<Name<'_>>()?.0)),
        "$ns" => whole(Some(Value::Nanoseconds(input.next_value()?))),
        "$duration" => {
            let (secs, nanos): (u64, u32) = input.next_value()?;
            whole((nanos < 1_000_000_000).then(|| Value::Duration(Duration::new(secs, nanos))))
        }
        "$char" => whole(Some(Value::Char(input.next_value()?))),
        "$f32" => whole(input.next_value::<FloatForm>()?.f32().map(Value::Float32)),
        "$f64" => whole(input.next_value::<FloatForm>()?.f64().map(Value::Float64)),
        "$text" => Some(TaggedKind::Text(input.next_value::<String>()?.into_bytes())),
        "$bytes" => unhex(&input.next_value::<Name<'_>>()?.0).map(TaggedKind::Text),
        "$range" => {
            let [Restored(start), Restored(end)] = input.next_value()?;
            whole(Some(Value::Range(Box::new([start, end]))))
        }
        "$tuple" => whole(Some(Value::Tuple(read_list(input)?))),
        "$items" => Some(TaggedKind::Sequence(read_list(input)?, false)),
        "$set" => Some(TaggedKind::Sequence(read_list(input)?, true)),
        "$struct" => Some(TaggedKind::Struct(input.next_value()?)),
        "$variant" => Some(TaggedKind::Variant(input.next_value()?)),
        "$map" => {
            let pairs = input.next_value::<Vec<(Restored, Restored)>>()?;
            let pairs = pairs.into_iter().map(|(key, value)| (key.0, value.0));
            Some(TaggedKind::Map(pairs.collect()))
        }
        "$address" | "$reference" => address(&input.next_value::<Name<'_>>()?.0)
            .map(|address| TaggedKind::Pointer(address, name == "$reference")),
        "$unavailable" => {
            let why = Unavailable::Recorded(input.next_value()?);
            whole(Some(Value::Unavailable(why)))
        }
        _ => None,
    })
}

fn read_list<'de, A: MapAccess<'de>>(input: &mut A) -> Result<Vec<Value>, A::Error> {
    let items = input.next_value::<Vec<Restored>>()?;
    Ok(items.into_iter().map(|item| item.0).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Text> {
        let bytes = prop_oneof![
            any::<Vec<u8>>(),
            any::<String>().prop_map(String::into_bytes)
        ];
        (bytes, cut()).prop_map(|(bytes, cut)| Text { bytes, cut })
    }

    fn cut() -> impl Strategy<Value = Option<Cut>> {
        proptest::option::of(proptest::option::of(any::<u64>()).prop_map(|of| Cut { of }))
    }

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i128>().prop_map(|number| Value::Int(number, 128)),
            any::<i16>().prop_map(|number| Value::Int(number.into(), 16)),
            any::<u128>().prop_map(Value::Uint),
            any::<u8>().prop_map(|number| Value::Uint(number.into())),
            any::<u64>().prop_map(Value::Nanoseconds),
            (any::<u64>(), 0..1_000_000_000_u32)
                .prop_map(|(secs, nanos)| Value::Duration(Duration::new(secs, nanos))),
            any::<bool>().prop_map(Value::Bool),
            any::<char>().prop_map(Value::Char),
            proptest::num::f32::ANY.prop_map(Value::Float32),
            proptest::num::f64::ANY.prop_map(Value::Float64),
            text().prop_map(Value::Text),
            Just(Value::Unit),
            Just(Value::Unavailable(Unavailable::OptimisedOut)),
            any::<String>().prop_map(|why| Value::Unavailable(Unavailable::Invalid(why))),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        leaf().prop_recursive(3, 24, 4, |inner| {
            let fields = || proptest::collection::vec((any::<String>(), inner.clone()), 0..4);
            let items = || proptest::collection::vec(inner.clone(), 0..4);
            let omitted = proptest::option::of(prop_oneof![
                Just(OmittedFields::Tuple),
                Just(OmittedFields::Named)
            ]);
            prop_oneof![
                (any::<String>(), fields(), any::<bool>()).prop_map(|(name, fields, has_more)| {
                    Value::Struct(Struct {
                        name,
                        fields,
                        has_more,
                    })
                }),
                items().prop_map(Value::Tuple),
                (inner.clone(), inner.clone())
                    .prop_map(|(start, end)| Value::Range(Box::new([start, end]))),
                (
                    any::<String>(),
                    any::<String>(),
                    proptest::option::of(any::<u64>()),
                    fields(),
                    omitted
                )
                    .prop_map(|(ty, name, line, fields, omitted)| Value::Variant(
                        Variant {
                            ty,
                            name,
                            line,
                            fields,
                            omitted,
                        }
                    )),
                (items(), cut(), any::<bool>())
                    .prop_map(|(items, cut, set)| Value::Sequence(Sequence { items, cut, set })),
                (
                    proptest::collection::vec((inner.clone(), inner.clone()), 0..3),
                    cut()
                )
                    .prop_map(|(entries, cut)| Value::Map(Map { entries, cut })),
                (
                    any::<u64>(),
                    proptest::option::of(any::<String>()),
                    proptest::option::of(inner.clone()),
                    any::<bool>()
                )
                    .prop_map(|(address, symbol, target, transparent)| {
                        Value::Pointer(Pointer {
                            address,
                            symbol,
                            target: target.map(Box::new),
                            transparent,
                        })
                    }),
            ]
        })
    }

    fn restored(value: &Value) -> Value {
        let written = serde_json::to_string(&Exact(value)).expect("written");
        let read = serde_json::from_str::<Restored>(&written);
        read.unwrap_or_else(|error| panic!("{error}: {written}")).0
    }

    proptest! {
        #[test]
        fn value_that_is_read_back_shows_the_same(value in value()) {
            let read = restored(&value);
            prop_assert_eq!(format!("{read}"), format!("{value}"));
            prop_assert_eq!(format!("{read:#}"), format!("{value:#}"));
            let json = |value: &Value| serde_json::to_string(value).expect("written");
            prop_assert_eq!(json(&read), json(&value));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = serde_json::from_str::<Restored>(&text);
        }
    }

    #[test]
    fn kinds_that_look_alike_are_told_apart() {
        let items = || vec![Value::Uint(1), Value::Unit];
        let sequence = |set| {
            Value::Sequence(Sequence {
                items: items(),
                cut: None,
                set,
            })
        };
        let same = [
            Value::Tuple(items()),
            sequence(false),
            sequence(true),
            Value::Char('7'),
            Value::Float32(0.1),
            Value::Float64(0.1),
            Value::Nanoseconds(7),
            Value::Uint(7),
        ];
        for value in same {
            assert_eq!(restored(&value), value);
        }
    }

    #[test]
    fn wrong_forms_are_refused() {
        for text in [
            "{}",
            r#"{"fields":{}}"#,
            r#"{"$new":1}"#,
            r#"{"$int":"x"}"#,
            r#"{"$bytes":"abc"}"#,
            r#"{"$bytes":"éé"}"#,
            r#"{"$duration":[1,1000000000]}"#,
            r#"{"$address":"12"}"#,
            r#"{"$range":[1]}"#,
            r#"{"$variant":"A","omitted":"other"}"#,
        ] {
            assert!(serde_json::from_str::<Restored>(text).is_err(), "{text}");
        }
        // Deep nesting is refused, not followed.
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(serde_json::from_str::<Restored>(&deep).is_err());
    }
}
