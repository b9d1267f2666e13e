//! Events as lines. The common part of a site's events is encoded once and copied from then on.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use serde::Serialize;

use super::Printable;
use crate::event::{
    Access, AccessKind, Event, FrameKind, KernelAccess, NamedValue, SiteOrigin, SpanContext,
    SpanEvent, SpanIds, SpanStatus, StackFrame, StepEvent,
};
use crate::sink::stamp::Stamp;
use crate::value::Value;

/// Most origins that are kept. If there are more, all of them are encoded again.
const MOST_ORIGINS: usize = 1 << 10;

/// Makes the lines of events.
pub(super) struct EventLines {
    stamp: Stamp,
    /// Known origins by address. The entry keeps the origin alive.
    known: HashMap<usize, KnownOrigin>,
}

/// The common part of one origin's events.
struct KnownOrigin {
    /// Held, so that its address is no other's.
    _origin: Arc<SiteOrigin>,
    /// From the probe's name to the function's.
    origin_keys: Vec<u8>,
    values: Vec<KnownValue>,
}

/// The common part of one value in these events.
struct KnownValue {
    expr: Arc<str>,
    ty: Arc<str>,
    /// Expression and type.
    keys: Vec<u8>,
}

impl EventLines {
    pub(super) fn new() -> Self {
        Self {
            stamp: Stamp::utc(),
            known: HashMap::new(),
        }
    }

    /// The time as all lines have it.
    pub(super) fn time(&mut self, time_ns: u64) -> String {
        let mut out = Vec::new();
        self.write_time(&mut out, time_ns);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn write_time(&mut self, out: &mut Vec<u8>, time_ns: u64) {
        let (clock, nanoseconds) = self.stamp.of(time_ns);
        out.extend_from_slice(clock.as_bytes());
        out.push(b'.');
        let mut digits = *b"000000000";
        let mut left = nanoseconds;
        for digit in digits.iter_mut().rev() {
            *digit += (left % 10) as u8;
            left /= 10;
        }
        out.extend_from_slice(&digits);
        out.push(b'Z');
    }

    /// Appends the event's line to `out`.
    ///
    /// # Errors
    /// None in practice: encoding a value does not fail.
    pub(super) fn event(&mut self, out: &mut Vec<u8>, event: &Event) -> io::Result<()> {
        out.extend_from_slice(br#"{"type":"event","time":""#);
        self.write_time(out, event.time_ns);
        let known = self.known(&event.origin)?;
        out.extend_from_slice(&known.origin_keys);
        key(out, "pid", &event.pid)?;
        key(out, "tid", &event.tid)?;
        key(out, "thread", &event.thread)?;
        key(out, "hit", &event.hit)?;
        key(out, "message", &event.message)?;
        out.extend_from_slice(br#","values":["#);
        for (index, named) in event.values.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(known.value(index, named)?);
            append(out, &named.value)?;
            out.push(b'}');
        }
        out.push(b']');
        if !event.stack.frames.is_empty() {
            key(out, "stack", &Frames(&event.stack.frames))?;
        }
        if let Some(stopped) = &event.stack.stopped {
            key(out, "stack_stopped", stopped)?;
        }
        match &event.context {
            SpanContext::Outside => {}
            SpanContext::Inside(SpanIds { trace, span }) => {
                key(out, "trace_id", &trace.to_string())?;
                key(out, "span_id", &span.to_string())?;
            }
            SpanContext::Unknown(why) => key(out, "span_unknown", &**why)?,
        }
        if let Some(span) = &event.span {
            self.span(out, span)?;
        }
        if let Some(step) = &event.step {
            let address = format!("{:#x}", event.origin.address);
            let frame_function = event.origin.frame_function.as_deref();
            let line = StepLine {
                step,
                address,
                frame_function,
            };
            key(out, "step", &line)?;
        }
        if let Some(access) = &event.access {
            key(out, "access", &AccessLine::of(access))?;
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    /// Appends the part of a span.
    fn span(&mut self, out: &mut Vec<u8>, span: &SpanEvent) -> io::Result<()> {
        let (code, message) = match &span.status {
            SpanStatus::Unset => ("unset", None),
            SpanStatus::Error(message) => ("error", Some(&**message)),
        };
        let events = span.events.iter().map(|event| InnerEventLine {
            time: self.time(event.time_ns),
            probe: &event.origin.probe_name,
            hit: event.hit,
            message: &event.message,
        });
        let events = events.collect();
        let line = SpanLine {
            name: &span.name,
            trace_id: span.ids.trace.to_string(),
            span_id: span.ids.span.to_string(),
            parent_span_id: span.parent.map(|parent| parent.to_string()),
            parent_is_remote: span.parent_is_remote,
            start: self.time(span.start_ns),
            duration_ns: span.duration_ns,
            status: StatusLine { code, message },
            attributes: Attributes(&span.attributes),
            events,
            left_out_events: span.left_out_events,
            notes: &span.notes,
        };
        key(out, "span", &line)
    }

    fn known(&mut self, origin: &Arc<SiteOrigin>) -> io::Result<&mut KnownOrigin> {
        let address = Arc::as_ptr(origin).addr();
        if self.known.len() >= MOST_ORIGINS && !self.known.contains_key(&address) {
            self.known.clear();
        }
        Ok(match self.known.entry(address) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(KnownOrigin::of(Arc::clone(origin))?)
            }
        })
    }
}

impl KnownOrigin {
    fn of(origin: Arc<SiteOrigin>) -> io::Result<Self> {
        let mut keys = vec![b'"'];
        key(&mut keys, "probe", &origin.probe_name)?;
        key(&mut keys, "action", &origin.action)?;
        if origin.file.file_name().is_some() {
            key(&mut keys, "file", &origin.file.to_string_lossy())?;
            key(&mut keys, "line", &origin.line)?;
        }
        key(&mut keys, "function", &origin.function)?;
        Ok(Self {
            _origin: origin,
            origin_keys: keys,
            values: Vec::new(),
        })
    }

    /// All of a value's object that stands before the value.
    fn value(&mut self, index: usize, named: &NamedValue) -> io::Result<&[u8]> {
        let is_it = |known: &KnownValue| {
            Arc::ptr_eq(&known.expr, &named.expr) && Arc::ptr_eq(&known.ty, &named.ty)
        };
        if !self.values.get(index).is_some_and(is_it) {
            let mut keys = br#"{"expr":"#.to_vec();
            append(&mut keys, &*named.expr)?;
            key(&mut keys, "type", &*named.ty)?;
            keys.extend_from_slice(br#","value":"#);
            // Values come in order, so all before this one are there.
            self.values.truncate(index);
            self.values.push(KnownValue {
                expr: Arc::clone(&named.expr),
                ty: Arc::clone(&named.ty),
                keys,
            });
        }
        Ok(self.values.get(index).map_or(&[], |known| &known.keys))
    }
}

/// Appends `,"name":value`.
fn key(out: &mut Vec<u8>, name: &str, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    append(out, value)
}

fn append(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, Printable);
    value.serialize(&mut serializer)?;
    Ok(())
}

/// The values, written one by one without a list of their own.
struct Values<'e>(&'e [NamedValue]);

impl Values<'_> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.0.iter().map(|value| ValueLine {
            expr: &value.expr,
            r#type: &value.ty,
            value: &value.value,
        }))
    }
}

