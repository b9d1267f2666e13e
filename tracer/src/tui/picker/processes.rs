//! The choice of processes, when none was named: one of a list, several, or those of a selector.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind};
use ratatui::layout::Size;

use super::super::action::UiAction;
use super::super::keymap::{self, KeyCommand, Mode};
use super::super::list::List;
use super::super::run::mouse_action;
use super::super::theme::Theme;
use super::fuzzy::Picker;
use super::lister::{Found, Matching, ProcessEntry};
use super::selectors::{
    KnownValues, common_front, completions, last_word, typed_selector, with_last_word,
};
use crate::base::diagnostic::Diagnostic;
use crate::target::select::{Selector, SelectorKind};

/// Two clicks on one row within this time take it.
const DOUBLE_CLICK: Duration = Duration::from_millis(400);
/// Columns before the command: number, user, name, container or unit.
pub(super) const COLUMNS: (usize, usize, usize, usize) = (8, 9, 14, 13);
/// Rows above the list, within the frame.
pub(super) const HEAD: u16 = 5;

/// The order of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// Those with debug information first, by pid.
    #[default]
    DebugInfo,
    Cpu,
    Age,
    Threads,
    Pid,
    User,
    Name,
    Place,
}

impl Order {
    /// The order after this one.
    const fn next(self) -> Self {
        match self {
            Self::DebugInfo => Self::Cpu,
            Self::Cpu => Self::Age,
            Self::Age => Self::Threads,
            Self::Threads => Self::Pid,
            Self::Pid => Self::User,
            Self::User => Self::Name,
            Self::Name => Self::Place,
            Self::Place => Self::DebugInfo,
        }
    }

    /// Sorts processes: the busiest, the youngest, those with the most threads first.
    fn sort(self, entries: &mut [ProcessEntry]) {
        entries.sort_by(|a, b| {
            let order = match self {
                Self::DebugInfo => (a.debug_info != Some(true)).cmp(&(b.debug_info != Some(true))),
                Self::Cpu => b.cpu.unwrap_or(0.0).total_cmp(&a.cpu.unwrap_or(0.0)),
                Self::Age => a.age.cmp(&b.age),
                Self::Threads => b.threads.cmp(&a.threads),
                Self::Pid => std::cmp::Ordering::Equal,
                Self::User => a.user.cmp(&b.user),
                Self::Name => a.name.cmp(&b.name),
                Self::Place => (a.place.is_empty(), &a.place).cmp(&(b.place.is_empty(), &b.place)),
            };
            order.then(a.pid.cmp(&b.pid))
        });
    }
}

/// The list and the choice.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) theme: Theme,
    pub(super) size: Size,
    pub(super) entries: Vec<ProcessEntry>,
    pub(super) order: Order,
    pub(super) known: KnownValues,
    pub(super) loaded: bool,
    pub(super) picker: Picker,
    /// The processes that were marked, by pid.
    pub(super) marked: BTreeSet<u32>,
    /// The selector that is typed, or its mistake.
    pub(super) typed: Option<Result<Selector, Diagnostic>>,
    /// The processes of the selector that was looked up last.
    matching: Option<(Selector, Result<Matching, Diagnostic>)>,
    /// Selected and first row among the processes of a selector.
    matched_list: List,
    /// Enter was pressed before the processes of the selector were known.
    entered: bool,
    /// The line that the last completion made, with what is next.
    cycle: Option<CompletionCycle>,
    clicked: Option<(Instant, u16)>,
    /// `Some(None)`: left without a choice.
    pub(super) done: Option<Option<Selector>>,
}

/// Completions of one word, one after the other.
#[derive(Debug)]
struct CompletionCycle {
    words: Vec<String>,
    at: usize,
    line: String,
}

impl Choice {
    /// Nothing is known yet.
    pub(super) fn new(theme: Theme, size: Size) -> Self {
        Self {
            theme,
            size,
            entries: Vec::new(),
            order: Order::default(),
            known: KnownValues::default(),
            loaded: false,
            picker: Picker::default(),
            marked: BTreeSet::new(),
            typed: None,
            matching: None,
            matched_list: List::default(),
            entered: false,
            cycle: None,
            clicked: None,
            done: None,
        }
    }

    /// The selector that is typed, if there is something in it.
    pub(super) fn selector(&self) -> Option<&Selector> {
        let typed = self.typed.as_ref()?.as_ref().ok();
        typed.filter(|selector| !selector.is_empty())
    }

