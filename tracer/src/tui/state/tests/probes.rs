//! Keys that add, change, silence and remove probes.

use super::super::super::action::AddRequest;
use super::*;
use crate::base::diagnostic::Diagnostic;

#[test]
fn enter_on_a_line_puts_a_logpoint_and_enter_again_removes_it() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.probes.len(), 1);
    assert_eq!(desk.state.probes_on(18).count(), 1);
    desk.press(KeyCode::Enter);
    assert!(desk.state.probes.is_empty());
    assert_eq!(
        desk.fake.log(),
        ["add log target-app/src/main.rs:18", "remove p1"]
    );
}

#[test]
fn enter_on_a_line_without_code_names_the_nearest() {
    let mut desk = Desk::open((80, 24));
    desk.keys(":17");
    desk.press(KeyCode::Enter);
    desk.press(KeyCode::Enter);
    let message = desk
        .state
        .message
        .as_ref()
        .map(|message| message.text.as_str());
    assert_eq!(
        message,
        Some("no code on line 17; the nearest lines with code are 16 and 18")
    );
    assert!(desk.fake.log().is_empty());
}

#[test]
fn template_with_a_mistake_is_mended_with_it_marked_and_nothing_lost() {
    let mut desk = Desk::open((80, 24));
    desk.wait(Duration::from_millis(200));
    desk.press(KeyCode::Char('t'));
    desk.keys(" {curent.x}");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.mode(), Mode::Main);
    let screen = desk.screen();
    for shown in ["Refused", "hint: there is `current`", "m mends it"] {
        assert!(screen.contains(shown), "{shown}: {screen}");
    }
    desk.keys("m");
    let Overlay::Prompt(prompt) = &desk.state.overlay else {
        unreachable!("the line opens")
    };
    let text = prompt.input.value().to_owned();
    let span = prompt.error.as_ref().and_then(|error| error.span.clone());
    assert_eq!(
        span.and_then(|span| text.get(span).map(str::to_owned)),
        Some("curent".to_owned())
    );
    let after = text.len() - text.find("ent.x").unwrap_or(0);
    (0..after).for_each(|_| desk.press(KeyCode::Left));
    desk.keys("r");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.mode(), Mode::Main);
    assert!(desk.state.queue.refused.is_empty());
    assert_eq!(
        desk.state.probes[0].text,
        "log target-app/src/main.rs:18 \"last {last} current {current} connection {connection} {current.x}\""
    );
}

impl Desk {
    /// The session refuses a probe.
    fn refuse(&mut self, text: &str) {
        let request = AddRequest {
            ticket: 9,
            ..AddRequest::new(text.into())
        };
        self.act(UiAction::Reply(WorkerReply::Added {
            request,
            result: Err(Diagnostic::new("no room")),
        }));
    }

    /// The line that is typed.
    fn prompt(&self) -> Option<(Purpose, &str)> {
        match &self.state.overlay {
            Overlay::Prompt(prompt) => Some((prompt.purpose, prompt.input.value())),
            _ => None,
        }
    }
}

#[test]
fn refused_probe_takes_no_key_and_waits_to_be_mended() {
    let mut desk = Desk::open((80, 24));
    desk.refuse("log main.rs:18");
    desk.refuse("log main.rs:20");
    assert!(desk.screen().contains("Refused 1 of 2"));
    // Keys go on to the panes.
    desk.keys("j");
    assert_eq!(desk.line(), 19);
    desk.keys("m");
    assert_eq!(desk.prompt(), Some((Purpose::Probe, "log main.rs:18")));
    assert!(!desk.screen().contains("Refused"));
    desk.press(KeyCode::Esc);
    assert!(desk.screen().contains("log main.rs:20"));
    desk.press(KeyCode::Esc);
    assert!(!desk.screen().contains("Refused"));
    // The text is not lost then, either.
    desk.keys(":");
    desk.press(KeyCode::Up);
    assert_eq!(desk.prompt(), Some((Purpose::Command, "log main.rs:18")));
    desk.press(KeyCode::Up);
    assert_eq!(desk.prompt(), Some((Purpose::Command, "log main.rs:20")));
}

#[test]
fn refusal_while_another_line_is_typed_leaves_that_line_alone() {
    let mut desk = Desk::open((80, 24));
    desk.keys("/abc");
    desk.refuse("log main.rs:18");
    assert_eq!(desk.prompt(), Some((Purpose::Search, "abc")));
    desk.keys("d");
    assert_eq!(desk.prompt(), Some((Purpose::Search, "abcd")));
    desk.press(KeyCode::Esc);
    assert!(desk.screen().contains("! no room"));
}

