//! Undoing changes, writing files, and what is told at the end.

use std::fs;

use super::*;
use crate::actions::parse_probe_file;
use crate::tui::UnsavedWork;

impl Desk {
    fn message(&self) -> &str {
        self.state
            .message
            .as_ref()
            .map_or("", |message| &message.text)
    }

    fn line_of_command(&mut self, text: &str) {
        self.keys(":");
        self.keys(text);
        self.press(KeyCode::Enter);
    }

    fn names(&self) -> Vec<(&str, &str)> {
        let probes = self.state.probes.iter();
        probes
            .map(|probe| (probe.name.as_str(), probe.text.as_str()))
            .collect()
    }
}

#[test]
fn removed_probe_comes_back_with_its_name_and_its_former_results() {
    let mut desk = Desk::open((120, 40));
    desk.line_of_command("count main.rs:18 by current.x");
    desk.hit(1, 1..=7, 18);
    desk.fake.add_up(Aggregate {
        probe: ProbeId(1),
        probe_name: "p1".into(),
        action: "count",
        expr: "current.x".into(),
        total: 7,
        other: 0,
        body: AggregateBody::Count(vec![CountRow {
            value: Value::Int(12, 32),
            count: 7,
        }]),
    });
    desk.keys("d");
    assert_eq!(
        desk.message(),
        "p1 removed: 7 hits, 7 events; u brings it back"
    );
    assert!(desk.names().is_empty());
    desk.keys("u");
    assert_eq!(desk.names(), [("p1", "count main.rs:18 by current.x")]);
    desk.keys("2i");
    let screen = desk.screen();
    assert!(
        screen.contains("before       7 hits, 7 events until it was removed"),
        "{screen}"
    );
    assert!(screen.contains("12"), "{screen}");
    desk.press(KeyCode::Esc);
    desk.keys("u");
    assert_eq!(desk.message(), "nothing to undo");
}

#[test]
fn edited_probe_keeps_its_name_and_gets_its_old_text_back() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    desk.keys("e if last.x > 0");
    desk.press(KeyCode::Enter);
    let old = "log target-app/src/main.rs:18";
    let new = "log target-app/src/main.rs:18 if last.x > 0";
    assert_eq!(desk.names(), [("p1", new)]);
    desk.press_with(KeyCode::Char('z'), KeyModifiers::CONTROL);
    assert_eq!(desk.names(), [("p1", old)]);
    desk.line_of_command("undo");
    assert_eq!(desk.message(), "nothing to undo");
}

#[test]
fn edits_are_undone_one_by_one_and_replaced_probes_are_not_removed_ones() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    for more in [" if last.x > 0", " hits 9"] {
        desk.keys(&format!("e{more}"));
        desk.press(KeyCode::Enter);
        assert!(!desk.message().contains("removed"), "{}", desk.message());
    }
    let old = "log target-app/src/main.rs:18";
    for text in [format!("{old} if last.x > 0"), old.to_owned()] {
        desk.keys("u");
        assert_eq!(desk.names(), [("p1", &*text)]);
        assert!(!desk.message().contains("removed"), "{}", desk.message());
    }
    desk.keys("u");
    assert_eq!(desk.message(), "nothing to undo");
}

#[test]
fn probe_with_a_name_of_its_own_gets_no_other() {
    let mut desk = Desk::open((120, 40));
    desk.line_of_command("log main.rs:18 as here");
    desk.keys("d");
    desk.keys("u");
    assert_eq!(desk.names(), [("here", "log main.rs:18 as here")]);
    desk.keys("e");
    (0..8).for_each(|_| desk.press(KeyCode::Backspace));
    desk.press(KeyCode::Enter);
    // Without `as`, the session names it.
    assert_eq!(desk.names(), [("p3", "log main.rs:18")]);
}

#[test]
fn silenced_probes_wake_and_a_silenced_one_comes_back_silenced() {
    let mut desk = Desk::open((120, 40));
    for line in [18, 20] {
        desk.line_of_command(&format!("log main.rs:{line}"));
    }
    let awake = |desk: &Desk| -> Vec<bool> {
        let probes = desk.state.probes.iter();
        probes.map(|probe| probe.enabled).collect()
    };
    desk.keys("x");
    assert_eq!(awake(&desk), [false, false]);
    desk.keys("u");
    assert_eq!(awake(&desk), [true, true]);
    desk.keys(" d");
    assert_eq!(awake(&desk), [true]);
    desk.keys("u");
    assert_eq!(awake(&desk), [true, false]);
    assert_eq!(desk.state.probes[1].name, "p1");
}

