//! The state behind the screen, and its changes, without I/O and without a clock.
//!
//! [`UiState::update`] takes one [`UiAction`] and the time, and returns the effects to be carried
//! out elsewhere. Drawing is the task of [`super::view`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::Event as TerminalEvent;
use jiff::tz::TimeZone;
use tui_input::backend::crossterm::to_input_request;

use self::source::SourceView;
use self::source::file_index::FileIndex;
use ratatui::layout::Size;

use super::action::{Pane, UiAction, UiEffect, WorkerReply};
use super::compact::compact;
use super::events::{Body, Events, Filter};
use super::keymap::{self, KeyCommand, Mode};
use super::layout::{PaneNeeds, PaneRegions};
use super::list::List;
use super::picker::fuzzy::Picker;
use super::program::pane::ProgramPane;
use super::prompt::{History, Prompt};
use super::theme::Theme;
use super::tree::Folds;
use super::{UiOptions, UiOutcome};
use crate::base::diagnostic::Diagnostic;
use crate::event::{Aggregate, Event, ProbeId, TargetStatus};
use crate::session::{Notice, ProbeStatus, TargetName};
use changes::Trail;
use completion::Names;
use detail::{Detail, LeftDetail};
use files::SavedWork;
use probes::plain::PlainProbes;
use queue::CommandQueue;
use recording::RecordingView;
use results::ResultsPane;
use stepping::Stepping;
use stepping::calls::CallStore;
use targets::target_rows::TargetRows;
use undo::UndoSteps;

pub(super) mod changes;
mod commands;
mod completion;
pub(super) mod detail;
mod files;
mod handover;
mod mouse;
pub(super) mod overlay_area;
mod probes;
mod program;
mod prompts;
mod queue;
pub(super) mod recording;
pub(super) mod results;
pub(super) mod series;
pub(super) mod source;
pub(super) mod stepping;
pub(super) mod targets;
#[cfg(test)]
mod tests;
mod undo;

/// The counters are read this often.
const REFRESH: Duration = Duration::from_millis(250);
/// The answer to a command stays at the foot for this long before news of the session take its place.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// A message stays at the foot for this long.
const MESSAGE_TIME: Duration = Duration::from_secs(8);
/// A value that changed is marked for this long.
pub(super) const CHANGE_TIME: Duration = Duration::from_millis(1500);

/// The overlay on the panes.
#[derive(Debug)]
pub(super) enum Overlay {
    /// No overlay.
    None,
    /// Choose a source file.
    Files(Picker),
    /// A line to type.
    Prompt(Prompt),
    /// An event in full.
    Event(Detail),
    /// A traced call, step by step.
    Steps(Box<Stepping>),
    /// A probe in full.
    Probe(ProbeId, usize),
    /// The targets.
    Targets(List),
    /// The program runs, and the user wants to quit.
    Leave,
    /// The keys.
    Help(HelpText),
}

/// The help on the screen.
#[derive(Debug)]
pub(super) struct HelpText {
    /// The first line shown.
    pub(super) top: usize,
    /// The lines: a heading, or keys and their effect.
    pub(super) lines: Vec<(String, String)>,
    /// The event that was open. It opens again.
    behind: Option<Box<Detail>>,
}

/// A message at the foot.
#[derive(Debug)]
pub(super) struct FootMessage {
    /// The text.
    pub(super) text: String,
    /// It reports a problem.
    pub(super) bad: bool,
    /// Until then, news of the session does not take its place.
    kept_until: Instant,
    until: Instant,
}

