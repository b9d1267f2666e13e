//! Probes after their last event: their breakpoints are removed, and their totals stay.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tracer::event::DoneReason;
use tracer::session::{Control as _, Notice, Session, SessionOptions, Subscriber};

use crate::support::build::{c, probe_line};
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter};
use crate::support::{needs, wait_for};

const SOURCE: &str = "e2e_loop.c";

/// One thread that calls once a millisecond until it is told to stop.
fn calling() -> (Program, Text) {
    let path = c("loop", SOURCE, &["-O0"]);
    let mut program = Program::ready(&path, &["1", "0", "1000"]);
    let text = Text::of_exe(program.pid());
    program.say("go");
    (program, text)
}

fn probe(action: &str, mark: &str, rest: &str) -> String {
    let line = probe_line(SOURCE, mark);
    format!("{action} {SOURCE}:{line} {rest}")
}

/// The records of a type.
fn records(finished: &Finished, kind: &str) -> Vec<Value> {
    let lines = finished.stdout.iter();
    let values = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    values.filter(|value| value["type"] == kind).collect()
}

/// Waits until the program has made about a hundred more calls.
fn wait_calls(program: &Program) {
    let from = program.stdout.count();
    for number in 0..3 {
        let is = |line: &str| line == "tick";
        program.stdout.wait_line("`tick`", from + number, is);
    }
}