#[derive(Serialize)]
struct ValueLine<'e> {
    expr: &'e str,
    r#type: &'e str,
    value: &'e Value,
}

/// A step, with the link address of its line.
#[derive(Serialize)]
struct StepLine<'e> {
    #[serde(flatten)]
    step: &'e StepEvent,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_function: Option<&'e str>,
}

/// An access to a watched value. Addresses are texts, since readers of JSON take large numbers for floats.
#[derive(Serialize)]
pub(in crate::sink) struct AccessLine<'e> {
    kind: AccessKind,
    address: String,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instruction: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_kernel: Option<&'e KernelAccess>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uncertain: Option<&'e str>,
}

impl<'e> AccessLine<'e> {
    pub(in crate::sink) fn of(access: &'e Access) -> Self {
        Self {
            kind: access.kind,
            address: format!("{:#x}", access.address),
            code: format!("{:#x}", access.code),
            instruction: access.instruction.as_deref(),
            by_kernel: access.by_kernel.as_ref(),
            uncertain: access.uncertain.as_deref(),
        }
    }
}

/// A span, with the events inside by their probe and number.
#[derive(Serialize)]
struct SpanLine<'e> {
    name: &'e str,
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    parent_is_remote: bool,
    start: String,
    duration_ns: u64,
    status: StatusLine<'e>,
    attributes: Attributes<'e>,
    events: Vec<InnerEventLine<'e>>,
    #[serde(skip_serializing_if = "is_zero")]
    left_out_events: u64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'e [String],
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it by reference"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Serialize)]
struct StatusLine<'e> {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'e str>,
}

#[derive(Serialize)]
struct InnerEventLine<'e> {
    time: String,
    probe: &'e str,
    hit: u64,
    message: &'e str,
}

/// The attributes of a span as an object.
struct Attributes<'e>(&'e [NamedValue]);

impl Serialize for Attributes<'_> {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(self.0.iter().map(|named| (&*named.expr, &named.value)))
    }
}

/// The frames of a stack.
pub(in crate::sink) struct Frames<'e>(pub(in crate::sink) &'e [StackFrame]);

impl Serialize for Frames<'_> {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.0.iter().map(FrameLine::from))
    }
}

#[derive(Serialize)]
struct FrameLine<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    inlined: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tail_call: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    signal: bool,
    address: String,
    #[serde(skip_serializing_if = "Values::is_empty")]
    values: Values<'e>,
}

impl<'e> From<&'e StackFrame> for FrameLine<'e> {
    fn from(frame: &'e StackFrame) -> Self {
        let file = frame.file.as_ref();
        Self {
            function: frame.function.as_deref(),
            file: file.map(|file| file.to_string_lossy().into_owned()),
            line: frame.line,
            inlined: frame.kind == FrameKind::Inlined,
            tail_call: frame.kind == FrameKind::TailCall,
            signal: frame.kind == FrameKind::Signal,
            address: format!("{:#x}", frame.address),
            values: Values(&frame.values),
        }
    }
}
