//! Reads a recording. It may be from a stranger: cut, damaged, or made to do harm.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::container::{BlockError, Flags, Index, RecordingBlock, read_block};
use super::lines::{
    AggregateLine, BlockLine, ChangedTargetLine, ContextLine, EndLine, EventLine, ExitLine,
    ProbesLine, RecordedDone, RecordedLimited, RecordedSite, RecordedSource, RecordedStack,
    RecordedThread, RecordedVariables, RecordingLine, SpanIn, TextLine, VERSION, kind, nanoseconds,
};
use crate::event::{
    Aggregate, Event, NamedValue, ProbeDone, ProbeId, ProbeLimited, SiteOrigin, SpanContext,
    SpanEvent, SpanIds, Stack, TargetStatus,
};
use crate::session::{FollowedProcesses, ProbeStatus};
use crate::value::exact::Restored;

/// Why a recording cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("cannot read `{}`", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It has no block.
    #[error("`{}` is not a recording", .0.display())]
    NotOne(PathBuf),
    /// It was cut before the end of its first block.
    #[error("`{}` ends within its first second: there is nothing to show", .0.display())]
    Empty(PathBuf),
    /// It has another version.
    #[error("`{}` has version {version} of the format, and this tracer reads version {VERSION}", path.display())]
    Version {
        /// Its path.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// Its first block does not describe a session.
    #[error("the first block of `{}` is damaged", .0.display())]
    Damaged(PathBuf),
}

/// Why a block cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its bytes cannot be read.
    #[error(transparent)]
    RecordingBlock(#[from] BlockError),
    /// A line is not as the format has it.
    #[error("line {line} of a block is damaged: {problem}")]
    Line {
        /// From 1.
        line: usize,
        /// In words.
        problem: String,
    },
}

/// A recording.
#[derive(Debug)]
pub struct Recording {
    file: File,
    index: Index,
    session: RecordingLine,
    path: PathBuf,
}

/// One thing that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordedEntry {
    /// A hit.
    Event(Arc<Event>),
    /// The states of all probes, and of those that have been removed, at a time in ns.
    Probes(u64, Vec<ProbeStatus>, Vec<ProbeStatus>),
    /// The aggregate of a probe at a time in ns.
    Aggregate(u64, Aggregate),
    /// A note at a time in ns.
    Note(u64, String),
    /// A warning at a time in ns.
    Warning(u64, String),
    /// A probe is over its rate limit.
    Limited(ProbeLimited),
    /// A probe is done.
    Done(ProbeDone),
    /// A process became a target.
    TargetCame(u64, TargetStatus),
    /// A target left.
    TargetLeft(u64, TargetStatus),
    /// The last target exited.
    Exit(u64, Option<i32>),
    /// A source file.
    Source(Box<RecordedSource>),
    /// The variables at a line.
    Variables(RecordedVariables),
    /// The end of the session.
    End(u64, Option<FollowedProcesses>),
}

impl Recording {
    /// Opens a recording, and finds its blocks.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let unreadable = |error| OpenError::Read(path.to_owned(), error);
        let file = File::open(path).map_err(unreadable)?;
        let index = Index::read(&file).map_err(unreadable)?;
        let Some(first) = index.blocks.first() else {
            // The first block alone may be cut.
            let is_cut = index.cut > 0 && index.damaged == 0;
            let why = if is_cut {
                OpenError::Empty
            } else {
                OpenError::NotOne
            };
            return Err(why(path.to_owned()));
        };
        let damaged = || OpenError::Damaged(path.to_owned());
        let lines = read_block(&file, first).map_err(|_| damaged())?;
        let mut lines = lines.split(|&byte| byte == b'\n');
        let described = lines
            .find(|line| kind(line) == Some("recording"))
            .ok_or_else(damaged)?;
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(described).map_err(|_| damaged())?;
        if version != VERSION {
            let path = path.to_owned();
            return Err(OpenError::Version { path, version });
        }
        let session = serde_json::from_slice(described).map_err(|_| damaged())?;
        Ok(Self {
            file,
            index,
            session,
            path: path.to_owned(),
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The description of its session.
    #[must_use]
    pub const fn session(&self) -> &RecordingLine {
        &self.session
    }

    /// Its blocks, and what is missing.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// The problems of the file, in words for the user.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.index.damaged > 0 {
            problems.push(format!(
                "{} bytes of the recording are damaged, and not shown",
                self.index.damaged
            ));
        }
        if self.index.has_more {
            problems.push("the recording is longer than can be shown: its end is missing".into());
        }
        if !self.index.is_complete() && !self.index.has_more {
            let what = if self.index.cut > 0 {
                "is cut"
            } else {
                "has no end"
            };
            problems.push(format!(
                "the recording {what}: tracer was killed, or the file was not copied whole; up to a second may be missing"
            ));
        }
        problems
    }

