//! Looking at a recording: the part of its events that is on the screen, and the way through it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::super::action::{LoadedWindow, Pane, UiEffect};
use super::super::events::{Body, Filter};
use super::super::keymap::KeyCommand;
use super::detail::{Detail, EventIdentity};
use super::results::adds_up;
use super::{Overlay, UiState};
use crate::event::Event;
use crate::lang::parse_duration;
use crate::session::Notice;
use crate::session::playback::{Beyond, Extent, PlaybackPlace};

/// More events are read when the selected one is this near to the end of those on the screen.
const MARGIN: usize = 200;
/// Events before the selected one that the last values are taken from.
const TRAIL_EVENTS: usize = 1000;
/// The share of the events that a key jumps over.
const JUMP_SHARE: u64 = 20;

/// A recording on the screen.
#[derive(Debug)]
pub(in crate::tui) struct RecordingView {
    /// Its length.
    pub(in crate::tui) extent: Extent,
    /// The numbers of the events on the screen: number of the item, and number in the recording.
    numbers: Vec<(u64, u64)>,
    before: Beyond,
    behind: Beyond,
    /// The filter that these events have passed.
    filter: Filter,
    /// Events are being read.
    pub(in crate::tui) loading: bool,
    /// The place that was asked for meanwhile.
    next: Option<PlaybackPlace>,
    /// Enter was pressed meanwhile: the event is shown in full once it is there. Keys typed next wait for it.
    opens: bool,
    /// The number of the event that is gone to, as far as it is known.
    heading: Option<u64>,
    /// The selected event that more events were read around last.
    centre: Option<u64>,
    /// The selected item that the values belong to.
    shown: Option<u64>,
}

impl RecordingView {
    /// The number in the recording of an item, or of the last event before it.
    fn event_of(&self, item: u64) -> Option<u64> {
        let after = self.numbers.partition_point(|(known, _)| *known <= item);
        let (_, event) = self.numbers.get(after.checked_sub(1)?)?;
        Some(*event)
    }
}

impl UiState {
    /// Keys wait until the event of Enter is there and open.
    pub(super) fn waits_for_event(&self) -> bool {
        let opens = |view: &RecordingView| view.opens && view.loading;
        matches!(self.overlay, Overlay::None) && self.recording.as_ref().is_some_and(opens)
    }

    /// The event that Enter wanted is not wanted any more, and the keys typed for it are not either.
    pub(super) fn stop_waiting_for_event(&mut self) {
        if let Some(view) = &mut self.recording
            && std::mem::take(&mut view.opens)
        {
            self.queue.held.clear();
        }
    }

    /// An event of the list by a name that the next window leaves as it is.
    pub(super) fn identity(&self, item: u64) -> EventIdentity {
        let recorded = |view: &RecordingView| view.event_of(item);
        match self.recording.as_ref().and_then(recorded) {
            Some(event) => EventIdentity::Recorded(event),
            None => EventIdentity::Listed(item),
        }
    }

    /// The number in the list of an event, if it is there.
    pub(super) fn item_of(&self, identity: EventIdentity) -> Option<u64> {
        match identity {
            EventIdentity::Listed(item) => Some(item),
            EventIdentity::Recorded(event) => {
                let mut numbers = self.recording.as_ref()?.numbers.iter();
                let found = numbers.find(|(_, number)| *number == event);
                found.map(|(item, _)| *item)
            }
        }
    }

    /// Shows a recording, from its beginning.
    pub(in crate::tui) fn show_recording(&mut self, extent: Extent) -> Vec<UiEffect> {
        self.recording = Some(RecordingView {
            extent,
            numbers: Vec::new(),
            before: Beyond::Nothing,
            behind: Beyond::Nothing,
            filter: Filter::default(),
            loading: false,
            next: None,
            opens: false,
            heading: None,
            centre: None,
            shown: None,
        });
        self.events.follow = false;
        self.focus = Pane::Events;
        self.load(PlaybackPlace::First, true)
    }

    /// Number of the selected event in the recording.
    pub(in crate::tui) fn recorded_event(&self) -> Option<u64> {
        let item = self.events.number(self.events.list.cursor)?;
        self.recording.as_ref()?.event_of(item)
    }

