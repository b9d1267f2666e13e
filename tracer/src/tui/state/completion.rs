//! Completions of the line that is typed: from the screen, and from the session.

use std::collections::VecDeque;

use super::super::action::{KnownNames, NamesRequest, UiEffect};
use super::super::prompt::Purpose;
use super::super::prompt::completion::{self, Candidate, WordCompletion};
use super::super::prompt::context::{CursorPlace, TypedContext, context};
use super::source::LoadedText;
use super::{Overlay, UiState};

/// Answers of the session that are kept.
const ANSWERS: usize = 32;
/// Files that are listed.
const FILES: usize = 50;
/// Lines that are listed.
const LINES: usize = 50;

/// The session's answers.
#[derive(Debug, Default)]
pub(in crate::tui) struct Names {
    known: VecDeque<(NamesRequest, KnownNames)>,
    /// The last one that was asked for.
    asked: Option<NamesRequest>,
}

impl Names {
    fn of(&self, request: &NamesRequest) -> Option<&KnownNames> {
        let mut known = self.known.iter();
        known.find(|(of, _)| of == request).map(|(_, names)| names)
    }
}

impl UiState {
    /// Finds the completions at the cursor, if it is at another place or more is known. Asks the session for those
    /// that it knows.
    pub(super) fn find_completions(&mut self) -> Option<UiEffect> {
        let Overlay::Prompt(prompt) = &mut self.overlay else {
            return None;
        };
        if !prompt.is_elsewhere() || self.recording.is_some() {
            return None;
        }
        let is_command = prompt.purpose == Purpose::Command;
        let context = context(prompt.before());
        let (candidates, request) = self.candidates(&context, is_command);
        let known = request.as_ref().and_then(|request| self.names.of(request));
        let looks = request.is_some() && known.is_none();
        let failed = match known {
            Some(KnownNames::Values(Err(error))) => Some(error.with_hint()),
            _ => None,
        };
        let mut found = WordCompletion::new(&context, candidates, looks);
        found.note = failed.filter(|_| found.all.is_empty());
        if let Overlay::Prompt(prompt) = &mut self.overlay {
            prompt.completion = found;
        }
        let request = request.filter(|_| looks)?;
        if self.names.asked.as_ref() == Some(&request) {
            return None;
        }
        self.names.asked = Some(request.clone());
        Some(UiEffect::Names(request))
    }

    /// The session has answered.
    pub(super) fn names_known(&mut self, request: NamesRequest, names: KnownNames) {
        if self.names.asked.as_ref() == Some(&request) {
            self.names.asked = None;
        }
        self.names.known.retain(|(of, _)| *of != request);
        if self.names.known.len() >= ANSWERS {
            self.names.known.pop_front();
        }
        self.names.known.push_back((request, names));
        if let Overlay::Prompt(prompt) = &mut self.overlay {
            prompt.look_again();
        }
    }

    /// Tab: completes the word at the cursor, or says that nothing does.
    pub(super) fn complete(&mut self, back: bool) {
        let Overlay::Prompt(prompt) = &mut self.overlay else {
            return;
        };
        prompt.complete(back);
    }