    /// Reads the block of a number. There is none beyond the last.
    ///
    /// # Errors
    /// The block is damaged.
    pub fn block(&self, number: usize) -> Result<Vec<RecordedEntry>, ReadError> {
        match self.index.blocks.get(number) {
            Some(block) => self.read(block),
            None => Ok(Vec::new()),
        }
    }

    fn read(&self, block: &RecordingBlock) -> Result<Vec<RecordedEntry>, ReadError> {
        let lines = read_block(&self.file, block)?;
        entries(&lines)
    }

    /// The number of the last block up to another that has something, if there is one.
    #[must_use]
    pub fn last_with(&self, flags: Flags, up_to: usize) -> Option<usize> {
        let blocks = self
            .index
            .blocks
            .get(..=up_to)
            .unwrap_or(&self.index.blocks);
        blocks
            .iter()
            .rposition(|block| block.header.flags.has(flags))
    }

    /// The number of the block that has a time, or the one before it.
    #[must_use]
    pub fn block_at(&self, time_ns: u64) -> usize {
        let after = self
            .index
            .blocks
            .partition_point(|block| block.header.first_ns <= time_ns);
        after.saturating_sub(1)
    }
}

/// The entries of a block's lines.
///
/// # Errors
/// A line is not as the format has it.
pub fn entries(lines: &[u8]) -> Result<Vec<RecordedEntry>, ReadError> {
    let mut block = BlockReader::default();
    for (index, line) in lines.split(|&byte| byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        block.line(line).map_err(|problem| ReadError::Line {
            line: index + 1,
            problem,
        })?;
    }
    Ok(block.entries)
}

/// The definitions of a block, and its entries up to now.
#[derive(Default)]
struct BlockReader {
    entries: Vec<RecordedEntry>,
    sites: HashMap<u32, ReadSite>,
    threads: HashMap<u32, (u32, u32, String)>,
    stacks: HashMap<u32, Stack>,
    hits: HashMap<ProbeId, u64>,
    time_ns: u64,
}

struct ReadSite {
    origin: Arc<SiteOrigin>,
    names: Vec<(Arc<str>, Arc<str>)>,
}

