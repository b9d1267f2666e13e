//! The line editor's keys, and the handling of a typed line.

use super::super::action::{AddRequest, Pane, UiEffect};
use super::super::events::Filter;
use super::super::keymap::KeyCommand;
use super::super::prompt::file_command::FileCommand;
use super::super::prompt::{Prompt, Purpose};
use super::super::theme::{ColourDepth, ThemeChoice};
use super::{Overlay, UiState};

impl UiState {
    pub(super) fn open_prompt(&mut self, purpose: Purpose) {
        if matches!(purpose, Purpose::GoTo | Purpose::Search) && self.source.is_none() {
            return self.say_no_file();
        }
        self.overlay = Overlay::Prompt(Prompt::empty(purpose));
    }

    pub(super) fn prompt_command(&mut self, command: KeyCommand) -> Vec<UiEffect> {
        let Overlay::Prompt(prompt) = &mut self.overlay else {
            return Vec::new();
        };
        match command {
            KeyCommand::Back => {
                if prompt.purpose == Purpose::Filter {
                    self.events.set_filter(Filter::default());
                }
                if prompt.purpose.is_probe() {
                    // It can be had again.
                    self.typed.push(prompt.input.value().trim());
                }
                self.overlay = Overlay::None;
                self.leave_pasted();
            }
            KeyCommand::Up | KeyCommand::Down if prompt.purpose.is_probe() => {
                prompt.recall(&self.typed, command == KeyCommand::Up);
            }
            KeyCommand::Complete | KeyCommand::CompleteBack if prompt.purpose.is_probe() => {
                self.complete(command == KeyCommand::CompleteBack);
            }
            KeyCommand::Activate => {
                let (purpose, text) = (prompt.purpose, prompt.input.value().trim().to_owned());
                let effects = self.submit(purpose, &text);
                if purpose.is_probe() {
                    self.next_pasted();
                }
                return effects;
            }
            _ => {}
        }
        Vec::new()
    }

    fn submit(&mut self, purpose: Purpose, text: &str) -> Vec<UiEffect> {
        if text.is_empty() {
            if purpose == Purpose::Filter {
                self.events.set_filter(Filter::default());
            }
            self.overlay = Overlay::None;
            return Vec::new();
        }
        match purpose {
            Purpose::Filter => {
                self.overlay = Overlay::None;
                self.events.set_filter(Filter::new(text));
            }
            Purpose::Search => {
                self.overlay = Overlay::None;
                self.search_for(text);
            }
            Purpose::GoTo => {
                self.overlay = Overlay::None;
                match text.parse() {
                    Ok(line) => self.go_to(line),
                    Err(_) => self.say(format!("`{text}` is not a line number"), true),
                }
            }
            Purpose::Place => {
                self.overlay = Overlay::None;
                return self.go_to_place(text);
            }
            Purpose::Command => return self.submit_command(text),
            Purpose::Probe => return self.submit_probe(text, None),
            Purpose::Edit(id) => {
                let same = self
                    .probes
                    .iter()
                    .any(|probe| probe.id == id && probe.text == text);
                if same {
                    self.overlay = Overlay::None;
                    return Vec::new();
                }
                let still_there = self.probes.iter().any(|probe| probe.id == id);
                return self.submit_probe(text, still_there.then_some(id));
            }
        }
        Vec::new()
    }

    fn submit_command(&mut self, text: &str) -> Vec<UiEffect> {
        if let Ok(line) = text.parse() {
            self.overlay = Overlay::None;
            self.go_to(line);
            return Vec::new();
        }
        if let Some(command) = FileCommand::parse(text) {
            return self.submit_file(text, command);
        }
        match text {
            "q" | "quit" => {
                self.quit();
                Vec::new()
            }
            "start" => {
                self.overlay = Overlay::None;
                self.start_program();
                Vec::new()
            }
            _ if text == "theme" || text.starts_with("theme ") => {
                self.overlay = Overlay::None;
                self.choose_theme(text.trim_start_matches("theme").trim());
                Vec::new()
            }
            "u" | "undo" => {
                self.overlay = Overlay::None;
                self.undo()
            }
            "steps" | "step" => self.open_newest_steps(),
            "help" => {
                self.open_help();
                Vec::new()
            }
            _ if self.recording.is_some() => {
                self.overlay = Overlay::None;
                self.go_to_place(text)
            }
            _ => self.submit_probe(text, None),
        }
    }

    /// The line closes at once. The probe is attached behind it, after those that were typed before.
    fn submit_probe(
        &mut self,
        text: &str,
        replaces: Option<crate::event::ProbeId>,
    ) -> Vec<UiEffect> {
        self.typed.push(text);
        self.overlay = Overlay::None;
        vec![match replaces {
            Some(id) => self.replace(id, text.to_owned()),
            None => self.request(AddRequest::new(text.to_owned())),
        }]
    }

    fn choose_theme(&mut self, name: &str) {
        match ThemeChoice::parse(name) {
            Ok(choice) => {
                self.theme = self.theme.switched(choice);
                let is_own = !matches!(choice, ThemeChoice::Terminal | ThemeChoice::None);
                if is_own && self.theme.depth() == ColourDepth::Sixteen {
                    self.say("this terminal has its own sixteen colours only", false);
                }
            }
            Err(why) => self.say(why, true),
        }
    }

    fn go_to(&mut self, line: u64) {
        let rows = self.regions().rows(Pane::Source);
        match &mut self.source {
            Some(source) => {
                source.go_to(line, rows);
                self.focus = Pane::Source;
            }
            None => self.say_no_file(),
        }
    }

    fn say_no_file(&mut self) {
        let open = self.hint_main(KeyCommand::Files);
        self.say(format!("no source file is open; {open} opens one"), false);
    }
}
