//! The story of the demo: target-app prints the wrong direction, and a logpoint at the deciding
//! branch shows why.

use std::path::Path;

use serde_json::Value;

use crate::support::build::{Profile, line_of, scratch, target_app, workspace};
use crate::support::display::{Display, Point};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, tracer, value};
use crate::support::watch::Watch;

/// The deciding branch, as in the source.
const BRANCH: &str = "if current.x > last.x";
const FUNCTION: &str = "report_mouse_movement";

/// Path of the pointer: right and down, left, up, and to the corners.
pub(super) const PATH: [Point; 6] = [
    Point::at(640, 402),
    Point::at(812, 402),
    Point::at(11, 700),
    Point::at(12, 3),
    Point::at(0, 0),
    Point::at(1279, 1023),
];

pub(super) fn branch_line() -> u64 {
    line_of(&workspace().join("target-app/src/main.rs"), BRANCH)
}

/// A probe at the branch that shows all four coordinates.
fn probe() -> String {
    let line = branch_line();
    format!(
        r#"log src/main.rs:{line} "x {{last.x}} -> {{current.x}}, y {{last.y}} -> {{current.y}}""#
    )
}

/// The running target-app: its screen, the program, and the pointer's position.
pub(super) struct Stage {
    display: Display,
    pub(super) app: Program,
    at: Point,
}

impl Stage {
    /// Starts target-app, and waits until it has seen the pointer move.
    pub(super) fn set(profile: Profile) -> Self {
        Self::set_as(&target_app(profile))
    }

