//! Lines that are typed in the stepping view, and the search for a step at which an expression holds.

use crossterm::event::{Event as TerminalEvent, KeyEvent};
use tui_input::backend::crossterm::to_input_request;
use tui_input::{Input, InputRequest};

use super::super::super::action::UiEffect;
use super::super::super::keymap::{KeyCommand, Mode, hint};
use super::{StepQuestion, StepTyping, Stepping, UiState};
use crate::event::call::{Direction, TracedCall};
use crate::event::counted;
use crate::event::evaluate::{NotKnown, RecordedExpr};

/// Characters of a typed line.
const LENGTH: usize = 512;

/// The result of a search.
#[derive(Debug, Default)]
pub(super) struct FoundStep {
    /// Index of the step.
    step: Option<usize>,
    /// Steps on the way at which it is not known.
    unknown: u64,
    /// The reason of the first of them.
    why: Option<NotKnown>,
}

/// The next step at which an expression holds.
pub(super) fn find(
    call: &TracedCall,
    expr: &RecordedExpr,
    from: usize,
    direction: Direction,
) -> FoundStep {
    let mut found = FoundStep::default();
    let order: Box<dyn Iterator<Item = usize>> = match direction {
        Direction::Forward => Box::new(from + 1..call.len()),
        Direction::Back => Box::new((0..from).rev()),
    };
    for index in order {
        let Some(step) = call.step(index) else {
            break;
        };
        match expr.holds(&step.event, step.values()) {
            Ok(true) => {
                found.step = Some(index);
                break;
            }
            Ok(false) => {}
            Err(why) => {
                found.unknown += 1;
                found.why.get_or_insert(why);
            }
        }
    }
    found
}

impl UiState {
    /// Asks for a line in the stepping view.
    pub(super) fn ask_steps(&mut self, question: StepQuestion, text: String) {
        self.message = None;
        if let Some(view) = self.stepping_mut() {
            view.typing = Some(StepTyping {
                question,
                input: Input::new(text),
            });
        }
    }

    /// A key for the line that is typed.
    pub(in crate::tui) fn type_in_steps(&mut self, key: KeyEvent) {
        let Some(Stepping {
            typing: Some(typing),
            ..
        }) = self.stepping_mut()
        else {
            return;
        };
        let request = to_input_request(&TerminalEvent::Key(key));
        let Some(request) = request else {
            return;
        };
        let is_full = typing.input.value().len() >= LENGTH;
        if !(is_full && matches!(request, InputRequest::InsertChar(_))) {
            typing.input.handle(request);
            // The mistake of the text before.
            self.message = None;
        }
    }

    /// The keys while a line is typed.
    pub(super) fn steps_typing_command(&mut self, command: KeyCommand) -> Vec<UiEffect> {
        let Some(typing) = self.stepping_mut().and_then(|view| view.typing.take()) else {
            return Vec::new();
        };
        let text = typing.input.value().trim().to_owned();
        if command != KeyCommand::Activate || text.is_empty() {
            return Vec::new();
        }
        match typing.question {
            StepQuestion::Find => match RecordedExpr::parse(&text) {
                Ok(expr) => {
                    if let Some(view) = self.stepping_mut() {
                        view.wanted = Some(expr);
                    }
                    self.find_step(Direction::Forward);
                }
                Err(error) => {
                    self.say_error(&error);
                    if let Some(view) = self.stepping_mut() {
                        view.typing = Some(typing);
                    }
                }
            },
            StepQuestion::Step => match text.replace(',', "").parse() {
                Ok(number) => self.go_to_step(number),
                Err(_) => self.say(format!("`{text}` is no number of a step"), true),
            },
            StepQuestion::Other => match (text.parse(), self.stepped()) {
                (Ok(number), Some(stepped)) => {
                    let now = stepped.call.key();
                    return self.open_call(now, number, true);
                }
                _ => self.say(format!("`{text}` is no number of a call"), true),
            },
        }
        Vec::new()
    }

    /// Goes to the next step at which the expression holds that was typed last.
    pub(super) fn find_step(&mut self, direction: Direction) {
        let Some(stepped) = self.stepped() else {
            return;
        };
        let Some(expr) = stepped.view.wanted.clone() else {
            let key = hint(Mode::Steps, KeyCommand::Search);
            return self.say(format!("`{key}` finds where an expression holds"), false);
        };
        let found = find(stepped.call, &expr, stepped.index, direction);
        let unknown = found.why.map(|why| {
            let steps = counted(found.unknown, "step");
            format!("not known at {steps}: {why}")
        });
        let text = expr.text();
        match found.step {
            Some(index) => {
                self.go_to_index(index);
                let unknown = unknown.map(|unknown| format!("; before, {unknown}"));
                let text = format!("`{text}` holds here{}", unknown.unwrap_or_default());
                self.say(text, false);
            }
            None => {
                let when = match direction {
                    Direction::Forward => "later",
                    Direction::Back => "earlier",
                };
                let is_bad = unknown.is_some();
                let unknown = unknown.map(|unknown| format!("; {unknown}"));
                let text = format!(
                    "`{text}` holds at no {when} step{}",
                    unknown.unwrap_or_default()
                );
                self.say(text, is_bad);
            }
        }
    }
}
