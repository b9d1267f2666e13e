//! A traced call, step by step: keys, mouse, comparison, recordings, screens.

use super::*;
use crate::event::StepKind;
use crate::event::call::CallKey;
use crate::session::playback::{Extent, Window};
use crate::tui::action::{CallWish, LoadedCall};
use crate::tui::state::stepping::StepView;
use crate::tui::state::stepping::rows::{self, PassCount, RowChange};

/// A desk with traced calls, stepping at the last step.
pub(super) fn traced(size: (u16, u16), calls: &[u64]) -> Desk {
    let mut desk = listed(size, calls);
    desk.press(KeyCode::Enter);
    desk
}

/// A desk with the steps of traced calls in the list of events.
fn listed(size: (u16, u16), calls: &[u64]) -> Desk {
    let mut desk = Desk::open(size);
    desk.keys(":trace main.rs:31 depth 1");
    desk.press(KeyCode::Enter);
    let events = calls.iter().flat_map(|call| fake::traced_call(*call));
    let notices = events.map(Notice::Event).collect();
    desk.act(UiAction::Notices(notices));
    desk.keys("3");
    // The message at the foot gives way to the keys.
    desk.wait(Duration::from_secs(9));
    desk
}

impl Desk {
    fn stepping(&self) -> &Stepping {
        match &self.state.overlay {
            Overlay::Steps(view) => view,
            other => panic!("no steps: {other:?}"),
        }
    }

    /// Number and line of the current step.
    fn step(&self) -> (u64, u64) {
        let stepped = self.state.stepped().expect("a call is open");
        let step = stepped.call.step(stepped.index).expect("it has the step");
        (step.number(), step.event.origin.line)
    }

    /// Goes to a step by its number.
    fn go_to_step(&mut self, number: u64) {
        self.keys(&format!("g{number}"));
        self.press(KeyCode::Enter);
        assert_eq!(self.step().0, number);
    }

    fn foot(&self) -> &str {
        let message = self.state.message.as_ref();
        message.map_or("", |message| &message.text)
    }

    /// The rows of the values: sign, name, text.
    fn values(&self) -> Vec<String> {
        let stepped = self.state.stepped().expect("a call is open");
        let rows = rows::rows(stepped.call, stepped.index).into_iter();
        rows.map(|row| match row.change {
            RowChange::Same => format!("{} {}", row.name, row.text),
            RowChange::New => format!("+{} {}", row.name, row.text),
            RowChange::Changed(before) => format!("{} {before} -> {}", row.name, row.text),
            RowChange::Gone => format!("-{} {}", row.name, row.text),
            RowChange::Returned => format!("={} {}", row.name, row.text),
        })
        .collect()
    }
}

/// A pane that is not there has no key of it.
fn shown(desk: &Desk, text: &str) -> bool {
    desk.screen().contains(text)
}

#[test]
fn enter_on_a_step_opens_its_call_there() {
    let mut desk = traced((120, 40), &[1]);
    assert_eq!(desk.state.mode(), Mode::Steps);
    assert_eq!(desk.step(), (42, 40));
    desk.press(KeyCode::Esc);
    assert_eq!(desk.state.mode(), Mode::Main);
    assert_eq!(desk.state.focus, Pane::Events);
    // Another row of the list: 10 steps further up.
    (0..10).for_each(|_| desk.press(KeyCode::Up));
    desk.press(KeyCode::Enter);
    assert_eq!(desk.step(), (32, 33));
    // The source pane has followed.
    assert_eq!(desk.line(), 33);
    desk.keys("q");
    for command in [":steps", ":step"] {
        desk.keys(command);
        desk.press(KeyCode::Enter);
        assert_eq!(desk.state.mode(), Mode::Steps, "{command}");
        desk.press(KeyCode::Esc);
    }
}

#[test]
fn command_without_a_traced_call_says_how_to_get_one() {
    let mut desk = Desk::open((80, 24));
    desk.keys(":steps");
    desk.press(KeyCode::Enter);
    assert!(desk.foot().contains(":trace FUNCTION"), "{}", desk.foot());
    assert_eq!(desk.state.mode(), Mode::Main);
}

