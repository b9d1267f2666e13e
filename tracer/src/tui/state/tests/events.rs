//! An event in full: folds, tabs, search, copying and editing.

use super::*;
use crate::base::limits::CLIPBOARD_BYTES;
use crate::sink::Sink as _;
use crate::sink::json::JsonSink;
use crate::tui::tree::Fold;

/// A desk with snapshots, the last of them in full.
fn snapshots(size: (u16, u16), count: u64) -> Desk {
    let mut desk = Desk::open(size);
    desk.press(KeyCode::Enter);
    let events = (1..=count).map(|hit| Notice::Event(Arc::new(fake::snapshot_event(hit))));
    desk.act(UiAction::Notices(events.collect()));
    desk.keys("3");
    desk.press(KeyCode::Enter);
    // The message at the foot gives way to the keys.
    desk.wait(Duration::from_secs(9));
    desk
}

impl Desk {
    fn detail(&self) -> &Detail {
        match &self.state.overlay {
            Overlay::Event(detail) => detail,
            other => panic!("no event: {other:?}"),
        }
    }

    /// The rows of the event: sign of the fold, label and text.
    fn rows(&self) -> Vec<String> {
        let sign = |fold| match fold {
            Fold::Whole => "",
            Fold::Folded => "+",
            Fold::Unfolded => "-",
        };
        let rows = self.detail().rows.iter();
        rows.map(|row| format!("{}{} {}", sign(row.fold), row.label, row.text))
            .collect()
    }

    /// The selected row.
    fn row(&self) -> String {
        let row = self.detail().look.list.cursor;
        self.rows().swap_remove(row)
    }

    /// Goes to the row with this label.
    fn go_to_row(&mut self, label: &str) {
        self.press(KeyCode::Home);
        for _ in 0..self.detail().rows.len() {
            if self.detail().rows[self.detail().look.list.cursor].label == label {
                return;
            }
            self.press(KeyCode::Down);
        }
        panic!("no row {label}: {:?}", self.rows());
    }
}

#[test]
fn screen_of_the_values_at_80x24() {
    insta::assert_snapshot!(snapshots((80, 24), 2).screen());
}

#[test]
fn screen_of_the_values_at_120x40() {
    insta::assert_snapshot!(snapshots((120, 40), 2).screen());
}

#[test]
fn screen_of_the_values_at_200x60() {
    insta::assert_snapshot!(snapshots((200, 60), 2).screen());
}

