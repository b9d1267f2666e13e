//! Texts, and contiguous elements.

use crate::base::unavailable::Unavailable;
use crate::plan::decode::{DecodeError, Decoder, MOST_LENGTH, View, located};
use crate::plan::shape::{Node, SeqLen, SeqNode, ShortText, Slot, TextNode};
use crate::value::{Cut, Pointer, Sequence, Text, Value};

impl Decoder<'_, '_> {
    pub(super) fn text(
        &mut self,
        node: &TextNode,
        view: &View<'_>,
        at: u64,
    ) -> Result<Value, DecodeError> {
        if let Some(short) = node.short {
            match view.number(at.saturating_add(short.tag), 1) {
                Err(why) => return Ok(Value::Unavailable(why)),
                Ok(tag) if tag & 1 == 0 => {
                    let text = short_text(node, short, view, at, tag as u64 / 2);
                    return Ok(text.unwrap_or_else(Value::Unavailable));
                }
                Ok(_) => {}
            }
        }
        let pointer = view.word(at.saturating_add(node.pointer));
        if let (Some((before, slot)), Ok(pointer)) = (node.before, &pointer) {
            return self.text_behind(node, before, slot, *pointer);
        }
        let len = node.len.map(|len| view.word(at.saturating_add(len)));
        let (pointer, len) = match (pointer, len.transpose()) {
            (Ok(pointer), Ok(len)) => (pointer, len),
            (Err(why), _) | (_, Err(why)) => return Ok(Value::Unavailable(why)),
        };
        let Some(len) = len else {
            return self.c_string(node, pointer);
        };
        self.counted_text(node, pointer, len)
    }

    /// A text with its length before it.
    fn text_behind(
        &mut self,
        node: &TextNode,
        before: u32,
        slot: Slot,
        pointer: u64,
    ) -> Result<Value, DecodeError> {
        if pointer == 0 {
            return Ok(Value::Unavailable(Unavailable::Null));
        }
        match self.chunks.exact(slot, 8)? {
            Ok(len) => {
                let len = len.try_into().map_or(u64::MAX, u64::from_le_bytes);
                self.counted_text(node, pointer, len)
            }
            Err(why) => {
                let at = pointer.wrapping_sub(before.into());
                Ok(Value::Unavailable(located(why, at)))
            }
        }
    }

    /// A text of a known number of characters.
    fn counted_text(
        &mut self,
        node: &TextNode,
        pointer: u64,
        len: u64,
    ) -> Result<Value, DecodeError> {
        let (data, _) = self.chunks.next(node.slot)?;
        if len > MOST_LENGTH {
            let why = Unavailable::Invalid(format!("a length of {len}"));
            return Ok(Value::Unavailable(why));
        }
        let data = match data {
            Ok(data) => data,
            Err(why) => {
                let why = counted(located(why, pointer), len.saturating_sub(node.trim));
                return Ok(Value::Unavailable(why));
            }
        };
        let unit = u64::from(node.unit.max(1));
        let need = len.saturating_mul(unit).min(node.limit);
        if data.len() as u64 != need {
            return Err(DecodeError::Length {
                slot: node.slot,
                need,
                have: data.len() as u64,
            });
        }
        if unit > 1 {
            return Ok(wide_text(data, unit, len));
        }
        let data = &*self.without_breakpoints(pointer.wrapping_add(node.addend as u64), data);
        let all = len.saturating_sub(node.trim);
        let shown = data.get(..data.len().min(all as usize)).unwrap_or(data);
        if node.zero_ends
            && let Some(end) = shown.iter().position(|byte| *byte == 0)
        {
            let bytes = shown.get(..end).unwrap_or_default().to_vec();
            return Ok(Value::Text(Text { bytes, cut: None }));
        }
        Ok(Value::Text(Text {
            bytes: shown.to_vec(),
            cut: (all > shown.len() as u64).then_some(Cut { of: Some(all) }),
        }))
    }

    pub(super) fn c_string(&mut self, node: &TextNode, address: u64) -> Result<Value, DecodeError> {
        let target = if address == 0 {
            None
        } else {
            let (data, cut) = self.chunks.next(node.slot)?;
            Some(Box::new(match data {
                Ok(bytes) => Value::Text(Text {
                    bytes: self.without_breakpoints(address, bytes).into_owned(),
                    cut: cut.then_some(Cut { of: None }),
                }),
                Err(why) => Value::Unavailable(located(why, address)),
            }))
        };
        Ok(Value::Pointer(Pointer {
            address,
            symbol: None,
            transparent: target.is_some(),
            target,
        }))
    }