#[test]
fn keys_step_forward_and_back_over_into_and_out() {
    let mut desk = traced((80, 24), &[1]);
    desk.press(KeyCode::Home);
    for (keys, step) in [
        ("l", (2, 33)),
        ("h", (1, 31)),
        // In `watch`: over the call of `report_mouse_movement`.
        ("llllllll", (9, 36)),
        (">", (15, 38)),
        ("<", (9, 36)),
        ("i", (10, 16)),
        ("ll", (12, 19)),
        ("o", (15, 38)),
        ("I", (10, 16)),
        ("O", (9, 36)),
        ("]", (35, 36)),
        ("[", (9, 36)),
        ("i", (10, 16)),
        ("}", (36, 16)),
        ("{", (10, 16)),
        ("G", (42, 40)),
    ] {
        desk.keys(keys);
        assert_eq!(desk.step(), step, "{keys}");
    }
    for (keys, text) in [
        ("l", "this is the last step"),
        ("i", "no further call of this frame is recorded"),
        ("o", "no later step of a caller is recorded"),
        ("]", "no later pass of this line in this frame"),
        ("}", "no later pass of this line"),
    ] {
        desk.keys(keys);
        assert_eq!((desk.foot(), desk.step().0), (text, 42), "{keys}");
    }
    for (code, number) in [
        (KeyCode::F(10), 2),
        (KeyCode::F(11), 10),
        (KeyCode::F(12), 15),
    ] {
        if number == 2 {
            desk.press(KeyCode::Home);
        }
        desk.press(code);
        assert_eq!(desk.step().0, number, "{code:?}");
    }
    desk.press_with(KeyCode::Left, KeyModifiers::SHIFT);
    assert_eq!(desk.step().0, 9);
}

#[test]
fn values_show_what_changed_since_the_last_step_of_the_frame() {
    let mut desk = traced((120, 40), &[1]);
    desk.go_to_step(2);
    assert_eq!(desk.values(), ["+turn 0", "+last {x: 100, y: 300}"]);
    desk.go_to_step(6);
    assert_eq!(
        desk.values(),
        [
            "turn 0 -> 1",
            "last {x: 100, y: 300}",
            "-current {x: 100, y: 300}"
        ]
    );
    desk.go_to_step(15);
    let returned = "=report_mouse_movement() ()";
    assert_eq!(desk.values()[0], returned);
    desk.go_to_step(14);
    assert_eq!(desk.values(), ["+$return ()"]);
    desk.go_to_step(10);
    assert_eq!(
        desk.values(),
        ["last {x: 100, y: 300}", "current {x: 140, y: 300}"]
    );
    let stepped = desk.state.stepped().expect("a call is open");
    let passes = rows::passes(stepped.call, 18);
    let of = |line: u64| passes.get(&line).copied();
    assert_eq!(
        of(33),
        Some(PassCount {
            so_far: 3,
            later: 1
        })
    );
    assert_eq!(
        of(36),
        Some(PassCount {
            so_far: 1,
            later: 1
        })
    );
    // That of the inner call is not of this frame.
    assert_eq!(of(16), None);
}

