//! The commands of the keys.

use std::sync::Arc;

use super::super::action::{Pane, UiEffect};
use super::super::document::Document;
use super::super::keymap::{self, HelpPlace, KeyCommand};
use super::super::picker::fuzzy::Picker;
use super::super::prompt::{Prompt, Purpose};
use super::detail::Detail;
use super::probes::watching::watches;
use super::source::file_index::FileIndex;
use super::source::{LoadedText, SourceView};
use super::undo::UndoStep;
use super::{HelpText, Overlay, UiState};

use crate::base::diagnostic::Diagnostic;
use crate::session::SourceFile;

/// Columns that one key scrolls to the side.
const SHIFT: usize = 8;

impl UiState {
    pub(super) fn command(&mut self, command: KeyCommand) -> Vec<UiEffect> {
        if command == KeyCommand::Quit {
            self.quit();
            return Vec::new();
        }
        match &self.overlay {
            Overlay::None if command == KeyCommand::LeaveProgram => {
                self.leave_program();
                Vec::new()
            }
            Overlay::None => self.main_command(command),
            Overlay::Leave => {
                self.leave_command(command);
                Vec::new()
            }
            Overlay::Files(_) => self.picker_command(command),
            Overlay::Prompt(_) => self.prompt_command(command),
            Overlay::Targets(_) => self.targets_command(command),
            Overlay::Event(_) => self.event_command(command),
            Overlay::Steps(_) => self.steps_command(command),
            Overlay::Probe(..) | Overlay::Help(_) => {
                self.text_command(command);
                Vec::new()
            }
        }
    }

    fn main_command(&mut self, command: KeyCommand) -> Vec<UiEffect> {
        if let Some(effects) = self.recording_command(command) {
            return effects;
        }
        match command {
            KeyCommand::Activate => return self.activate(),
            KeyCommand::Template => return self.ask_template(),
            KeyCommand::Watch => return self.watch_variable(),
            KeyCommand::Remove => return self.remove_selected(),
            KeyCommand::Toggle => return self.toggle_selected(),
            KeyCommand::SilenceAll => return self.silence_all(),
            KeyCommand::NextMatch => self.next_match(false),
            KeyCommand::PreviousMatch => self.next_match(true),
            KeyCommand::NextCode | KeyCommand::PreviousCode => {
                self.next_code(command == KeyCommand::PreviousCode)
            }
            KeyCommand::Edit => self.edit_selected(),
            KeyCommand::Inspect => self.inspect(),
            KeyCommand::Only => return self.only_selected(),
            KeyCommand::Files => self.open_picker(),
            KeyCommand::Targets => self.open_targets(),
            KeyCommand::GoTo if self.recording.is_some() && self.focus == Pane::Events => {
                self.open_prompt(Purpose::Place);
            }
            KeyCommand::GoTo => self.open_prompt(Purpose::GoTo),
            KeyCommand::Search if self.focus == Pane::Events => {
                let text = self.events.filter.text.clone();
                let end = text.chars().count();
                self.overlay = Overlay::Prompt(Prompt::new(Purpose::Filter, text, end));
            }
            KeyCommand::Search => self.open_prompt(Purpose::Search),
            KeyCommand::AnyProbe => self.open_prompt(Purpose::Command),
            KeyCommand::Pause => self.events.pause(),
            KeyCommand::Follow => self.events.follow = true,
            KeyCommand::Clear => self.clear_events(),
            KeyCommand::NextPane | KeyCommand::PreviousPane => {
                let panes = if self.program.is_some() { 5 } else { 4 };
                self.focus = self.focus.next(command == KeyCommand::PreviousPane, panes);
            }
            KeyCommand::SourcePane => self.focus = Pane::Source,
            KeyCommand::ProbesPane => self.focus = Pane::Probes,
            KeyCommand::EventsPane => self.focus = Pane::Events,
            KeyCommand::ResultsPane => return self.focus_results(),
            KeyCommand::NextView => return self.next_view(),
            KeyCommand::PreviousView => self.previous_view(),
            KeyCommand::Compare => self.compare(),
            KeyCommand::LogScale => self.change_bars(),
            KeyCommand::Shorter | KeyCommand::Longer => {
                self.zoom_time(command == KeyCommand::Longer);
            }
            KeyCommand::ProgramPane => self.focus_program(),
            KeyCommand::StartProgram => self.start_program(),
            KeyCommand::TypeToProgram => self.type_to_program(),
            KeyCommand::Copy => return self.copy_selected(),
            KeyCommand::CopyAll => return self.copy_event(),
            KeyCommand::EditSource => return self.edit_source(),
            KeyCommand::Zoom => self.zoom = !self.zoom,
            KeyCommand::Help => self.open_help(),
            KeyCommand::Mend => self.mend(),
            KeyCommand::WriteProbes => self.begin_command("w "),
            KeyCommand::ExportEvents => self.begin_command("export "),
            KeyCommand::Undo => return self.undo(),
            KeyCommand::Back => self.back(),
            KeyCommand::Up => self.step(-1),
            KeyCommand::Down => self.step(1),
            KeyCommand::PageUp => self.step(-self.page()),
            KeyCommand::PageDown => self.step(self.page()),
            KeyCommand::Home => self.step(isize::MIN / 2),
            KeyCommand::End => self.step(isize::MAX / 2),
            KeyCommand::Left => self.shift(false),
            KeyCommand::Right => self.shift(true),
            // These have a meaning elsewhere.
            _ => {}
        }
        Vec::new()
    }

