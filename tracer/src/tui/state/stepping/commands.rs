//! The keys of the stepping view.

use std::sync::Arc;

use super::super::super::action::UiEffect;
use super::super::super::keymap::{HelpPlace, KeyCommand, Mode, hint};
use super::{Overlay, StepQuestion, StepView, UiState, rows};
use crate::event::call::{Direction, FrameEnd, StepMove};
use crate::event::grouped;
use crate::sink::json;

/// The move of a key.
fn way(command: KeyCommand) -> Option<(StepMove, Direction)> {
    use Direction::{Back, Forward};
    Some(match command {
        KeyCommand::Right => (StepMove::Step, Forward),
        KeyCommand::Left => (StepMove::Step, Back),
        KeyCommand::StepOver => (StepMove::Over, Forward),
        KeyCommand::StepOverBack => (StepMove::Over, Back),
        KeyCommand::StepInto => (StepMove::Into, Forward),
        KeyCommand::StepIntoBack => (StepMove::Into, Back),
        KeyCommand::StepOut => (StepMove::Out, Forward),
        KeyCommand::StepOutBack => (StepMove::Out, Back),
        KeyCommand::NextPass => (StepMove::Pass, Forward),
        KeyCommand::PreviousPass => (StepMove::Pass, Back),
        KeyCommand::NextPassAnywhere => (StepMove::PassAnywhere, Forward),
        KeyCommand::PreviousPassAnywhere => (StepMove::PassAnywhere, Back),
        KeyCommand::End => (StepMove::End, Forward),
        KeyCommand::Home => (StepMove::End, Back),
        _ => return None,
    })
}

/// Why a move leads nowhere.
const fn no_way(way: StepMove, direction: Direction, end: FrameEnd) -> &'static str {
    match (way, direction) {
        (StepMove::Step | StepMove::Over | StepMove::End, Direction::Forward) => match end {
            FrameEnd::Open => "no later step is known yet",
            _ => "this is the last step",
        },
        (StepMove::Step | StepMove::Over | StepMove::End, Direction::Back) => {
            "this is the first step"
        }
        (StepMove::Into, Direction::Forward) => "no further call of this frame is recorded",
        (StepMove::Into, Direction::Back) => "no earlier call of this frame is recorded",
        (StepMove::Out, Direction::Forward) => "no later step of a caller is recorded",
        (StepMove::Out, Direction::Back) => "no earlier step of a caller is recorded",
        (StepMove::Pass, Direction::Forward) => "no later pass of this line in this frame",
        (StepMove::Pass, Direction::Back) => "no earlier pass of this line in this frame",
        (StepMove::PassAnywhere, Direction::Forward) => "no later pass of this line",
        (StepMove::PassAnywhere, Direction::Back) => "no earlier pass of this line",
    }
}

impl UiState {
    /// A key of the stepping view.
    pub(in crate::tui) fn steps_command(&mut self, command: KeyCommand) -> Vec<UiEffect> {
        if self
            .stepping_mut()
            .is_some_and(|view| view.typing.is_some())
        {
            return self.steps_typing_command(command);
        }
        self.message = None;
        if let Some((way, direction)) = way(command) {
            self.go_step(way, direction);
            return Vec::new();
        }
        match command {
            KeyCommand::Up => self.choose_variable(-1),
            KeyCommand::Down => self.choose_variable(1),
            KeyCommand::PageUp | KeyCommand::PageDown => self.page_variables(command),
            KeyCommand::NextChange => self.go_to_change(Direction::Forward),
            KeyCommand::PreviousChange => self.go_to_change(Direction::Back),
            KeyCommand::Search => self.ask_steps(StepQuestion::Find, String::new()),
            KeyCommand::NextMatch => self.find_step(Direction::Forward),
            KeyCommand::PreviousMatch => self.find_step(Direction::Back),
            KeyCommand::GoTo => self.ask_steps(StepQuestion::Step, String::new()),
            KeyCommand::NextView => self.turn_step_view(1),
            KeyCommand::PreviousView => self.turn_step_view(StepView::ALL.len() - 1),
            KeyCommand::Compare => self.compare_calls(),
            KeyCommand::NextDifference => self.go_to_difference(false),
            KeyCommand::PreviousDifference => self.go_to_difference(true),
            KeyCommand::NextCall => return self.next_call(false),
            KeyCommand::PreviousCall => return self.next_call(true),
            KeyCommand::Activate => self.show_step_in_full(),
            KeyCommand::Copy => return self.copy_variable(),
            KeyCommand::Watch => return self.watch_step(),
            KeyCommand::CopyAll => {
                let step = self.stepped().and_then(|one| one.call.step(one.index));
                let line = step.map(|step| json::event_line(&step.event));
                return line.map_or_else(Vec::new, |line| self.copy(line.trim_end().to_owned()));
            }
            KeyCommand::EditSource => return self.edit_source(),
            KeyCommand::Help => self.help_of_steps(),
            KeyCommand::Back => self.back_in_steps(),
            _ => {}
        }
        Vec::new()
    }

