//! The events kept for reading: a bounded ring, its filter, and pausing it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::list::List;
use crate::event::{Event, LeftOut, ProbeId};

/// Number of events kept. A new event displaces the oldest.
pub(super) const KEPT: usize = 10_000;
/// Estimated bytes of the events kept. Above it the oldest are dropped, even if there are fewer
/// than [`KEPT`].
const KEPT_BYTES: usize = 64 << 20;

/// A row of the list.
#[derive(Debug)]
pub(super) struct Item {
    /// The content of the row.
    pub(super) body: Body,
    /// Number of the item before it of the same probe.
    pub(super) before: Option<u64>,
    weight: usize,
}

/// The content of a row.
#[derive(Debug)]
pub(super) enum Body {
    /// A hit.
    Event(Arc<Event>),
    /// Hits of a probe that were left out before the next row.
    Gap {
        /// Name of the probe.
        probe: String,
        /// Number of omitted hits.
        left_out: LeftOut,
    },
    /// Something that the session said.
    Note(String),
}

/// Items that were cleared.
#[derive(Debug)]
pub(super) struct ClearedEvents {
    /// The number after the last item's.
    end: u64,
    ring: VecDeque<Item>,
    last_of: HashMap<ProbeId, u64>,
}

impl ClearedEvents {
    /// There was nothing to clear.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }
}

/// The filter of the displayed events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// The filter as typed.
    pub(super) text: String,
    words: Vec<String>,
    probes: Vec<String>,
    pids: Vec<u32>,
}

impl Filter {
    /// Filter of words that must all occur, ignoring case, of `@probe`s that select probes, and of
    /// `pid:N`s that select processes.
    pub(super) fn new(text: &str) -> Self {
        let pid = |word: &str| word.strip_prefix("pid:")?.parse::<u32>().ok();
        let (probes, words): (Vec<&str>, Vec<&str>) = text
            .split_whitespace()
            .filter(|word| pid(word).is_none())
            .partition(|word| word.starts_with('@'));
        Self {
            pids: text.split_whitespace().filter_map(pid).collect(),
            text: text.trim().to_owned(),
            words: words.into_iter().map(str::to_owned).collect(),
            probes: probes
                .into_iter()
                .filter_map(|word| word.strip_prefix('@'))
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Everything passes.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.probes.is_empty() && self.pids.is_empty()
    }

    /// The processes whose events pass. All if there are none.
    pub(super) fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Narrows the filter to the events of these processes.
    pub(super) fn with_pids(&self, pids: Vec<u32>) -> Self {
        let is_pid = |word: &&str| {
            word.strip_prefix("pid:")
                .is_some_and(|pid| pid.parse::<u32>().is_ok())
        };
        let others = self.text.split_whitespace().filter(|word| !is_pid(word));
        let mut words: Vec<String> = others.map(str::to_owned).collect();
        words.extend(pids.iter().map(|pid| format!("pid:{pid}")));
        Self::new(&words.join(" "))
    }

    fn passes(&self, body: &Body) -> bool {
        match body {
            Body::Note(_) => true,
            // Omitted events may or may not have had the words.
            Body::Gap { probe, .. } => {
                let is_of_probes = self.probes.is_empty() || self.probes.contains(probe);
                is_of_probes && self.words.is_empty()
            }
            Body::Event(event) => self.passes_event(event),
        }
    }

    /// Returns true if an event passes.
    pub(super) fn passes_event(&self, event: &Event) -> bool {
        let origin = &event.origin;
        let probe =
            self.probes.is_empty() || self.probes.iter().any(|name| *name == origin.probe_name);
        let process = self.pids.is_empty() || self.pids.contains(&event.pid);
        let file = origin.file.as_os_str().to_string_lossy();
        probe
            && process
            && self.words.iter().all(|word| {
                [
                    event.message.as_str(),
                    event.thread.as_str(),
                    origin.function.as_str(),
                    &file,
                ]
                .iter()
                .any(|text| contains(text, word))
            })
    }
}

/// Returns true if a text contains a word. The case of ASCII letters does not count.
fn contains(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    word.is_empty()
        || text
            .windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word))
}

/// The list of events.
#[derive(Debug)]
pub(super) struct Events {
    ring: VecDeque<Item>,
    bytes: usize,
    capacity: usize,
    /// Number that the next item gets.
    next: u64,
    /// Events that newer ones have displaced.
    displaced: u64,
    last_of: HashMap<ProbeId, u64>,
    shown: VecDeque<u64>,
    /// Items that came since the list was paused.
    held: VecDeque<Item>,
    held_bytes: usize,
    /// Items that came while the list was paused and did not fit, oldest first.
    skipped: u64,
    /// The list is held still.
    pub(super) paused: bool,
    /// The newest is always selected.
    pub(super) follow: bool,
    /// The filter of the displayed items.
    pub(super) filter: Filter,
    /// Selected and first row.
    pub(super) list: List,
    /// Columns that messages are scrolled to the right.
    pub(super) shift: usize,
}

