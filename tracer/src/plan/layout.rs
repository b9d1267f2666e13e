//! What a plan's records hold: values by name, and the message made of them.

use std::sync::Arc;

use tracer_common::record::{FLAG_NO_ROOM, FLAG_STEPS, RecordHeader};

use super::capture::{Captured, Root};
use super::decode::{Chunks, DecodeError, Decoder, Symbols};
use super::stack::StackSlots;
use super::timing;
use crate::event::NamedValue;
use crate::lang::ast::{Format, Special};
use crate::redact::Redactor;
use crate::stack::CapturedStack;
use crate::unavailable::Unavailable;
use crate::value::{Text, Value, debug};

/// Bytes that most messages fit into.
const MESSAGE: usize = 64;

/// Decodes the records of one plan.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(super) captured: Captured,
    pub(super) entries: Vec<Entry>,
    pub(super) parts: Vec<Part>,
    pub(super) stack: Option<StackSlots>,
    pub(super) redactor: Redactor,
}

/// One value of the event.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) expr: Arc<str>,
    pub(super) ty: Arc<str>,
    pub(super) source: Source,
    /// The expression names what is redacted: nobody gets the value.
    pub(super) hidden: bool,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// The captured value of that number.
    Captured(usize),
    /// The record's header.
    Special(Special),
    /// The value of that number among those of the end of what is timed.
    End(usize),
}

/// A part of the message.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Text(String),
    /// The value of that number.
    Hole(usize, Format),
}

/// What the decoder cannot see in the record.
#[derive(Clone, Copy, Default)]
pub struct Context<'a> {
    /// Names functions and statics.
    pub symbols: Option<&'a dyn Symbols>,
    /// Process and thread id as the user sees them; else as the record has them.
    pub ids: Option<(u32, u32)>,
    /// Time of the hit in ns since the Unix epoch; else the monotonic clock's.
    pub time_ns: Option<u64>,
}

/// The values of one hit.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The record's header.
    pub header: RecordHeader,
    /// The template filled in.
    pub message: String,
    /// The values in it.
    pub values: Vec<NamedValue>,
    /// The record was cut at a limit of the machine.
    pub cut: bool,
    /// The stack, when the probe asks for it.
    pub stack: Option<CapturedStack>,
}

/// The room of an event that is not needed any more.
#[derive(Debug, Default)]
pub struct Room {
    /// Of its message.
    pub message: String,
    /// Of its values.
    pub values: Vec<NamedValue>,
}

/// Room that decoding needs for itself, from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    values: Vec<Option<Value>>,
}

/// A value of an event, before there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedValue {
    /// The expression, as typed, or the variable's name.
    pub expr: Arc<str>,
    /// Its type, as the source writes it.
    pub ty: Arc<str>,
    /// Why no event will have it; `None`: events will, as far as memory can be read.
    pub unavailable: Option<Unavailable>,
}

impl Layout {
    /// The values of each event, in the order of the message.
    #[must_use]
    pub fn planned(&self) -> Vec<PlannedValue> {
        let planned = |entry: &Entry| PlannedValue {
            expr: entry.expr.clone(),
            ty: entry.ty.clone(),
            unavailable: match entry.source {
                Source::Captured(index) => self.captured.roots.get(index).and_then(Root::missing),
                Source::Special(_) | Source::End(_) => None,
            },
        };
        // What is known at the end is of the end's own plan.
        let own = |entry: &&Entry| !matches!(entry.source, Source::End(_));
        self.entries.iter().filter(own).map(planned).collect()
    }

    /// What is replaced in the values before anybody gets them.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Decodes a record without knowing the process.
    ///
    /// # Errors
    /// The record is not one of this plan.
    pub fn decode(&self, record: &[u8]) -> Result<Decoded, DecodeError> {
        self.decode_with(record, &Context::default())
    }

    /// Decodes a record.
    ///
    /// # Errors
    /// The record is not one of this plan.
    pub fn decode_with(
        &self,
        record: &[u8],
        context: &Context<'_>,
    ) -> Result<Decoded, DecodeError> {
        self.decode_into(record, context, Room::default(), &mut Scratch::default())
    }

    /// The same, in the room of what is not needed any more.
    ///
    /// # Errors
    /// The record is not one of this plan.
    pub fn decode_into(
        &self,
        record: &[u8],
        context: &Context<'_>,
        room: Room,
        scratch: &mut Scratch,
    ) -> Result<Decoded, DecodeError> {
        let Room { message, values } = room;
        let (header, values, stack) =
            self.values(record, context, (Vec::new(), values), scratch)?;
        Ok(self.shown(header, values, stack, message))
    }