#[test]
fn variable_stays_selected_and_leads_to_its_changes() {
    let mut desk = traced((120, 40), &[1]);
    desk.go_to_step(30);
    desk.press(KeyCode::Down);
    let variable = |desk: &Desk| desk.stepping().variable.clone().unwrap_or_default();
    assert_eq!(variable(&desk), "last");
    // It is in another row where a call has returned.
    desk.go_to_step(15);
    assert_eq!(
        (variable(&desk).as_str(), desk.stepping().variables.cursor),
        ("last", 2)
    );
    desk.go_to_step(30);
    desk.keys("C");
    assert_eq!(desk.step(), (16, 33));
    assert_eq!(desk.foot(), "`last` changed by line 38, step 15");
    assert_eq!(variable(&desk), "last");
    desk.keys("C");
    assert_eq!(desk.step(), (2, 33));
    desk.keys("C");
    assert_eq!(desk.foot(), "no earlier change of `last` in this frame");
    desk.keys("cc");
    assert_eq!(desk.step(), (16, 33));
    // `current` comes into scope behind a gap.
    desk.go_to_step(41);
    desk.press(KeyCode::Down);
    assert_eq!(variable(&desk), "current");
    desk.keys("b");
    assert_eq!(desk.step(), (34, 35));
    desk.keys("CC");
    assert_eq!(desk.step(), (30, 35));
    desk.keys("y");
    assert_eq!(
        desk.copied.last().map(String::as_str),
        Some("Pointer { x: 140, y: 300 }")
    );
    desk.keys("Y");
    let line = desk.copied.last().cloned().unwrap_or_default();
    assert!(line.contains(r#""step":{"call":1,"number":30"#), "{line}");
}

#[test]
fn change_that_may_be_of_a_missing_step_says_so() {
    let mut events = fake::traced_call(1);
    // The step at which `last` is assigned is lost.
    events.retain(|event| event.step.as_ref().is_some_and(|step| step.number != 15));
    let mut desk = Desk::open((120, 40));
    desk.keys(":trace main.rs:31 depth 1");
    desk.press(KeyCode::Enter);
    desk.act(UiAction::Notices(
        events.into_iter().map(Notice::Event).collect(),
    ));
    desk.keys("3");
    desk.press(KeyCode::Enter);
    desk.go_to_step(30);
    desk.press(KeyCode::Down);
    desk.keys("C");
    assert_eq!(
        desk.foot(),
        "`last` changed by line 36, step 9 or a step that is missing"
    );
    assert!(shown(&desk, "⋯ 1 lost"), "{}", desk.screen());
}

#[test]
fn step_is_found_by_an_expression() {
    let mut desk = traced((120, 40), &[1]);
    desk.press(KeyCode::Home);
    desk.keys("n");
    assert!(desk.foot().contains("finds where"), "{}", desk.foot());
    desk.keys("/current.x == 90 && turn == 3");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.step(), (34, 35));
    desk.keys("n");
    assert_eq!(desk.step(), (35, 36));
    desk.keys("N");
    assert_eq!(desk.step(), (34, 35));
    // Steps without the variable are told, and do not count as steps at which it does not hold.
    desk.keys("N");
    assert_eq!(desk.step().0, 34);
    assert!(
        desk.foot()
            .starts_with("`current.x == 90 && turn == 3` holds at no earlier step; not known at"),
        "{}",
        desk.foot()
    );
    assert!(
        desk.foot().ends_with("is not recorded here"),
        "{}",
        desk.foot()
    );
    // A mistake keeps the line open.
    desk.keys("/turn ==");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.mode(), Mode::StepsPrompt);
    assert!(
        desk.state
            .message
            .as_ref()
            .is_some_and(|message| message.bad)
    );
    desk.keys(" 0");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.mode(), Mode::Steps);
    desk.keys("N");
    assert_eq!(desk.step(), (5, 38));
    desk.keys("/x");
    desk.press(KeyCode::Esc);
    assert_eq!((desk.state.mode(), desk.step().0), (Mode::Steps, 5));
}

#[test]
fn views_of_a_variable_are_a_plot_and_a_table() {
    let mut desk = traced((120, 40), &[1]);
    desk.go_to_step(30);
    desk.press(KeyCode::Down);
    desk.keys("v");
    assert_eq!(desk.stepping().view, StepView::Plot);
    assert!(shown(&desk, "last.x"), "{}", desk.screen());
    desk.keys("v");
    assert_eq!(desk.stepping().view, StepView::Table);
    for row in ["2 to 15", "16 to 41"] {
        assert!(shown(&desk, row), "{row}: {}", desk.screen());
    }
    desk.press(KeyCode::Esc);
    assert_eq!(desk.stepping().view, StepView::Variables);
    desk.keys("V");
    assert_eq!(desk.stepping().view, StepView::Table);
}