    pub(super) fn seq(
        &mut self,
        node: &SeqNode,
        view: &View<'_>,
        at: u64,
    ) -> Result<Value, DecodeError> {
        let (len_at, ring) = match node.len {
            SeqLen::Count(at) | SeqLen::End(at) => (at, None),
            SeqLen::Known(_) => (node.pointer, None),
            SeqLen::Ring {
                len,
                head,
                cap,
                slot,
            } => (len, Some((head, cap, slot))),
        };
        let word = |offset: u64| view.word(at.saturating_add(offset));
        let (pointer, len) = match (word(node.pointer), word(len_at)) {
            (Ok(pointer), Ok(len)) => (pointer, len),
            (Err(why), _) | (_, Err(why)) => return Ok(Value::Unavailable(why)),
        };
        if node.stride == 0 {
            let element = Node::Unit;
            let count = len.min(node.limit);
            let unit = self.value(&element, &View::row(&[]), 0)?;
            return Ok(sequence(vec![unit; count as usize], len, node.set));
        }
        let len = match node.len {
            SeqLen::End(_) => len.wrapping_sub(pointer) / node.stride,
            SeqLen::Known(count) => count,
            _ => len,
        };
        let address = pointer.wrapping_add(node.addend as u64);
        let shown = len.min(node.limit);
        let mut items = Vec::new();
        let failed = match ring {
            None => self.row(node, node.slot, shown, address, &mut items)?,
            Some((head, cap, slot)) => {
                let (Ok(head), Ok(cap)) = (word(head), word(cap)) else {
                    return Ok(Value::Unavailable(Unavailable::OptimisedOut));
                };
                let first = cap.wrapping_sub(head).min(shown);
                let from = address.wrapping_add(head.wrapping_mul(node.stride));
                let one = self.row(node, node.slot, first, from, &mut items)?;
                let two = self.row(node, slot, shown - first, address, &mut items)?;
                let bad = (head > cap || len > cap)
                    .then(|| Unavailable::Invalid("indices of a ring buffer".into()));
                one.or(two).or(bad)
            }
        };
        let invalid =
            (len > MOST_LENGTH).then(|| Unavailable::Invalid(format!("a length of {len}")));
        if let Some(why) = invalid.or(failed.map(|why| counted(why, len))) {
            return Ok(Value::Unavailable(why));
        }
        Ok(sequence(items, len, node.set))
    }

    /// Contiguous elements, or the reason why they could not be read.
    fn row(
        &mut self,
        node: &SeqNode,
        slot: Slot,
        count: u64,
        address: u64,
        items: &mut Vec<Value>,
    ) -> Result<Option<Unavailable>, DecodeError> {
        let data = match self.chunks.exact(slot, count.saturating_mul(node.stride))? {
            Ok(data) => data,
            Err(why) => return Ok(Some(located(why, address))),
        };
        let data = self.without_breakpoints(address, data);
        let stride = usize::try_from(node.stride).unwrap_or(usize::MAX).max(1);
        for element in data.chunks_exact(stride) {
            items.push(self.value(&node.element, &View::row(element), 0)?);
        }
        Ok(None)
    }
}

/// Adds the number of elements to a reason: it is known though they are not.
pub(super) fn counted(why: Unavailable, count: u64) -> Unavailable {
    match why {
        Unavailable::Unreadable(Some(address)) => Unavailable::UnreadableItems(address, count),
        why => why,
    }
}

/// A text of `all` UTF-16 or UTF-32 units within the value, as UTF-8.
fn short_text(
    node: &TextNode,
    short: ShortText,
    view: &View<'_>,
    at: u64,
    len: u64,
) -> Result<Value, Unavailable> {
    if len > short.most {
        return Err(Unavailable::Invalid(format!("a length of {len}")));
    }
    let unit = u64::from(node.unit.max(1));
    let shown = (len * unit).min(node.limit);
    let data = view.bytes(at.saturating_add(short.data), shown)?;
    if unit > 1 {
        return Ok(wide_text(&data, unit, len));
    }
    Ok(Value::Text(Text {
        bytes: data.to_vec(),
        cut: (len > shown).then_some(Cut { of: Some(len) }),
    }))
}

fn wide_text(data: &[u8], unit: u64, all: u64) -> Value {
    let text: Option<String> = if unit == 2 {
        let units: Vec<u16> = data
            .chunks_exact(2)
            .filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes))
            .collect();
        String::from_utf16(&units).ok()
    } else {
        let units = data.chunks_exact(4);
        let units = units.filter_map(|unit| unit.try_into().ok().map(u32::from_le_bytes));
        units.map(char::from_u32).collect()
    };
    let Some(text) = text else {
        let why = format!("UTF-{}", unit * 8);
        return Value::Unavailable(Unavailable::Invalid(why));
    };
    let cut = (all > data.len() as u64 / unit).then_some(Cut { of: None });
    Value::Text(Text {
        bytes: text.into_bytes(),
        cut,
    })
}

/// A sequence of elements, cut if there are more of them.
pub(in crate::plan) fn sequence(items: Vec<Value>, of: u64, set: bool) -> Value {
    let cut = (of > items.len() as u64).then_some(Cut { of: Some(of) });
    Value::Sequence(Sequence { items, cut, set })
}
