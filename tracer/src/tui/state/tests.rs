//! Keys, mouse and whole screens, over made-up answers.

mod answers;
mod any_keys;
mod changes;
mod completion;
mod events;
mod probes;
mod program;
mod recordings;
mod results;
mod stepping;
mod themes;
mod watching;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;

use super::super::action::{EditorPlace, LoadedWindow};
use super::super::document::Document;
use super::super::fake::{self, Fake};
use super::super::keymap::bindings;
use super::super::prompt::Purpose;
use super::super::theme::Role;
use super::super::{Keymap, ThemeChoice, UiOptions, view};
use super::*;
use crate::event::{
    AggregateBody, CountRow, Done, DoneReason, ProbeDone, ProbeLimited, ProcessHits, ProcessLabels,
    TargetId, TargetOrigin, TargetStatus,
};
use crate::session::{Control, SourceFile};
use crate::value::Value;

/// A state whose effects a fake session carries out at once.
struct Desk {
    state: UiState,
    fake: Fake,
    start: Instant,
    now: Instant,
    /// Requested effects, in order, by name.
    asked: Vec<String>,
    /// The texts that were copied.
    copied: Vec<String>,
    /// The places that the editor was opened at.
    edited: Vec<EditorPlace>,
}

impl Desk {
    fn new(size: (u16, u16)) -> Self {
        Self::with(Fake::new(30), size)
    }

    fn with(fake: Fake, size: (u16, u16)) -> Self {
        let options = UiOptions {
            theme: ThemeChoice::Terminal,
            keymap: Keymap::default(),
            notes: Vec::new(),
            mouse: true,
            time_zone: TimeZone::UTC,
            processes: false,
            events: 50,
            user: None,
        };
        let start = Instant::now();
        let (state, effects) = UiState::new(
            &options,
            fake.target(),
            fake.targets(),
            fake.probes(),
            size.into(),
            start,
        );
        let mut desk = Self {
            state,
            fake,
            start,
            now: start,
            asked: Vec::new(),
            copied: Vec::new(),
            edited: Vec::new(),
        };
        desk.answer(effects);
        desk
    }

    /// Opens the main file, with the cursor on line 18.
    fn open(size: (u16, u16)) -> Self {
        let mut desk = Self::new(size);
        desk.press(KeyCode::Enter);
        desk.keys(":18");
        desk.press(KeyCode::Enter);
        desk
    }

    fn act(&mut self, action: UiAction) {
        let effects = self.state.update(action, self.now);
        self.answer(effects);
    }

