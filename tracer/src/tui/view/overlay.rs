//! The overlays on the panes: file picker, line editor, details, help.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::glyphs::{self, Pen};
use super::super::keymap::{KeyCommand, Mode, foot, hint};
use super::super::picker::fuzzy::Picker;
use super::super::prompt::{Prompt, Purpose};
use super::super::state::{HelpText, Overlay, UiState};
use super::super::theme::{Role, Theme};

/// Draws it; returns where the terminal's cursor belongs.
pub(super) fn draw(state: &UiState, buffer: &mut Buffer) -> Option<(u16, u16)> {
    let area = crate::tui::state::overlay_area::overlay_area(state);
    if area.is_empty() {
        return None;
    }
    match &state.overlay {
        Overlay::None => None,
        Overlay::Files(picker) => Some(files(state, picker, buffer, area)),
        Overlay::Prompt(prompt) => Some(line_editor(state, prompt, buffer, area)),
        Overlay::Event(detail) => super::event::draw(state, detail, buffer, area),
        Overlay::Steps(_) => super::stepping::draw(state, buffer, area),
        Overlay::Targets(list) => {
            super::targets::draw(state, *list, buffer, area);
            None
        }
        Overlay::Leave => {
            super::program::leave(state, buffer, area);
            None
        }
        Overlay::Probe(id, top) => {
            let foot = foot(Mode::Detail, &[(&[KeyCommand::Back], "back")]);
            let inner = frame(state.theme, buffer, area, " Probe ", &foot);
            pairs(state.theme, buffer, inner, &state.probe_lines(*id), *top);
            None
        }
        Overlay::Help(text) => {
            let foot = foot(
                Mode::Help,
                &[
                    (&[KeyCommand::Back], "back"),
                    (&[KeyCommand::Up, KeyCommand::Down], "scroll"),
                    (&[KeyCommand::End], "the grammar of probes"),
                ],
            );
            let inner = frame(state.theme, buffer, area, " Help ", &foot);
            help(state.theme, buffer, inner, text);
            None
        }
    }
}

/// Clears an area and draws a frame. Returns the inside.
pub(in super::super) fn frame(
    theme: Theme,
    buffer: &mut Buffer,
    area: Rect,
    name: &str,
    foot: &str,
) -> Rect {
    let style = theme.role(Role::Accent);
    for row in 0..area.height {
        let mut pen = Pen::new(buffer, area, row);
        let (left, fill, right) = match row {
            0 => ('┏', '━', "┓"),
            row if row + 1 == area.height => ('┗', '━', "┛"),
            _ => ('┃', ' ', "┃"),
        };
        pen.text(&left.to_string(), style);
        if row == 0 {
            pen.text("━", style).text(name, style);
        } else if row + 1 == area.height {
            pen.text("━ ", style)
                .text(foot, theme.role(Role::Dim))
                .text(" ", style);
        }
        pen.fill(fill, style)
            .go(area.right().saturating_sub(1))
            .text(right, style);
    }
    Rect {
        x: area.x + area.width.min(2),
        y: area.y + area.height.min(1),
        width: area.width.saturating_sub(4),
        height: area.height.saturating_sub(2),
    }
}

fn files(state: &UiState, picker: &Picker, buffer: &mut Buffer, area: Rect) -> (u16, u16) {
    let theme = state.theme;
    let foot = foot(
        Mode::Picker,
        &[
            (&[KeyCommand::Activate], "opens"),
            (&[KeyCommand::Up, KeyCommand::Down], "choose"),
            (&[KeyCommand::Back], "leaves"),
            (&[KeyCommand::AllFiles], "libraries"),
        ],
    );
    let foot = format!("{foot}  type to search");
    let inner = frame(theme, buffer, area, " Open a source file ", &foot);
    let (fits, all) = picker.counts();
    let count = match state.files {
        None => "reading…".to_owned(),
        Some(_) => format!("{fits} of {all}"),
    };
    let cursor = search_line(theme, picker, buffer, inner, &count);
    let Some(files) = &state.files else {
        return cursor;
    };
    let rows = inner.height.saturating_sub(2);
    for (row, (index, letters)) in picker.visible(usize::from(rows)).into_iter().enumerate() {
        let Some(file) = files.get(index) else {
            continue;
        };
        let selected = picker.list.top + row == picker.list.cursor;
        let base = if selected {
            theme.role(Role::Selected)
        } else {
            Style::new()
        };
        let weight = if file.on_disk {
            base
        } else {
            theme.role(Role::Dim).patch(base)
        };
        let mut pen = Pen::new(buffer, inner, row as u16 + 2);
        pen.text(if selected { "› " } else { "  " }, base);
        let note = if file.on_disk {
            file.module.to_string()
        } else {
            format!("not on disk  {}", file.module)
        };
        let note_width = glyphs::width(&note, 30) + 1;
        let room = pen.room().saturating_sub(note_width + 1);
        let path = file.path.to_string_lossy();
        found_path(&mut pen, &path, room, &letters, theme, weight);
        let note_at = inner.right().saturating_sub(note_width as u16);
        pen.blank_to(note_at, base)
            .fitted(&note, note_width, theme.role(Role::Dim).patch(base))
            .fill(' ', base);
    }
    cursor
}

