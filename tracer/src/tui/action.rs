//! Actions that change the state, and effects that the state requests.

use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::KeyEvent;

use super::document::{Document, LineSpans};
use super::events::Filter;
use super::keymap::KeyCommand;
use super::workers::saving::FileRequest;
use crate::base::diagnostic::Diagnostic;
use crate::event::{Aggregate, Event, ProbeId};
use crate::session::playback::{PlaybackPlace, Window};
use crate::session::{LineInfo, Notice, OutlineEntry, ProbeStatus, SourceFile, VariableInfo};
use ratatui::layout::Size;

/// The panes that can have the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    /// Source text.
    Source,
    /// Table of probes.
    Probes,
    /// List of events.
    Events,
    /// Results of the selected probe.
    Results,
    /// Output of the program that the screen starts.
    Program,
}

impl Pane {
    /// In the order of Tab.
    pub(super) const ALL: [Self; 5] = [
        Self::Source,
        Self::Probes,
        Self::Events,
        Self::Results,
        Self::Program,
    ];

    /// The next one of the first `count`; `back` goes the other way round.
    pub(super) fn next(self, back: bool, count: usize) -> Self {
        let at = Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        let next = at + if back { count.saturating_sub(1) } else { 1 };
        let next = Self::ALL.get(next % count.max(1)).copied();
        next.unwrap_or(self)
    }
}

/// Something happened.
#[derive(Debug)]
pub(super) enum UiAction {
    /// A key that the keymap gives a meaning.
    Command(KeyCommand),
    /// A key for the line editor.
    Edit(KeyEvent),
    /// A key for the program.
    Type(KeyEvent),
    /// A key that waits until the one before it is carried out.
    Hold(KeyEvent),
    /// A key without a meaning here.
    UnknownKey(KeyEvent),
    /// The program has written this.
    Output(Vec<u8>),
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
    /// The session's notices.
    Notices(Vec<Notice>),
    /// A signal requests the end.
    Terminate(i32),
    /// A worker is done.
    Reply(WorkerReply),
}

/// The reply to a wish for events.
#[derive(Debug)]
pub(super) struct LoadedWindow {
    /// The events.
    pub(super) window: Box<Window>,
    /// The filter that they have passed.
    pub(super) filter: Filter,
    /// The place was asked for. Otherwise the selected event stays selected.
    pub(super) is_jump: bool,
}

/// A traced call of a recording that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallWish {
    /// The probe.
    pub(super) probe: ProbeId,
    /// Number of the call.
    pub(super) call: u64,
    /// Number of an event near it.
    pub(super) near: u64,
    /// It goes beside the call that is shown. Otherwise it is shown.
    pub(super) is_other: bool,
}

/// The steps of a traced call of a recording.
#[derive(Debug)]
pub(super) struct LoadedCall {
    /// The wish.
    pub(super) wish: CallWish,
    /// The steps that were found.
    pub(super) events: Vec<Arc<Event>>,
    /// The recording was searched only in part.
    pub(super) is_partial: bool,
}

/// The result of a worker.
#[derive(Debug)]
pub(super) enum WorkerReply {
    /// All source files.
    Files(Vec<SourceFile>),
    /// Text of a file.
    Text {
        /// Generation of the open file.
        generation: u64,
        /// The text, split in lines.
        text: Result<Arc<Document>, Diagnostic>,
    },
    /// Lines of a file that have code.
    Lines {
        /// Generation of the open file.
        generation: u64,
        /// The lines, in order.
        lines: Result<Vec<LineInfo>, Diagnostic>,
    },
    /// The functions of a file without its text.
    Outline {
        /// Generation of the open file.
        generation: u64,
        /// The functions, in the order of lines.
        outline: Vec<OutlineEntry>,
    },
    /// Syntax of some lines.
    Highlighted {
        /// Generation of the open file.
        generation: u64,
        /// First line, from 0.
        from: usize,
        /// One entry a line.
        spans: Vec<LineSpans>,
    },
    /// Variables at a line.
    Variables {
        /// Generation of the open file.
        generation: u64,
        /// Line number, from 1.
        line: u64,
        /// The variables in scope.
        variables: Result<Vec<VariableInfo>, Diagnostic>,
    },
    /// The place of a source file that is to be edited.
    EditorPlace(Result<EditorPlace, Diagnostic>),
    /// The editor has ended, or was not started.
    Edited(Result<(), Diagnostic>),
    /// A probe was tried.
    Added {
        /// The request as given.
        request: AddRequest,
        /// The probe, or the error.
        result: Result<Box<ProbeStatus>, Diagnostic>,
    },
    /// Names for completion.
    Names(NamesRequest, KnownNames),
    /// A file was written, in words, or not.
    Written(Box<FileRequest>, Result<String, Diagnostic>),
    /// A probe is gone: its last state, and its totals.
    Removed(ProbeId, Option<Box<ProbeStatus>>, Option<Box<Aggregate>>),
    /// Events of a recording.
    Window(LoadedWindow),
    /// A traced call of a recording.
    Call(LoadedCall),
    /// Probes were silenced or woken, as requested.
    Switched,
    /// The present aggregates of the probes.
    Aggregates(Vec<Aggregate>),
    /// The program runs, with this process id, or it could not be executed.
    Started(Result<u32, Diagnostic>),
    /// The program has ended: its exit code or negated signal, where known.
    Ended(Option<i32>),
    /// The program's terminal has taken this number of typed bytes.
    Typed(usize),
}

