//! An event in full.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::glyphs::{self, Pen};
use super::super::keymap::{KeyCommand, Mode};
use super::super::state::UiState;
use super::super::state::changes::changed;
use super::super::state::detail::{Detail, HEAD, Tab};
use super::super::theme::{Role, Theme};
use super::super::times::full_time;
use super::super::tree::{Fold, Row, RowKind};
use crate::event::{counted, grouped};

/// Keys at the foot, the most important first.
const KEYS: [(KeyCommand, &str); 12] = [
    (KeyCommand::Back, "back"),
    (KeyCommand::Help, "keys"),
    (KeyCommand::Activate, "fold"),
    (KeyCommand::StackTab, "stack"),
    (KeyCommand::PreviousEvent, "previous"),
    (KeyCommand::NextEvent, "next"),
    (KeyCommand::Search, "search"),
    (KeyCommand::Copy, "copy"),
    (KeyCommand::UnfoldAll, "unfold all"),
    (KeyCommand::Hex, "hex"),
    (KeyCommand::EditSource, "edit"),
    (KeyCommand::RawTab, "JSON"),
];

/// Draws it; returns where the terminal's cursor belongs.
pub(super) fn draw(
    state: &UiState,
    detail: &Detail,
    buffer: &mut Buffer,
    area: Rect,
) -> Option<(u16, u16)> {
    let inner = super::frame(state.theme, buffer, area, " Event ", "");
    head(state, detail, buffer, inner);
    let below = Rect {
        y: inner.y + HEAD.min(inner.height),
        height: inner.height.saturating_sub(HEAD),
        ..inner
    };
    let list = detail.look.list;
    for row in 0..below.height {
        let at = list.top + usize::from(row);
        let Some(line) = detail.rows.get(at) else {
            break;
        };
        let mut pen = Pen::new(buffer, below, row);
        tree_row(state.theme, &mut pen, line, detail, at == list.cursor);
    }
    if detail.rows.is_empty() {
        let text = match detail.look.tab {
            Tab::Values => "  no values",
            Tab::Stack => "  no stack: `snapshot` captures one",
            Tab::Raw => "",
        };
        Pen::new(buffer, below, 0).text(text, state.theme.role(Role::Dim));
    }
    let left = detail
        .rows
        .len()
        .saturating_sub(list.top + usize::from(below.height));
    if left > 0 {
        let text = format!(" {} more ↓ ", grouped(left as u64));
        let at = area.right().saturating_sub(text.chars().count() as u16 + 2);
        Pen::new(buffer, area, area.height.saturating_sub(1))
            .go(at.max(area.x))
            .text(&text, state.theme.role(Role::Accent));
    }
    foot(state, detail, buffer, area)
}

/// The origin of the event, and the tabs.
fn head(state: &UiState, detail: &Detail, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let (event, origin) = (&detail.event, &detail.event.origin);
    let mut pen = Pen::new(buffer, area, 0);
    pen.text(
        &full_time(event.time_ns, &state.zone),
        theme.role(Role::Plain),
    );
    pen.text("  ", Style::new());
    let hit = format!("{} hit {}", origin.probe_name, grouped(event.hit));
    let room = pen.room().saturating_sub(glyphs::width(&hit, 60) + 2);
    let who = format!("{}/{} of process {}", event.thread, event.tid, event.pid);
    pen.fitted(&who, room, theme.role(Role::Plain))
        .text("  ", Style::new());
    let room = pen.room();
    pen.fitted(&hit, room, theme.role(Role::Accent));

    let mut pen = Pen::new(buffer, area, 1);
    let place = match origin.line {
        0 => String::new(),
        line => format!("{}:{line}  ", origin.file.display()),
    };
    let site = match origin.site {
        (_, 0 | 1) => String::new(),
        (at, of) => format!("  (site {at} of {of})"),
    };
    let room = pen.room();
    pen.fitted_tail(&place, room * 2 / 3, theme.role(Role::Accent));
    let room = pen.room();
    pen.fitted(
        &format!("{}{site}", origin.function),
        room,
        theme.role(Role::Plain),
    );

    let mut pen = Pen::new(buffer, area, 2);
    for tab in Tab::ALL {
        let count = match tab {
            Tab::Values => event.values.len(),
            Tab::Stack => event.stack.frames.len(),
            Tab::Raw => 0,
        };
        let name = match count {
            0 => format!(" {} ", tab.name()),
            count => format!(" {} {count} ", tab.name()),
        };
        let style = match (tab == detail.look.tab, tab, count) {
            (true, ..) => theme.role(Role::Selected),
            (false, Tab::Stack, 0) => theme.role(Role::Dim),
            _ => theme.role(Role::Plain),
        };
        pen.text(&name, style).text(" ", Style::new());
    }
    let mut notes = Vec::new();
    if detail.hidden > 0 {
        notes.push(format!("{} folded", counted(detail.hidden, "part")));
    }
    if detail.look.tab == Tab::Stack && !event.stack.frames.is_empty() {
        notes.push("◆ own code".to_owned());
    }
    if detail.look.hex {
        notes.push("hex".to_owned());
    }
    let room = pen.room();
    pen.text(" ", Style::new()).fitted(
        &notes.join(" · "),
        room.saturating_sub(1),
        theme.role(Role::Dim),
    );
}