/// The line typed, and how many fit; returns where the cursor belongs.
pub(in super::super) fn search_line(
    theme: Theme,
    picker: &Picker,
    buffer: &mut Buffer,
    area: Rect,
    count: &str,
) -> (u16, u16) {
    let mut pen = Pen::new(buffer, area, 0);
    pen.text("› ", theme.role(Role::Accent));
    let columns = glyphs::width(count, 40);
    let room = pen.room().saturating_sub(columns + 2);
    let start = pen.x();
    let scroll = picker.input.visual_scroll(room.max(1));
    let text_area = Rect {
        x: start,
        y: area.y,
        width: room as u16,
        height: 1,
    };
    Pen::new(buffer, text_area, 0)
        .scrolled(scroll)
        .text(picker.input.value(), Style::new());
    let count_at = area.right().saturating_sub(columns as u16).max(start);
    Pen::new(buffer, area, 0)
        .go(count_at)
        .text(count, theme.role(Role::Dim));
    Pen::new(buffer, area, 1).fill('─', theme.role(Role::Dim));
    (
        start + picker.input.visual_cursor().saturating_sub(scroll) as u16,
        area.y,
    )
}

/// A path with the matched letters marked. Its start is cut if it does not fit.
fn found_path(
    pen: &mut Pen<'_>,
    path: &str,
    room: usize,
    letters: &[u32],
    theme: Theme,
    base: Style,
) {
    let room = room.min(pen.room());
    let too_long = glyphs::width(path, room + 1) > room;
    let mut start = 0;
    if too_long && room > 1 {
        let all: Vec<_> = glyphs::glyphs(path).collect();
        let mut used = 1;
        for glyph in all.iter().rev() {
            used += usize::from(glyph.width);
            if used > room {
                break;
            }
            start = glyph.at;
        }
        pen.text("…", base);
    }
    let found = offsets(path, letters);
    let tail = path.get(start..).unwrap_or(path);
    let room = if too_long {
        room.saturating_sub(1)
    } else {
        room
    };
    pen.fitted_painted(tail, room, |at| {
        let hit = found.binary_search(&(at + start)).is_ok();
        if hit {
            theme.role(Role::Found).patch(base)
        } else {
            base
        }
    });
}

/// A text with the letters that were found.
pub(in super::super) fn found_text(
    pen: &mut Pen<'_>,
    text: &str,
    letters: &[u32],
    theme: Theme,
    base: Style,
) {
    let found = offsets(text, letters);
    let room = pen.room();
    pen.fitted_painted(text, room, |at| {
        if found.binary_search(&at).is_ok() {
            theme.role(Role::Found).patch(base)
        } else {
            base
        }
    });
}

/// Byte offsets of characters given by number.
fn offsets(text: &str, letters: &[u32]) -> Vec<usize> {
    let all: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    letters
        .iter()
        .filter_map(|index| all.get(*index as usize).copied())
        .collect()
}

fn line_editor(state: &UiState, prompt: &Prompt, buffer: &mut Buffer, area: Rect) -> (u16, u16) {
    let theme = state.theme;
    for row in 0..area.height {
        Pen::new(buffer, area, row).fill(' ', Style::new());
    }
    Pen::new(buffer, area, 0).fill('━', theme.role(Role::Accent));
    let label = prompt.purpose.label();
    let mut pen = Pen::new(buffer, area, 1);
    pen.text(label, theme.role(Role::Accent));
    let (start, room) = (pen.x(), pen.room().saturating_sub(1));
    let scroll = prompt.input.visual_scroll(room.max(1));
    let text_area = Rect {
        x: start,
        y: area.y + 1,
        width: room as u16,
        height: 1,
    }
    .intersection(area);
    let span = prompt
        .error
        .as_ref()
        .and_then(|error| error.span.clone())
        .unwrap_or(0..0);
    let wrong = theme.role(Role::Bad).add_modifier(Modifier::UNDERLINED);
    Pen::new(buffer, text_area, 0)
        .scrolled(scroll)
        .painted(prompt.input.value(), |at| {
            if span.contains(&at) {
                wrong
            } else {
                Style::new()
            }
        });
    let cursor = (
        start + prompt.input.visual_cursor().saturating_sub(scroll) as u16,
        area.y + 1,
    );
    if prompt.purpose.is_probe() {
        let span = prompt.error.as_ref().and_then(|error| error.span.as_ref());
        carets(
            prompt.input.value(),
            span,
            buffer,
            Rect {
                x: start,
                y: area.y + 2,
                width: room as u16,
                height: 1,
            }
            .intersection(area),
            scroll,
            wrong,
        );
        below(state, prompt, buffer, area);
        super::completion::draw(state, prompt, buffer, area);
    }
    cursor
}

