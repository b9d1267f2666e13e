//! What each key does.

use std::sync::Arc;

use super::super::Outcome;
use super::super::action::{Effect, Pane};
use super::super::document::Document;
use super::super::fuzzy::Picker;
use super::super::glyphs;
use super::super::keymap::Command;
use super::super::prompt::{Prompt, Purpose};
use super::super::tree;
use super::super::view;
use super::source::{Loaded, Source};
use super::{Detail, Overlay, State};

use crate::session::{ProbeError, SourceFile};

/// Columns that one key scrolls to the side.
const SHIFT: usize = 8;

impl State {
    pub(super) fn command(&mut self, command: Command) -> Vec<Effect> {
        if command == Command::Quit {
            self.outcome = Some(self.exited.map_or(Outcome::Quit, Outcome::TargetExited));
            return Vec::new();
        }
        match &self.overlay {
            Overlay::None => self.main_command(command),
            Overlay::Files(_) => self.picker_command(command),
            Overlay::Prompt(_) => self.prompt_command(command),
            Overlay::Event(_) | Overlay::Probe(..) | Overlay::Help(_) => {
                self.text_command(command);
                Vec::new()
            }
        }
    }

    fn main_command(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Activate => return self.activate(),
            Command::Template => return self.ask_template(),
            Command::Remove => return self.remove_selected(),
            Command::Toggle => return self.toggle_selected(),
            Command::SilenceAll => return self.silence_all(),
            Command::NextMatch => self.next_match(false),
            Command::PreviousMatch => self.next_match(true),
            Command::NextCode | Command::PreviousCode => {
                self.next_code(command == Command::PreviousCode)
            }
            Command::Edit => self.edit_selected(),
            Command::Inspect => self.inspect(),
            Command::Only => self.only_selected(),
            Command::Files => self.open_picker(),
            Command::GoTo => self.open_prompt(Purpose::GoTo),
            Command::Search if self.focus == Pane::Events => {
                let text = self.events.filter.text.clone();
                let end = text.chars().count();
                self.overlay = Overlay::Prompt(Prompt::new(Purpose::Filter, text, end));
            }
            Command::Search => self.open_prompt(Purpose::Search),
            Command::AnyProbe => self.open_prompt(Purpose::Command),
            Command::Pause => self.events.pause(),
            Command::Follow => self.events.follow = true,
            Command::Clear => self.events.clear(),
            Command::NextPane | Command::PreviousPane => {
                self.focus = self.focus.next(command == Command::PreviousPane)
            }
            Command::SourcePane => self.focus = Pane::Source,
            Command::ProbesPane => self.focus = Pane::Probes,
            Command::EventsPane => self.focus = Pane::Events,
            Command::Zoom => self.zoom = !self.zoom,
            Command::Help => self.overlay = Overlay::Help(0),
            Command::Back => self.back(),
            Command::Up => self.step(-1),
            Command::Down => self.step(1),
            Command::PageUp => self.step(-self.page()),
            Command::PageDown => self.step(self.page()),
            Command::Home => self.step(isize::MIN / 2),
            Command::End => self.step(isize::MAX / 2),
            Command::Left => self.shift(false),
            Command::Right => self.shift(true),
            Command::Quit | Command::Complete | Command::AllFiles => {}
        }
        Vec::new()
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
        }
    }

    fn shift(&mut self, right: bool) {
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
        if self.zoom {
            self.zoom = false;
        } else if self.focus == Pane::Events && !self.events.filter.is_empty() {
            self.events.set_filter(super::Filter::default());
        } else {
            self.search.clear();
        }
    }

    pub(super) fn activate(&mut self) -> Vec<Effect> {
        match self.focus {
            Pane::Source => return self.toggle_logpoint(),
            Pane::Probes => {
                if let Some(probe) = self.probes.get(self.probes_list.cursor) {
                    let (file, line) = (probe.file.clone(), probe.line);
                    return self.open_at(&file, line);
                }
            }
            Pane::Events => {
                if let Some(number) = self.events.number(self.events.list.cursor) {
                    self.show_event(number);
                }
            }
        }
        Vec::new()
    }

    pub(super) fn show_event(&mut self, number: u64) {
        let Some(row) = self.events.row_of(number) else {
            return;
        };
        let Some((event, before)) = self.events.event(row) else {
            return;
        };
        let origin = &event.origin;
        let site = match origin.site {
            (_, 0 | 1) => String::new(),
            (at, of) => format!("  (site {at} of {of})"),
        };
        let mut head = vec![
            ("time".into(), view::full_time(event.time_ns, &self.zone)),
            (
                "thread".into(),
                format!("{}/{}  of process {}", event.thread, event.tid, event.pid),
            ),
            (
                "probe".into(),
                format!("{}  hit {}", origin.probe_name, event.hit),
            ),
            (
                "place".into(),
                match origin.line {
                    0 => origin.place().into_owned(),
                    line => format!("{}:{line}", origin.file.display()),
                },
            ),
            ("function".into(), format!("{}{site}", origin.function)),
        ];
        let mut lines = tree::event_lines(event, before);
        let top = match &self.overlay {
            Overlay::Event(detail) if detail.number == number => detail.top,
            _ => 0,
        };
        let room = usize::from(view::overlay_width(self.size.0)).saturating_sub(4);
        let message = glyphs::wrap(&event.message, room.saturating_sub(10));
        for (row, text) in message.into_iter().enumerate() {
            head.push((
                if row == 0 {
                    "message".into()
                } else {
                    String::new()
                },
                text,
            ));
        }
        tree::wrap(&mut lines, room);
        // What is read must not be taken away by what comes.
        self.events.follow = false;
        self.overlay = Overlay::Event(Detail {
            number,
            head,
            lines,
            top,
        });
    }

    /// Keys of texts that lie over the panes.
    fn text_command(&mut self, command: Command) {
        let page = self.overlay_rows().saturating_sub(1).max(1);
        if let (Overlay::Event(detail), Command::Left | Command::Right) = (&self.overlay, command) {
            return self.next_event(detail.number, command == Command::Left);
        }
        let top = match &mut self.overlay {
            Overlay::Event(detail) => &mut detail.top,
            Overlay::Probe(_, top) | Overlay::Help(top) => top,
            _ => return,
        };
        match command {
            Command::Up => *top = top.saturating_sub(1),
            Command::Down => *top += 1,
            Command::PageUp => *top = top.saturating_sub(page),
            Command::PageDown => *top += page,
            Command::Home => *top = 0,
            Command::End => *top = usize::MAX / 2,
            Command::Back => self.overlay = Overlay::None,
            _ => {}
        }
    }

    /// The next row with an event, from the one that is shown in full.
    fn next_event(&mut self, number: u64, back: bool) {
        let row = self.events.row_of(number).unwrap_or(0);
        let mut rows: Box<dyn Iterator<Item = usize>> = if back {
            Box::new((0..row).rev())
        } else {
            Box::new(row + 1..self.events.len())
        };
        let Some(next) = rows.find(|row| self.events.event(*row).is_some()) else {
            return;
        };
        drop(rows);
        self.events.list.cursor = next;
        if let Some(number) = self.events.number(next) {
            self.show_event(number);
        }
    }

    fn next_match(&mut self, back: bool) {
        let rows = self.regions().rows(Pane::Source);
        let Some(source) = &mut self.source else {
            return;
        };
        let Loaded::Text(document) = &source.text else {
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
            picker.set_texts(file_texts(files, self.all_files));
        }
        self.overlay = Overlay::Files(picker);
    }

    fn picker_command(&mut self, command: Command) -> Vec<Effect> {
        let page = isize::try_from(self.overlay_rows()).unwrap_or(1).max(1);
        let Overlay::Files(picker) = &mut self.overlay else {
            return Vec::new();
        };
        match command {
            Command::Up => picker.list.step(-1),
            Command::Down => picker.list.step(1),
            Command::PageUp => picker.list.step(-page),
            Command::PageDown => picker.list.step(page),
            Command::Back => self.overlay = Overlay::None,
            Command::AllFiles => {
                self.all_files = !self.all_files;
                if let Some(files) = &self.files {
                    picker.set_texts(file_texts(files, self.all_files));
                }
            }
            Command::Activate => {
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

    pub(super) fn files_known(&mut self, files: Vec<SourceFile>) -> Vec<Effect> {
        if let Overlay::Files(picker) = &mut self.overlay {
            picker.set_texts(file_texts(&files, self.all_files));
        }
        self.files = Some(files.into());
        match self.wanted.take() {
            Some((path, line)) => self.open_at(&path, line),
            None => Vec::new(),
        }
    }

    /// Opens a file by the path that debug information gives it, at a line.
    fn open_at(&mut self, path: &Arc<std::path::PathBuf>, line: u64) -> Vec<Effect> {
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
        let known = self
            .files
            .as_ref()
            .and_then(|files| files.iter().find(|file| file.path == *path))
            .cloned();
        let file = known.unwrap_or_else(|| SourceFile {
            path: path.clone(),
            module: "".into(),
            on_disk: true,
            own: true,
        });
        self.open(file, Some(line))
    }

    fn open(&mut self, file: SourceFile, line: Option<u64>) -> Vec<Effect> {
        self.generation += 1;
        self.source = Some(Source::new(file.clone(), self.generation, line));
        vec![Effect::LoadSource {
            generation: self.generation,
            file,
        }]
    }

    pub(super) fn text_known(
        &mut self,
        generation: u64,
        text: Result<Arc<Document>, ProbeError>,
    ) -> Vec<Effect> {
        let rows = self.regions().rows(Pane::Source);
        if let (Err(error), true) = (&text, self.open_source(generation).is_some()) {
            self.say_error(error);
        }
        let Some(source) = self.open_source(generation) else {
            return Vec::new();
        };
        let effect = text.as_ref().ok().map(|document| Effect::Highlight {
            generation,
            document: document.clone(),
            file: source.file.clone(),
        });
        source.set_text(text, rows);
        effect.into_iter().collect()
    }

    /// Asks for the variables at the cursor once it has come to rest.
    pub(super) fn ask_variables(&mut self) -> Option<Effect> {
        let source = self.source.as_mut()?;
        let line = source.due(self.now)?;
        Some(Effect::Variables {
            generation: source.generation,
            file: source.file.clone(),
            line,
        })
    }
}

/// The paths of the files that are listed: the program's own, unless there are none or all are
/// asked for. These stand first in `files`, so a path has the index of its file.
fn file_texts(files: &[SourceFile], all: bool) -> Vec<String> {
    let own = files.iter().take_while(|file| file.own).count();
    let listed = if all || own == 0 { files.len() } else { own };
    files
        .iter()
        .take(listed)
        .map(|file| file.path.to_string_lossy().into_owned())
        .collect()
}