    fn go_step(&mut self, way: StepMove, direction: Direction) {
        let Some(stepped) = self.stepped() else {
            return;
        };
        let end = stepped.call.end();
        match stepped.call.go(stepped.index, way, direction) {
            Some(index) => self.go_to_index(index),
            None => self.say(no_way(way, direction, end), false),
        }
    }

    /// Goes to a step by its index.
    pub(super) fn go_to_index(&mut self, index: usize) {
        let Some(stepped) = self.stepped() else {
            return;
        };
        if let Some(number) = stepped.call.step(index).map(|step| step.number())
            && let Some(view) = self.stepping_mut()
        {
            view.number = number;
        }
    }

    /// Goes to a step by its number, or to the nearest one that is there.
    pub(super) fn go_to_step(&mut self, number: u64) {
        let Some(stepped) = self.stepped() else {
            return;
        };
        let index = stepped.call.index_of(number);
        let index = index.min(stepped.call.len().saturating_sub(1));
        let found = stepped.call.step(index).map(|step| step.number());
        self.go_to_index(index);
        if found.is_some_and(|found| found != number) {
            self.say(format!("step {} is not there", grouped(number)), false);
        }
    }

    /// Leaves the comparison, or the view.
    fn back_in_steps(&mut self) {
        let Overlay::Steps(view) = &mut self.overlay else {
            return;
        };
        if view.other.take().is_some() {
            let held = vec![view.call];
            self.calls.hold(held);
        } else if view.view != StepView::Variables {
            view.view = StepView::Variables;
        } else {
            self.leave_steps();
        }
    }

    fn choose_variable(&mut self, rows: isize) {
        if let Some(view) = self.stepping_mut() {
            view.variables.step(rows);
        }
        self.select_variable();
    }

    fn page_variables(&mut self, command: KeyCommand) {
        let size = self.size;
        let page = self
            .stepping_mut()
            .map_or(1, |view| view.regions(size).variable_rows());
        let page = isize::try_from(page).unwrap_or(1).max(2) - 1;
        self.choose_variable(match command {
            KeyCommand::PageUp => -page,
            _ => page,
        });
    }

    /// Selects the variable of the cursor's row.
    pub(super) fn select_variable(&mut self) {
        let Some(stepped) = self.stepped() else {
            return;
        };
        let mut names = rows::names(stepped.call, stepped.index);
        let row = stepped.view.variables.cursor;
        let row = row.min(names.len().saturating_sub(1));
        if let Some(view) = self.stepping_mut() {
            view.variables.cursor = row;
            view.variable = (row < names.len()).then(|| names.swap_remove(row));
        }
    }

    /// Goes to where the selected variable changed.
    fn go_to_change(&mut self, direction: Direction) {
        let Some(stepped) = self.stepped() else {
            return;
        };
        let Some(name) = stepped.view.variable.clone() else {
            return self.say("no variable is selected", false);
        };
        let when = match direction {
            Direction::Forward => "later",
            Direction::Back => "earlier",
        };
        let call = stepped.call;
        let Some(index) = call.change_of(stepped.index, &name, direction) else {
            return self.say(format!("no {when} change of `{name}` in this frame"), false);
        };
        let turn = call.step(index).and_then(|step| step.turn.checked_sub(1));
        let before = turn.and_then(|turn| call.frame_of(index)?.steps.get(turn).copied());
        let by = before.and_then(|before| call.step(before)).map(|step| {
            format!(
                " by line {}, step {}",
                step.event.origin.line,
                grouped(step.number())
            )
        });
        let lost = (before.map_or(0, |before| before + 1)..=index)
            .any(|between| !call.gap_before(between).is_none());
        let or = match lost {
            true => " or a step that is missing",
            false => "",
        };
        self.go_to_index(index);
        if let Some(by) = by {
            self.say(format!("`{name}` changed{by}{or}"), false);
        }
    }

