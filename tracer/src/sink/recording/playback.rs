//! A recording as a session that frontends show.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::container::Flags;
use super::limits::{SEARCHED_BLOCKS, WINDOW_EVENTS};
use super::lines::{RecordedSource, RecordedVariables};
use super::reader::{RecordedEntry, Recording};
use crate::base::diagnostic::Diagnostic;
use crate::event::{
    Aggregate, Event, ProbeId, TargetId, TargetOrigin, TargetStatus, Used, counted,
};
use crate::lang::ast::ProbeSpec;
use crate::session::playback::{Beyond, Extent, Playback, PlaybackPlace, Window};
use crate::session::{
    Control, FollowedProcesses, LineInfo, Notice, OutlineEntry, ProbeStatus, Removed, SourceFile,
    TargetName, VariableInfo,
};
use crate::sources::SourceText;

/// Blocks that are kept for the next look.
const KEPT_BLOCKS: usize = 2;

/// A session that was recorded.
pub struct RecordedSession {
    recording: Recording,
    sources: Vec<RecordedSource>,
    variables: Vec<RecordedVariables>,
    kept: Mutex<VecDeque<(usize, Arc<Vec<RecordedEntry>>)>>,
    /// The state that was shown last.
    state: Mutex<PlaybackState>,
    followed: Option<FollowedProcesses>,
    waiting: Mutex<Vec<Notice>>,
}

