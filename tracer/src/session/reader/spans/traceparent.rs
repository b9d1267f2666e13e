//! The parent that a program names: a W3C `traceparent`, or a trace id and a span id.

use std::num::{NonZeroU64, NonZeroU128};

use crate::event::{SpanId, SpanIds, TraceId};
use crate::value::Value;

/// Deepest nesting of references and wrappers around a value.
const DEPTH: u32 = 8;

/// Reads a parent from one value, a text, or from two, trace id and span id.
///
/// # Errors
/// The reason why it is not valid.
pub(super) fn parent(value: &Value, span: Option<&Value>) -> Result<SpanIds, String> {
    match span {
        None => {
            let value = inner(value, DEPTH)?;
            let Value::Text(text) = value else {
                return Err(format!("{value} is not a text"));
            };
            if text.cut.is_some() {
                return Err("the text is too long".into());
            }
            let text = std::str::from_utf8(&text.bytes).map_err(|_| "the text is not ASCII")?;
            traceparent(text)
        }
        Some(span) => {
            let trace = number(value, 16).map_err(|why| format!("trace id: {why}"))?;
            let span = number(span, 8).map_err(|why| format!("span id: {why}"))?;
            let span = u64::try_from(span).map_err(|_| "span id: more than 64 bits")?;
            ids(trace, span)
        }
    }
}

