//! Writes a recording, block by block.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::Arc;

use foldhash::HashMap;
use serde::Serialize;

use super::container::{BlockHeader, Flags};
use super::limits::{BLOCK_BYTES, SOURCE_BYTES};
use super::lines::{
    AggregateLine, BlockLine, ChangedTargetLine, ContextLine, EndLine, ExitLine, InnerOut,
    ProbesLine, RecordedDone, RecordedFrame, RecordedLimited, RecordedNamed, RecordedSite,
    RecordedSource, RecordedSpan, RecordedStack, RecordedThread, RecordedVariables, RecordingLine,
    RestOut, SpanOut, TextLine, ValuesOut, timestamp,
};
use crate::event::{
    Aggregate, Event, NamedValue, ProbeDone, ProbeId, ProbeLimited, SiteOrigin, SpanEvent,
    SpanStatus, Stack, TargetStatus,
};
use crate::session::{FollowedProcesses, ProbeStatus};
use crate::sink::json::{write_object, write_value};

/// The level of compression. Higher ones take longer, and blocks of events become no smaller.
const LEVEL: i32 = 1;

/// Writes lines into blocks.
///
/// A block is in the file once [`Self::write_block`] has returned. A block that is full is written at once. The
/// caller decides when one is old enough.
pub struct RecordingWriter<W> {
    out: W,
    compressor: zstd::bulk::Compressor<'static>,
    /// The block that was compressed last, kept for its allocation.
    compressed: Vec<u8>,
    /// The lines of the block that is being filled.
    lines: Vec<u8>,
    header: BlockHeader,
    /// The definitions in the block.
    defined: Defined,
    /// The definitions that a line needs, before the line.
    new_lines: Vec<u8>,
    /// Bytes in the file.
    written: u64,
}

/// The definitions in one block.
#[derive(Default)]
struct Defined {
    sites: HashMap<usize, Vec<KnownSite>>,
    site_count: u32,
    threads: HashMap<(u32, u32), Vec<(String, u32)>>,
    thread_count: u32,
    /// Stacks without values, by process and addresses.
    stacks: HashMap<(u32, Vec<u64>), Vec<KnownStack>>,
    stack_count: u32,
    /// The number of the last hit of each probe.
    hits: HashMap<ProbeId, u64>,
    /// The time of the last event.
    time_ns: u64,
}

struct KnownStack {
    id: u32,
    stack: Stack,
}

struct KnownSite {
    id: u32,
    /// Held, so that its address is no other's.
    _origin: Arc<SiteOrigin>,
    names: Vec<(Arc<str>, Arc<str>)>,
}