impl Events {
    /// An empty list that keeps `capacity` items.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            ring: VecDeque::new(),
            bytes: 0,
            capacity: capacity.max(1),
            next: 0,
            displaced: 0,
            last_of: HashMap::new(),
            shown: VecDeque::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            skipped: 0,
            paused: false,
            follow: true,
            filter: Filter::default(),
            list: List::default(),
            shift: 0,
        }
    }

    /// Takes one more item. Returns its number, unless it is held back while the list is paused.
    pub(super) fn push(&mut self, body: Body) -> Option<u64> {
        let weight = match &body {
            Body::Event(event) => size_of::<Item>() + event.weight(),
            Body::Gap { probe: text, .. } | Body::Note(text) => text.len() + size_of::<Item>(),
        };
        let item = Item {
            body,
            before: None,
            weight,
        };
        if !self.paused {
            return Some(self.keep(item));
        }
        self.held_bytes += weight;
        self.held.push_back(item);
        while self.held.len() > self.capacity || self.held_bytes > KEPT_BYTES {
            let Some(gone) = self.held.pop_front() else {
                break;
            };
            self.held_bytes -= gone.weight;
            self.skipped += 1;
        }
        None
    }

    fn keep(&mut self, mut item: Item) -> u64 {
        let number = self.next;
        self.next += 1;
        if let Body::Event(event) = &item.body {
            item.before = self.last_of.insert(event.origin.probe, number);
        }
        if self.filter.passes(&item.body) {
            self.shown.push_back(number);
        }
        self.bytes += item.weight;
        self.ring.push_back(item);
        while self.ring.len() > self.capacity || self.bytes > KEPT_BYTES {
            self.drop_oldest();
        }
        number
    }

    fn drop_oldest(&mut self) {
        let oldest = self.first();
        let Some(gone) = self.ring.pop_front() else {
            return;
        };
        self.bytes -= gone.weight;
        self.displaced += u64::from(matches!(gone.body, Body::Event(_)));
        if self.shown.front() == Some(&oldest) {
            self.shown.pop_front();
            self.list.cursor = self.list.cursor.saturating_sub(1);
            self.list.top = self.list.top.saturating_sub(1);
        }
    }

    fn first(&self) -> u64 {
        self.next - self.ring.len() as u64
    }

    /// An item by its number, if it is still kept.
    pub(super) fn item(&self, number: u64) -> Option<&Item> {
        let index = number.checked_sub(self.first())?;
        self.ring.get(usize::try_from(index).ok()?)
    }

    /// Rows that pass the filter.
    pub(super) fn len(&self) -> usize {
        self.shown.len()
    }

    /// Number of the item on a row.
    pub(super) fn number(&self, row: usize) -> Option<u64> {
        self.shown.get(row).copied()
    }

    /// Row of an item.
    pub(super) fn row_of(&self, number: u64) -> Option<usize> {
        self.shown.binary_search(&number).ok()
    }

    /// Items kept, shown or not.
    pub(super) fn kept(&self) -> usize {
        self.ring.len()
    }

    /// Events that newer ones have displaced.
    pub(super) fn displaced(&self) -> u64 {
        self.displaced
    }

    /// The number after the newest item's.
    pub(super) fn end(&self) -> u64 {
        self.next
    }

    /// Events kept, from the item of a number on.
    pub(super) fn count_from(&self, number: u64) -> usize {
        let skipped = usize::try_from(number.saturating_sub(self.first())).unwrap_or(usize::MAX);
        let items = self.ring.iter().skip(skipped).chain(&self.held);
        items
            .filter(|item| matches!(item.body, Body::Event(_)))
            .count()
    }

    /// The events that pass the filter, oldest first.
    pub(super) fn shown_events(&self) -> Vec<Arc<Event>> {
        let rows = 0..self.shown.len();
        rows.filter_map(|row| self.shared_event(row)).collect()
    }

    /// Items that came since the list is held still.
    pub(super) fn waiting(&self) -> u64 {
        self.held.len() as u64 + self.skipped
    }

    /// The event on a row, and the one before it of the same probe.
    pub(super) fn event(&self, row: usize) -> Option<(&Event, Option<&Event>)> {
        let item = self.item(self.number(row)?)?;
        let Body::Event(event) = &item.body else {
            return None;
        };
        let before = item
            .before
            .and_then(|number| self.item(number))
            .and_then(|item| match &item.body {
                Body::Event(event) => Some(&**event),
                Body::Gap { .. } | Body::Note(_) => None,
            });
        Some((event, before))
    }

    /// The event on a row, shared.
    pub(super) fn shared_event(&self, row: usize) -> Option<Arc<Event>> {
        shared(self.item(self.number(row)?)?)
    }

    /// The last row with an event, at or above a row.
    pub(super) fn last_event(&self, row: usize) -> Option<usize> {
        (0..=row).rev().find(|row| self.event(*row).is_some())
    }

    /// The event on a row, and the one before it of the same probe, shared.
    pub(super) fn shared_pair(&self, row: usize) -> Option<(Arc<Event>, Option<Arc<Event>>)> {
        let item = self.item(self.number(row)?)?;
        let event = shared(item)?;
        let before = item.before.and_then(|number| self.item(number));
        Some((event, before.and_then(shared)))
    }

    /// The text on a row: the message of an event, or a note.
    pub(super) fn text(&self, row: usize) -> Option<String> {
        Some(match &self.item(self.number(row)?)?.body {
            Body::Event(event) => event.message.clone(),
            Body::Gap { probe, left_out } => left_out.line(probe),
            Body::Note(text) => text.clone(),
        })
    }

    /// Pauses the list, or resumes it with the items that came in the meantime.
    pub(super) fn pause(&mut self) {
        self.paused = !self.paused;
        if !self.paused {
            for item in std::mem::take(&mut self.held) {
                self.keep(item);
            }
            self.held_bytes = 0;
            self.skipped = 0;
        }
    }

    /// Takes all items off the list.
    pub(super) fn clear(&mut self) -> ClearedEvents {
        for item in std::mem::take(&mut self.held) {
            self.keep(item);
        }
        let cleared = ClearedEvents {
            end: self.next,
            ring: std::mem::take(&mut self.ring),
            last_of: std::mem::take(&mut self.last_of),
        };
        self.shown.clear();
        (self.bytes, self.held_bytes, self.skipped) = (0, 0, 0);
        self.list = List::default();
        self.follow = true;
        cleared
    }

    /// Puts items back before those that came since, as many as there is room for. Returns their number. `None` if
    /// there is no room for any.
    pub(super) fn restore(&mut self, cleared: ClearedEvents) -> Option<usize> {
        let ClearedEvents {
            end,
            mut ring,
            last_of,
        } = cleared;
        if self.first() != end {
            return None;
        }
        let selected = self.number(self.list.cursor);
        let mut back = 0;
        while let Some(item) = ring.pop_back() {
            let weight = self.bytes + item.weight;
            if self.ring.len() >= self.capacity || weight > KEPT_BYTES || self.first() == 0 {
                break;
            }
            self.bytes = weight;
            self.ring.push_front(item);
            back += 1;
        }
        for (probe, number) in last_of {
            self.last_of.entry(probe).or_insert(number);
        }
        self.set_filter(self.filter.clone());
        let row = selected.and_then(|number| self.row_of(number));
        self.list.cursor = row.unwrap_or(self.list.cursor);
        (back > 0).then_some(back)
    }

    /// Shows the events of another filter. The selected one stays selected if it is among them.
    pub(super) fn set_filter(&mut self, filter: Filter) {
        let selected = self.number(self.list.cursor);
        self.filter = filter;
        let first = self.first();
        self.shown = (first..)
            .zip(&self.ring)
            .filter(|(_, item)| self.filter.passes(&item.body))
            .map(|(number, _)| number)
            .collect();
        if let Some(selected) = selected {
            let row = self.shown.partition_point(|number| *number < selected);
            self.list = List {
                cursor: row,
                top: row.saturating_sub(self.list.cursor.saturating_sub(self.list.top)),
            };
        }
    }

    /// Moves the selection. Reaching the newest event follows the newest again.
    pub(super) fn step(&mut self, rows: isize) {
        self.list.step(rows);
        self.follow = self.list.cursor + 1 >= self.len() && rows >= 0;
    }

    /// Puts cursor and screen in order.
    pub(super) fn settle(&mut self, rows: usize) {
        if self.follow {
            self.list.cursor = self.len().saturating_sub(1);
        }
        self.list.settle(self.len(), rows);
    }
}