/// The state of the probes at a time.
#[derive(Clone, Default)]
struct PlaybackState {
    probes: Vec<ProbeStatus>,
    aggregates: Vec<Aggregate>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place of an entry: number of its block, and its index there.
type EntryPlace = (usize, usize);

/// One side of a window.
struct WindowSide {
    entries: Vec<(Notice, Option<u64>)>,
    beyond: Beyond,
}

impl RecordedSession {
    /// The session of a recording. Reads the blocks that have sources, and the last state.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        let mut this = Self {
            sources: Vec::new(),
            variables: Vec::new(),
            kept: Mutex::default(),
            state: Mutex::default(),
            followed: None,
            waiting: Mutex::default(),
            recording,
        };
        let mut problems = this.recording.problems();
        let blocks = this.recording.index().blocks.len();
        for number in 0..blocks {
            let flags = this.flags(number);
            if !flags.has(Flags::SOURCES) && !flags.has(Flags::END) {
                continue;
            }
            match this.recording.block(number) {
                Ok(entries) => entries.into_iter().for_each(|entry| match entry {
                    RecordedEntry::Source(source) => this.add_source(*source),
                    RecordedEntry::Variables(variables) => this.variables.push(variables),
                    RecordedEntry::End(_, followed) => this.followed = followed,
                    _ => {}
                }),
                Err(error) => problems.push(format!("a source is not shown: {error}")),
            }
        }
        *lock(&this.state) = this.state_at((blocks, 0));
        *lock(&this.waiting) = problems.into_iter().map(Notice::Warning).collect();
        this
    }

    /// The recording.
    #[must_use]
    pub const fn recording(&self) -> &Recording {
        &self.recording
    }

    fn add_source(&mut self, source: RecordedSource) {
        let is_there = |known: &RecordedSource| known.file.path == source.file.path;
        if !self.sources.iter().any(is_there) {
            self.sources.push(source);
        }
    }

    fn flags(&self, number: usize) -> Flags {
        let block = self.recording.index().blocks.get(number);
        block.map_or(Flags::default(), |block| block.header.flags)
    }

    fn source(&self, file: &SourceFile) -> Option<&RecordedSource> {
        self.sources
            .iter()
            .find(|source| source.file.path == file.path)
    }

    /// The entries of a block. Those of a damaged one are a warning.
    fn block(&self, number: usize) -> Arc<Vec<RecordedEntry>> {
        let mut kept = lock(&self.kept);
        if let Some((_, entries)) = kept.iter().find(|(known, _)| *known == number) {
            return Arc::clone(entries);
        }
        let entries = self.recording.block(number).unwrap_or_else(|error| {
            let block = self.recording.index().blocks.get(number);
            let time_ns = block.map_or(0, |block| block.header.first_ns);
            let lost = block.map_or(0, |block| block.header.events);
            let verb = if lost == 1 { "is" } else { "are" };
            let lost = counted(lost, "event");
            let text = format!("{lost} of the recording {verb} not shown: {error}");
            vec![RecordedEntry::Warning(time_ns, text)]
        });
        let entries = Arc::new(entries);
        kept.push_back((number, Arc::clone(&entries)));
        if kept.len() > KEPT_BLOCKS {
            kept.pop_front();
        }
        entries
    }

    /// The place of an event by its number.
    fn place_of(&self, event: u64) -> EntryPlace {
        let blocks = &self.recording.index().blocks;
        let after = blocks.partition_point(|block| block.events_before <= event);
        // The last block that begins at or before it and has events.
        let number = blocks[..after]
            .iter()
            .rposition(|block| block.header.events > 0)
            .unwrap_or(0);
        let before = blocks.get(number).map_or(0, |block| block.events_before);
        let mut left = event.saturating_sub(before);
        let entries = self.block(number);
        for (index, entry) in entries.iter().enumerate() {
            if matches!(entry, RecordedEntry::Event(_)) {
                if left == 0 {
                    return (number, index);
                }
                left -= 1;
            }
        }
        (number, entries.len())
    }

    /// The number of the first event at or after a time.
    fn event_at(&self, time_ns: u64) -> u64 {
        let number = self.recording.block_at(time_ns);
        let Some(block) = self.recording.index().blocks.get(number) else {
            return 0;
        };
        let entries = self.block(number);
        let earlier = entries.iter().filter(|entry| match entry {
            RecordedEntry::Event(event) => event.time_ns < time_ns,
            _ => false,
        });
        block.events_before + earlier.count() as u64
    }

    /// The probes and aggregates before a place.
    fn state_at(&self, (block, index): EntryPlace) -> PlaybackState {
        let mut state = PlaybackState::default();
        let mut aggregates: BTreeMap<ProbeId, Aggregate> = BTreeMap::new();
        let mut has_probes = false;
        let mut number = Some(block);
        let mut looked = 0;
        // The states of probes are as new as the events; aggregates may be older.
        while let Some(at) = number {
            let entries = self.block(at);
            let end = if at == block { index } else { entries.len() };
            for entry in entries.iter().take(end).rev() {
                match entry {
                    RecordedEntry::Probes(_, probes, removed) if !has_probes => {
                        has_probes = true;
                        state.probes = removed.iter().chain(probes).cloned().collect();
                    }
                    RecordedEntry::Aggregate(_, aggregate) => {
                        let known = aggregates.entry(aggregate.probe);
                        known.or_insert_with(|| aggregate.clone());
                    }
                    _ => {}
                }
            }
            looked += 1;
            if looked > SEARCHED_BLOCKS {
                break;
            }
            let wanted = match has_probes {
                true => Flags::AGGREGATES,
                false => Flags::PROBES,
            };
            let added_up = state.probes.iter().filter(|probe| {
                let word = probe.text.split_whitespace().next();
                word.is_some_and(|word| matches!(word, "count" | "hist" | "time" | "span"))
            });
            if has_probes && aggregates.len() >= added_up.count() {
                break;
            }
            let before = at.checked_sub(1);
            number = before.and_then(|before| self.recording.last_with(wanted, before));
        }
        state.probes.sort_by_key(|probe| probe.id);
        state.aggregates = aggregates.into_values().collect();
        state
    }

    /// Entries from a place on, or backwards from the one before it.
    fn side(
        &self,
        from: EntryPlace,
        event: u64,
        back: bool,
        shows: &dyn Fn(&Event) -> bool,
    ) -> WindowSide {
        let blocks = self.recording.index().blocks.len();
        let mut side = WindowSide {
            entries: Vec::new(),
            beyond: Beyond::Nothing,
        };
        let (mut number, mut event) = (from.0, event);
        let mut found = 0;
        for searched in 0_usize.. {
            if searched >= SEARCHED_BLOCKS {
                side.beyond = Beyond::Unsearched(event);
                return side;
            }
            let entries = self.block(number);
            let range = match (searched, back) {
                (0, true) => 0..from.1.min(entries.len()),
                (0, false) => from.1.min(entries.len())..entries.len(),
                _ => 0..entries.len(),
            };
            let count = range.len();
            for step in 0..count {
                let index = match back {
                    true => range.end - 1 - step,
                    false => range.start + step,
                };
                let Some(entry) = entries.get(index) else {
                    continue;
                };
                if let RecordedEntry::Event(hit) = entry {
                    if back {
                        event = event.saturating_sub(1);
                    }
                    if shows(hit) {
                        if found == WINDOW_EVENTS {
                            side.beyond = Beyond::Events;
                            return side;
                        }
                        found += 1;
                        side.entries
                            .push((Notice::Event(Arc::clone(hit)), Some(event)));
                    }
                    if !back {
                        event += 1;
                    }
                } else if let Some(notice) = notice(entry) {
                    side.entries.push((notice, None));
                }
            }
            number = match (back, number.checked_sub(1)) {
                (true, Some(before)) => before,
                (false, _) if number + 1 < blocks => number + 1,
                _ => return side,
            };
        }
        side
    }
}