    /// Completions that are known, and the question for the session about others.
    fn candidates(
        &self,
        context: &TypedContext,
        is_command: bool,
    ) -> (Vec<Candidate>, Option<NamesRequest>) {
        match &context.place {
            CursorPlace::Start => (completion::starts(is_command), None),
            CursorPlace::Format => (completion::formats(), None),
            CursorPlace::Theme => (completion::themes(), None),
            CursorPlace::Free => (Vec::new(), None),
            CursorPlace::Line(file) => (self.lines_of(file), None),
            CursorPlace::Location => {
                let mut all = self.file_names(&context.stem);
                if context.stem.chars().count() < 2 {
                    return (all, None);
                }
                let request = NamesRequest::Functions(context.stem.clone());
                if let Some(KnownNames::Functions(functions)) = self.names.of(&request) {
                    let functions = functions.iter();
                    let kind =
                        |name: &str| match name.starts_with("usdt:") || name.contains("!usdt:") {
                            true => "USDT probe",
                            false => "function",
                        };
                    all.extend(functions.map(|name| Candidate::new(name, kind(name))));
                }
                (all, Some(request))
            }
            CursorPlace::Name { location, owner } => self.names_of(location, owner),
            CursorPlace::Watched => self.watched_values(),
            CursorPlace::WatchedMember { owner } => self.names_of(&self.location_here(), owner),
            CursorPlace::WatchWord { has_place } => (completion::watch_words(*has_place), None),
            CursorPlace::Access => (completion::accesses(), None),
            CursorPlace::OldNew => (completion::old_and_new(), None),
            CursorPlace::Process => (
                vec![Candidate::new("process", "each process by itself")],
                None,
            ),
            CursorPlace::Word {
                location,
                action,
                or_name,
            } => {
                let (mut all, mut request) = (completion::words(action), None);
                if *or_name {
                    let (names, of_names) = self.names_of(location, "");
                    all.splice(0..0, names);
                    request = of_names;
                }
                (all, request)
            }
        }
    }

    fn names_of(&self, location: &str, owner: &str) -> (Vec<Candidate>, Option<NamesRequest>) {
        let request = NamesRequest::Values {
            location: location.to_owned(),
            owner: owner.to_owned(),
        };
        let is_plain = owner.is_empty();
        match self.names.of(&request) {
            Some(KnownNames::Values(Ok(known))) => {
                (completion::names(known, is_plain), Some(request))
            }
            Some(_) => (Vec::new(), Some(request)),
            // The variables at the cursor are on the screen.
            None if is_plain && location == self.location_here() => match &self.source {
                Some(source) if !source.known_variables().is_empty() => {
                    (completion::names(source.known_variables(), true), None)
                }
                _ => (Vec::new(), Some(request)),
            },
            None => (Vec::new(), Some(request)),
        }
    }

    /// The variables at the cursor, for a watch.
    fn watched_values(&self) -> (Vec<Candidate>, Option<NamesRequest>) {
        let Some(source) = &self.source else {
            return (Vec::new(), None);
        };
        if !source.known_variables().is_empty() {
            return (self.watchable(source.known_variables()), None);
        }
        let request = NamesRequest::Values {
            location: self.location_here(),
            owner: String::new(),
        };
        match self.names.of(&request) {
            Some(KnownNames::Values(Ok(known))) => (self.watchable(known), Some(request)),
            _ => (Vec::new(), Some(request)),
        }
    }

    /// Files whose path has a text: those whose name begins with it first.
    fn file_names(&self, stem: &str) -> Vec<Candidate> {
        let Some(files) = &self.files else {
            return Vec::new();
        };
        let mut all: Vec<Candidate> = Vec::new();
        for file in files.with_text(stem) {
            let text = format!("{}:", files.short_location(file));
            if all.len() >= FILES {
                break;
            }
            if all.iter().all(|known| known.text != text) {
                all.push(Candidate::new(text, file.path.to_string_lossy()));
            }
        }
        all
    }

    /// The lines with code of a file, if it is open: those at the cursor first.
    fn lines_of(&self, file: &str) -> Vec<Candidate> {
        let Some(source) = &self.source else {
            return Vec::new();
        };
        let path = file.rsplit('!').next().unwrap_or(file);
        if !source.file.path.ends_with(path) {
            return Vec::new();
        }
        let here = source.line();
        let mut lines: Vec<u64> = source.code.keys().copied().collect();
        lines.sort_by_key(|line| (line.abs_diff(here), *line));
        let lines = lines.into_iter().take(LINES);
        let text = |line: u64| match &source.text {
            LoadedText::Text(document) => {
                let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
                document.line(index).trim().to_owned()
            }
            _ => String::new(),
        };
        lines
            .map(|line| Candidate::new(line.to_string(), text(line)))
            .collect()
    }
}
