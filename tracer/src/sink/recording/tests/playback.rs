use super::*;
use crate::session::playback::{Beyond, Playback, PlaybackPlace, Window};
use crate::session::{Control, Cost, Notice, ProbeStatus};
use crate::sink::recording::limits::{SEARCHED_BLOCKS, WINDOW_EVENTS};
use crate::sink::recording::playback::RecordedSession;

/// Events of a block, and the time between two of them.
const EACH: u64 = 500;
const STEP: u64 = 1000;

fn status(hits: u64) -> ProbeStatus {
    ProbeStatus {
        id: ProbeId(1),
        name: "p1".into(),
        text: "log main.rs:57".into(),
        file: Arc::new(PathBuf::from("/src/main.rs")),
        line: 57,
        function: "app::report".into(),
        sites: 1,
        placement: Some(PlacementId(7)),
        enabled: true,
        done: None,
        counters: crate::event::Counters {
            hits,
            events: hits,
            ..crate::event::Counters::default()
        },
        cost: Cost::default(),
        notes: Vec::new(),
        processes: Vec::new(),
        undelivered: 0,
    }
}

/// A session of as many blocks. Each ends with the state of its probe, and a note.
fn session(blocks: u64) -> RecordedSession {
    let log = origin(1, "log");
    let mut bytes = Vec::new();
    let mut writer = RecordingWriter::new(&mut bytes).expect("a writer");
    writer.begin(&described(), TIME).expect("written");
    for block in 0..blocks {
        for hit in block * EACH + 1..=(block + 1) * EACH {
            let event = event(&log, hit, TIME + hit * STEP);
            writer.event(&event).expect("written");
        }
        let time_ns = TIME + (block + 1) * EACH * STEP;
        let probes = vec![status((block + 1) * EACH)];
        writer.probes(probes, Vec::new(), time_ns).expect("written");
        writer
            .note(format!("block {block}"), time_ns)
            .expect("written");
        writer.write_block().expect("written");
    }
    let file = file(&bytes);
    RecordedSession::new(Recording::open(file.path()).expect("a recording"))
}

fn all(_event: &Event) -> bool {
    true
}

fn hits(window: &Window) -> Vec<u64> {
    let hit = |notice: &Notice| match notice {
        Notice::Event(event) => Some(event.hit),
        _ => None,
    };
    window.notices.iter().filter_map(hit).collect()
}

#[test]
fn window_is_around_its_place() {
    let session = session(40);
    let extent = session.extent();
    assert_eq!(extent.events, 20_000);
    let half = WINDOW_EVENTS as u64;
    let window = session.window(PlaybackPlace::From(10_000), &all);
    assert_eq!(window.selected, Some(10_000));
    let numbers: Vec<u64> = (10_000 - half..10_000 + half).collect();
    assert_eq!(window.numbers, numbers);
    // The first event has number 0, and is hit 1.
    let expected: Vec<u64> = numbers.iter().map(|number| number + 1).collect();
    assert_eq!(hits(&window), expected);
    assert_eq!(
        (window.before, window.behind),
        (Beyond::Events, Beyond::Events)
    );
    // The notes between them are in their places.
    let position = |wanted: &str| {
        let is_it = |notice: &Notice| matches!(notice, Notice::Note(text) if text == wanted);
        window.notices.iter().position(is_it)
    };
    let event = |hit| {
        let is_it = |notice: &Notice| matches!(notice, Notice::Event(event) if event.hit == hit);
        window.notices.iter().position(is_it)
    };
    assert!(event(10_000) < position("block 19"));
    assert!(position("block 19") < event(10_001));
}

#[test]
fn window_at_the_ends_says_that_nothing_is_beyond() {
    let session = session(40);
    let first = session.window(PlaybackPlace::First, &all);
    assert_eq!((first.selected, first.before), (Some(0), Beyond::Nothing));
    assert_eq!(first.numbers.len(), WINDOW_EVENTS);
    assert_eq!(first.behind, Beyond::Events);
    for place in [
        PlaybackPlace::Last,
        PlaybackPlace::From(99_999),
        PlaybackPlace::Time(u64::MAX),
    ] {
        let last = session.window(place, &all);
        assert_eq!(
            (last.selected, last.behind),
            (Some(19_999), Beyond::Nothing)
        );
        assert_eq!(last.before, Beyond::Events);
    }
}

#[test]
fn time_is_its_first_event() {
    let session = session(4);
    let at = |time_ns| session.window(PlaybackPlace::Time(time_ns), &all).selected;
    assert_eq!(at(0), Some(0));
    assert_eq!(at(TIME + 700 * STEP), Some(699));
    assert_eq!(at(TIME + 700 * STEP + 1), Some(700));
    // Between two blocks.
    assert_eq!(at(TIME + 500 * STEP + 1), Some(500));
}

#[test]
fn filter_finds_the_nearest_event_that_passes() {
    let session = session(40);
    let rare = |event: &Event| event.hit.is_multiple_of(5000);
    let window = session.window(PlaybackPlace::From(6000), &rare);
    assert_eq!(window.numbers, [4999, 9999, 14_999, 19_999]);
    assert_eq!(window.selected, Some(9999));
    let window = session.window(PlaybackPlace::Before(6000), &rare);
    assert_eq!(window.selected, Some(4999));
    assert_eq!(
        (window.before, window.behind),
        (Beyond::Nothing, Beyond::Nothing)
    );
    // Nothing is before the first one.
    assert_eq!(
        session.window(PlaybackPlace::Before(10), &rare).selected,
        Some(4999)
    );
    let none = session.window(PlaybackPlace::From(6000), &|_| false);
    assert_eq!((none.selected, none.numbers.len()), (None, 0));
}

#[test]
fn search_has_a_limit_and_goes_on_from_there() {
    let blocks = 2 * SEARCHED_BLOCKS as u64 + 40;
    let session = session(blocks);
    let last = blocks * EACH;
    let rare = move |event: &Event| event.hit == 1 || event.hit == last;
    let middle = last / 2;
    let mut window = session.window(PlaybackPlace::From(middle), &rare);
    assert_eq!(window.numbers.len(), 0);
    let mut looks = 0;
    while let Beyond::Unsearched(event) = window.behind {
        assert!(event > middle);
        window = session.window(PlaybackPlace::From(event), &rare);
        looks += 1;
    }
    assert_eq!((window.selected, looks), (Some(last - 1), 1));
    window = session.window(PlaybackPlace::Before(middle), &rare);
    while let Beyond::Unsearched(event) = window.before {
        window = session.window(PlaybackPlace::Before(event), &rare);
    }
    assert_eq!(window.selected, Some(0));
}

#[test]
fn state_is_that_of_the_place() {
    let session = session(10);
    // Before anything is shown it is the last one.
    assert_eq!(session.probes()[0].counters.hits, 5000);
    let window = session.window(PlaybackPlace::From(1700), &all);
    assert_eq!(window.probes[0].counters.hits, 2000);
    assert_eq!(session.probes(), window.probes);
}

#[test]
fn recording_takes_no_probe() {
    let session = session(1);
    let refused = session
        .add("log main.rs:57")
        .expect_err("there is no process");
    assert!(refused.message.contains("this is a recording"));
    assert_eq!(session.target().name, "recording of app (42)");
    assert!(session.remove(ProbeId(1)).is_none());
    assert!(!session.silence_all());
}
