//! The source pane: code, marks, and the latest values next to it.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::action::Pane;
use super::super::document::{Document, Needle, hue_at};
use super::super::glyphs::{self, Pen, short_count};
use super::super::layout::PaneRegions;
use super::super::state::UiState;
use super::super::state::results::adds_up;
use super::super::state::source::{LoadedText, SourceView};
use super::super::theme::Role;
use crate::debuginfo::names::short_generics;
use crate::session::ProbeStatus;

/// Columns beside a line of code that its values get before the line is shown whole.
const VALUES: usize = 24;

pub(super) fn draw(state: &UiState, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let inner = PaneRegions::inner(area);
    let Some(source) = &state.source else {
        super::rule(state, buffer, area, Some(Pane::Source), "Source", &[]);
        let open = state.hint_main(super::KeyCommand::Files);
        return paragraph(
            state,
            buffer,
            inner,
            &["No file is open.", "", &format!("{open} opens one.")],
        );
    };
    let mut parts = vec![(source.file.path.to_string_lossy().into_owned(), Role::Plain)];
    if source.code_error.is_some() {
        parts.push(("lines with code are not known".into(), Role::Bad));
    } else if !source.code_known() {
        parts.push(("looking for lines with code…".into(), Role::Dim));
    }
    match &source.text {
        LoadedText::Failed(_) => parts.push(("no text".into(), Role::Warn)),
        LoadedText::Text(document) => {
            if let Some(place) = document.elsewhere() {
                parts.push((format!("from {}", place.display()), Role::Dim));
            }
        }
        LoadedText::Waiting => {}
    }
    super::rule(state, buffer, area, Some(Pane::Source), "Source", &parts);
    match &source.text {
        LoadedText::Waiting => paragraph(state, buffer, inner, &["reading…"]),
        LoadedText::Text(document) => lines(state, source, Some(document), buffer, inner),
        LoadedText::Failed(_) if source.len() > 0 => lines(state, source, None, buffer, inner),
        LoadedText::Failed(error) => {
            paragraph(
                state,
                buffer,
                inner,
                &[&error.message, error.hint.as_deref().unwrap_or("")],
            );
        }
    }
}

fn paragraph(state: &UiState, buffer: &mut Buffer, area: Rect, lines: &[&str]) {
    for (row, line) in lines.iter().enumerate() {
        let mut pen = Pen::new(buffer, area, row as u16 + 1);
        let room = pen.room();
        pen.text("  ", Style::new()).fitted(
            line,
            room.saturating_sub(2),
            state.theme.role(Role::Dim),
        );
    }
}

fn lines(
    state: &UiState,
    source: &SourceView,
    document: Option<&Document>,
    buffer: &mut Buffer,
    area: Rect,
) {
    let digits = source.len().max(100).to_string().len();
    let needle = Needle::new(state.searched());
    for row in 0..area.height {
        let index = source.list.top + usize::from(row);
        if index >= source.len() {
            break;
        }
        let view = SourceRow {
            state,
            source,
            index,
            line: index as u64 + 1,
        };
        let start = view.gutter(buffer, area, row, digits);
        let code_area = Rect {
            x: start,
            y: area.y + row,
            width: area.right().saturating_sub(start),
            height: 1,
        };
        let declared = || source.declared(view.line).map(short_generics);
        let text = match document {
            Some(document) => document.line(index).into(),
            None => declared().unwrap_or_default(),
        };
        view.code(buffer, code_area, Some(&text), needle.as_ref());
        if view.is_current() {
            let whole = Rect {
                y: area.y + row,
                height: 1,
                ..area
            };
            buffer.set_style(whole, state.theme.role(Role::CurrentLine));
        }
    }
}

/// One line of the file.
struct SourceRow<'a> {
    state: &'a UiState,
    source: &'a SourceView,
    /// From 0.
    index: usize,
    /// From 1.
    line: u64,
}

