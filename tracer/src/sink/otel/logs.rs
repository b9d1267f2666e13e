//! An event as a log record.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};

use super::limits::STACK_FRAMES;
use super::values::{entry, list, map};
use super::{attribute, conventions::attribute as names, number_attribute, text_attribute};
use crate::event::{
    Access, Event, KernelAccess, NamedValue, SiteOrigin, SpanContext, SpanId, Stack, StackFrame,
    TraceId,
};
use crate::value::Value;

/// The W3C trace flag of a span that is recorded, as each is that is exported.
pub(super) const SAMPLED: u32 = 1;
/// Attributes of the tracer's own.
pub(super) const PROBE: &str = "tracer.probe";
const ACTION: &str = "tracer.action";
const HIT: &str = "tracer.hit";
const FRAMES: &str = "tracer.frames";
const LIMITED: &str = "tracer.left_out.limited";
const LOST: &str = "tracer.left_out.lost";
const SPAN_UNKNOWN: &str = "tracer.span_unknown";
const CALL: &str = "tracer.step.call";
const STEP: &str = "tracer.step.number";
const STEP_DEPTH: &str = "tracer.step.depth";
const STEP_KIND: &str = "tracer.step.kind";
const ACCESS_KIND: &str = "tracer.access.kind";
const ACCESS_ADDRESS: &str = "tracer.access.address";
const ACCESS_CODE: &str = "tracer.access.code";
const ACCESS_INSTRUCTION: &str = "tracer.access.instruction";
const ACCESS_BY_KERNEL: &str = "tracer.access.by_kernel";
const ACCESS_SYSTEM_CALL: &str = "tracer.access.system_call";
const ACCESS_UNCERTAIN: &str = "tracer.access.uncertain";

/// Names of attributes that no value may take.
const RESERVED: [&str; 15] = [
    names::CODE_FUNCTION_NAME,
    names::CODE_FILE_PATH,
    names::CODE_LINE_NUMBER,
    names::CODE_STACKTRACE,
    names::THREAD_ID,
    names::THREAD_NAME,
    names::PROCESS_PID,
    PROBE,
    ACTION,
    HIT,
    FRAMES,
    "tracer.left_out",
    SPAN_UNKNOWN,
    "tracer.step",
    "tracer.access",
];

/// Sites whose records are kept. Beyond it, all are made again.
const SITES: usize = 1 << 12;

/// Makes log records of events. The record of a site is made once, and then changed for each event.
#[derive(Debug, Default)]
pub(super) struct LogRecords {
    /// By the address of the site, which is compared and never followed.
    by_site: HashMap<usize, SiteRecord>,
}

#[derive(Debug)]
struct SiteRecord {
    /// Kept, so that no other site gets its address.
    origin: Arc<SiteOrigin>,
    record: LogRecord,
    /// Number of the attributes that all events have.
    fixed: usize,
    keys: Vec<PlannedKey>,
}

/// The key of a value in a record. `None` if the record has the value already.
#[derive(Debug)]
struct PlannedKey {
    expr: Arc<str>,
    key: Option<String>,
}

impl LogRecords {
    /// The record of an event, valid until the next one.
    pub(super) fn of(&mut self, event: &Event, observed_ns: u64) -> &LogRecord {
        let site = Arc::as_ptr(&event.origin).addr();
        if self.by_site.len() >= SITES && !self.by_site.contains_key(&site) {
            self.by_site.clear();
        }
        let site = self
            .by_site
            .entry(site)
            .or_insert_with(|| SiteRecord::new(&event.origin));
        site.fill(event, observed_ns);
        &site.record
    }
}

impl SiteRecord {
    fn new(origin: &Arc<SiteOrigin>) -> Self {
        let mut attributes = vec![
            number_attribute(names::PROCESS_PID, 0),
            number_attribute(names::THREAD_ID, 0),
            text_attribute(names::THREAD_NAME, ""),
            number_attribute(HIT, 0),
        ];
        attributes.extend(place_attributes(origin));
        Self {
            origin: Arc::clone(origin),
            fixed: attributes.len(),
            record: LogRecord {
                severity_number: SeverityNumber::Info.into(),
                severity_text: "INFO".to_owned(),
                attributes,
                ..LogRecord::default()
            },
            keys: Vec::new(),
        }
    }