#[test]
fn calls_stand_beside_each_other_up_to_their_first_difference() {
    let mut desk = traced((120, 40), &[1, 2]);
    desk.keys("d");
    assert!(
        desk.foot().contains("puts another call beside"),
        "{}",
        desk.foot()
    );
    desk.keys("(");
    assert_eq!((desk.stepping().call.call, desk.step().0), (1, 1));
    desk.keys("(");
    assert_eq!(desk.foot(), "no earlier call of this probe is kept");
    desk.keys("=");
    let typing = desk
        .stepping()
        .typing
        .as_ref()
        .map(|typing| typing.input.value());
    assert_eq!(typing, Some("2"));
    desk.press(KeyCode::Enter);
    assert_eq!(desk.stepping().other.map(|other| other.call), Some(2));
    desk.keys("d");
    assert_eq!(
        (desk.step(), desk.foot()),
        ((34, 35), "the first difference")
    );
    assert!(
        shown(&desk, "values differ first at step 34"),
        "{}",
        desk.screen()
    );
    desk.keys("dddd");
    assert_eq!(desk.step(), (38, 21));
    assert_eq!(desk.foot(), "the calls go on with other lines");
    desk.keys("d");
    assert_eq!(desk.foot(), "no later difference");
    desk.keys("DDDD");
    assert_eq!(desk.step().0, 34);
    desk.press(KeyCode::Esc);
    assert_eq!(
        (desk.stepping().other, desk.state.mode()),
        (None, Mode::Steps)
    );
    desk.keys("=9");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.foot(), "no step of call 29 is kept");
}

#[test]
fn call_that_is_being_recorded_grows_and_keeps_the_step() {
    let mut desk = Desk::open((120, 40));
    desk.keys(":trace main.rs:31 depth 1");
    desk.press(KeyCode::Enter);
    let mut events = fake::traced_call(1);
    let rest = events.split_off(8);
    // One of the first steps comes late.
    let late = events.remove(3);
    desk.act(UiAction::Notices(
        events.into_iter().map(Notice::Event).collect(),
    ));
    desk.keys("3");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.step(), (8, 35));
    desk.keys("l");
    assert_eq!(desk.foot(), "no later step is known yet");
    assert!(shown(&desk, "still runs"), "{}", desk.screen());
    assert!(
        shown(&desk, "step 8 of 8…, 1 not recorded"),
        "{}",
        desk.screen()
    );
    let notices = rest.into_iter().chain([late]).map(Notice::Event);
    desk.act(UiAction::Notices(notices.collect()));
    assert_eq!(desk.step(), (8, 35));
    desk.keys("hhhh");
    assert_eq!(desk.step(), (4, 35));
    desk.keys("G");
    assert_eq!(desk.step(), (42, 40));
    assert!(shown(&desk, "returned after"), "{}", desk.screen());
}

#[test]
fn event_in_full_and_help_lead_back_to_the_step() {
    let mut desk = traced((120, 40), &[1]);
    desk.go_to_step(8);
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.mode(), Mode::Event);
    assert!(shown(&desk, "hit 108"), "{}", desk.screen());
    desk.press(KeyCode::Esc);
    assert_eq!((desk.state.mode(), desk.step().0), (Mode::Steps, 8));
    desk.keys("?");
    assert_eq!(desk.state.mode(), Mode::Help);
    assert!(
        shown(&desk, "In the steps of a traced call"),
        "{}",
        desk.screen()
    );
    desk.press(KeyCode::Esc);
    assert_eq!((desk.state.mode(), desk.step().0), (Mode::Steps, 8));
    desk.keys("E");
    let edited: Vec<u64> = desk.edited.iter().map(|place| place.line).collect();
    assert_eq!(edited, [35]);
}

