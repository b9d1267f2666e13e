//! Objects of C modules of the standard library. No installed header declares most of their
//! structures; the offsets are from their sources, and the same in all versions from 3.8 on.

use super::decode::ValueDecoder;
use super::{PyArgument, PyCall, PyEntries, PyItems, PyValue};
use crate::heap::{Elements, Heap, OB_HEAD, PyMissing, Read, TypeInfo};
use crate::memory::words;
use crate::native::Native;

/// Size of `PyDictObject`, behind which its subtypes begin.
const DICT_SIZE: u64 = 48;
/// `PyODictObject.od_first`: `Objects/odictobject.c`.
const ODICT_FIRST: u64 = DICT_SIZE;
/// `_ODictNode.next`. The key is first.
const ODICT_NEXT: u64 = 16;
/// `dequeobject` of `Modules/_collectionsmodule.c`: first block, index in it, and maximum length.
const DEQUE_LEFT: u64 = 24;
const DEQUE_INDEX: u64 = 40;
const DEQUE_LENGTH: u64 = 64;
/// Elements of a block, and its fields.
const BLOCK_ELEMENTS: u64 = 64;
const BLOCK_DATA: u64 = 8;
const BLOCK_RIGHT: u64 = BLOCK_DATA + BLOCK_ELEMENTS * 8;
/// `mpd_t` in `PyDecObject` of `Modules/_decimal/_decimal.c`, behind the hash.
const DECIMAL: u64 = 24;
/// Decimal digits of a word of a decimal.
const DECIMAL_WORD: usize = 19;
/// Words of a decimal that are shown.
const DECIMAL_WORDS: u64 = 64;
/// `PyDateTime_DateTime` and so on in `Include/datetime.h`: a flag, and the fields behind it.
const DATE_HAS_ZONE: u64 = 24;
const DATE_DATA: u64 = 25;
/// `arrayobject` of `Modules/arraymodule.c`.
const ARRAY_ITEMS: u64 = 24;
const ARRAY_KIND: u64 = 40;

impl ValueDecoder<'_, '_> {
    /// An object of a C module.
    pub(super) fn library(&self, object: u64, ty: &TypeInfo, native: Native) -> Read<PyValue> {
        match native {
            Native::Deque => self.deque(object, ty),
            Native::Decimal => self.decimal(object),
            Native::DateTime => self.date_time(object, ty),
            Native::Date => {
                let [high, low, month, day] = self.date_fields::<4>(object)?;
                let fields = [year(high, low), i64::from(month), i64::from(day)];
                Ok(call_of(&date_name(ty), &fields, Vec::new()))
            }
            Native::Time => self.time(object, ty),
            Native::TimeDelta => self.time_delta(object, ty),
            Native::TimeZone => self.time_zone(object),
            Native::ZoneInfo => {
                let key = self.value(self.heap.pointer(object, OB_HEAD)?);
                Ok(PyCall::new("zoneinfo.ZoneInfo", vec![named("key", key)]).into())
            }
            _ => self.array(object),
        }
    }

    pub(super) fn ordered_dict(&self, object: u64, ty: &TypeInfo) -> Read<PyValue> {
        self.inside(object, "...", || {
            let heap = self.heap;
            let limit = self.limits.elements;
            // A list of nodes has the keys in their order, and the dict has the values.
            let found = heap.dict(object, usize::MAX)?;
            let values: foldhash::HashMap<u64, u64> = found.entries.into_iter().collect();
            let mut entries = Vec::new();
            let mut node = heap.word(object.wrapping_add(ODICT_FIRST))?;
            while node != 0 && entries.len() < limit && (entries.len() as u64) < found.of {
                let key = heap.word(node)?;
                let value = values.get(&key).copied().unwrap_or(0);
                entries.push((self.value(key), self.value(value)));
                node = heap.word(node.wrapping_add(ODICT_NEXT))?;
            }
            let of = found.of;
            let argument = if of == 0 {
                None
            } else if heap.python().version.minor >= 12 {
                Some(PyValue::Dict(PyEntries { entries, of }))
            } else {
                let pair = |(key, value)| {
                    PyValue::Tuple(PyItems {
                        items: vec![key, value],
                        of: 2,
                    })
                };
                let items = entries.into_iter().map(pair).collect();
                Some(PyValue::List(PyItems { items, of }))
            };
            Ok(PyCall::of_values(ty.name.clone(), argument).into())
        })
    }