#[test]
fn commands_typed_while_a_probe_is_attached_are_queued_in_order() {
    let mut desk = Desk::open((80, 24));
    let mut effects = Vec::new();
    for c in ":log main.rs:18\n:log main.rs:20\n:log main.rs:18\n".chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            c => KeyCode::Char(c),
        };
        let action = desk
            .state
            .action_of(KeyEvent::new(code, KeyModifiers::NONE))
            .expect("each key has a meaning");
        effects.extend(desk.state.update(action, desk.now));
    }
    assert_eq!(desk.state.mode(), Mode::Main);
    let screen = desk.screen();
    assert!(screen.contains("⠋ attaching…  log main.rs:18"), "{screen}");
    assert!(screen.contains("attaching log main.rs:18 and 2 more"));
    assert!(desk.state.is_busy());
    // The busy sign turns.
    desk.act(UiAction::Tick);
    let before = desk.state.spinner();
    desk.now += Duration::from_millis(100);
    desk.act(UiAction::Tick);
    assert_ne!(before, desk.state.spinner());
    desk.answer(effects);
    assert_eq!(
        desk.fake.log(),
        [
            "add log main.rs:18",
            "add log main.rs:20",
            "add log main.rs:18"
        ]
    );
    assert!(!desk.state.is_busy());
}

#[test]
fn probe_that_comes_leaves_the_selected_row_of_the_table_alone() {
    let mut desk = Desk::open((80, 24));
    for line in [18, 20] {
        desk.keys(&format!(":log main.rs:{line}"));
        desk.press(KeyCode::Enter);
    }
    desk.keys("2");
    desk.press(KeyCode::Home);
    desk.keys(":log main.rs:21");
    desk.press(KeyCode::Enter);
    desk.keys("d");
    assert_eq!(
        desk.fake.log().last().map(String::as_str),
        Some("remove p1")
    );
}

#[test]
fn paste_of_several_lines_waits_for_enter_at_each() {
    let mut desk = Desk::open((80, 24));
    desk.act(UiAction::Paste(
        "# probes\n:log main.rs:18\r\n\n  log main.rs:20 \"d\"\nx\n".into(),
    ));
    assert!(desk.fake.log().is_empty(), "a paste does nothing by itself");
    assert_eq!(desk.prompt(), Some((Purpose::Command, "log main.rs:18")));
    desk.press(KeyCode::Enter);
    assert_eq!(
        desk.prompt(),
        Some((Purpose::Command, "log main.rs:20 \"d\""))
    );
    desk.press(KeyCode::Enter);
    assert_eq!(desk.prompt(), Some((Purpose::Command, "x")));
    desk.press(KeyCode::Esc);
    assert_eq!(desk.prompt(), None);
    assert_eq!(
        desk.fake.log(),
        ["add log main.rs:18", "add log main.rs:20 \"d\""]
    );
    // Into a line that is typed already.
    desk.keys(":log ");
    desk.act(UiAction::Paste("main.rs:21\n log main.rs:22".into()));
    assert_eq!(desk.prompt(), Some((Purpose::Command, "log main.rs:21")));
    desk.press(KeyCode::Esc);
    assert_eq!(desk.prompt(), None);
    desk.keys(":");
    desk.press(KeyCode::Up);
    assert_eq!(desk.prompt(), Some((Purpose::Command, "log main.rs:22")));
}

#[test]
fn key_without_a_meaning_is_named() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Char('ß'));
    assert!(desk.screen().contains("no key `ß` here; ? shows the keys"));
    desk.keys("?");
    desk.press(KeyCode::F(7));
    assert!(desk.screen().contains("no key `F7` here"));
}

#[test]
fn command_line_takes_any_probe() {
    let mut desk = Desk::open((80, 24));
    desk.keys(":log main.rs:20 \"x\" if current.x > 3 as moved");
    desk.press(KeyCode::Enter);
    assert_eq!(
        desk.state
            .probes
            .iter()
            .map(|probe| probe.name.as_str())
            .collect::<Vec<_>>(),
        ["moved"]
    );
}

#[test]
fn edit_installs_the_new_text_before_the_old_probe_goes() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.keys("e if last.x > 0");
    desk.press(KeyCode::Enter);
    assert_eq!(
        desk.fake.log(),
        [
            "add log target-app/src/main.rs:18",
            "add log target-app/src/main.rs:18 if last.x > 0",
            "remove p1"
        ]
    );
    assert_eq!(desk.state.probes.len(), 1);
}

#[test]
fn edit_with_a_mistake_keeps_the_old_probe() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.keys("e if curent.x");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.probes.len(), 1);
    desk.keys("m");
    let id = desk.state.probes[0].id;
    let text = "log target-app/src/main.rs:18 if curent.x";
    assert_eq!(desk.prompt(), Some((Purpose::Edit(id), text)));
    desk.press(KeyCode::Esc);
    assert_eq!(desk.state.probes.len(), 1);
}

#[test]
fn space_silences_and_wakes_the_probe() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.keys(" ");
    assert!(!desk.state.probes[0].enabled && desk.screen().contains("18 ○"));
    desk.keys(" ");
    assert!(desk.state.probes[0].enabled && desk.screen().contains("18 ●"));
}