    fn answer(&mut self, effects: Vec<UiEffect>) {
        let mut queue = VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            match &effect {
                UiEffect::Copy(text) => self.copied.push(text.clone()),
                UiEffect::OpenEditor(place) => self.edited.push(place.clone()),
                _ => {}
            }
            let name = format!("{effect:?}");
            self.asked
                .push(name.split([' ', '(', '{']).next().unwrap_or("").to_owned());
            for reply in replies(&self.fake, effect) {
                queue.extend(self.state.update(UiAction::Reply(reply), self.now));
            }
        }
    }

    fn press(&mut self, code: KeyCode) {
        self.press_with(code, KeyModifiers::NONE);
    }

    fn press_with(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        if let Some(action) = self.state.action_of(KeyEvent::new(code, modifiers)) {
            self.act(action);
        }
    }

    fn keys(&mut self, text: &str) {
        text.chars().for_each(|c| self.press(KeyCode::Char(c)));
    }

    /// Time passes, a tick at a time.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(50);
            self.act(UiAction::Tick);
            // The session reports more often than that.
            self.tell_probes(self.fake.probes());
        }
    }

    /// The session reports its probes.
    fn tell_probes(&mut self, probes: Vec<ProbeStatus>) {
        self.act(UiAction::Notices(vec![Notice::Probes(probes)]));
    }

    /// Adds these hits of a probe, each reported at once.
    fn hit(&mut self, probe: u32, hits: std::ops::RangeInclusive<u64>, line: u64) {
        for hit in hits {
            self.fake
                .send(Notice::Event(Arc::new(fake::full_event(probe, hit, line))));
        }
        let notices = self.fake.take_notices(usize::MAX);
        self.act(UiAction::Notices(notices));
    }

    fn click(&mut self, x: u16, y: u16) {
        self.act(UiAction::Click { x, y });
    }

    fn line(&self) -> u64 {
        self.state.source.as_ref().map_or(0, SourceView::line)
    }

    fn draw(&self) -> TestBackend {
        self.drawn().0
    }

    /// The screen with its styles, also those of the second halves of wide characters.
    fn frame(&self) -> Buffer {
        self.drawn().1
    }

    fn drawn(&self) -> (TestBackend, Buffer) {
        let Size { width, height } = self.state.size;
        let mut terminal =
            Terminal::new(TestBackend::new(width, height)).expect("a test backend cannot fail");
        let mut buffer = Buffer::default();
        terminal
            .draw(|frame| {
                view::draw(&self.state, frame);
                buffer = frame.buffer_mut().clone();
            })
            .expect("a test backend cannot fail");
        (terminal.backend().clone(), buffer)
    }

    fn screen(&self) -> String {
        self.draw().to_string()
    }
}

fn replies(fake: &Fake, effect: UiEffect) -> Vec<WorkerReply> {
    match effect {
        UiEffect::LoadFiles => vec![WorkerReply::Files(fake.source_files())],
        UiEffect::LoadSource { generation, file } => {
            let text = fake
                .source_text(&file)
                .map(|text| Arc::new(Document::of_source(text)));
            vec![
                WorkerReply::Text { generation, text },
                WorkerReply::Outline {
                    generation,
                    outline: fake.outline(&file),
                },
                WorkerReply::Lines {
                    generation,
                    lines: fake.lines(&file),
                },
            ]
        }
        UiEffect::Highlight {
            generation,
            document,
            file,
        } => {
            let mut all = Vec::new();
            super::super::document::highlight(&document, &file.path, |from, spans| {
                all.push(WorkerReply::Highlighted {
                    generation,
                    from,
                    spans,
                });
                true
            });
            all
        }
        UiEffect::Variables {
            generation,
            file,
            line,
        } => {
            vec![WorkerReply::Variables {
                generation,
                line,
                variables: fake.variables(&file, line),
            }]
        }
        UiEffect::Add(request) => {
            let result = super::super::workers::add(fake, &request).map(Box::new);
            vec![WorkerReply::Added { request, result }]
        }
        UiEffect::Remove(id) => vec![super::super::workers::remove(fake, id)],
        UiEffect::Names(request) => {
            let names = super::super::workers::names(fake, &request);
            vec![WorkerReply::Names(request, names)]
        }
        UiEffect::WriteFile(request) => {
            let control: Arc<dyn Control> = Arc::new(Fake::new(0));
            let written = super::super::workers::saving::write(&request, &control, None);
            vec![WorkerReply::Written(Box::new(request), written)]
        }
        UiEffect::SetEnabled(ids, enabled) => {
            ids.into_iter().for_each(|id| fake.set_enabled(id, enabled));
            vec![WorkerReply::Switched]
        }
        UiEffect::RefreshAggregates => vec![WorkerReply::Aggregates(fake.aggregates())],
        UiEffect::StartProgram => vec![WorkerReply::Started(Ok(4711))],
        UiEffect::TypeBytes(bytes) => vec![WorkerReply::Typed(bytes.len())],
        UiEffect::ResizeProgram(_)
        | UiEffect::LoadWindow { .. }
        | UiEffect::LoadCall(_)
        | UiEffect::Copy(_)
        | UiEffect::OpenEditor(_) => Vec::new(),
        UiEffect::EditSource { file, line } => {
            let path = fake.source_path(&file);
            let place = path.map(|path| EditorPlace { path, line });
            vec![WorkerReply::EditorPlace(place)]
        }
    }
}

