//! Times: each call is paired with its own end, however other calls ended.

use serde_json::Value;

use crate::support::build::{c, fixture, probe_line, rust};
use crate::support::program::Program;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, value};
use crate::support::{needs, observe};

const SOURCE: &str = "e2e_time.c";
const CALLS: u64 = 30;
/// The fixture's sleep, in ns.
const NAP: u64 = 3_000_000;

/// Runs the fixture under the probes, to its end. Returns its output too.
fn observe(optimise: &str, probes: &[&str], more: &[&str]) -> (Finished, Vec<String>) {
    let path = c("time", SOURCE, &[optimise]);
    let program = Program::ready(&path, &[&CALLS.to_string()]);
    let observed = observe::observe(program, probes, more);
    (observed.finished, observed.printed)
}

/// The only record of a probe's times.
#[track_caller]
fn times(finished: &Finished, probe: &str) -> Value {
    let lines = finished.stdout.iter();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut mine: Vec<Value> = lines
        .filter(|line| line["type"] == "time" && line["probe"] == probe)
        .collect();
    assert_eq!(mine.len(), 1, "{finished}");
    let times = mine.remove(0);
    let counted: u64 = buckets(&times).iter().map(|(_, _, count)| count).sum();
    assert_eq!(counted + counter(&times, "other"), counter(&times, "total"));
    assert_adds_up(&finished.summary(probe));
    assert_eq!(
        counter(&finished.summary(probe), "hits"),
        counter(&times, "total"),
        "all ended while the probe was awake: {times}"
    );
    times
}

fn buckets(times: &Value) -> Vec<(u64, u64, u64)> {
    let buckets = times["buckets"].as_array().expect("buckets");
    let one = |one| {
        (
            counter(one, "low"),
            counter(one, "high"),
            counter(one, "count"),
        )
    };
    buckets.iter().map(one).collect()
}

/// Total, calls that ended in another way (noticed or not), and ends without a start.
fn counts(times: &Value) -> (u64, u64, u64) {
    let left = ["unfinished", "uncertain", "in_progress"].map(|name| counter(times, name));
    let left = left.iter().sum();
    (counter(times, "total"), left, counter(times, "unpaired"))
}

#[test]
fn each_call_is_paired_with_its_own_return() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        "time handle",
        "time recurse",
        "time escape",
        "time end_thread",
        "time spin",
    ];
    for perf_events in [false, true] {
        let more: &[&str] = if perf_events { &["--perf-events"] } else { &[] };
        let (finished, _) = observe("-O0", &probes, more);
        finished.assert_code(0);
        assert!(finished.events().is_empty(), "no event for a call");
        let counts = |probe| counts(&times(&finished, probe));
        assert_eq!(counts("p1"), (CALLS, 0, 0));
        let recursive: u64 = (1..=CALLS).map(|n| u64::from(n.ilog2()) + 1).sum();
        // Four threads call 50 times, each with 8 nested calls.
        assert_eq!(counts("p2"), (recursive + 4 * 50 * 8, 0, 0));
        // Every fifth call ends by `longjmp`.
        assert_eq!(counts("p3"), (CALLS - CALLS / 5, CALLS / 5, 0));
        // Two of four threads end in it.
        assert_eq!(counts("p4"), (2, 2, 0));
        assert_eq!(counts("p5"), (CALLS, 0, 0));
    }
}