#[test]
fn probe_with_its_last_hit_is_taken_out_and_the_others_stay() {
    if !needs::kernel() {
        return;
    }
    let (program, text) = calling();
    let probes = [
        probe("log", "work", r#""{number}" hits 5 as few"#),
        probe("count", "second", "as all"),
    ];
    let tracer = Tracer::json(program.pid(), &[&probes[0], &probes[1]]);
    let is = |line: &str| line == "note: few is done after 5 hits; its breakpoints are removed";
    tracer.stderr.wait_line("the end of a probe", 0, is);
    // The other probe is still attached, and goes on.
    text.wait_changed(1);
    wait_calls(&program);
    assert_eq!(text.changed().len(), 1);
    let finished = tracer.interrupt();
    text.wait_restored();
    finished.assert_code(0);
    assert_eq!(finished.events().len(), 5, "{finished}");
    let (few, all) = (finished.summary("few"), finished.summary("all"));
    assert_adds_up(&few);
    assert_adds_up(&all);
    assert_eq!(counter(&few, "events"), 5, "{few}");
    // Hits just before the removal are counted, and later ones are not.
    assert_eq!(counter(&few, "hits"), 5 + counter(&few, "over_budget"));
    assert!(counter(&few, "hits") + 100 < counter(&all, "hits"), "{all}");
    assert_eq!(few["done"]["reason"], "hits", "{few}");
    assert_eq!(all["done"], Value::Null, "{all}");
    let done = records(&finished, "done");
    assert_eq!(done.len(), 1, "{finished}");
    assert_eq!(done[0]["probe"], "few");
    assert_eq!(done[0]["hits"], 5);
    assert_eq!(done[0]["time"], few["done"]["time"], "{few}");
    finished.assert_says(&["few e2e_loop.c", "; done at "]);
}

#[test]
fn record_of_the_end_comes_behind_the_last_event() {
    if !needs::kernel() {
        return;
    }
    let (program, _) = calling();
    let probes = [
        probe("log", "work", r#""{number}" hits 50"#),
        probe("log", "second", r#""{pair->number}" rate 100000/s"#),
    ];
    let tracer = Tracer::json(program.pid(), &[&probes[0], &probes[1]]);
    let is = |line: &str| line.contains(r#""type":"done""#);
    let at = tracer.stdout.wait_line("the end of a probe", 0, is);
    let lines = tracer.stdout.lines();
    let of_first = |line: &&String| line.contains(r#""type":"event""#) && line.contains(r#""p1""#);
    assert_eq!(lines[..at].iter().filter(of_first).count(), 50);
    assert_eq!(
        tracer
            .interrupt()
            .events()
            .iter()
            .filter(|event| event["probe"] == "p1")
            .count(),
        50
    );
}

#[test]
fn snapshot_alone_prints_its_event_and_ends() {
    if !needs::kernel() {
        return;
    }
    let (program, text) = calling();
    let snapshot = probe("snapshot", "work", "");
    for output in ["text", "json"] {
        let finished = Tracer::attach(program.pid(), output, &[&snapshot], &[]).finish();
        text.wait_restored();
        finished.assert_code(0).assert_says(&[
            "note: p1 is done after 1 hit; its breakpoints are removed",
            "all probes are done",
            "1 event",
        ]);
    }
}

#[test]
fn probe_whose_time_is_over_ends_the_session_with_what_it_has() {
    if !needs::kernel() {
        return;
    }
    let (program, text) = calling();
    let probes = [
        probe("count", "work", "by thread for 300ms as counts"),
        "time work for 300ms as times".to_owned(),
        probe("hist", "second", "pair->number for 300ms as hists"),
    ];
    let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
    let finished = Tracer::json(program.pid(), &probes).finish();
    text.wait_restored();
    finished.assert_code(0).assert_says(&[
        "note: counts is done after 300ms; its breakpoints are removed",
        "all probes are done",
    ]);
    assert_eq!(records(&finished, "done").len(), 3, "{finished}");
    for (kind, name) in [("count", "counts"), ("time", "times"), ("hist", "hists")] {
        let added_up = records(&finished, kind);
        assert_eq!(added_up.len(), 1, "{finished}");
        let summary = finished.summary(name);
        assert_adds_up(&summary);
        assert_eq!(summary["done"]["reason"], "time", "{summary}");
        assert_eq!(counter(&added_up[0], "total"), counter(&summary, "events"));
        assert!(counter(&summary, "events") > 10, "{summary}");
    }
    assert!(finished.took < Duration::from_secs(20), "{finished}");
}

/// `hits` of a `time` probe limits its events, not its distribution.
#[test]
fn hits_of_a_time_do_not_end_it() {
    if !needs::kernel() {
        return;
    }
    let (program, text) = calling();
    let tracer = Tracer::json(program.pid(), &[r#"time work "{$elapsed}" hits 2"#]);
    tracer.wait_events(2);
    wait_calls(&program);
    assert!(!text.changed().is_empty());
    let finished = tracer.interrupt();
    let summary = finished.summary("p1");
    assert_eq!(summary["done"], Value::Null, "{summary}");
    let times = records(&finished, "time");
    assert!(counter(&times[0], "total") > 100, "{finished}");
}

/// `hits` of a `span` probe ends it: the session ends with the last one that is done.
#[test]
fn spans_are_done_after_their_last_hit_and_the_session_with_them() {
    if !needs::kernel() {
        return;
    }
    let (program, text) = calling();
    let log = probe("log", "second", r#""{pair->number}" hits 4 as inside"#);
    let probes = [
        "span work hits 2 as outer",
        "span second_step hits 3 as inner",
        &log,
    ];
    let finished = Tracer::json(program.pid(), &probes).finish();
    text.wait_restored();
    finished.assert_code(0).assert_says(&[
        "note: outer is done after 2 hits; its breakpoints are removed",
        "note: inner is done after 3 hits; its breakpoints are removed",
        "all probes are done",
    ]);
    for (name, events) in [("outer", 2), ("inner", 3), ("inside", 4)] {
        let summary = finished.summary(name);
        assert_adds_up(&summary);
        assert_eq!(counter(&summary, "events"), events, "{summary}");
        assert_eq!(summary["done"]["reason"], "hits", "{summary}");
    }
}

#[test]
fn one_of_two_probes_on_a_line_is_done_and_the_other_sees_each_hit() {
    if !needs::kernel() {
        return;
    }
    let path = c("loop", SOURCE, &["-O0"]);
    let mut program = Program::ready(&path, &["1", "3000", "500"]);
    let probes = [
        probe("count", "work", "hits 20 as few"),
        probe("count", "work", "as all"),
    ];
    let tracer = Tracer::json(program.pid(), &[&probes[0], &probes[1]]);
    tracer.wait_tracing();
    program.say("go");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    let finished = tracer.interrupt();
    let (few, all) = (finished.summary("few"), finished.summary("all"));
    assert_eq!(counter(&all, "events"), 3000, "{all}");
    assert_eq!(counter(&few, "events"), 20, "{few}");
    assert!(counter(&few, "hits") < 3000, "{few}");
    assert_adds_up(&few);
}

/// A session in this process, like that of the terminal UI.
#[test]
fn probe_that_is_done_begins_anew_when_it_is_woken() {
    if !needs::kernel() {
        return;
    }
    let (program, text) = calling();
    let session = Session::attach(program.pid(), &SessionOptions::default()).expect("attached");
    let session = session.subscribe(Subscriber::default());
    let few = session
        .add(&probe("log", "work", r#""{number}" hits 3"#))
        .expect("it is right");
    let mut hits: Vec<u64> = Vec::new();
    for round in 1..=3 {
        let mut last = None;
        wait_for("the end of the probe", || {
            for notice in session.take_notices(100) {
                match notice {
                    Notice::Event(event) => hits.push(event.hit),
                    Notice::Done(done) => last = Some(done),
                    _ => {}
                }
            }
            last.clone()
        });
        assert_eq!(last.expect("it came").done.reason, DoneReason::Hits(3));
        assert_eq!(hits.len(), 3 * round, "{hits:?}");
        text.wait_restored();
        let status = session.probes().swap_remove(0);
        assert!(!status.enabled && status.done.is_some(), "{status:?}");
        assert!(session.is_done());
        // The probe was not silenced, so the signal for all probes leaves it alone.
        assert!(!session.silence_all());
        session.set_enabled(few.id, false);
        assert!(session.is_done());
        session.set_enabled(few.id, true);
        assert!(!session.is_done());
    }
    let last = session.finish().swap_remove(0).counters;
    assert_eq!(
        last.hits,
        last.events + last.over_budget + last.silenced,
        "{last:?}"
    );
    hits.dedup();
    assert!(hits.is_sorted() && hits.len() == 9, "{hits:?}");
}

#[test]
fn probe_of_a_file_that_is_done_stays_so_when_the_file_changes() {
    if !needs::kernel() {
        return;
    }
    let (program, text) = calling();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("probes");
    let few = probe("log", "work", r#""{number}" hits 3 as few"#);
    fs::write(&file, format!("{few}\n")).expect("the folder is ours");
    let name = file.to_str().expect("test paths are UTF-8");
    let tracer = Tracer::attach(program.pid(), "json", &[], &["-f", name]);
    let done = |line: &str| line.contains("few is done");
    let at = tracer.stderr.wait_line("the end of a probe", 0, done);
    // The file may bring more probes, so the session goes on.
    text.wait_restored();
    let more = probe("log", "second", r#""{pair->number}" hits 4 as more"#);
    fs::write(&file, format!("{few}\n{more}\n")).expect("the folder is ours");
    let done = |line: &str| line.contains("more is done");
    tracer.stderr.wait_line("the end of the other", at, done);
    let finished = tracer.interrupt();
    for (name, events) in [("few", 3), ("more", 4)] {
        assert_eq!(counter(&finished.summary(name), "events"), events);
    }
}
