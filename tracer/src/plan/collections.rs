//! Reads hash tables and B-trees out of a record: the same walk that the
//! capture made, over its chunks.

use super::decode::{DecodeError, Decoder, MOST_LENGTH, View, located, sequence};
use super::shape::{TableNode, TreeNode, TreePart};
use crate::unavailable::Unavailable;
use crate::value::{Cut, Map, Value};

/// The entries of a hash table.
pub(super) fn table(
    decoder: &mut Decoder<'_, '_>,
    node: &TableNode,
    view: &View<'_>,
    at: u64,
) -> Result<Value, DecodeError> {
    let word = |offset: u64| view.word(at.saturating_add(offset));
    let (ctrl, mask, items) = match (word(node.ctrl), word(node.mask), word(node.items)) {
        (Ok(ctrl), Ok(mask), Ok(items)) => (ctrl, mask, items),
        (Err(why), ..) | (_, Err(why), _) | (.., Err(why)) => {
            return Ok(Value::Unavailable(why));
        }
    };
    let buckets = mask.wrapping_add(1).min(node.buckets);
    let control = match decoder.chunks.exact(node.ctrl_slot, buckets)? {
        Ok(control) => control,
        Err(why) => return Ok(Value::Unavailable(located(why, ctrl))),
    };
    let mut entries = Vec::new();
    let full = control.iter().enumerate().filter(|(_, byte)| **byte < 0x80);
    for (index, _) in full.take(node.limit as usize) {
        let address = ctrl.wrapping_sub(node.stride.wrapping_mul(index as u64 + 1));
        let (key, value) = match decoder.chunks.exact(node.slot, node.stride)? {
            Err(why) => {
                let why = Value::Unavailable(located(why, address));
                (why.clone(), why)
            }
            Ok(bytes) => {
                let view = View::row(bytes);
                let key = decoder.value(&node.key.1, &view, node.key.0)?;
                let value = match &node.value {
                    Some((offset, value)) => decoder.value(value, &view, *offset)?,
                    None => Value::Unit,
                };
                (key, value)
            }
        };
        entries.push((key, value));
    }
    if items > MOST_LENGTH || items > mask.wrapping_add(1) {
        let why = Unavailable::Invalid(format!("{items} entries in {mask} buckets"));
        return Ok(Value::Unavailable(why));
    }
    Ok(collection(entries, items, node.value.is_some()))
}

/// The entries of a B-tree.
pub(super) fn tree(
    decoder: &mut Decoder<'_, '_>,
    node: &TreeNode,
    view: &View<'_>,
    at: u64,
) -> Result<Value, DecodeError> {
    let word = |offset: u64| view.word(at.saturating_add(offset));
    let length = match (word(node.root), word(node.height), word(node.length)) {
        (Ok(_), Ok(_), Ok(length)) => length,
        (Err(why), ..) | (_, Err(why), _) | (.., Err(why)) => {
            return Ok(Value::Unavailable(why));
        }
    };
    let mut entries = Vec::new();
    let wanted = length.min(node.limit);
    let first = if node.key.stride > 0 {
        Some(node.key.slot)
    } else {
        node.value
            .as_ref()
            .filter(|part| part.stride > 0)
            .map(|part| part.slot)
    };
    while (entries.len() as u64) < wanted && first.is_some() && decoder.chunks.peek()? == first {
        let key = cell(decoder, &node.key)?;
        let value = match &node.value {
            Some(part) => cell(decoder, part)?,
            None => Value::Unit,
        };
        entries.push((key, value));
    }
    // The walk says that it came to its end; why it did so early is told by the count.
    if let (Err(why), _) = decoder.chunks.next(node.end)?
        && matches!(why, Unavailable::Steps | Unavailable::NoRoom)
        && entries.is_empty()
    {
        return Ok(Value::Unavailable(why));
    }
    if length > MOST_LENGTH {
        let why = Unavailable::Invalid(format!("a length of {length}"));
        return Ok(Value::Unavailable(why));
    }
    Ok(collection(entries, length, node.value.is_some()))
}

fn cell(decoder: &mut Decoder<'_, '_>, part: &TreePart) -> Result<Value, DecodeError> {
    if part.stride == 0 {
        return decoder.value(&part.node, &View::row(&[]), 0);
    }
    match decoder.chunks.exact(part.slot, part.stride)? {
        Ok(bytes) => decoder.value(&part.node, &View::row(bytes), 0),
        Err(why) => Ok(Value::Unavailable(why)),
    }
}

pub(super) fn collection(entries: Vec<(Value, Value)>, of: u64, map: bool) -> Value {
    if map {
        let cut = (of > entries.len() as u64).then_some(Cut { of: Some(of) });
        return Value::Map(Map { entries, cut });
    }
    sequence(entries.into_iter().map(|(key, _)| key).collect(), of, true)
}
