//! Values as attributes: exact, nested ones as maps and arrays.
//!
//! The keys of maps are those of the JSON output (docs/output.md). Numbers differ: every integer of 64 signed
//! bits is a number here, and floats need no words. Bytes that are no text are bytes.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};

use super::{attribute, text_attribute};
use crate::base::unavailable::Unavailable;
use crate::value::{Cut, Map, Pointer, Sequence, Struct, Text, Value, Variant};

/// The form of a value in an attribute. `None` for `()`.
pub(super) fn any(value: &Value) -> Option<Any> {
    Some(match value {
        Value::Int(number, _) => signed(*number),
        Value::Uint(number) => unsigned(*number),
        Value::Nanoseconds(number) => unsigned((*number).into()),
        Value::Bool(value) => Any::BoolValue(*value),
        Value::Char(c) => Any::StringValue(c.to_string()),
        Value::Float32(value) => Any::DoubleValue(f64::from(*value)),
        Value::Float64(value) => Any::DoubleValue(*value),
        Value::Text(text) => of_text(text),
        Value::Unit => return None,
        Value::Duration(duration) => map([
            text_attribute("$type", "Duration"),
            attribute("secs", unsigned(duration.as_secs().into())),
            attribute("nanos", unsigned(duration.subsec_nanos().into())),
        ]),
        Value::Range(range) => {
            let [start, end] = &**range;
            map([
                text_attribute("$type", "Range"),
                entry("start", start),
                entry("end", end),
            ])
        }
        Value::Struct(value) => of_struct(value),
        Value::Tuple(items) => array(items),
        Value::Variant(variant) => of_variant(variant),
        Value::Sequence(sequence) => of_sequence(sequence),
        Value::Map(entries) => of_map(entries),
        Value::Pointer(pointer) => return of_pointer(pointer),
        Value::Unavailable(why) => unavailable(why),
    })
}

/// An attribute with a value.
pub(super) fn entry(key: impl Into<String>, value: &Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: any(value) }),
        ..KeyValue::default()
    }
}

/// A number, or a text if it has more than 63 bits.
pub(super) fn unsigned(number: u128) -> Any {
    match i64::try_from(number) {
        Ok(number) => Any::IntValue(number),
        Err(_) => Any::StringValue(number.to_string()),
    }
}

/// A number, or a text if it has more than 64 bits.
pub(super) fn signed(number: i128) -> Any {
    match i64::try_from(number) {
        Ok(number) => Any::IntValue(number),
        Err(_) => Any::StringValue(number.to_string()),
    }
}

/// A map.
pub(super) fn map(values: impl IntoIterator<Item = KeyValue>) -> Any {
    Any::KvlistValue(KeyValueList {
        values: values.into_iter().collect(),
    })
}

/// An array.
pub(super) fn list(values: impl IntoIterator<Item = Option<Any>>) -> Any {
    let values = values.into_iter().map(|value| AnyValue { value });
    Any::ArrayValue(ArrayValue {
        values: values.collect(),
    })
}

fn array(items: &[Value]) -> Any {
    list(items.iter().map(any))
}

fn unavailable(why: &Unavailable) -> Any {
    map([text_attribute("$unavailable", why.to_string())])
}

fn shortened(shown: usize, cut: Cut) -> KeyValue {
    let shown = attribute("shown", unsigned(shown as u128));
    let of = cut.of.map(|of| attribute("of", unsigned(of.into())));
    attribute("$cut", map([shown].into_iter().chain(of)))
}

fn of_text(text: &Text) -> Any {
    let bytes = &text.bytes;
    let whole = match std::str::from_utf8(bytes) {
        Ok(whole) => Some(whole),
        // The cut may have split a character.
        Err(error) if text.cut.is_some() && error.error_len().is_none() => bytes
            .get(..error.valid_up_to())
            .and_then(|bytes| std::str::from_utf8(bytes).ok()),
        Err(_) => None,
    };
    let (shown, key, value) = match whole {
        Some(text) => (text.len(), "text", Any::StringValue(text.to_owned())),
        None => (bytes.len(), "$bytes", Any::BytesValue(bytes.clone())),
    };
    match text.cut {
        None => value,
        Some(cut) => map([shortened(shown, cut), attribute(key, value)]),
    }
}

