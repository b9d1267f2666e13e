//! Many hits, from all CPUs, faster than they can be read, in the right order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::build::{c, probe_line};
use crate::support::observe::{Observed, observe};
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, value};
use crate::support::{needs, wait_for};

const SOURCE: &str = "e2e_loop.c";

/// A rate far above the fixture's, so that only the ring limits.
const NO_RATE: &str = "rate 100000000/s";

fn work_probe() -> String {
    let line = probe_line(SOURCE, "work");
    format!(r#"log {SOURCE}:{line} "{{number}} {{twice}} {{thread}}" {NO_RATE}"#)
}

fn second_probe() -> String {
    let line = probe_line(SOURCE, "second");
    format!(r#"log {SOURCE}:{line} "{{pair->number}} {{pair->twice}} {{pair->thread}}" {NO_RATE}"#)
}

/// The fixture in a tight loop: `threads` threads with `calls` calls each, started on command.
fn tight(threads: u32, calls: u32) -> Program {
    let path = c("loop", SOURCE, &["-O0"]);
    Program::ready(&path, &[&threads.to_string(), &calls.to_string(), "0"])
}

fn number(event: &Value, expr: &str) -> i64 {
    value(event, expr).as_i64().expect("a number")
}

#[test]
fn stopped_reader_loses_events_and_counts_each() {
    if !needs::kernel() {
        return;
    }
    // More than a ring of a mebibyte holds.
    let (threads, calls) = (2, 20_000);
    let mut program = tight(threads, calls);
    let text = Text::of_exe(program.pid());
    let small = ["--ring-bytes", "1048576"];
    let tracer = Tracer::attach(program.pid(), "json", &[&work_probe()], &small);
    text.wait_probed(1);
    // From then on it ends by signals normally.
    tracer.wait_tracing();
    tracer.signal(Signal::STOP);
    program.say("go");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    tracer.signal(Signal::CONT);
    let finished = tracer.interrupt();
    text.wait_restored();
    finished.assert_code(0).assert_says(&["lost"]);
    let summary = finished.summary("p1");
    let events = finished.events();
    assert_eq!(
        counter(&summary, "hits"),
        u64::from(threads * calls),
        "{summary}"
    );
    assert!(
        counter(&summary, "lost") > 0,
        "the ring was to overflow: {summary}"
    );
    assert_eq!(
        counter(&summary, "events"),
        events.len() as u64,
        "{summary}"
    );
    assert_adds_up(&summary);
    assert!(!events.is_empty(), "what the ring held is delivered");
    for event in events.iter().step_by(97) {
        assert_eq!(
            number(event, "twice"),
            2 * number(event, "number"),
            "{event}"
        );
    }
}

#[test]
fn exited_target_delivers_what_the_ring_holds() {
    if !needs::kernel() {
        return;
    }
    let mut program = tight(2, 500);
    let text = Text::of_exe(program.pid());
    let tracer = Tracer::json(program.pid(), &[&work_probe()]);
    text.wait_probed(1);
    tracer.signal(Signal::STOP);
    program.say("go");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    program.say("exit");
    program.wait();
    tracer.signal(Signal::CONT);
    let finished = tracer.finish();
    finished.assert_code(0).assert_says(&["exited"]);
    assert_eq!(finished.events().len(), 1000, "{finished}");
    let summary = finished.summary("p1");
    assert_eq!(counter(&summary, "hits"), 1000);
    assert_eq!(counter(&summary, "lost"), 0);
}

#[test]
fn last_look_delivers_more_than_one_drain_takes() {
    if !needs::kernel() {
        return;
    }
    // A drain takes 65,536 records. The default ring holds about 130,000 of these.
    let (threads, calls) = (2, 40_000);
    let mut program = tight(threads, calls);
    let text = Text::of_exe(program.pid());
    let time = Duration::from_secs(4);
    let more = ["--for", "4s"];
    let tracer = Tracer::attach(program.pid(), "json", &[&work_probe()], &more);
    text.wait_probed(1);
    tracer.wait_tracing();
    let traced = Instant::now();
    tracer.signal(Signal::STOP);
    program.say("go");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    // The program is done before the reader goes on, so the next look is the last.
    wait_for("the end of its time", || {
        (traced.elapsed() > time).then_some(())
    });
    tracer.signal(Signal::CONT);
    let finished = tracer.finish();
    finished.assert_code(0);
    let summary = finished.summary("p1");
    assert_eq!(counter(&summary, "hits"), 80_000, "{summary}");
    assert_eq!(counter(&summary, "events"), 80_000, "{summary}");
    assert_eq!(finished.events().len(), 80_000, "a line for each event");
}

#[test]
fn interrupted_reader_counts_what_there_is_no_time_to_write() {
    if !needs::kernel() {
        return;
    }
    let mut program = tight(2, 40_000);
    let text = Text::of_exe(program.pid());
    let tracer = Tracer::json(program.pid(), &[&work_probe()]);
    text.wait_probed(1);
    tracer.wait_tracing();
    tracer.signal(Signal::STOP);
    program.say("go");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    tracer.signal(Signal::INT);
    tracer.signal(Signal::CONT);
    let finished = tracer.finish();
    let summary = finished.summary("p1");
    assert_eq!(counter(&summary, "hits"), 80_000, "{summary}");
    assert_adds_up(&summary);
    let events = finished.events().len() as u64;
    assert_eq!(counter(&summary, "events"), events, "{summary}");
}

#[test]
fn many_threads_two_probes_lose_nothing_and_keep_order() {
    if !needs::kernel() {
        return;
    }
    let (threads, calls) = (8_u32, 1_000_u32);
    let mut program = tight(threads, calls);
    let text = Text::of_exe(program.pid());
    let tracer = Tracer::json(program.pid(), &[&work_probe(), &second_probe()]);
    text.wait_probed(2);
    program.say("go");
    let all = (threads * calls) as usize;
    tracer.wait_events(2 * all);
    let finished = tracer.interrupt();
    let events = finished.assert_code(0).events();
    assert_eq!(events.len(), 2 * all, "every hit once");
    for probe in ["p1", "p2"] {
        let summary = finished.summary(probe);
        assert_eq!(counter(&summary, "hits"), all as u64, "{summary}");
        assert_eq!(counter(&summary, "events"), all as u64, "{summary}");
        assert_eq!(counter(&summary, "lost"), 0, "{summary}");
        assert!(
            counter(&summary, "bpf_ns") > 0,
            "its cost is on display: {summary}"
        );
        assert_adds_up(&summary);
        let hits: BTreeSet<u64> = of(&events, probe)
            .map(|event| counter(event, "hit"))
            .collect();
        assert_eq!(
            hits,
            (1..=all as u64).collect(),
            "hits are numbered 1, 2, …"
        );
    }
    assert_time_order(&finished);
    assert_each_thread_in_program_order(&events, threads, calls);
}

fn of<'a>(events: &'a [Value], probe: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["probe"] == probe)
}

