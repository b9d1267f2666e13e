//! Messages at the foot, and places that are gone to before they are there.

use super::*;

#[test]
fn answer_to_a_command_is_read_before_news_take_its_place() {
    let mut desk = Desk::open((120, 24));
    desk.state.say("an answer", false);
    let news = || vec![Notice::Note("some news".into())];
    desk.act(UiAction::Notices(news()));
    let foot = |desk: &Desk| desk.state.message.as_ref().expect("one").text.clone();
    assert_eq!(foot(&desk), "an answer");
    desk.now += Duration::from_secs(3);
    desk.act(UiAction::Tick);
    assert_eq!(foot(&desk), "some news");
    // Newer news are not held up by older ones.
    desk.act(UiAction::Notices(vec![Notice::Note("more news".into())]));
    assert_eq!(foot(&desk), "more news");
}

#[test]
fn place_that_was_asked_for_last_is_the_one_that_opens() {
    let mut desk = Desk::new((80, 24));
    desk.state.wanted = Some((Arc::new("/elsewhere.rs".into()), 1));
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.wanted, None, "the user has opened another file");
    let file = desk.state.source.as_ref().expect("it is open").file.clone();
    let mut source = SourceView::new(file, 1, Some(16));
    // The text is not there yet.
    source.go_to(3, 20);
    source.set_text(Ok(Arc::new(Document::new("a line\n".repeat(40)))), 20);
    assert_eq!(source.line(), 3);
}

#[test]
fn note_that_comes_before_enter_does_not_take_the_key() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    desk.hit(1, 1..=3, 18);
    desk.act(UiAction::Notices(vec![Notice::Note("some news".into())]));
    desk.keys("3");
    desk.press(KeyCode::Enter);
    assert!(desk.screen().contains("p1 hit 3"), "{}", desk.screen());
    desk.press(KeyCode::Esc);
    // Whoever selects the note is told.
    desk.hit(1, 4..=4, 18);
    // The event was selected, and the note is below it.
    desk.keys("j");
    desk.press(KeyCode::Enter);
    assert!(matches!(desk.state.overlay, Overlay::None));
    assert!(desk.screen().contains("this row is not an event"));
}

#[test]
fn rest_of_a_paste_does_not_come_up_behind_another_line() {
    let mut desk = Desk::open((120, 40));
    desk.act(UiAction::Paste(":help\n:log main.rs:57".into()));
    desk.press(KeyCode::Enter);
    desk.press(KeyCode::Esc);
    desk.keys("3/x");
    desk.press(KeyCode::Enter);
    assert!(
        matches!(desk.state.overlay, Overlay::None),
        "{}",
        desk.screen()
    );
}

#[test]
fn file_list_that_is_left_keeps_no_keys() {
    let mut desk = Desk::open((120, 40));
    desk.state.files = None;
    desk.keys("f");
    desk.press(KeyCode::Enter);
    desk.keys("dx");
    desk.press(KeyCode::Esc);
    assert!(desk.state.queue.held.is_empty());
    let files = desk.fake.source_files();
    desk.act(UiAction::Reply(WorkerReply::Files(files)));
    assert!(!desk.state.silenced, "`x` was typed into the list");
}
