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
