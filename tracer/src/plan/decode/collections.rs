//! Reads hash tables and B-trees from a record, in the steps of `capture::collections`.

use crate::base::unavailable::Unavailable;
use crate::plan::decode::sequences::counted;
use crate::plan::decode::{DecodeError, Decoder, MOST_LENGTH, View, located, sequence};
use crate::plan::shape::{Node, Slot, TableNode, TreeNode, TreePart};
use crate::value::{Cut, Map, Value};

/// The entries of a hash table.
pub(in crate::plan) fn table(
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
        Err(why) => {
            let why = located(why, ctrl);
            let is_plausible = items <= MOST_LENGTH;
            return Ok(Value::Unavailable(match is_plausible {
                true => counted(why, items),
                false => why,
            }));
        }
    };
    let mut entries = Vec::new();
    let full = control.iter().enumerate().filter(|(_, byte)| **byte < 0x80);
    for (index, _) in full.take(node.limit as usize) {
        let address = ctrl.wrapping_sub(node.stride.wrapping_mul(index as u64 + 1));
        entries.push(match decoder.chunks.exact(node.slot, node.stride)? {
            Err(why) => {
                let why = Value::Unavailable(located(why, address));
                (why.clone(), why)
            }
            Ok(bytes) => {
                let (offset, key) = (node.key.0, &node.key.1);
                let key = EntryPart { offset, node: key };
                let value = node.value.as_ref();
                let value = value.map(|&(offset, ref node)| EntryPart { offset, node });
                entry(decoder, bytes, key, value)?
            }
        });
    }
    if items > MOST_LENGTH || items > mask.wrapping_add(1) {
        let why = Unavailable::Invalid(format!("{items} entries in {mask} buckets"));
        return Ok(Value::Unavailable(why));
    }
    Ok(collection(entries, items, node.value.is_some()))
}

/// The entries of a B-tree.
pub(in crate::plan) fn tree(
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
    if let Some(why) = cut_off(decoder, node.end)?
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

/// The key or the value within an entry.
pub(super) struct EntryPart<'n> {
    pub(super) offset: u64,
    pub(super) node: &'n Node,
}

/// Key and value in the bytes of an entry. The value of a set's entry is [`Value::Unit`].
pub(super) fn entry(
    decoder: &mut Decoder<'_, '_>,
    bytes: &[u8],
    key: EntryPart<'_>,
    value: Option<EntryPart<'_>>,
) -> Result<(Value, Value), DecodeError> {
    let view = View::row(bytes);
    let key = decoder.value(key.node, &view, key.offset)?;
    let value = match value {
        Some(part) => decoder.value(part.node, &view, part.offset)?,
        None => Value::Unit,
    };
    Ok((key, value))
}

/// The limit that ended a walk early, from the chunk that marks its end.
pub(super) fn cut_off(
    decoder: &mut Decoder<'_, '_>,
    end: Slot,
) -> Result<Option<Unavailable>, DecodeError> {
    let (end, _) = decoder.chunks.next(end)?;
    let is_limit = |why: &Unavailable| matches!(why, Unavailable::Steps | Unavailable::NoRoom);
    Ok(end.err().filter(is_limit))
}

pub(in crate::plan) fn collection(entries: Vec<(Value, Value)>, of: u64, map: bool) -> Value {
    if map {
        let cut = (of > entries.len() as u64).then_some(Cut { of: Some(of) });
        return Value::Map(Map { entries, cut });
    }
    sequence(entries.into_iter().map(|(key, _)| key).collect(), of, true)
}
