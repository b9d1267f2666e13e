//! The loop: input first, then what workers and session have, then at most one frame.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{
    self, Event as TerminalEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind,
};

use super::action::Action;
use super::state::State;
use super::terminal::{Screen, Signals};
use super::workers::Workers;
use super::{Error, Options, Outcome, view};
use crate::session::Control;

/// Time of one frame: about 30 a second.
pub(super) const FRAME: Duration = Duration::from_millis(33);
/// Time between two ticks.
const TICK: Duration = Duration::from_millis(50);
/// A key is answered sooner: this long after the frame before at the least.
const ANSWER: Duration = Duration::from_millis(8);
/// Notices taken in one turn: about a millisecond of work.
const NOTICES: usize = 500;
/// Inputs taken in one turn.
const INPUTS: usize = 256;
/// Replies of workers taken in one turn.
const REPLIES: usize = 64;
/// Lines for one notch of the wheel.
const WHEEL: isize = 3;

struct Turn {
    state: State,
    workers: Workers,
    dirty: bool,
    /// A key or the mouse wants its answer on the screen.
    urgent: bool,
    /// What the terminal shows is not what was drawn.
    resized: bool,
}

pub(super) fn run(control: Arc<dyn Control>, options: &Options) -> Result<Outcome, Error> {
    let mut screen = Screen::open(options.mouse)?;
    let signals = Signals::listen()?;
    let workers = Workers::start(control.clone())?;
    let (state, effects) = State::new(
        options,
        control.target(),
        control.probes(),
        screen.size()?,
        Instant::now(),
    );
    for effect in effects {
        workers.run(effect)?;
    }
    let mut turn = Turn {
        state,
        workers,
        dirty: true,
        urgent: false,
        resized: false,
    };
    let (mut drawn, mut ticked) = (None::<Instant>, None::<Instant>);
    let mut more = false;
    loop {
        turn.input(if more {
            Duration::ZERO
        } else {
            turn.patience(drawn)
        })?;
        for _ in 0..REPLIES {
            let Some(reply) = turn.workers.reply() else {
                break;
            };
            turn.act(Action::Reply(reply))?;
        }
        if let Some(signal) = signals.take() {
            turn.act(Action::Terminate(signal))?;
        }
        if ticked.is_none_or(|then| then.elapsed() >= TICK) {
            ticked = Some(Instant::now());
            turn.tick()?;
        }
        let notices = control.take_notices(NOTICES);
        more = notices.len() >= NOTICES;
        if !notices.is_empty() {
            turn.act(Action::Notices(notices))?;
        }
        if let Some(outcome) = turn.state.outcome {
            return Ok(outcome);
        }
        if screen.is_lost() {
            return Err(Error::Thread);
        }
        let rest = if turn.urgent { ANSWER } else { FRAME };
        if turn.dirty && drawn.is_none_or(|then| then.elapsed() >= rest) {
            if turn.resized {
                screen.forget()?;
            }
            screen.draw(|frame| view::draw(&turn.state, frame))?;
            (turn.dirty, turn.urgent, turn.resized) = (false, false, false);
            drawn = Some(Instant::now());
        }
    }
}

impl Turn {
    /// How long the loop may wait for input.
    fn patience(&self, drawn: Option<Instant>) -> Duration {
        match drawn {
            Some(then) if self.urgent => ANSWER.saturating_sub(then.elapsed()),
            Some(then) if self.dirty => FRAME.saturating_sub(then.elapsed()),
            Some(_) => FRAME,
            None => Duration::ZERO,
        }
    }

    fn input(&mut self, patience: Duration) -> Result<(), Error> {
        if !event::poll(patience)? {
            return Ok(());
        }
        for _ in 0..INPUTS {
            if let Some(action) = self.action(event::read()?) {
                self.resized |= matches!(action, Action::Resize(..));
                self.act(action)?;
                self.urgent = true;
            }
            if self.state.outcome.is_some() || !event::poll(Duration::ZERO)? {
                break;
            }
        }
        Ok(())
    }

    fn action(&self, event: TerminalEvent) -> Option<Action> {
        match event {
            TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => {
                self.state.action_of(key)
            }
            TerminalEvent::Mouse(mouse) => mouse_action(mouse),
            TerminalEvent::Paste(text) => Some(Action::Paste(text)),
            TerminalEvent::Resize(width, height) => Some(Action::Resize(width, height)),
            _ => None,
        }
    }

    fn act(&mut self, action: Action) -> Result<(), Error> {
        self.dirty = true;
        self.update(action)
    }

    /// Time alone changes nothing that is not redrawn with the next counters.
    fn tick(&mut self) -> Result<(), Error> {
        self.update(Action::Tick)
    }

    fn update(&mut self, action: Action) -> Result<(), Error> {
        for effect in self.state.update(action, Instant::now()) {
            self.workers.run(effect)?;
        }
        Ok(())
    }
}

/// What the mouse means.
pub(super) fn mouse_action(mouse: MouseEvent) -> Option<Action> {
    let (x, y) = (mouse.column, mouse.row);
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => Some(Action::Click { x, y }),
        MouseEventKind::ScrollUp => Some(Action::Scroll {
            x,
            y,
            lines: -WHEEL,
        }),
        MouseEventKind::ScrollDown => Some(Action::Scroll { x, y, lines: WHEEL }),
        _ => None,
    }
}