/// The notice of an entry that is shown among the events.
fn notice(entry: &RecordedEntry) -> Option<Notice> {
    Some(match entry {
        RecordedEntry::Note(_, text) => Notice::Note(text.clone()),
        RecordedEntry::Warning(_, text) => Notice::Warning(text.clone()),
        RecordedEntry::Limited(limited) => Notice::Limited(limited.clone()),
        RecordedEntry::Done(done) => Notice::Done(done.clone()),
        RecordedEntry::Exit(_, code) => Notice::Note(match code {
            Some(code) => format!("the target exited with code {code}"),
            None => "the target exited".into(),
        }),
        RecordedEntry::TargetCame(_, target) => Notice::TargetCame(target.clone()),
        RecordedEntry::TargetLeft(_, target) => Notice::TargetLeft(target.clone()),
        _ => return None,
    })
}

impl Playback for RecordedSession {
    fn extent(&self) -> Extent {
        let index = self.recording.index();
        let ends = |block: &super::container::RecordingBlock| block.header.last_ns;
        Extent {
            events: index.events(),
            first_ns: index
                .blocks
                .first()
                .map_or(0, |block| block.header.first_ns),
            last_ns: index.blocks.iter().map(ends).max().unwrap_or(0),
        }
    }

    fn window(&self, place: PlaybackPlace, shows: &dyn Fn(&Event) -> bool) -> Window {
        let last = self.extent().events.saturating_sub(1);
        let (event, is_before) = match place {
            PlaybackPlace::First => (0, false),
            PlaybackPlace::Last => (last, true),
            PlaybackPlace::From(event) => (event.min(last), false),
            PlaybackPlace::Before(event) => (event.min(last), true),
            PlaybackPlace::Time(time_ns) => (self.event_at(time_ns).min(last), false),
        };
        // The event itself belongs to the side that is searched for the selected one.
        let at = self.place_of(event);
        let (split, number) = match is_before {
            true => ((at.0, at.1 + 1), event + 1),
            false => (at, event),
        };
        let behind = self.side(split, number, false, shows);
        let mut before = self.side(split, number, true, shows);
        before.entries.reverse();
        let nearest = |side: &[(Notice, Option<u64>)], back: bool| match back {
            true => side.iter().rev().find_map(|(_, number)| *number),
            false => side.iter().find_map(|(_, number)| *number),
        };
        let (earlier, later) = (
            nearest(&before.entries, true),
            nearest(&behind.entries, false),
        );
        let selected = match is_before {
            true => earlier.or(later),
            false => later.or(earlier),
        };
        let state = match selected {
            // The states that were recorded next are nearer than those from before.
            Some(selected) => self.state_at((self.place_of(selected).0, usize::MAX)),
            None => self.state_at(at),
        };
        *lock(&self.state) = state.clone();
        let mut window = Window {
            selected,
            before: before.beyond,
            behind: behind.beyond,
            probes: state.probes,
            aggregates: state.aggregates,
            ..Window::default()
        };
        for (notice, number) in before.entries.into_iter().chain(behind.entries) {
            window.notices.push(notice);
            window.numbers.extend(number);
        }
        window
    }
}

/// The answer to all that needs a target.
fn no_target() -> Diagnostic {
    Diagnostic::new("this is a recording: it has no process to probe")
        .hint("`tracer attach` probes a process that runs".to_owned())
}

impl Control for RecordedSession {
    fn target(&self) -> TargetName {
        let session = self.recording.session();
        TargetName {
            name: format!("recording of {}", session.target),
            pid: session.pid,
        }
    }