#[test]
fn times_are_between_what_was_slept_and_what_the_program_measures() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        "time handle",
        "time handle \"{id} {name} {$elapsed} {$return}\" if $elapsed > 2ms",
        "time handle if id % 10 == 0 && $elapsed >= 3ms",
        "time handle if id > 20",
    ];
    for optimise in ["-O0", "-O2"] {
        let (finished, printed) = observe(optimise, &probes, &[]);
        finished.assert_code(0);
        // slow ID NAME RESULT OUTER
        let slow: Vec<Vec<&str>> = printed
            .iter()
            .filter_map(|line| Some(line.strip_prefix("slow ")?.split(' ').collect()))
            .collect();
        assert_eq!(slow.len() as u64, CALLS / 10);
        let outer = |fields: &[&str]| fields[3].parse::<u64>().expect("a number");
        let all = times(&finished, "p1");
        let longest = slow.iter().map(|fields| outer(fields)).max();
        assert!(counter(&all, "max_ns") >= NAP, "{all}");
        assert!(counter(&all, "mean_ns") >= NAP / 10, "{all}");
        let least = counter(&all, "min_ns");
        assert!(
            least > 0 && least <= counter(&all["p50_ns"], "low"),
            "{all}"
        );
        assert!(
            counter(&all["p99_ns"], "high") <= counter(&all, "max_ns"),
            "{all}"
        );
        let napped = buckets(&all)
            .into_iter()
            .filter(|(_, high, _)| *high >= NAP);
        assert!(
            napped.map(|(_, _, count)| count).sum::<u64>() >= CALLS / 10,
            "{all}"
        );

        let events = finished.events();
        let of = |probe: &str| -> Vec<&Value> {
            events
                .iter()
                .filter(|event| event["probe"] == probe)
                .collect()
        };
        for fields in &slow {
            let id: i64 = fields[0].parse().expect("a number");
            for probe in ["p2", "p3"] {
                let mine = of(probe)
                    .into_iter()
                    .find(|event| *value(event, "id") == id);
                let event = mine.unwrap_or_else(|| panic!("no {id} of {probe}: {finished}"));
                // The arguments at the start, although they were overwritten since.
                let result: i64 = fields[2].parse().expect("a number");
                assert_eq!(*value(event, "$return"), result, "{event}");
                let elapsed = value(event, "$elapsed").as_u64().expect("a number");
                assert!(
                    elapsed >= NAP && elapsed <= outer(fields),
                    "{event} {fields:?}"
                );
                assert!(longest >= Some(elapsed));
                let name = value(event, "name")
                    .as_str()
                    .or(value(event, "name")["$target"].as_str());
                assert_eq!(name, Some(fields[1]), "{event}");
            }
            let text = format!("{id} {} ", fields[1]);
            let said = |event: &&Value| {
                event["message"]
                    .as_str()
                    .is_some_and(|one| one.starts_with(&text))
            };
            let line = of("p2").into_iter().find(said).expect("its message");
            let message = line["message"].as_str().unwrap_or_default();
            assert!(message.contains("ms "), "a duration: {message}");
        }
        // Every call is in the distribution, whatever the condition on the time.
        assert_eq!(counts(&times(&finished, "p2")), (CALLS, 0, 0));
        // A condition on arguments decides which calls are timed.
        let tenth = times(&finished, "p3");
        assert_eq!(counts(&tenth), (CALLS / 10, 0, CALLS - CALLS / 10));
        assert_eq!(counter(&tenth, "rejected"), CALLS - CALLS / 10);
        assert_eq!(counts(&times(&finished, "p4")), (CALLS - 20, 0, 20));
        assert!(of("p4").is_empty(), "nothing asks for events");
    }
}

#[test]
fn lines_are_paired_in_their_frame_and_copy() {
    if !needs::kernel() {
        return;
    }
    let pair = |first: &str, second: &str| {
        let (first, second) = (probe_line(SOURCE, first), probe_line(SOURCE, second));
        format!("time {SOURCE}:{first}..{SOURCE}:{second}")
    };
    let probes = [
        pair("first", "second"),
        pair("before", "behind"),
        pair("copied", "copied too"),
        format!("{} \"{{number}} {{round}}\"", pair("first", "second")),
    ];
    let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
    for optimise in ["-O0", "-O2"] {
        let (finished, _) = observe(optimise, &probes, &[]);
        finished.assert_code(0);
        let sevenths = CALLS / 7;
        // Three rounds start and two end, except for every seventh number, which only ends.
        let rounds = (2 * (CALLS - sevenths), CALLS - sevenths, 2 * sevenths);
        assert_eq!(counts(&times(&finished, "p1")), rounds, "{optimise}");
        let of = |rest: u64| (1..=CALLS).filter(|n| n % 4 == rest).count() as u64;
        let skipping = (of(0), of(1), of(2));
        assert_eq!(counts(&times(&finished, "p2")), skipping, "{optimise}");
        // One of two consecutive numbers is even.
        assert_eq!(
            counts(&times(&finished, "p3")),
            (CALLS, CALLS, 0),
            "{optimise}"
        );
        let events = finished.events();
        let shown: Vec<&str> = events
            .iter()
            .filter_map(|event| event["message"].as_str())
            .collect();
        let expected: Vec<String> = (1..=CALLS)
            .filter(|number| number % 7 != 0)
            .flat_map(|number| (1..=2).map(move |round| format!("{number} {round}")))
            .collect();
        assert_eq!(shown, expected, "{optimise}");
    }
}

const TURNS: &str = "e2e_turns.c";

fn turning() -> Program {
    let path = c("turns", TURNS, &["-O2", "-fcf-protection=none", "-pthread"]);
    Program::ready(&path, &[&CALLS.to_string()])
}