#[test]
fn cleared_events_come_back_before_those_that_came_since() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    desk.hit(1, 1..=5, 18);
    desk.keys("c");
    assert_eq!(desk.state.events.len(), 0);
    desk.hit(1, 6..=8, 18);
    desk.keys("u");
    let hits = |desk: &Desk| -> Vec<u64> {
        let events = desk.state.events.shown_events();
        events.iter().map(|event| event.hit).collect()
    };
    assert_eq!(hits(&desk), (1..=8).collect::<Vec<_>>());
    // The marks of changes go on over them.
    let (_, before) = desk.state.events.event(7).expect("an event");
    assert_eq!(before.map(|event| event.hit), Some(7));
    // There is room for 50.
    desk.keys("c");
    desk.hit(1, 9..=80, 18);
    desk.keys("u");
    assert_eq!(desk.message(), "nothing to undo");
    desk.keys("c");
    desk.hit(1, 81..=110, 18);
    desk.keys("u");
    assert_eq!(hits(&desk), (61..=110).collect::<Vec<_>>());
}

#[test]
fn events_of_a_probe_that_is_gone_look_as_before() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    desk.hit(1, 1..=1, 18);
    let event = desk.state.events.shown_events().remove(0);
    assert!(desk.state.is_default_message(&event));
    desk.keys("d");
    desk.tell_probes(Vec::new());
    assert!(desk.state.is_default_message(&event));
}

#[test]
fn probes_are_written_as_a_file_that_gives_them_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("probes");
    let mut desk = Desk::open((120, 40));
    let texts = [
        "log main.rs:18 \"x # {current.x}\" if last.x > 0 as moved",
        "count main.rs:20 by current.x",
    ];
    for text in texts {
        desk.line_of_command(text);
    }
    let unsaved = UnsavedWork {
        probes: 2,
        events: 0,
    };
    assert_eq!(desk.state.unsaved(), unsaved);
    desk.keys("w");
    assert_eq!(
        desk.screen()
            .lines()
            .filter(|line| line.contains("\":w "))
            .count(),
        1
    );
    desk.keys(path.to_str().expect("a path"));
    desk.press(KeyCode::Enter);
    assert_eq!(
        desk.message(),
        format!("2 probes written to `{}`", path.display())
    );
    let written = fs::read_to_string(&path).expect("it is there");
    let read = parse_probe_file(&written)
        .into_iter()
        .map(|(_, probe)| probe.expect("a probe").text);
    assert_eq!(read.collect::<Vec<_>>(), texts);
    assert_eq!(desk.state.unsaved(), UnsavedWork::default());
    // A second time it is refused, with the text to mend.
    desk.line_of_command(&format!("w {}", path.display()));
    assert!(desk.screen().contains("is there already"));
    desk.keys("m");
    assert!(
        matches!(&desk.state.overlay, Overlay::Prompt(prompt) if prompt.purpose == Purpose::Command)
    );
}

#[test]
fn events_are_exported_as_the_filter_shows_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("events.csv");
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    desk.hit(1, 1..=60, 18);
    assert_eq!(desk.state.unsaved().events, 50);
    desk.keys("3/437");
    desk.press(KeyCode::Enter);
    let shown = desk.state.events.len();
    desk.keys("W");
    desk.keys(path.to_str().expect("a path"));
    desk.press(KeyCode::Enter);
    let told = format!(
        "{shown} events written to `{}` (those that pass `437`; 10 older ones were no longer kept)",
        path.display()
    );
    assert_eq!(desk.message(), told);
    let rows = fs::read_to_string(&path).expect("it is there");
    assert_eq!(rows.lines().count(), shown + 1);
    assert_eq!(desk.state.unsaved().events, 50, "the others are in no file");
    desk.keys("3");
    desk.press(KeyCode::Esc);
    desk.keys("W");
    desk.keys(path.with_extension("all.csv").to_str().expect("a path"));
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.unsaved().events, 0, "{}", desk.message());
    desk.hit(1, 61..=61, 18);
    assert_eq!(desk.state.unsaved().events, 1);
}

#[test]
fn file_is_written_after_the_probes_that_were_typed_before() {
    let mut desk = Desk::open((120, 40));
    let enter = |desk: &mut Desk, text: &str| {
        desk.keys(":");
        desk.keys(text);
        let command = UiAction::Command(KeyCommand::Activate);
        desk.state.update(command, desk.now)
    };
    let add = enter(&mut desk, "log main.rs:18");
    let write = enter(&mut desk, "w /no/such/file");
    assert!(write.is_empty(), "{write:?}");
    desk.answer(add);
    assert_eq!(
        desk.asked
            .iter()
            .filter(|asked| *asked == "WriteFile")
            .count(),
        1
    );
    assert!(
        desk.screen()
            .contains("! cannot write `/no/such/file`: No such file")
    );
}
