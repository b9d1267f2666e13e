//! The list of targets, and the choice of those whose events are shown.

pub(in crate::tui) mod target_rows;

use super::super::action::{Pane, UiEffect};
use super::super::events::Filter;
use super::super::keymap::KeyCommand;
use super::super::list::List;
use super::{Overlay, UiState};

impl UiState {
    /// Opens the list of targets.
    pub(super) fn open_targets(&mut self) {
        self.overlay = Overlay::Targets(List::default());
    }

    /// Keys of the list of targets.
    pub(super) fn targets_command(&mut self, command: KeyCommand) -> Vec<UiEffect> {
        let page = isize::try_from(self.overlay_rows()).unwrap_or(1).max(1);
        let Overlay::Targets(list) = &mut self.overlay else {
            return Vec::new();
        };
        match command {
            KeyCommand::Up => list.step(-1),
            KeyCommand::Down => list.step(1),
            KeyCommand::PageUp => list.step(-page),
            KeyCommand::PageDown => list.step(page),
            KeyCommand::Home => list.step(isize::MIN / 2),
            KeyCommand::End => list.step(isize::MAX / 2),
            KeyCommand::Toggle => self.toggle_target(),
            KeyCommand::Only => self
                .events
                .set_filter(self.events.filter.with_pids(Vec::new())),
            KeyCommand::Activate => {
                if let Some(pid) = self.pid_under_cursor() {
                    self.events
                        .set_filter(self.events.filter.with_pids(vec![pid]));
                    self.overlay = Overlay::None;
                    self.focus = Pane::Events;
                }
            }
            KeyCommand::Back => self.overlay = Overlay::None,
            _ => {}
        }
        Vec::new()
    }

    fn pid_under_cursor(&self) -> Option<u32> {
        let Overlay::Targets(list) = &self.overlay else {
            return None;
        };
        let row = self.targets.rows().nth(list.cursor);
        row.map(|row| row.status.pid)
    }

    /// Adds the target under the cursor to those whose events are shown, or takes it out.
    fn toggle_target(&mut self) {
        let Some(pid) = self.pid_under_cursor() else {
            return;
        };
        let mut pids = self.events.filter.pids().to_vec();
        match pids.iter().position(|&one| one == pid) {
            Some(at) => {
                pids.remove(at);
            }
            None => pids.push(pid),
        }
        let filter: Filter = self.events.filter.with_pids(pids);
        self.events.set_filter(filter);
    }
}