#[test]
fn mouse_selects_lines_variables_frames_and_places_in_the_call() {
    let mut desk = traced((120, 40), &[1]);
    desk.go_to_step(8);
    let regions = desk.stepping().regions(desk.state.size);
    // A line of the source: its next pass.
    let top = desk.stepping().source.top as u16;
    desk.click(5, regions.source.y + 1 + (33 - 1 - top));
    assert_eq!(desk.step(), (16, 33));
    // The second variable.
    desk.click(regions.variables.x + 3, regions.variables.y + 2);
    assert_eq!(desk.stepping().variable.as_deref(), Some("last"));
    // The third frame.
    desk.click(regions.frames.x + 3, regions.frames.y + 3);
    assert_eq!(desk.step(), (36, 16));
    desk.click(regions.bar.x, regions.bar.y);
    assert_eq!(desk.step(), (1, 31));
    let wheel = |desk: &mut Desk, (x, y), lines| desk.act(UiAction::Scroll { x, y, lines });
    let before = desk.stepping().source.top;
    wheel(&mut desk, (5, regions.source.y + 3), 3);
    assert_eq!((desk.stepping().source.top, desk.step().0), (before + 3, 1));
    wheel(&mut desk, (5, regions.bar.y), 3);
    assert_eq!(desk.step().0, 4);
    wheel(&mut desk, (regions.frames.x, regions.frames.y + 1), 1);
    assert_eq!(desk.stepping().frames.top, 1);
    wheel(&mut desk, (regions.variables.x, regions.variables.y + 1), 1);
    assert_eq!(desk.step().0, 4);
}

#[test]
fn call_of_a_recording_is_read_as_a_whole() {
    let mut desk = Desk::open((120, 40));
    let extent = Extent {
        events: 60,
        first_ns: 1,
        last_ns: 2,
    };
    let effects = desk.state.show_recording(extent);
    desk.answer(effects);
    let all = fake::traced_call(1);
    let near: Vec<_> = all[10..14].to_vec();
    let window = Window {
        notices: near.iter().cloned().map(Notice::Event).collect(),
        numbers: (10..14).collect(),
        selected: Some(12),
        ..Window::default()
    };
    desk.act(UiAction::Reply(WorkerReply::Window(LoadedWindow {
        window: Box::new(window),
        filter: Filter::default(),
        is_jump: true,
    })));
    let action = UiAction::Command(KeyCommand::Activate);
    let effects = desk.state.update(action, desk.now);
    let wishes: Vec<CallWish> = effects
        .iter()
        .filter_map(|effect| match effect {
            UiEffect::LoadCall(wish) => Some(*wish),
            _ => None,
        })
        .collect();
    let wish = CallWish {
        probe: ProbeId(1),
        call: 1,
        near: 12,
        is_other: false,
    };
    assert_eq!(wishes, [wish]);
    assert!(shown(&desk, "reading…"), "{}", desk.screen());
    assert_eq!(desk.step().0, 13);
    let loaded = LoadedCall {
        wish,
        events: all,
        is_partial: false,
    };
    desk.act(UiAction::Reply(WorkerReply::Call(loaded)));
    assert_eq!(desk.step().0, 13);
    desk.press(KeyCode::Home);
    assert_eq!(desk.step().0, 1);
    // The next call is searched for.
    desk.keys(")");
    assert!(
        desk.asked.contains(&"LoadCall".to_owned()),
        "{:?}",
        desk.asked
    );
    let loaded = LoadedCall {
        wish: CallWish { call: 2, ..wish },
        events: fake::traced_call(2),
        is_partial: false,
    };
    desk.act(UiAction::Reply(WorkerReply::Call(loaded)));
    assert_eq!((desk.stepping().call.call, desk.step().0), (2, 1));
    let loaded = LoadedCall {
        wish: CallWish { call: 3, ..wish },
        events: Vec::new(),
        is_partial: false,
    };
    desk.act(UiAction::Reply(WorkerReply::Call(loaded)));
    assert_eq!(desk.foot(), "call 3 is not in the recording");
}

#[test]
fn list_of_events_shows_steps_by_depth_and_change() {
    let mut desk = listed((200, 60), &[1]);
    desk.keys("z");
    let screen = desk.screen();
    for part in [
        "#1 │ → target_app::report_mouse_movement last={x: 140, y: 300}, current={x: 90, y: 300}",
        "#1 │ ← target_app::report_mouse_movement $return=()",
        "#1 ⋯12 ",
        "#1 turn=2, last={x: 140, y: 300}",
    ] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
    let wide = listed((120, 40), &[1, 2]);
    assert!(shown(&wide, "2 calls, 60 steps"), "{}", wide.screen());
}