impl<W: Write> RecordingWriter<W> {
    /// A recording that is written to `out`.
    ///
    /// # Errors
    /// The compressor has no memory.
    pub fn new(out: W) -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        compressor.include_contentsize(true)?;
        Ok(Self {
            out,
            compressor,
            compressed: Vec::new(),
            lines: Vec::new(),
            header: BlockHeader::default(),
            defined: Defined::default(),
            new_lines: Vec::new(),
            written: 0,
        })
    }

    /// Bytes in the file up to now.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Begins the recording.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn begin(&mut self, session: &RecordingLine, time_ns: u64) -> io::Result<()> {
        self.line(Flags::SESSION, time_ns, "recording", session)
    }

    /// Adds the states of all probes.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn probes(
        &mut self,
        probes: Vec<ProbeStatus>,
        removed: Vec<ProbeStatus>,
        time_ns: u64,
    ) -> io::Result<()> {
        let line = ProbesLine {
            time: timestamp(time_ns),
            probes,
            removed,
        };
        self.line(Flags::PROBES, time_ns, "probes", &line)
    }

    /// Adds the aggregate of a probe.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn aggregate(&mut self, aggregate: &Aggregate, time_ns: u64) -> io::Result<()> {
        let line = AggregateLine::new(aggregate, timestamp(time_ns));
        self.line(Flags::AGGREGATES, time_ns, "aggregate", &line)
    }

    /// Adds a source file.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn source(&mut self, source: &RecordedSource, time_ns: u64) -> io::Result<()> {
        let mut line = encoded("source", source)?;
        if line.len() > SOURCE_BYTES {
            let source = RecordedSource {
                text: None,
                unreadable: Some("its text is too long for a recording".into()),
                ..source.clone()
            };
            line = encoded("source", &source)?;
        }
        self.add(Flags::SOURCES, time_ns, &line)
    }

    /// Adds the variables at a line.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn variables(&mut self, variables: &RecordedVariables, time_ns: u64) -> io::Result<()> {
        self.line(Flags::SOURCES, time_ns, "variables", variables)
    }

    /// Adds a note.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn note(&mut self, text: String, time_ns: u64) -> io::Result<()> {
        let time = timestamp(time_ns);
        self.line(Flags::CHANGES, time_ns, "note", &TextLine { time, text })
    }

    /// Adds a warning.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn warning(&mut self, text: String, time_ns: u64) -> io::Result<()> {
        let time = timestamp(time_ns);
        self.line(Flags::CHANGES, time_ns, "warning", &TextLine { time, text })
    }

    /// Adds that a probe is over its rate limit.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn limited(&mut self, limited: ProbeLimited) -> io::Result<()> {
        let time_ns = limited.time_ns;
        self.line(
            Flags::CHANGES,
            time_ns,
            "limited",
            &RecordedLimited { limited },
        )
    }

    /// Adds that a probe is done.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn done(&mut self, done: ProbeDone) -> io::Result<()> {
        let time_ns = done.done.time_ns;
        self.line(Flags::CHANGES, time_ns, "done", &RecordedDone { done })
    }

    /// Adds that a process has become a target.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn target_came(&mut self, target: TargetStatus, time_ns: u64) -> io::Result<()> {
        let time = timestamp(time_ns);
        let line = ChangedTargetLine { time, target };
        self.line(Flags::CHANGES, time_ns, "target_came", &line)
    }

    /// Adds that a target has left.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn target_left(&mut self, target: TargetStatus, time_ns: u64) -> io::Result<()> {
        let time = timestamp(time_ns);
        let line = ChangedTargetLine { time, target };
        self.line(Flags::CHANGES, time_ns, "target_left", &line)
    }

    /// Adds the exit of the last target.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn exit(&mut self, code: Option<i32>, time_ns: u64) -> io::Result<()> {
        let time = timestamp(time_ns);
        self.line(Flags::CHANGES, time_ns, "exit", &ExitLine { time, code })
    }

    /// Adds the end of the session.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn end(&mut self, followed: Option<FollowedProcesses>, time_ns: u64) -> io::Result<()> {
        let time = timestamp(time_ns);
        self.line(Flags::END, time_ns, "end", &EndLine { time, followed })
    }

    /// Adds an event.
    ///
    /// # Errors
    /// A line cannot be encoded, or a block cannot be written.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        self.open_block(event.time_ns)?;
        self.new_lines.clear();
        let site = self.defined.site(&mut self.new_lines, event)?;
        let thread = self.defined.thread(&mut self.new_lines, event)?;
        let rest = self.defined.rest(&mut self.new_lines, event)?;
        let after = distance(self.defined.time_ns, event.time_ns);
        self.defined.time_ns = event.time_ns;
        let last = self.defined.hits.insert(event.origin.probe, event.hit);
        let is_next = last.is_some_and(|last| last.checked_add(1) == Some(event.hit));
        self.lines.extend_from_slice(&self.new_lines);
        let hit = (!is_next).then_some(event.hit);
        write_event(&mut self.lines, [site, thread], after, hit, event, &rest)?;
        self.header.events += 1;
        self.header.last_ns = self.header.last_ns.max(event.time_ns);
        self.write_full()
    }

    fn line(
        &mut self,
        flag: Flags,
        time_ns: u64,
        r#type: &'static str,
        line: &impl Serialize,
    ) -> io::Result<()> {
        let line = encoded(r#type, line)?;
        self.add(flag, time_ns, &line)
    }

    fn add(&mut self, flag: Flags, time_ns: u64, line: &[u8]) -> io::Result<()> {
        self.open_block(time_ns)?;
        self.lines.extend_from_slice(line);
        self.header.flags.add(flag);
        self.header.last_ns = self.header.last_ns.max(time_ns);
        self.write_full()
    }

    /// Writes the block if it has as many bytes as a block should have.
    fn write_full(&mut self) -> io::Result<()> {
        if self.lines.len() < BLOCK_BYTES {
            return Ok(());
        }
        self.write_block()
    }

    /// Begins a block if there is none.
    fn open_block(&mut self, time_ns: u64) -> io::Result<()> {
        if !self.lines.is_empty() {
            return Ok(());
        }
        self.header = BlockHeader {
            first_ns: time_ns,
            last_ns: time_ns,
            ..BlockHeader::default()
        };
        self.defined = Defined {
            time_ns,
            ..Defined::default()
        };
        let line = BlockLine {
            time: timestamp(time_ns),
        };
        self.lines.extend(encoded("block", &line)?);
        Ok(())
    }

    /// Writes the block and flushes it. Does nothing if it is empty.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_block(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.compressed.clear();
        let most = zstd::zstd_safe::compress_bound(self.lines.len());
        self.compressed.reserve(most);
        let compressor = &mut self.compressor;
        compressor.compress_to_buffer(&self.lines, &mut self.compressed)?;
        self.header.compressed = self.compressed.len() as u64;
        self.header.bytes = self.lines.len() as u64;
        self.lines.clear();
        let header = self.header.encode();
        self.out.write_all(&header)?;
        self.out.write_all(&self.compressed)?;
        self.written += (header.len() + self.compressed.len()) as u64;
        self.out.flush()
    }
}