// Keys.

#[test]
fn first_screen_without_a_probe_is_the_file_picker() {
    let desk = Desk::new((80, 24));
    assert_eq!(desk.state.mode(), Mode::Picker);
    assert_eq!(desk.asked, ["LoadFiles"]);
}

#[test]
fn keys_typed_before_the_files_are_known_are_carried_out_in_order() {
    let fake = Fake::new(3);
    let options = UiOptions::default();
    let start = Instant::now();
    let (mut state, effects) = UiState::new(
        &options,
        fake.target(),
        fake.targets(),
        fake.probes(),
        (80, 24).into(),
        start,
    );
    assert!(matches!(effects[..], [UiEffect::LoadFiles]));
    for c in "conn\n:log main.rs:20\nd".chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            c => KeyCode::Char(c),
        };
        let action = state.action_of(KeyEvent::new(code, KeyModifiers::NONE));
        state.update(action.expect("each key has a meaning"), start);
    }
    let files = UiAction::Reply(WorkerReply::Files(fake.source_files()));
    let effects = state.update(files, start);
    let asked: Vec<String> = effects
        .iter()
        .map(|effect| format!("{effect:.20?}"))
        .collect();
    assert!(asked[0].starts_with("LoadSource"), "{asked:?}");
    assert!(asked.iter().any(|one| one.starts_with("Add")), "{asked:?}");
    let source = state.source.as_ref().map(|source| source.file.path.clone());
    assert!(source.is_some_and(|path| path.ends_with("x11/connection.rs")));
    assert_eq!(state.queue.pending.len(), 1);
}

#[test]
fn first_screen_with_a_probe_is_its_line() {
    let fake = Fake::new(0);
    fake.add("log main.rs:18").expect("the fake takes it");
    let desk = Desk::with(fake, (80, 24));
    assert_eq!((desk.state.mode(), desk.line()), (Mode::Main, 18));
}

#[test]
fn picker_with_typed_letters_opens_the_file() {
    let mut desk = Desk::new((80, 24));
    desk.keys("conn");
    desk.press(KeyCode::Enter);
    let path = desk
        .state
        .source
        .as_ref()
        .map(|source| source.file.path.clone());
    assert!(path.is_some_and(|path| path.ends_with("x11/connection.rs")));
}

#[test]
fn file_opened_without_a_line_shows_where_its_code_begins() {
    let mut desk = Desk::new((80, 24));
    desk.press(KeyCode::Enter);
    assert_eq!(desk.line(), 15);
}

#[test]
fn search_goes_round_and_n_goes_on() {
    let mut desk = Desk::open((80, 24));
    desk.keys("/moved");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.line(), 19);
    desk.keys("n");
    assert_eq!(desk.line(), 21);
    desk.keys("NN");
    assert_eq!(desk.line(), 26);
}

#[test]
fn go_to_line_beyond_the_end_goes_to_the_last() {
    let mut desk = Desk::open((80, 24));
    desk.keys("g99999999999999");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.line(), 47);
}

#[test]
fn variables_are_asked_for_once_the_cursor_rests() {
    let mut desk = Desk::open((80, 24));
    desk.wait(Duration::from_millis(100));
    desk.keys("jj");
    desk.wait(Duration::from_millis(100));
    assert!(!desk.asked.contains(&"Variables".to_owned()));
    desk.wait(Duration::from_millis(500));
    assert_eq!(
        desk.asked
            .iter()
            .filter(|name| *name == "Variables")
            .count(),
        1
    );
    assert!(
        desk.screen()
            .contains(" at 20 last: Pointer  current: Pointer")
    );
}

