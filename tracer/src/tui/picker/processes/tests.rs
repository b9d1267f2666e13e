//! Keys and screens of the choice of processes.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::super::ThemeChoice;
use super::super::super::theme::contrast;
use super::super::view;
use super::*;

fn entries() -> Vec<ProcessEntry> {
    let entry = |pid, name: &str, command: &str, debug_info| ProcessEntry {
        pid,
        name: name.into(),
        command: command.into(),
        user: "dev".into(),
        debug_info,
        cpu: Some(f64::from(pid) / 10_000.0),
        age: Duration::from_secs(u64::from(pid) * 60),
        threads: pid % 10,
        place: if pid > 500 {
            "web-1".into()
        } else {
            String::new()
        },
    };
    vec![
        entry(4242, "target-app", "./target-app --seconds 60", Some(true)),
        entry(1, "init", "/sbin/init", Some(false)),
        entry(99, "ev\x1b[31mil", "日本語 \u{202e}evil", None),
        entry(501, "nginx", "nginx: master process", Some(false)),
        entry(502, "nginx", "nginx: worker process", Some(false)),
    ]
}

fn choice(size: (u16, u16)) -> Choice {
    let mut choice = Choice::new(Theme::new(ThemeChoice::Terminal), size.into());
    let known = KnownValues {
        names: ["init", "nginx", "node", "target-app"]
            .map(str::to_owned)
            .into(),
        users: vec!["www-data".into()],
        ..KnownValues::default()
    };
    choice.found(Found::Processes(entries(), known));
    choice
}

fn press(choice: &mut Choice, code: KeyCode) {
    choice.input(
        TerminalEvent::Key(KeyEvent::new(code, KeyModifiers::NONE)),
        Instant::now(),
    );
}

fn keys(choice: &mut Choice, text: &str) {
    text.chars().for_each(|c| press(choice, KeyCode::Char(c)));
}

/// Answers for the selector that is typed.
fn answer(choice: &mut Choice, pids: &[u32]) {
    let selector = choice.selector().cloned().expect("a selector is typed");
    choice.found(Found::Matching(selector, Ok(Matching::Now(pids.to_vec()))));
}

fn refuse(choice: &mut Choice, error: Diagnostic) {
    let selector = choice.selector().cloned().expect("a selector is typed");
    choice.found(Found::Matching(selector, Err(error)));
}

/// Answers that no process matches the typed selector yet.
fn none_yet(choice: &mut Choice, reason: Diagnostic) {
    let selector = choice.selector().cloned().expect("a selector is typed");
    choice.found(Found::Matching(selector, Ok(Matching::Later(reason))));
}

fn draw(choice: &Choice) -> String {
    screen(choice).to_string()
}

fn screen(choice: &Choice) -> TestBackend {
    let mut terminal =
        Terminal::new(TestBackend::new(choice.size.width, choice.size.height)).unwrap();
    terminal.draw(|frame| view::draw(choice, frame)).unwrap();
    terminal.backend().clone()
}

/// The options of the choice, if it is made.
fn done(choice: &Choice) -> Option<String> {
    let done = choice.done.clone()?;
    Some(done.map_or_else(|| "left".to_owned(), |selector| selector.to_string()))
}

#[test]
fn letters_and_enter_choose_the_process() {
    let mut choice = choice((80, 24));
    keys(&mut choice, "target");
    assert!(draw(&choice).contains("$ tracer attach --pid 4242"));
    press(&mut choice, KeyCode::Enter);
    assert_eq!(done(&choice).as_deref(), Some("--pid 4242"));
}

#[test]
fn enter_without_a_match_does_nothing_and_escape_leaves() {
    let mut choice = choice((80, 24));
    keys(&mut choice, "nothing-has-this");
    press(&mut choice, KeyCode::Enter);
    assert_eq!(done(&choice), None);
    press(&mut choice, KeyCode::Esc);
    assert_eq!(done(&choice).as_deref(), Some("left"));
}

#[test]
fn space_marks_several_processes_over_searches_and_lists() {
    let mut choice = choice((80, 24));
    keys(&mut choice, "worker ");
    for _ in 0..6 {
        press(&mut choice, KeyCode::Backspace);
    }
    keys(&mut choice, "master ");
    let screen = draw(&choice);
    assert!(screen.contains("2 processes are marked"), "{screen}");
    assert!(
        screen.contains("$ tracer attach --pid 501 --pid 502"),
        "{screen}"
    );
    // One of them ends.
    choice.found(Found::Processes(
        entries()[..4].to_vec(),
        KnownValues::default(),
    ));
    press(&mut choice, KeyCode::Enter);
    assert_eq!(done(&choice).as_deref(), Some("--pid 501"));
}

