//! A traced call, step by step.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::glyphs::{self, Pen};
use super::super::keymap::{KeyCommand, Mode, hint};
use super::super::state::UiState;
use super::super::state::stepping::{StepTyping, StepView, SteppedCall};
use super::super::theme::Role;
use crate::event::call::FrameEnd;
use crate::event::{StepKind, grouped};
use crate::value::Value;

mod bar;
mod comparison;
mod frames;
mod history;
mod lines;
pub(super) mod row;
mod variables;

/// Keys at the foot, the most important first.
const KEYS: [(&[KeyCommand], &str); 12] = [
    (&[KeyCommand::Left, KeyCommand::Right], "step"),
    (&[KeyCommand::Back], "back"),
    (&[KeyCommand::Help], "keys"),
    (&[KeyCommand::StepOverBack, KeyCommand::StepOver], "over"),
    (&[KeyCommand::StepInto], "into"),
    (&[KeyCommand::StepOut], "out"),
    (
        &[KeyCommand::PreviousPass, KeyCommand::NextPass],
        "pass of the line",
    ),
    (&[KeyCommand::PreviousChange], "last change"),
    (&[KeyCommand::Search], "find"),
    (&[KeyCommand::NextView], "plot"),
    (&[KeyCommand::Compare], "compare"),
    (&[KeyCommand::PreviousCall, KeyCommand::NextCall], "calls"),
];

/// Draws it; returns where the terminal's cursor belongs.
pub(super) fn draw(state: &UiState, buffer: &mut Buffer, area: Rect) -> Option<(u16, u16)> {
    for row in 0..area.height {
        Pen::new(buffer, area, row).fill(' ', Style::new());
    }
    let stepped = state.stepped()?;
    let regions = stepped.view.regions(state.size);
    title(state, &stepped, buffer, regions.title);
    match stepped.view.other.and_then(|other| state.calls.get(other)) {
        Some(other) => comparison::draw(state, &stepped, other, buffer, regions.source),
        None => lines::draw(state, &stepped, buffer, regions.source),
    }
    for row in 0..regions.divider.height {
        Pen::new(buffer, regions.divider, row).text("│", state.theme.role(Role::Dim));
    }
    match stepped.view.view {
        StepView::Variables => variables::draw(state, &stepped, buffer, regions.variables),
        StepView::Plot => history::plot(state, &stepped, buffer, regions.variables),
        StepView::Table => history::table(state, &stepped, buffer, regions.variables),
    }
    frames::draw(state, &stepped, buffer, regions.frames);
    bar::draw(state, &stepped, buffer, regions.bar);
    foot(state, &stepped, buffer, regions.foot)
}

/// The rule at the top of a part: its name, and remarks.
fn rule(state: &UiState, buffer: &mut Buffer, area: Rect, name: &str, parts: &[(String, Role)]) {
    if !area.is_empty() {
        super::rule(state, buffer, area, None, name, parts);
    }
}

/// The end of a frame in words.
const fn end_text(end: FrameEnd) -> &'static str {
    match end {
        FrameEnd::Open => "still runs",
        FrameEnd::Returned => "returned",
        FrameEnd::Left => "left without a return",
        FrameEnd::Cut => "recorded no further",
        FrameEnd::Unknown => "end not recorded",
    }
}