#[test]
fn calls_that_are_kept_are_bounded_and_the_open_one_stays() {
    let mut desk = traced((80, 24), &[1]);
    for call in 10..1000 {
        let steps = fake::traced_call(call).into_iter().take(2);
        desk.act(UiAction::Notices(steps.map(Notice::Event).collect()));
    }
    assert_eq!((desk.stepping().call.call, desk.step().0), (1, 42));
    let calls = desk.state.calls.of_probe(ProbeId(1));
    assert_eq!(calls.len(), 512);
    let key = |call| CallKey {
        probe: ProbeId(1),
        pid: 4242,
        tid: 4711,
        call,
    };
    assert!(calls.contains(&key(1)) && !calls.contains(&key(10)) && calls.contains(&key(999)));
}

#[test]
fn call_that_was_left_shows_no_values() {
    let mut events = fake::traced_call(1);
    events.truncate(8);
    let mut left = (*events[7]).clone();
    if let Some(step) = &mut left.step {
        (step.number, step.kind, step.depth) = (9, StepKind::Left, 0);
    }
    events.push(Arc::new(left));
    let mut desk = Desk::open((120, 40));
    desk.keys(":trace main.rs:31 depth 1");
    desk.press(KeyCode::Enter);
    desk.act(UiAction::Notices(
        events.into_iter().map(Notice::Event).collect(),
    ));
    desk.keys("3");
    desk.press(KeyCode::Enter);
    assert!(
        shown(&desk, "its values are not known"),
        "{}",
        desk.screen()
    );
    assert!(shown(&desk, "✗ no return"), "{}", desk.screen());
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.mode(), Mode::Steps);
}

// Screens.

#[test]
fn screen_of_steps_at_80x24() {
    let mut desk = traced((80, 24), &[1, 2]);
    desk.go_to_step(29);
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn screen_of_steps_at_120x40() {
    let mut desk = traced((120, 40), &[1, 2]);
    desk.go_to_step(15);
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn screen_of_steps_at_200x60() {
    let mut desk = traced((200, 60), &[1, 2]);
    desk.go_to_step(38);
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn screen_of_a_plot_at_120x40() {
    let mut desk = traced((120, 40), &[1]);
    desk.go_to_step(30);
    desk.press(KeyCode::Down);
    desk.keys("v");
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn screen_of_a_table_at_80x24() {
    let mut desk = traced((80, 24), &[1]);
    desk.go_to_step(30);
    desk.press(KeyCode::Down);
    desk.keys("V");
    insta::assert_snapshot!(desk.screen());
}

/// Two calls at their first difference.
fn compared(size: (u16, u16)) -> Desk {
    let mut desk = traced(size, &[1, 2]);
    desk.keys("=");
    desk.press(KeyCode::Enter);
    desk.press(KeyCode::Home);
    desk.keys("d");
    desk
}

#[test]
fn screen_of_two_calls_at_80x24() {
    insta::assert_snapshot!(compared((80, 24)).screen());
}

#[test]
fn screen_of_two_calls_at_120x40() {
    insta::assert_snapshot!(compared((120, 40)).screen());
}

#[test]
fn screen_of_two_calls_at_200x60() {
    insta::assert_snapshot!(compared((200, 60)).screen());
}

#[test]
fn source_that_comes_after_its_step_is_scrolled_to_its_line() {
    let mut desk = listed((100, 20), &[1]);
    desk.state.source = None;
    let enter = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
    let action = desk.state.action_of(enter).expect("the key has a meaning");
    let effects = desk.state.update(action, desk.now);
    assert_eq!(desk.step().1, 40);
    assert_eq!(desk.stepping().source.top, 0, "no line is there yet");
    desk.answer(effects);
    let view = desk.stepping();
    let rows = usize::from(view.regions(desk.state.size).source.height) - 1;
    let shown = view.source.top..view.source.top + rows;
    assert!(shown.contains(&39), "line 40 in {shown:?}");
}