#[test]
fn space_on_a_marked_process_takes_the_mark_back() {
    let mut choice = choice((80, 24));
    keys(&mut choice, " ");
    press(&mut choice, KeyCode::Up);
    assert_eq!(choice.marked.len(), 1);
    keys(&mut choice, " ");
    assert!(choice.marked.is_empty());
}

#[test]
fn selector_shows_its_processes_and_enter_takes_it() {
    let mut choice = choice((80, 24));
    keys(&mut choice, "name:nginx user:dev");
    // Not yet answered: what is known is of another selector.
    assert!(draw(&choice).contains("looking…"));
    answer(&mut choice, &[502, 501]);
    let screen = draw(&choice);
    assert!(
        screen.contains("2 processes match now, and each later one"),
        "{screen}"
    );
    assert!(
        screen.contains("$ tracer attach --name nginx --user dev"),
        "{screen}"
    );
    assert!(
        screen.contains("2 of 5") && !screen.contains("/sbin/init"),
        "{screen}"
    );
    press(&mut choice, KeyCode::Enter);
    assert_eq!(done(&choice).as_deref(), Some("--name nginx --user dev"));
}

#[test]
fn enter_before_the_answer_waits_for_it() {
    let mut choice = choice((80, 24));
    keys(&mut choice, "name:nginx");
    press(&mut choice, KeyCode::Enter);
    assert_eq!(done(&choice), None);
    answer(&mut choice, &[501]);
    assert_eq!(done(&choice).as_deref(), Some("--name nginx"));
}

#[test]
fn mistakes_and_selectors_without_a_process_are_told_in_place() {
    let mut choice = choice((80, 24));
    keys(&mut choice, "unit:a.target");
    assert!(draw(&choice).contains("! `a.target` has no processes"));
    press(&mut choice, KeyCode::Enter);
    assert_eq!(done(&choice), None);
    press(&mut choice, KeyCode::Esc);
    let mut choice = super::tests::choice((80, 24));
    keys(&mut choice, "name:nobody");
    let error = Diagnostic::new("no process matches `--name nobody`").hint("`ps -e` lists");
    refuse(&mut choice, error);
    let screen = draw(&choice);
    assert!(
        screen.contains("! no process matches `--name nobody` "),
        "{screen}"
    );
    assert!(screen.contains("hint: `ps -e` lists"), "{screen}");
    press(&mut choice, KeyCode::Enter);
    assert_eq!(done(&choice), None);
}

#[test]
fn selector_that_nothing_matches_yet_waits_at_enter() {
    let mut choice = choice((80, 24));
    keys(&mut choice, "name:nobody");
    // Enter before the answer is no wish to wait: the name may be mistyped.
    press(&mut choice, KeyCode::Enter);
    let reason = || Diagnostic::new("no process matches `--name nobody`").hint("`ps -e` lists");
    none_yet(&mut choice, reason());
    assert_eq!(done(&choice), None);
    let screen = draw(&choice);
    for text in [
        "no process matches `--name nobody`; Enter waits",
        "$ tracer attach --wait --name nobody",
        "hint: `ps -e` lists",
        "0 of 5",
        "Enter waits for the first process",
    ] {
        assert!(screen.contains(text), "{text}\n{screen}");
    }
    press(&mut choice, KeyCode::Enter);
    assert_eq!(done(&choice).as_deref(), Some("--name nobody"));
    assert!(choice.done.flatten().expect("it is chosen").wait);
    let mut choice = super::tests::choice((80, 24));
    keys(&mut choice, "name:nginx");
    answer(&mut choice, &[501]);
    press(&mut choice, KeyCode::Enter);
    assert!(!choice.done.flatten().expect("it is chosen").wait);
}

