//! Completions of the word at the cursor, with their types.

use crate::lang::SPECIALS;
use crate::session::VariableInfo;
use crate::sink::export::FORMATS;

use super::super::keymap::{KeyCommand, Mode, hint};
use super::super::theme::ThemeChoice;
use super::context::{CursorPlace, TypedContext};

/// The most completions that are kept.
const KEPT: usize = 300;

/// The actions and options of the probe language, with their effects.
const ABOUT: [(&str, &str); 39] = [
    ("log", "a message with values at each hit"),
    ("snapshot", "one hit with all variables and the stack"),
    ("count", "counts hits: by VALUE"),
    ("hist", "a histogram of a value"),
    ("time", "the times of calls, or A..B"),
    ("span", "calls as spans: for OpenTelemetry"),
    ("trace", "calls line by line, to step through"),
    ("watch", "writes to a value: VALUE [at LOCATION]"),
    ("at", "LOCATION: the value that a hit there finds"),
    ("until", "LOCATION: ends the watch"),
    ("on write", "the writes (also without it)"),
    ("on access", "reads and writes"),
    ("if old != new", "only changes"),
    ("if", "CONDITION: only hits for which it is true"),
    ("by", "VALUE: one row for each"),
    ("step", "N: the width of a bucket"),
    ("hits", "N: done after N hits"),
    ("rate", "N/s: at most N events a second"),
    ("every", "DURATION: at most one event in this time"),
    ("for", "DURATION: done after this time"),
    ("depth", "N: levels of pointers, or frames"),
    ("cpu", "N%: at most this share of a CPU"),
    ("per", "process: the limits hold for each process"),
    ("process", "after per"),
    ("trampoline", "returns by the kernel's trampoline"),
    ("as", "NAME: the name of the probe"),
    ("with", "VALUE, …: attributes of a span, values of a trace"),
    ("lines", "after a trace: FILE:A..B, only these lines"),
    ("key", "VALUE: spans of other threads belong together"),
    ("parent", "VALUE: the program's own trace context"),
    ("error", "VALUE: the span has failed if it is true"),
    ("start", "tracer run: starts the program"),
    ("steps", "the selected or newest traced call, step by step"),
    ("w", "FILE: writes the probes, for -f FILE"),
    ("export", "[FORMAT] FILE: writes the events that are shown"),
    ("undo", "what removed, changed or cleared something"),
    ("theme", "NAME: other colours"),
    ("help", "keys, and the grammar of probes"),
    ("quit", "nothing stays in the target"),
];
/// Commands that are no probes.
const COMMANDS: [&str; 8] = [
    "w", "export", "undo", "start", "steps", "theme", "help", "quit",
];

/// A completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) struct Candidate {
    /// The whole word.
    pub(in crate::tui) text: String,
    /// Its type, or its effect.
    pub(in crate::tui) about: String,
}

impl Candidate {
    /// A completion with its type or its effect.
    pub(in crate::tui) fn new(text: impl Into<String>, about: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            about: about.into(),
        }
    }
}

/// The completions at the cursor.
#[derive(Debug, Default)]
pub(in crate::tui) struct WordCompletion {
    /// The part of the word that is typed.
    pub(in crate::tui) stem: String,
    /// The completions, the best first.
    pub(in crate::tui) all: Vec<Candidate>,
    /// The one that stands in the line, after Tab.
    pub(in crate::tui) chosen: Option<usize>,
    /// More are being looked for.
    pub(in crate::tui) looks: bool,
    /// The reason why there are none.
    pub(in crate::tui) note: Option<String>,
}

impl WordCompletion {
    /// The completions of a place among candidates.
    pub(in crate::tui) fn new(
        context: &TypedContext,
        candidates: Vec<Candidate>,
        looks: bool,
    ) -> Self {
        let stem = context.stem.as_str();
        let begins = |one: &Candidate| match context.place {
            // Any part of a path may be typed.
            CursorPlace::Location => true,
            _ => one.text.starts_with(stem) && one.text != stem,
        };
        let mut all: Vec<Candidate> = candidates.into_iter().filter(begins).collect();
        all.truncate(KEPT);
        Self {
            stem: stem.to_owned(),
            all,
            chosen: None,
            looks,
            note: None,
        }
    }

