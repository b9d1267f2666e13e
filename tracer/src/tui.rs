//! The terminal frontend: source, probes and events on one screen.
//!
//! Keys and mouse become a `UiAction`, `UiState::update` turns it into a new state and `UiEffect`s,
//! and `view::draw` draws the state. Slow effects run on threads of their own and come back as
//! actions. This module contains neither the session's work nor the final summary: it reaches the
//! session only through [`Control`].

use std::io;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::base::user_thread::UserThread;
use crate::session::Control;
use crate::target::select::Selector;

mod action;
mod compact;
mod document;
mod events;
#[cfg(test)]
mod fake;
mod glyphs;
mod keymap;
mod layout;
mod list;
mod picker;
mod program;
mod prompt;
mod run;
mod state;
mod terminal;
mod theme;
mod times;
mod tree;
mod view;
mod workers;

pub use keymap::{KeyBinding, KeyRemap, Keymap, RemapError, RemapPart};
pub use picker::lister::{Matching, ProcessEntry, ProcessLister};
pub use picker::selectors::KnownValues;
pub use program::ProgramControl;
pub use theme::ThemeChoice;

/// Options of the screen.
#[derive(Clone, Debug)]
pub struct UiOptions {
    /// The colours of the screen.
    pub theme: ThemeChoice,
    /// The keys.
    pub keymap: Keymap,
    /// Remarks to show at the start.
    pub notes: Vec<String>,
    /// Take the mouse: wheel, click, double click.
    pub mouse: bool,
    /// Time zone for the display of times.
    pub time_zone: TimeZone,
    /// Show the process of each event.
    pub processes: bool,
    /// Number of events kept for reading. A new event displaces the oldest.
    pub events: usize,
    /// Writes files, if another user than that of this process asks for them.
    pub user: Option<Arc<UserThread>>,
}

impl Default for UiOptions {
    /// The theme that fits the terminal, mouse, the system's time zone, 10,000 events.
    fn default() -> Self {
        Self {
            theme: ThemeChoice::Auto,
            keymap: Keymap::default(),
            notes: Vec::new(),
            mouse: true,
            time_zone: TimeZone::system(),
            processes: false,
            events: events::KEPT,
            user: None,
        }
    }
}

/// The way the screen was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UiOutcome {
    /// The user quit. The target goes on.
    Quit,
    /// The user quit, and wants the program of the screen to end.
    EndProgram,
    /// The user quit after the target was gone: its exit code or negated signal, where known.
    TargetExited(Option<i32>),
    /// A signal requested the end: its number.
    Interrupted(i32),
}

/// The end of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UiEnd {
    /// The way it was left.
    pub outcome: UiOutcome,
    /// Work that nothing has kept.
    pub unsaved: UnsavedWork,
}

/// Work that was neither written to a file nor given on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnsavedWork {
    /// Probes.
    pub probes: usize,
    /// Events.
    pub events: usize,
}

/// Why the screen could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The terminal could not be set up, read or written.
    #[error("the terminal cannot be used")]
    Terminal(#[from] io::Error),
    /// A thread of the screen is gone; its own message was printed.
    #[error("a thread of the screen has failed")]
    Thread,
}

/// Shows the session until the user leaves, and restores the terminal.
///
/// Probes that are installed already are shown. Without any, the screen opens with the choice of a
/// source file. Keys are answered while the session is busy. A `program` that waits is shown in a pane,
/// and started when the user says so.
///
/// # Errors
/// See [`Error`]. The terminal is restored then, too.
pub fn run(
    control: Arc<dyn Control>,
    program: Option<Arc<dyn ProgramControl>>,
    options: &UiOptions,
) -> Result<UiEnd, Error> {
    run::run(control, program, options)
}

/// Restores the terminal as far as that works at once, while the screen may be stuck in a write.
///
/// Use it just before the process ends without waiting.
pub fn abandon() {
    terminal::abandon();
}

/// Lets the user choose processes: one of a list, several, or those of a selector. `None` when they leave.
///
/// `lister` is asked on a thread of its own.
///
/// # Errors
/// See [`Error`]. The terminal is restored then, too.
pub fn pick_processes(
    lister: impl ProcessLister + 'static,
    options: &UiOptions,
) -> Result<Option<Selector>, Error> {
    picker::pick(lister, options)
}