#[test]
fn condition_is_that_of_the_call_and_not_of_a_round() {
    if !needs::kernel() {
        return;
    }
    // Its iterations return to the point after the prologue, with other numbers.
    let probe = r#"time wind "{rounds}" if rounds > 2"#;
    let (finished, _) = observe("-O0", &[probe], &[]);
    let times = times(&finished, "p1");
    // Numbers from 0 to 4.
    assert_eq!(counts(&times), (CALLS / 5 * 2, 0, CALLS / 5 * 3));
    assert_eq!(counter(&times, "rejected"), CALLS / 5 * 3);
    let events = finished.events();
    let rounds = events.iter().map(|event| value(event, "rounds").as_i64());
    assert!(rounds.clone().all(|rounds| rounds >= Some(3)), "{finished}");
    assert_eq!(rounds.count() as u64, CALLS / 5 * 2);
}

/// Number of calls that `deep` makes of itself, including the first.
fn deep(number: i64) -> u64 {
    let passed = (0..number).filter(|passed| passed % 2 == 1 && *passed >= 2);
    1 + passed.map(|passed| deep(passed / 2)).sum::<u64>()
}

#[test]
fn turns_of_a_loop_at_the_entry_are_no_calls() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        "time turn",
        "time tail",
        "time deep",
        "time escape",
        "time until",
        "time turn if $elapsed > 1000s as shown",
        r#"time down "{rounds}" as down"#,
    ];
    for more in [&[][..], &["--perf-events"]] {
        let observed = observe::observe(turning(), &probes, more);
        let finished = observed.finished;
        finished.assert_code(0);
        let counts = |probe| counts(&times(&finished, probe));
        // The first call of a thread may be an iteration, so it has no time.
        assert_eq!(counts("p1"), (CALLS - 1, 0, 1));
        assert_eq!(counts("p2"), (CALLS - 1, 0, 1));
        let calls = i64::try_from(CALLS).expect("few");
        assert_eq!(counts("p3"), ((1..=calls).map(deep).sum::<u64>() - 1, 0, 1));
        // All calls but the first two end by `longjmp`.
        assert_eq!(counts("p4"), (1, CALLS - 2, 1));
        // The call was in its loop when the probe came: it has no start, and none of its iterations
        // is a call.
        assert_eq!(counts("p5"), (CALLS - 1, 0, 2));
        // A return, a branch and the entry: the compiler turned it into a loop.
        for probe in ["p1", "p2", "p5"] {
            assert_eq!(counter(&finished.summary(probe), "sites"), 3, "{probe}");
        }
        assert!((3..=4).contains(&counter(&finished.summary("down"), "sites")));
        assert_eq!(counts("down"), (CALLS - 1, 0, 1));
        let events = finished.events();
        let down = events.iter().filter(|event| event["probe"] == "down");
        let rounds: Vec<i64> = down
            .map(|event| value(event, "rounds").as_i64().expect("a number"))
            .collect();
        assert_eq!(rounds, (2..=calls).collect::<Vec<_>>(), "of the first turn");
    }
}

#[test]
fn turns_are_told_under_each_condition_of_a_jump() {
    if !needs::kernel() {
        return;
    }
    // Number of the 32 possible flags with which each call ends.
    let conditions = [
        ("o", 16),
        ("no", 16),
        ("b", 16),
        ("ae", 16),
        ("e", 16),
        ("ne", 16),
        ("be", 8),
        ("a", 24),
        ("s", 16),
        ("ns", 16),
        ("p", 16),
        ("np", 16),
        ("l", 16),
        ("ge", 16),
        ("le", 8),
        ("g", 24),
    ];
    let probes: Vec<String> = conditions
        .iter()
        .map(|(name, _)| format!("time if_{name} as {name}"))
        .collect();
    let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
    let finished = observe::observe(turning(), &probes, &[]).finished;
    for (name, calls) in conditions {
        assert_eq!(counts(&times(&finished, name)), (calls - 1, 0, 1), "{name}");
    }
}

#[test]
fn loops_at_the_entry_that_cannot_be_told_are_refused() {
    if !needs::kernel() {
        return;
    }
    for (probe, why) in [
        ("time counted", "has no condition of flags"),
        ("time turn trampoline", "a call to the return trampoline"),
    ] {
        let program = turning();
        let finished = Tracer::json(program.pid(), &[probe]).finish();
        finished.assert_code(2);
        finished.assert_says(&["cannot be told apart from iterations of a loop", why]);
    }
}

