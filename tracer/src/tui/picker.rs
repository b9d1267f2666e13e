//! Choosing one or several of many.

use std::time::{Duration, Instant};

use crossterm::event::Event as TerminalEvent;

use super::run::FRAME;
use super::terminal::{Screen, TerminalInput, TerminalSignals};
use super::theme::Theme;
use super::{Error, UiOptions};
use crate::target::select::Selector;
use lister::{ListerThread, ProcessLister};
use processes::Choice;

pub(super) mod fuzzy;
pub(super) mod lister;
mod processes;
pub(super) mod selectors;
mod view;

/// Keys after an Enter wait for the list of processes at most this long.
const HOLD: Duration = Duration::from_secs(3);

/// Shows the choice of processes until it is made or left.
pub(super) fn pick(
    lister: impl ProcessLister + 'static,
    options: &UiOptions,
) -> Result<Option<Selector>, Error> {
    super::keymap::activate(options.keymap.clone());
    let mut screen = Screen::open(options.mouse)?;
    let signals = TerminalSignals::listen()?;
    let mut lister = ListerThread::start(lister)?;
    let mut choice = Choice::new(Theme::new(options.theme), screen.size()?);
    let mut input = TerminalInput::new();
    let opened = Instant::now();
    let mut dirty = true;
    let mut wanted = None;
    loop {
        if dirty {
            screen.draw(|frame| view::draw(&choice, frame))?;
        }
        // Only as long as nobody could want to leave a list that never comes.
        let is_held = choice.waits_for_list() && opened.elapsed() < HOLD;
        let event = match is_held {
            true => {
                lister.wait(FRAME);
                None
            }
            false => input.next(FRAME)?,
        };
        dirty = event.is_some();
        if let Some(event) = event {
            if matches!(event, TerminalEvent::Resize(..)) {
                screen.forget()?;
            }
            choice.input(event, Instant::now());
        }
        if choice.selector() != wanted.as_ref() {
            wanted = choice.selector().cloned();
            lister.want(wanted.clone());
        }
        while let Some(found) = lister.take() {
            choice.found(found);
            dirty = true;
        }
        if screen.is_lost() {
            return Err(Error::Thread);
        }
        if signals.take().is_some() {
            return Ok(None);
        }
        if let Some(chosen) = choice.done {
            return Ok(chosen);
        }
    }
}
