//! Probes that come and go, and tracers and targets that are killed, at random. Nothing may be left
//! behind, and every hit must be counted.
//!
//! Each run prints its random seed. `TRACER_TEST_SEED` repeats a run. The expectations hold for all
//! seeds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use tracer::event::{Counters, ProbeId};
use tracer::session::{
    Control as _, Notice, ProbeStatus, Session, SessionOptions, Subscriber, Subscription,
};

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::random::Random;
use crate::support::text::Text;
use crate::support::tracer::{Tracer, assert_adds_up, counter};

const SOURCE: &str = "e2e_loop.c";
/// Number of changes to a session's probes.
const CHANGES: u32 = 400;
/// Most probes at a time.
const MOST: usize = 6;
/// Number of killed tracers.
const TRACERS: u32 = 25;
/// Number of killed targets.
const TARGETS: u32 = 12;

/// A generator whose seed is on stderr if the test fails.
fn random() -> Random {
    let given = std::env::var("TRACER_TEST_SEED").ok();
    let given = given.map(|seed| seed.parse().expect("a number"));
    let seed: u64 = given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        u64::from(now.expect("after 1970").subsec_nanos())
    });
    eprintln!("TRACER_TEST_SEED={seed}");
    Random::new(seed)
}

/// The fixture with three threads that call in a loop.
fn busy() -> Program {
    let mut program = Program::ready(&c("loop", SOURCE, &["-O0"]), &["3", "0", "100"]);
    program.say("go");
    program
}