#[test]
fn probe_that_is_done_says_so_and_begins_anew_when_it_is_woken() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    let id = desk.state.probes[0].id;
    let told = ProbeDone {
        probe: id,
        name: "p1".into(),
        done: Done {
            reason: DoneReason::Hits(5),
            time_ns: 1_763_813_071_250_117_042,
        },
    };
    desk.fake.end(&told);
    desk.act(UiAction::Notices(vec![Notice::Done(told)]));
    desk.wait(Duration::from_secs(1));
    let screen = desk.screen();
    assert!(
        screen.contains("18 ✓") && screen.contains("✓ p1"),
        "{screen}"
    );
    assert!(screen.contains("p1 is done after 5 hits"), "{screen}");
    desk.keys("i");
    let screen = desk.screen();
    let state = "done at 12:04:31.250, after 5 hits; Space restarts it";
    assert!(screen.contains(state), "{screen}");
    desk.press(KeyCode::Esc);
    // All probes are silenced and woken. The done probe is none of those that were awake.
    desk.keys("xx");
    assert!(desk.state.probes[0].done.is_some());
    desk.keys(" ");
    assert!(desk.screen().contains("18 ●"), "{}", desk.screen());
    assert!(desk.fake.log().contains(&"wake p1".to_owned()));
}

#[test]
fn events_that_were_left_out_are_marked_between_the_others() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    let mut event = fake::event(1, 40, "x 7");
    event.left_out.limited = 1432;
    let limited = ProbeLimited {
        probe: ProbeId(1),
        name: "p1".into(),
        rate: 1000,
        is_default: true,
        per_process: false,
        time_ns: 0,
    };
    desk.act(UiAction::Notices(vec![
        Notice::Event(Arc::new(fake::event(1, 1, "x 6"))),
        Notice::Event(Arc::new(event)),
        Notice::Limited(limited),
    ]));
    let screen = desk.screen();
    // The last one: the newest value stands in the source, too.
    let lines: Vec<&str> = screen.lines().collect();
    let row = |text: &str| lines.iter().rposition(|line| line.contains(text));
    let gap = row("… 1,432 hits of p1 were over its rate limit").expect("a gap");
    assert!(row("x 6") < Some(gap) && Some(gap) < row("x 7"), "{screen}");
    assert!(screen.contains("p1 is over its rate limit of 1,000/s, the default"));
}

#[test]
fn silence_all_wakes_only_those_that_were_awake() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.keys("]");
    desk.press(KeyCode::Enter);
    desk.keys(" x");
    assert!(desk.state.probes.iter().all(|probe| !probe.enabled));
    assert!(desk.screen().contains("SILENCED"));
    desk.keys("x");
    assert_eq!(
        desk.state
            .probes
            .iter()
            .map(|probe| probe.enabled)
            .collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn probe_added_while_all_are_silenced_is_silenced_too() {
    let mut desk = Desk::open((80, 24));
    desk.keys("x");
    desk.press(KeyCode::Enter);
    assert!(!desk.fake.probes()[0].enabled);
    desk.keys("x");
    assert!(desk.fake.probes()[0].enabled);
}

#[test]
fn delete_in_the_table_removes_the_selected_probe() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.keys("]");
    desk.press(KeyCode::Enter);
    desk.keys("2kd");
    assert_eq!(
        desk.state
            .probes
            .iter()
            .map(|probe| probe.line)
            .collect::<Vec<_>>(),
        [19]
    );
}

#[test]
fn enter_in_the_table_goes_to_the_line_of_the_probe() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.keys("G2");
    assert_ne!(desk.line(), 18);
    desk.press(KeyCode::Enter);
    assert_eq!(desk.line(), 18);
}

#[test]
fn state_of_before_a_probe_was_silenced_does_not_wake_it() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    let before = desk.fake.probes();
    let key = KeyEvent::new(KeyCode::Char(' '), KeyModifiers::NONE);
    let action = desk.state.action_of(key).expect("it silences");
    let effects = desk.state.update(action, desk.now);
    desk.tell_probes(before);
    assert!(!desk.state.probes[0].enabled);
    desk.answer(effects);
    // A later status counts: a signal may have woken the probe.
    desk.fake.set_enabled(ProbeId(1), true);
    desk.wait(Duration::from_secs(1));
    assert!(desk.state.probes[0].enabled);
}

#[test]
fn events_that_a_collector_did_not_get_are_in_the_totals_and_with_their_probe() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    assert!(!desk.screen().contains("not delivered"));
    desk.state.probes[0].undelivered = 12;
    let screen = desk.screen();
    assert!(screen.contains("! 12 not delivered"), "{screen}");
    let details = desk.state.probe_lines(desk.state.probes[0].id);
    let undelivered = details.iter().find(|(name, _)| name == "undelivered");
    assert!(undelivered.is_some_and(|(_, text)| text.starts_with("12 ")));
}