    fn fill(&mut self, event: &Event, observed_ns: u64) {
        debug_assert!(Arc::ptr_eq(&self.origin, &event.origin));
        self.plan_keys(&event.values);
        let record = &mut self.record;
        record.time_unix_nano = event.time_ns;
        record.observed_time_unix_nano = observed_ns;
        set_text(&mut record.body, &event.message);
        if let [pid, tid, thread, hit, ..] = record.attributes.as_mut_slice() {
            pid.value = number(event.pid.into());
            tid.value = number(event.tid.into());
            set_text(&mut thread.value, &event.thread);
            hit.value = number(event.hit);
        }
        let mut at = self.fixed;
        for (value, planned) in event.values.iter().zip(&self.keys) {
            let Some(key) = &planned.key else { continue };
            put(&mut record.attributes, at, key, &value.value);
            at += 1;
        }
        record.attributes.truncate(at);
        let left_out = event.left_out;
        let more = [(LIMITED, left_out.limited), (LOST, left_out.lost)];
        let more = more.into_iter().filter(|(_, count)| *count > 0);
        let more = more.map(|(key, count)| number_attribute(key, count));
        record.attributes.extend(more);
        let ids = event.context.ids();
        record.trace_id = ids.map_or_else(Vec::new, |ids| trace_bytes(ids.trace));
        record.span_id = ids.map_or_else(Vec::new, |ids| span_bytes(ids.span));
        record.flags = ids.map_or(0, |_| SAMPLED);
        if let SpanContext::Unknown(why) = &event.context {
            record.attributes.push(text_attribute(SPAN_UNKNOWN, &**why));
        }
        record.attributes.extend(stack_attributes(&event.stack));
        if let Some(step) = &event.step {
            record.attributes.extend([
                number_attribute(CALL, step.call),
                number_attribute(STEP, step.number),
                number_attribute(STEP_DEPTH, step.depth.into()),
                text_attribute(STEP_KIND, step.kind.name()),
            ]);
        }
        if let Some(access) = &event.access {
            record.attributes.extend(access_attributes(access));
        }
    }

    /// Finds the keys of the values, unless they are those of the event before.
    fn plan_keys(&mut self, values: &[NamedValue]) {
        let is_same = |(value, planned): (&NamedValue, &PlannedKey)| {
            Arc::ptr_eq(&value.expr, &planned.expr) || value.expr == planned.expr
        };
        if values.len() == self.keys.len() && values.iter().zip(&self.keys).all(is_same) {
            return;
        }
        let mut keys: Vec<PlannedKey> = Vec::with_capacity(values.len());
        for value in values {
            let key = value_key(&value.expr)
                .filter(|key| !keys.iter().any(|other| other.key.as_deref() == Some(key)));
            keys.push(PlannedKey {
                expr: Arc::clone(&value.expr),
                key,
            });
        }
        self.keys = keys;
    }
}

/// The probe and the location of a site.
pub(super) fn place_attributes(origin: &SiteOrigin) -> Vec<KeyValue> {
    let mut attributes = vec![
        text_attribute(PROBE, &origin.probe_name),
        text_attribute(ACTION, origin.action),
    ];
    if !origin.function.is_empty() {
        attributes.push(text_attribute(names::CODE_FUNCTION_NAME, &origin.function));
    }
    if origin.line != 0 {
        let file = origin.file.to_string_lossy();
        attributes.push(text_attribute(names::CODE_FILE_PATH, file));
        attributes.push(number_attribute(names::CODE_LINE_NUMBER, origin.line));
    }
    attributes
}

