//! Watched variables: the keys that watch one, their completion, and the accesses on the screen.

use super::stepping::traced;
use super::*;

/// The line of the made-up target whose code writes to a static.
const WRITER: u64 = 20;

impl Desk {
    /// The line that is typed, after the cursor has come to rest and a key.
    fn typed_by(&mut self, keys: &str) -> String {
        self.wait(Duration::from_millis(200));
        self.keys(keys);
        self.in_line()
    }

    fn in_line(&self) -> String {
        match &self.state.overlay {
            Overlay::Prompt(prompt) => prompt.input.value().to_owned(),
            other => panic!("no line is open: {other:?}"),
        }
    }

    fn said(&self) -> &str {
        let message = self.state.message.as_ref();
        message.map_or("", |message| &message.text)
    }

    /// Accesses of the first probe.
    fn access(&mut self, hits: std::ops::RangeInclusive<u64>, line: u64) {
        for hit in hits {
            let event = fake::access(1, hit, line);
            self.fake.send(Notice::Event(Arc::new(event)));
        }
        let notices = self.fake.take_notices(usize::MAX);
        self.act(UiAction::Notices(notices));
    }
}

/// A desk with a watch of a static, and its accesses.
fn watched(size: (u16, u16)) -> Desk {
    let mut desk = Desk::open(size);
    desk.keys(":watch MOVES");
    desk.press(KeyCode::Enter);
    desk.access(1..=8, WRITER);
    desk.wait(Duration::from_secs(9));
    desk
}

#[test]
fn key_watches_a_variable_of_the_line_and_tab_goes_on_to_the_others() {
    let mut desk = Desk::open((80, 24));
    let at_line = |name: &str| format!("watch {name} at target-app/src/main.rs:18");
    // Those that the line names come first.
    assert_eq!(desk.typed_by("a"), at_line("current"));
    // One in a register and those that are unavailable are left out. A static needs no place.
    for line in [
        at_line("last"),
        "watch POLL".into(),
        at_line("current"),
        at_line("last"),
    ] {
        desk.press(KeyCode::Tab);
        assert_eq!(desk.in_line(), line);
    }
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.probes[0].text, at_line("last"));
    assert_eq!(desk.state.probes_on(18).count(), 1);
}

#[test]
fn key_before_the_variables_are_known_asks_for_them() {
    let mut desk = Desk::open((80, 24));
    let key = KeyEvent::new(KeyCode::Char('a'), KeyModifiers::NONE);
    let action = desk.state.action_of(key).expect("it has a meaning");
    let effects = desk.state.update(action, desk.now);
    assert_eq!(desk.in_line(), "watch ");
    desk.answer(effects);
    desk.press(KeyCode::Tab);
    assert_eq!(desk.in_line(), "watch current at target-app/src/main.rs:18");
}

#[test]
fn name_on_the_line_that_is_no_variable_in_scope_may_be_a_static() {
    let mut desk = Desk::open((80, 24));
    desk.keys(":44");
    desk.press(KeyCode::Enter);
    let source = desk.state.source.as_ref().expect("a file is open");
    // Neither keywords, types, members and functions, nor comments and texts.
    assert_eq!(source.names_on(source.list.cursor), ["seconds", "n"]);
    let poll = source.names_on(32);
    assert_eq!(poll, ["POLL"]);
    // `seconds` is optimised out.
    assert_eq!(desk.typed_by("a"), "watch n");
}

#[test]
fn words_after_the_value_are_completed() {
    let mut desk = Desk::open((80, 24));
    desk.wait(Duration::from_millis(200));
    for (typed, completed) in [
        ("wat", "watch"),
        ("watch PO", "watch POLL"),
        ("watch POLL on w", "watch POLL on write"),
        ("watch POLL i", "watch POLL if"),
        ("watch POLL if ol", "watch POLL if old"),
        ("watch POLL \"{ne", "watch POLL \"{new"),
        ("watch last.", "watch last.x"),
        ("watch last at repo", "watch last at report_mouse_movement"),
        (
            "watch last at main.rs:18 un",
            "watch last at main.rs:18 until",
        ),
        ("watch POLL hits 3 ra", "watch POLL hits 3 rate"),
    ] {
        desk.keys(":");
        desk.keys(typed);
        desk.press(KeyCode::Tab);
        assert_eq!(desk.in_line(), completed);
        desk.press(KeyCode::Esc);
    }
    desk.keys(":watch POLL ");
    let Overlay::Prompt(prompt) = &desk.state.overlay else {
        panic!("a line is open");
    };
    let words: Vec<&str> = prompt.completion.all.iter().map(|one| &*one.text).collect();
    assert_eq!(words[..4], ["at", "on write", "on access", "if old != new"]);
    let all = prompt.completion.all.iter();
    assert!(all.clone().all(|one| !one.about.is_empty()), "{words:?}");
    assert!(!words.contains(&"until"), "{words:?}");
}