#[test]
fn tab_completes_kinds_and_values_that_exist() {
    let mut choice = choice((80, 24));
    let line = |choice: &Choice| choice.picker.input.value().to_owned();
    press(&mut choice, KeyCode::Tab);
    assert_eq!(line(&choice), "name:");
    assert!(draw(&choice).contains("Tab: name:init  name:nginx  name:node  name:target-app"));
    keys(&mut choice, "n");
    press(&mut choice, KeyCode::Tab);
    assert_eq!(line(&choice), "name:nginx");
    press(&mut choice, KeyCode::Tab);
    assert_eq!(line(&choice), "name:node");
    press(&mut choice, KeyCode::Tab);
    assert_eq!(line(&choice), "name:nginx");
    keys(&mut choice, " us");
    press(&mut choice, KeyCode::Tab);
    press(&mut choice, KeyCode::Tab);
    assert_eq!(line(&choice), "name:nginx user:www-data");
}

#[test]
fn click_selects_the_row_under_the_pointer() {
    let mut choice = choice((80, 24));
    choice.click(HEAD + 1 + 3, Instant::now());
    assert_eq!(choice.chosen().unwrap().pids, [501]);
    choice.click(2, Instant::now());
    assert_eq!(choice.chosen().unwrap().pids, [501]);
}

#[test]
fn every_screen_is_legible_in_every_theme_that_knows_its_background() {
    let mut marked = choice((80, 14));
    keys(&mut marked, "  ");
    let mut searched = choice((80, 24));
    keys(&mut searched, "ngin");
    let mut selected = choice((120, 40));
    keys(&mut selected, "name:nginx");
    answer(&mut selected, &[501, 502]);
    let mut mistaken = choice((80, 24));
    keys(&mut mistaken, "nmae:nginx");
    let mut begun = choice((200, 60));
    keys(&mut begun, "user:www-data name:");
    for choice in [
        &mut marked,
        &mut searched,
        &mut selected,
        &mut mistaken,
        &mut begun,
    ] {
        for (name, theme) in contrast::own_themes() {
            choice.theme = theme;
            assert_eq!(
                contrast::illegible(screen(choice).buffer()),
                [""; 0],
                "{name}"
            );
        }
    }
}

#[test]
fn screen_at_80x24_shows_hostile_names_as_visible_forms() {
    insta::assert_snapshot!(draw(&choice((80, 14))));
}

#[test]
fn screen_of_marked_processes() {
    let mut choice = choice((80, 14));
    keys(&mut choice, "  ");
    insta::assert_snapshot!(draw(&choice));
}

#[test]
fn screen_of_a_selector_at_120x40() {
    let mut choice = choice((120, 40));
    keys(&mut choice, "name:nginx");
    answer(&mut choice, &[501, 502]);
    insta::assert_snapshot!(draw(&choice));
}

#[test]
fn screen_of_a_selector_that_is_being_typed_at_200x50() {
    let mut choice = choice((200, 50));
    keys(&mut choice, "user:www-data name:");
    insta::assert_snapshot!(draw(&choice));
}

proptest! {
    #[test]
    fn draw_at_any_size_does_not_panic(
        width in 1u16..120, height in 1u16..40, downs in 0usize..5, typed in "[a-z: ']{0,12}|name:[a-z]*",
    ) {
        let mut choice = choice((width, height));
        keys(&mut choice, &typed);
        if choice.selector().is_some() {
            answer(&mut choice, &[501, 502]);
        }
        (0..downs).for_each(|_| press(&mut choice, KeyCode::Down));
        press(&mut choice, KeyCode::Tab);
        draw(&choice);
    }
}

#[test]
fn processes_are_sorted_by_the_next_column_and_the_search_stays() {
    let mut choice = choice((100, 24));
    keys(&mut choice, "n");
    let order = |choice: &Choice| -> Vec<u32> {
        let shown = choice.visible(9).into_iter();
        shown.map(|(index, _)| choice.entries[index].pid).collect()
    };
    let all = |choice: &mut Choice| {
        choice.picker.input = tui_input::Input::default();
        choice.picker.search();
        order(choice)
    };
    assert_eq!(all(&mut choice)[0], 4242);
    for (column, first) in [
        ("CPU%▾", 4242),
        ("AGE▾", 1),
        ("THR▾", 99),
        ("PID▾", 1),
        ("USER▾", 1),
        ("NAME▾", 99),
        ("UNIT▾", 501),
    ] {
        let sort = KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL);
        choice.input(TerminalEvent::Key(sort), Instant::now());
        assert!(draw(&choice).contains(column), "{column}");
        assert_eq!(all(&mut choice)[0], first, "{column}");
    }
}