#[test]
fn pause_filter_and_clear_act_on_the_events() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.hit(1, 1..=3, 18);
    desk.keys("p");
    desk.hit(1, 4..=9, 18);
    assert_eq!(
        (desk.state.events.len(), desk.state.events.waiting()),
        (3, 6)
    );
    assert!(desk.screen().contains("PAUSED, 6 since"));
    desk.keys("p3/nothing has this");
    assert_eq!(desk.state.events.len(), 0);
    desk.press(KeyCode::Esc);
    assert_eq!(desk.state.events.len(), 9);
    desk.keys("c");
    assert_eq!(desk.state.events.kept(), 0);
}

#[test]
fn only_toggles_the_filter_of_the_probe() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.keys("o");
    assert_eq!(desk.state.events.filter.text, "@p1");
    desk.keys("o");
    assert!(desk.state.events.filter.is_empty());
}

#[test]
fn event_in_full_goes_on_to_its_neighbours() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.hit(1, 1..=3, 18);
    desk.press(KeyCode::Char('3'));
    desk.press(KeyCode::Enter);
    let number = |desk: &Desk| {
        if let Overlay::Event(detail) = &desk.state.overlay {
            Some(detail.number)
        } else {
            None
        }
    };
    assert_eq!(number(&desk), Some(2));
    desk.keys("[");
    assert_eq!(number(&desk), Some(1));
    desk.press_with(KeyCode::Right, KeyModifiers::SHIFT);
    desk.keys("]");
    assert_eq!(number(&desk), Some(2));
    desk.press(KeyCode::Esc);
    assert_eq!(desk.state.mode(), Mode::Main);
}

#[test]
fn quit_ends_from_anywhere_with_control_c() {
    for opening in ["f", ":", "?", "/", ""] {
        let mut desk = Desk::open((80, 24));
        desk.keys(opening);
        desk.press_with(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(desk.state.outcome, Some(UiOutcome::Quit), "{opening}");
    }
}

#[test]
fn target_exit_is_told_and_everything_stays_to_read() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.hit(1, 1..=3, 18);
    desk.act(UiAction::Notices(vec![Notice::TargetExited(Some(-9))]));
    assert!(desk.screen().contains("the target was ended by signal 9"));
    assert_eq!((desk.state.outcome, desk.state.events.len()), (None, 4));
    desk.keys("q");
    assert_eq!(desk.state.outcome, Some(UiOutcome::TargetExited(Some(-9))));
}

#[test]
fn reply_for_a_file_that_is_no_longer_open_is_dropped() {
    let mut desk = Desk::open((80, 24));
    let text = Ok(Arc::new(Document::new("other".into())));
    desk.act(UiAction::Reply(WorkerReply::Text {
        generation: 0,
        text,
    }));
    assert!(desk.screen().contains("report_mouse_movement"));
}

#[test]
fn every_key_of_the_panes_is_listed_in_the_help() {
    let mut desk = Desk::open((200, 240));
    desk.keys("?");
    let screen = desk.screen();
    for binding in bindings() {
        assert!(screen.contains(binding.help), "{}", binding.help);
    }
}

#[test]
fn event_in_full_wraps_what_is_long() {
    let mut desk = Desk::open((80, 40));
    let message = format!("{} the end", "word ".repeat(40));
    desk.act(UiAction::Notices(vec![Notice::Event(Arc::new(
        fake::event(1, 1, &message),
    ))]));
    desk.press(KeyCode::Char('3'));
    desk.press(KeyCode::Enter);
    assert!(desk.screen().contains("the end"));
    desk.act(UiAction::Resize(60, 40));
    assert!(desk.screen().contains("the end"));
}

#[test]
fn cursor_on_a_probed_line_selects_its_probe_in_the_table() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.keys("]");
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.probes_list.cursor, 1);
    desk.keys("[");
    assert_eq!(desk.state.probes_list.cursor, 0);
}

// Mouse.