fn shared(item: &Item) -> Option<Arc<Event>> {
    match &item.body {
        Body::Event(event) => Some(Arc::clone(event)),
        Body::Gap { .. } | Body::Note(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::event;
    use super::*;

    fn filled(capacity: usize, count: u64) -> Events {
        let mut events = Events::new(capacity);
        for hit in 1..=count {
            let probe = (hit % 2) as u32 + 1;
            events.push(Body::Event(Arc::new(event(
                probe,
                hit,
                &format!("message {hit}"),
            ))));
        }
        events.settle(5);
        events
    }

    fn selected(events: &Events) -> u64 {
        events
            .event(events.list.cursor)
            .map_or(0, |(event, _)| event.hit)
    }

    #[test]
    fn push_beyond_the_bound_drops_the_oldest() {
        let events = filled(10, 25);
        assert_eq!((events.kept(), events.len()), (10, 10));
        assert_eq!(events.event(0).map(|(event, _)| event.hit), Some(16));
        assert_eq!(selected(&events), 25);
    }

    #[test]
    fn push_of_huge_events_is_bounded_by_bytes() {
        let mut events = Events::new(KEPT);
        for hit in 0..100 {
            events.push(Body::Event(Arc::new(event(1, hit, &"x".repeat(1 << 20)))));
        }
        assert!((50..64).contains(&events.kept()), "{}", events.kept());
    }

    #[test]
    fn selection_when_not_following_stays_on_its_event() {
        let mut events = filled(10, 10);
        events.step(-4);
        events.settle(5);
        assert_eq!((selected(&events), events.follow), (6, false));
        events.push(Body::Event(Arc::new(event(1, 11, "new"))));
        events.settle(5);
        assert_eq!(selected(&events), 6);
    }

    #[test]
    fn step_to_the_last_follows_again() {
        let mut events = filled(10, 10);
        events.step(-1);
        events.settle(5);
        events.step(1);
        assert!(events.follow);
    }

    #[test]
    fn pause_holds_the_list_and_counts_what_came() {
        let mut events = filled(10, 4);
        events.pause();
        for hit in 5..=30 {
            events.push(Body::Event(Arc::new(event(1, hit, "later"))));
        }
        events.settle(5);
        assert_eq!(
            (events.len(), events.waiting(), selected(&events)),
            (4, 26, 4)
        );
        assert!(events.held.len() <= 10);
        events.pause();
        events.settle(5);
        assert_eq!(
            (events.kept(), events.waiting(), selected(&events)),
            (10, 0, 30)
        );
    }

    #[test]
    fn filter_by_words_and_probe_shows_what_passes_both() {
        let mut events = filled(100, 20);
        events.set_filter(Filter::new("@p1 MESSAGE 1"));
        let hits: Vec<u64> = (0..events.len())
            .filter_map(|row| events.event(row))
            .map(|(event, _)| event.hit)
            .collect();
        assert_eq!(hits, [10, 12, 14, 16, 18]);
        events.push(Body::Event(Arc::new(event(2, 21, "message 1"))));
        assert_eq!(events.len(), 5);
        events.push(Body::Event(Arc::new(event(1, 22, "message 1"))));
        assert_eq!(events.len(), 6);
        events.set_filter(Filter::new(""));
        assert_eq!(events.len(), 22);
    }

    #[test]
    fn gap_is_shown_with_the_events_of_its_probe() {
        let mut events = filled(100, 2);
        events.push(Body::Gap {
            probe: "p1".into(),
            left_out: LeftOut {
                limited: 3,
                lost: 0,
            },
        });
        for (filter, rows) in [("", 3), ("@p1", 2), ("@p2", 1), ("message", 2)] {
            events.set_filter(Filter::new(filter));
            assert_eq!(events.len(), rows, "`{filter}`");
        }
    }

    #[test]
    fn filter_of_other_text_keeps_the_selected_event() {
        let mut events = filled(100, 20);
        events.step(-6);
        events.settle(5);
        events.set_filter(Filter::new("@p1"));
        events.settle(5);
        assert_eq!(selected(&events), 14);
    }

    #[test]
    fn event_knows_the_one_before_of_its_probe() {
        let events = filled(10, 5);
        let before = events
            .event(4)
            .and_then(|(_, before)| before)
            .map(|event| event.hit);
        assert_eq!(before, Some(3));
    }

    #[test]
    fn clear_forgets_and_goes_on_with_fresh_items() {
        let mut events = filled(10, 5);
        events.clear();
        events.push(Body::Event(Arc::new(event(1, 6, "x"))));
        events.settle(5);
        assert_eq!((events.kept(), selected(&events)), (1, 6));
        assert!(events.event(0).is_some_and(|(_, before)| before.is_none()));
    }
}