    fn turn_step_view(&mut self, steps: usize) {
        if let Some(view) = self.stepping_mut() {
            let all = StepView::ALL;
            let at = all.iter().position(|one| *one == view.view).unwrap_or(0);
            view.view = all[(at + steps) % all.len()];
        }
    }

    /// Asks for the call to compare with, or ends the comparison.
    fn compare_calls(&mut self) {
        let Some(stepped) = self.stepped() else {
            return;
        };
        if stepped.view.other.is_some() {
            return self.back_in_steps();
        }
        let now = stepped.call.key();
        let calls = self.calls.of_probe(now.probe);
        let before = calls.iter().rev().find(|key| key.call < now.call);
        let near = before.or_else(|| calls.iter().find(|key| key.call > now.call));
        let near = near.map(|key| key.call.to_string());
        if near.is_none() && self.recording.is_none() {
            return self.say("no other call of this probe is kept", false);
        }
        self.ask_steps(StepQuestion::Other, near.unwrap_or_default());
    }

    fn go_to_difference(&mut self, back: bool) {
        let Some(stepped) = self.stepped() else {
            return;
        };
        let Some(comparison) = stepped.view.comparison() else {
            let key = hint(Mode::Steps, KeyCommand::Compare);
            return self.say(format!("`{key}` puts another call beside this one"), false);
        };
        let next = comparison.next(stepped.index, back);
        let last = stepped.call.len().saturating_sub(1);
        let (is_first, common) = (comparison.first() == next, comparison.common);
        let parting = comparison.parting.filter(|_| next == Some(common));
        match next {
            Some(index) => {
                self.go_to_index(index.min(last));
                match parting {
                    Some(parting) => self.say(parting.text(), false),
                    None if is_first => self.say("the first difference", false),
                    None => {}
                }
            }
            None if back => self.say("no earlier difference", false),
            None => self.say("no later difference", false),
        }
    }

    /// Shows the step as an event in full. The view comes back after it.
    fn show_step_in_full(&mut self) {
        let Some(step) = self.stepped().and_then(|one| one.call.step(one.index)) else {
            return;
        };
        if step.kind().is_of_next_call() {
            return self.say("the call is over: its values are not known", false);
        }
        let event = Arc::clone(&step.event);
        let before = step.before.and_then(|before| {
            let step = self.stepped()?.call.step(before)?;
            Some(Arc::clone(&step.event))
        });
        if let Overlay::Steps(view) = std::mem::replace(&mut self.overlay, Overlay::None) {
            self.steps_behind = Some(view);
        }
        let mut rows = (0..self.events.len()).rev();
        let row = rows.find(|row| {
            let shown = self.events.shared_event(*row);
            shown.is_some_and(|shown| Arc::ptr_eq(&shown, &event))
        });
        // A step that is not in the list has no neighbours there.
        let number = row.and_then(|row| self.events.number(row));
        self.show_detail(number.unwrap_or(u64::MAX), event, before);
    }

    /// Shows the help at the keys of this view. The view comes back after it.
    fn help_of_steps(&mut self) {
        if let Overlay::Steps(view) = std::mem::replace(&mut self.overlay, Overlay::None) {
            self.steps_behind = Some(view);
        }
        self.open_help_at(HelpPlace::Steps, None);
    }

    /// Copies the selected variable.
    fn copy_variable(&mut self) -> Vec<UiEffect> {
        let value = self.stepped().and_then(|stepped| {
            let name = stepped.view.variable.as_ref()?;
            let values = stepped.call.values(stepped.index);
            let value = values.iter().find(|value| *value.expr == **name)?;
            Some(value.value.to_string())
        });
        match value {
            Some(text) => self.copy(text),
            None => {
                self.say("this row has no value to copy", false);
                Vec::new()
            }
        }
    }
}
