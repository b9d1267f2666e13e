//! Steps of traced calls.
//!
//! A loop of a million turns would be millions of steps alike. [`LoopFilter`] keeps its first and its last turns, and
//! those in which a watched value changed, and counts the rest. It works on records, before they are decoded.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tracer_common::limits::MAX_TAKEN;
use tracer_common::record::{FLAG_STEP, RecordHeader};
use tracer_common::trace::{
    MAX_FRAMES, STEP_CUT, STEP_ENTER, STEP_LEFT, STEP_LINE, STEP_MISSED, STEP_RETURN, StepRecord,
};

use super::backlog::Backlog;
use super::header_of;
use crate::event::{PlacementId, StepEvent, StepKind};
use crate::lang::ast::Action;
use crate::session::shared::SharedState;

/// Passes of one line in one call that are always kept.
const FIRST: u64 = 50;
/// Last passes of one line that are kept.
const LAST: usize = 10;
/// Further passes in which a watched value changed that are kept, of one call.
const CHANGED: u64 = 20_000;
/// Bytes of passes that may be the last ones, of one call. Beyond them, those of the line with most of them count as
/// not the last ones.
const HELD_BYTES: usize = 8 << 20;

/// The step of a record. `Some(None)` if it is of no trace, and `None` if no plan makes such a record.
pub(super) fn of(header: &RecordHeader, record: &[u8]) -> Option<Option<StepEvent>> {
    if u32::from(header.flags) & FLAG_STEP == 0 {
        return Some(None);
    }
    let step = record_of(record)?;
    if step.depth as usize >= MAX_FRAMES {
        return None;
    }
    let kind = match step.kind {
        STEP_LINE => StepKind::Line,
        STEP_ENTER => StepKind::Enter,
        STEP_RETURN => StepKind::Return,
        STEP_LEFT => StepKind::Left,
        STEP_MISSED => StepKind::Missed,
        STEP_CUT => StepKind::Cut,
        _ => return None,
    };
    Some(Some(StepEvent {
        call: step.call,
        number: step.number,
        depth: step.depth,
        frame: step.frame,
        kind,
        repeated: step.repeated,
    }))
}

/// Returns true if the record tells of a call that was over before. It has no values, since they would be those of the call
/// that has taken the frame.
pub(super) fn is_of_next_call(header: &RecordHeader, record: &[u8]) -> bool {
    let is_step = u32::from(header.flags) & FLAG_STEP != 0;
    is_step && record_of(record).is_some_and(|step| matches!(step.kind, STEP_LEFT | STEP_MISSED))
}

/// Bytes of a record before the chunks of the plan.
const BEFORE_CHUNKS: usize = size_of::<RecordHeader>() + size_of::<StepRecord>();

/// The part of a record that describes the step.
fn record_of(record: &[u8]) -> Option<StepRecord> {
    let bytes = record.get(size_of::<RecordHeader>()..BEFORE_CHUNKS)?;
    Some(bytemuck::pod_read_unaligned(bytes))
}

/// Leaves out turns of loops that are like those around them.
#[derive(Default)]
pub(super) struct LoopFilter {
    /// Calls that are being recorded, by probe and number.
    calls: BTreeMap<(u16, u64), CallFilter>,
    /// Number of the next record, so that the call that waits for longest is known.
    clock: u64,
}

/// The steps of one call.
#[derive(Default)]
struct CallFilter {
    /// Passes of each line, by its site.
    lines: HashMap<u32, LinePasses>,
    /// The trace has watched values.
    is_watched: bool,
    /// Passes that are kept because a watched value changed.
    changed: u64,
    /// Steps that were left out.
    left_out: u64,
    /// Those among them that kept steps have told of.
    told: u64,
    /// Number of the last step that was kept.
    last_kept: u64,
    /// Bytes that are held.
    held: usize,
    /// The placement of its probe, which is unknown if the probe is gone.
    placement: Option<PlacementId>,
    /// [`LoopFilter::clock`] at its last step.
    last: u64,
}

/// The passes of one line.
#[derive(Default)]
struct LinePasses {
    count: u64,
    /// The last ones, by the number of their steps.
    held: VecDeque<(u64, Box<[u8]>)>,
    /// The values of the last pass, if values are watched.
    values: Vec<u8>,
}

impl LoopFilter {
    /// Takes the record of a step. Those that are kept go to `backlog`.
    pub(super) fn pass(
        &mut self,
        shared: &SharedState,
        header: &RecordHeader,
        record: &[u8],
        backlog: &mut Backlog,
    ) {
        let Some(step) = record_of(record) else {
            backlog.keep(header.ktime_ns, record);
            return;
        };
        let key = (header.probe, step.call);
        if !self.calls.contains_key(&key) {
            self.make_room(shared, backlog);
        }
        self.clock += 1;
        let clock = self.clock;
        let call = self
            .calls
            .entry(key)
            .or_insert_with(|| CallFilter::of(shared, header));
        call.last = clock;
        let is_over = match step.kind {
            STEP_RETURN => step.depth == 0,
            kind => matches!(kind, STEP_LEFT | STEP_MISSED | STEP_CUT),
        };
        call.pass(header, &step, record, is_over, backlog);
        if is_over && let Some(call) = self.calls.remove(&key) {
            call.count(shared);
        }
    }

