//! Reads linked lists, binary trees and deques out of a record: the same walk
//! that the capture made, over its chunks.

use super::collections::collection;
use super::decode::{DecodeError, Decoder, MOST_LENGTH, View, located, sequence};
use super::shape::{BitCount, BitRowNode, BlocksNode, ChainNode, PagesNode};
use crate::unavailable::Unavailable;
use crate::value::{Cut, Sequence, Value};

/// The entries of a chain.
pub(super) fn chain(
    decoder: &mut Decoder<'_, '_>,
    node: &ChainNode,
    view: &View<'_>,
    at: u64,
) -> Result<Value, DecodeError> {
    let word = |offset: u64| view.word(at.saturating_add(offset));
    let (count, first) = (node.count.map(word).transpose(), word(node.first));
    let count = match (count, first) {
        (Ok(count), Ok(_)) => count,
        (Err(why), _) | (_, Err(why)) => return Ok(Value::Unavailable(why)),
    };
    let mut entries = Vec::new();
    while decoder.chunks.peek()? == Some(node.slot) {
        let (key, value) = match decoder.chunks.exact(node.slot, node.stride)? {
            Err(why) => (Value::Unavailable(why.clone()), Value::Unavailable(why)),
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
    if let (Err(why), _) = decoder.chunks.next(node.end)?
        && matches!(why, Unavailable::Steps | Unavailable::NoRoom)
        && entries.is_empty()
    {
        return Ok(Value::Unavailable(why));
    }
    if let Some(count) = count.filter(|count| *count > MOST_LENGTH) {
        let why = Unavailable::Invalid(format!("a length of {count}"));
        return Ok(Value::Unavailable(why));
    }
    let wanted = count.map_or(0, |count| count.min(node.limit));
    if (entries.len() as u64) < wanted && decoder.chunks.is_whole() {
        let why = format!("{} entries in a chain of {wanted}", entries.len());
        return Ok(Value::Unavailable(Unavailable::Invalid(why)));
    }
    let more = entries.len() as u64 > node.limit;
    entries.truncate(usize::try_from(node.limit).unwrap_or(usize::MAX));
    Ok(match (count, node.value.is_some() || node.set) {
        (Some(count), true) => collection(entries, count, node.value.is_some()),
        (Some(count), false) => sequence(keys(entries), count, false),
        (None, _) => Value::Sequence(Sequence {
            items: keys(entries),
            cut: more.then_some(Cut { of: None }),
            set: node.set,
        }),
    })
}

fn keys(entries: Vec<(Value, Value)>) -> Vec<Value> {
    entries.into_iter().map(|(key, _)| key).collect()
}

/// The elements of a deque.
pub(super) fn blocks(
    decoder: &mut Decoder<'_, '_>,
    node: &BlocksNode,
    view: &View<'_>,
    at: u64,
) -> Result<Value, DecodeError> {
    let count = match length(node, view, at) {
        Ok(count) => count,
        Err(why) => return Ok(Value::Unavailable(why)),
    };
    let stride = usize::try_from(node.stride).unwrap_or(usize::MAX).max(1);
    let (mut items, mut failed) = (Vec::new(), None);
    while decoder.chunks.peek()? == Some(node.slot) {
        match decoder.chunks.next(node.slot)?.0 {
            Ok(data) => {
                for element in data.chunks_exact(stride) {
                    items.push(decoder.value(&node.element, &View::row(element), 0)?);
                }
            }
            Err(why) => failed = Some(why),
        }
    }
    let (end, _) = decoder.chunks.next(node.end)?;
    if let Err(why) = end
        && matches!(why, Unavailable::Steps | Unavailable::NoRoom)
        && items.is_empty()
    {
        return Ok(Value::Unavailable(why));
    }
    match (failed, count) {
        (Some(why), _) => Ok(Value::Unavailable(why)),
        (None, Some(count)) if count <= MOST_LENGTH => Ok(sequence(items, count, false)),
        _ => {
            let why = Unavailable::Invalid("the ends of a deque".into());
            Ok(Value::Unavailable(why))
        }
    }
}

/// How many elements a deque has; `None` when its ends contradict each other.
fn length(node: &BlocksNode, view: &View<'_>, at: u64) -> Result<Option<u64>, Unavailable> {
    let word = |offset: u64| view.word(at.saturating_add(offset));
    let (cur, first, last) = (word(node.cur)?, word(node.first)?, word(node.last)?);
    let (here, end_node) = (word(node.node)?, word(node.end_node)?);
    let (end_cur, end_first) = (word(node.end_cur)?, word(node.end_first)?);
    let of = |bytes: Option<u64>| bytes.map(|bytes| bytes / node.stride.max(1));
    if here == end_node {
        return Ok(of(end_cur.checked_sub(cur)));
    }
    let inner = end_node
        .checked_sub(here)
        .and_then(|bytes| (bytes / 8).checked_sub(1));
    Ok((|| {
        let whole = of(last.checked_sub(first))?.checked_mul(inner?)?;
        of(last.checked_sub(cur))?
            .checked_add(whole)?
            .checked_add(of(end_cur.checked_sub(end_first))?)
    })())
}

/// The elements of blocks of a known number.
pub(super) fn pages(
    decoder: &mut Decoder<'_, '_>,
    node: &PagesNode,
    view: &View<'_>,
    at: u64,
) -> Result<Value, DecodeError> {
    let word = |offset: u64| view.word(at.saturating_add(offset));
    let words = (word(node.first), word(node.last));
    let (first, last, start, count) = match (words, word(node.start), word(node.count)) {
        ((Ok(first), Ok(last)), Ok(start), Ok(count)) => (first, last, start, count),
        ((Err(why), _) | (_, Err(why)), ..) | (_, Err(why), _) | (.., Err(why)) => {
            return Ok(Value::Unavailable(why));
        }
    };
    let stride = usize::try_from(node.stride).unwrap_or(usize::MAX).max(1);
    let (mut items, mut failed) = (Vec::new(), None);
    while decoder.chunks.peek()? == Some(node.slot) {
        match decoder.chunks.next(node.slot)?.0 {
            Ok(data) => {
                for element in data.chunks_exact(stride) {
                    items.push(decoder.value(&node.element, &View::row(element), 0)?);
                }
            }
            Err(why) => failed = Some(why),
        }
    }
    if let (Err(why), _) = decoder.chunks.next(node.end)?
        && matches!(why, Unavailable::Steps | Unavailable::NoRoom)
        && items.is_empty()
    {
        return Ok(Value::Unavailable(why));
    }
    if let Some(why) = failed {
        return Ok(Value::Unavailable(why));
    }
    // All elements are in blocks that the array lists.
    let room = last.checked_sub(first).map(|bytes| bytes / 8);
    let room = room.and_then(|blocks| blocks.checked_mul(node.per_block));
    let needed = start.checked_add(count).filter(|_| count <= MOST_LENGTH);
    let fits = matches!((room, needed), (Some(room), Some(needed)) if count == 0 || needed <= room);
    let all = items.len() as u64 == count.min(node.limit) || !decoder.chunks.is_whole();
    if fits && all {
        return Ok(sequence(items, count, false));
    }
    let why = format!("{count} elements from number {start} on in a deque");
    Ok(Value::Unavailable(Unavailable::Invalid(why)))
}

/// Truth values in place.
pub(super) fn bit_set(
    (count, shown): (u64, u64),
    view: &View<'_>,
    at: u64,
) -> Result<Value, Unavailable> {
    let bytes = view.bytes(at, shown.div_ceil(8))?;
    Ok(sequence(bits_of(&bytes, shown), count, false))
}

fn bits_of(bytes: &[u8], shown: u64) -> Vec<Value> {
    let bits = bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| Value::Bool(byte >> bit & 1 == 1)));
    bits.take(usize::try_from(shown).unwrap_or(usize::MAX))
        .collect()
}