/// Everything.
#[derive(Debug)]
pub(super) struct UiState {
    /// The target.
    pub(super) target: TargetName,
    /// The colours and attributes.
    pub(super) theme: Theme,
    /// For the times of events.
    pub(super) zone: TimeZone,
    /// Events may be of several processes, so they name their process.
    pub(super) processes: bool,
    /// The processes that are probed, and those that were.
    pub(super) targets: TargetRows,
    /// The program that the screen starts.
    pub(super) program: Option<ProgramPane>,
    /// The recording that is shown, if the session is one.
    pub(super) recording: Option<RecordingView>,
    /// Columns and rows.
    pub(super) size: Size,
    /// The pane that keys go to.
    pub(super) focus: Pane,
    /// It has the whole screen.
    pub(super) zoom: bool,
    /// Over the panes.
    pub(super) overlay: Overlay,
    /// Every source file, once they are known.
    pub(super) files: Option<FileIndex>,
    /// The list of files has those of libraries and packages, too.
    pub(super) all_files: bool,
    /// The open file.
    pub(super) source: Option<SourceView>,
    /// Probes, by id.
    pub(super) probes: Vec<ProbeStatus>,
    /// Their aggregates, from the last request.
    pub(super) aggregates: Vec<Aggregate>,
    /// Selected and first row of their table.
    pub(super) probes_list: List,
    /// The earlier messages and values of each.
    pub(super) trails: HashMap<ProbeId, Trail>,
    /// The result pane, with the values of each probe over time.
    pub(super) results: ResultsPane,
    /// Everything is silenced.
    pub(super) silenced: bool,
    /// The probes that were awake before.
    awake: Vec<ProbeId>,
    /// The events.
    pub(super) events: Events,
    /// The folded parts of events in full.
    folds: Folds,
    /// The event in full that was left last.
    left: Option<LeftDetail>,
    /// The traced calls.
    pub(super) calls: CallStore,
    /// The stepping view, while an event in full or the help lies over it.
    steps_behind: Option<Box<Stepping>>,
    /// The user's editor has the terminal.
    pub(super) editing: bool,
    /// The message at the foot.
    pub(super) message: Option<FootMessage>,
    /// News that waits for the answer to a command to be read.
    news: Option<(String, bool)>,
    /// The target is gone.
    pub(super) exited: Option<Option<i32>>,
    /// The session is left.
    pub(super) outcome: Option<UiOutcome>,
    /// Commands that are being carried out, and those that wait.
    pub(super) queue: CommandQueue,
    /// Names for completion.
    names: Names,
    /// Changes that can be undone.
    changes: UndoSteps,
    /// Probes, also former ones, and whether their messages only list values.
    plain: PlainProbes,
    /// Work that need not be told at the end.
    saved: SavedWork,
    /// Probes that are being removed.
    removing: Vec<ProbeId>,
    /// The time of the last update.
    pub(super) now: Instant,
    /// The search in the source.
    pub(super) search: String,
    typed: History,
    generation: u64,
    /// The time of the first screen.
    opened: Instant,
    /// A file and line to open once the files are known.
    wanted: Option<(Arc<std::path::PathBuf>, u64)>,
    refreshed: Option<Instant>,
    /// Requests to silence or wake probes that have not been carried out.
    switching: usize,
    clicked: Option<(Instant, u16, u16)>,
}

impl UiState {
    /// The first screen, with its effects.
    pub(super) fn new(
        options: &UiOptions,
        target: TargetName,
        targets: Vec<TargetStatus>,
        probes: Vec<ProbeStatus>,
        size: Size,
        now: Instant,
    ) -> (Self, Vec<UiEffect>) {
        let has_source = |probe: &&ProbeStatus| probe.file.file_name().is_some();
        let first = probes.iter().find(has_source);
        let wanted = first.map(|probe| (probe.file.clone(), probe.line));
        // Whoever gave probes has them.
        let saved = SavedWork {
            probes: probes.iter().map(|probe| probe.text.clone()).collect(),
            events: 0,
        };
        let mut plain = PlainProbes::default();
        plain.know(&probes);
        // Whoever came with probes wants to see them.
        let overlay = if probes.is_empty() {
            Overlay::Files(Picker::default())
        } else {
            Overlay::None
        };
        let mut state = Self {
            target,
            theme: Theme::new(options.theme),
            zone: options.time_zone.clone(),
            processes: options.processes,
            targets: TargetRows::new(targets),
            program: None,
            recording: None,
            size,
            focus: Pane::Source,
            zoom: false,
            overlay,
            files: None,
            all_files: false,
            source: None,
            probes,
            aggregates: Vec::new(),
            probes_list: List::default(),
            trails: HashMap::new(),
            results: ResultsPane::default(),
            silenced: false,
            awake: Vec::new(),
            events: Events::new(options.events),
            folds: Folds::default(),
            left: None,
            calls: CallStore::default(),
            steps_behind: None,
            editing: false,
            message: None,
            news: None,
            exited: None,
            outcome: None,
            queue: CommandQueue::default(),
            names: Names::default(),
            changes: UndoSteps::default(),
            plain,
            saved,
            removing: Vec::new(),
            now,
            search: String::new(),
            typed: History::default(),
            generation: 0,
            opened: now,
            wanted,
            refreshed: None,
            switching: 0,
            clicked: None,
        };
        for note in &options.notes {
            state.notice(Notice::Note(note.clone()));
        }
        (state, vec![UiEffect::LoadFiles])
    }