    /// The processes of the selector that is typed, once they are known.
    pub(super) fn matched(&self) -> Option<&Result<Matching, Diagnostic>> {
        let (selector, matched) = self.matching.as_ref()?;
        (Some(selector) == self.selector()).then_some(matched)
    }

    /// The command line that Enter stands for.
    pub(super) fn chosen(&self) -> Option<Selector> {
        if self.typed.is_some() {
            let wait = matches!(self.matched(), Some(Ok(Matching::Later(_))));
            let selector = self.selector().cloned()?;
            return Some(Selector { wait, ..selector });
        }
        let mut pids: Vec<u32> = self.marked.iter().copied().collect();
        if pids.is_empty() {
            let selected = self.picker.selected();
            let entry = selected.and_then(|index| self.entries.get(index))?;
            pids.push(entry.pid);
        }
        let mut selector = Selector::default();
        for pid in pids {
            // There is a limit, which the mark that is over it says.
            selector.add(SelectorKind::Pid, &pid.to_string()).ok()?;
        }
        Some(selector)
    }

    /// The entries on `rows` rows, with the letters that the search has found.
    pub(super) fn visible(&self, rows: usize) -> Vec<(usize, Vec<u32>)> {
        if self.typed.is_none() {
            return self.picker.visible(rows);
        }
        let shown = self.matched_entries();
        let shown = shown.skip(self.matched_list.top).take(rows);
        shown.map(|index| (index, Vec::new())).collect()
    }

    /// The list that the keys move in.
    pub(super) fn list(&self) -> List {
        match self.typed {
            None => self.picker.list,
            Some(_) => self.matched_list,
        }
    }

    fn list_mut(&mut self) -> &mut List {
        match self.typed {
            None => &mut self.picker.list,
            Some(_) => &mut self.matched_list,
        }
    }

    fn matched_entries(&self) -> impl Iterator<Item = usize> {
        let pids = match self.matched() {
            Some(Ok(Matching::Now(pids))) => pids.as_slice(),
            _ => &[],
        };
        let entries = self.entries.iter().enumerate();
        entries
            .filter(|(_, entry)| pids.binary_search(&entry.pid).is_ok())
            .map(|(index, _)| index)
    }

    fn len(&self) -> usize {
        match self.typed {
            None => self.picker.counts().0,
            Some(_) => self.matched_entries().count(),
        }
    }

    /// Takes what the lister has found.
    pub(super) fn found(&mut self, found: Found) {
        match found {
            Found::Processes(entries, known) => {
                self.known = known;
                self.set_entries(entries);
                // Enter was pressed before there was a list.
                if self.typed.is_none() && std::mem::take(&mut self.entered) {
                    self.picker.search();
                    self.enter();
                }
            }
            Found::Matching(selector, mut matching) => {
                if let Ok(Matching::Now(pids)) = &mut matching {
                    pids.sort_unstable();
                }
                self.matching = Some((selector, matching));
                // Waiting is for the user to choose, who may have mistyped a name.
                let entered = std::mem::take(&mut self.entered);
                if entered && matches!(self.matched(), Some(Ok(Matching::Now(_)))) {
                    self.enter();
                }
            }
        }
        self.settle();
    }

    fn set_entries(&mut self, mut entries: Vec<ProcessEntry>) {
        self.order.sort(&mut entries);
        let (pid, user, name, place) = COLUMNS;
        let text = |entry: &ProcessEntry| {
            let (who, what) = (cut(&entry.user, user - 1), cut(&entry.name, name - 1));
            let lives = cut(&entry.place, place - 1);
            format!(
                "{:>width$} {who:<user$}{what:<name$}{lives:<place$}{}",
                entry.pid,
                entry.command,
                width = pid - 1
            )
        };
        self.picker.set_texts(entries.iter().map(text).collect());
        self.marked
            .retain(|pid| entries.iter().any(|entry| entry.pid == *pid));
        self.entries = entries;
        self.loaded = true;
        self.settle();
    }

