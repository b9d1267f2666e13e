//! Reads linked lists, binary trees and deques from a record, in the steps of `capture::chains`.

use crate::base::unavailable::Unavailable;
use crate::plan::decode::collections::{EntryPart, collection, cut_off, entry};
use crate::plan::decode::{DecodeError, Decoder, MOST_LENGTH, View, located, sequence};
use crate::plan::shape::{BitCount, BitRowNode, BlocksNode, ChainNode, Node, PagesNode, Slot};
use crate::value::{Cut, Sequence, Value};

/// The entries of a chain.
pub(in crate::plan) fn chain(
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
        entries.push(match decoder.chunks.exact(node.slot, node.stride)? {
            Err(why) => (Value::Unavailable(why.clone()), Value::Unavailable(why)),
            Ok(bytes) => {
                let (offset, key) = (node.key.0, &node.key.1);
                let key = EntryPart { offset, node: key };
                let value = node.value.as_ref();
                let value = value.map(|&(offset, ref node)| EntryPart { offset, node });
                entry(decoder, bytes, key, value)?
            }
        });
    }
    if let Some(why) = cut_off(decoder, node.end)?
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
pub(in crate::plan) fn blocks(
    decoder: &mut Decoder<'_, '_>,
    node: &BlocksNode,
    view: &View<'_>,
    at: u64,
) -> Result<Value, DecodeError> {
    let count = match length(node, view, at) {
        Ok(count) => count,
        Err(why) => return Ok(Value::Unavailable(why)),
    };
    let BlockElements { items, failed } =
        block_elements(decoder, node.slot, node.stride, &node.element)?;
    if let Some(why) = cut_off(decoder, node.end)?
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

/// The elements of a deque's blocks, as far as they were captured.
struct BlockElements {
    items: Vec<Value>,
    /// Why a block could not be read.
    failed: Option<Unavailable>,
}

fn block_elements(
    decoder: &mut Decoder<'_, '_>,
    slot: Slot,
    stride: u64,
    element: &Node,
) -> Result<BlockElements, DecodeError> {
    let stride = usize::try_from(stride).unwrap_or(usize::MAX).max(1);
    let (mut items, mut failed) = (Vec::new(), None);
    while decoder.chunks.peek()? == Some(slot) {
        match decoder.chunks.next(slot)?.0 {
            Ok(data) => {
                for bytes in data.chunks_exact(stride) {
                    items.push(decoder.value(element, &View::row(bytes), 0)?);
                }
            }
            Err(why) => failed = Some(why),
        }
    }
    Ok(BlockElements { items, failed })
}

/// The number of elements in a deque. `None` if its ends contradict each other.
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

/// The elements of a deque in blocks of a fixed number.
pub(in crate::plan) fn pages(
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
    let BlockElements { items, failed } =
        block_elements(decoder, node.slot, node.stride, &node.element)?;
    if let Some(why) = cut_off(decoder, node.end)?
        && items.is_empty()
    {
        return Ok(Value::Unavailable(why));
    }
    if let Some(why) = failed {
        return Ok(Value::Unavailable(why));
    }
    // Every element is in a block that the array lists.
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

/// Booleans within the value.
pub(in crate::plan) fn bit_set(
    count: u64,
    shown: u64,
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

/// Booleans behind a pointer.
pub(in crate::plan) fn bit_row(
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