/// Reads `00-<32 hex>-<16 hex>-<2 hex>`, or a later version, which may have more behind a dash.
fn traceparent(text: &str) -> Result<SpanIds, String> {
    let is_hex = |text: &&str| {
        text.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut fields = text.split('-');
    let mut field = |length: usize, what: &str| {
        let field = fields.next().filter(|field| field.len() == length);
        field
            .filter(is_hex)
            .ok_or_else(|| format!("{what} is not {length} lower-case hexadecimal digits"))
    };
    let version = field(2, "the version")?;
    let trace = field(32, "the trace id")?;
    let span = field(16, "the span id")?;
    field(2, "the part of flags")?;
    if version == "ff" {
        return Err("there is no version ff".into());
    }
    if version == "00" && fields.next().is_some() {
        return Err("something follows the flags".into());
    }
    let trace = u128::from_str_radix(trace, 16).map_err(|error| error.to_string())?;
    let span = u64::from_str_radix(span, 16).map_err(|error| error.to_string())?;
    ids(trace, span)
}

fn ids(trace: u128, span: u64) -> Result<SpanIds, String> {
    Ok(SpanIds {
        trace: TraceId(NonZeroU128::new(trace).ok_or("the trace id is zero")?),
        span: SpanId(NonZeroU64::new(span).ok_or("the span id is zero")?),
    })
}

/// An id: an integer, that many bytes, or their hexadecimal digits.
fn number(value: &Value, bytes: usize) -> Result<u128, String> {
    let value = inner(value, DEPTH)?;
    let wrong = || format!("{value} is neither an integer nor {bytes} bytes");
    match value {
        Value::Uint(number) => Ok(*number),
        // The bits of an id may be those of a signed type.
        Value::Int(number, bits) => Ok(match bits {
            0..128 => number.cast_unsigned() & ((1 << bits) - 1),
            _ => number.cast_unsigned(),
        }),
        Value::Sequence(sequence) if sequence.items.len() == bytes && sequence.cut.is_none() => {
            sequence.items.iter().try_fold(0_u128, |id, item| {
                let byte = match item {
                    Value::Uint(byte) => u8::try_from(*byte).ok(),
                    Value::Int(byte, _) => {
                        let unsigned = u8::try_from(*byte).ok();
                        unsigned.or_else(|| i8::try_from(*byte).ok().map(i8::cast_unsigned))
                    }
                    _ => None,
                };
                Ok(id << 8 | u128::from(byte.ok_or_else(wrong)?))
            })
        }
        Value::Text(text) if text.bytes.len() == bytes => {
            let id = text.bytes.iter();
            Ok(id.fold(0, |id, byte| id << 8 | u128::from(*byte)))
        }
        Value::Text(text) if text.bytes.len() == 2 * bytes => {
            let digits = std::str::from_utf8(&text.bytes).map_err(|_| wrong())?;
            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let id = u128::from_str_radix(digits, 16).ok().filter(|_| is_hex);
            id.ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// The value in references, options and wrappers around one value.
fn inner(value: &Value, depth: u32) -> Result<&Value, String> {
    let deeper = |value| match depth.checked_sub(1) {
        Some(depth) => inner(value, depth),
        None => Err("it is nested too deeply".into()),
    };
    match value {
        Value::Pointer(pointer) => match &pointer.target {
            Some(target) => deeper(target),
            None if pointer.address == 0 => Err("it is null".into()),
            None => Err("the text behind the pointer is not read".into()),
        },
        Value::Variant(variant) => match &variant.fields[..] {
            [(_, field)] if variant.name == "Some" => deeper(field),
            _ => Err(format!("it is {}", variant.name)),
        },
        Value::Struct(object) => match &object.fields[..] {
            [(_, field)] => deeper(field),
            _ => Err(format!("{} is not a text", object.name)),
        },
        Value::Unavailable(why) => Err(why.to_string()),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::{Sequence, Text, Variant};

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn text(text: &str) -> Value {
        Value::Text(Text {
            bytes: text.into(),
            cut: None,
        })
    }

    fn some(value: Value) -> Value {
        Value::Variant(Variant {
            ty: "Option".into(),
            name: "Some".into(),
            line: None,
            fields: vec![("0".into(), value)],
            omitted: None,
        })
    }

    #[test]
    fn traceparent_names_trace_and_span() {
        let expected = "0af7651916cd43dd8448eb211c80319c b7ad6b7169203331";
        let later = VALID.replacen("00", "01", 1) + "-more";
        for value in [text(VALID), some(text(VALID)), text(&later)] {
            let ids = parent(&value, None).expect("valid");
            assert_eq!(format!("{} {}", ids.trace, ids.span), expected);
        }
    }

    proptest! {
        #[test]
        fn written_ids_are_read_back(trace in 1_u128.., span in 1_u64.., flags: u8) {
            let typed = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
            let ids = parent(&text(&typed), None).expect("valid");
            prop_assert_eq!((ids.trace.0.get(), ids.span.0.get()), (trace, span));
        }

        #[test]
        fn changed_text_is_valid_only_if_it_has_the_form(at in 0..55_usize, c: char) {
            let mut changed: Vec<char> = VALID.chars().collect();
            changed[at] = c;
            let is_dash = [2, 35, 52].contains(&at);
            let is_hex = matches!(c, '0'..='9' | 'a'..='f');
            let is_right = if is_dash { c == '-' } else { is_hex };
            let changed: String = changed.into_iter().collect();
            prop_assert_eq!(parent(&text(&changed), None).is_ok(), is_right, "{}", changed);
        }

        #[test]
        fn any_text_is_answered(typed: String) {
            prop_assert!(parent(&text(&typed), None).is_err());
        }

        /// The program's memory can have any bytes, in any of the forms of an id.
        #[test]
        fn bytes_are_ids_only_in_their_length(
            trace in proptest::collection::vec(any::<u8>(), 0..40),
            span in proptest::collection::vec(any::<u8>(), 0..20),
            depth in 0..20_usize,
        ) {
            let bytes = |bytes: &[u8]| Value::Text(Text { bytes: bytes.into(), cut: None });
            let numbers = |bytes: &[u8]| Value::Sequence(Sequence {
                items: bytes.iter().map(|byte| Value::Int(byte.cast_signed().into(), 8)).collect(),
                cut: None,
                set: false,
            });
            let is_hex = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_hexdigit);
            let is_text = |id: &[u8], length| id.len() == length || id.len() == 2 * length && is_hex(id);
            let wrapped = |value| (0..depth).fold(value, |value, _| some(value));
            let found = parent(&wrapped(bytes(&trace)), Some(&wrapped(bytes(&span))));
            if found.is_ok() {
                prop_assert!(is_text(&trace, 16) && is_text(&span, 8));
            }
            let found = parent(&wrapped(numbers(&trace)), Some(&wrapped(numbers(&span))));
            let are_zero = trace.iter().all(|byte| *byte == 0) || span.iter().all(|byte| *byte == 0);
            let is_right = trace.len() == 16 && span.len() == 8 && !are_zero;
            prop_assert_eq!(found.is_ok(), is_right && u32::try_from(depth).is_ok_and(|depth| depth <= DEPTH));
            // No random text is a traceparent.
            let _answer = parent(&bytes(&trace), None);
        }
    }

    #[test]
    fn invalid_traceparent_is_told() {
        let zero = "0".repeat(32);
        for (typed, why) in [
            ("", "the version"),
            ("00", "the trace id"),
            (&VALID[..54], "the part of flags"),
            (&VALID[..52], "the part of flags"),
            (&VALID.to_uppercase(), "the trace id"),
            (&VALID.replace("0af7", "0ag7"), "the trace id"),
            (&VALID.replace("-b7", "-+7"), "the span id"),
            (&VALID.replacen("00", "ff", 1), "no version ff"),
            (&format!("{VALID}-x"), "something follows"),
            (
                &format!("00-{zero}-b7ad6b7169203331-01"),
                "the trace id is zero",
            ),
            (
                &VALID.replace("b7ad6b7169203331", "0000000000000000"),
                "the span id is zero",
            ),
        ] {
            let error = parent(&text(typed), None).expect_err(typed);
            assert!(error.contains(why), "{typed}: {error}");
        }
        assert!(parent(&Value::Uint(3), None).is_err());
    }

    #[test]
    fn ids_are_integers_bytes_or_digits() {
        let bytes = |bytes: &[u8]| {
            Value::Sequence(Sequence {
                items: bytes
                    .iter()
                    .map(|byte| Value::Uint((*byte).into()))
                    .collect(),
                cut: None,
                set: false,
            })
        };
        let trace: Vec<u8> = (1..=16).collect();
        let expected = parent(&bytes(&trace), Some(&Value::Int(-2, 64))).expect("valid");
        assert_eq!(
            expected.trace.to_string(),
            "0102030405060708090a0b0c0d0e0f10"
        );
        assert_eq!(expected.span.to_string(), "fffffffffffffffe");
        let digits = text("0102030405060708090a0b0c0d0e0f10");
        let span = bytes(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(parent(&digits, Some(&span)), Ok(expected));
        for (trace, span) in [
            (Value::Uint(0), Value::Uint(1)),
            (Value::Uint(1), Value::Uint(0)),
            (Value::Uint(1), Value::Uint(1 << 64)),
            (bytes(&trace[..15]), Value::Uint(1)),
            (Value::Bool(true), Value::Uint(1)),
        ] {
            parent(&trace, Some(&span)).expect_err("not valid");
        }
    }
}