    /// The mode that receives the keys.
    pub(super) fn mode(&self) -> Mode {
        match self.overlay {
            Overlay::None if self.is_typing() => Mode::Program,
            Overlay::None => Mode::Main,
            Overlay::Files(_) => Mode::Picker,
            Overlay::Prompt(_) => Mode::Prompt,
            Overlay::Event(Detail { search: None, .. }) => Mode::Event,
            Overlay::Event(_) => Mode::EventSearch,
            Overlay::Steps(ref view) if view.typing.is_some() => Mode::StepsPrompt,
            Overlay::Steps(_) => Mode::Steps,
            Overlay::Probe(..) => Mode::Detail,
            Overlay::Targets(_) => Mode::Targets,
            Overlay::Leave => Mode::Leave,
            Overlay::Help(_) => Mode::Help,
        }
    }

    /// The areas of the panes.
    pub(super) fn regions(&self) -> PaneRegions {
        let probes = self.probes.len() + self.queue.pending.len();
        PaneRegions::new(PaneNeeds {
            size: self.size,
            focus: self.focus,
            zoom: self.zoom,
            probes,
            results: self.focus == Pane::Results
                || self.results.is_open && self.focus == Pane::Probes,
            program: self.program.is_some(),
            time_line: self.recording.is_some(),
        })
    }

    /// Applies an action.
    pub(super) fn update(&mut self, action: UiAction, now: Instant) -> Vec<UiEffect> {
        self.now = now;
        let mut effects = self.update_once(action);
        while !self.is_waiting()
            && let Some(key) = self.queue.held.pop_front()
        {
            if let Some(action) = self.action_of(key) {
                effects.extend(self.update_once(action));
            }
        }
        effects
    }

    fn update_once(&mut self, action: UiAction) -> Vec<UiEffect> {
        let mut effects = self.updated(action);
        self.settle();
        effects.extend(self.settle_program());
        effects.extend(self.settle_recording());
        effects.extend(self.settle_stepping());
        effects.extend(self.find_completions());
        effects
    }

    fn updated(&mut self, action: UiAction) -> Vec<UiEffect> {
        match action {
            UiAction::Command(command) => self.command(command),
            UiAction::Edit(key) => {
                match &mut self.overlay {
                    Overlay::Prompt(prompt) => prompt.edit(key),
                    Overlay::Files(picker) => picker.type_key(key),
                    Overlay::Event(_) => {
                        if let Some(request) = to_input_request(&TerminalEvent::Key(key)) {
                            self.type_search(request);
                        }
                    }
                    Overlay::Steps(_) => self.type_in_steps(key),
                    _ => {}
                }
                self.typing();
                Vec::new()
            }
            UiAction::Type(key) => self.type_key(key),
            UiAction::Hold(key) => {
                self.hold(key);
                Vec::new()
            }
            UiAction::UnknownKey(key) => {
                self.unknown_key(key);
                Vec::new()
            }
            UiAction::Output(bytes) => self.program_output(&bytes),
            UiAction::Paste(text) if self.mode() == Mode::Program => self.type_paste(&text),
            UiAction::Paste(text) => {
                self.stop_waiting_for_event();
                self.paste(&text);
                Vec::new()
            }
            UiAction::Click { x, y } => {
                self.stop_waiting_for_event();
                self.click(x, y)
            }
            UiAction::Scroll { x, y, lines } => {
                self.scroll(x, y, lines);
                Vec::new()
            }
            UiAction::Resize(width, height) => {
                self.size = Size::new(width, height);
                self.lay_out_event();
                Vec::new()
            }
            UiAction::Tick => self.tick(),
            UiAction::Notices(notices) => {
                self.brief(&notices);
                notices.into_iter().for_each(|notice| self.notice(notice));
                Vec::new()
            }
            UiAction::Terminate(signal) => {
                self.outcome = Some(UiOutcome::Interrupted(signal));
                Vec::new()
            }
            UiAction::Reply(reply) => self.reply(reply),
        }
    }

