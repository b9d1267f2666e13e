//! Layout of a plan's records: the values with their names, and the message.

use std::sync::Arc;

use tracer_common::record::{FLAG_LEFT, FLAG_NO_ROOM, FLAG_STEPS, RecordHeader};

use crate::base::unavailable::Unavailable;
use crate::event::{NamedValue, ProcessLabels};
use crate::lang::ast::{Format, Special};
use crate::plan::capture::{Captured, Root};
use crate::plan::decode::kept;
use crate::plan::decode::span_begin::SpanBegin;
use crate::plan::decode::stack_slots::StackSlots;
use crate::plan::decode::{Chunks, DecodeError, Decoder, Symbols};
use crate::plan::shape::Slot;
use crate::stack::CapturedStack;
use crate::value::redact::Redactor;
use crate::value::{Text, Value, debug};

/// Enough bytes for most messages.
const MESSAGE: usize = 64;

/// Decodes the records of one plan.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(in crate::plan) captured: Captured,
    pub(in crate::plan) entries: Vec<Entry>,
    pub(in crate::plan) parts: Vec<MessagePart>,
    pub(in crate::plan) stack: Option<StackSlots>,
    /// The kind of the access to a watched value.
    pub(in crate::plan) access: Option<Slot>,
    pub(in crate::plan) redactor: Redactor,
    /// The call, where a span begins.
    pub(in crate::plan) span: Option<SpanBegin>,
}

/// One value of the event.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Entry {
    pub(in crate::plan) expr: Arc<str>,
    pub(in crate::plan) ty: Arc<str>,
    pub(in crate::plan) source: Source,
    /// A name on the way to the value is redacted.
    pub(in crate::plan) hidden: bool,
}

/// The source of a value.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) enum Source {
    /// The captured value of this index.
    Captured(usize),
    /// A field of the record's header.
    Special(Special),
    /// The n-th value captured when the timing ended.
    End(usize),
}

/// A part of the message.
#[derive(Clone, Debug)]
pub(in crate::plan) enum MessagePart {
    Text(String),
    /// The value of this index.
    Hole(usize, Format),
}

/// Facts about a hit that are not in its record.
#[derive(Clone, Copy, Default)]
pub struct Context<'a> {
    /// Names functions and statics.
    pub symbols: Option<&'a dyn Symbols>,
    /// Process and thread id in the user's namespace. `None` for those in the record.
    pub ids: Option<(u32, u32)>,
    /// Time of the hit in ns since the Unix epoch. `None` for the monotonic clock.
    pub time_ns: Option<u64>,
    /// Looks the process up, for the values that are of it. `None` if it is not known.
    pub process: Option<&'a dyn Fn() -> Arc<ProcessLabels>>,
}

/// The values of one hit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// The record's header.
    pub header: RecordHeader,
    /// The template filled in.
    pub message: String,
    /// The values in it.
    pub values: Vec<NamedValue>,
    /// The record was cut at a limit of the machine.
    pub cut: bool,
    /// The stack, if the probe asks for it. For an access to a watched value, at least its registers.
    pub stack: Option<CapturedStack>,
    /// The kind of the access to a watched value, see [`tracer_common::watch::BY_PROGRAM`].
    pub access: Option<u64>,
}

/// The parts of a record.
struct RecordParts {
    header: RecordHeader,
    values: Vec<NamedValue>,
    stack: Option<CapturedStack>,
    access: Option<u64>,
}

/// Buffers of an old event, for reuse.
#[derive(Debug, Default)]
pub struct EventBuffers {
    /// The buffer of its message.
    pub message: String,
    /// The buffer of its values.
    pub values: Vec<NamedValue>,
}

/// Buffers that decoding uses from record to record.
#[derive(Debug, Default)]
pub struct DecodeScratch {
    values: Vec<Option<Value>>,
}

