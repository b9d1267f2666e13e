//! The loop: input first, then the results of workers and session, then at most one frame.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{
    Event as TerminalEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind,
};

use super::action::{UiAction, UiEffect};
use super::program::ProgramControl;
use super::program::pane::ProgramPane;
use super::state::UiState;
use super::terminal::{Screen, TerminalInput, TerminalSignals, clipboard};
use super::workers::Workers;
use super::{Error, UiEnd, UiOptions, view};
use crate::base::signals;
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
/// Time for the program's output in one turn.
const OUTPUT_TIME: Duration = Duration::from_millis(8);
/// Bytes of output that are drawn between two looks at the time. A few bytes can repeat a character
/// thousands of times.
const OUTPUT_BYTES: usize = 256;
/// Replies of workers taken in one turn.
const REPLIES: usize = 64;
/// Lines for one notch of the wheel.
const WHEEL: isize = 3;

struct EventLoop {
    state: UiState,
    input: TerminalInput,
    workers: Workers,
    dirty: bool,
    /// A key or the mouse wants its answer on the screen.
    urgent: bool,
    /// The terminal no longer shows the drawn frame.
    resized: bool,
    program: Option<Arc<dyn ProgramControl>>,
    /// Output of the program that is not drawn yet.
    output: Vec<u8>,
    /// The editor has the terminal.
    lent: bool,
    /// To be run once it has the terminal.
    editor: Option<UiEffect>,
    /// Sequences for the clipboard that are not written yet.
    copies: String,
}