#[test]
fn double_click_on_a_source_line_toggles_a_logpoint() {
    let mut desk = Desk::open((80, 24));
    let row = desk.state.regions().source.y
        + 1
        + (17 - desk.state.source.as_ref().map_or(0, |s| s.list.top)) as u16;
    desk.click(10, row);
    assert!(desk.state.probes.is_empty());
    desk.click(10, row);
    assert_eq!(desk.state.probes_on(18).count(), 1);
}

#[test]
fn slow_second_click_selects_only() {
    let mut desk = Desk::open((80, 24));
    desk.click(10, 3);
    desk.wait(Duration::from_secs(1));
    desk.click(10, 3);
    assert!(desk.state.probes.is_empty());
}

#[test]
fn wheel_scrolls_the_pane_under_the_pointer() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    desk.hit(1, 1..=40, 18);
    let regions = desk.state.regions();
    let top = desk.state.events.list.top;
    desk.act(UiAction::Scroll {
        x: 5,
        y: regions.events.y + 2,
        lines: -3,
    });
    assert_eq!(
        (desk.state.events.list.top, desk.state.events.follow),
        (top - 3, false)
    );
    assert_eq!((desk.line(), desk.state.focus), (18, Pane::Source));
}

// Screens.

fn busy(size: (u16, u16)) -> Desk {
    let mut desk = Desk::open(size);
    desk.press(KeyCode::Enter);
    desk.keys(":34");
    desk.press(KeyCode::Enter);
    desk.press(KeyCode::Enter);
    desk.keys(":log main.rs:24 \"{current.y}\" as a_name_that_is_far_too_long");
    desk.press(KeyCode::Enter);
    desk.keys(":18");
    desk.press(KeyCode::Enter);
    for round in 0..6 {
        desk.hit(1, round * 5 + 1..=round * 5 + 5, 18);
        desk.hit(2, round * 3 + 1..=round * 3 + 3, 34);
        desk.wait(Duration::from_millis(500));
    }
    let mut hostile = fake::event(3, 1, "\x1b]0;owned\x07 \u{202e}日本語\n\tτέλος \u{9b}2J");
    hostile.thread = "wörker \x1b[5m".into();
    desk.act(UiAction::Notices(vec![
        Notice::Event(Arc::new(hostile)),
        Notice::Warning("p2: 1 site could not be attached".into()),
    ]));
    desk.wait(Duration::from_secs(9));
    desk
}

#[test]
fn screen_of_a_busy_session_at_80x24() {
    insta::assert_snapshot!(busy((80, 24)).screen());
}

#[test]
fn screen_of_a_busy_session_at_120x40() {
    insta::assert_snapshot!(busy((120, 40)).screen());
}

#[test]
fn screen_of_a_busy_session_at_200x60() {
    insta::assert_snapshot!(busy((200, 60)).screen());
}

