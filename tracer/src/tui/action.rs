//! What can happen to the state, and what the state asks to be done.

use std::sync::Arc;

use crossterm::event::KeyEvent;

use super::document::{Document, LineSpans};
use super::keymap::Command;
use crate::event::{Aggregate, Notice, ProbeId};
use crate::session::{LineInfo, OutlineEntry, ProbeError, ProbeStatus, SourceFile, VariableInfo};

/// The panes that can have the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    /// Source text.
    Source,
    /// Table of probes.
    Probes,
    /// List of events.
    Events,
}

impl Pane {
    /// In the order of Tab.
    pub(super) const ALL: [Self; 3] = [Self::Source, Self::Probes, Self::Events];

    /// The next one; `back` goes the other way round.
    pub(super) fn next(self, back: bool) -> Self {
        let at = Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        Self::ALL[(at + if back { 2 } else { 1 }) % 3]
    }
}

/// Something happened.
#[derive(Debug)]
pub(super) enum Action {
    /// A key that the keymap gives a meaning.
    Command(Command),
    /// A key for the line editor.
    Edit(KeyEvent),
    /// Text pasted.
    Paste(String),
    /// The left button went down.
    Click {
        /// Column.
        x: u16,
        /// Row.
        y: u16,
    },
    /// The wheel turned.
    Scroll {
        /// Column.
        x: u16,
        /// Row.
        y: u16,
        /// Lines, down is positive.
        lines: isize,
    },
    /// The terminal has a new size.
    Resize(u16, u16),
    /// Time passed.
    Tick,
    /// The session tells something.
    Notices(Vec<Notice>),
    /// A signal asks us to end.
    Terminate(i32),
    /// A worker is done.
    Reply(Reply),
}

/// What a worker found.
#[derive(Debug)]
pub(super) enum Reply {
    /// All source files.
    Files(Vec<SourceFile>),
    /// Text of a file.
    Text {
        /// Which open file it is for.
        generation: u64,
        /// The text, split in lines.
        text: Result<Arc<Document>, ProbeError>,
    },
    /// Lines of a file that have code.
    Lines {
        /// Which open file it is for.
        generation: u64,
        /// By line.
        lines: Result<Vec<LineInfo>, ProbeError>,
    },
    /// The functions of a file whose text is not there.
    Outline {
        /// Which open file it is for.
        generation: u64,
        /// By line.
        outline: Vec<OutlineEntry>,
    },
    /// Syntax of some lines.
    Highlighted {
        /// Which open file it is for.
        generation: u64,
        /// First line, from 0.
        from: usize,
        /// One entry a line.
        spans: Vec<LineSpans>,
    },
    /// Variables at a line.
    Variables {
        /// Which open file it is for.
        generation: u64,
        /// From 1.
        line: u64,
        /// Those in scope.
        variables: Result<Vec<VariableInfo>, ProbeError>,
    },
    /// A probe was tried.
    Added {
        /// As given.
        request: AddRequest,
        /// How it went.
        result: Result<Box<ProbeStatus>, ProbeError>,
    },
    /// A probe is gone.
    Removed(ProbeId, Option<Box<ProbeStatus>>),
    /// All probes, counters of now.
    Probes(Vec<ProbeStatus>),
    /// What the probes have added up by now.
    Aggregates(Vec<Aggregate>),
}

/// A probe to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddRequest {
    /// As typed.
    pub(super) text: String,
    /// The one that it takes the place of.
    pub(super) replaces: Option<ProbeId>,
    /// Numbers the requests.
    pub(super) ticket: u64,
}

/// Something that must be done outside of the state.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// List the source files.
    LoadFiles,
    /// Read a file's text and its lines with code.
    LoadSource {
        /// Number of the request; a higher one makes this one void.
        generation: u64,
        /// Which.
        file: SourceFile,
    },
    /// Find the syntax of a text, in portions.
    Highlight {
        /// Number of the request; a higher one makes this one void.
        generation: u64,
        /// The text.
        document: Arc<Document>,
        /// For choosing the language.
        file: SourceFile,
    },
    /// Ask for the variables at a line.
    Variables {
        /// Number of the open file.
        generation: u64,
        /// The file.
        file: SourceFile,
        /// From 1.
        line: u64,
    },
    /// Install a probe.
    Add(AddRequest),
    /// Remove a probe.
    Remove(ProbeId),
    /// Silence or wake probes.
    SetEnabled(Vec<ProbeId>, bool),
    /// Read the counters.
    RefreshProbes,
    /// Ask for what the probes have added up.
    RefreshAggregates,
}
