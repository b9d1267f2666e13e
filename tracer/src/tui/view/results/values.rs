//! The last values of a probe, as a table.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::super::compact::compact_value;
use super::super::super::glyphs::{self, Pen};
use super::super::super::state::UiState;
use super::super::super::theme::Role;
use crate::event::{Event, NamedValue, SpanStatus};
use crate::session::ProbeStatus;
use crate::sink::aggregate::span;

/// Columns of one value at most, unless it is the last.
const WIDEST: usize = 40;
/// Columns of the time.
const TIME: usize = 14;
/// Columns of thread and process at most.
const THREAD: usize = 18;

/// One value of the rows on the screen.
struct ResultColumn {
    title: String,
    /// The newest first.
    cells: Vec<Cell>,
    width: usize,
}

/// A value, and whether it is another one in the event before.
#[derive(Default)]
struct Cell {
    text: String,
    is_changed: bool,
}

pub(super) fn draw(state: &UiState, probe: &ProbeStatus, buffer: &mut Buffer, area: Rect) {
    let recent = state.results.series.get(&probe.id).map(|one| &one.recent);
    let Some((recent, newest)) = recent.and_then(|all| Some((all, all.back()?))) else {
        return super::instead(state, buffer, area, &super::none_yet(probe));
    };
    let rows = usize::from(area.height).saturating_sub(1);
    // One more than there are rows, to compare with.
    let events: Vec<&Arc<Event>> = recent
        .iter()
        .rev()
        .skip(state.results.top)
        .take(rows + 1)
        .collect();
    let thread = events
        .iter()
        .map(|event| glyphs::width(&thread_of(state, event), THREAD) + 2)
        .max()
        .unwrap_or(0)
        .max(8);
    let room = usize::from(area.width).saturating_sub(1 + TIME + thread);
    let titles = titles(newest);
    let mut columns = Vec::new();
    let mut used = 0;
    for index in state.results.column..titles.len() {
        let Some(title) = titles.get(index).filter(|_| used + 6 < room) else {
            break;
        };
        let column = column(title, index, &events, rows);
        used += column.width + 2;
        columns.push(column);
    }
    let left_out = titles.len() - columns.len();
    heading(state, buffer, area, thread, &columns, left_out);
    for (row, event) in events.iter().take(rows).enumerate() {
        let mut pen = Pen::new(buffer, area, row as u16 + 1);
        let dim = state.theme.role(Role::Dim);
        let time = crate::tui::times::short_time(event.time_ns, &state.zone, 3);
        pen.text(" ", Style::new()).text(&time, dim);
        pen.blank_to(area.x + 1 + TIME as u16, Style::new());
        pen.fitted(&thread_of(state, event), thread - 2, dim);
        let mut x = 1 + TIME + thread;
        for (index, column) in columns.iter().enumerate() {
            pen.blank_to(area.x + x as u16, Style::new());
            let Some(cell) = column.cells.get(row) else {
                continue;
            };
            let is_last = index + 1 == columns.len();
            let width = if is_last { pen.room() } else { column.width };
            let role = match cell.is_changed {
                true => Role::Changed,
                false => Role::Plain,
            };
            pen.fitted(&cell.text, width, state.theme.role(role));
            x += column.width + 2;
        }
    }
}

fn heading(
    state: &UiState,
    buffer: &mut Buffer,
    area: Rect,
    thread: usize,
    columns: &[ResultColumn],
    left_out: usize,
) {
    let style = state.theme.role(Role::Heading);
    let mut pen = Pen::new(buffer, area, 0);
    pen.text(" time", style)
        .blank_to(area.x + 1 + TIME as u16, Style::new());
    let who = if state.processes {
        "process/thread"
    } else {
        "thread"
    };
    pen.fitted(who, thread - 2, style);
    let mut x = 1 + TIME + thread;
    for column in columns {
        pen.blank_to(area.x + x as u16, Style::new());
        pen.fitted(&column.title, column.width, style);
        x += column.width + 2;
    }
    if left_out > 0 {
        let text = format!("  {left_out} more: ← →");
        let start = area.right().saturating_sub(text.chars().count() as u16);
        if start > pen.x() {
            pen.blank_to(start, Style::new())
                .text(&text, state.theme.role(Role::Dim));
        }
    }
}

/// `main/4711`, with the process where there are several.
fn thread_of(state: &UiState, event: &Event) -> String {
    format!("{}/{}", event.thread, event.ids(state.processes))
}

/// The headings of all values of an event. An event without values has its message.
fn titles(event: &Event) -> Vec<String> {
    let mut titles = Vec::new();
    if let Some(span) = &event.span {
        titles.extend(["duration".to_owned(), "status".to_owned()]);
        titles.extend(span.attributes.iter().map(|named| named.expr.to_string()));
    }
    titles.extend(event.values.iter().map(|named| named.expr.to_string()));
    if titles.is_empty() {
        titles.push("message".to_owned());
    }
    titles
}

fn column(title: &str, index: usize, events: &[&Arc<Event>], rows: usize) -> ResultColumn {
    let texts: Vec<String> = events
        .iter()
        .map(|event| text(event, title, index))
        .collect();
    let cells: Vec<Cell> = texts
        .iter()
        .enumerate()
        .take(rows)
        .map(|(row, text)| Cell {
            text: text.clone(),
            is_changed: texts.get(row + 1).is_some_and(|before| before != text),
        })
        .collect();
    let widths = cells.iter().map(|cell| glyphs::width(&cell.text, WIDEST));
    let width = widths.max().unwrap_or(0);
    ResultColumn {
        title: title.to_owned(),
        cells,
        width: width.max(glyphs::width(title, WIDEST)).max(3),
    }
}

/// One value of an event, which mostly has the same ones in the same order as the newest.
fn text(event: &Event, title: &str, index: usize) -> String {
    let mut before = 0;
    if let Some(info) = &event.span {
        match index {
            0 => return span(info.duration_ns),
            1 => {
                return match &info.status {
                    SpanStatus::Unset => "ok".to_owned(),
                    SpanStatus::Error(text) => format!("error: {text}"),
                };
            }
            _ => before = 2,
        }
        if let Some(named) = info.attributes.get(index - before) {
            return compact_value(&named.value);
        }
        before += info.attributes.len();
    } else if event.values.is_empty() {
        return event.message.clone();
    }
    let is_it = |named: &&NamedValue| *named.expr == *title;
    let expected = index
        .checked_sub(before)
        .and_then(|at| event.values.get(at));
    expected
        .filter(is_it)
        .or_else(|| event.values.iter().find(is_it))
        .map_or_else(String::new, |named| compact_value(&named.value))
}