    /// Starts the program at another path, and waits until it has seen the pointer move.
    fn set_as(path: &Path) -> Self {
        let display = Display::start();
        let app = Program::start_with(path, &["--seconds", "300"], |command| {
            command.env("DISPLAY", &display.name);
        });
        // Its first answer is not printed, so its time is unknown. Move until a movement is
        // printed.
        let corners = [Point::at(100, 100), Point::at(200, 200)];
        for turn in 0.. {
            let at = corners[turn % 2];
            display.move_pointer(at);
            let said = format!("Location Change: X: {}, Y: {}", at.x, at.y);
            let heard = (0..150).any(|_| {
                let heard = app.stdout.lines().iter().any(|line| line.ends_with(&said));
                if !heard {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                heard
            });
            if heard {
                return Self { display, app, at };
            }
            assert!(turn < 20, "target-app does not see the pointer move");
        }
        unreachable!("the loop above ends by itself");
    }

    /// Moves the pointer, and returns the output of target-app.
    pub(super) fn go(&mut self, to: Point) -> [String; 2] {
        let from = self.app.stdout.count();
        self.display.move_pointer(to);
        let change = format!("Mouse Pointer Location Change: X: {}, Y: {}", to.x, to.y);
        let at = self
            .app
            .stdout
            .wait_line(&change, from, |line| line == change);
        let said = self.app.stdout.wait("both directions", |lines| {
            Some([lines.get(at + 1)?.clone(), lines.get(at + 2)?.clone()])
        });
        self.at = to;
        said
    }
}

/// The buggy output for a move.
fn wrong_directions(from: Point, to: Point) -> [String; 2] {
    let horizontal = if to.x > from.x { "left" } else { "right" };
    let vertical = if to.y > from.y { "up" } else { "down" };
    [horizontal, vertical].map(|way| format!("Mouse moved {way}"))
}

fn assert_tells(event: &Value, pid: u32, from: Point, to: Point) {
    let coordinates = [
        ("last.x", from.x),
        ("current.x", to.x),
        ("last.y", from.y),
        ("current.y", to.y),
    ];
    for (name, coordinate) in coordinates {
        assert_eq!(value(event, name), &Value::from(coordinate), "{event}");
    }
    let values = event["values"].as_array().expect("values");
    assert!(values.iter().all(|value| value["type"] == "i16"), "{event}");
    let message = format!("x {} -> {}, y {} -> {}", from.x, to.x, from.y, to.y);
    assert_eq!(event["message"], message);
    assert_eq!(event["thread"], "Monitor");
    assert_eq!(event["pid"], pid);
    assert_ne!(event["tid"], pid, "the thread is not the main one");
    assert_eq!(event["line"], branch_line());
    assert_eq!(event["action"], "log");
    assert_eq!(event["probe"], "p1");
    let file = event["file"].as_str().expect("a file");
    assert!(file.ends_with("target-app/src/main.rs"), "{file}");
    let function = event["function"].as_str().expect("a function");
    assert!(function.contains(FUNCTION), "{function}");
}

fn story(profile: Profile) {
    if !needs::kernel() || !needs::tools(&["Xvfb"]) {
        return;
    }
    let mut stage = Stage::set(profile);
    let pid = stage.app.pid();
    let watch = Watch::start(pid);
    let text = Text::of_exe(pid);
    let tracer = Tracer::json(pid, &[&probe()]);
    text.wait_probed(1);
    let start = stage.at;
    let mut from = start;
    for (done, to) in PATH.into_iter().enumerate() {
        assert_eq!(stage.go(to), wrong_directions(from, to), "the bug is there");
        tracer.wait_events(done + 1);
        from = to;
    }
    let finished = tracer.interrupt();
    text.wait_restored();
    watch.assert_untouched();
    assert!(stage.app.is_running());
    // It still works without probes.
    assert_eq!(
        stage.go(Point::at(77, 78)),
        wrong_directions(from, Point::at(77, 78))
    );
    check_story(&finished, pid, start);
}

fn check_story(finished: &Finished, pid: u32, mut from: Point) {
    finished.assert_code(0);
    let events = finished.events();
    assert_eq!(events.len(), PATH.len(), "{finished}");
    for ((event, to), hit) in events.iter().zip(PATH).zip(1..) {
        assert_tells(event, pid, from, to);
        assert_eq!(event["hit"], hit);
        from = to;
    }
    let summary = finished.summary("p1");
    assert_eq!(counter(&summary, "hits"), PATH.len() as u64);
    assert_eq!(counter(&summary, "events"), PATH.len() as u64);
    assert_adds_up(&summary);
}

#[test]
fn story_dev_build_shows_every_move() {
    story(Profile::Dev);
}

#[test]
fn story_release_build_shows_every_move() {
    story(Profile::Release);
}

#[test]
fn attach_by_name_without_template_shows_both_pointers() {
    if !needs::kernel() || !needs::tools(&["Xvfb"]) {
        return;
    }
    // A unique name, because other tests run target-app too.
    let name = format!("e2e-{}", std::process::id());
    let path = scratch("named").join(&name);
    std::fs::copy(target_app(Profile::Dev), &path).expect("the program is built");
    let mut stage = Stage::set_as(&path);
    let text = Text::of_exe(stage.app.pid());
    let probe = format!("log main.rs:{} as moves", branch_line());
    let tracer = Tracer::attach(&name, "json", &[&probe], &[]);
    text.wait_probed(1);
    let from = stage.at;
    stage.go(Point::at(300, 400));
    tracer.wait_events(1);
    let finished = tracer.interrupt();
    let events = finished.assert_code(0).events();
    let pointer = |at: Point| serde_json::json!({"$type": "Pointer", "x": at.x, "y": at.y});
    assert_eq!(value(&events[0], "current"), &pointer(Point::at(300, 400)));
    assert_eq!(value(&events[0], "last"), &pointer(from));
    let message = events[0]["message"].as_str().expect("a message");
    assert!(
        message.contains("current = Pointer { x: 300, y: 400 }"),
        "{message}"
    );
    assert_eq!(counter(&finished.summary("moves"), "events"), 1);
    std::fs::remove_file(path).expect("it is there");
}

#[test]
fn text_output_is_one_line_an_event() {
    if !needs::kernel() || !needs::tools(&["Xvfb"]) {
        return;
    }
    let mut stage = Stage::set(Profile::Dev);
    let pid = stage.app.pid();
    let text = Text::of_exe(pid);
    let tracer = Tracer::attach(pid, "text", &[&probe()], &[]);
    text.wait_probed(1);
    let mut from = stage.at;
    for (done, to) in PATH.into_iter().enumerate() {
        stage.go(to);
        let message = format!("x {} -> {}, y {} -> {}", from.x, to.x, from.y, to.y);
        let at = tracer
            .stdout
            .wait_line(&message, done, |line| line.ends_with(&message));
        assert_eq!(at, done, "one line an event");
        let line = tracer.stdout.lines().swap_remove(at);
        assert_text_line(&line, &message);
        from = to;
    }
    let finished = tracer.interrupt();
    finished.assert_code(0);
    assert_eq!(
        finished.stdout.len(),
        PATH.len(),
        "events only:\n{finished}"
    );
    // The summary is on stderr, with the counts.
    finished.assert_says(&["p1", "6", "hits"]);
}

/// `12:04:31.250117 Monitor/4711 main.rs:57 x 640 -> 812`
fn assert_text_line(line: &str, message: &str) {
    let mut fields = line.splitn(4, ' ');
    let mut next = || fields.next().unwrap_or_default();
    let (time, thread, location, rest) = (next(), next(), next(), next());
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "00:00:00.000000", "{line}");
    let (name, tid) = thread.split_once('/').expect("NAME/TID");
    assert_eq!(name, "Monitor");
    assert!(tid.parse::<u32>().is_ok(), "{line}");
    assert_eq!(location, format!("main.rs:{}", branch_line()));
    assert_eq!(rest, message);
    assert!(!line.contains('\x1b'), "no colour on a pipe: {line:?}");
}