fn parse<'l, T: Deserialize<'l>>(line: &'l [u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

impl BlockReader {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let kind = kind(line).ok_or("it has no type")?;
        let entry = match kind {
            "event" => {
                let line = parse::<EventLine<'_>>(line)?;
                let time_ns = moved(self.time_ns, line.after)?;
                self.time_ns = time_ns;
                let hit = self.hit(&line)?;
                let event = self.event(line, time_ns, hit)?;
                RecordedEntry::Event(Arc::new(event))
            }
            "block" => {
                self.time_ns = nanoseconds(parse::<BlockLine>(line)?.time);
                return Ok(());
            }
            "site" => {
                let line = parse::<RecordedSite<'_>>(line)?;
                let origin = line.origin().ok_or("an unknown action")?;
                let names = line.values;
                let origin = Arc::new(origin);
                self.sites.insert(line.id, ReadSite { origin, names });
                return Ok(());
            }
            "thread" => {
                let line = parse::<RecordedThread<'_>>(line)?;
                let thread = (line.pid, line.tid, line.name.into_owned());
                self.threads.insert(line.id, thread);
                return Ok(());
            }
            "stack" => {
                let line = parse::<RecordedStack<'_>>(line)?;
                self.stacks.insert(line.id, line.into());
                return Ok(());
            }
            "probes" => {
                let line = parse::<ProbesLine>(line)?;
                RecordedEntry::Probes(nanoseconds(line.time), line.probes, line.removed)
            }
            "aggregate" => {
                let line = parse::<AggregateLine>(line)?;
                let time_ns = nanoseconds(line.time);
                let aggregate = line.aggregate().ok_or("an unknown aggregate")?;
                RecordedEntry::Aggregate(time_ns, aggregate)
            }
            "note" => {
                let line = parse::<TextLine>(line)?;
                RecordedEntry::Note(nanoseconds(line.time), line.text)
            }
            "warning" => {
                let line = parse::<TextLine>(line)?;
                RecordedEntry::Warning(nanoseconds(line.time), line.text)
            }
            "limited" => RecordedEntry::Limited(parse::<RecordedLimited>(line)?.limited),
            "done" => RecordedEntry::Done(parse::<RecordedDone>(line)?.done),
            "target_came" => {
                let line = parse::<ChangedTargetLine>(line)?;
                RecordedEntry::TargetCame(nanoseconds(line.time), line.target)
            }
            "target_left" => {
                let line = parse::<ChangedTargetLine>(line)?;
                RecordedEntry::TargetLeft(nanoseconds(line.time), line.target)
            }
            "exit" => {
                let line = parse::<ExitLine>(line)?;
                RecordedEntry::Exit(nanoseconds(line.time), line.code)
            }
            "source" => RecordedEntry::Source(Box::new(parse(line)?)),
            "variables" => RecordedEntry::Variables(parse(line)?),
            "end" => {
                let line = parse::<EndLine>(line)?;
                RecordedEntry::End(nanoseconds(line.time), line.followed)
            }
            // The description of the session, or a type of a newer version.
            _ => return Ok(()),
        };
        self.entries.push(entry);
        Ok(())
    }

    /// The number of the hit of an event.
    fn hit(&mut self, line: &EventLine<'_>) -> Result<u64, String> {
        let site = self.sites.get(&line.site).ok_or("an unknown site")?;
        let probe = site.origin.probe;
        let next = self.hits.get(&probe).and_then(|last| last.checked_add(1));
        let hit = line.hit.or(next).ok_or("a hit without a number")?;
        self.hits.insert(probe, hit);
        Ok(hit)
    }

    fn event(&self, line: EventLine<'_>, time_ns: u64, hit: u64) -> Result<Event, String> {
        let site = self.sites.get(&line.site).ok_or("an unknown site")?;
        let (pid, tid, thread) = self
            .threads
            .get(&line.thread)
            .ok_or("an unknown thread")?
            .clone();
        if site.names.len() != line.values.len() {
            return Err("its values are not those of its site".into());
        }
        let named = |((expr, ty), Restored(value)): (&(Arc<str>, Arc<str>), Restored)| NamedValue {
            expr: Arc::clone(expr),
            ty: Arc::clone(ty),
            value,
        };
        let origin = Arc::clone(&site.origin);
        let values = site.names.iter().zip(line.values).map(named).collect();
        let stack = match line.stack {
            Some(id) => self.stacks.get(&id).ok_or("an unknown stack")?.clone(),
            None => Stack::default(),
        };
        let context = line
            .context
            .map_or(SpanContext::Outside, ContextLine::context);
        let span = match line.span {
            Some(span) => Some(Box::new(self.span(span, time_ns)?)),
            None => None,
        };
        Ok(Event {
            origin,
            time_ns,
            pid,
            tid,
            thread,
            hit,
            message: line.message.into_owned(),
            values,
            stack,
            left_out: line.left_out,
            span,
            context,
            step: line.step.map(Box::new),
            access: line.access.map(Box::new),
        })
    }

    fn span(&self, span: SpanIn<'_>, time_ns: u64) -> Result<SpanEvent, String> {
        let SpanIn { common, events } = span;
        let ids = SpanIds {
            trace: common.trace_id,
            span: common.span_id,
        };
        let status = common.status();
        let began_before = common.began_before.unwrap_or(common.duration_ns);
        let start_ns = time_ns.saturating_sub(began_before);
        let mut inner = Vec::with_capacity(events.len());
        for line in events {
            if line.span.is_some() {
                return Err("a span inside of a span's events".into());
            }
            let hit = line.hit.ok_or("a hit without a number")?;
            let time_ns = moved(start_ns, line.after)?;
            inner.push(Arc::new(self.event(line, time_ns, hit)?));
        }
        Ok(SpanEvent {
            ids,
            parent: common.parent_span_id,
            parent_is_remote: common.parent_is_remote,
            name: common.name.into_owned(),
            start_ns,
            duration_ns: common.duration_ns,
            status,
            attributes: common
                .attributes
                .into_iter()
                .map(NamedValue::from)
                .collect(),
            events: inner,
            left_out_events: common.left_out_events,
            notes: common.notes,
        })
    }
}

/// A time, moved by a distance.
fn moved(time_ns: u64, distance: i64) -> Result<u64, String> {
    time_ns
        .checked_add_signed(distance)
        .ok_or_else(|| "a time that does not exist".into())
}