    /// Puts every cursor into its list and onto the screen.
    fn settle(&mut self) {
        let regions = self.regions();
        if let Some(source) = &mut self.source {
            source.settle(regions.rows(Pane::Source), self.now);
        }
        self.settle_results();
        let regions = self.regions();
        self.probes_list
            .settle(self.probes.len(), regions.rows(Pane::Probes));
        self.events.settle(regions.rows(Pane::Events));
        let rows = self.overlay_rows();
        let probe_lines = if let Overlay::Probe(id, _) = &self.overlay {
            self.probe_lines(*id).len()
        } else {
            0
        };
        match &mut self.overlay {
            Overlay::Files(picker) => {
                let fits = picker.counts().0;
                picker.list.settle(fits, rows);
            }
            Overlay::Probe(_, top) => *top = (*top).min(probe_lines.saturating_sub(rows)),
            Overlay::Help(help) => help.top = help.top.min(help.lines.len().saturating_sub(rows)),
            Overlay::Targets(list) => list.settle(self.targets.len(), rows),
            Overlay::Event(_) => self.settle_event(),
            Overlay::None | Overlay::Prompt(_) | Overlay::Steps(_) | Overlay::Leave => {}
        }
    }

    /// Rows of the list or text that lies over the panes.
    pub(super) fn overlay_rows(&self) -> usize {
        let area = overlay_area::overlay_area(self);
        let head = match self.overlay {
            Overlay::Files(_) => 2,
            Overlay::Targets(_) => 1,
            _ => 0,
        };
        usize::from(area.height).saturating_sub(2 + head)
    }

    fn tick(&mut self) -> Vec<UiEffect> {
        let mut effects = Vec::new();
        if self
            .message
            .as_ref()
            .is_some_and(|message| message.until <= self.now)
        {
            self.message = None;
        }
        if let Some((text, bad)) = self.news.take() {
            self.tell(text, bad);
        }
        let due = self
            .refreshed
            .is_none_or(|then| self.now.saturating_duration_since(then) >= REFRESH);
        if due {
            self.refreshed = Some(self.now);
            let beside = self.regions().results.height > 0;
            if beside || matches!(self.overlay, Overlay::Probe(..)) {
                effects.push(UiEffect::RefreshAggregates);
            }
        }
        effects.extend(self.ask_variables());
        effects
    }

    /// Keeps the last values of each probe in few columns: for the last hit of each, not for all of a flood.
    fn brief(&mut self, notices: &[Notice]) {
        let mut seen: Vec<ProbeId> = Vec::new();
        for notice in notices.iter().rev() {
            let Notice::Event(event) = notice else {
                continue;
            };
            let id = event.origin.probe;
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            if self.is_default_message(event) {
                self.trails
                    .entry(id)
                    .or_default()
                    .set_brief(compact(&event.values));
            }
            if seen.len() >= self.probes.len() {
                break;
            }
        }
    }

