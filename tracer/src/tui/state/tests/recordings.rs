//! A recording: keys and clicks while its events are being read.

use super::*;
use crate::session::playback::{Beyond, Extent, Window};

/// Events of the recording.
const EVENTS: u64 = 1000;

/// A recording whose first fifty events are on the screen. The desk keeps no more.
fn recording() -> Desk {
    let mut desk = Desk::open((120, 40));
    let extent = Extent {
        events: EVENTS,
        first_ns: 1_000_000_000,
        last_ns: 61_000_000_000,
    };
    let effects = desk.state.show_recording(extent);
    desk.answer(effects);
    desk.load(0..50, 0, true);
    desk
}

impl Desk {
    /// Events of the recording arrive.
    fn load(&mut self, numbers: std::ops::Range<u64>, selected: u64, is_jump: bool) {
        let events = numbers.clone().map(|number| {
            let event = fake::event(1, number + 1, &format!("message {number}"));
            Notice::Event(Arc::new(event))
        });
        let window = Window {
            notices: events.collect(),
            before: match numbers.start {
                0 => Beyond::Nothing,
                _ => Beyond::Events,
            },
            behind: match numbers.end {
                EVENTS => Beyond::Nothing,
                _ => Beyond::Events,
            },
            numbers: numbers.collect(),
            selected: Some(selected),
            probes: self.fake.probes(),
            aggregates: Vec::new(),
        };
        self.act(UiAction::Reply(WorkerReply::Window(LoadedWindow {
            window: Box::new(window),
            filter: Filter::default(),
            is_jump,
        })));
    }

    /// The hit of the event in full.
    fn open_hit(&self) -> Option<u64> {
        match &self.state.overlay {
            Overlay::Event(detail) => Some(detail.event.hit),
            _ => None,
        }
    }
}

#[test]
fn keys_after_enter_wait_for_the_event_that_is_being_read() {
    let mut desk = recording();
    // `r` starts a program and `x` silences everything in the panes; `q` quits there.
    desk.keys("F");
    desk.press(KeyCode::Enter);
    desk.keys("rx]");
    assert_eq!(desk.state.queue.held.len(), 3);
    assert_eq!((desk.open_hit(), desk.state.outcome), (None, None));
    desk.load(950..EVENTS, 999, true);
    assert_eq!(desk.open_hit(), Some(1000));
    let Overlay::Event(detail) = &desk.state.overlay else {
        panic!("the event is open");
    };
    assert_eq!(detail.look.tab.name(), "Raw");
    assert!(detail.look.hex);
    assert!(desk.screen().contains("this is the last event"));
}

#[test]
fn going_back_leaves_the_event_that_is_being_read() {
    for leave in [KeyCode::Esc, KeyCode::Char('q')] {
        let mut desk = recording();
        desk.keys("F");
        desk.press(KeyCode::Enter);
        desk.keys("r");
        desk.press(leave);
        assert!(desk.state.queue.held.is_empty());
        desk.load(950..EVENTS, 999, true);
        assert_eq!((desk.open_hit(), desk.state.outcome), (None, None));
        // It is no longer wanted by a later window either.
        desk.keys("{");
        desk.load(900..950, 949, true);
        assert_eq!(desk.open_hit(), None);
    }
}

#[test]
fn click_leaves_the_event_that_is_being_read() {
    let mut desk = recording();
    desk.keys("F");
    desk.press(KeyCode::Enter);
    desk.keys("2");
    let events = desk.state.regions().events;
    desk.click(events.x + 5, events.y + 3);
    desk.load(950..EVENTS, 999, true);
    assert_eq!(desk.open_hit(), None);
    assert_eq!(desk.state.focus, Pane::Events, "the key was for the event");
}

#[test]
fn quit_needs_no_event() {
    let mut desk = recording();
    desk.keys("F");
    desk.press(KeyCode::Enter);
    desk.press_with(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(desk.state.outcome, Some(UiOutcome::Quit));
}

#[test]
fn keys_that_wait_are_bounded_and_carried_out_one_after_another() {
    let mut desk = recording();
    desk.keys("F");
    desk.press(KeyCode::Enter);
    let many = "x".repeat(100_001);
    desk.keys(&many);
    assert_eq!(desk.state.queue.held.len(), 1000);
    assert!(desk.screen().contains("too many keys wait"));
    desk.load(950..EVENTS, 999, true);
    assert!(desk.state.queue.held.is_empty());
    assert_eq!(desk.open_hit(), Some(1000));
}

#[test]
fn open_event_stays_the_same_when_other_events_arrive() {
    let mut desk = recording();
    desk.keys("3");
    desk.state.events.list.cursor = 20;
    // A double click opens the event although others are being read.
    desk.state
        .show_event(desk.state.events.number(20).expect("it is there"));
    assert_eq!(desk.open_hit(), Some(21));
    for (numbers, selected) in [(900..950, 949), (0..50, 7), (10..60, 50)] {
        desk.load(numbers, selected, true);
        assert_eq!(desk.open_hit(), Some(21));
        // The event after it is the next one of the list.
        desk.keys("]");
        assert_eq!(desk.open_hit(), Some(22));
        desk.keys("[");
        assert_eq!(desk.open_hit(), Some(21));
    }
    // It opens again as it was left, although its number in the list is another one.
    desk.keys("r");
    desk.press(KeyCode::Esc);
    desk.load(15..60, 20, true);
    assert_eq!(desk.state.recorded_event(), Some(20));
    desk.press(KeyCode::Enter);
    let Overlay::Event(detail) = &desk.state.overlay else {
        panic!("the event is open");
    };
    assert_eq!((detail.event.hit, detail.look.tab.name()), (21, "Raw"));
}

#[test]
fn window_without_the_open_event_is_asked_for_only_once() {
    let mut desk = recording();
    desk.keys("3");
    desk.state
        .show_event(desk.state.events.number(20).expect("it is there"));
    desk.asked.clear();
    desk.load(900..950, 949, true);
    desk.load(900..950, 949, true);
    let loads = desk.asked.iter().filter(|name| *name == "LoadWindow");
    assert!(loads.count() <= 1, "{:?}", desk.asked);
}