#[test]
fn value_of_an_event_is_watched_where_the_event_is() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    desk.hit(1, 1..=1, 34);
    desk.keys("3");
    desk.press(KeyCode::Enter);
    // The message is no value.
    desk.keys("a");
    assert_eq!(desk.said(), "select a value to watch it");
    desk.keys("ja");
    assert_eq!(desk.in_line(), "watch last at target-app/src/main.rs:34");
    desk.press(KeyCode::Esc);
    desk.keys("3");
    desk.press(KeyCode::Enter);
    // The event is as it was left.
    desk.keys("lja");
    assert_eq!(desk.in_line(), "watch last.x at target-app/src/main.rs:34");
}

#[test]
fn variable_of_a_step_is_watched_and_the_steps_come_back() {
    let mut desk = traced((120, 40), &[1]);
    desk.keys("a");
    let line = desk.in_line();
    let is_there = line.starts_with("watch ") && line.contains(" at target-app/src/main.rs:");
    assert!(is_there, "{line}");
    desk.press(KeyCode::Esc);
    assert!(matches!(desk.state.overlay, Overlay::Steps(_)));
}

#[test]
fn watched_value_and_a_recording_are_not_watched() {
    let mut desk = watched((80, 24));
    desk.keys("3");
    desk.press(KeyCode::Enter);
    desk.keys("ja");
    assert_eq!(desk.said(), "p1 watches this value");
    desk.press(KeyCode::Esc);
    let extent = crate::session::playback::Extent {
        events: 1,
        first_ns: 1,
        last_ns: 2,
    };
    let effects = desk.state.show_recording(extent);
    desk.answer(effects);
    desk.keys("1a");
    assert_eq!(desk.said(), "this is a recording: it takes no probe");
}

#[test]
fn value_stands_beside_the_line_that_wrote_it_last() {
    let mut desk = watched((120, 40));
    let beside = |desk: &Desk, line: u64| {
        let number = format!(" {line} ");
        let screen = desk.screen();
        let row = screen.lines().find(|row| row.contains(&number));
        row.is_some_and(|row| row.contains("◂ MOVES: "))
    };
    assert!(beside(&desk, WRITER), "{}", desk.screen());
    // No line has the mark of the probe.
    let marked = (1..50).find(|line| desk.state.probes_on(*line).next().is_some());
    assert_eq!(marked, None);
    desk.access(9..=9, 24);
    assert!(beside(&desk, 24) && !beside(&desk, WRITER));
    // The probe leads to the code of the last access, and so does the event.
    desk.keys("2");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.line(), 24);
    desk.keys("3k");
    desk.press(KeyCode::Enter);
    desk.keys("o");
    assert_eq!((desk.line(), desk.state.focus), (WRITER, Pane::Source));
}

#[test]
fn accesses_to_an_object_are_not_shown_where_it_was_found() {
    let mut desk = Desk::open((120, 40));
    desk.keys(":watch last at main.rs:18");
    desk.press(KeyCode::Enter);
    desk.access(1..=1, WRITER);
    assert_eq!(desk.state.probes_on(18).count(), 1);
    assert_eq!(desk.state.shown_on(18).count(), 0);
    assert_eq!(desk.state.shown_on(WRITER).count(), 1);
}

#[test]
fn enter_on_a_watch_without_an_access_says_so() {
    let mut desk = Desk::open((80, 24));
    desk.keys(":watch MOVES");
    desk.press(KeyCode::Enter);
    desk.keys("2");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.said(), "p1 has seen no access yet");
}

#[test]
fn screen_of_accesses_at_80x24() {
    insta::assert_snapshot!(watched((80, 24)).screen());
}

#[test]
fn screen_of_accesses_at_120x40() {
    insta::assert_snapshot!(watched((120, 40)).screen());
}

/// The access of a hit in full.
fn in_full(size: (u16, u16), back: usize) -> Desk {
    let mut desk = watched(size);
    desk.keys("3");
    (0..back).for_each(|_| desk.keys("k"));
    desk.press(KeyCode::Enter);
    desk
}

#[test]
fn screen_of_an_uncertain_access_in_full_at_80x24() {
    insta::assert_snapshot!(in_full((80, 24), 1).screen());
}

#[test]
fn screen_of_an_access_of_the_kernel_in_full_at_120x40() {
    insta::assert_snapshot!(in_full((120, 40), 2).screen());
}