    fn clear_events(&mut self) {
        let cleared = self.events.clear();
        if !cleared.is_empty() {
            let key = self.hint_main(KeyCommand::Undo);
            self.say(format!("events cleared; {key} brings them back"), false);
            self.changed(UndoStep::Cleared(cleared));
        }
    }

    /// Says so where the screen has a place for it.
    pub(super) fn unknown_key(&mut self, key: crossterm::event::KeyEvent) {
        let key = keymap::name(key);
        let mode = self.mode();
        let text = match keymap::hint(mode, KeyCommand::Help) {
            none if none.is_empty() => format!("no key `{key}` here"),
            help => format!("no key `{key}` here; {help} shows the keys"),
        };
        self.say(text, true);
    }

    fn page(&self) -> isize {
        isize::try_from(self.regions().rows(self.focus))
            .unwrap_or(1)
            .saturating_sub(1)
            .max(1)
    }

    fn step(&mut self, rows: isize) {
        match self.focus {
            Pane::Source => {
                if let Some(source) = &mut self.source {
                    source.list.step(rows);
                }
            }
            Pane::Probes => self.probes_list.step(rows),
            Pane::Events => self.events.step(rows),
            Pane::Results => self.step_results(rows),
            Pane::Program => self.scroll_program(rows),
        }
    }

    fn shift(&mut self, right: bool) {
        if self.focus == Pane::Results {
            return self.shift_results(right);
        }
        let shift = match (self.focus, &mut self.source) {
            (Pane::Source, Some(source)) => &mut source.shift,
            (Pane::Events, _) => &mut self.events.shift,
            _ => return,
        };
        *shift = if right {
            (*shift + SHIFT).min(1 << 16)
        } else {
            shift.saturating_sub(SHIFT)
        };
    }

    /// Undoes one thing: the zoom, then the search or filter.
    fn back(&mut self) {
        self.message = None;
        if self.waits_for_event() {
            self.stop_waiting_for_event();
        } else if self.leave_refused() {
            // It stays among the lines typed before.
        } else if self.zoom {
            self.zoom = false;
        } else if self.close_results() {
            // The pane that was left has the focus again.
        } else if self.focus == Pane::Events && !self.events.filter.is_empty() {
            self.events.set_filter(super::Filter::default());
        } else {
            self.search.clear();
        }
    }