#[test]
fn what_cannot_be_timed_is_refused_with_the_reason() {
    if !needs::kernel() {
        return;
    }
    let line = |mark| format!("{SOURCE}:{}", probe_line(SOURCE, mark));
    let refused = [
        ("time no_such_function".to_owned(), "no function"),
        (format!("time {}", line("first")), "two locations"),
        (
            format!("time {}..{}", line("first"), line("behind")),
            "no function contains both",
        ),
        (
            format!("time {}..{}", line("first"), line("first")),
            "start and end at",
        ),
        (
            "time handle \"{$elapsed / id}\"".to_owned(),
            "at the start of the time",
        ),
        (
            "time handle if nobody == 3".to_owned(),
            "no `nobody` in scope",
        ),
        (
            "log handle \"{$elapsed}\"".to_owned(),
            "at the end of a `time` probe",
        ),
    ];
    for (probe, words) in refused {
        let path = c("time", SOURCE, &["-O0"]);
        let program = Program::ready(&path, &["1"]);
        let finished = Tracer::json(program.pid(), &[&probe]).finish();
        finished.assert_code(2).assert_says(&[words]);
    }
}

/// Runs a fixture that unwinds ten of thirty calls under the probes, to its end.
fn unwind(path: &std::path::Path, probes: &[&str], more: &[&str]) -> Finished {
    observe::observe(Program::ready(path, &[]), probes, more).finished
}

#[test]
fn calls_that_a_panic_or_an_exception_leaves_have_no_time() {
    if !needs::kernel() {
        return;
    }
    let rust = |flags: &[&str]| rust("returns-rs", "e2e_returns.rs", flags);
    let cpp = |flag| fixture("c++", "returns-cpp", "e2e_returns.cpp", &["-g", flag]);
    let programs = [
        (rust(&[]), "unwinds"),
        (rust(&["-O"]), "unwinds"),
        (cpp("-O0"), "throws"),
        (cpp("-O2"), "throws"),
    ];
    for (path, inner) in programs {
        let probes = [
            "time around".to_owned(),
            format!("time {inner}"),
            format!("time {inner} \"{{n}}\" if n % 3 == 1"),
        ];
        let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
        let finished = unwind(&path, &probes, &[]);
        finished.assert_code(0);
        assert_eq!(
            counts(&times(&finished, "p1")),
            (20, 10, 0),
            "{}",
            path.display()
        );
        assert_eq!(
            counts(&times(&finished, "p2")),
            (20, 10, 0),
            "{}",
            path.display()
        );
        assert_eq!(
            counts(&times(&finished, "p3")),
            (10, 0, 10),
            "{}",
            path.display()
        );
        let events = finished.events();
        let shown: Vec<&str> = events
            .iter()
            .filter_map(|event| event["message"].as_str())
            .collect();
        let expected: Vec<String> = (1..=30).step_by(3).map(|n| n.to_string()).collect();
        assert_eq!(shown, expected, "{}", path.display());
    }
}

#[test]
fn trampolines_see_returns_when_they_are_asked_for() {
    if !needs::kernel() {
        return;
    }
    for perf_events in [false, true] {
        let more: &[&str] = if perf_events { &["--perf-events"] } else { &[] };
        let probes = [
            "time recurse trampoline",
            "time handle \"{id} {$return}\" if $elapsed > 2ms trampoline",
            "log handle%return \"{$return}\" trampoline",
            "log handle%return \"{$return}\"",
        ];
        let (finished, printed) = observe("-O0", &probes, more);
        finished.assert_code(0);
        let recursive: u64 = (1..=CALLS).map(|n| u64::from(n.ilog2()) + 1).sum();
        assert_eq!(
            counts(&times(&finished, "p1")),
            (recursive + 4 * 50 * 8, 0, 0)
        );
        let events = finished.events();
        let of = |probe: &str| -> Vec<&str> {
            let mine = events.iter().filter(|event| event["probe"] == probe);
            mine.filter_map(|event| event["message"].as_str()).collect()
        };
        let slow: Vec<String> = printed
            .iter()
            .filter_map(|line| {
                let mut fields = line.strip_prefix("slow ")?.split(' ');
                Some(format!("{} {}", fields.next()?, fields.nth(1)?))
            })
            .collect();
        for line in &slow {
            assert!(of("p2").contains(&line.as_str()), "{line} in {finished}");
        }
        assert_eq!(of("p3").len() as u64, CALLS);
        assert_eq!(of("p3"), of("p4"), "as at the function's own instructions");
    }
}