/// Appends the line of an event.
///
/// The keys that all events have are written without `serde`, which would check each of them for characters to
/// escape, and takes twice as long for flattened structs.
fn write_event(
    lines: &mut Vec<u8>,
    [site, thread]: [u32; 2],
    after: i64,
    hit: Option<u64>,
    event: &Event,
    rest: &RestOut<'_>,
) -> io::Result<()> {
    let mut digits = itoa::Buffer::new();
    lines.extend_from_slice(br#"{"type":"event","site":"#);
    lines.extend_from_slice(digits.format(site).as_bytes());
    lines.extend_from_slice(br#","thread":"#);
    lines.extend_from_slice(digits.format(thread).as_bytes());
    lines.extend_from_slice(br#","after":"#);
    lines.extend_from_slice(digits.format(after).as_bytes());
    if let Some(hit) = hit {
        lines.extend_from_slice(br#","hit":"#);
        lines.extend_from_slice(digits.format(hit).as_bytes());
    }
    lines.extend_from_slice(br#","message":"#);
    write_value(&mut *lines, &event.message)?;
    lines.extend_from_slice(br#","values":"#);
    write_value(&mut *lines, &ValuesOut(&event.values))?;
    if rest.is_empty() {
        lines.extend_from_slice(b"}\n");
        return Ok(());
    }
    // Its brace becomes the comma before its first key.
    let brace = lines.len();
    write_object(&mut *lines, rest)?;
    if let Some(brace) = lines.get_mut(brace) {
        *brace = b',';
    }
    Ok(())
}

/// A line, with its type as the first key.
fn encoded(r#type: &'static str, line: &impl Serialize) -> io::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Tagged<'l, L> {
        r#type: &'static str,
        #[serde(flatten)]
        line: &'l L,
    }
    let mut bytes = Vec::new();
    write_object(&mut bytes, &Tagged { r#type, line })?;
    Ok(bytes)
}

/// From one time to another, ns.
fn distance(from: u64, to: u64) -> i64 {
    let distance = i128::from(to) - i128::from(from);
    // Times of one session are closer than the 292 years that this has space for.
    i64::try_from(distance).unwrap_or(0)
}

fn name_pairs(values: &[NamedValue]) -> Vec<(Arc<str>, Arc<str>)> {
    let pair = |named: &NamedValue| (Arc::clone(&named.expr), Arc::clone(&named.ty));
    values.iter().map(pair).collect()
}

impl Defined {
    /// The number of an event's site.
    fn site(&mut self, out: &mut Vec<u8>, event: &Event) -> io::Result<u32> {
        let origin = &event.origin;
        let known = self.sites.entry(Arc::as_ptr(origin) as usize).or_default();
        let has_names = |site: &&KnownSite| {
            site.names.len() == event.values.len()
                && site
                    .names
                    .iter()
                    .zip(&event.values)
                    .all(|((expr, ty), named)| {
                        named.is_named(expr, ty) || (*expr == named.expr && *ty == named.ty)
                    })
        };
        if let Some(site) = known.iter().find(has_names) {
            return Ok(site.id);
        }
        self.site_count += 1;
        let id = self.site_count;
        let names = name_pairs(&event.values);
        let line = RecordedSite {
            id,
            probe_id: origin.probe,
            placement: origin.placement,
            probe: Cow::Borrowed(&origin.probe_name),
            action: Cow::Borrowed(origin.action),
            file: origin.file.to_string_lossy(),
            line: origin.line,
            function: Cow::Borrowed(&origin.function),
            frame_function: origin.frame_function.as_deref().map(Cow::Borrowed),
            address: origin.address,
            site: origin.site,
            multiline: origin.multiline,
            values: names.clone(),
        };
        out.extend(encoded("site", &line)?);
        known.push(KnownSite {
            id,
            _origin: Arc::clone(origin),
            names,
        });
        Ok(id)
    }

    /// The number of an event's thread.
    fn thread(&mut self, out: &mut Vec<u8>, event: &Event) -> io::Result<u32> {
        let names = self.threads.entry((event.pid, event.tid)).or_default();
        if let Some((_, id)) = names.iter().find(|(name, _)| *name == event.thread) {
            return Ok(*id);
        }
        self.thread_count += 1;
        let id = self.thread_count;
        let line = RecordedThread {
            id,
            pid: event.pid,
            tid: event.tid,
            name: Cow::Borrowed(&event.thread),
        };
        out.extend(encoded("thread", &line)?);
        names.push((event.thread.clone(), id));
        Ok(id)
    }

    /// The number of an event's stack. `None` if it has none.
    fn stack(&mut self, out: &mut Vec<u8>, event: &Event) -> io::Result<Option<u32>> {
        let stack = &event.stack;
        if stack.frames.is_empty() && stack.stopped.is_none() {
            return Ok(None);
        }
        let has_values = stack.frames.iter().any(|frame| !frame.values.is_empty());
        let addresses: Vec<u64> = stack.frames.iter().map(|frame| frame.address).collect();
        let known = self.stacks.entry((event.pid, addresses)).or_default();
        let same = known.iter().find(|known| known.stack == *stack);
        if let Some(same) = same.filter(|_| !has_values) {
            return Ok(Some(same.id));
        }
        self.stack_count += 1;
        let id = self.stack_count;
        let line = RecordedStack {
            id,
            frames: stack.frames.iter().map(RecordedFrame::from).collect(),
            stopped: stack.stopped.as_deref().map(Cow::Borrowed),
        };
        out.extend(encoded("stack", &line)?);
        if !has_values {
            known.push(KnownStack {
                id,
                stack: stack.clone(),
            });
        }
        Ok(Some(id))
    }

    /// The keys of an event that most events do not have.
    fn rest<'e>(&mut self, out: &mut Vec<u8>, event: &'e Event) -> io::Result<RestOut<'e>> {
        let span = match &event.span {
            Some(span) => Some(self.span(out, event, span)?),
            None => None,
        };
        Ok(RestOut {
            stack: self.stack(out, event)?,
            left_out: (!event.left_out.is_none()).then_some(event.left_out),
            context: ContextLine::of(&event.context),
            span,
            step: event.step.as_deref(),
            access: event.access.as_deref(),
        })
    }

    fn span<'e>(
        &mut self,
        out: &mut Vec<u8>,
        event: &Event,
        span: &'e SpanEvent,
    ) -> io::Result<SpanOut<'e>> {
        let began_before = event.time_ns.saturating_sub(span.start_ns);
        let mut events = Vec::with_capacity(span.events.len());
        for inner in &span.events {
            events.push(InnerOut {
                site: self.site(out, inner)?,
                thread: self.thread(out, inner)?,
                after: distance(span.start_ns, inner.time_ns),
                hit: inner.hit,
                message: &inner.message,
                values: ValuesOut(&inner.values),
                rest: self.rest(out, inner)?,
            });
        }
        let common = RecordedSpan {
            trace_id: span.ids.trace,
            span_id: span.ids.span,
            parent_span_id: span.parent,
            parent_is_remote: span.parent_is_remote,
            name: Cow::Borrowed(&span.name),
            duration_ns: span.duration_ns,
            began_before: (began_before != span.duration_ns).then_some(began_before),
            error: match &span.status {
                SpanStatus::Unset => None,
                SpanStatus::Error(text) => Some(Cow::Borrowed(text)),
            },
            attributes: span.attributes.iter().map(RecordedNamed::from).collect(),
            left_out_events: span.left_out_events,
            notes: span.notes.clone(),
        };
        Ok(SpanOut { common, events })
    }
}
