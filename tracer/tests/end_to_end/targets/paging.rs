//! Pages that are not in memory. Nothing waits for them, and they are fetched if that is safe.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::build::{c, probe_line, scratch};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, value};
use crate::support::wait_for;

const SOURCE: &str = "e2e_paging.c";
const ABSENT: &str = "the page is not in memory";

fn target() -> PathBuf {
    c("e2e-paging", SOURCE, &["-O0"])
}

fn probe(what: &str) -> String {
    format!("log {SOURCE}:{} \"{what}\"", probe_line(SOURCE, "look"))
}

/// Ends a program that is in its loop, which must still work.
#[track_caller]
fn stop(mut program: Program) {
    program.say("stop");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    assert!(program.wait().success());
}

#[track_caller]
fn assert_all_absent(finished: &Finished) {
    finished.assert_code(0);
    let events = finished.events();
    assert!(!events.is_empty(), "{finished}");
    for event in &events {
        // The second reason is for hits while the kernel changes the mappings, as it does to insert
        // a breakpoint.
        let seen = value(event, "item.value");
        let reasons = [ABSENT.to_owned(), format!("{ABSENT}, or not mapped")];
        let absent = reasons.map(|reason| json!({ "$unavailable": reason }));
        assert!(absent.contains(seen), "{seen}");
    }
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert_eq!(
        counter(&summary, "read_faults"),
        counter(&summary, "events")
    );
}

#[test]
fn target_goes_on_while_a_page_never_comes() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&target(), &["missing"]);
    let tracer = Tracer::json(program.pid(), &[&probe("{number} {item.value} {text}")]);
    let events = tracer.wait_events(500);
    // Memory that the program itself did not touch is read too.
    assert_eq!(value(&events[400], "text"), "cold 0");
    assert_all_absent(&tracer.interrupt());
    // Its fault handler got no request.
    assert_eq!(program.stdout.lines(), ["ready"]);
    stop(program);
}

#[test]
fn page_that_is_protected_from_writes_is_read() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&target(), &["protected"]);
    let tracer = Tracer::json(program.pid(), &[&probe("{item.value}")]);
    let events = tracer.wait_events(20);
    assert_eq!(value(&events[0], "item.value"), 77);
    tracer.interrupt().assert_code(0);
    stop(program);
}

#[test]
fn condition_on_a_page_that_never_comes_is_counted() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&target(), &["missing"]);
    let text = format!("{} if item.value > 3", probe("{number}"));
    let tracer = Tracer::attach(program.pid(), "json", &[&text], &["--for", "1s"]);
    let summary = tracer.finish().summary("p1");
    assert_adds_up(&summary);
    assert_eq!(counter(&summary, "events"), 0);
    assert!(counter(&summary, "faults") > 0, "{summary}");
    stop(program);
}

/// The events of the next pass over the four kinds of memory.
#[track_caller]
fn round(program: &mut Program, tracer: &Tracer, word: &str) -> Vec<Value> {
    let before = tracer.events().len();
    program.say(word);
    let events = tracer.wait_events(before + 4);
    events[before..].to_vec()
}

#[test]
fn page_that_a_hit_has_missed_is_there_for_a_later_one() {
    if !needs::kernel() {
        return;
    }
    let folder = scratch("paging");
    let file = folder.join(format!("file-{}", std::process::id()));
    let mut program = Program::ready(&target(), &["dropped", file.to_str().expect("UTF-8")]);
    let tracer = Tracer::json(program.pid(), &[&probe("{item.value} {item.name} {text}")]);
    tracer.wait_tracing();
    for word in ["stay", "drop", "drop"] {
        for (kind, event) in round(&mut program, &tracer, word).iter().enumerate() {
            // Nobody has read these pages so far. They were fetched at the attach.
            assert_eq!(value(event, "text"), &json!(format!("cold {kind}")));
            let found = value(event, "item.value");
            let there = json!(100 + kind);
            assert!(
                *found == there || found["$unavailable"] == ABSENT,
                "{event}"
            );
            assert!(word == "drop" && kind != 1 || *found == there, "{event}");
        }
        // The program does not touch these pages, so the tracer fetched them.
        wait_for("the pages to be brought in", || {
            let events = round(&mut program, &tracer, "stay");
            let right = (100..).zip(&events).all(|(wanted, event)| {
                *value(event, "item.value") == wanted && *value(event, "item.name") == "named"
            });
            right.then_some(())
        });
    }
    assert_adds_up(&tracer.interrupt().summary("p1"));
    std::fs::remove_file(file).expect("it is there");
}

/// A file system whose server hangs. Dropping it aborts pending requests.
struct HangingFiles {
    server: Program,
    folder: PathBuf,
}

impl HangingFiles {
    /// `None` if this kernel has no FUSE.
    fn mount() -> Option<Self> {
        if !needs::device("/dev/fuse") {
            return None;
        }
        let folder = scratch(&format!("hanging-{}", std::process::id()));
        let path = folder.to_str().expect("UTF-8");
        let server = c("e2e-hanging-fs", "e2e_hanging_fs.c", &["-O0"]);
        let server = Program::ready(&server, &[path]);
        Some(Self { server, folder })
    }

    fn file(&self) -> PathBuf {
        self.folder.join("file")
    }
}

impl Drop for HangingFiles {
    fn drop(&mut self) {
        self.server.signal(rustix::process::Signal::KILL);
        self.server.wait();
        let unmounted = Command::new("umount").arg("-l").arg(&self.folder).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "unmounted");
        let _ = std::fs::remove_dir(&self.folder);
    }
}

#[test]
fn file_whose_server_hangs_holds_nobody_up() {
    if !needs::kernel() {
        return;
    }
    let Some(files) = HangingFiles::mount() else {
        return;
    };
    let file = files.file();
    let program = Program::ready(&target(), &["file", file.to_str().expect("UTF-8")]);
    let tracer = Tracer::json(program.pid(), &[&probe("{item.value}")]);
    tracer.wait_events(300);
    assert_all_absent(&tracer.interrupt());
    assert_eq!(files.server.stdout.lines(), ["ready"], "nothing was read");
    // Its end waits for the server, which ends first.
    drop(files);
    stop(program);
}

/// Time until sessions on ten other programs end, all at once.
fn end_of_ten(path: &Path) -> Duration {
    let programs: Vec<Program> = (0..10).map(|_| Program::ready(path, &["plain"])).collect();
    let tracers: Vec<Tracer> = programs
        .iter()
        .map(|program| Tracer::json(program.pid(), &[&probe("{item.value}")]))
        .collect();
    for tracer in &tracers {
        tracer.wait_events(1);
    }
    let started = Instant::now();
    for tracer in &tracers {
        tracer.signal(rustix::process::Signal::INT);
    }
    for tracer in tracers {
        tracer.finish().assert_code(0);
    }
    started.elapsed()
}

#[test]
fn sessions_on_other_programs_end_as_ever_while_one_program_misses_pages() {
    if !needs::kernel() {
        return;
    }
    let path = target();
    let alone = end_of_ten(&path);
    let program = Program::ready(&path, &["missing"]);
    let tracer = Tracer::json(program.pid(), &[&probe("{item.value}")]);
    tracer.wait_events(10);
    let beside = end_of_ten(&path);
    assert!(
        beside < alone * 4 + Duration::from_secs(4),
        "{beside:?} beside it, {alone:?} without"
    );
    assert_all_absent(&tracer.interrupt());
    stop(program);
}
