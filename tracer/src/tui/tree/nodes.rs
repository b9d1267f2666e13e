//! The parts of an event, and the parts of each part.

use std::cell::OnceCell;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::super::compact::{ValueSummary, summary};
use super::super::glyphs;
use super::{
    Copied, NodeId, RowKind, SourcePlace, TreeLook, address, bytes, leaf_text, numbers, types,
};
use crate::event::{Access, AccessKind, Event, NamedValue, StackFrame, counted};
use crate::value::{Cut, Map, Pointer, Sequence, Struct, Value, Variant};

/// Levels of references that lead to other references.
const REFERENCES: usize = 64;
/// Columns of a key that stands before its value.
const KEY: usize = 40;
/// Entries of a map whose keys are looked for in the map of the event before.
const KEYS: usize = 1024;

/// A part of an event, for one layout: what the layout asks for more than once is computed once.
pub(super) struct EventNode<'e> {
    pub(super) id: NodeId,
    pub(super) label: String,
    /// The label is a key of a map.
    pub(super) is_key: bool,
    /// The full type. Empty if it is not known.
    pub(super) ty: &'e str,
    pub(super) content: Content<'e>,
    /// This part in the event before.
    pub(super) before: Before<'e>,
    summary: OnceCell<ValueSummary>,
    type_text: OnceCell<String>,
    parts: OnceCell<NodeParts<'e>>,
}