#[test]
fn screen_of_the_stack_at_80x24() {
    let mut desk = snapshots((80, 24), 2);
    desk.keys("s");
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn screen_of_the_stack_at_120x40() {
    let mut desk = snapshots((120, 40), 2);
    desk.keys("s");
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn screen_of_the_stack_at_200x60() {
    let mut desk = snapshots((200, 60), 2);
    desk.keys("s");
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn screen_of_the_json_at_120x40() {
    let mut desk = snapshots((120, 40), 2);
    desk.keys("r");
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn keys_fold_and_unfold_and_leave_a_part() {
    let mut desk = snapshots((80, 24), 1);
    desk.keys("-");
    let folded = desk.rows();
    assert_eq!(folded.len(), 5, "{folded:?}");
    desk.go_to_row("request");
    desk.press(KeyCode::Right);
    assert_eq!(desk.rows().len(), 8);
    desk.press(KeyCode::Right);
    assert_eq!(desk.row(), "id 1");
    desk.press(KeyCode::Left);
    assert!(desk.row().starts_with("-request"), "{}", desk.row());
    desk.keys("h");
    assert_eq!(desk.rows(), folded);
    desk.keys(" *");
    desk.keys("jj");
    assert!(desk.row().starts_with("-path len 69"), "{}", desk.row());
    desk.press(KeyCode::Down);
    desk.press(KeyCode::Enter);
    // Enter on a piece of a text folds the text.
    assert!(desk.row().starts_with("+path"), "{}", desk.row());
}

#[test]
fn folds_and_the_selected_part_stay_in_the_next_event() {
    let mut desk = snapshots((80, 24), 3);
    desk.keys("-");
    desk.go_to_row("request");
    desk.press(KeyCode::Enter);
    desk.keys("j");
    assert_eq!(desk.row(), "id 3");
    desk.keys("[");
    assert_eq!(desk.row(), "id 2");
    let row = &desk.detail().rows[desk.detail().look.list.cursor];
    assert!(row.changed, "the request before has another id");
    desk.press_with(KeyCode::Left, KeyModifiers::SHIFT);
    assert_eq!(desk.row(), "id 1");
    let screen = desk.screen();
    desk.keys("[");
    assert!(
        desk.screen().contains("this is the first event"),
        "{screen}"
    );
}

#[test]
fn search_goes_through_folded_parts_and_unfolds_what_it_finds() {
    let mut desk = snapshots((80, 24), 1);
    desk.keys("-/DESK%20");
    desk.press(KeyCode::Enter);
    assert!(desk.row().contains("desk%20lamp"), "{}", desk.row());
    assert!(desk.rows().iter().any(|row| row.starts_with("-request")));
    desk.keys("/health");
    desk.press(KeyCode::Enter);
    assert!(desk.row().contains("GET /health"), "{}", desk.row());
    // There is one, so the next one is the same.
    let row = desk.row();
    desk.keys("nN");
    assert_eq!(desk.row(), row);
    desk.keys("/no such thing");
    desk.press(KeyCode::Enter);
    assert!(desk.screen().contains("`no such thing` is not in Values"));
    desk.keys("s/attempt");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.row(), "attempt 1");
    // Letters are no keys while a text is typed, and Escape leaves only that.
    desk.keys("/qq");
    desk.press(KeyCode::Esc);
    assert_eq!(desk.row(), "attempt 1");
}

#[test]
fn enter_on_the_place_of_a_frame_opens_its_source() {
    let mut desk = snapshots((120, 40), 1);
    desk.keys("s-");
    desk.go_to_row("#2");
    desk.press(KeyCode::Right);
    desk.press(KeyCode::Down);
    desk.press(KeyCode::Enter);
    assert_eq!((desk.state.mode(), desk.line()), (Mode::Main, 38));
    // The event is looked at as before when it is opened again.
    desk.keys("3");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.detail().look.tab, super::super::detail::Tab::Stack);
    assert!(desk.row().ends_with("main.rs:38"), "{}", desk.row());
}

#[test]
fn copied_value_is_exact_and_copied_event_is_the_line_of_the_output() {
    let mut desk = snapshots((80, 24), 1);
    desk.keys("y");
    desk.keys("-");
    desk.go_to_row("cache");
    desk.keys("y");
    desk.go_to_row("request");
    desk.press(KeyCode::Right);
    desk.go_to_row("path");
    desk.keys("y");
    assert_eq!(desk.copied[0], "request");
    let cache: serde_json::Value = serde_json::from_str(&desk.copied[1]).expect("it is JSON");
    assert_eq!(cache["$map"][2], serde_json::json!([70_000, [111, 107]]));
    assert_eq!(
        desk.copied[2],
        "/orders/search?customer=ada&items=desk%20lamp,chair&sort=price&page=1"
    );
    assert!(desk.screen().contains("copied 69 bytes"));
    desk.keys("Y");
    desk.press(KeyCode::Esc);
    desk.keys("Yy");
    let mut written = Vec::new();
    let event = fake::snapshot_event(1);
    let told = JsonSink::new(&mut written).event(&event);
    told.expect("memory takes it");
    let line = crate::sink::json::event_line(&event);
    assert_eq!(String::from_utf8_lossy(&written), line);
    assert_eq!(
        desk.copied[3..],
        [line.trim_end(), line.trim_end(), "request"]
    );
}

#[test]
fn copy_of_much_is_cut_at_a_character_and_says_so() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    let event = fake::event(1, 1, &"é".repeat(CLIPBOARD_BYTES));
    desk.act(UiAction::Notices(vec![Notice::Event(Arc::new(event))]));
    desk.keys("3y");
    assert_eq!(desk.copied[0].len(), CLIPBOARD_BYTES / 2 * 2);
    let screen = desk.screen();
    assert!(
        screen.contains("copied the first 74,994 of 149,988 bytes"),
        "{screen}"
    );
}

#[test]
fn editor_is_opened_at_the_selected_place_and_its_failure_is_told() {
    let mut desk = snapshots((120, 40), 1);
    desk.keys("s-");
    desk.go_to_row("#2");
    desk.keys("E");
    let path = std::path::PathBuf::from("/home/dev/target-app/src/main.rs");
    let place = |line| EditorPlace {
        path: path.clone(),
        line,
    };
    assert_eq!(desk.edited, [place(38)]);
    assert!(desk.state.editing);
    // A second editor does not start meanwhile.
    desk.keys("E");
    assert_eq!(desk.edited.len(), 1);
    let failed = Diagnostic::new("`vim` ended with code 1");
    desk.act(UiAction::Reply(WorkerReply::Edited(Err(failed))));
    assert!(!desk.state.editing);
    assert!(desk.screen().contains("`vim` ended with code 1"));
    desk.press(KeyCode::Esc);
    desk.act(UiAction::Reply(WorkerReply::Edited(Ok(()))));
    desk.keys("1E");
    assert_eq!(desk.edited[1], place(18));
}

#[test]
fn own_frames_are_marked_once_the_files_are_known() {
    use crate::tui::tree::RowKind;

    let mut desk = snapshots((80, 24), 1);
    desk.keys("s");
    let own = |desk: &Desk| {
        let rows = desk.detail().rows.iter();
        rows.filter(|row| row.kind == RowKind::OwnFrame).count()
    };
    assert!(own(&desk) > 0);
    let mut files = desk.fake.source_files();
    files.iter_mut().for_each(|file| file.own = false);
    desk.act(UiAction::Reply(WorkerReply::Files(files)));
    assert_eq!(own(&desk), 0, "{}", desk.screen());
}

#[test]
fn help_of_an_event_begins_with_its_keys_and_leads_back_to_it() {
    let mut desk = snapshots((80, 24), 2);
    desk.keys("s-");
    desk.press(KeyCode::Down);
    let row = desk.row();
    desk.keys("?");
    let screen = desk.screen();
    let first = screen.lines().nth(2).expect("a line").to_owned();
    assert!(first.contains("In an event"), "{screen}");
    assert!(screen.contains("fold everything"), "{screen}");
    desk.press(KeyCode::Esc);
    assert_eq!(desk.row(), row);
    desk.keys("?");
    // The size is another one when the event comes back.
    desk.act(UiAction::Resize(120, 40));
    desk.click(0, 0);
    assert_eq!(desk.row(), row);
    // In the panes, those of the pane come first.
    desk.press(KeyCode::Esc);
    desk.keys("?");
    assert!(desk.screen().contains("In the events"));
    desk.press(KeyCode::Esc);
    assert_eq!(desk.state.mode(), Mode::Main);
}