    pub(super) fn default_dict(&self, object: u64, ty: &TypeInfo) -> Read<PyValue> {
        let factory = self.heap.word(object.wrapping_add(DICT_SIZE))?;
        let factory = match factory {
            0 => PyValue::None,
            factory => self.value(factory),
        };
        let dict = self.inside(object, "...", || {
            let found = self.heap.dict(object, self.limits.elements)?;
            Ok(PyValue::Dict(self.entries(&found)))
        })?;
        Ok(PyCall::of_values(ty.name.clone(), [factory, dict]).into())
    }

    fn deque(&self, object: u64, ty: &TypeInfo) -> Read<PyValue> {
        self.inside(object, "[...]", || {
            let items = deque_items(self.heap, object, self.limits.elements)?;
            let items = self.items(&items);
            let mut arguments = vec![PyValue::List(items).into()];
            let length = self.heap.word(object.wrapping_add(DEQUE_LENGTH))?;
            if let Ok(length) = i64::try_from(length) {
                arguments.push(named("maxlen", PyValue::int(length)));
            }
            Ok(PyCall::new(ty.name.clone(), arguments).into())
        })
    }

    fn decimal(&self, object: u64) -> Read<PyValue> {
        let heap = self.heap;
        let at = |offset: u64| heap.word(object.wrapping_add(DECIMAL + offset));
        let flags = heap.byte(object, DECIMAL)?;
        let exponent = at(8)?.cast_signed();
        let length = at(24)?;
        let data = at(40)?;
        if length > DECIMAL_WORDS {
            let text = format!("<Decimal of {} digits>", at(16)?);
            return Ok(PyValue::Described(text));
        }
        let bytes = heap.read(data, length as usize * 8)?;
        let mut digits = String::new();
        for word in words(&bytes).collect::<Vec<_>>().into_iter().rev() {
            if digits.is_empty() {
                digits = word.to_string();
            } else {
                digits.push_str(&format!("{word:0DECIMAL_WORD$}"));
            }
        }
        let text = decimal_text(flags, &digits, exponent);
        Ok(PyCall::of_values("Decimal", [PyValue::text(&text)]).into())
    }

    fn date_fields<const N: usize>(&self, object: u64) -> Read<[u8; N]> {
        let bytes = self.heap.read(object.wrapping_add(DATE_DATA), N)?;
        Ok(std::array::from_fn(|at| {
            bytes.get(at).copied().unwrap_or(0)
        }))
    }

    fn date_time(&self, object: u64, ty: &TypeInfo) -> Read<PyValue> {
        let [
            high,
            low,
            month,
            day,
            hour,
            minute,
            second,
            us2,
            us1,
            us0,
            fold,
        ] = self.date_fields::<11>(object)?;
        let microsecond = i64::from(us2) << 16 | i64::from(us1) << 8 | i64::from(us0);
        let mut fields = vec![year(high, low)];
        fields.extend([month, day, hour, minute].map(i64::from));
        push_seconds(&mut fields, second, microsecond);
        let rest = self.fold_and_zone(object, fold, 40)?;
        Ok(call_of(&date_name(ty), &fields, rest))
    }

    fn time(&self, object: u64, ty: &TypeInfo) -> Read<PyValue> {
        let [hour, minute, second, us2, us1, us0, fold] = self.date_fields::<7>(object)?;
        let microsecond = i64::from(us2) << 16 | i64::from(us1) << 8 | i64::from(us0);
        let mut fields = vec![i64::from(hour), i64::from(minute)];
        push_seconds(&mut fields, second, microsecond);
        let rest = self.fold_and_zone(object, fold, 32)?;
        Ok(call_of(&date_name(ty), &fields, rest))
    }

    fn fold_and_zone(&self, object: u64, fold: u8, zone: u64) -> Read<Vec<PyArgument>> {
        let mut arguments = Vec::new();
        if fold != 0 {
            arguments.push(named("fold", PyValue::int(fold)));
        }
        if self.heap.byte(object, DATE_HAS_ZONE)? != 0 {
            let zone = self.heap.pointer(object, zone)?;
            arguments.push(named("tzinfo", self.value(zone)));
        }
        Ok(arguments)
    }