    /// Returns true if the message only lists the values: the probe has no template.
    pub(super) fn is_default_message(&self, event: &Event) -> bool {
        // Also of a probe that is gone.
        event.values.first().is_some_and(|first| {
            event
                .message
                .strip_prefix(&*first.expr)
                .is_some_and(|rest| rest.starts_with(" = "))
        }) && self.plain.is_plain(event.origin.probe)
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Event(event) => {
                self.targets.count(&event);
                self.trails
                    .entry(event.origin.probe)
                    .or_default()
                    .hit(&event, self.now);
                self.results.take(&event, self.now);
                if !event.left_out.is_none() {
                    self.events.push(Body::Gap {
                        probe: event.origin.probe_name.clone(),
                        left_out: event.left_out,
                    });
                }
                self.calls.take(&event);
                self.events.push(Body::Event(event));
            }
            Notice::Warning(text) => {
                self.tell(text.clone(), true);
                self.events.push(Body::Note(text));
            }
            Notice::Note(text) => {
                self.tell(text.clone(), false);
                self.events.push(Body::Note(text));
            }
            Notice::Limited(limited) => {
                let text = limited.to_string();
                self.tell(text.clone(), true);
                self.events.push(Body::Note(text));
            }
            Notice::Done(done) => {
                let text = done.to_string();
                self.tell(text.clone(), false);
                self.events.push(Body::Note(text));
            }
            // Notes report these, as far as they are few.
            Notice::TargetCame(target) => {
                self.targets.came(target);
                self.processes |= self.targets.are_several();
            }
            Notice::TargetStopped { id, stopped } => self.targets.set_stopped(id, stopped),
            Notice::TargetLeft(target) => self.targets.left(target.id),
            Notice::Probes(probes) => self.set_probes(probes),
            Notice::TargetExited(code) => {
                self.exited = Some(code);
                self.events.push(Body::Note(exit_text(code)));
            }
        }
    }

    /// Shows a message at the foot.
    fn say(&mut self, text: impl Into<String>, bad: bool) {
        self.message = Some(FootMessage {
            text: text.into(),
            bad,
            kept_until: self.now + ANSWER_TIME,
            until: self.now + MESSAGE_TIME,
        });
    }

    /// Tells news of the session. They are in the list of events, too.
    fn tell(&mut self, text: String, bad: bool) {
        let is_kept = |message: &FootMessage| message.kept_until > self.now;
        if self.message.as_ref().is_some_and(is_kept) {
            self.news = Some((text, bad));
            return;
        }
        self.say(text, bad);
        if let Some(message) = &mut self.message {
            message.kept_until = self.now;
        }
    }

    fn say_error(&mut self, error: &Diagnostic) {
        self.say(error.with_hint(), true);
    }

    fn reply(&mut self, reply: WorkerReply) -> Vec<UiEffect> {
        match reply {
            WorkerReply::Files(files) => return self.files_known(files),
            WorkerReply::Text { generation, text } => return self.text_known(generation, text),
            WorkerReply::Lines { generation, lines } => {
                if let Some(source) = self.open_source(generation) {
                    source.set_lines(lines);
                }
            }
            WorkerReply::Outline {
                generation,
                outline,
            } => {
                if let Some(source) = self.open_source(generation) {
                    source.outline = outline;
                }
            }
            WorkerReply::Highlighted {
                generation,
                from,
                spans,
            } => {
                if let Some(source) = self.open_source(generation) {
                    source.set_spans(from, spans);
                }
            }
            WorkerReply::Variables {
                generation,
                line,
                variables,
            } => {
                if let Some(source) = self.open_source(generation) {
                    source.set_variables(line, variables);
                }
            }
            WorkerReply::EditorPlace(place) => return self.open_editor(place),
            WorkerReply::Edited(ended) => {
                self.editing = false;
                if let Err(error) = ended {
                    self.say_error(&error);
                }
            }
            WorkerReply::Added { request, result } => return self.added(&request, result),
            WorkerReply::Names(request, names) => self.names_known(request, names),
            WorkerReply::Written(request, result) => self.file_written(&request, result),
            WorkerReply::Removed(id, last, aggregate) => {
                self.removed(id, last.as_deref(), aggregate.as_deref());
            }
            WorkerReply::Window(loaded) => return self.window_loaded(loaded),
            WorkerReply::Call(loaded) => self.call_loaded(loaded),
            WorkerReply::Switched => self.switching = self.switching.saturating_sub(1),
            WorkerReply::Aggregates(aggregates) => self.aggregates = aggregates,
            WorkerReply::Started(started) => self.program_started(started),
            WorkerReply::Ended(code) => self.program_ended(code),
            WorkerReply::Typed(bytes) => self.program_typed(bytes),
        }
        Vec::new()
    }

    fn open_source(&mut self, generation: u64) -> Option<&mut SourceView> {
        self.source
            .as_mut()
            .filter(|source| source.generation == generation)
    }

    /// Updates the list that follows the typed line.
    fn typing(&mut self) {
        match &mut self.overlay {
            Overlay::Files(picker) => picker.search(),
            Overlay::Prompt(prompt) if prompt.purpose == super::prompt::Purpose::Filter => {
                let filter = Filter::new(prompt.input.value());
                self.events.set_filter(filter);
            }
            _ => {}
        }
    }

    /// The present action of `key`.
    pub(super) fn action_of(&self, key: crossterm::event::KeyEvent) -> Option<UiAction> {
        let mode = match self.waits_for_event() {
            // A key that quits from the panes may just close an event.
            true => Mode::Event,
            false => self.mode(),
        };
        match keymap::command(mode, key) {
            // It may be meant for what the key before it opens.
            command
                if self.is_waiting()
                    && !matches!(command, Some(KeyCommand::Quit | KeyCommand::Back)) =>
            {
                Some(UiAction::Hold(key))
            }
            Some(command) => Some(UiAction::Command(command)),
            None if mode.takes_text() => Some(UiAction::Edit(key)),
            None if mode == Mode::Program => Some(UiAction::Type(key)),
            None => Some(UiAction::UnknownKey(key)),
        }
    }

    /// A value changed so lately that it is marked.
    pub(super) fn is_fresh(&self, trail: &Trail) -> bool {
        trail
            .changed_at
            .is_some_and(|at| self.now.saturating_duration_since(at) < CHANGE_TIME)
    }
}

/// The end of the target, in words.
pub(super) fn exit_text(code: Option<i32>) -> String {
    match code {
        None => "the target has exited".into(),
        Some(code) if code < 0 => format!("the target was ended by signal {}", code.unsigned_abs()),
        Some(code) => format!("the target has exited with code {code}"),
    }
}