    fn load(&mut self, place: PlaybackPlace, is_jump: bool) -> Vec<UiEffect> {
        let filter = self.events.filter.clone();
        if let Some(view) = self.recording.as_mut().filter(|_| is_jump) {
            view.heading = match place {
                PlaybackPlace::First => Some(0),
                PlaybackPlace::Last => Some(view.extent.events.saturating_sub(1)),
                PlaybackPlace::From(event) | PlaybackPlace::Before(event) => Some(event),
                PlaybackPlace::Time(_) => None,
            };
        }
        match &mut self.recording {
            Some(view) if !view.loading => {
                view.loading = true;
                vec![UiEffect::LoadWindow {
                    place,
                    filter,
                    is_jump,
                }]
            }
            Some(view) if is_jump => {
                view.next = Some(place);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The commands that a recording has otherwise. `None` for all others.
    pub(super) fn recording_command(&mut self, command: KeyCommand) -> Option<Vec<UiEffect>> {
        let view = self.recording.as_ref()?;
        let extent = view.extent;
        let (before, behind, heading) = (view.before, view.behind, view.heading);
        let is_reading = view.loading;
        let is_first = self.events.list.cursor == 0;
        let is_last = self.events.list.cursor + 1 >= self.events.len();
        let in_events = self.focus == Pane::Events;
        match command {
            KeyCommand::Template
            | KeyCommand::Remove
            | KeyCommand::Toggle
            | KeyCommand::SilenceAll
            | KeyCommand::Edit
            | KeyCommand::Pause
            | KeyCommand::Clear => {
                self.say("this is a recording: its probes stay as they were", false);
                Some(Vec::new())
            }
            KeyCommand::Watch => {
                self.say("this is a recording: it takes no probe", false);
                Some(Vec::new())
            }
            KeyCommand::Activate if self.focus == Pane::Source => {
                self.say("this is a recording: it takes no probe", false);
                Some(Vec::new())
            }
            KeyCommand::Activate if in_events && is_reading => {
                if let Some(view) = &mut self.recording {
                    view.opens = true;
                }
                Some(Vec::new())
            }
            KeyCommand::Home if in_events => Some(self.load(PlaybackPlace::First, true)),
            KeyCommand::End if in_events => Some(self.load(PlaybackPlace::Last, true)),
            KeyCommand::Follow => Some(self.load(PlaybackPlace::Last, true)),
            KeyCommand::Up | KeyCommand::PageUp if in_events && is_first => match before {
                Beyond::Unsearched(event) => {
                    self.say("searching further back…", false);
                    Some(self.load(PlaybackPlace::Before(event), true))
                }
                _ => None,
            },
            KeyCommand::Down | KeyCommand::PageDown if in_events && is_last => match behind {
                Beyond::Unsearched(event) => {
                    self.say("searching further on…", false);
                    Some(self.load(PlaybackPlace::From(event), true))
                }
                _ => None,
            },
            KeyCommand::Earlier | KeyCommand::Later => {
                let step = (extent.events / JUMP_SHARE).max(1);
                let now = heading.or_else(|| self.recorded_event()).unwrap_or(0);
                let place = match command {
                    KeyCommand::Earlier => PlaybackPlace::Before(now.saturating_sub(step)),
                    _ => PlaybackPlace::From(now.saturating_add(step)),
                };
                Some(self.load(place, true))
            }
            _ => None,
        }
    }

    /// Goes to a typed place: `#1000`, `50%`, `+90s`, `12:04:31.25`, or a date with a time.
    pub(super) fn go_to_place(&mut self, text: &str) -> Vec<UiEffect> {
        let Some(view) = &self.recording else {
            return Vec::new();
        };
        let selected = self.events.event(self.events.list.cursor);
        let day = selected.map_or(view.extent.first_ns, |(event, _)| event.time_ns);
        match place(text, view.extent, day, &self.zone) {
            Some(place) => self.load(place, true),
            None => {
                self.say(
                    format!(
                        "`{text}` is no place: #1000, 50%, +90s, 12:04:31.25, 2026-11-30T12:04:31"
                    ),
                    true,
                );
                Vec::new()
            }
        }
    }

    /// Goes to the place of a click on the time line.
    pub(super) fn click_time_line(&mut self, column: u16, columns: u16) -> Vec<UiEffect> {
        let Some(view) = &self.recording else {
            return Vec::new();
        };
        let event = u128::from(view.extent.events) * u128::from(column)
            / u128::from(columns.saturating_sub(1).max(1));
        let event = u64::try_from(event).unwrap_or(u64::MAX);
        self.load(PlaybackPlace::From(event), true)
    }

    /// Takes the events that were read.
    pub(super) fn window_loaded(&mut self, loaded: LoadedWindow) -> Vec<UiEffect> {
        let LoadedWindow {
            window,
            filter,
            is_jump,
        } = loaded;
        let before = self.recorded_event();
        let offset = self.events.list.cursor - self.events.list.top.min(self.events.list.cursor);
        let open = match &self.overlay {
            Overlay::Event(Detail {
                identity: EventIdentity::Recorded(event),
                ..
            }) => Some(*event),
            _ => None,
        };
        let Some(view) = &mut self.recording else {
            return Vec::new();
        };
        view.loading = false;
        let next = view.next.take();
        view.heading = None;
        let opens = next.is_none() && std::mem::take(&mut view.opens);
        view.filter = filter;
        if open.is_some_and(|event| !window.numbers.contains(&event)) {
            // The user has opened an event since then. It stays, and the list around it does.
            view.centre = before;
            return Vec::new();
        }
        (view.before, view.behind) = (window.before, window.behind);
        view.shown = None;
        let kept = before.filter(|event| !is_jump && window.numbers.contains(event));
        let selected = open.or(kept).or(window.selected);
        view.centre = selected;
        self.events.clear();
        let mut numbers = window.numbers.iter();
        let mut known = Vec::with_capacity(window.numbers.len());
        for notice in window.notices {
            match notice {
                Notice::Event(event) => {
                    if !event.left_out.is_none() {
                        self.events.push(Body::Gap {
                            probe: event.origin.probe_name.clone(),
                            left_out: event.left_out,
                        });
                    }
                    self.calls.take(&event);
                    let item = self.events.push(Body::Event(event));
                    known.extend(item.zip(numbers.next().copied()));
                }
                other => self.notice(other),
            }
        }
        // Notes of that time are among the events.
        self.message = None;
        self.set_probes(window.probes);
        self.aggregates = window.aggregates;
        let item = known
            .iter()
            .find(|(_, event)| Some(*event) == selected)
            .map(|(item, _)| *item);
        if let Some(view) = &mut self.recording {
            view.numbers = known;
        }
        let row = item.and_then(|item| self.events.row_of(item)).unwrap_or(0);
        self.events.list.cursor = row;
        self.events.list.top = row.saturating_sub(offset);
        self.events.follow = false;
        if let (Overlay::Event(detail), Some(item)) = (&mut self.overlay, item) {
            // It is the selected event, and has another number in the list now.
            detail.number = item;
        }
        if selected.is_none() && !self.events.filter.is_empty() {
            let key = |command| self.hint_main(command);
            let (up, down) = (key(KeyCommand::Up), key(KeyCommand::Down));
            let text = format!("no event passes the filter here; {up} and {down} search on");
            self.say(text, false);
        }
        let mut effects = Vec::new();
        if opens {
            match item.filter(|_| matches!(self.overlay, Overlay::None)) {
                Some(item) => effects = self.open_event(item),
                // They were typed for the event.
                None => self.queue.held.clear(),
            }
        }
        effects.extend(next.into_iter().flat_map(|place| self.load(place, true)));
        effects
    }

    /// Reads more events when the selected one is near the end of those on the screen, and shows the state
    /// at the selected event.
    pub(super) fn settle_recording(&mut self) -> Vec<UiEffect> {
        let Some(view) = &self.recording else {
            return Vec::new();
        };
        self.events.follow = false;
        let item = self.events.number(self.events.list.cursor);
        let (shown, loading, centre) = (view.shown, view.loading, view.centre);
        let cursor = self.events.list.cursor;
        let is_near_start = view.before == Beyond::Events && cursor < MARGIN;
        let is_near_end = view.behind == Beyond::Events && cursor + MARGIN >= self.events.len();
        let is_filtered_otherwise = view.filter != self.events.filter;
        let mut effects = Vec::new();
        if item.is_some() && item != shown {
            effects.extend(self.show_values_at(cursor));
            if let Some(view) = &mut self.recording {
                view.shown = item;
            }
        }
        if loading {
            return effects;
        }
        let selected = self.recorded_event();
        if is_filtered_otherwise {
            let place = PlaybackPlace::From(selected.or(centre).unwrap_or(0));
            effects.extend(self.load(place, false));
        } else if (is_near_start || is_near_end || self.shows_sums())
            && selected.is_some()
            && selected != centre
        {
            effects.extend(self.load(PlaybackPlace::From(selected.unwrap_or(0)), false));
        }
        effects
    }

    /// Returns true if sums are on the screen. They are those of the time around which events were read last.
    fn shows_sums(&self) -> bool {
        let is_shown =
            self.regions().results.height > 0 || matches!(self.overlay, Overlay::Probe(..));
        is_shown && self.watched_probe().is_some_and(adds_up)
    }

    /// Shows the last values at a row of the events, and its line in the source.
    fn show_values_at(&mut self, row: usize) -> Vec<UiEffect> {
        self.trails.clear();
        self.results.series.clear();
        let first = row.saturating_sub(TRAIL_EVENTS);
        let events: Vec<Arc<Event>> = (first..=row)
            .filter_map(|row| self.events.shared_event(row))
            .collect();
        for event in &events {
            let trail = self.trails.entry(event.origin.probe).or_default();
            trail.hit(event, self.now);
            self.results.take(event, self.now);
        }
        let notices: Vec<Notice> = events.into_iter().map(Notice::Event).collect();
        self.brief(&notices);
        if self.focus != Pane::Events {
            return Vec::new();
        }
        let Some((event, _)) = self.events.event(row) else {
            return Vec::new();
        };
        let (file, line) = (Arc::clone(&event.origin.file), event.origin.line);
        if line == 0 || self.files.is_none() {
            return Vec::new();
        }
        let effects = self.open_at(&file, line);
        self.focus = Pane::Events;
        effects
    }
}

/// The place that a text names.
fn place(text: &str, extent: Extent, day_ns: u64, zone: &TimeZone) -> Option<PlaybackPlace> {
    let text = text.trim();
    if let Some(number) = text.strip_prefix('#') {
        return number
            .replace(',', "")
            .parse()
            .ok()
            .map(PlaybackPlace::From);
    }
    if let Some(share) = text.strip_suffix('%') {
        let share: f64 = share.trim().parse().ok()?;
        let event = extent.events as f64 * share.clamp(0.0, 100.0) / 100.0;
        return Some(PlaybackPlace::From(event as u64));
    }
    if let Some(after) = text.strip_prefix('+') {
        let after: Duration = parse_duration(after.trim())?;
        let after = u64::try_from(after.as_nanos()).ok()?;
        return Some(PlaybackPlace::Time(extent.first_ns.saturating_add(after)));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return at(time);
    }
    if let Ok(time) = text.parse::<DateTime>() {
        return at(time.to_zoned(zone.clone()).ok()?.timestamp());
    }
    let time: Time = text.parse().ok()?;
    let day = Timestamp::from_nanosecond(day_ns.into()).ok()?;
    let date = day.to_zoned(zone.clone()).date();
    at(date
        .to_datetime(time)
        .to_zoned(zone.clone())
        .ok()?
        .timestamp())
}

fn at(time: Timestamp) -> Option<PlaybackPlace> {
    u64::try_from(time.as_nanosecond())
        .ok()
        .map(PlaybackPlace::Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbers_shares_and_times() {
        let extent = Extent {
            events: 1000,
            first_ns: 1_764_489_600_000_000_000,
            last_ns: 1_764_489_700_000_000_000,
        };
        let place = |text: &str| place(text, extent, extent.first_ns, &TimeZone::UTC);
        assert_eq!(place("#1,000"), Some(PlaybackPlace::From(1000)));
        assert_eq!(place("50%"), Some(PlaybackPlace::From(500)));
        assert_eq!(place("900%"), Some(PlaybackPlace::From(1000)));
        let after = |seconds: u64| {
            Some(PlaybackPlace::Time(
                extent.first_ns + seconds * 1_000_000_000,
            ))
        };
        assert_eq!(place("+90s"), after(90));
        assert_eq!(place("08:00:05"), after(5));
        assert_eq!(place("2025-11-30T08:00:05Z"), after(5));
        assert_eq!(place("2025-11-30T08:00:05"), after(5));
        assert_eq!(place("2025-11-30T09:00:05+01:00"), after(5));
        for text in ["", "x", "#", "#x", "%", "x%", "+", "25:00"] {
            assert_eq!(place(text), None, "{text}");
        }
    }
}