#[test]
fn attach_with_event_limit_ends_by_itself() {
    if !needs::kernel() || !needs::tools(&["Xvfb"]) {
        return;
    }
    let mut stage = Stage::set(Profile::Dev);
    let pid = stage.app.pid();
    let text = Text::of_exe(pid);
    let tracer = Tracer::attach(pid, "json", &[&probe()], &["--events", "2"]);
    text.wait_probed(1);
    stage.go(PATH[0]);
    stage.go(PATH[1]);
    let finished = tracer.finish();
    text.wait_restored();
    assert_eq!(finished.assert_code(0).events().len(), 2, "{finished}");
}

#[test]
fn target_app_without_display_says_so() {
    let app = target_app(Profile::Dev);
    let mut app = Program::start_with(&app, &[], |command| {
        command.env_remove("DISPLAY");
    });
    assert_eq!(app.wait().code(), Some(1));
    app.stderr
        .wait_line("a word about DISPLAY", 0, |line| line.contains("DISPLAY"));
}

#[test]
fn lists_of_target_app_name_the_branch() {
    for profile in [Profile::Dev, Profile::Release] {
        let app = target_app(profile);
        let exe = app.to_str().expect("test paths are UTF-8");
        let at = format!("src/main.rs:{}", branch_line());
        let lines = tracer(&["lines", "--exe", exe, "src/main.rs"]);
        lines.assert_code(0);
        let number = branch_line().to_string();
        assert!(
            lines.stdout.iter().any(|line| line.contains(&number)),
            "{lines}"
        );
        let vars = tracer(&["vars", "--exe", exe, &at]);
        vars.assert_code(0);
        for word in ["current", "last", "Pointer"] {
            assert!(vars.text().contains(word), "no `{word}` in {vars}");
        }
        let funcs = tracer(&["funcs", "--exe", exe, FUNCTION]);
        funcs.assert_code(0);
        assert!(
            funcs.text().contains("target_app::report_mouse_movement"),
            "{funcs}"
        );
        assert!(funcs.text().contains("main.rs:"), "{funcs}");
    }
}

#[test]
fn lists_of_running_target_equal_those_of_its_file() {
    if !needs::kernel() || !needs::tools(&["Xvfb"]) {
        return;
    }
    let stage = Stage::set(Profile::Dev);
    let pid = stage.app.pid().to_string();
    let app = target_app(Profile::Dev);
    let exe = app.to_str().expect("test paths are UTF-8");
    let at = format!("src/main.rs:{}", branch_line());
    for (command, what) in [("lines", at.as_str()), ("vars", &at), ("funcs", FUNCTION)] {
        for json in [&[] as &[&str], &["--json"]] {
            let by_pid = tracer(&[&[command, "--pid", &pid, what], json].concat());
            let by_exe = tracer(&[&[command, "--exe", exe, what], json].concat());
            by_pid.assert_code(0);
            by_exe.assert_code(0);
            assert_eq!(by_pid.stdout, by_exe.stdout, "{command} {json:?}");
            if !json.is_empty() {
                assert!(!by_pid.json().to_string().is_empty());
                assert!(by_pid.text().contains("main.rs"), "{by_pid}");
            }
        }
    }
}