/// A line of a file of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EditorPlace {
    /// Path of the file.
    pub(super) path: PathBuf,
    /// From 1.
    pub(super) line: u64,
}

/// A probe to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddRequest {
    /// The probe's text as typed.
    pub(super) text: String,
    /// The one that it takes the place of.
    pub(super) replaces: Option<ProbeId>,
    /// The one whose history it goes on with.
    pub(super) follows: Option<ProbeId>,
    /// The name, unless the text gives one.
    pub(super) name: Option<String>,
    /// It is silenced at once.
    pub(super) is_silenced: bool,
    /// It undoes a change.
    pub(super) is_undo: bool,
    /// Numbers the requests.
    pub(super) ticket: u64,
}

impl AddRequest {
    /// A request for a new probe.
    pub(super) const fn new(text: String) -> Self {
        Self {
            text,
            replaces: None,
            follows: None,
            name: None,
            is_silenced: false,
            is_undo: false,
            ticket: 0,
        }
    }
}

/// Names for completion that the session knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamesRequest {
    /// Variables at a location, or the members of an expression there.
    Values {
        /// As the probe writes it.
        location: String,
        /// The expression. Empty for variables.
        owner: String,
    },
    /// Functions whose name begins with this.
    Functions(String),
}

/// Names that the session knows.
#[derive(Debug)]
pub(super) enum KnownNames {
    /// Variables, or members of an expression.
    Values(Result<Vec<VariableInfo>, Diagnostic>),
    /// Functions.
    Functions(Vec<String>),
}

/// Something that must be done outside of the state.
#[derive(Clone, Debug)]
pub(super) enum UiEffect {
    /// List the source files.
    LoadFiles,
    /// Read a file's text and its lines with code.
    LoadSource {
        /// Number of the request. A higher one makes this one void.
        generation: u64,
        /// The file.
        file: SourceFile,
    },
    /// Find the syntax of a text, in portions.
    Highlight {
        /// Number of the request. A higher one makes this one void.
        generation: u64,
        /// The text.
        document: Arc<Document>,
        /// For choosing the language.
        file: SourceFile,
    },
    /// Fetch the variables at a line.
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
    /// Read events of a recording.
    LoadWindow {
        /// The place.
        place: PlaybackPlace,
        /// The filter of the events.
        filter: Filter,
        /// The place was asked for.
        is_jump: bool,
    },
    /// Read a traced call of a recording.
    LoadCall(CallWish),
    /// Copy a text to the clipboard of the terminal.
    Copy(String),
    /// Open a source file in the user's editor.
    EditSource {
        /// The file.
        file: SourceFile,
        /// From 1.
        line: u64,
    },
    /// Run the user's editor, which has the terminal meanwhile.
    OpenEditor(EditorPlace),
    /// Find names for completion.
    Names(NamesRequest),
    /// Write a file.
    WriteFile(FileRequest),
    /// Fetch the aggregates of the probes.
    RefreshAggregates,
    /// Let the program run, and wait for its end.
    StartProgram,
    /// Type bytes into the program's terminal.
    TypeBytes(Vec<u8>),
    /// Give the program's terminal another size.
    ResizeProgram(Size),
}
