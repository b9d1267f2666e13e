//! The results of the selected probe: values, plots, counts, histograms.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::super::action::Pane;
use super::super::glyphs::Pen;
use super::super::layout::PaneRegions;
use super::super::state::UiState;
use super::super::state::results::{ResultView, adds_up};
use super::super::theme::Role;
use crate::event::counted;
use crate::session::ProbeStatus;

pub(super) mod axes;
mod pairs;
pub(super) mod plot;
mod rate;
mod sums;
mod values;

pub(super) fn draw(state: &UiState, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let probe = state.watched_probe();
    let name = probe.map_or("Results".into(), |probe| {
        format!("Results of {}", probe.name)
    });
    let mut parts = Vec::new();
    if let Some(probe) = probe {
        parts.push((tabs(state, probe), Role::Heading));
        parts.push((probe.text.clone(), Role::Dim));
    }
    super::rule(state, buffer, area, Some(Pane::Results), &name, &parts);
    let inner = PaneRegions::inner(area);
    let Some(probe) = probe else {
        return instead(
            state,
            buffer,
            inner,
            "no probe yet: its values, counts or times will be here",
        );
    };
    match state.result_view(probe) {
        ResultView::Values => values::draw(state, probe, buffer, inner),
        ResultView::Plot => plot::draw(state, probe, buffer, inner),
        ResultView::Pairs => pairs::draw(state, probe, buffer, inner),
        ResultView::Counts | ResultView::Numbers | ResultView::Times => {
            sums::draw(state, probe, buffer, inner);
        }
        ResultView::Rate => rate::draw(state, probe, buffer, inner),
    }
}

/// The views of a probe, the present one in brackets, after the key that turns them.
fn tabs(state: &UiState, probe: &ProbeStatus) -> String {
    let present = state.result_view(probe);
    let names = state.result_views(probe).into_iter().map(|view| {
        if view == present {
            format!("[{}]", view.name())
        } else {
            view.name().to_owned()
        }
    });
    let names: Vec<String> = names.collect();
    match names.as_slice() {
        [_] => names.join(" "),
        _ => format!(
            "{} {}",
            state.hint_main(super::KeyCommand::NextView),
            names.join(" ")
        ),
    }
}

/// A text in place of results.
fn instead(state: &UiState, buffer: &mut Buffer, area: Rect, text: &str) {
    let mut pen = Pen::new(buffer, area, 0);
    let room = pen.text("  ", Style::new()).room();
    pen.fitted(text, room, state.theme.role(Role::Dim));
}

/// The text in place of results that a probe does not have yet.
fn none_yet(probe: &ProbeStatus) -> String {
    let hits = probe.counters.hits;
    match (hits, adds_up(probe)) {
        (0, _) => "no hit yet".to_owned(),
        (_, true) => "nothing is added up yet".to_owned(),
        (_, false) => format!("{}, and no event yet", counted(hits, "hit")),
    }
}

/// The colour of a role, for the drawings that are not text.
pub(super) fn colour(state: &UiState, role: Role) -> Color {
    let of = |role| state.theme.role(role).fg;
    of(role).or_else(|| of(Role::Plain)).unwrap_or(Color::Reset)
}
