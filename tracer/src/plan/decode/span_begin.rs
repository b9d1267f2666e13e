//! The place where a span begins, and the meaning of its values.

use std::sync::Arc;

/// The meaning of one value of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanPart {
    /// Address of the frame.
    Frame,
    /// Time from start to end, in ns.
    Elapsed,
    /// In the name.
    Name,
    /// An attribute.
    Attribute,
    /// The parent: a traceparent, or the trace id.
    Parent,
    /// The parent's span id.
    ParentSpan,
    /// The key.
    Key,
    /// The condition of `error if`.
    Failed,
    /// The returned `Result`.
    Result,
}

/// A place where a span begins.
#[derive(Clone, Debug)]
pub struct SpanBegin {
    /// The meaning of each value.
    pub parts: Arc<[SpanPart]>,
    /// Tells inlined copies in one frame apart.
    pub group: u32,
    /// Values are kept from the beginning to the end.
    pub keeps: bool,
}

impl SpanBegin {
    /// Returns true if the probe has a `key`.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.parts.contains(&SpanPart::Key)
    }

    /// Returns true if the probe has a `parent`.
    #[must_use]
    pub fn has_parent(&self) -> bool {
        self.parts.contains(&SpanPart::Parent)
    }
}