fn assert_time_order(finished: &Finished) {
    let mut last = String::new();
    for event in finished.events() {
        let time = event["time"].as_str().expect("a time").to_owned();
        // The texts have equal length and zone, so their order is that of the times.
        assert_eq!(time.len(), "2026-11-22T12:04:31.250117042Z".len(), "{time}");
        assert!(time.ends_with('Z'), "{time}");
        assert!(time >= last, "{time} after {last}");
        last = time;
    }
}

/// Calls of one thread come in order: work 1, second 1, work 2, ….
fn assert_each_thread_in_program_order(events: &[Value], threads: u32, calls: u32) {
    let mut seen: BTreeMap<i64, Vec<(i64, String)>> = BTreeMap::new();
    let mut tids: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
    for event in events {
        let probe = event["probe"].as_str().expect("a probe").to_owned();
        let (prefix, is_work) = match probe.as_str() {
            "p1" => ("", true),
            _ => ("pair->", false),
        };
        let read = |name: &str| number(event, &format!("{prefix}{name}"));
        assert_eq!(
            read("twice"),
            2 * read("number"),
            "values of one hit: {event}"
        );
        let thread = read("thread");
        let call = if is_work { probe } else { "p2".to_owned() };
        seen.entry(thread).or_default().push((read("number"), call));
        let tid = event["tid"].as_u64().expect("a thread id");
        tids.entry(thread).or_default().insert(tid);
    }
    assert_eq!(seen.len(), threads as usize);
    for (thread, seen) in seen {
        let expected: Vec<(i64, String)> = (1..=i64::from(calls))
            .flat_map(|call| [(call, "p1".to_owned()), (call, "p2".to_owned())])
            .collect();
        assert!(seen == expected, "thread {thread} is out of order");
        assert_eq!(tids[&thread].len(), 1, "one thread has one id");
    }
}

