//! Completion while a line is typed.

use super::*;

impl Desk {
    /// Types a line up to the cursor.
    fn type_line(&mut self, text: &str) {
        self.keys(":");
        self.keys(text);
    }

    fn line_typed(&self) -> &str {
        match &self.state.overlay {
            Overlay::Prompt(prompt) => prompt.input.value(),
            _ => "",
        }
    }

    fn listed(&self) -> Vec<(&str, &str)> {
        let Overlay::Prompt(prompt) = &self.state.overlay else {
            return Vec::new();
        };
        let all = prompt.completion.all.iter();
        all.map(|one| (one.text.as_str(), one.about.as_str()))
            .collect()
    }
}

#[test]
fn fields_of_a_variable_are_listed_with_their_types_and_completed() {
    let mut desk = Desk::open((80, 24));
    desk.type_line("log main.rs:20 \"{current.");
    assert_eq!(desk.listed(), [("x", "i16"), ("y", "i16")]);
    assert!(desk.screen().contains("│ x  i16"), "{}", desk.screen());
    desk.keys("y");
    // It is complete.
    assert_eq!(desk.listed(), []);
    desk.press(KeyCode::Backspace);
    for text in ["x", "y", "x"] {
        desk.press(KeyCode::Tab);
        assert_eq!(
            desk.line_typed(),
            format!("log main.rs:20 \"{{current.{text}")
        );
    }
    desk.press(KeyCode::BackTab);
    assert_eq!(desk.line_typed(), "log main.rs:20 \"{current.y");
    // The rest is typed on.
    desk.keys("}\"");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.probes[0].text, "log main.rs:20 \"{current.y}\"");
}

#[test]
fn usdt_probes_are_completed_by_provider_and_name() {
    let mut desk = Desk::open((80, 24));
    desk.type_line("log usdt:");
    let probes = [
        ("usdt:app:moved", "USDT probe"),
        ("usdt:app:started", "USDT probe"),
    ];
    assert_eq!(desk.listed(), probes);
    desk.press(KeyCode::Tab);
    assert_eq!(desk.line_typed(), "log usdt:app:");
    desk.keys("s");
    assert_eq!(desk.listed(), probes[1..]);
    desk.press(KeyCode::Tab);
    assert_eq!(desk.line_typed(), "log usdt:app:started");
}

#[test]
fn variables_and_special_names_are_completed_as_far_as_is_certain() {
    let mut desk = Desk::open((80, 24));
    desk.type_line("count main.rs:18 by co");
    assert_eq!(desk.listed().len(), 1);
    desk.press(KeyCode::Tab);
    assert_eq!(desk.line_typed(), "count main.rs:18 by connection");
    desk.press(KeyCode::Esc);
    desk.type_line("log main.rs:18 \"{$c");
    assert_eq!(
        desk.listed(),
        [("$cgroup", "of the hit"), ("$container", "of the hit")]
    );
    desk.press(KeyCode::Esc);
    desk.type_line("log main.rs:18 \"{l} text\"");
    (0..7).for_each(|_| desk.press(KeyCode::Left));
    desk.press(KeyCode::Tab);
    assert_eq!(desk.line_typed(), "log main.rs:18 \"{last} text\"");
}

#[test]
fn actions_files_functions_lines_and_options_are_completed() {
    let mut desk = Desk::open((80, 24));
    for (typed, completed) in [
        ("sn", "snapshot"),
        ("exp", "export"),
        ("log poin", "log pointer.rs:"),
        ("log repo", "log report_mouse_movement"),
        (
            "log target-app/src/main.rs:4",
            "log target-app/src/main.rs:42",
        ),
        ("log main.rs:18 tr", "log main.rs:18 trampoline"),
        ("log main.rs:18 \"x\" ra", "log main.rs:18 \"x\" rate"),
        ("count main.rs:18 b", "count main.rs:18 by"),
        ("hist main.rs:18 last.x st", "hist main.rs:18 last.x step"),
        (
            "log main.rs:18 hits 3 per p",
            "log main.rs:18 hits 3 per process",
        ),
        ("export par", "export parquet"),
    ] {
        desk.type_line(typed);
        desk.press(KeyCode::Tab);
        assert_eq!(desk.line_typed(), completed);
        desk.press(KeyCode::Esc);
    }
    desk.type_line("log main.rs:18 ");
    let words: Vec<&str> = desk.listed().iter().map(|(word, _)| *word).collect();
    for word in ["if", "hits", "rate", "every", "for", "as"] {
        assert!(words.contains(&word), "{words:?}");
    }
    assert!(!words.contains(&"by"), "{words:?}");
    assert!(desk.listed().iter().all(|(_, about)| !about.is_empty()));
}

#[test]
fn tab_says_when_nothing_completes() {
    let mut desk = Desk::open((80, 24));
    desk.type_line("log main.rs:18 \"{xyz");
    desk.press(KeyCode::Tab);
    assert!(desk.screen().contains("nothing completes `xyz` here"));
    desk.press(KeyCode::Esc);
    desk.type_line("log main.rs:18 \"{nothing.x");
    assert!(desk.screen().contains("no variable `nothing` in scope"));
}

#[test]
fn tab_before_the_session_has_answered_changes_nothing() {
    let mut desk = Desk::open((80, 24));
    desk.type_line("log main.rs:20 \"{current");
    let key = KeyEvent::new(KeyCode::Char('.'), KeyModifiers::NONE);
    let effects = desk.state.update(UiAction::Edit(key), desk.now);
    desk.press(KeyCode::Tab);
    assert_eq!(desk.line_typed(), "log main.rs:20 \"{current.");
    assert!(desk.screen().contains("still looking"));
    desk.answer(effects);
    assert_eq!(desk.listed().len(), 2);
}

#[test]
fn every_command_is_listed_with_its_effect_and_themes_with_their_names() {
    let mut desk = Desk::open((80, 24));
    desk.type_line("");
    let listed = desk.listed();
    for command in ["w", "export", "undo", "start", "theme", "help", "quit"] {
        let found = listed.iter().find(|(text, _)| *text == command);
        assert!(
            found.is_some_and(|(_, about)| !about.is_empty()),
            "{command}: {listed:?}"
        );
    }
    desk.keys("theme hi");
    assert_eq!(desk.listed(), [("high-contrast", "theme")]);
    desk.press(KeyCode::Tab);
    desk.press(KeyCode::Enter);
    assert!(desk.state.message.is_none(), "{:?}", desk.state.message);
    assert!(matches!(desk.state.overlay, Overlay::None));
}