/// The line being typed, a message, or the keys.
fn foot(state: &UiState, detail: &Detail, buffer: &mut Buffer, area: Rect) -> Option<(u16, u16)> {
    let theme = state.theme;
    let row = area.height.checked_sub(1)?;
    let inside = Rect {
        x: area.x + area.width.min(2),
        width: area.width.saturating_sub(21),
        ..area
    };
    let mut pen = Pen::new(buffer, inside, row);
    if let Some(typed) = &detail.search {
        pen.text(" /", theme.role(Role::Accent));
        let (start, room) = (pen.x(), pen.room().saturating_sub(1));
        let scroll = typed.visual_scroll(room.max(1));
        let field = Rect {
            x: start,
            y: area.y + row,
            width: room as u16,
            height: 1,
        };
        Pen::new(buffer, field, 0).fill(' ', Style::new());
        Pen::new(buffer, field, 0)
            .scrolled(scroll)
            .text(typed.value(), Style::new());
        let column = typed.visual_cursor().saturating_sub(scroll) as u16;
        return Some((start + column, area.y + row));
    }
    if let Some(message) = &state.message {
        let (sign, role) = match message.bad {
            true => (" ! ", Role::Bad),
            false => (" ✓ ", Role::Good),
        };
        let room = pen.room().saturating_sub(4);
        pen.text(sign, theme.role(role))
            .fitted(&message.text, room, theme.role(role))
            .text(" ", Style::new());
        return None;
    }
    super::draw_hints(theme, &mut pen, Mode::Event, &KEYS);
    None
}

fn tree_row(theme: Theme, pen: &mut Pen<'_>, row: &Row, detail: &Detail, selected: bool) {
    let base = if selected {
        theme.role(Role::Selected)
    } else {
        Style::new()
    };
    // On the selected row the colours are those of the row.
    let style = |role| match selected {
        true => base,
        false => theme.role(role),
    };
    let needle = detail.look.needle.as_str();
    pen.text(if row.changed { "≠ " } else { "  " }, style(Role::Changed));
    let depth = row.depth.min(pen.room() / 4);
    pen.text(&"│ ".repeat(depth), style(Role::Dim));
    if row.kind != RowKind::Json {
        let sign = match row.fold {
            Fold::Whole => "  ",
            Fold::Folded => "▸ ",
            Fold::Unfolded => "▾ ",
        };
        pen.text(sign, style(Role::Dim));
    }
    if row.kind == RowKind::OwnFrame {
        pen.text("◆ ", style(Role::Accent));
    } else if row.kind == RowKind::OtherFrame {
        pen.text("  ", base);
    }
    if !row.label.is_empty() {
        let role = match row.kind {
            RowKind::Piece | RowKind::OtherFrame | RowKind::Place => Role::Dim,
            _ => Role::Accent,
        };
        let room = pen.room() * 2 / 3;
        found(theme, pen, &row.label, needle, room, style(role));
        let after = match row.kind {
            _ if row.is_key => " → ",
            RowKind::Value | RowKind::Unavailable => ": ",
            _ => "  ",
        };
        pen.text(after, style(Role::Dim));
    }
    if !row.ty.is_empty() {
        let room = pen.room() * 2 / 3;
        found(theme, pen, &row.ty, needle, room, style(Role::Dim));
        pen.text(" ", base);
    }
    let role = match row.kind {
        RowKind::Unavailable | RowKind::Note => Role::Warn,
        RowKind::OtherFrame => Role::Dim,
        RowKind::OwnFrame => Role::Heading,
        RowKind::Place => Role::Accent,
        _ if row.fold == Fold::Unfolded => Role::Dim,
        _ => Role::Plain,
    };
    value_text(theme, pen, row, needle, style(role), selected);
    pen.fill(' ', base);
}

/// The value, with the words that have changed, and those that were searched for.
fn value_text(
    theme: Theme,
    pen: &mut Pen<'_>,
    row: &Row,
    needle: &str,
    style: Style,
    selected: bool,
) {
    let marks = match &row.before {
        Some(before) => changed(before, &row.text),
        None => row.marks.clone(),
    };
    let found = occurrences(&row.text, needle);
    let changed = match selected {
        true => style.add_modifier(Modifier::BOLD),
        false => theme.role(Role::Changed),
    };
    let room = pen.room();
    pen.fitted_painted(&row.text, room, |at| {
        if found.iter().any(|range| range.contains(&at)) {
            theme.role(Role::Found).patch(style)
        } else if marks.iter().any(|range| range.contains(&at)) {
            changed
        } else {
            style
        }
    });
}

/// A text in at most `room` columns, with the words that were searched for.
fn found(theme: Theme, pen: &mut Pen<'_>, text: &str, needle: &str, room: usize, style: Style) {
    let found = occurrences(text, needle);
    pen.fitted_painted(text, room, |at| {
        if found.iter().any(|range| range.contains(&at)) {
            theme.role(Role::Found).patch(style)
        } else {
            style
        }
    });
}

/// The places of a text in another, whatever the case of ASCII letters.
fn occurrences(text: &str, needle: &str) -> Vec<std::ops::Range<usize>> {
    if needle.is_empty() {
        return Vec::new();
    }
    let (text, needle) = (text.to_ascii_lowercase(), needle.to_ascii_lowercase());
    let found = text.match_indices(&needle);
    found.map(|(at, found)| at..at + found.len()).collect()
}