/// A probe of any kind.
fn probe(random: &mut Random) -> String {
    let work = probe_line(SOURCE, "work");
    let second = probe_line(SOURCE, "second");
    match random.below(10) {
        0 => format!(r#"log {SOURCE}:{work} "{{number}} {{twice}}""#),
        1 => format!(r#"log {SOURCE}:{work} "{{number}}" if number % 3 == 0 rate 100000/s"#),
        2 => format!(r#"log {SOURCE}:{second} "{{pair->number}}" hits 40"#),
        3 => format!(r#"log {SOURCE}:{second} "{{pair->twice}}" rate 50/s depth 3"#),
        4 => format!("log {SOURCE}:{work} every 10ms"),
        5 => format!("count {SOURCE}:{work}"),
        6 => format!("count {SOURCE}:{work} by thread"),
        7 => format!("hist {SOURCE}:{second} pair->number"),
        8 => "time work".to_owned(),
        _ => "log second_step%return \"{$return}\" for 100ms".to_owned(),
    }
}

/// Counters by which hits end.
fn ended(counters: &Counters) -> u64 {
    counters.events
        + counters.lost
        + counters.limited
        + counters.rejected
        + counters.faults
        + counters.silenced
        + counters.expired
        + counters.over_budget
}

/// Receives events until the end of the session. Returns them by probe, and checks that each hit
/// comes once.
fn collect(session: &Subscription, finished: &AtomicBool) -> BTreeMap<ProbeId, Vec<u64>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let mut events: BTreeMap<ProbeId, Vec<u64>> = BTreeMap::new();
    loop {
        let last = finished.load(Ordering::Acquire);
        let notices = session.take_notices(1024);
        if notices.is_empty() {
            if last {
                return events;
            }
            // The loop ends by its condition, whether an event is ready or not.
            let ready = async {
                tokio::time::timeout(Duration::from_millis(20), session.notices_ready()).await
            };
            let _ = runtime.block_on(ready);
        }
        for notice in notices {
            if let Notice::Event(event) = notice {
                events
                    .entry(event.origin.probe)
                    .or_default()
                    .push(event.hit);
            }
        }
    }
}

/// Changes the session's probes at random. Returns all probes that ever existed.
fn change(session: &Subscription, random: &mut Random) -> Vec<ProbeId> {
    let mut there: Vec<(ProbeId, bool)> = Vec::new();
    let mut all = Vec::new();
    for _ in 0..CHANGES {
        let index = random.below(there.len().max(1) as u64) as usize;
        match random.below(10) {
            0..=3 if there.len() < MOST => {
                let text = probe(random);
                let added = session.add(&text);
                let added = added.unwrap_or_else(|error| panic!("{text}: {error:?}"));
                there.push((added.id, true));
                all.push(added.id);
            }
            0..=6 if !there.is_empty() => {
                let (probe, _) = there.swap_remove(index);
                session.remove(probe).expect("it is there");
            }
            7 | 8 => {
                if let Some((probe, enabled)) = there.get_mut(index) {
                    *enabled = !*enabled;
                    session.set_enabled(*probe, *enabled);
                }
            }
            _ => std::thread::yield_now(),
        }
    }
    all
}

#[test]
fn probes_that_come_and_go_leave_nothing_and_count_all() {
    if !needs::kernel() {
        return;
    }
    let mut random = random();
    let mut program = busy();
    let text = Text::of_exe(program.pid());
    let options = SessionOptions {
        ..SessionOptions::default()
    };
    let session = Session::attach(program.pid(), &options).expect("attached");
    let session = Arc::new(session.subscribe(Subscriber {
        patient: true,
        ..Subscriber::default()
    }));
    let finished = Arc::new(AtomicBool::new(false));
    let collector = {
        let (session, finished) = (Arc::clone(&session), Arc::clone(&finished));
        std::thread::spawn(move || collect(&session, &finished))
    };
    let all = change(&session, &mut random);
    let last = session.finish();
    finished.store(true, Ordering::Release);
    let events = collector.join().expect("it does not panic");
    text.wait_restored();
    let removed = session.take_removed().into_iter().map(|gone| gone.status);
    let states: BTreeMap<ProbeId, ProbeStatus> = removed
        .chain(last)
        .map(|status| (status.id, status))
        .collect();
    let ids: Vec<ProbeId> = states.keys().copied().collect();
    assert_eq!(ids, all, "a probe without its last state");
    let mut hits = 0;
    for (id, status) in &states {
        let (name, counters) = (&status.text, &status.counters);
        assert_eq!(counters.hits, ended(counters), "{id} {name}: {counters:?}");
        hits += counters.hits;
        let mut mine = events.get(id).cloned().unwrap_or_default();
        if name.starts_with("log ") {
            assert_eq!(
                mine.len() as u64,
                counters.events,
                "{id} {name}: {counters:?}"
            );
        }
        mine.sort_unstable();
        mine.dedup();
        let events = events.get(id).map_or(0, Vec::len);
        assert_eq!(mine.len(), events, "{id} {name}: a hit was sent twice");
        assert!(
            mine.last().is_none_or(|last| *last <= counters.hits),
            "{id} {name}"
        );
    }
    eprintln!("{} probes, {hits} hits", states.len());
    assert!(hits > 1000, "{hits} hits");
    // The target goes on, and ends normally.
    program.say("stop");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    program.say("exit");
    assert_eq!(program.wait().code(), Some(0));
}

/// Waits for a part of the time that a tracer needs to start, or for that time after it has
/// started.
fn some_time(random: &mut Random, tracer: &Tracer) {
    if random.one_in(2) {
        tracer.wait_tracing();
    }
    // The moment is random by design; there is no event to wait for.
    std::thread::sleep(Duration::from_micros(random.below(300_000)));
}

fn two_probes(random: &mut Random) -> [String; 2] {
    [probe(random), probe(random)]
}

#[test]
fn tracers_killed_at_random_leave_the_target_as_it_was() {
    if !needs::kernel() {
        return;
    }
    let mut random = random();
    let mut program = busy();
    let text = Text::of_exe(program.pid());
    for _ in 0..TRACERS {
        let probes = two_probes(&mut random);
        let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
        let more = random.pick(&[&[][..], &["--follow-fork"][..]]);
        let tracer = Tracer::attach(program.pid(), "json", &probes, more);
        some_time(&mut random, &tracer);
        tracer.signal(Signal::KILL);
        let finished = tracer.finish();
        // A session ends by itself once all of its probes are done.
        let may_be_done = |probe: &&str| probe.contains(" hits ") || probe.contains(" for ");
        let may_end = probes.iter().all(may_be_done) && finished.code == Some(0);
        assert!(finished.code.is_none() || may_end, "{finished}");
        text.wait_restored();
    }
    let from = program.stdout.count();
    program
        .stdout
        .wait_line("`tick`", from, |line| line == "tick");
    program.say("stop");
    program
        .stdout
        .wait_line("`done`", from, |line| line == "done");
    program.say("exit");
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn targets_killed_at_random_end_the_session_with_all_counted() {
    if !needs::kernel() {
        return;
    }
    let mut random = random();
    let mut summaries = 0;
    for _ in 0..TARGETS {
        let program = busy();
        let probes = two_probes(&mut random);
        let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
        let tracer = Tracer::json(program.pid(), &probes);
        some_time(&mut random, &tracer);
        program.signal(Signal::KILL);
        let finished = tracer.finish();
        // The target may have been gone before the tracer looked at it or attached the probes.
        let all = finished.summaries();
        for summary in &all {
            assert_adds_up(summary);
            let probe = summary["probe"].as_str().expect("a name");
            let text = summary["text"].as_str().expect("a text");
            let events = finished.events();
            let mine = events
                .iter()
                .filter(|event| event["probe"] == probe)
                .count();
            if text.starts_with("log ") {
                assert_eq!(mine as u64, counter(summary, "events"), "{finished}");
            }
        }
        summaries += all.len();
    }
    eprintln!("{summaries} probes with a summary");
    assert!(summaries > 0);
}