    fn time_delta(&self, object: u64, ty: &TypeInfo) -> Read<PyValue> {
        let mut arguments = Vec::new();
        for (name, offset) in [("days", 24), ("seconds", 28), ("microseconds", 32)] {
            let number = self.heap.number(object, offset)?.cast_signed();
            if number != 0 {
                arguments.push(named(name, PyValue::int(number)));
            }
        }
        if arguments.is_empty() {
            arguments.push(PyValue::int(0).into());
        }
        Ok(PyCall::new(date_name(ty), arguments).into())
    }

    fn time_zone(&self, object: u64) -> Read<PyValue> {
        let offset = self.value(self.heap.pointer(object, OB_HEAD)?);
        let name = self.heap.word(object.wrapping_add(OB_HEAD + 8))?;
        if name == 0 && offset.to_string() == "datetime.timedelta(0)" {
            return Ok(PyValue::Described("datetime.timezone.utc".to_owned()));
        }
        let mut arguments = vec![offset];
        if name != 0 {
            arguments.push(self.value(name));
        }
        Ok(PyCall::of_values("datetime.timezone", arguments).into())
    }

    fn array(&self, object: u64) -> Read<PyValue> {
        let heap = self.heap;
        let of = heap.size(object, "array")?;
        let description = heap.pointer(object, ARRAY_KIND)?;
        let code = heap.byte(description, 0)?;
        let kind = PyValue::text(char::from(code).encode_utf8(&mut [0; 4]));
        let mut arguments = vec![kind];
        if of > 0 {
            let width = match code {
                b'b' | b'B' => 1,
                b'h' | b'H' => 2,
                b'i' | b'I' | b'f' | b'u' => 4,
                _ => 8,
            };
            let count = (self.limits.elements as u64).min(of) as usize;
            let items = heap.pointer(object, ARRAY_ITEMS)?;
            let bytes = heap.read(items, count * width)?;
            let items = bytes.chunks_exact(width).map(|item| array_item(code, item));
            arguments.push(PyValue::List(PyItems {
                items: items.collect(),
                of,
            }));
        }
        Ok(PyCall::of_values("array", arguments).into())
    }
}

/// The first elements of a `deque`.
pub(crate) fn deque_items(heap: &Heap<'_>, object: u64, limit: usize) -> Read<Elements> {
    let of = heap.size(object, "deque")?;
    let limit = (limit as u64).min(of);
    let mut block = heap.word(object.wrapping_add(DEQUE_LEFT))?;
    let mut index = heap.word(object.wrapping_add(DEQUE_INDEX))?;
    let mut items = Vec::new();
    while (items.len() as u64) < limit {
        let left = BLOCK_ELEMENTS.checked_sub(index).filter(|left| *left > 0);
        let left = left.ok_or(PyMissing::Damaged {
            what: "deque",
            address: object,
        })?;
        let count = left.min(limit - items.len() as u64);
        let data = block.wrapping_add(BLOCK_DATA + index * 8);
        items.extend(heap.pointers(data, count, count as usize)?.items);
        block = heap.word(block.wrapping_add(BLOCK_RIGHT))?;
        index = 0;
    }
    Ok(Elements { items, of })
}

/// A field of a date or time by its name, such as `year`.
pub(crate) fn date_part(
    heap: &Heap<'_>,
    object: u64,
    native: Native,
    name: &str,
) -> Read<Option<i64>> {
    if native == Native::TimeDelta {
        let offset = match name {
            "days" => 24,
            "seconds" => 28,
            "microseconds" => 32,
            _ => return Ok(None),
        };
        return Ok(Some(heap.number(object, offset)?.cast_signed().into()));
    }
    let date: [(&str, u64, u64); 3] = [("year", 0, 2), ("month", 2, 1), ("day", 3, 1)];
    let clock = [
        ("hour", 0, 1),
        ("minute", 1, 1),
        ("second", 2, 1),
        ("microsecond", 3, 3),
    ];
    let (has_date, clock_at) = match native {
        Native::DateTime => (true, Some(4)),
        Native::Date => (true, None),
        _ => (false, Some(0)),
    };
    let in_date = date.iter().copied().filter(|_| has_date);
    let in_clock = clock
        .iter()
        .filter_map(|(name, at, size)| Some((*name, clock_at? + at, *size)));
    let Some((_, at, size)) = in_date.chain(in_clock).find(|(known, _, _)| *known == name) else {
        return Ok(None);
    };
    let bytes = heap.read(object.wrapping_add(DATE_DATA + at), size as usize)?;
    let number = bytes
        .iter()
        .fold(0, |number, byte| number << 8 | i64::from(*byte));
    Ok(Some(number))
}