    fn targets(&self) -> Vec<TargetStatus> {
        let targets = self.recording.session().targets.iter();
        let status = |(id, target): (u32, &super::lines::RecordedTarget)| {
            let program = PathBuf::from(&target.exe);
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            TargetStatus {
                id: TargetId(id),
                pid: target.pid,
                origin: TargetOrigin::Matched,
                program: name.as_ref().into(),
            }
        };
        (0..).zip(targets).map(status).collect()
    }

    fn followed(&self) -> Option<FollowedProcesses> {
        self.followed
    }

    fn source_files(&self) -> Vec<SourceFile> {
        let mut files: Vec<SourceFile> = self
            .sources
            .iter()
            .map(|source| source.file.clone())
            .collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files
    }

    fn source_text(&self, file: &SourceFile) -> Result<SourceText, Diagnostic> {
        let missing = || Diagnostic::new("the recording does not have this file");
        let source = self.source(file).ok_or_else(missing)?;
        match (&source.text, &source.unreadable) {
            (Some(text), _) => Ok(SourceText {
                text: text.clone(),
                elsewhere: source.elsewhere.as_deref().map(PathBuf::from),
            }),
            (None, Some(why)) => Err(Diagnostic::new(why.clone())),
            (None, None) => Err(missing()),
        }
    }

    fn source_path(&self, file: &SourceFile) -> Result<PathBuf, Diagnostic> {
        let source = self.source(file);
        let elsewhere = source.and_then(|source| source.elsewhere.as_deref());
        let path = elsewhere.map_or_else(|| file.path.to_path_buf(), PathBuf::from);
        if path.is_absolute() {
            return Ok(path);
        }
        Err(Diagnostic::new(format!(
            "the recording has no path of `{}`",
            file.path.display()
        )))
    }

    fn outline(&self, file: &SourceFile) -> Vec<OutlineEntry> {
        let source = self.source(file);
        source.map_or_else(Vec::new, |source| source.outline.clone())
    }

    fn lines(&self, file: &SourceFile) -> Result<Vec<LineInfo>, Diagnostic> {
        let source = self.source(file);
        Ok(source.map_or_else(Vec::new, |source| source.lines.clone()))
    }

    fn variables(&self, file: &SourceFile, line: u64) -> Result<Vec<VariableInfo>, Diagnostic> {
        let path = file.path.to_string_lossy();
        let is_it = |known: &&RecordedVariables| known.line == line && known.path == path;
        match self.variables.iter().find(is_it) {
            Some(known) => {
                let variables = known.variables.iter().cloned();
                Ok(variables.map(VariableInfo::from).collect())
            }
            None => Err(Diagnostic::new("recorded only at lines with a probe")),
        }
    }

    fn add_spec(&self, _spec: &ProbeSpec) -> Result<ProbeStatus, Diagnostic> {
        Err(no_target())
    }

    fn skip_number(&self) {}

    fn remove(&self, _probe: ProbeId) -> Option<ProbeStatus> {
        None
    }

    fn set_enabled(&self, _probe: ProbeId, _enabled: bool) {}

    fn silence_all(&self) -> bool {
        false
    }

    fn probes(&self) -> Vec<ProbeStatus> {
        lock(&self.state).probes.clone()
    }

    fn aggregates(&self) -> Vec<Aggregate> {
        lock(&self.state).aggregates.clone()
    }

    fn take_removed(&self) -> Vec<Removed> {
        Vec::new()
    }

    fn take_notices(&self, max: usize) -> Vec<Notice> {
        let mut waiting = lock(&self.waiting);
        let count = waiting.len().min(max);
        waiting.drain(..count).collect()
    }

    fn notices_ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }

    fn give_back(&self, events: &mut Vec<Used>) {
        events.clear();
    }

    fn waiting_events(&self) -> usize {
        0
    }

    fn drop_events(&self) {}

    fn count_unshown(&self, _event: &Event) {}

    fn count_undelivered(&self, _probe: ProbeId, _events: u64) {}

    fn dropped_events(&self) -> Vec<(ProbeId, u64)> {
        Vec::new()
    }

    fn warn(&self, text: String) {
        lock(&self.waiting).push(Notice::Warning(text));
    }

    fn note(&self, text: String) {
        lock(&self.waiting).push(Notice::Note(text));
    }

    fn finish(&self) -> Vec<ProbeStatus> {
        self.probes()
    }

    fn playback(&self) -> Option<&dyn Playback> {
        Some(self)
    }
}