    /// Decodes the record that was sent at the end of what is timed; `begin` has the template,
    /// and what was known at the beginning.
    ///
    /// # Errors
    /// The record is not one of these plans.
    pub fn decode_timed(
        &self,
        begin: &Self,
        record: &[u8],
        context: &Context<'_>,
    ) -> Result<Decoded, DecodeError> {
        let (kept, rest) = timing::split(record)?;
        let mut scratch = Scratch::default();
        let nothing = || (Vec::new(), Vec::new());
        let (header, values, stack) = self.values(&rest, context, nothing(), &mut scratch)?;
        let end = (values, Vec::new());
        let (_, values, _) = begin.values(&kept, context, end, &mut scratch)?;
        Ok(begin.shown(header, values, stack, String::new()))
    }

    /// The values of a record, and its stack; `end` has those of the end of what is timed, `named`
    /// what is not needed any more.
    fn values(
        &self,
        record: &[u8],
        context: &Context<'_>,
        (end, mut named): (Vec<NamedValue>, Vec<NamedValue>),
        scratch: &mut Scratch,
    ) -> Result<(RecordHeader, Vec<NamedValue>, Option<CapturedStack>), DecodeError> {
        let (header, chunks) = Chunks::of(record)?;
        let mut decoder = Decoder::new(chunks, context.symbols, &self.captured);
        let values = &mut scratch.values;
        values.clear();
        for root in &self.captured.roots {
            values.push(Some(decoder.root(root, &self.captured)?));
        }
        let mut end: Vec<Option<NamedValue>> = end.into_iter().map(Some).collect();
        let stack = self.stack.as_ref();
        let stack = stack.map(|slots| decoder.stack(slots)).transpose()?;
        let take =
            |value: Option<Value>| value.unwrap_or(Value::Unavailable(Unavailable::OptimisedOut));
        let mut count = 0;
        for entry in &self.entries {
            let mut value = match entry.source {
                Source::Captured(index) => take(values.get_mut(index).and_then(Option::take)),
                Source::Special(special) => special_value(special, &header, context),
                Source::End(index) => {
                    named.truncate(count);
                    named.extend(end.get_mut(index).and_then(Option::take));
                    count = named.len();
                    continue;
                }
            };
            if entry.hidden {
                value = Value::Unavailable(Unavailable::Redacted);
            } else {
                self.redactor.value(&mut value, 0);
            }
            match named.get_mut(count) {
                // Names are shared with whoever had the last event: to count that once more, and
                // once less, is dearer than the rest of it.
                Some(old) if old.is_named(&entry.expr, &entry.ty) => old.value = value,
                _ => {
                    named.truncate(count);
                    named.push(NamedValue {
                        expr: entry.expr.clone(),
                        ty: entry.ty.clone(),
                        value,
                    });
                }
            }
            count += 1;
        }
        named.truncate(count);
        Ok((header, named, stack))
    }

    /// Fills the template in.
    fn shown(
        &self,
        header: RecordHeader,
        values: Vec<NamedValue>,
        stack: Option<CapturedStack>,
        mut message: String,
    ) -> Decoded {
        message.clear();
        message.reserve(MESSAGE);
        for part in &self.parts {
            match part {
                Part::Text(text) => message.push_str(text),
                Part::Hole(index, format) => {
                    if let Some(named) = values.get(*index) {
                        // Writing to a string does not fail.
                        let _ = debug::write(&mut message, &named.value, *format);
                    }
                }
            }
        }
        Decoded {
            header,
            message,
            values,
            cut: u32::from(header.flags) & (FLAG_STEPS | FLAG_NO_ROOM) != 0,
            stack,
        }
    }
}

fn special_value(special: Special, header: &RecordHeader, context: &Context<'_>) -> Value {
    let (pid, tid) = context.ids.unwrap_or((header.pid, header.tid));
    let text = |bytes: &[u8]| {
        Value::Text(Text {
            bytes: bytes.to_vec(),
            cut: None,
        })
    };
    match special {
        Special::Pid => Value::Uint(u128::from(pid)),
        Special::Tid => Value::Uint(u128::from(tid)),
        Special::Hit => Value::Uint(u128::from(header.hit)),
        Special::Thread => {
            let name = header.comm.split(|byte| *byte == 0).next();
            text(name.unwrap_or_default())
        }
        Special::Time => {
            let stamp = context
                .time_ns
                .and_then(|ns| jiff::Timestamp::from_nanosecond(i128::from(ns)).ok());
            match stamp {
                Some(stamp) => text(stamp.to_string().as_bytes()),
                None => Value::Uint(u128::from(header.ktime_ns)),
            }
        }
        Special::Return | Special::Elapsed => {
            Value::Unavailable(Unavailable::Unsupported("at this kind of probe".into()))
        }
    }
}