/// An element of an `array.array`.
fn array_item(code: u8, item: &[u8]) -> PyValue {
    let bits = little_endian(item);
    match code {
        b'f' => PyValue::Float(f64::from(f32::from_bits(bits as u32))),
        b'd' => PyValue::Float(f64::from_bits(bits)),
        b'b' | b'h' | b'i' | b'l' | b'q' => PyValue::int(sign_extended(bits, item.len())),
        _ => PyValue::int(bits),
    }
}

/// A number of up to eight bytes.
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    let bytes = bytes.iter().rev().take(8);
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A signed number of this many bytes.
pub(super) fn sign_extended(bits: u64, width: usize) -> i64 {
    let shift = 64 - 8 * width.clamp(1, 8) as u32;
    (bits << shift).cast_signed() >> shift
}

fn named(name: &str, value: PyValue) -> PyArgument {
    PyArgument {
        name: Some(name.to_owned()),
        value,
    }
}

fn year(high: u8, low: u8) -> i64 {
    i64::from(high) << 8 | i64::from(low)
}

/// The name of a type of `datetime` in its `repr()`. Subclasses have no module there.
fn date_name(ty: &TypeInfo) -> String {
    if ty.module == "datetime" {
        format!("datetime.{}", ty.name)
    } else {
        ty.name.clone()
    }
}

fn push_seconds(fields: &mut Vec<i64>, second: u8, microsecond: i64) {
    if second != 0 || microsecond != 0 {
        fields.push(i64::from(second));
    }
    if microsecond != 0 {
        fields.push(microsecond);
    }
}

fn call_of(name: &str, numbers: &[i64], rest: Vec<PyArgument>) -> PyValue {
    let numbers = numbers.iter().map(|number| PyValue::int(*number).into());
    PyCall::new(name, numbers.chain(rest).collect()).into()
}

/// `str()` of a decimal: `_Py_dec_str` and the specification's `to-scientific-string`.
fn decimal_text(flags: u8, digits: &str, exponent: i64) -> String {
    const NEGATIVE: u8 = 1;
    const INFINITE: u8 = 2;
    const NAN: u8 = 4;
    const SIGNALING: u8 = 8;
    let sign = if flags & NEGATIVE != 0 { "-" } else { "" };
    if flags & INFINITE != 0 {
        return format!("{sign}Infinity");
    }
    if flags & (NAN | SIGNALING) != 0 {
        let kind = if flags & SIGNALING != 0 {
            "sNaN"
        } else {
            "NaN"
        };
        // Its payload, if there is any.
        let payload = digits.trim_start_matches('0');
        return format!("{sign}{kind}{payload}");
    }
    let digits = if digits.is_empty() { "0" } else { digits };
    let length = digits.len() as i64;
    let adjusted = exponent.saturating_add(length - 1);
    if exponent > 0 || adjusted < -6 {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        return format!("{sign}{first}{dot}{rest}E{adjusted:+}");
    }
    let point = length + exponent;
    if exponent == 0 {
        format!("{sign}{digits}")
    } else if point <= 0 {
        format!("{sign}0.{}{digits}", "0".repeat((-point) as usize))
    } else {
        let (whole, fraction) = digits.split_at(point as usize);
        format!("{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_as_their_specification_says() {
        for (digits, exponent, text) in [
            ("123", 0, "123"),
            ("123", 1, "1.23E+3"),
            ("123", -1, "12.3"),
            ("123", -5, "0.00123"),
            ("123", -10, "1.23E-8"),
            ("1", -6, "0.000001"),
            ("1", -7, "1E-7"),
            ("0", 2, "0E+2"),
            ("0", -2, "0.00"),
        ] {
            assert_eq!(decimal_text(0, digits, exponent), text);
        }
        assert_eq!(decimal_text(1, "0", 0), "-0");
        assert_eq!(decimal_text(3, "", 0), "-Infinity");
        assert_eq!(decimal_text(4, "0", 0), "NaN");
    }

    #[test]
    fn signs_are_extended() {
        assert_eq!(sign_extended(0xff, 1), -1);
        assert_eq!(sign_extended(0x7f, 1), 127);
        assert_eq!(sign_extended(u64::MAX, 8), -1);
    }
}