/// The content of a part.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'e> {
    /// A value, without the references around it.
    Value(&'e Value),
    Message(&'e str),
    /// A frame, its variables, and true if it is of the program's own code.
    Frame(&'e StackFrame, &'e [NamedValue], bool),
    /// The place of a frame in the source.
    Place(&'e StackFrame),
    Note(&'e str),
    /// A fact of an access.
    Access(AccessFact, &'e Access),
}

/// A fact of an access.
#[derive(Clone, Copy, Debug)]
pub(super) enum AccessFact {
    /// Its kind and its instruction, or the kernel.
    Author,
    /// The place of the instruction.
    Code,
    /// The place of the value.
    Place,
}

/// A part in the event before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Before<'e> {
    /// There is nothing to compare it with.
    Unknown,
    /// It was not there.
    Absent,
    Value(&'e Value),
    Values(&'e [NamedValue]),
}

/// The parts below a part.
pub(super) enum NodeParts<'e> {
    None,
    Nodes(Vec<EventNode<'e>>),
    /// Rows of a text.
    Text,
    /// Rows of bytes.
    Bytes(Vec<u8>),
    /// Rows of numbers.
    Numbers(&'e Sequence),
}

/// The message and the values of an event.
pub(super) fn of_values<'e>(event: &'e Event, before: Option<&'e Event>) -> Vec<EventNode<'e>> {
    let mut nodes = Vec::with_capacity(event.values.len() + 1);
    if !event.message.is_empty() {
        let of_event = id(0, "message of the event");
        let message = Content::Message(&event.message);
        nodes.push(EventNode::new(of_event, "message", message));
    }
    let before = before.map_or(Before::Unknown, |before| Before::Values(&before.values));
    nodes.extend(named(0, &event.values, before));
    if let Some(access) = &event.access {
        nodes.extend(of_access(access));
    }
    nodes
}

/// The frames of an event's stack.
pub(super) fn of_stack<'e>(
    event: &'e Event,
    before: Option<&'e Event>,
    own: &[bool],
) -> Vec<EventNode<'e>> {
    let frames = &event.stack.frames;
    let frame = |(index, frame): (usize, &'e StackFrame)| {
        let old = before.and_then(|before| before.stack.frames.get(index));
        let old = old.filter(|old| old.function == frame.function);
        // The variables of the innermost frame are those of the event.
        let is_first = index == 0 && frame.values.is_empty();
        let values = if is_first {
            &event.values
        } else {
            &frame.values
        };
        let old_values = match (old, before) {
            (Some(_), Some(before)) if is_first => Before::Values(&before.values),
            (Some(old), _) => Before::Values(&old.values),
            (None, _) => Before::Unknown,
        };
        let name = frame.function.as_deref().unwrap_or_default();
        let content = Content::Frame(frame, values, own.get(index).copied().unwrap_or(false));
        EventNode {
            before: old_values,
            ..EventNode::new(
                id(1, &format!("{index} {name}")),
                format!("#{index}"),
                content,
            )
        }
    };
    let mut nodes: Vec<EventNode<'e>> = frames.iter().enumerate().map(frame).collect();
    if let Some(why) = &event.stack.stopped {
        nodes.push(EventNode::note(1, "no more", why));
    }
    nodes
}

/// The code that made an access, and the place of the value.
fn of_access(access: &Access) -> Vec<EventNode<'_>> {
    let node = |label: &str, content| EventNode::new(id(2, label), label, content);
    let fact = |label, fact| node(label, Content::Access(fact, access));
    let mut nodes = vec![
        fact("access", AccessFact::Author),
        match access.by_kernel {
            Some(_) => fact("called at", AccessFact::Code),
            None => fact("code at", AccessFact::Code),
        },
        fact("value at", AccessFact::Place),
    ];
    if let Some(why) = &access.uncertain {
        nodes.push(node("not certain", Content::Message(why)));
    }
    nodes
}

fn named<'e>(parent: NodeId, values: &'e [NamedValue], before: Before<'e>) -> Vec<EventNode<'e>> {
    let old = |index: usize, value: &NamedValue| match before {
        Before::Values(old) => {
            let same = |old: &&NamedValue| old.expr == value.expr;
            let old = old
                .get(index)
                .filter(same)
                .or_else(|| old.iter().find(same));
            old.map_or(Before::Unknown, |old| Before::Value(&old.value))
        }
        _ => Before::Unknown,
    };
    let node = |(index, value): (usize, &'e NamedValue)| {
        EventNode::value(
            parent,
            value.expr.to_string(),
            &value.ty,
            &value.value,
            old(index, value),
        )
    };
    values.iter().enumerate().map(node).collect()
}

/// A fact of an access, in words.
fn access_text(fact: AccessFact, access: &Access) -> String {
    let kind = match access.kind {
        AccessKind::Write => "write",
        AccessKind::Read => "read",
        AccessKind::Update => "read and write",
        AccessKind::Unknown => "read or write",
    };
    match (fact, &access.by_kernel, &access.instruction) {
        (AccessFact::Author, Some(kernel), _) => format!("{kind} by {kernel}"),
        (AccessFact::Author, None, Some(instruction)) => format!("{kind} by `{instruction}`"),
        (AccessFact::Author, None, None) => kind.to_owned(),
        (AccessFact::Code, Some(_), Some(instruction)) => {
            format!("{:#x}, `{instruction}`", access.code)
        }
        (AccessFact::Code, ..) => format!("{:#x}", access.code),
        (AccessFact::Place, ..) => format!("{:#x}", access.address),
    }
}

fn id(parent: NodeId, label: &str) -> NodeId {
    let mut hasher = DefaultHasher::new();
    (parent, label).hash(&mut hasher);
    hasher.finish()
}

/// The value behind references that are shown as their targets.
fn shown(value: &Value) -> &Value {
    let mut shown = value;
    for _ in 0..REFERENCES {
        match shown {
            Value::Pointer(Pointer {
                transparent: true,
                target: Some(target),
                ..
            }) => shown = target,
            _ => break,
        }
    }
    shown
}

impl<'e> EventNode<'e> {
    fn new(id: NodeId, label: impl Into<String>, content: Content<'e>) -> Self {
        Self {
            id,
            label: label.into(),
            is_key: false,
            ty: "",
            content,
            before: Before::Unknown,
            summary: OnceCell::new(),
            type_text: OnceCell::new(),
            parts: OnceCell::new(),
        }
    }

    fn value(
        parent: NodeId,
        label: String,
        ty: &'e str,
        value: &'e Value,
        before: Before<'e>,
    ) -> Self {
        let id = id(parent, &label);
        Self {
            ty,
            before: match before {
                Before::Value(old) => Before::Value(shown(old)),
                before => before,
            },
            ..Self::new(id, label, Content::Value(shown(value)))
        }
    }

    fn note(parent: NodeId, label: &str, text: &'e str) -> Self {
        Self::new(id(parent, label), label, Content::Note(text))
    }

    /// Returns true if it differs from the event before.
    pub(super) fn is_changed(&self) -> bool {
        match (self.content, self.before) {
            (_, Before::Absent) => true,
            (Content::Value(value), Before::Value(old)) => value != old,
            _ => false,
        }
    }

    pub(super) fn copied(&self) -> Copied<'e> {
        match self.content {
            Content::Value(value) => Copied::Value(value),
            Content::Message(text) | Content::Note(text) => Copied::Text(text),
            Content::Access(..) => Copied::Event,
            Content::Frame(frame, ..) | Content::Place(frame) => Copied::Frame(frame),
        }
    }

    pub(super) fn kind(&self) -> RowKind {
        match self.content {
            Content::Value(Value::Unavailable(_)) => RowKind::Unavailable,
            Content::Value(_) | Content::Message(_) => RowKind::Value,
            Content::Frame(_, _, true) => RowKind::OwnFrame,
            Content::Frame(_, _, false) => RowKind::OtherFrame,
            Content::Place(_) => RowKind::Place,
            Content::Note(_) => RowKind::Note,
            Content::Access(..) => RowKind::Value,
        }
    }

    pub(super) fn place(&self) -> Option<SourcePlace> {
        let (Content::Frame(frame, ..) | Content::Place(frame)) = self.content else {
            return None;
        };
        Some(SourcePlace {
            file: frame.file.clone()?,
            line: frame.line?,
        })
    }

    /// The type as it is shown.
    pub(super) fn type_text(&self, look: &TreeLook<'_>) -> &str {
        self.type_text.get_or_init(|| self.find_type_text(look))
    }

    fn find_type_text(&self, look: &TreeLook<'_>) -> String {
        let of_value = match self.content {
            Content::Value(Value::Struct(inner)) => &inner.name,
            Content::Value(Value::Variant(inner)) => &inner.ty,
            _ => "",
        };
        match (self.ty, look.full_types) {
            ("", _) => of_value.to_owned(),
            (ty, true) => ty.to_owned(),
            (ty, false) => types::short(ty),
        }
    }

    /// All of it on one line.
    pub(super) fn summary(&self, look: &TreeLook<'_>) -> &ValueSummary {
        self.summary
            .get_or_init(|| self.summary_of(self.content, look))
    }

    /// The summary of the event before.
    pub(super) fn summary_before(&self, look: &TreeLook<'_>) -> Option<String> {
        match self.before {
            Before::Value(old) => Some(self.summary_of(Content::Value(old), look).text),
            _ => None,
        }
    }

    fn summary_of(&self, content: Content<'_>, look: &TreeLook<'_>) -> ValueSummary {
        let whole = |text| ValueSummary {
            text,
            is_whole: true,
        };
        match content {
            Content::Value(Value::Pointer(pointer)) if pointer.target.is_some() => {
                let target = pointer.target.as_deref().map(shown);
                let target = target.map(|target| summary(target, types::of_target(self.ty)));
                let target = target.unwrap_or_else(|| whole(String::new()));
                let head = address(pointer.address, pointer.symbol.as_deref());
                ValueSummary {
                    text: format!("{head} → {}", target.text),
                    is_whole: target.is_whole,
                }
            }
            Content::Value(value) => match leaf_text(value, look.hex) {
                Some(text) => whole(text),
                None => summary(value, self.ty),
            },
            Content::Message(text) | Content::Note(text) => whole(text.to_owned()),
            Content::Frame(frame, values, _) => ValueSummary {
                text: frame_text(frame, values.len()),
                is_whole: values.is_empty(),
            },
            Content::Place(frame) => whole(place_text(frame)),
            Content::Access(fact, access) => whole(access_text(fact, access)),
        }
    }

    /// The text of its row while its parts are in the rows below.
    pub(super) fn head(&self, look: &TreeLook<'_>) -> String {
        match self.content {
            Content::Value(Value::Pointer(pointer)) => {
                address(pointer.address, pointer.symbol.as_deref())
            }
            Content::Value(Value::Variant(inner)) => inner.title(),
            Content::Value(value) => self.size(value).unwrap_or_default(),
            Content::Message(_) => String::new(),
            _ => self.summary(look).text.clone(),
        }
    }

    /// The number of elements of a value, in words.
    pub(super) fn size(&self, value: &Value) -> Option<String> {
        match value {
            Value::Sequence(inner) => Some(length(inner.items.len(), inner.cut)),
            Value::Map(map) => Some(length(map.entries.len(), map.cut)),
            Value::Text(text) => Some(length(text.bytes.len(), text.cut)),
            _ => None,
        }
    }

    /// Its parts.
    pub(super) fn parts(&self) -> &NodeParts<'e> {
        self.parts.get_or_init(|| self.find_parts())
    }

    fn find_parts(&self) -> NodeParts<'e> {
        let value = match self.content {
            Content::Value(value) => value,
            Content::Message(_) => return NodeParts::Text,
            Content::Frame(frame, values, _) => return self.frame_parts(frame, values),
            Content::Place(_) | Content::Note(_) | Content::Access(..) => {
                return NodeParts::None;
            }
        };
        let nodes = match value {
            Value::Struct(inner) => self.struct_parts(inner),
            Value::Variant(inner) => self.variant_parts(inner),
            Value::Tuple(items) => {
                let old = match self.before {
                    Before::Value(Value::Tuple(old)) => Some(&old[..]),
                    _ => None,
                };
                self.item_parts(items, "", old)
            }
            Value::Sequence(inner) => return self.sequence_parts(inner),
            Value::Map(map) => self.map_parts(map),
            Value::Text(_) => return NodeParts::Text,
            Value::Pointer(pointer) => {
                let old = match self.before {
                    Before::Value(Value::Pointer(old)) => old.target.as_deref(),
                    _ => None,
                };
                let old = old.map_or(Before::Unknown, Before::Value);
                let target = pointer.target.as_deref();
                let ty = types::of_target(self.ty);
                let node = |target| EventNode::value(self.id, "*".into(), ty, target, old);
                target.map(node).into_iter().collect()
            }
            _ => Vec::new(),
        };
        if nodes.is_empty() {
            NodeParts::None
        } else {
            NodeParts::Nodes(nodes)
        }
    }

    fn frame_parts(&self, frame: &'e StackFrame, values: &'e [NamedValue]) -> NodeParts<'e> {
        if values.is_empty() {
            return NodeParts::None;
        }
        let mut nodes = Vec::with_capacity(values.len() + 1);
        if frame.file.is_some() && frame.line.is_some() {
            let place = id(self.id, "place of the frame");
            nodes.push(EventNode::new(place, "at", Content::Place(frame)));
        }
        nodes.extend(named(self.id, values, self.before));
        NodeParts::Nodes(nodes)
    }

    fn struct_parts(&self, inner: &'e Struct) -> Vec<EventNode<'e>> {
        let old = match self.before {
            Before::Value(Value::Struct(old)) => Some(&old.fields),
            _ => None,
        };
        let mut nodes = self.field_parts(&inner.fields, "", old);
        if inner.has_more {
            nodes.push(EventNode::note(self.id, "…", "more that is not shown"));
        }
        nodes
    }

    fn variant_parts(&self, inner: &'e Variant) -> Vec<EventNode<'e>> {
        let old = match self.before {
            Before::Value(Value::Variant(old)) if old.name == inner.name => Some(&old.fields),
            _ => None,
        };
        self.field_parts(&inner.fields, types::of_variant(self.ty, &inner.name), old)
    }

    fn field_parts(
        &self,
        fields: &'e [(String, Value)],
        ty: &'e str,
        old: Option<&'e Vec<(String, Value)>>,
    ) -> Vec<EventNode<'e>> {
        let node = |(index, (name, value)): (usize, &'e (String, Value))| {
            let old = old.and_then(|old| old.get(index));
            let old = old.map_or(Before::Unknown, |(_, old)| Before::Value(old));
            EventNode::value(self.id, name.clone(), ty, value, old)
        };
        fields.iter().enumerate().map(node).collect()
    }

    fn item_parts(
        &self,
        items: &'e [Value],
        ty: &'e str,
        old: Option<&'e [Value]>,
    ) -> Vec<EventNode<'e>> {
        let node = |(index, value): (usize, &'e Value)| {
            let old = match old {
                None => Before::Unknown,
                Some(old) => old.get(index).map_or(Before::Absent, Before::Value),
            };
            EventNode::value(self.id, index.to_string(), ty, value, old)
        };
        items.iter().enumerate().map(node).collect()
    }

    fn sequence_parts(&self, inner: &'e Sequence) -> NodeParts<'e> {
        let item = types::of_items(self.ty);
        if inner.items.is_empty() {
            return NodeParts::None;
        }
        if let Some(bytes) = bytes::of(inner, item) {
            return NodeParts::Bytes(bytes);
        }
        if numbers::are_numbers(&inner.items) {
            return NodeParts::Numbers(inner);
        }
        let old = match self.before {
            Before::Value(Value::Sequence(old)) => Some(&old.items[..]),
            _ => None,
        };
        let mut nodes = self.item_parts(&inner.items, item, old);
        if inner.cut.is_some() {
            nodes.push(EventNode::note(self.id, "…", "more that was not read"));
        }
        NodeParts::Nodes(nodes)
    }

    fn map_parts(&self, map: &'e Map) -> Vec<EventNode<'e>> {
        let (of_key, of_value) = types::of_entries(self.ty);
        let old = match self.before {
            Before::Value(Value::Map(old)) => Some(&old.entries),
            _ => None,
        };
        let mut nodes = Vec::with_capacity(map.entries.len());
        for (index, (key, value)) in map.entries.iter().enumerate() {
            let before = match old {
                None => Before::Unknown,
                Some(old) => {
                    let here = old.get(index).filter(|(old, _)| old == key);
                    let few = old.len() <= KEYS && map.entries.len() <= KEYS;
                    let found =
                        here.or_else(|| old.iter().filter(|_| few).find(|(old, _)| old == key));
                    found.map_or(Before::Absent, |(_, old)| Before::Value(old))
                }
            };
            let name = summary(shown(key), of_key);
            if name.is_whole && glyphs::width(&name.text, KEY + 1) <= KEY {
                nodes.push(EventNode {
                    is_key: true,
                    ..EventNode::value(self.id, name.text, of_value, value, before)
                });
            } else {
                let parent = id(self.id, &name.text);
                nodes.push(EventNode::value(
                    parent,
                    "key".into(),
                    of_key,
                    key,
                    Before::Unknown,
                ));
                nodes.push(EventNode::value(
                    parent,
                    "value".into(),
                    of_value,
                    value,
                    before,
                ));
            }
        }
        if map.cut.is_some() {
            nodes.push(EventNode::note(self.id, "…", "more that was not read"));
        }
        nodes
    }
}

/// The number of parts of a value at all levels. An array of numbers and a text count as one.
pub(super) fn count(node: &EventNode<'_>, depth: usize) -> usize {
    if depth == 0 {
        return 1;
    }
    let of = |parts: &NodeParts<'_>| match parts {
        NodeParts::Nodes(nodes) => nodes.iter().map(|node| 1 + count(node, depth - 1)).sum(),
        NodeParts::None => 0,
        NodeParts::Text | NodeParts::Bytes(_) | NodeParts::Numbers(_) => 1,
    };
    // Parts that are only counted are not kept: there may be many.
    match node.parts.get() {
        Some(parts) => of(parts),
        None => of(&node.find_parts()),
    }
}

