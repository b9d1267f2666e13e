//! A recording, played back into a sink.

use std::collections::BTreeMap;
use std::io;

use super::columns::Columns;
use super::{ExportFormat, ExportLooks, ExportOut};
use crate::event::{Aggregate, Event, ProbeId, counted};
use crate::session::{FollowedProcesses, ProbeStatus};
use crate::sink::recording::container::Flags;
use crate::sink::recording::lines::nanoseconds;
use crate::sink::recording::reader::{ReadError, RecordedEntry, Recording};
use crate::sink::{Begin, BeginTarget, Sink};

/// The outcome of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Events that were written.
    pub events: u64,
    /// Probes have added up hits.
    pub added_up: bool,
    /// Damaged blocks that were left out, in words.
    pub damaged: Vec<String>,
}

/// The last states of a session.
#[derive(Default)]
struct LastStates {
    aggregates: BTreeMap<ProbeId, (u64, Aggregate)>,
    probes: Vec<ProbeStatus>,
    removed: BTreeMap<ProbeId, ProbeStatus>,
    followed: Option<FollowedProcesses>,
}

/// Writes a recording in a format.
///
/// # Errors
/// The output's.
pub fn export(
    recording: &Recording,
    format: ExportFormat,
    looks: ExportLooks,
    out: ExportOut,
) -> io::Result<Replayed> {
    let mut columns = Columns::default();
    if format.is_table() {
        replay(recording, &mut columns)?;
    }
    let mut sink = format.sink(out, columns, looks)?;
    replay(recording, &mut *sink)
}

/// Plays a recording back: what the sink would have got from the session.
///
/// # Errors
/// The sink's.
pub fn replay(recording: &Recording, sink: &mut dyn Sink) -> io::Result<Replayed> {
    sink.begin(&begin(recording))?;
    let mut replayed = Replayed::default();
    let mut last = LastStates::default();
    for (number, block) in recording.index().blocks.iter().enumerate() {
        match recording.block(number) {
            Ok(entries) => {
                for entry in entries {
                    take(entry, sink, &mut last, &mut replayed)?;
                }
            }
            Err(error) => replayed
                .damaged
                .push(left_out(number, block.header.events, &error)),
        }
    }
    last.write(sink, &mut replayed)?;
    sink.finish()?;
    Ok(replayed)
}

/// The beginning of a recorded session.
fn begin(recording: &Recording) -> Begin {
    let session = recording.session();
    let mut blocks = recording.index().blocks.iter();
    let first = blocks.position(|block| block.header.flags.has(Flags::PROBES));
    let entries = first.and_then(|first| recording.block(first).ok());
    let mut probes = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| match entry {
            RecordedEntry::Probes(_, probes, _) => Some(probes),
            _ => None,
        });
    Begin {
        targets: session.targets.iter().map(BeginTarget::from).collect(),
        selectors: session.selectors.clone(),
        time_ns: nanoseconds(session.time),
        probes: probes.next().unwrap_or_default(),
    }
}

fn take(
    entry: RecordedEntry,
    sink: &mut dyn Sink,
    last: &mut LastStates,
    replayed: &mut Replayed,
) -> io::Result<()> {
    match entry {
        RecordedEntry::Event(event) => {
            replayed.events += 1;
            sink.event(&event)
        }
        RecordedEntry::Limited(limited) => sink.limited(&limited),
        RecordedEntry::Done(done) => sink.done(&done),
        RecordedEntry::TargetCame(_, target) => sink.came(&target),
        RecordedEntry::Aggregate(time_ns, aggregate) => {
            last.aggregates
                .insert(aggregate.probe, (time_ns, aggregate));
            Ok(())
        }
        RecordedEntry::Probes(_, probes, removed) => {
            last.probes = probes;
            let removed = removed.into_iter().map(|probe| (probe.id, probe));
            last.removed.extend(removed);
            Ok(())
        }
        RecordedEntry::End(_, followed) => {
            last.followed = followed;
            Ok(())
        }
        RecordedEntry::Note(..)
        | RecordedEntry::Warning(..)
        | RecordedEntry::TargetLeft(..)
        | RecordedEntry::Exit(..)
        | RecordedEntry::Source(_)
        | RecordedEntry::Variables(_) => Ok(()),
    }
}

impl LastStates {
    fn write(self, sink: &mut dyn Sink, replayed: &mut Replayed) -> io::Result<()> {
        for (time_ns, aggregate) in self.aggregates.values() {
            replayed.added_up |= aggregate.total > 0;
            sink.aggregate(aggregate, *time_ns)?;
        }
        let is_there = |id: ProbeId| self.probes.iter().any(|probe| probe.id == id);
        for (id, probe) in &self.removed {
            if !is_there(*id) {
                sink.summary(probe)?;
            }
        }
        for probe in &self.probes {
            sink.summary(probe)?;
        }
        match &self.followed {
            Some(followed) => sink.followed(followed),
            None => Ok(()),
        }
    }
}

/// The words for a block that cannot be read.
fn left_out(number: usize, events: u64, error: &ReadError) -> String {
    let number = number + 1;
    let causes = crate::base::causes::chain(error);
    let events = counted(events, "event");
    format!("block {number} of the recording is left out, with {events}: {causes}")
}

/// Writes events of blocks, and nothing else.
pub(super) fn events(entries: Vec<RecordedEntry>, sink: &mut dyn Sink) -> io::Result<()> {
    for entry in entries {
        if let RecordedEntry::Event(event) = entry {
            let event: &Event = &event;
            sink.event(event)?;
        }
    }
    Ok(())
}
