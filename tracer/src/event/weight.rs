//! Memory use of events, so that waiting events can be bounded in bytes.

use super::{Access, Event, NamedValue, SpanEvent, StackFrame, StepEvent};
use crate::value::Value;

/// Depth to which a value is weighed: deeper than any is read.
const DEPTH: usize = 64;
/// Bytes that an allocator adds to each block, and rounds it up by.
const BLOCK: usize = 16;

impl Event {
    /// Estimated bytes that it takes, with everything that hangs on it and is not shared.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + 3 * BLOCK
            + self.message.capacity()
            + self.thread.capacity()
            + named(&self.values)
            + self.stack.frames.iter().map(frame).sum::<usize>()
            + self.span.as_ref().map_or(0, |span| span.weight())
            + self
                .step
                .as_ref()
                .map_or(0, |_| size_of::<StepEvent>() + BLOCK)
            + self.access.as_ref().map_or(0, |access| {
                size_of::<Access>() + 2 * BLOCK + access.weight()
            })
    }
}

impl SpanEvent {
    /// Estimated bytes that it takes. The events inside are counted where they are shown.
    fn weight(&self) -> usize {
        let notes = self.notes.iter().map(|note| BLOCK + note.capacity());
        size_of::<Self>()
            + 4 * BLOCK
            + self.name.capacity()
            + named(&self.attributes)
            + self.events.len() * size_of::<usize>()
            + notes.sum::<usize>()
    }
}

fn frame(frame: &StackFrame) -> usize {
    let function = frame.function.as_ref().map_or(0, String::capacity);
    size_of::<StackFrame>() + BLOCK + function + named(&frame.values)
}

fn named(values: &[NamedValue]) -> usize {
    let one = |value: &NamedValue| size_of::<NamedValue>() + heap(&value.value, DEPTH);
    values.iter().map(one).sum()
}

/// Bytes that hang on a value.
fn heap(value: &Value, depth: usize) -> usize {
    let Some(depth) = depth.checked_sub(1) else {
        return 0;
    };
    let fields = |fields: &[(String, Value)]| -> usize {
        let one = |(name, value): &(String, Value)| {
            size_of::<(String, Value)>() + BLOCK + name.capacity() + heap(value, depth)
        };
        BLOCK + fields.iter().map(one).sum::<usize>()
    };
    let items = |items: &[Value]| -> usize {
        let one = |item: &Value| size_of::<Value>() + heap(item, depth);
        BLOCK + items.iter().map(one).sum::<usize>()
    };
    match value {
        Value::Text(text) => BLOCK + text.bytes.capacity(),
        Value::Struct(inner) => BLOCK + inner.name.capacity() + fields(&inner.fields),
        Value::Variant(inner) => {
            2 * BLOCK + inner.ty.capacity() + inner.name.capacity() + fields(&inner.fields)
        }
        Value::Tuple(inner) => items(inner),
        Value::Range(range) => items(&**range),
        Value::Sequence(inner) => items(&inner.items),
        Value::Map(map) => {
            let one = |(key, value): &(Value, Value)| {
                size_of::<(Value, Value)>() + heap(key, depth) + heap(value, depth)
            };
            BLOCK + map.entries.iter().map(one).sum::<usize>()
        }
        Value::Pointer(pointer) => {
            let symbol = pointer.symbol.as_ref().map_or(0, String::capacity);
            let target = pointer.target.as_ref();
            symbol + target.map_or(0, |target| BLOCK + size_of::<Value>() + heap(target, depth))
        }
        _ => 0,
    }
}