/// The call, and the kind and place of the step.
fn title(state: &UiState, stepped: &SteppedCall<'_>, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let Some(step) = stepped.call.step(stepped.index) else {
        return;
    };
    let (event, key) = (&step.event, stepped.call.key());
    let root = stepped.call.frames().first();
    let name = root.map_or("", |root| stepped.call.name_of(root));
    let ended = match (
        root.and_then(|root| stepped.call.duration_ns(root)),
        stepped.call.end(),
    ) {
        (Some(ns), _) => format!("returned after {}", Value::Nanoseconds(ns)),
        // A recording has no more.
        (None, FrameEnd::Open) if state.recording.is_some() => "its end is not recorded".to_owned(),
        (None, end) => end_text(end).to_owned(),
    };
    let mut pen = Pen::new(buffer, area, 0);
    pen.text(" step ", theme.role(Role::Accent))
        .text("▸ ", theme.role(Role::Dim));
    let of = format!("call {} of {name}", grouped(key.call));
    let room = pen.room() / 2;
    pen.fitted(&of, room, theme.role(Role::Heading))
        .text("  ", Style::new());
    let reading = match stepped.view.is_loading {
        true => "  reading…",
        false => "",
    };
    let ids = event.ids(state.processes);
    let rest = format!(
        "{} · {}/{ids} · {ended}{reading}",
        event.origin.probe_name, event.thread
    );
    let room = pen.room();
    pen.fitted(&rest, room, theme.role(Role::Plain));
}

/// The kind of a step in words.
const fn kind_text(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Enter => "enters",
        StepKind::Line => "before this line",
        StepKind::Return => "returns",
        StepKind::Left => "left without a return",
        StepKind::Missed => "over, its end was missed",
        StepKind::Cut => "recorded up to this line",
    }
}

/// The line that is typed, a message, or the keys.
fn foot(
    state: &UiState,
    stepped: &SteppedCall<'_>,
    buffer: &mut Buffer,
    area: Rect,
) -> Option<(u16, u16)> {
    let theme = state.theme;
    if area.is_empty() {
        return None;
    }
    let mut pen = Pen::new(buffer, area, 0);
    if let Some(typing) = &stepped.view.typing {
        return Some(typed_line(state, typing, buffer, area));
    }
    if let Some(message) = &state.message {
        let (sign, role) = match message.bad {
            true => (" ! ", Role::Bad),
            false => (" ✓ ", Role::Good),
        };
        pen.text(sign, theme.role(role));
        let room = pen.room();
        pen.fitted(&message.text, room, theme.role(role));
        return None;
    }
    for (commands, what) in KEYS {
        let keys = commands.iter().map(|command| hint(Mode::Steps, *command));
        let keys: Vec<String> = keys.filter(|key| !key.is_empty()).collect();
        let keys = keys.join(" ");
        if keys.is_empty() || pen.room() < glyphs::width(&keys, 20) + what.len() + 3 {
            continue;
        }
        pen.text(" ", Style::new())
            .text(&keys, theme.role(Role::Accent))
            .text(" ", Style::new())
            .text(what, theme.role(Role::Dim))
            .text(" ", Style::new());
    }
    None
}

/// Draws the line that is typed; returns where the terminal's cursor belongs.
fn typed_line(state: &UiState, typing: &StepTyping, buffer: &mut Buffer, area: Rect) -> (u16, u16) {
    let theme = state.theme;
    let mut pen = Pen::new(buffer, area, 0);
    pen.text(" ", Style::new())
        .text(typing.question.label(), theme.role(Role::Accent));
    let start = pen.x();
    let message = state.message.as_ref().filter(|message| message.bad);
    let error = message.map_or_else(String::new, |message| format!("  ! {}", message.text));
    let room = pen.room().saturating_sub(1);
    let room = match error.is_empty() {
        true => room,
        false => room.saturating_sub(glyphs::width(&error, room / 2)),
    };
    let scroll = typing.input.visual_scroll(room.max(1));
    let field = Rect {
        x: start,
        width: room as u16,
        ..area
    };
    Pen::new(buffer, field, 0)
        .scrolled(scroll)
        .text(typing.input.value(), Style::new());
    let rest = Rect {
        x: field.right(),
        width: area.right().saturating_sub(field.right()),
        ..area
    };
    let mut pen = Pen::new(buffer, rest, 0);
    let room = pen.room();
    pen.fitted(&error, room, theme.role(Role::Bad));
    let column = typing.input.visual_cursor().saturating_sub(scroll) as u16;
    (start + column, area.y)
}