    /// Gives up the call whose last step is longest ago if there are too many.
    fn make_room(&mut self, shared: &SharedState, backlog: &mut Backlog) {
        if self.calls.len() < MAX_TAKEN as usize {
            return;
        }
        let oldest = self.calls.iter().min_by_key(|(_, call)| call.last);
        let Some(key) = oldest.map(|(key, _)| *key) else {
            return;
        };
        if let Some(mut call) = self.calls.remove(&key) {
            call.release(backlog);
            call.count(shared);
        }
    }

    /// Hands on all that is held, at the end of the session.
    pub(super) fn finish(&mut self, shared: &SharedState, backlog: &mut Backlog) {
        for (_, mut call) in std::mem::take(&mut self.calls) {
            call.release(backlog);
            call.count(shared);
        }
    }
}

impl CallFilter {
    fn of(shared: &SharedState, header: &RecordHeader) -> Self {
        let sites = shared.sites();
        let entry = sites
            .get(header.site)
            .filter(|entry| entry.slot == u32::from(header.probe));
        let is_watched = entry.is_some_and(
            |entry| matches!(&entry.spec.action, Action::Trace(trace) if !trace.watched.is_empty()),
        );
        Self {
            is_watched,
            placement: entry.map(|entry| entry.origin.placement),
            ..Self::default()
        }
    }

    fn pass(
        &mut self,
        header: &RecordHeader,
        step: &StepRecord,
        record: &[u8],
        is_over: bool,
        backlog: &mut Backlog,
    ) {
        let line = self.lines.entry(header.site).or_default();
        line.count += 1;
        let values = record.get(BEFORE_CHUNKS..).unwrap_or_default();
        let has_changed = self.is_watched && line.values != values;
        if has_changed {
            line.values.clear();
            line.values.extend_from_slice(values);
        }
        if is_over || line.count <= FIRST {
            // The loop is over, or not yet long.
            self.release(backlog);
            self.keep(step.number, record, backlog);
        } else if has_changed && self.changed < CHANGED {
            self.changed += 1;
            self.drop_held();
            self.keep(step.number, record, backlog);
        } else {
            self.held += record.len();
            line.held.push_back((step.number, record.into()));
            if line.held.len() > LAST
                && let Some((_, oldest)) = line.held.pop_front()
            {
                self.held -= oldest.len();
                self.left_out += 1;
            }
            if self.held > HELD_BYTES {
                self.drop_most();
            }
        }
    }

    /// Hands on a record, with the number of steps that were left out before it.
    fn keep(&mut self, number: u64, record: &[u8], backlog: &mut Backlog) {
        let Some(header) = header_of(record) else {
            return;
        };
        // Steps that are missing beyond those are lost.
        let missing = number.saturating_sub(self.last_kept).saturating_sub(1);
        let repeated = missing.min(self.left_out - self.told);
        self.last_kept = number;
        if repeated == 0 {
            backlog.keep(header.ktime_ns, record);
            return;
        }
        self.told += repeated;
        let mut record = record.to_vec();
        let at = size_of::<RecordHeader>() + std::mem::offset_of!(StepRecord, repeated);
        if let Some(bytes) = record.get_mut(at..at + size_of::<u64>()) {
            bytes.copy_from_slice(&repeated.to_le_bytes());
        }
        backlog.keep(header.ktime_ns, &record);
    }

    /// Hands on the last turns.
    fn release(&mut self, backlog: &mut Backlog) {
        if self.held == 0 {
            return;
        }
        self.held = 0;
        let lines = self.lines.values_mut();
        let mut held: Vec<(u64, Box<[u8]>)> = lines.flat_map(|line| line.held.drain(..)).collect();
        held.sort_unstable_by_key(|(number, _)| *number);
        for (number, record) in held {
            self.keep(number, &record, backlog);
        }
    }

    /// Leaves out all that is held: they are not the last turns before a change.
    fn drop_held(&mut self) {
        if self.held == 0 {
            return;
        }
        self.held = 0;
        for line in self.lines.values_mut() {
            self.left_out += line.held.drain(..).count() as u64;
        }
    }

    /// Leaves out the older half of the line that holds most.
    fn drop_most(&mut self) {
        let bytes = |line: &LinePasses| line.held.iter().map(|(_, record)| record.len()).sum();
        let most = self
            .lines
            .values_mut()
            .max_by_key(|line| -> usize { bytes(line) });
        let Some(line) = most else {
            return;
        };
        let half = line.held.len().div_ceil(2);
        for (_, record) in line.held.drain(..half) {
            self.held -= record.len();
            self.left_out += 1;
        }
    }