fn of_struct(value: &Struct) -> Any {
    let fields = value.fields.iter().map(|(name, value)| entry(name, value));
    map([text_attribute("$type", &value.name)]
        .into_iter()
        .chain(fields))
}

fn of_variant(variant: &Variant) -> Any {
    let line = variant
        .line
        .map(|line| attribute("$line", unsigned(line.into())));
    let fields = variant
        .fields
        .iter()
        .map(|(name, value)| entry(name, value));
    let name = text_attribute("$variant", &variant.name);
    map([name].into_iter().chain(line).chain(fields))
}

fn of_sequence(sequence: &Sequence) -> Any {
    let items = array(&sequence.items);
    match sequence.cut {
        None => items,
        Some(cut) => map([
            shortened(sequence.items.len(), cut),
            attribute("items", items),
        ]),
    }
}

fn of_map(value: &Map) -> Any {
    let cut = value.cut.map(|cut| shortened(value.entries.len(), cut));
    let pair = |(key, value): &(Value, Value)| Some(list([any(key), any(value)]));
    let pairs = attribute("$map", list(value.entries.iter().map(pair)));
    map(cut.into_iter().chain([pairs]))
}

fn of_pointer(pointer: &Pointer) -> Option<Any> {
    if let (true, Some(target)) = (pointer.transparent, &pointer.target) {
        return any(target);
    }
    let address = text_attribute("$address", format!("{:#x}", pointer.address));
    let symbol = pointer
        .symbol
        .as_ref()
        .map(|symbol| text_attribute("$symbol", symbol));
    let target = pointer
        .target
        .as_ref()
        .map(|target| entry("$target", target));
    Some(map([address].into_iter().chain(symbol).chain(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_numbers_up_to_64_signed_bits_and_texts_beyond() {
        let int = |number| any(&Value::Int(number, 128));
        assert_eq!(int(i64::MIN.into()), Some(Any::IntValue(i64::MIN)));
        assert_eq!(
            int(i128::from(i64::MIN) - 1),
            Some(Any::StringValue("-9223372036854775809".into()))
        );
        assert_eq!(
            any(&Value::Uint(u64::MAX.into())),
            Some(Any::StringValue("18446744073709551615".into()))
        );
        assert_eq!(any(&Value::Nanoseconds(7)), Some(Any::IntValue(7)));
        assert_eq!(any(&Value::Unit), None);
    }

    #[test]
    fn texts_are_texts_and_other_bytes_are_bytes() {
        let text = |bytes: &[u8], cut| {
            any(&Value::Text(Text {
                bytes: bytes.to_vec(),
                cut,
            }))
        };
        assert_eq!(text(b"ab", None), Some(Any::StringValue("ab".into())));
        assert_eq!(text(b"\xff", None), Some(Any::BytesValue(vec![0xff])));
        let cut = Some(Cut { of: Some(9) });
        // The cut is within the second character.
        let expected = map([
            attribute(
                "$cut",
                map([
                    attribute("shown", Any::IntValue(1)),
                    attribute("of", Any::IntValue(9)),
                ]),
            ),
            text_attribute("text", "a"),
        ]);
        assert_eq!(text(b"a\xc3", cut), Some(expected));
    }

    #[test]
    fn nested_values_are_maps_and_arrays_and_say_what_is_missing() {
        let point = Value::Struct(Struct {
            name: "Point".into(),
            fields: vec![
                ("x".into(), Value::Float64(f64::INFINITY)),
                ("y".into(), Value::Unavailable(Unavailable::OptimisedOut)),
            ],
            has_more: false,
        });
        let variant = Value::Variant(Variant {
            ty: "Option".into(),
            name: "Some".into(),
            line: None,
            fields: vec![("0".into(), Value::Tuple(vec![Value::Bool(true), point]))],
            omitted: None,
        });
        let expected = map([
            text_attribute("$variant", "Some"),
            attribute(
                "0",
                list([
                    Some(Any::BoolValue(true)),
                    Some(map([
                        text_attribute("$type", "Point"),
                        attribute("x", Any::DoubleValue(f64::INFINITY)),
                        attribute("y", map([text_attribute("$unavailable", "optimised out")])),
                    ])),
                ]),
            ),
        ]);
        assert_eq!(any(&variant), Some(expected));
    }
}