pub(super) fn run(
    control: Arc<dyn Control>,
    program: Option<Arc<dyn ProgramControl>>,
    options: &UiOptions,
) -> Result<UiEnd, Error> {
    super::keymap::activate(options.keymap.clone());
    let mut screen = Screen::open(options.mouse)?;
    let signals = TerminalSignals::listen()?;
    let workers = Workers::start(control.clone(), program.clone(), options.user.clone())?;
    let (mut state, mut effects) = UiState::new(
        options,
        control.target(),
        control.targets(),
        control.probes(),
        screen.size()?,
        Instant::now(),
    );
    if let Some(program) = &program {
        effects.extend(state.show_program(ProgramPane::new(program.name(), program.command())));
    }
    if let Some(playback) = control.playback() {
        effects.extend(state.show_recording(playback.extent()));
    }
    for effect in effects {
        workers.run(effect)?;
    }
    let mut turn = EventLoop {
        state,
        input: TerminalInput::new(),
        workers,
        dirty: true,
        urgent: false,
        resized: false,
        program,
        output: Vec::new(),
        lent: false,
        editor: None,
        copies: String::new(),
    };
    let (mut drawn, mut ticked) = (None::<Instant>, None::<Instant>);
    let mut more = false;
    loop {
        if turn.state.editing {
            turn.wait_for_editor(more)?;
        } else {
            turn.input(if more {
                Duration::ZERO
            } else {
                turn.patience(drawn)
            })?;
        }
        for _ in 0..REPLIES {
            let Some(reply) = turn.workers.reply() else {
                break;
            };
            turn.act(UiAction::Reply(reply))?;
        }
        if let Some(signal) = signals.take() {
            turn.act(UiAction::Terminate(signal))?;
        }
        if ticked.is_none_or(|then| then.elapsed() >= TICK) {
            ticked = Some(Instant::now());
            turn.tick()?;
        }
        let notices = control.take_notices(NOTICES);
        more = notices.len() >= NOTICES;
        more |= turn.draw_output()?;
        if !notices.is_empty() {
            turn.act(UiAction::Notices(notices))?;
        }
        if let Some(outcome) = turn.state.outcome {
            return Ok(UiEnd {
                outcome,
                unsaved: turn.state.unsaved(),
            });
        }
        turn.lend_or_take_back(&mut screen, options.mouse)?;
        if turn.lent {
            continue;
        }
        if screen.is_lost() {
            return Err(Error::Thread);
        }
        if !turn.copies.is_empty() {
            screen.write(&std::mem::take(&mut turn.copies))?;
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

impl EventLoop {
    /// Longest time that the loop may wait for input.
    fn patience(&self, drawn: Option<Instant>) -> Duration {
        match drawn {
            Some(then) if self.urgent => ANSWER.saturating_sub(then.elapsed()),
            Some(then) if self.dirty => FRAME.saturating_sub(then.elapsed()),
            Some(_) => FRAME,
            None => Duration::ZERO,
        }
    }

    fn input(&mut self, patience: Duration) -> Result<(), Error> {
        let mut patience = patience;
        for _ in 0..INPUTS {
            let Some(event) = self.input.next(patience)? else {
                break;
            };
            patience = Duration::ZERO;
            if let Some(action) = self.action(event) {
                self.resized |= matches!(action, UiAction::Resize(..));
                self.act(action)?;
                self.urgent = true;
            }
            if self.state.outcome.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Waits while an editor has the terminal. Its keys are not ours.
    fn wait_for_editor(&mut self, more: bool) -> Result<(), Error> {
        let patience = if more { Duration::ZERO } else { FRAME };
        match self.workers.wait(patience) {
            Some(reply) => self.act(UiAction::Reply(reply)),
            None => Ok(()),
        }
    }

    /// Gives the terminal to an editor, or takes it back when that has ended.
    fn lend_or_take_back(&mut self, screen: &mut Screen, mouse: bool) -> Result<(), Error> {
        if let Some(editor) = self.editor.take() {
            screen.lend();
            self.lent = true;
            self.workers.run(editor)?;
            signals::lend_keys(true);
        } else if self.lent && !self.state.editing {
            screen.take_back(mouse)?;
            signals::lend_keys(false);
            self.lent = false;
            let size = screen.size()?;
            self.act(UiAction::Resize(size.width, size.height))?;
            self.urgent = true;
        }
        Ok(())
    }

    fn action(&self, event: TerminalEvent) -> Option<UiAction> {
        match event {
            TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => {
                self.state.action_of(key)
            }
            TerminalEvent::Mouse(mouse) => mouse_action(mouse),
            TerminalEvent::Paste(text) => Some(UiAction::Paste(text)),
            TerminalEvent::Resize(width, height) => Some(UiAction::Resize(width, height)),
            _ => None,
        }
    }

    fn act(&mut self, action: UiAction) -> Result<(), Error> {
        self.dirty = true;
        self.update(action)
    }

    /// Draws what the program has written, for a bounded time. Returns true if there is more.
    fn draw_output(&mut self) -> Result<bool, Error> {
        let began = Instant::now();
        while began.elapsed() < OUTPUT_TIME {
            if self.output.is_empty() {
                match self.program.as_ref().and_then(|one| one.take_output()) {
                    Some(output) => self.output = output,
                    None => return Ok(false),
                }
            }
            let rest = self.output.split_off(OUTPUT_BYTES.min(self.output.len()));
            let piece = std::mem::replace(&mut self.output, rest);
            self.act(UiAction::Output(piece))?;
        }
        Ok(true)
    }

    /// Time alone changes nothing that is not redrawn with the next counters, except for the busy sign.
    fn tick(&mut self) -> Result<(), Error> {
        self.dirty |= self.state.is_busy();
        self.update(UiAction::Tick)
    }

    fn update(&mut self, action: UiAction) -> Result<(), Error> {
        for effect in self.state.update(action, Instant::now()) {
            match effect {
                UiEffect::OpenEditor(_) => self.editor = Some(effect),
                UiEffect::Copy(text) => self.copies.push_str(&clipboard::sequences(&text)),
                effect => self.workers.run(effect)?,
            }
        }
        Ok(())
    }
}

/// The action of a mouse event.
pub(super) fn mouse_action(mouse: MouseEvent) -> Option<UiAction> {
    let (x, y) = (mouse.column, mouse.row);
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => Some(UiAction::Click { x, y }),
        MouseEventKind::ScrollUp => Some(UiAction::Scroll {
            x,
            y,
            lines: -WHEEL,
        }),
        MouseEventKind::ScrollDown => Some(UiAction::Scroll { x, y, lines: WHEEL }),
        _ => None,
    }
}
