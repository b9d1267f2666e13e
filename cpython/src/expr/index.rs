//! Lengths, elements and keys.

use num_bigint::BigInt;
use num_traits::ToPrimitive as _;

use super::compare::find_key;
use super::error::{EvalError, Evaluated};
use super::operand::{PyNumber, PyOperand};
use super::overrides::built_in;
use crate::heap::{Heap, OB_HEAD, PyMissing, PyText};
use crate::limits::DICT_SEARCH;
use crate::native::Native;
use crate::value::{PyValue, ValueLimits};

/// `rangeobject.length`, behind start, stop and step.
const RANGE_LENGTH: u64 = OB_HEAD + 24;

/// `len(of)`.
pub(super) fn length(heap: &Heap<'_>, of: &PyOperand) -> Evaluated<BigInt> {
    let none = || EvalError::Type(format!("object of type `{}` has no len()", of.class(heap)));
    let object = match of {
        PyOperand::Object(object) => *object,
        PyOperand::Tuple(items) => return Ok(items.len().into()),
        PyOperand::Computed(PyValue::Str(text)) => return Ok(text.of.into()),
        PyOperand::Computed(PyValue::Bytes(bytes)) => return Ok(bytes.of.into()),
        PyOperand::Computed(_) => return Err(none()),
    };
    let offsets = heap.offsets();
    let field = |offset: u64| heap.word(object.wrapping_add(offset));
    let count = match built_in(heap, object, "__len__")? {
        Native::Str => field(offsets.str_length)?,
        Native::Dict | Native::OrderedDict | Native::DefaultDict => field(offsets.dict_used)?,
        Native::Set | Native::FrozenSet => field(offsets.set_used)?,
        Native::Bytes
        | Native::ByteArray
        | Native::List
        | Native::Tuple
        | Native::Deque
        | Native::Array => heap.size(object, "container")?,
        Native::DictKeys | Native::DictValues | Native::DictItems | Native::MappingProxy => {
            let dict = heap.pointer(object, OB_HEAD)?;
            // Not by recursion: a damaged view may be its own dict.
            heap.word(dict.wrapping_add(offsets.dict_used))?
        }
        Native::Range => {
            let length = PyOperand::Object(heap.pointer(object, RANGE_LENGTH)?);
            return match length.number(heap)? {
                Some(PyNumber::Int(length)) => Ok(length),
                _ => Err(none()),
            };
        }
        _ => return Err(none()),
    };
    Ok(count.into())
}

/// `of[index]`.
pub(super) fn index(heap: &Heap<'_>, of: &PyOperand, index: &PyOperand) -> Evaluated<PyOperand> {
    let PyOperand::Object(object) = of else {
        return match of {
            PyOperand::Tuple(items) => {
                let at = position(heap, index, items.len() as u64)?;
                items
                    .get(at)
                    .cloned()
                    .ok_or(EvalError::Missing(PyMissing::Unbound))
            }
            _ => match of.text(heap)? {
                Some(text) => character(heap, &text, index),
                None => Err(not_subscriptable(heap, of)),
            },
        };
    };
    let object = *object;
    let native = built_in(heap, object, "__getitem__")?;
    let element = |items: u64, length: u64| -> Evaluated<PyOperand> {
        let at = position(heap, index, length)? as u64;
        Ok(PyOperand::Object(heap.word(items.wrapping_add(at * 8))?))
    };
    match native {
        Native::Tuple => {
            let items = object.wrapping_add(heap.offsets().tuple_items);
            element(items, heap.size(object, "tuple")?)
        }
        Native::List => {
            let items = heap.word(object.wrapping_add(heap.offsets().list_items))?;
            element(items, heap.size(object, "list")?)
        }
        Native::Dict | Native::OrderedDict | Native::DefaultDict => key(heap, object, index),
        Native::MappingProxy => key(heap, heap.pointer(object, OB_HEAD)?, index),
        Native::Str => match of.text(heap)? {
            Some(text) => character(heap, &text, index),
            None => Err(not_subscriptable(heap, of)),
        },
        Native::Bytes | Native::ByteArray => {
            let bytes = of.bytes(heap)?.unwrap_or_default();
            let at = position(heap, index, bytes.of)?;
            let byte = bytes.bytes.get(at).copied().unwrap_or_default();
            Ok(PyOperand::Computed(PyValue::int(byte)))
        }
        Native::Deque => {
            let items = crate::value::deque_items(heap, object, DICT_SEARCH)?;
            let at = position(heap, index, items.of)?;
            let item = items.items.get(at).copied();
            item.map(PyOperand::Object)
                .ok_or(EvalError::TooLarge("a deque"))
        }
        Native::Range => {
            let part = |at: u64| -> Evaluated<BigInt> {
                let part = PyOperand::Object(heap.pointer(object, OB_HEAD + at * 8)?);
                match part.number(heap)? {
                    Some(PyNumber::Int(part)) => Ok(part),
                    _ => Err(not_subscriptable(heap, of)),
                }
            };
            let length = part(3)?.to_u64().ok_or(EvalError::TooLarge("a range"))?;
            let at = position(heap, index, length)?;
            Ok(PyOperand::Computed(PyValue::Int(part(0)? + part(2)? * at)))
        }
        _ => Err(not_subscriptable(heap, of)),
    }
}

fn not_subscriptable(heap: &Heap<'_>, of: &PyOperand) -> EvalError {
    EvalError::Type(format!("`{}` object has no elements", of.class(heap)))
}

/// The position that an index stands for. Negative ones count from the end.
fn position(heap: &Heap<'_>, index: &PyOperand, length: u64) -> Evaluated<usize> {
    let Some(PyNumber::Int(at)) = index.number(heap)? else {
        let class = index.class(heap);
        return Err(EvalError::Type(format!(
            "an index is an integer, not `{class}`"
        )));
    };
    let wanted = if at < BigInt::ZERO {
        &at + length
    } else {
        at.clone()
    };
    match wanted.to_u64() {
        Some(found) if found < length => Ok(found as usize),
        _ => Err(EvalError::OutOfRange {
            index: at.to_string(),
            length,
        }),
    }
}

fn character(heap: &Heap<'_>, text: &PyText, index: &PyOperand) -> Evaluated<PyOperand> {
    let at = position(heap, index, text.of)?;
    let chars = text.chars.get(at..=at).unwrap_or_default().to_vec();
    Ok(PyOperand::Computed(PyValue::Str(PyText { chars, of: 1 })))
}

/// The value of a key.
fn key(heap: &Heap<'_>, dict: u64, key: &PyOperand) -> Evaluated<PyOperand> {
    let found = find_key(heap, dict, key)?;
    found
        .map(PyOperand::Object)
        .ok_or_else(|| EvalError::NoKey(key.value(heap, ValueLimits::default()).to_string()))
}
