//! The stepping view: one traced call, step by step, forward and back in time.

pub(in crate::tui) mod calls;
mod commands;
mod find;
mod loading;
mod pointer;
pub(in crate::tui) mod regions;
pub(in crate::tui) mod rows;

use std::sync::Arc;

use ratatui::layout::Size;
use tui_input::Input;

use super::super::action::UiEffect;
use super::super::list::List;
use super::{Overlay, UiState};
use crate::event::Event;
use crate::event::call::{CallComparison, CallKey, TracedCall};
use crate::event::evaluate::RecordedExpr;
use regions::StepRegions;

/// A view of the values of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) enum StepView {
    /// All values, with their changes.
    #[default]
    Variables,
    /// The selected variable over the steps of the frame, as a plot.
    Plot,
    /// Its values as a table.
    Table,
}

impl StepView {
    /// In their order.
    pub(in crate::tui) const ALL: [Self; 3] = [Self::Variables, Self::Plot, Self::Table];

    /// Its name on the screen.
    pub(in crate::tui) const fn name(self) -> &'static str {
        match self {
            Self::Variables => "variables",
            Self::Plot => "plot",
            Self::Table => "table",
        }
    }
}

/// The purpose of a line that is typed in the stepping view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum StepQuestion {
    /// An expression that holds somewhere.
    Find,
    /// The number of a step.
    Step,
    /// The number of a call to compare with.
    Other,
}

impl StepQuestion {
    /// The label before the line.
    pub(in crate::tui) const fn label(self) -> &'static str {
        match self {
            Self::Find => "find where ",
            Self::Step => "go to step ",
            Self::Other => "compare with call ",
        }
    }
}

/// A line that is typed.
#[derive(Debug)]
pub(in crate::tui) struct StepTyping {
    /// Its purpose.
    pub(in crate::tui) question: StepQuestion,
    /// The line.
    pub(in crate::tui) input: Input,
}

/// Two calls that were compared, as far as they were known then.
#[derive(Debug)]
struct KnownComparison {
    lengths: [usize; 2],
    of: CallKey,
    with: CallKey,
    comparison: CallComparison,
}

/// The step that the lists of the view were last put in order for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ShownStep {
    call: CallKey,
    number: u64,
    size: Size,
    /// Lines of the source, which comes later than the step.
    lines: usize,
}

/// The stepping view.
#[derive(Debug)]
pub(in crate::tui) struct Stepping {
    /// The call.
    pub(in crate::tui) call: CallKey,
    /// Number of the current step.
    pub(in crate::tui) number: u64,
    /// The view of its values.
    pub(in crate::tui) view: StepView,
    /// The selected variable.
    pub(in crate::tui) variable: Option<String>,
    /// Selected and first row of the variables.
    pub(in crate::tui) variables: List,
    /// The frame of the step, and the first row of the frames.
    pub(in crate::tui) frames: List,
    /// The line of the step, and the first line of the source on the screen, from 0.
    pub(in crate::tui) source: List,
    /// The call beside it.
    pub(in crate::tui) other: Option<CallKey>,
    /// The line that is typed.
    pub(in crate::tui) typing: Option<StepTyping>,
    /// Steps of a recording are being read.
    pub(in crate::tui) is_loading: bool,
    /// The expression that was looked for last.
    wanted: Option<RecordedExpr>,
    comparison: Option<KnownComparison>,
    shown: Option<ShownStep>,
    /// The place that the source pane was last sent to.
    opened: Option<StepPlace>,
}

impl Stepping {
    const fn new(call: CallKey, number: u64) -> Self {
        let list = List { cursor: 0, top: 0 };
        Self {
            call,
            number,
            view: StepView::Variables,
            variable: None,
            variables: list,
            frames: list,
            source: list,
            other: None,
            typing: None,
            is_loading: false,
            wanted: None,
            comparison: None,
            shown: None,
            opened: None,
        }
    }

    /// Returns true, once, if the step is at another place than the one before.
    fn has_moved(&mut self, place: &StepPlace) -> bool {
        let has_moved = self.opened.as_ref() != Some(place);
        self.opened = Some(place.clone());
        has_moved
    }