/// The truth values of a row of bits.
pub(super) fn bit_row(
    decoder: &mut Decoder<'_, '_>,
    node: &BitRowNode,
    view: &View<'_>,
    at: u64,
) -> Result<Value, DecodeError> {
    let word = |offset: u64| view.word(at.saturating_add(offset));
    let start = word(node.start);
    let count = start.clone().and_then(|start| match node.count {
        BitCount::Count(count) => word(count).map(|count| (count <= MOST_LENGTH).then_some(count)),
        BitCount::End { end, rest } => {
            let (end, rest) = (word(end)?, view.number(at.saturating_add(rest), 4)? as u64);
            let bytes = end.checked_sub(start).filter(|bytes| *bytes <= MOST_LENGTH);
            Ok(bytes.map(|bytes| bytes * 8 + rest))
        }
    });
    let (start, count) = match (start, count) {
        (Ok(start), Ok(count)) => (start, count),
        (Err(why), _) | (_, Err(why)) => return Ok(Value::Unavailable(why)),
    };
    let data = match decoder.chunks.next(node.slot)?.0 {
        Ok(data) => data,
        Err(why) => return Ok(Value::Unavailable(located(why, start))),
    };
    let Some(count) = count else {
        let why = Unavailable::Invalid("the ends of a row of bits".into());
        return Ok(Value::Unavailable(why));
    };
    Ok(sequence(bits_of(data, count.min(node.limit)), count, false))
}