    /// A key, a paste, the mouse, or another size.
    pub(super) fn input(&mut self, event: TerminalEvent, now: Instant) {
        match event {
            TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => self.key(key),
            TerminalEvent::Paste(text) => self.picker.type_text(&text),
            TerminalEvent::Resize(width, height) => self.size = Size::new(width, height),
            TerminalEvent::Mouse(mouse) => match mouse_action(mouse) {
                Some(UiAction::Scroll { lines, .. }) => self.list_mut().step(lines),
                Some(UiAction::Click { y, .. }) => self.click(y, now),
                _ => {}
            },
            _ => {}
        }
        let typed = typed_selector(self.picker.input.value());
        if typed != self.typed {
            self.typed = typed;
            self.entered = false;
        }
        self.picker.search();
        self.settle();
    }

    fn key(&mut self, key: KeyEvent) {
        match key.code {
            // A selector has several words. A search has one, so that Space can mark.
            KeyCode::Char(' ') if self.typed.is_none() => self.mark(),
            _ => match keymap::command(Mode::Picker, key) {
                Some(command) => self.command(command),
                None => self.picker.type_key(key),
            },
        }
    }

    fn command(&mut self, command: KeyCommand) {
        let page = isize::try_from(self.rows()).unwrap_or(1).max(1);
        match command {
            KeyCommand::Up => self.list_mut().step(-1),
            KeyCommand::Down => self.list_mut().step(1),
            KeyCommand::PageUp => self.list_mut().step(-page),
            KeyCommand::PageDown => self.list_mut().step(page),
            KeyCommand::Activate => self.enter(),
            KeyCommand::Complete => self.complete(),
            KeyCommand::Sort => {
                self.order = self.order.next();
                let entries = std::mem::take(&mut self.entries);
                self.set_entries(entries);
            }
            KeyCommand::Back | KeyCommand::Quit => self.done = Some(None),
            _ => {}
        }
    }

    /// Takes the choice, if there are processes, or if one can be waited for.
    fn enter(&mut self) {
        if self.selector().is_some() {
            match self.matched() {
                Some(Ok(_)) => {}
                Some(Err(_)) => return,
                None => {
                    self.entered = true;
                    return;
                }
            }
        }
        if !self.loaded && self.typed.is_none() {
            self.entered = true;
            return;
        }
        self.done = self.chosen().map(Some);
    }

    /// Enter was pressed before there was a list. What is typed after it is not for this list.
    pub(super) fn waits_for_list(&self) -> bool {
        self.entered && !self.loaded && self.typed.is_none()
    }

    /// Marks the selected process, or not any more.
    fn mark(&mut self) {
        let selected = self.picker.selected();
        let Some(entry) = selected.and_then(|index| self.entries.get(index)) else {
            return;
        };
        if !self.marked.remove(&entry.pid) {
            self.marked.insert(entry.pid);
        }
        self.picker.list.step(1);
    }

    /// Completes the last word: as far as that is certain, then one possibility after the other.
    fn complete(&mut self) {
        let line = self.picker.input.value().to_owned();
        if let Some(cycle) = self.cycle.as_mut().filter(|cycle| cycle.line == line) {
            cycle.at = (cycle.at + 1) % cycle.words.len().max(1);
            let word = cycle.words.get(cycle.at).cloned().unwrap_or_default();
            cycle.line = with_last_word(&line, &word);
            self.picker.input = tui_input::Input::new(cycle.line.clone());
            return;
        }
        self.cycle = None;
        let words = completions(&line, &self.known);
        let common = common_front(&words).to_owned();
        if common.len() > last_word(&line).len() {
            self.picker.input = tui_input::Input::new(with_last_word(&line, &common));
        } else if let Some(first) = words.first() {
            let line = with_last_word(&line, first);
            self.picker.input = tui_input::Input::new(line.clone());
            self.cycle = Some(CompletionCycle { words, at: 0, line });
        }
    }

    fn click(&mut self, y: u16, now: Instant) {
        let Some(row) = usize::from(y).checked_sub(usize::from(HEAD) + 1) else {
            return;
        };
        let at = self.list().top + row;
        if row >= self.rows() || at >= self.len() {
            return;
        }
        let double = self.clicked.is_some_and(|(then, at)| {
            at == y && now.saturating_duration_since(then) < DOUBLE_CLICK
        });
        self.clicked = Some((now, y));
        self.list_mut().cursor = at;
        if double {
            self.command(KeyCommand::Activate);
        }
    }

    fn rows(&self) -> usize {
        usize::from(self.size.height.saturating_sub(HEAD + 2))
    }

    fn settle(&mut self) {
        let (len, rows) = (self.len(), self.rows());
        self.list_mut().settle(len, rows);
    }
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

#[cfg(test)]
mod tests;
