//! The terminal frontend: source, probes and events on one screen.
//!
//! Keys and mouse become an `Action`, `State::update` turns it into a new state
//! and `Effect`s, `view::draw` draws the state. Slow effects run on threads of
//! their own and come back as actions. What a session does, and the summary
//! after it, are not here: the session is reached through [`Control`] alone.

use std::io;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::session::Control;

mod action;
mod changes;
mod compact;
mod document;
mod events;
#[cfg(test)]
mod fake;
mod fuzzy;
mod glyphs;
mod keymap;
mod layout;
mod list;
mod processes;
mod prompt;
mod run;
mod state;
mod terminal;
mod theme;
mod tree;
mod view;
mod workers;

pub use processes::ProcessEntry;

/// How the screen is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Use the terminal's sixteen colours; without, attributes such as bold only.
    pub colours: bool,
    /// Take the mouse: wheel, click, double click.
    pub mouse: bool,
    /// Time zone in which times are shown.
    pub time_zone: TimeZone,
    /// Say of which process each event is.
    pub processes: bool,
    /// Events that are kept for reading; the oldest goes when one more comes.
    pub events: usize,
}

impl Default for Options {
    /// Colours unless `NO_COLOR` is set, mouse, the system's time zone, 10,000 events.
    fn default() -> Self {
        Self {
            colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            mouse: true,
            time_zone: TimeZone::system(),
            processes: false,
            events: events::KEPT,
        }
    }
}

/// How the screen was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The user quit; the target goes on.
    Quit,
    /// The user quit after the target was gone: its exit code or negated signal, where known.
    TargetExited(Option<i32>),
    /// A signal asked us to end: its number.
    Interrupted(i32),
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

/// Shows the session until the user leaves, and puts the terminal back as it was.
///
/// Probes that are installed already are shown; with none, the screen opens on
/// the choice of a source file. Keys are answered while the session is busy.
///
/// # Errors
/// See [`Error`]; the terminal is restored then, too.
pub fn run(control: Arc<dyn Control>, options: &Options) -> Result<Outcome, Error> {
    run::run(control, options)
}

/// Gives the terminal back, as far as it takes that at once, while the screen may be stuck in a write.
///
/// For the moment before the process ends without waiting for anything.
pub fn abandon() {
    terminal::abandon();
}

/// Lets the user pick a process by typing some letters of its name; `None` when they leave.
///
/// `list` is called at once and every two seconds, on a thread of its own.
///
/// # Errors
/// See [`Error`]; the terminal is restored then, too.
pub fn pick_process(
    list: impl FnMut() -> Vec<ProcessEntry> + Send + 'static,
    options: &Options,
) -> Result<Option<u32>, Error> {
    processes::pick(list, options)
}