/// Marks the mistake in the row under the text, for terminals that do not underline.
pub(super) fn carets(
    text: &str,
    span: Option<&Range<usize>>,
    buffer: &mut Buffer,
    area: Rect,
    scroll: usize,
    style: Style,
) {
    let Some(span) = span else {
        return;
    };
    let head = text.get(..span.start).unwrap_or(text);
    let wrong = text.get(span.start..span.end.min(text.len())).unwrap_or("");
    let (before, length) = (
        glyphs::columns(head, 10_000),
        glyphs::columns(wrong, 10_000).max(1),
    );
    let line = format!("{}{}", " ".repeat(before), "^".repeat(length));
    Pen::new(buffer, area, 0)
        .scrolled(scroll)
        .text(&line, style.remove_modifier(Modifier::UNDERLINED));
}

/// Message, hint, and the syntax that is allowed here.
fn below(state: &UiState, prompt: &Prompt, buffer: &mut Buffer, area: Rect) {
    let theme = state.theme;
    let mut put = |row: u16, text: &str, role: Role| {
        let mut pen = Pen::new(buffer, area, row);
        let room = pen.room();
        pen.fitted(text, room, theme.role(role));
    };
    let variables = state
        .source
        .as_ref()
        .map_or(&[][..], |source| source.known_variables());
    match &prompt.error {
        Some(error) => {
            put(3, &format!(" ! {}", error.message), Role::Bad);
            if let Some(hint) = &error.hint {
                put(4, &format!("   hint: {hint}"), Role::Warn);
            }
        }
        None => {
            let example = match prompt.purpose {
                Purpose::Command => {
                    " log FILE:LINE \"text {variable}\" if CONDITION rate N/s   or a line number, q, help"
                }
                _ => " \"text {variable} {struct.field:#?}\" if CONDITION hits N rate N/s as NAME",
            };
            put(3, example, Role::Dim);
        }
    }
    let completion = &prompt.completion;
    let text = match (&completion.note, completion.all.len()) {
        (Some(note), _) => format!(" {note}"),
        (None, 0) if completion.looks => " looking…".into(),
        (None, 0) if prompt.error.is_none() => {
            let names = variables.iter().map(|variable| match variable.unavailable {
                None => variable.name.clone(),
                Some(_) => format!("✗{}", variable.name),
            });
            let names: Vec<String> = names.collect();
            match names.is_empty() {
                true => String::new(),
                false => format!(" here: {}", names.join("  ")),
            }
        }
        (None, 0) => String::new(),
        (None, _) => match hint(Mode::Prompt, KeyCommand::Complete) {
            none if none.is_empty() => String::new(),
            key => format!(" {key} completes"),
        },
    };
    put(5, &text, Role::Plain);
}

/// Rows of `label  text`, from row `top` of them.
fn pairs(theme: Theme, buffer: &mut Buffer, area: Rect, lines: &[(String, String)], top: usize) {
    let width = lines
        .iter()
        .map(|(label, _)| glyphs::width(label, 20))
        .max()
        .unwrap_or(0);
    for (row, (label, text)) in lines
        .iter()
        .skip(top)
        .take(usize::from(area.height))
        .enumerate()
    {
        let mut pen = Pen::new(buffer, area, row as u16);
        pen.fitted(label, width, theme.role(Role::Dim))
            .blank_to(area.x + width as u16 + 2, Style::new());
        let room = pen.room();
        pen.fitted(text, room, Style::new());
    }
}

fn help(theme: Theme, buffer: &mut Buffer, area: Rect, help: &HelpText) {
    for (row, (keys, text)) in help
        .lines
        .iter()
        .skip(help.top)
        .take(usize::from(area.height))
        .enumerate()
    {
        let mut pen = Pen::new(buffer, area, row as u16);
        if keys.is_empty() {
            pen.text(text, theme.role(Role::Heading));
            continue;
        }
        pen.text(&format!("{keys:>17}  "), theme.role(Role::Accent));
        let room = pen.room();
        pen.fitted(text, room, Style::new());
    }
}