    /// Counts the steps that were left out.
    fn count(&self, shared: &SharedState) {
        if let Some(placement) = self.placement
            && self.left_out > 0
        {
            shared.count_repeated(placement, self.left_out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of a step, whose only value is `value`.
    fn record(
        site: u32,
        number: u64,
        kind: u32,
        value: u64,
    ) -> (RecordHeader, StepRecord, Vec<u8>) {
        let length = BEFORE_CHUNKS + 8;
        let header = RecordHeader {
            length: u32::try_from(length).expect("short"),
            site,
            ktime_ns: number,
            flags: u16::try_from(FLAG_STEP).expect("16 bits"),
            ..RecordHeader::default()
        };
        let step = StepRecord {
            call: 1,
            number,
            kind,
            ..StepRecord::default()
        };
        let mut bytes = bytemuck::bytes_of(&header).to_vec();
        bytes.extend_from_slice(bytemuck::bytes_of(&step));
        bytes.extend_from_slice(&value.to_le_bytes());
        (header, step, bytes)
    }

    /// The steps that are kept of a call, by number, each with the number of those left out before it.
    fn kept(
        is_watched: bool,
        steps: impl Iterator<Item = (u32, u64)>,
    ) -> (Vec<(u64, u64)>, CallFilter) {
        let mut call = CallFilter {
            is_watched,
            ..CallFilter::default()
        };
        let mut backlog = Backlog::default();
        let mut last = 0;
        for (number, (site, value)) in (1..).zip(steps) {
            let (header, step, bytes) = record(site, number, STEP_LINE, value);
            call.pass(&header, &step, &bytes, false, &mut backlog);
            last = number;
        }
        let (header, step, bytes) = record(99, last + 1, STEP_RETURN, 0);
        call.pass(&header, &step, &bytes, true, &mut backlog);
        backlog.ready(u64::MAX);
        let shown = backlog.records().map(|record| {
            let step = record_of(record).expect("a step");
            (step.number, step.repeated)
        });
        (shown.collect(), call)
    }

    #[test]
    fn long_loop_keeps_its_first_and_last_turns_and_counts_the_rest() {
        const TURNS: u64 = 1_000_000;
        // Line 1, then the loop of the lines 2 and 3, then line 4.
        let turns = (0..TURNS).flat_map(|turn| [(2, turn), (3, turn)]);
        let steps = std::iter::once((1, 0)).chain(turns).chain([(4, 0)]);
        let (shown, call) = kept(false, steps);
        let total = 1 + 2 * TURNS + 2;
        let numbers: Vec<u64> = shown.iter().map(|(number, _)| *number).collect();
        let first = 1..=1 + 2 * FIRST;
        let last = total - 1 - 2 * LAST as u64..=total;
        assert_eq!(
            numbers,
            first.clone().chain(last.clone()).collect::<Vec<_>>()
        );
        let told: Vec<&(u64, u64)> = shown.iter().filter(|(_, repeated)| *repeated > 0).collect();
        let gap = last.start() - first.end() - 1;
        assert_eq!(told, [&(*last.start(), gap)]);
        assert_eq!((call.left_out, call.told, call.held), (gap, gap, 0));
    }

    #[test]
    fn turns_in_which_a_watched_value_changed_are_kept() {
        let steps = (0..10_000_u64).map(|turn| (2, turn / 1000));
        let (shown, _) = kept(true, steps.clone());
        for change in 1..10 {
            let number = change * 1000 + 1;
            assert!(
                shown.iter().any(|(shown, _)| *shown == number),
                "{number} in {shown:?}"
            );
        }
        let repeated: u64 = shown.iter().map(|(_, repeated)| repeated).sum();
        assert_eq!(repeated + shown.len() as u64, 10_001);
        let (unwatched, _) = kept(false, steps);
        assert_eq!(unwatched.len() as u64, FIRST + LAST as u64 + 1);
    }

    #[test]
    fn lost_steps_are_not_told_as_repeated() {
        let mut call = CallFilter::default();
        let mut backlog = Backlog::default();
        for number in [1, 2, 7] {
            let (header, step, bytes) = record(number as u32, number, STEP_LINE, 0);
            call.pass(&header, &step, &bytes, false, &mut backlog);
        }
        let mut records = backlog.records();
        let repeated = records.all(|record| record_of(record).expect("a step").repeated == 0);
        assert!(repeated);
    }

    #[test]
    fn held_turns_are_bounded_in_bytes() {
        let mut call = CallFilter::default();
        let mut backlog = Backlog::default();
        let long = vec![7; HELD_BYTES / 4];
        for number in 1..=FIRST + 9 {
            let (header, step, mut bytes) = record(2, number, STEP_LINE, 0);
            bytes.extend_from_slice(&long);
            call.pass(&header, &step, &bytes, false, &mut backlog);
            assert!(call.held <= HELD_BYTES);
        }
        assert!(call.left_out > 0);
    }
}
