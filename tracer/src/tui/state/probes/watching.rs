//! Watching a variable: the probe that a key writes into the line, and the lines that accesses belong to.

use crate::event::{Event, ProbeId};
use crate::session::{ProbeStatus, VariableInfo};
use crate::tui::action::UiEffect;
use crate::tui::prompt::completion::Candidate;
use crate::tui::prompt::{Prompt, Purpose};
use crate::tui::state::source::file_index::FileIndex;
use crate::tui::state::{Overlay, UiState};
use crate::tui::tree::SourcePlace;

/// The place of a variable that no watchpoint can be set on.
const REGISTER: &str = "register";

impl UiState {
    /// Opens the line with a watch of the first variable at the cursor. Tab goes on to the others.
    pub(in crate::tui::state) fn watch_variable(&mut self) -> Vec<UiEffect> {
        let prompt = Prompt::new(Purpose::Probe, "watch ".into(), "watch ".len());
        self.overlay = Overlay::Prompt(prompt);
        let effect = self.find_completions();
        if let Overlay::Prompt(prompt) = &mut self.overlay {
            prompt.choose_first();
        }
        effect.into_iter().collect()
    }

    /// Opens the line with a watch of the selected value of an event in full.
    pub(in crate::tui::state) fn watch_row(&mut self) -> Vec<UiEffect> {
        let Overlay::Event(detail) = &self.overlay else {
            return Vec::new();
        };
        let (expr, place) = (detail.expr(), detail.place());
        let event = detail.event.clone();
        let Some(expr) = expr else {
            self.say("select a value to watch it", false);
            return Vec::new();
        };
        if let Some(why) = self.refuses_watch(&event) {
            self.say(why, false);
            return Vec::new();
        }
        self.leave_event();
        self.watch_at(&expr, &place);
        Vec::new()
    }

    /// Opens the line with a watch of the selected variable of a step.
    pub(in crate::tui::state) fn watch_step(&mut self) -> Vec<UiEffect> {
        let Overlay::Steps(view) = &self.overlay else {
            return Vec::new();
        };
        let step = self.stepped().and_then(|one| one.call.step(one.index));
        let (Some(name), Some(event)) =
            (view.variable.clone(), step.map(|step| step.event.clone()))
        else {
            self.say("select a variable to watch it", false);
            return Vec::new();
        };
        let place = SourcePlace {
            file: event.origin.file.clone(),
            line: event.origin.line,
        };
        if let Some(why) = self.refuses_watch(&event) {
            self.say(why, false);
            return Vec::new();
        }
        // The view comes back behind the line.
        if let Overlay::Steps(view) = std::mem::replace(&mut self.overlay, Overlay::None) {
            self.steps_behind = Some(view);
        }
        self.watch_at(&name, &place);
        Vec::new()
    }

    /// The reason why no value of an event can be watched.
    fn refuses_watch(&self, event: &Event) -> Option<String> {
        let name = &event.origin.probe_name;
        match (&self.recording, &event.access) {
            (Some(_), _) => Some("this is a recording: it takes no probe".into()),
            (None, Some(_)) => Some(format!("{name} watches this value")),
            (None, None) => None,
        }
    }

    /// Opens the line with a watch of a value at a place.
    fn watch_at(&mut self, expr: &str, place: &SourcePlace) {
        let root = expr.split(['.', '[', '-']).next().unwrap_or(expr);
        let is_known_static = self.source.as_ref().is_some_and(|source| {
            let mut known = source.known_variables().iter();
            known.any(|variable| variable.name == root && variable.kind == "static")
        });
        let has_place = place.line != 0 && place.file.file_name().is_some();
        let text = match has_place && !is_known_static {
            true => {
                let file = self.source_file(&place.file);
                let location = match &self.files {
                    Some(files) => files.short_location(&file),
                    None => FileIndex::default().short_location(&file),
                };
                format!("watch {expr} at {location}:{}", place.line)
            }
            false => format!("watch {expr}"),
        };
        let end = text.chars().count();
        self.overlay = Overlay::Prompt(Prompt::new(Purpose::Probe, text, end));
    }

    /// The values that can follow `watch`: those that the line at the cursor names, and the other variables in scope.
    /// A name of the line that is no variable of the function may be that of a static.
    pub(in crate::tui::state) fn watchable(&self, known: &[VariableInfo]) -> Vec<Candidate> {
        let here = self.location_here();
        let candidate = |variable: &VariableInfo| {
            let name = &variable.name;
            let text = match variable.kind {
                "static" => name.clone(),
                _ => format!("{name} at {here}"),
            };
            let is_in_memory =
                variable.unavailable.is_none() && !variable.place.starts_with(REGISTER);
            let about = || format!("{} {}", variable.kind, variable.ty);
            is_in_memory.then(|| Candidate::new(text, about()))
        };
        let source = self.source.as_ref();
        let named = source.map(|source| source.names_on(source.list.cursor));
        let named = named.unwrap_or_default();
        let of_line = named.iter().filter_map(|name| {
            let variable = known.iter().find(|variable| variable.name == *name);
            match variable {
                Some(variable) => candidate(variable),
                None => Some(Candidate::new(*name, "named on this line")),
            }
        });
        let is_named = |variable: &&VariableInfo| named.contains(&variable.name.as_str());
        let others = known.iter().filter(|variable| !is_named(variable));
        of_line.chain(others.filter_map(candidate)).collect()
    }

    /// Probes whose latest value stands beside a line of the open file: those on the line, and watches whose last
    /// access was made there.
    pub(in crate::tui) fn shown_on(&self, line: u64) -> impl Iterator<Item = &ProbeStatus> {
        self.probes.iter().filter(move |probe| {
            match self.last_access(probe.id) {
                Some(place) => self.is_line_of_source(place, line),
                // The accesses to a value are seldom made where its object is found.
                None => probe.line == line && self.is_open(&probe.file) && !watches(probe),
            }
        })
    }

    fn is_line_of_source(&self, place: &SourcePlace, line: u64) -> bool {
        place.line == line && self.is_open(&place.file)
    }

    fn is_open(&self, file: &std::path::Path) -> bool {
        let open = self
            .source
            .as_ref()
            .map(|source| source.file.path.as_path());
        open == Some(file)
    }

    /// The place of the code that made the last access to a value.
    pub(in crate::tui::state) fn last_access(&self, probe: ProbeId) -> Option<&SourcePlace> {
        self.trails.get(&probe)?.access.as_ref()
    }
}

/// Returns true if the probe watches a value.
pub(in crate::tui) fn watches(probe: &ProbeStatus) -> bool {
    probe.text.split_whitespace().next() == Some("watch")
}