    pub(super) fn activate(&mut self) -> Vec<UiEffect> {
        match self.focus {
            Pane::Source => return self.toggle_logpoint(),
            Pane::Probes | Pane::Results => {
                if let Some(probe) = self.probes.get(self.probes_list.cursor) {
                    let (file, line) = match self.last_access(probe.id) {
                        Some(place) => (place.file.clone(), place.line),
                        None if probe.line == 0 && watches(probe) => {
                            let text = format!("{} has seen no access yet", probe.name);
                            self.say(text, false);
                            return Vec::new();
                        }
                        None => (probe.file.clone(), probe.line),
                    };
                    return self.open_at(&file, line);
                }
            }
            Pane::Events => {
                // A note that comes just before the key must not take it, as it took the place of the newest event.
                let row = self.events.list.cursor;
                let row = match self.events.follow {
                    true => self.events.last_event(row),
                    false => self.events.event(row).map(|_| row),
                };
                match row.and_then(|row| Some((row, self.events.number(row)?))) {
                    Some((row, number)) => {
                        self.events.list.cursor = row;
                        return self.open_event(number);
                    }
                    None => self.say("this row is not an event", false),
                }
            }
            Pane::Program => self.type_to_program(),
        }
        Vec::new()
    }

    /// Shows the keys: those of the open event first, or else those of the pane with the focus.
    pub(super) fn open_help(&mut self) {
        let behind = match std::mem::replace(&mut self.overlay, Overlay::None) {
            Overlay::Event(detail) => Some(Box::new(detail)),
            _ => None,
        };
        self.open_help_at(
            match behind {
                Some(_) => HelpPlace::Event,
                None => HelpPlace::Pane(self.focus),
            },
            behind,
        );
    }

    pub(super) fn open_help_at(&mut self, place: HelpPlace, behind: Option<Box<Detail>>) {
        self.overlay = Overlay::Help(HelpText {
            top: 0,
            lines: keymap::help(place),
            behind,
        });
    }

    /// Leaves a text that lies over the panes. The event behind the help opens again.
    pub(super) fn leave_text(&mut self) {
        let Overlay::Help(HelpText {
            behind: Some(mut detail),
            ..
        }) = std::mem::replace(&mut self.overlay, Overlay::None)
        else {
            return;
        };
        // Other events of a recording may be there by now.
        detail.number = self.item_of(detail.identity).unwrap_or(detail.number);
        self.overlay = Overlay::Event(*detail);
        self.lay_out_event();
    }

    /// Keys of texts that lie over the panes.
    fn text_command(&mut self, command: KeyCommand) {
        let page = self.overlay_rows().saturating_sub(1).max(1);
        let top = match &mut self.overlay {
            Overlay::Probe(_, top) => top,
            Overlay::Help(help) => &mut help.top,
            _ => return,
        };
        match command {
            KeyCommand::Up => *top = top.saturating_sub(1),
            KeyCommand::Down => *top += 1,
            KeyCommand::PageUp => *top = top.saturating_sub(page),
            KeyCommand::PageDown => *top += page,
            KeyCommand::Home => *top = 0,
            KeyCommand::End => *top = usize::MAX / 2,
            KeyCommand::Back => self.leave_text(),
            _ => {}
        }
    }

    fn next_match(&mut self, back: bool) {
        let rows = self.regions().rows(Pane::Source);
        let Some(source) = &mut self.source else {
            return;
        };
        let LoadedText::Text(document) = &source.text else {
            return;
        };
        match document.find(&self.search, source.list.cursor, back) {
            Some(index) => source.go_to(index as u64 + 1, rows),
            None if !self.search.is_empty() => {
                let text = format!("`{}` is not in this file", self.search);
                self.say(text, true);
            }
            None => {}
        }
    }

    pub(super) fn search_for(&mut self, text: &str) {
        self.search = text.to_owned();
        self.next_match(false);
    }

    fn next_code(&mut self, back: bool) {
        let rows = self.regions().rows(Pane::Source);
        if let Some(source) = &mut self.source
            && let Some(line) = source.next_code(back)
        {
            source.go_to(line, rows);
        }
    }

    /// Opens the list of source files.
    fn open_picker(&mut self) {
        let mut picker = Picker::default();
        if let Some(files) = &self.files {
            picker.set_texts(files.listed(self.all_files));
        }
        self.overlay = Overlay::Files(picker);
    }