impl SourceRow<'_> {
    fn is_current(&self) -> bool {
        self.index == self.source.list.cursor
    }

    /// Cursor, number and mark; returns where the code begins.
    fn gutter(&self, buffer: &mut Buffer, area: Rect, row: u16, digits: usize) -> u16 {
        let theme = self.state.theme;
        let focused = self.state.focus == Pane::Source;
        let (sign, style) = match (self.is_current(), focused) {
            (true, true) => ("▶", theme.role(Role::Accent)),
            (true, false) => ("▷", theme.role(Role::Heading)),
            _ => (" ", theme.role(Role::Dim)),
        };
        let (mark, mark_style) = self.mark();
        let mut pen = Pen::new(buffer, area, row);
        pen.text(sign, style)
            .text(&format!("{:>digits$}", self.line), style);
        pen.text(" ", Style::new())
            .text(mark, mark_style)
            .text(" ", Style::new());
        pen.x()
    }

    /// The mark of the line: a probe, a silenced probe, code, or none.
    fn mark(&self) -> (&'static str, Style) {
        let theme = self.state.theme;
        let mut probes = self.state.probes_on(self.line).peekable();
        if probes.peek().is_some() {
            let probes: Vec<_> = probes.collect();
            return if probes.iter().any(|probe| probe.enabled) {
                ("●", theme.role(Role::Bad))
            } else if probes.iter().any(|probe| probe.done.is_none()) {
                ("○", theme.role(Role::Warn))
            } else {
                ("✓", theme.role(Role::Good))
            };
        }
        let here = self.state.location_of(self.line);
        if self
            .state
            .queue
            .pending
            .iter()
            .any(|request| format!("{} ", request.text).contains(&here))
        {
            return ("◌", theme.role(Role::Warn));
        }
        match self.source.code.contains_key(&self.line) {
            true => ("·", theme.role(Role::Accent)),
            false => (" ", Style::new()),
        }
    }

    fn code(&self, buffer: &mut Buffer, area: Rect, text: Option<&str>, needle: Option<&Needle>) {
        let total = usize::from(area.width);
        let text = text.unwrap_or("");
        let shift = self.source.shift;
        let code_columns = glyphs::columns(text, total + shift + 1).saturating_sub(shift);
        let values = self.values(total.saturating_sub(code_columns + 3));
        let wanted: usize = values
            .iter()
            .map(|value| glyphs::width(&value.text, total) + 3)
            .sum();
        let code_room = if values.is_empty() {
            total
        } else {
            total
                .saturating_sub(wanted)
                .max(total.saturating_sub(VALUES.max(total / 3)))
                .min(code_columns)
        };
        let code_area = Rect {
            width: code_room as u16,
            ..area
        };
        self.code_text(buffer, code_area, text, needle);
        if code_columns > code_room && code_room > 0 {
            let end = Rect {
                x: area.x + code_room as u16 - 1,
                width: 1,
                ..area
            };
            Pen::new(buffer, end, 0).text("…", self.state.theme.role(Role::Dim));
        }
        let rest = Rect {
            x: area.x + code_room as u16,
            width: (total - code_room) as u16,
            ..area
        };
        self.draw_values(buffer, rest, &values);
    }

    fn code_text(&self, buffer: &mut Buffer, area: Rect, text: &str, needle: Option<&Needle>) {
        let theme = self.state.theme;
        let spans = self
            .source
            .spans
            .get(self.index)
            .map_or(&[][..], Vec::as_slice);
        let found: Vec<Range<usize>> = needle.map(|needle| needle.all(text)).unwrap_or_default();
        let base = if self.is_current() {
            Style::new().add_modifier(Modifier::BOLD)
        } else {
            Style::new()
        };
        Pen::new(buffer, area, 0)
            .scrolled(self.source.shift)
            .painted(text, |at| {
                let style = base.patch(theme.hue(hue_at(spans, at)));
                if found.iter().any(|range| range.contains(&at)) {
                    style.patch(theme.role(Role::Found))
                } else {
                    style
                }
            });
    }

    /// The latest value of each probe on the line.
    fn values(&self, room: usize) -> Vec<InlineValue> {
        let probes: Vec<&ProbeStatus> = self.state.shown_on(self.line).take(4).collect();
        let many = probes.len() > 1;
        probes
            .into_iter()
            .filter_map(|probe| {
                if adds_up(probe) {
                    return Some(added_up(probe));
                }
                let trail = self.state.trails.get(&probe.id)?;
                let (past, changed) = trail.latest()?;
                let long = glyphs::width(&past.message, room + 1) > room;
                let (text, changed) = match &trail.brief {
                    Some((brief, marks)) if long => (brief.as_str(), marks.clone()),
                    _ => (past.message.as_str(), changed),
                };
                let name = if many {
                    format!("{} ", probe.name)
                } else {
                    String::new()
                };
                let offset = name.len();
                Some(InlineValue {
                    text: format!("{name}{}", text),
                    changed: changed
                        .into_iter()
                        .map(|range| range.start + offset..range.end + offset)
                        .collect(),
                    fresh: self.state.is_fresh(trail),
                    awake: probe.enabled,
                })
            })
            .collect()
    }

    fn draw_values(&self, buffer: &mut Buffer, area: Rect, values: &[InlineValue]) {
        let theme = self.state.theme;
        let mut pen = Pen::new(buffer, area, 0);
        for (index, value) in values.iter().enumerate() {
            let plain = theme.role(if value.awake { Role::Value } else { Role::Dim });
            pen.text(" ◂ ", theme.role(Role::Dim));
            // Each value has its share of the room, and what the ones before leave.
            let later = values.len() - index - 1;
            let needed = values[index + 1..].iter();
            let needed: usize = needed
                .map(|value| glyphs::width(&value.text, 400) + 3)
                .sum();
            let room = pen.room();
            let room = room
                .saturating_sub(needed)
                .max(room / (later + 1))
                .min(room);
            pen.fitted_painted(&value.text, room, |at| {
                let marked = value.fresh && value.changed.iter().any(|range| range.contains(&at));
                if marked {
                    theme.role(Role::Changed)
                } else {
                    plain
                }
            });
        }
    }
}

/// The hits of a probe that sends no events.
fn added_up(probe: &ProbeStatus) -> InlineValue {
    InlineValue {
        text: format!(
            "{} {} added up",
            probe.name,
            short_count(probe.counters.events)
        ),
        changed: Vec::new(),
        fresh: false,
        awake: probe.enabled,
    }
}

/// The value next to the code.
struct InlineValue {
    text: String,
    changed: Vec<Range<usize>>,
    fresh: bool,
    awake: bool,
}