    /// The comparison with the call beside it.
    pub(in crate::tui) fn comparison(&self) -> Option<&CallComparison> {
        let known = self.comparison.as_ref()?;
        let is_present = known.of == self.call && Some(known.with) == self.other;
        is_present.then_some(&known.comparison)
    }

    /// The areas of the view on a screen.
    pub(in crate::tui) fn regions(&self, size: Size) -> StepRegions {
        StepRegions::new(size, self.view, self.other.is_some())
    }
}

/// The call of the stepping view, and the index of its current step.
#[derive(Clone, Copy)]
pub(in crate::tui) struct SteppedCall<'s> {
    /// The view.
    pub(in crate::tui) view: &'s Stepping,
    /// The call.
    pub(in crate::tui) call: &'s TracedCall,
    /// Index of the current step.
    pub(in crate::tui) index: usize,
}

impl UiState {
    /// The call of the stepping view. `None` if the view is not open, or nothing of the call is kept.
    pub(in crate::tui) fn stepped(&self) -> Option<SteppedCall<'_>> {
        let Overlay::Steps(view) = &self.overlay else {
            return None;
        };
        let call = self.calls.get(view.call)?;
        let index = call.index_of(view.number).min(call.len().checked_sub(1)?);
        Some(SteppedCall { view, call, index })
    }

    fn stepping_mut(&mut self) -> Option<&mut Stepping> {
        match &mut self.overlay {
            Overlay::Steps(view) => Some(view),
            _ => None,
        }
    }

    /// Shows an event of the list in full, or the call that it is a step of.
    pub(super) fn open_event(&mut self, number: u64) -> Vec<UiEffect> {
        let row = self.events.row_of(number);
        let event = row.and_then(|row| self.events.shared_event(row));
        match event.filter(|event| event.step.is_some()) {
            Some(event) => self.open_steps(&event),
            None => {
                self.show_event(number);
                Vec::new()
            }
        }
    }

    /// Opens the stepping view at a step.
    fn open_steps(&mut self, event: &Arc<Event>) -> Vec<UiEffect> {
        let (Some(call), Some(step)) = (CallKey::of(event), &event.step) else {
            return Vec::new();
        };
        self.calls.take(event);
        self.events.follow = false;
        self.show_call(call, step.number);
        self.load_whole_call(call)
    }

    /// Opens the stepping view at the selected event, or with the newest call. For `:steps`.
    pub(super) fn open_newest_steps(&mut self) -> Vec<UiEffect> {
        self.overlay = Overlay::None;
        let selected = self.events.shared_event(self.events.list.cursor);
        if let Some(event) = selected.filter(|event| event.step.is_some()) {
            return self.open_steps(&event);
        }
        match self.calls.newest() {
            Some(call) => {
                self.show_call(call, 1);
                self.load_whole_call(call)
            }
            None => {
                let text = "no traced call yet: `:trace FUNCTION` records one";
                self.say(text, false);
                Vec::new()
            }
        }
    }

    fn show_call(&mut self, call: CallKey, number: u64) {
        self.calls.hold(vec![call]);
        self.overlay = Overlay::Steps(Box::new(Stepping::new(call, number)));
    }

    /// Leaves the stepping view.
    fn leave_steps(&mut self) {
        self.calls.hold(Vec::new());
        self.overlay = Overlay::None;
    }

    /// Puts the lists of the view in order, and has the source of the step shown.
    pub(super) fn settle_stepping(&mut self) -> Vec<UiEffect> {
        // The event in full and the help lie over the view.
        if matches!(self.overlay, Overlay::None)
            && let Some(view) = self.steps_behind.take()
        {
            self.overlay = Overlay::Steps(view);
        }
        if !matches!(self.overlay, Overlay::Steps(_)) {
            return Vec::new();
        }
        if self.stepped().is_none() {
            self.leave_steps();
            self.say("the steps of this call are not kept any more", true);
            return Vec::new();
        }
        self.settle_comparison();
        let place = self.stepped().and_then(|stepped| stepped.place());
        let effects = self.settle_step(place.as_ref().map(|place| place.line));
        let Some(place) = place else {
            return effects;
        };
        let is_open = self
            .source
            .as_ref()
            .is_some_and(|source| source.file.path == place.file);
        let focus = self.focus;
        let mut effects = effects;
        let is_new = self
            .stepping_mut()
            .is_some_and(|view| view.has_moved(&place));
        if !is_open || is_new {
            effects.extend(self.open_at(&place.file, place.line));
            self.focus = focus;
        }
        effects
    }

    /// Puts the lists in order for the current step.
    fn settle_step(&mut self, line: Option<u64>) -> Vec<UiEffect> {
        let size = self.size;
        let Some(stepped) = self.stepped() else {
            return Vec::new();
        };
        let frames = stepped.call.frames().len();
        let frame = stepped.call.step(stepped.index).map(|step| step.frame);
        let number = stepped.call.step(stepped.index).map(|step| step.number());
        let names = rows::names(stepped.call, stepped.index);
        let call = stepped.call.key();
        let lines = self
            .source
            .as_ref()
            .map_or(0, super::source::SourceView::len);
        let Some(view) = self.stepping_mut() else {
            return Vec::new();
        };
        let regions = view.regions(size);
        // A step that comes late may have taken the place of the nearest one.
        let now = ShownStep {
            call,
            number: number.unwrap_or(view.number),
            size,
            lines,
        };
        let is_new = view.shown.replace(now) != Some(now);
        let selected = view.variable.as_ref();
        let row = selected.and_then(|name| names.iter().position(|one| one == name));
        match row {
            Some(row) => view.variables.cursor = row,
            None => {
                view.variables.cursor = view.variables.cursor.min(names.len().saturating_sub(1));
                view.variable = names.get(view.variables.cursor).cloned();
            }
        }
        view.variables.settle(names.len(), regions.variable_rows());
        view.frames.cursor = frame.unwrap_or(0);
        if is_new {
            let rows = usize::from(regions.frames.height).saturating_sub(1);
            view.frames.settle(frames, rows);
            let rows = usize::from(regions.source.height).saturating_sub(1);
            if let Some(line) = line.and_then(|line| usize::try_from(line).ok()) {
                view.source.jump(line.saturating_sub(1), rows.max(1));
            }
            view.source.top = view.source.top.min(lines.max(1).saturating_sub(1));
        }
        Vec::new()
    }

    /// Compares the two calls again if more is known of one.
    fn settle_comparison(&mut self) {
        let Overlay::Steps(view) = &self.overlay else {
            return;
        };
        let Some((with, of)) = view.other.zip(Some(view.call)) else {
            return;
        };
        let (Some(one), Some(two)) = (self.calls.get(of), self.calls.get(with)) else {
            return;
        };
        let lengths = [one.len(), two.len()];
        let known = view.comparison.as_ref();
        if known.is_some_and(|known| (known.lengths, known.of, known.with) == (lengths, of, with)) {
            return;
        }
        let known = KnownComparison {
            lengths,
            of,
            with,
            comparison: CallComparison::new(one, two),
        };
        if let Some(view) = self.stepping_mut() {
            view.comparison = Some(known);
        }
    }
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tui) struct StepPlace {
    /// The file.
    pub(in crate::tui) file: Arc<std::path::PathBuf>,
    /// From 1.
    pub(in crate::tui) line: u64,
}

impl SteppedCall<'_> {
    /// The place of the current step. A call that was left was last seen at the step before.
    pub(in crate::tui) fn place(&self) -> Option<StepPlace> {
        let step = self.call.step(self.index)?;
        let step = match step.kind().is_of_next_call() {
            true => self.call.step(self.index.checked_sub(1)?)?,
            false => step,
        };
        let origin = &step.event.origin;
        let is_known = origin.line > 0 && origin.file.file_name().is_some();
        is_known.then(|| StepPlace {
            file: Arc::clone(&origin.file),
            line: origin.line,
        })
    }
}