    fn picker_command(&mut self, command: KeyCommand) -> Vec<UiEffect> {
        let page = isize::try_from(self.overlay_rows()).unwrap_or(1).max(1);
        let Overlay::Files(picker) = &mut self.overlay else {
            return Vec::new();
        };
        match command {
            KeyCommand::Up => picker.list.step(-1),
            KeyCommand::Down => picker.list.step(1),
            KeyCommand::PageUp => picker.list.step(-page),
            KeyCommand::PageDown => picker.list.step(page),
            KeyCommand::Back => {
                self.overlay = Overlay::None;
                self.queue.wants_file = false;
                self.queue.held.clear();
            }
            KeyCommand::AllFiles => {
                self.all_files = !self.all_files;
                if let Some(files) = &self.files {
                    picker.set_texts(files.listed(self.all_files));
                }
            }
            KeyCommand::Activate if self.files.is_none() => self.queue.wants_file = true,
            KeyCommand::Activate => {
                let chosen = picker.selected();
                let file = chosen
                    .and_then(|index| self.files.as_ref()?.get(index))
                    .cloned();
                if let Some(file) = file {
                    self.overlay = Overlay::None;
                    self.focus = Pane::Source;
                    return self.open(file, None);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn files_known(&mut self, files: Vec<SourceFile>) -> Vec<UiEffect> {
        let files = FileIndex::new(files);
        if let Overlay::Files(picker) = &mut self.overlay {
            picker.set_texts(files.listed(self.all_files));
        }
        self.files = Some(files);
        self.renew_own_frames();
        let is_open = matches!(self.overlay, Overlay::Files(_));
        if std::mem::take(&mut self.queue.wants_file) && is_open {
            return self.picker_command(KeyCommand::Activate);
        }
        match self.wanted.take() {
            Some((path, line)) => self.open_at(&path, line),
            None => Vec::new(),
        }
    }

    /// Opens a file by its path in the debug information, at a line.
    pub(super) fn open_at(&mut self, path: &Arc<std::path::PathBuf>, line: u64) -> Vec<UiEffect> {
        if path.file_name().is_none() {
            self.say("no debug information says where its source is", false);
            return Vec::new();
        }
        let rows = self.regions().rows(Pane::Source);
        if let Some(source) = &mut self.source
            && source.file.path == *path
        {
            source.go_to(line, rows);
            return Vec::new();
        }
        let file = self.source_file(path);
        self.open(file, Some(line))
    }

    /// The source file with a path in the debug information.
    pub(super) fn source_file(&self, path: &Arc<std::path::PathBuf>) -> SourceFile {
        let known = self.files.as_ref().and_then(|files| files.find(path));
        known.cloned().unwrap_or_else(|| SourceFile {
            path: path.clone(),
            module: "".into(),
            on_disk: true,
            own: true,
        })
    }

    fn open(&mut self, file: SourceFile, line: Option<u64>) -> Vec<UiEffect> {
        // The place of the first probe would take this one's place once the list of files is there.
        self.wanted = None;
        self.generation += 1;
        self.source = Some(SourceView::new(file.clone(), self.generation, line));
        vec![UiEffect::LoadSource {
            generation: self.generation,
            file,
        }]
    }

    pub(super) fn text_known(
        &mut self,
        generation: u64,
        text: Result<Arc<Document>, Diagnostic>,
    ) -> Vec<UiEffect> {
        let rows = self.regions().rows(Pane::Source);
        if let (Err(error), true) = (&text, self.open_source(generation).is_some()) {
            self.say_error(error);
        }
        let Some(source) = self.open_source(generation) else {
            return Vec::new();
        };
        let effect = text.as_ref().ok().map(|document| UiEffect::Highlight {
            generation,
            document: document.clone(),
            file: source.file.clone(),
        });
        source.set_text(text, rows);
        effect.into_iter().collect()
    }

    /// Requests the variables at the cursor once it has come to rest.
    pub(super) fn ask_variables(&mut self) -> Option<UiEffect> {
        let source = self.source.as_mut()?;
        let line = source.due(self.now)?;
        Some(UiEffect::Variables {
            generation: source.generation,
            file: source.file.clone(),
            line,
        })
    }
}
