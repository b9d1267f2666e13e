//! The pane of a program: start, keys, output, end.

use super::super::super::program::pane::{ProgramPane, ProgramPhase};
use proptest::prelude::*;

use super::*;

/// A desk with a program that waits, and its source open.
pub(super) fn desk(size: (u16, u16)) -> Desk {
    let mut desk = Desk::new(size);
    let program = ProgramPane::new("app".into(), "./app --flag 'two words'".into());
    let effects = desk.state.show_program(program);
    desk.answer(effects);
    desk.press(KeyCode::Enter);
    desk
}

/// The program runs.
fn running(size: (u16, u16)) -> Desk {
    let mut desk = desk(size);
    desk.keys("r");
    assert_eq!(desk.phase(), ProgramPhase::Running(4711));
    desk
}

impl Desk {
    fn phase(&self) -> ProgramPhase {
        self.state
            .program
            .as_ref()
            .map(|program| program.phase)
            .expect("there is one")
    }

    fn output(&mut self, bytes: &[u8]) {
        self.act(UiAction::Output(bytes.to_vec()));
    }

    fn asked_for(&self, effect: &str) -> usize {
        self.asked.iter().filter(|asked| *asked == effect).count()
    }

    /// The bytes that a key types into the program.
    fn typed(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Vec<u8> {
        let action = self.state.action_of(KeyEvent::new(code, modifiers));
        let effects = self.state.update(action.expect("a key"), self.now);
        let typed = effects.iter().filter_map(|effect| match effect {
            UiEffect::TypeBytes(bytes) => Some(bytes.clone()),
            _ => None,
        });
        let typed = typed.flatten().collect();
        self.answer(effects);
        typed
    }
}

#[test]
fn program_starts_by_key_or_command_and_only_once() {
    for start in ["r", ":start"] {
        let mut desk = desk((80, 24));
        assert!(
            desk.screen()
                .contains("app has not started: choose a line, r (or :start) starts it")
        );
        assert_eq!(desk.asked_for("StartProgram"), 0);
        desk.keys(start);
        if start.starts_with(':') {
            desk.press(KeyCode::Enter);
        }
        assert_eq!(desk.phase(), ProgramPhase::Running(4711));
        assert!(
            desk.screen().contains("5 app ─ pid 4711"),
            "{}",
            desk.screen()
        );
        desk.keys("r");
        assert_eq!(desk.asked_for("StartProgram"), 1);
        assert!(desk.screen().contains("runs already"));
    }
}

#[test]
fn program_starts_after_the_probe_that_is_under_way() {
    let mut desk = desk((80, 24));
    desk.keys(":18");
    desk.press(KeyCode::Enter);
    let add = desk
        .state
        .update(UiAction::Command(KeyCommand::Activate), desk.now);
    desk.keys("r");
    assert_eq!(
        (desk.phase(), desk.asked_for("StartProgram")),
        (ProgramPhase::Wanted, 0)
    );
    desk.answer(add);
    assert_eq!(
        (desk.phase(), desk.asked_for("StartProgram")),
        (ProgramPhase::Running(4711), 1)
    );
    let at = |effect: &str| desk.asked.iter().position(|asked| asked == effect);
    assert!(at("Add") < at("StartProgram"), "{:?}", desk.asked);
}

#[test]
fn program_waits_on_if_the_probe_that_is_under_way_is_refused() {
    let mut desk = desk((80, 24));
    desk.keys(":18");
    desk.press(KeyCode::Enter);
    let command = UiAction::Command(KeyCommand::Activate);
    let add = desk.state.update(command, desk.now);
    desk.keys("r");
    assert_eq!(desk.phase(), ProgramPhase::Wanted);
    let [UiEffect::Add(request)] = &add[..] else {
        panic!("{add:?}");
    };
    desk.act(UiAction::Reply(WorkerReply::Added {
        request: request.clone(),
        result: Err(Diagnostic::new("no code there")),
    }));
    assert_eq!(
        (desk.phase(), desk.asked_for("StartProgram")),
        (ProgramPhase::Waiting, 0)
    );
}

#[test]
fn keys_go_to_the_program_until_the_one_that_leads_back() {
    let mut desk = running((80, 24));
    desk.keys(">");
    assert_eq!(desk.state.mode(), Mode::Program);
    assert!(desk.screen().contains("keys go to it; Ctrl-] leads back"));
    let none = KeyModifiers::NONE;
    assert_eq!(desk.typed(KeyCode::Char('q'), none), b"q");
    assert_eq!(desk.typed(KeyCode::Enter, none), b"\r");
    assert_eq!(desk.typed(KeyCode::Char('c'), KeyModifiers::CONTROL), [3]);
    desk.output(b"\x1b[?1h");
    assert_eq!(desk.typed(KeyCode::Up, none), b"\x1bOA");
    desk.output(b"\x1b[?2004h");
    desk.act(UiAction::Paste("x\ny".into()));
    assert_eq!(desk.state.outcome, None);
    // As terminals send it.
    desk.press_with(KeyCode::Char('5'), KeyModifiers::CONTROL);
    assert_eq!(desk.state.mode(), Mode::Main);
    let typed = desk.asked_for("TypeBytes");
    assert_eq!(typed, 5);
    desk.keys("1n");
    assert_eq!(desk.asked_for("TypeBytes"), typed);
}

#[test]
fn program_that_reads_nothing_gets_a_bounded_number_of_keys() {
    let mut desk = running((80, 24));
    desk.keys(">");
    let paste = "x".repeat(40_000);
    for (asked, text) in [(1, ""), (0, "does not read what is typed")] {
        let effects = desk.state.update(UiAction::Paste(paste.clone()), desk.now);
        assert_eq!(effects.len(), asked);
        desk.press_with(KeyCode::Char(']'), KeyModifiers::CONTROL);
        assert!(desk.screen().contains(text), "{}", desk.screen());
        desk.keys(">");
    }
}

#[test]
fn keys_before_the_start_and_after_the_end_are_commands() {
    let mut desk = desk((80, 24));
    desk.keys(">");
    assert_eq!(
        (desk.state.mode(), desk.state.focus),
        (Mode::Main, Pane::Program)
    );
    assert!(
        desk.screen()
            .contains("it reads keys once it runs; r starts it")
    );
    desk.keys("r>");
    assert_eq!(desk.state.mode(), Mode::Program);
    desk.act(UiAction::Reply(WorkerReply::Ended(Some(-11))));
    assert_eq!(desk.state.mode(), Mode::Main);
    assert!(desk.screen().contains("5 app ━ ended by signal 11"));
}

#[test]
fn output_is_drawn_with_its_colours_and_answers_go_back() {
    let mut desk = running((80, 24));
    desk.output(b"10 %\r100 %\r\n\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[6n");
    let screen = desk.screen();
    assert!(screen.contains("\"100 %"), "{screen}");
    assert!(!screen.contains("title"), "{screen}");
    assert_eq!(desk.asked_for("TypeBytes"), 1);
    let area = desk.state.regions().program;
    let backend = desk.draw();
    let cell = &backend.buffer()[(0, area.y + 2)];
    assert_eq!((cell.symbol(), cell.fg), ("r", ratatui::style::Color::Red));
}

#[test]
fn hidden_and_reordering_characters_of_the_program_are_not_drawn() {
    let mut desk = running((80, 24));
    desk.output("a\u{202e}b\u{200b}c 日本\u{9b}31m".as_bytes());
    let area = desk.state.regions().program;
    let backend = desk.draw();
    let row: String = (0..10)
        .map(|x| backend.buffer()[(x, area.y + 1)].symbol().to_owned())
        .collect();
    assert_eq!(row, "abc 日 本 31");
}

#[test]
fn terminal_of_the_program_is_as_large_as_its_pane() {
    let mut desk = running((80, 24));
    let inner = |desk: &Desk| PaneRegions::inner(desk.state.regions().program).as_size();
    let has = |desk: &Desk| {
        desk.state
            .program
            .as_ref()
            .map(|program| program.emulator.size())
    };
    assert_eq!(has(&desk), Some(inner(&desk)));
    let before = desk.asked_for("ResizeProgram");
    desk.act(UiAction::Resize(120, 40));
    assert_eq!(has(&desk), Some(inner(&desk)));
    assert_eq!(desk.asked_for("ResizeProgram"), before + 1);
    desk.keys("5z");
    assert_eq!(has(&desk), Some(Size::new(120, 37)));
    // While another pane has the screen, the program keeps its size.
    desk.keys("1");
    assert_eq!(has(&desk), Some(Size::new(120, 37)));
}

#[test]
fn earlier_output_is_shown_by_scrolling_and_typing_returns_to_the_newest() {
    let mut desk = running((80, 24));
    for line in 0..50 {
        desk.output(format!("line {line}.\r\n").as_bytes());
    }
    assert!(!desk.screen().contains("line 20."));
    desk.keys("5");
    for _ in 0..27 {
        desk.press(KeyCode::Up);
    }
    let screen = desk.screen();
    assert!(
        screen.contains("line 20.") && screen.contains("27 rows back"),
        "{screen}"
    );
    desk.press(KeyCode::Home);
    assert!(desk.screen().contains("line 0."));
    desk.press(KeyCode::Enter);
    assert!(desk.screen().contains("line 49."));
}

#[test]
fn quitting_while_the_program_runs_is_asked_first() {
    for (key, outcome) in [
        (KeyCode::Enter, UiOutcome::Quit),
        (KeyCode::Char('e'), UiOutcome::EndProgram),
    ] {
        for quit in ["q", ":quit"] {
            let mut desk = running((80, 24));
            desk.keys(quit);
            if quit.starts_with(':') {
                desk.press(KeyCode::Enter);
            }
            assert_eq!((desk.state.mode(), desk.state.outcome), (Mode::Leave, None));
            assert!(desk.screen().contains("the program goes on"));
            desk.press(KeyCode::Esc);
            assert_eq!(desk.state.mode(), Mode::Main);
            desk.press_with(KeyCode::Char('c'), KeyModifiers::CONTROL);
            desk.press(key);
            assert_eq!(desk.state.outcome, Some(outcome));
        }
    }
    let mut waiting = desk((80, 24));
    waiting.keys("q");
    assert_eq!(waiting.state.outcome, Some(UiOutcome::Quit));
    let mut ended = running((80, 24));
    ended.keys("q");
    ended.act(UiAction::Reply(WorkerReply::Ended(Some(0))));
    // There is nothing to ask any more.
    assert_eq!(ended.state.mode(), Mode::Main);
    ended.keys("q");
    assert_eq!(ended.state.outcome, Some(UiOutcome::Quit));
}

#[test]
fn end_of_the_program_is_told_and_everything_stays() {
    let mut desk = running((80, 24));
    desk.output(b"last words\r\n");
    desk.act(UiAction::Reply(WorkerReply::Ended(Some(3))));
    desk.act(UiAction::Notices(vec![Notice::TargetExited(None)]));
    let screen = desk.screen();
    assert!(
        screen.contains("app exited with code 3; all events stay readable, q leaves"),
        "{screen}"
    );
    assert!(screen.contains("last words"));
    desk.keys("r");
    assert!(desk.screen().contains("`tracer run` starts it again"));
}

#[test]
fn click_on_another_pane_leads_back_from_the_program() {
    let mut desk = running((80, 24));
    desk.keys(">");
    desk.click(5, 3);
    assert_eq!(
        (desk.state.mode(), desk.state.focus),
        (Mode::Main, Pane::Source)
    );
    assert_eq!(
        desk.state.program.as_ref().map(|program| program.typing),
        Some(false)
    );
}

#[test]
fn screen_of_a_program_that_waits_at_80x24() {
    insta::assert_snapshot!(desk((80, 24)).screen());
}

/// A program that has run for a while, with a probe in it.
pub(super) fn busy(size: (u16, u16)) -> Desk {
    let mut desk = desk(size);
    desk.keys(":18");
    desk.press(KeyCode::Enter);
    desk.press(KeyCode::Enter);
    desk.keys("r");
    desk.hit(1, 1..=3, 18);
    desk.output(
        b"$ \x1b[1mapp\x1b[0m 0.1\r\nreading 3 files\r\n\x1b[33mwarning:\x1b[0m 2 are empty\r\n> ",
    );
    desk.keys(">");
    desk
}

#[test]
fn screen_of_a_program_that_runs_at_80x24() {
    insta::assert_snapshot!(busy((80, 24)).screen());
}

#[test]
fn screen_of_a_program_that_runs_at_120x40() {
    insta::assert_snapshot!(busy((120, 40)).screen());
}

#[test]
fn screen_of_a_program_that_runs_at_200x50() {
    insta::assert_snapshot!(busy((200, 50)).screen());
}

#[test]
fn screen_of_the_question_at_the_end() {
    let mut desk = busy((80, 24));
    desk.press_with(KeyCode::Char(']'), KeyModifiers::CONTROL);
    desk.keys("q");
    insta::assert_snapshot!(desk.screen());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_output_at_any_size_reaches_the_screen_without_control_characters(
        outputs in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..4),
        width in 1u16..160, height in 1u16..50,
    ) {
        let mut desk = running((80, 24));
        desk.keys("5");
        for output in outputs {
            desk.output(&output);
            desk.act(UiAction::Resize(width, height));
            let backend = desk.draw();
            for cell in backend.buffer().content() {
                prop_assert!(!cell.symbol().chars().any(crate::base::visible::is_hostile), "{:?}", cell.symbol());
            }
        }
    }
}
