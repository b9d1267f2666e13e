//! The source with the line of the step and the way so far.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::super::document::{Document, hue_at};
use super::super::super::glyphs::{Pen, short_count};
use super::super::super::layout::PaneRegions;
use super::super::super::state::UiState;
use super::super::super::state::source::{LoadedText, SourceView};
use super::super::super::state::stepping::SteppedCall;
use super::super::super::state::stepping::rows::{PassCount, passes};
use super::super::super::theme::Role;

/// Columns of the passes before a line: `×1,234`.
const PASSES: usize = 6;

pub(super) fn draw(state: &UiState, stepped: &SteppedCall<'_>, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let inner = PaneRegions::inner(area);
    let step = stepped.call.step(stepped.index);
    let mut parts = Vec::new();
    let place = stepped.place();
    if let Some(step) = step {
        parts.push((super::kind_text(step.kind()).to_owned(), Role::Heading));
    }
    if let Some(place) = &place {
        let path = place.file.to_string_lossy().into_owned();
        parts.push((format!("{path}:{}", place.line), Role::Plain));
    }
    let function = step.map_or("", |step| &step.event.origin.function);
    super::rule(state, buffer, area, function, &parts);
    let source = state.source.as_ref().filter(|source| {
        place
            .as_ref()
            .is_some_and(|place| source.file.path == place.file)
    });
    let instead = |buffer: &mut Buffer, text: &str| {
        let mut pen = Pen::new(buffer, inner, 1);
        let room = pen.text("  ", Style::new()).room();
        pen.fitted(text, room, state.theme.role(Role::Dim));
    };
    let Some(source) = source else {
        return instead(buffer, "no debug information says where its source is");
    };
    match &source.text {
        LoadedText::Waiting => instead(buffer, "reading…"),
        LoadedText::Failed(error) if source.len() == 0 => instead(buffer, &error.message),
        LoadedText::Failed(_) => lines(state, stepped, source, None, buffer, inner),
        LoadedText::Text(document) => lines(state, stepped, source, Some(document), buffer, inner),
    }
}

fn lines(
    state: &UiState,
    stepped: &SteppedCall<'_>,
    source: &SourceView,
    document: Option<&Document>,
    buffer: &mut Buffer,
    area: Rect,
) {
    let theme = state.theme;
    let passes = passes(stepped.call, stepped.index);
    let digits = source.len().max(100).to_string().len();
    for row in 0..area.height {
        let index = stepped.view.source.top + usize::from(row);
        if index >= source.len() {
            break;
        }
        let line = index as u64 + 1;
        let is_current = index == stepped.view.source.cursor;
        let passed = passes.get(&line).copied().unwrap_or_default();
        let (sign, style) = match (is_current, passed.so_far) {
            (true, _) => ("▶", theme.role(Role::Accent)),
            (false, 0) => (" ", theme.role(Role::Dim)),
            (false, _) => ("│", theme.role(Role::Good)),
        };
        let mut pen = Pen::new(buffer, area, row);
        pen.text(sign, style)
            .text(&format!("{line:>digits$} "), style);
        pen.text(&format!("{:<PASSES$} ", passes_text(passed)), style);
        let declared = match document {
            Some(_) => None,
            None => source.declared(line),
        };
        let text = document.map_or(declared.unwrap_or_default(), |document| {
            document.line(index)
        });
        let spans = source.spans.get(index).map_or(&[][..], Vec::as_slice);
        let base = match is_current {
            true => Style::new().add_modifier(Modifier::BOLD),
            false => Style::new(),
        };
        pen.painted(text, |at| base.patch(theme.hue(hue_at(spans, at))));
        if is_current {
            let whole = Rect {
                y: area.y + row,
                height: 1,
                ..area
            };
            buffer.set_style(whole, theme.role(Role::CurrentLine));
        }
    }
}

/// `×3` for three passes up to the step, `·` for a line that is only passed later.
fn passes_text(passes: PassCount) -> String {
    match passes {
        PassCount {
            so_far: 0,
            later: 0,
        } => String::new(),
        PassCount { so_far: 0, .. } => "·".to_owned(),
        PassCount { so_far, .. } => format!("×{}", short_count(so_far)),
    }
}