#[test]
fn rate_limit_is_kept_and_counted() {
    if !needs::kernel() {
        return;
    }
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "{{number}}" rate 50/s"#);
    let Observed { finished, took, .. } = observe(tight(2, 20_000), &[probe], &[]);
    let seconds = took.as_secs() + 1;
    let summary = finished.assert_code(0).summary("p1");
    assert_eq!(counter(&summary, "hits"), 40_000, "{summary}");
    assert!(counter(&summary, "limited") > 0, "{summary}");
    // A burst of a whole second may come at once.
    let allowed = 50 * (seconds + 1);
    let events = counter(&summary, "events");
    assert!(
        (1..=allowed).contains(&events),
        "{events} of {allowed}: {summary}"
    );
    assert_adds_up(&summary);
}

#[test]
fn no_more_than_a_seconds_worth_comes_at_once() {
    if !needs::kernel() {
        return;
    }
    let line = probe_line(SOURCE, "work");
    // All hits come well within the fifth of a second before the next event.
    let probe = format!(r#"log {SOURCE}:{line} "{{number}}" rate 5/s"#);
    let Observed { finished, .. } = observe(tight(1, 100), &[probe], &[]);
    let summary = finished.assert_code(0).summary("p1");
    let times: Vec<String> = finished
        .events()
        .iter()
        .map(|one| one["time"].to_string())
        .collect();
    let at_once = times
        .iter()
        .filter(|time| time.get(..22) == times[0].get(..22))
        .count();
    assert!(at_once <= 5, "{times:?}");
    assert_adds_up(&summary);
}

#[test]
fn hit_limit_ends_the_events() {
    if !needs::kernel() {
        return;
    }
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "{{number}}" hits 3"#);
    let Observed { finished, .. } = observe(tight(1, 1_000), &[probe], &[]);
    let numbers: Vec<i64> = finished
        .events()
        .iter()
        .map(|event| number(event, "number"))
        .collect();
    assert_eq!(numbers, [1, 2, 3], "{finished}");
    assert_adds_up(&finished.summary("p1"));
}

#[test]
fn events_are_apart_by_what_every_says() {
    if !needs::kernel() {
        return;
    }
    // One call per millisecond at most.
    let path = c("every", SOURCE, &["-O0"]);
    let program = Program::ready(&path, &["2", "300", "1000"]);
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "{{number}}" every 50ms"#);
    let Observed { finished, took, .. } = observe(program, &[probe], &[]);
    let events = finished.assert_code(0).events();
    let times: Vec<jiff::Timestamp> = events
        .iter()
        .map(|event| {
            event["time"]
                .as_str()
                .expect("a time")
                .parse()
                .expect("a time")
        })
        .collect();
    // The wall clock may be slowed down in the meantime.
    let least = jiff::SignedDuration::from_millis(49);
    for pair in times.windows(2) {
        let apart = pair[1].duration_since(pair[0]);
        assert!(apart >= least, "{apart} between two events: {finished}");
    }
    // One event at once, and then one every 50 ms.
    let most = took.as_millis() / 50 + 1;
    assert!((2..=most).contains(&(events.len() as u128)), "{finished}");
    let summary = finished.summary("p1");
    assert_eq!(counter(&summary, "hits"), 600, "{summary}");
    assert!(counter(&summary, "limited") > 0, "{summary}");
    assert_adds_up(&summary);
}