/// A value that future events will have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedValue {
    /// The expression, as typed, or the variable's name.
    pub expr: Arc<str>,
    /// Its type, as the source writes it.
    pub ty: Arc<str>,
    /// Why no event will have it. `None` if events will, unless memory is unreadable.
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
        // The plan of the end plans the values of the end.
        let own = |entry: &&Entry| !matches!(entry.source, Source::End(_));
        self.entries.iter().filter(own).map(planned).collect()
    }

    /// Redacts values before anybody gets them.
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
        self.decode_into(
            record,
            context,
            EventBuffers::default(),
            &mut DecodeScratch::default(),
        )
    }

    /// Decodes a record, and reuses the allocations of an old event.
    ///
    /// # Errors
    /// The record is not one of this plan.
    pub fn decode_into(
        &self,
        record: &[u8],
        context: &Context<'_>,
        room: EventBuffers,
        scratch: &mut DecodeScratch,
    ) -> Result<Decoded, DecodeError> {
        let EventBuffers { message, values } = room;
        let parts = self.values(record, context, Vec::new(), values, scratch)?;
        Ok(self.shown(parts, message))
    }

    /// Decodes the record that the end of a timing sent. `begin` has the template and the values of
    /// the beginning.
    ///
    /// # Errors
    /// The record is not one of these plans.
    pub fn decode_timed(
        &self,
        begin: &Self,
        record: &[u8],
        context: &Context<'_>,
    ) -> Result<Decoded, DecodeError> {
        let (kept, rest) = kept::split(record)?;
        let mut scratch = DecodeScratch::default();
        let end = self.values(&rest, context, Vec::new(), Vec::new(), &mut scratch)?;
        let begun = begin.values(&kept, context, end.values, Vec::new(), &mut scratch)?;
        let parts = RecordParts {
            values: begun.values,
            ..end
        };
        Ok(begin.shown(parts, String::new()))
    }

    /// The calls that begin here, if they are spans.
    #[must_use]
    pub const fn span(&self) -> Option<&SpanBegin> {
        self.span.as_ref()
    }

    /// Returns true if the records have the call stack.
    #[must_use]
    pub const fn has_stack(&self) -> bool {
        self.stack.is_some()
    }

    /// Decodes what is kept of an open span, which begins here: `chunks` of a hit with this header. The
    /// values of its end are missing.
    ///
    /// # Errors
    /// The chunks are not of this plan.
    pub fn decode_begun(
        &self,
        header: RecordHeader,
        chunks: &[u8],
        context: &Context<'_>,
    ) -> Result<Vec<NamedValue>, DecodeError> {
        let (_, values) = self.begun(header, chunks, context)?;
        Ok(values)
    }

    /// Decodes a span that was left without its end, from what is kept of it. `header` is that of the hit
    /// that found it, which is no hit of the call.
    ///
    /// # Errors
    /// The chunks are not of this plan.
    pub fn decode_left(
        &self,
        header: RecordHeader,
        chunks: &[u8],
        context: &Context<'_>,
    ) -> Result<Decoded, DecodeError> {
        let (header, values) = self.begun(header, chunks, context)?;
        let parts = RecordParts {
            header,
            values,
            stack: None,
            access: None,
        };
        Ok(self.shown(parts, String::new()))
    }

    fn begun(
        &self,
        header: RecordHeader,
        chunks: &[u8],
        context: &Context<'_>,
    ) -> Result<(RecordHeader, Vec<NamedValue>), DecodeError> {
        let kept = kept::record(header, chunks);
        let missing = NamedValue {
            expr: "".into(),
            ty: "".into(),
            value: Value::Unavailable(Unavailable::Left),
        };
        let end = vec![missing; self.entries.len()];
        let mut scratch = DecodeScratch::default();
        let parts = self.values(&kept, context, end, Vec::new(), &mut scratch)?;
        Ok((parts.header, parts.values))
    }

    /// The parts of a record. `end` has the values from the end of a timing.
    /// `named` is the buffer of an old event.
    fn values(
        &self,
        record: &[u8],
        context: &Context<'_>,
        end: Vec<NamedValue>,
        mut named: Vec<NamedValue>,
        scratch: &mut DecodeScratch,
    ) -> Result<RecordParts, DecodeError> {
        let (header, chunks) = Chunks::of(record)?;
        let mut decoder = Decoder::new(chunks, context.symbols, &self.captured);
        let values = &mut scratch.values;
        values.clear();
        decoder.origin(&self.captured)?;
        for root in &self.captured.roots {
            values.push(Some(decoder.root(root, &self.captured)?));
        }
        let mut end: Vec<Option<NamedValue>> = end.into_iter().map(Some).collect();
        let stack = self.stack.as_ref();
        let stack = stack.map(|slots| decoder.stack(slots)).transpose()?;
        let access = self.access.map(|slot| decoder.word(slot)).transpose()?;
        let take =
            |value: Option<Value>| value.unwrap_or(Value::Unavailable(Unavailable::OptimisedOut));
        let mut count = 0;
        for entry in &self.entries {
            let mut value = match entry.source {
                Source::Captured(index) => take(values.get_mut(index).and_then(Option::take)),
                // Those of another hit are not those of the call.
                Source::Special(_) if u32::from(header.flags) & FLAG_LEFT != 0 => {
                    Value::Unavailable(Unavailable::Left)
                }
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
                // Keeping the shared names of the old event is cheaper than counting references to
                // them again.
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
        Ok(RecordParts {
            header,
            values: named,
            stack,
            access: access.flatten(),
        })
    }

    /// Fills the template in.
    fn shown(&self, parts: RecordParts, mut message: String) -> Decoded {
        let RecordParts {
            header,
            values,
            stack,
            access,
        } = parts;
        message.clear();
        message.reserve(MESSAGE);
        for part in &self.parts {
            match part {
                MessagePart::Text(text) => message.push_str(text),
                MessagePart::Hole(index, format) => {
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
            access,
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
        Special::Process | Special::Cgroup | Special::Container => match context.process {
            Some(look_up) => look_up().value(special),
            None => Value::Unavailable(Unavailable::ProcessGone),
        },
        Special::Return | Special::Elapsed => {
            Value::Unavailable(Unavailable::Unsupported("at this kind of probe".into()))
        }
    }
}