/// `len 12`, or `len 4096, 64 read`.
fn length(shown: usize, cut: Option<Cut>) -> String {
    match cut {
        None => format!("len {shown}"),
        Some(Cut { of: Some(of) }) => format!("len {of}, {shown} read"),
        Some(Cut { of: None }) => format!("len unknown, {shown} read"),
    }
}

/// A frame as it is copied: its function, and its place with the whole path.
pub(in crate::tui) fn copied_frame(frame: &StackFrame) -> String {
    let (function, place) = (function_text(frame), place_text(frame));
    format!("{function} {place}").trim_end().to_owned()
}

fn function_text(frame: &StackFrame) -> String {
    match &frame.function {
        Some(function) => function.clone(),
        None => format!("{:#x}", frame.address),
    }
}

fn place_text(frame: &StackFrame) -> String {
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.display()),
        (Some(file), None) => file.display().to_string(),
        (None, _) => String::new(),
    }
}

fn frame_text(frame: &StackFrame, variables: usize) -> String {
    let mut text = function_text(frame);
    let name = frame.file.as_ref().and_then(|file| file.file_name());
    if let (Some(name), Some(line)) = (name, frame.line) {
        text.push_str(&format!("  {}:{line}", name.to_string_lossy()));
    }
    let mark = frame.kind.mark();
    if !mark.is_empty() {
        text.push_str("  ");
        text.push_str(mark);
    }
    if variables > 0 {
        text.push_str("  ");
        text.push_str(&counted(variables, "variable"));
    }
    text
}
