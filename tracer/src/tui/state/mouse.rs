//! The mouse: the wheel scrolls the pane under the pointer, a click selects, a double click
//! toggles.

use std::time::Duration;

use super::super::action::{Pane, UiEffect};
use super::super::layout::PaneRegions;
use super::{Overlay, UiState};

/// Two clicks at one place within this time are a double click.
const DOUBLE_CLICK: Duration = Duration::from_millis(400);

impl UiState {
    pub(super) fn scroll(&mut self, x: u16, y: u16, lines: isize) {
        match &mut self.overlay {
            Overlay::Files(picker) => picker.list.step(lines),
            Overlay::Targets(list) => list.step(lines),
            Overlay::Event(_) => self.scroll_event(lines),
            Overlay::Steps(_) => self.scroll_steps(x, y, lines),
            Overlay::Probe(_, top) => *top = top.saturating_add_signed(lines),
            Overlay::Help(help) => help.top = help.top.saturating_add_signed(lines),
            Overlay::None | Overlay::Prompt(_) => self.scroll_pane(x, y, lines),
            Overlay::Leave => {}
        }
    }

    fn scroll_pane(&mut self, x: u16, y: u16, lines: isize) {
        let regions = self.regions();
        let Some((pane, _)) = regions.at(x, y) else {
            return;
        };
        let rows = regions.rows(pane);
        match pane {
            Pane::Source => {
                if let Some(source) = &mut self.source {
                    let len = source.len();
                    source.list.scroll(lines, len, rows);
                }
            }
            Pane::Probes => self.probes_list.scroll(lines, self.probes.len(), rows),
            Pane::Events => {
                let len = self.events.len();
                self.events.list.scroll(lines, len, rows);
                self.events.follow = lines > 0 && self.events.list.top + rows >= len;
            }
            Pane::Results => self.step_results(lines),
            Pane::Program => self.scroll_program(lines),
        }
    }

    pub(super) fn click(&mut self, x: u16, y: u16) -> Vec<UiEffect> {
        let double = self.clicked.is_some_and(|(then, at_x, at_y)| {
            at_y == y
                && at_x.abs_diff(x) <= 1
                && self.now.saturating_duration_since(then) < DOUBLE_CLICK
        });
        self.clicked = if double { None } else { Some((self.now, x, y)) };
        let line = self.regions().time_line;
        if matches!(self.overlay, Overlay::None) && line.contains((x, y).into()) {
            return self.click_time_line(x - line.x, line.width);
        }
        let is_over_event = self.is_over_event(x, y);
        match &mut self.overlay {
            Overlay::None => self.click_pane(x, y, double),
            Overlay::Files(_) => self.click_picker(x, y, double),
            Overlay::Targets(_) => self.click_target(x, y),
            Overlay::Prompt(_) | Overlay::Leave => Vec::new(),
            Overlay::Steps(_) => {
                self.click_steps(x, y);
                Vec::new()
            }
            Overlay::Event(_) if is_over_event => self.click_event(y, double),
            Overlay::Event(_) => {
                self.leave_event();
                Vec::new()
            }
            Overlay::Probe(..) | Overlay::Help(_) => {
                if !super::overlay_area::overlay_area(self).contains((x, y).into()) {
                    self.leave_text();
                }
                Vec::new()
            }
        }
    }

    fn is_over_event(&self, x: u16, y: u16) -> bool {
        super::overlay_area::overlay_area(self).contains((x, y).into())
    }

    fn scroll_event(&mut self, lines: isize) {
        let rows = self.event_rows();
        if let Overlay::Event(detail) = &mut self.overlay {
            let len = detail.rows.len();
            detail.look.list.scroll(lines, len, rows);
        }
    }

    /// Selects the row under the pointer; a double click folds or unfolds it.
    fn click_event(&mut self, y: u16, double: bool) -> Vec<UiEffect> {
        let area = super::overlay_area::overlay_area(self);
        let row = usize::from(y - area.y).checked_sub(usize::from(super::detail::HEAD) + 1);
        let shown = self.event_rows();
        if let (Some(row), Overlay::Event(detail)) = (row, &mut self.overlay)
            && row < shown
        {
            let len = detail.rows.len();
            if select(&mut detail.look.list, row, len) && double {
                return self.command(super::KeyCommand::Activate);
            }
        }
        Vec::new()
    }

    /// Shows the events of the target under the pointer too, or leaves them out.
    fn click_target(&mut self, x: u16, y: u16) -> Vec<UiEffect> {
        let area = super::overlay_area::overlay_area(self);
        if !area.contains((x, y).into()) {
            self.overlay = Overlay::None;
            return Vec::new();
        }
        // Frame and head.
        let row = usize::from(y - area.y).checked_sub(2);
        let rows = usize::from(area.height).saturating_sub(3);
        let count = self.targets.len();
        if let (Some(row), Overlay::Targets(list)) = (row, &mut self.overlay)
            && row < rows
            && list.top + row < count
        {
            list.cursor = list.top + row;
            return self.command(super::KeyCommand::Toggle);
        }
        Vec::new()
    }

    fn click_picker(&mut self, x: u16, y: u16, double: bool) -> Vec<UiEffect> {
        let area = super::overlay_area::overlay_area(self);
        if !area.contains((x, y).into()) {
            return Vec::new();
        }
        // Frame, line, rule.
        let Some(row) = usize::from(y - area.y).checked_sub(3) else {
            return Vec::new();
        };
        if let Overlay::Files(picker) = &mut self.overlay {
            if picker.list.top + row >= picker.counts().0
                || row >= usize::from(area.height).saturating_sub(4)
            {
                return Vec::new();
            }
            picker.list.cursor = picker.list.top + row;
        }
        if double {
            self.command(super::KeyCommand::Activate)
        } else {
            Vec::new()
        }
    }

    fn click_pane(&mut self, x: u16, y: u16, double: bool) -> Vec<UiEffect> {
        let regions: PaneRegions = self.regions();
        let Some((pane, row)) = regions.at(x, y) else {
            return Vec::new();
        };
        if self.focus != pane {
            self.leave_program();
        }
        if pane == Pane::Results {
            return self.focus_results();
        }
        self.focus = pane;
        let Some(row) = row else { return Vec::new() };
        let hit = match pane {
            Pane::Source => self.source.as_mut().is_some_and(|source| {
                let len = source.len();
                select(&mut source.list, row, len)
            }),
            Pane::Probes => select(&mut self.probes_list, row, self.probes.len()),
            Pane::Events => {
                let len = self.events.len();
                let hit = select(&mut self.events.list, row, len);
                if hit {
                    self.events.follow = self.events.list.cursor + 1 == len;
                }
                hit
            }
            Pane::Results => false,
            Pane::Program => true,
        };
        match (hit && double, pane) {
            (false, _) => Vec::new(),
            (true, Pane::Probes) => self.toggle_selected(),
            (true, _) => self.activate(),
        }
    }
}

fn select(list: &mut super::List, row: usize, len: usize) -> bool {
    let at = list.top + row;
    if at < len {
        list.cursor = at;
    }
    at < len
}