    /// The text that takes the place of the word that is typed: what all completions begin with, or the next one.
    /// `None` if there is nothing to complete, with a note that says so.
    pub(in crate::tui) fn next(&mut self, back: bool) -> Option<String> {
        self.note = None;
        let count = self.all.len();
        if count == 0 {
            self.note = Some(match (self.looks, self.stem.is_empty()) {
                (true, _) => {
                    let key = hint(Mode::Prompt, KeyCommand::Complete);
                    format!("still looking; {key} again")
                }
                (false, true) => "nothing is known that completes this".into(),
                (false, false) => format!("nothing completes `{}` here", self.stem),
            });
            return None;
        }
        if self.chosen.is_none() {
            let common = self.common();
            if common.len() > self.stem.len() && common.starts_with(&self.stem) && count > 1 {
                self.stem = common.clone();
                return Some(common);
            }
        }
        let next = match self.chosen {
            None if back => count - 1,
            None => 0,
            Some(at) if back => (at + count - 1) % count,
            Some(at) => (at + 1) % count,
        };
        self.chosen = Some(next);
        self.all.get(next).map(|one| one.text.clone())
    }

    /// The text that all completions begin with.
    fn common(&self) -> String {
        let Some(first) = self.all.first() else {
            return String::new();
        };
        let mut common = first.text.as_str();
        for one in &self.all {
            while !one.text.starts_with(common) {
                let mut chars = common.chars();
                chars.next_back();
                common = chars.as_str();
            }
        }
        common.to_owned()
    }
}

/// The effect of a word of the probe language, or of a command.
pub(in crate::tui) fn about(word: &str) -> &'static str {
    let known = ABOUT.iter().find(|(known, _)| *known == word);
    known.map_or("", |(_, about)| about)
}

/// The actions, and the commands if the line may be one.
pub(in crate::tui) fn starts(is_command: bool) -> Vec<Candidate> {
    let commands = COMMANDS.into_iter().filter(|_| is_command);
    crate::actions::names()
        .chain(commands)
        .map(|word| Candidate::new(word, about(word)))
        .collect()
}

/// The words after the location of an action.
pub(in crate::tui) fn words(action: &str) -> Vec<Candidate> {
    crate::actions::words_of(action)
        .map(|word| Candidate::new(word, about(word)))
        .collect()
}

/// The words after the value of a watch. Some hold only if it has a place.
pub(in crate::tui) fn watch_words(has_place: bool) -> Vec<Candidate> {
    let place = if has_place { "until" } else { "at" };
    let own = [place, "on write", "on access", "if old != new"].into_iter();
    let is_own = |word: &str| matches!(word, "at" | "until" | "on");
    let others = crate::actions::words_of("watch").filter(|word| !is_own(word));
    let all = own.chain(others);
    all.map(|word| Candidate::new(word, about(word))).collect()
}

/// The accesses that a watch can be of.
pub(in crate::tui) fn accesses() -> Vec<Candidate> {
    let all = [("write", "on write"), ("access", "on access")];
    all.map(|(word, whole)| Candidate::new(word, about(whole)))
        .into()
}

/// The watched value before an access, and after it.
pub(in crate::tui) fn old_and_new() -> Vec<Candidate> {
    let all = [
        ("old", "the value before the access"),
        ("new", "the value after it"),
    ];
    let names = all.map(|(name, about)| Candidate::new(name, about));
    let specials = SPECIALS.into_iter();
    let specials = specials.map(|one| Candidate::new(one.name(), "of the hit"));
    names.into_iter().chain(specials).collect()
}

/// The names of themes.
pub(in crate::tui) fn themes() -> Vec<Candidate> {
    let named = ThemeChoice::ALL.into_iter();
    named
        .map(|(name, _)| Candidate::new(name, "theme"))
        .collect()
}

/// The formats of exports.
pub(in crate::tui) fn formats() -> Vec<Candidate> {
    let names = FORMATS.into_iter().map(|(name, _)| name);
    names.map(|name| Candidate::new(name, "FILE")).collect()
}

/// Variables or members that can be read, and the special names if these may stand there.
pub(in crate::tui) fn names(known: &[VariableInfo], with_specials: bool) -> Vec<Candidate> {
    let readable = known.iter().filter(|one| one.unavailable.is_none());
    let named = readable.map(|one| Candidate::new(one.name.as_str(), one.ty.as_str()));
    let specials = SPECIALS.into_iter().filter(|_| with_specials);
    let special = |one: crate::lang::ast::Special| Candidate::new(one.name(), "of the hit");
    named.chain(specials.map(special)).collect()
}