/// The key of a value in an attribute: its expression, or the conventions' name of a special value. `None` if
/// each record has it anyway.
pub(super) fn value_key(expr: &str) -> Option<String> {
    Some(match expr {
        "$pid" | "$tid" | "$thread" | "$hit" | "$function" | "$time" => return None,
        "$process" => names::PROCESS_EXECUTABLE_NAME.to_owned(),
        "$cgroup" => names::PROCESS_LINUX_CGROUP.to_owned(),
        "$container" => names::CONTAINER_NAME.to_owned(),
        _ => {
            let is_reserved = |name: &str| {
                let rest = expr.strip_prefix(name);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            match RESERVED.into_iter().any(is_reserved) {
                true => format!("value.{expr}"),
                false => expr.to_owned(),
            }
        }
    })
}

/// The bytes of an id, the highest first.
pub(super) fn trace_bytes(id: TraceId) -> Vec<u8> {
    id.0.get().to_be_bytes().to_vec()
}

/// The bytes of an id, the highest first.
pub(super) fn span_bytes(id: SpanId) -> Vec<u8> {
    id.0.get().to_be_bytes().to_vec()
}

fn number(number: u64) -> Option<AnyValue> {
    let value = Some(super::values::unsigned(number.into()));
    Some(AnyValue { value })
}

/// Sets a text, in the memory of the text before.
fn set_text(place: &mut Option<AnyValue>, text: &str) {
    match place {
        Some(AnyValue {
            value: Some(Any::StringValue(there)),
        }) => {
            there.clear();
            there.push_str(text);
        }
        _ => {
            let value = Some(Any::StringValue(text.to_owned()));
            *place = Some(AnyValue { value });
        }
    }
}

/// Sets the attribute at a place. Its key is usually the same as for the event before.
fn put(attributes: &mut Vec<KeyValue>, at: usize, key: &str, value: &Value) {
    match attributes.get_mut(at) {
        Some(there) if there.key == key => {
            let value = super::values::any(value);
            there.value = Some(AnyValue { value });
        }
        _ => {
            attributes.truncate(at);
            attributes.push(entry(key, value));
        }
    }
}

/// The access to a watched value. Addresses are texts, as in the JSON output.
fn access_attributes(access: &Access) -> Vec<KeyValue> {
    let mut attributes = vec![
        text_attribute(ACCESS_KIND, access.kind.name()),
        text_attribute(ACCESS_ADDRESS, format!("{:#x}", access.address)),
        text_attribute(ACCESS_CODE, format!("{:#x}", access.code)),
        attribute(ACCESS_BY_KERNEL, Any::BoolValue(access.by_kernel.is_some())),
    ];
    let call = access.by_kernel.as_ref().and_then(KernelAccess::call);
    let more = [
        (ACCESS_INSTRUCTION, access.instruction.as_deref()),
        (ACCESS_SYSTEM_CALL, call.as_deref()),
        (ACCESS_UNCERTAIN, access.uncertain.as_deref()),
    ];
    let more = more.into_iter();
    attributes.extend(more.filter_map(|(key, text)| Some(text_attribute(key, text?))));
    attributes
}

/// The stack as text, and the values of its frames.
fn stack_attributes(stack: &Stack) -> Vec<KeyValue> {
    if stack.frames.is_empty() {
        return Vec::new();
    }
    let mut attributes = vec![text_attribute(names::CODE_STACKTRACE, stack_text(stack))];
    if stack.frames.iter().any(|frame| !frame.values.is_empty()) {
        let frames = stack.frames.iter().take(STACK_FRAMES);
        attributes.push(attribute(
            FRAMES,
            list(frames.map(|frame| Some(of_frame(frame)))),
        ));
    }
    attributes
}

fn of_frame(frame: &StackFrame) -> Any {
    let function = frame.function.as_ref();
    let mut entries: Vec<KeyValue> = function
        .map(|name| text_attribute("function", name))
        .into_iter()
        .collect();
    if let Some(file) = &frame.file {
        entries.push(text_attribute("file", file.to_string_lossy()));
    }
    if let Some(line) = frame.line {
        entries.push(number_attribute("line", line));
    }
    if !frame.values.is_empty() {
        let values = frame.values.iter();
        let values = map(values.map(|value| entry(&*value.expr, &value.value)));
        entries.push(attribute("values", values));
    }
    map(entries)
}

/// One line for each frame, the innermost first.
fn stack_text(stack: &Stack) -> String {
    let mut text = String::new();
    for frame in stack.frames.iter().take(STACK_FRAMES) {
        // Writing to a string cannot fail.
        let _ = match &frame.function {
            Some(function) => write!(text, "at {function}"),
            None => write!(text, "at {:#x}", frame.address),
        };
        if let (Some(file), Some(line)) = (&frame.file, frame.line) {
            let _ = write!(text, " ({}:{line})", file.display());
        }
        let mark = frame.kind.mark();
        if !mark.is_empty() {
            let _ = write!(text, " {mark}");
        }
        text.push('\n');
    }
    if let Some(more) = stack.frames.len().checked_sub(STACK_FRAMES)
        && more > 0
    {
        let _ = writeln!(text, "… {more} more");
    }
    if let Some(why) = &stack.stopped {
        let _ = writeln!(text, "… {why}");
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests;