#[test]
fn screen_of_the_file_picker() {
    let mut desk = Desk::new((80, 24));
    desk.press_with(KeyCode::Char('a'), KeyModifiers::CONTROL);
    desk.keys("corepart1");
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn file_picker_lists_the_programs_own_files_until_all_are_asked_for() {
    let mut desk = Desk::new((80, 24));
    let own = desk.screen();
    assert!(
        own.contains("src/pointer.rs") && !own.contains("library/core"),
        "{own}"
    );
    desk.press_with(KeyCode::Char('a'), KeyModifiers::CONTROL);
    let all = desk.screen();
    assert!(
        all.contains("src/pointer.rs") && all.contains("library/core"),
        "{all}"
    );
    desk.press_with(KeyCode::Char('a'), KeyModifiers::CONTROL);
    assert_eq!(desk.screen(), own);
}

#[test]
fn file_of_several_modules_is_listed_once() {
    let mut desk = Desk::open((80, 24));
    let mut files = fake::files(3);
    let again: Vec<SourceFile> = files
        .iter()
        .map(|file| SourceFile {
            module: "libother.so".into(),
            own: false,
            ..file.clone()
        })
        .collect();
    let once = files.len();
    files.splice(1..1, again);
    desk.act(UiAction::Reply(WorkerReply::Files(files)));
    desk.keys("f");
    desk.press_with(KeyCode::Char('a'), KeyModifiers::CONTROL);
    assert!(
        desk.screen().contains(&format!("{once} of {once}")),
        "{}",
        desk.screen()
    );
}

#[test]
fn screen_of_a_mistake() {
    let mut desk = Desk::open((80, 24));
    desk.wait(Duration::from_millis(200));
    desk.keys("t {curent.x}");
    desk.press(KeyCode::Enter);
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn screen_of_an_event_in_full() {
    let mut desk = busy((100, 40));
    desk.keys("3kk");
    desk.press(KeyCode::Enter);
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn screen_of_the_help() {
    let mut desk = Desk::open((100, 40));
    desk.keys("?");
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn screen_of_a_file_that_is_not_on_disk_lists_the_lines() {
    let mut desk = Desk::new((80, 24));
    desk.press_with(KeyCode::Char('a'), KeyModifiers::CONTROL);
    desk.keys("stdmain");
    desk.press(KeyCode::Enter);
    let screen = desk.screen();
    for part in [
        "15 ·",
        "std::rt::lang_start",
        "no text",
        "is not on this machine",
    ] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
}

// Anything.

#[test]
fn what_a_probe_adds_up_is_shown_live() {
    // Beside the source where there is room, else of the probe in full.
    for (size, keys) in [((80, 24), "i"), ((200, 60), "")] {
        let mut desk = Desk::open(size);
        desk.press(KeyCode::Enter);
        desk.keys(keys);
        for count in [7, 8] {
            desk.fake.add_up(Aggregate {
                probe: ProbeId(1),
                probe_name: "p1".into(),
                action: "count",
                expr: "kind".into(),
                total: count,
                other: 0,
                body: AggregateBody::Count(vec![CountRow {
                    value: Value::Uint(41),
                    count,
                }]),
            });
            desk.wait(Duration::from_secs(1));
            let screen = desk.screen();
            let row = screen.lines().find(|line| line.contains("41"));
            let is_there = row.is_some_and(|row| row.contains(&format!(" {count} ")));
            assert!(is_there, "{screen}");
        }
    }
}

#[test]
fn list_of_targets_has_the_hits_and_the_cost_of_each() {
    let mut desk = Desk::open((100, 30));
    for (id, pid) in [(1, 4243), (2, 4244)] {
        let target = TargetStatus {
            id: TargetId(id),
            pid,
            origin: TargetOrigin::Matched,
            program: "target-app".into(),
        };
        desk.act(UiAction::Notices(vec![Notice::TargetCame(target.clone())]));
        if id == 2 {
            desk.act(UiAction::Notices(vec![Notice::TargetLeft(target)]));
        }
    }
    desk.act(UiAction::Notices(vec![Notice::TargetStopped {
        id: TargetId(1),
        stopped: true,
    }]));
    desk.keys(":log main.rs:57");
    desk.press(KeyCode::Enter);
    let hits = |target, hits| ProcessHits {
        pid: Some(4242 + target),
        target: Some(TargetId(target)),
        labels: Arc::new(ProcessLabels::gone(Some("target-app"))),
        hits,
        events: hits,
        has_ended: target == 2,
    };
    let mut probes = desk.fake.probes();
    probes[0].counters.hits = 2000;
    probes[0].cost.trap_ns = Some(1000);
    probes[0].cost.attached = Duration::from_millis(100);
    probes[0].processes = vec![hits(0, 1200), hits(1, 500), hits(2, 300)];
    desk.tell_probes(probes);
    desk.keys("T");
    insta::assert_snapshot!(desk.screen());
}
