//! Calls that are recorded line by line: their steps, in every thread, frame and loop.

use serde_json::Value;

use crate::support::build::{c, fixture, line_of, source};
use crate::support::program::Program;
use crate::support::steps::{assert_is_whole, kind, marked, step, steps};
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter, value};
use crate::support::{needs, observe};

const SOURCE: &str = "e2e_trace.c";

/// Runs the fixture under the probes, to its end.
fn observe(compiler: &str, flags: &[&str], probes: &[&str], more: &[&str]) -> Finished {
    let name = format!("trace-{compiler}");
    let path = match compiler {
        "cc" => c("trace", SOURCE, flags),
        other => fixture(other, &name, SOURCE, &[&["-g"], flags].concat()),
    };
    let program = Program::ready(&path, &["100000"]);
    let finished = observe::observe(program, probes, more).finished;
    finished.assert_code(0);
    for probe in 1..=probes.len() {
        assert_adds_up(&finished.summary(&format!("p{probe}")));
    }
    finished
}

/// A step as its depth and the mark of its line in the source.
fn shown(event: &Value) -> String {
    marked(SOURCE, event)
}

#[test]
fn call_among_those_of_other_threads_is_recorded_line_by_line() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        "trace work if n == 2",
        "trace work if n == 3 depth 1",
        "trace work if n == 1 with sum, got",
    ];
    for compiler in ["gcc", "clang"] {
        let finished = observe(compiler, &["-O0", "-pthread"], &probes, &[]);
        let turn = ["work-call", "work-add", "work-for"];
        let wanted: Vec<&str> = ["work-1", "work-for"]
            .into_iter()
            .chain(turn)
            .chain(turn)
            .chain(["work-if", "work-return"])
            .collect();
        let flat = steps(&finished, "p1");
        assert_is_whole(&flat);
        let lines: Vec<String> = flat.iter().map(shown).collect();
        let (first, end) = lines.split_at(wanted.len());
        assert_eq!(first, wanted, "{compiler}");
        // clang has no line of its own for the end of the function.
        let ends: &[&str] = match compiler {
            "gcc" => &["work-end", "work-end"],
            _ => &["work-return"],
        };
        assert_eq!(end, ends, "{compiler}");
        let sums: Vec<&Value> = flat.iter().filter_map(|event| find(event, "sum")).collect();
        assert_eq!(sums.last().expect("a sum").as_i64(), Some(10));
        assert_eq!(value(flat.last().expect("a return"), "$return"), &10);

        let deep = steps(&finished, "p2");
        assert_is_whole(&deep);
        let lines: Vec<String> = deep.iter().map(shown).collect();
        let helper = |from: usize| &lines[from..from + 4];
        // helper(3), helper(4), helper(5): twice is 6, 8 and 10.
        assert_eq!(
            helper(3),
            [
                "  helper-1",
                "  helper-2",
                "  helper-4",
                ["  helper-end", "  helper-4"][usize::from(compiler == "clang")]
            ],
            "{lines:?}"
        );
        let returns: Vec<i64> = deep
            .iter()
            .filter(|event| step(event, "depth") == 1 && kind(event) == "return")
            .map(|event| value(event, "$return").as_i64().expect("a number"))
            .collect();
        assert_eq!(returns, [6, 8, 10]);
        let enters = deep.iter().filter(|event| kind(event) == "enter");
        assert_eq!(enters.count(), 4);

        // Only the watched values, which are not in scope on every line.
        let watched = steps(&finished, "p3");
        assert_is_whole(&watched);
        let got = |mark: &str| {
            let event = watched.iter().find(|event| shown(event) == mark);
            find(event.expect(mark), "got").cloned()
        };
        assert_eq!(got("work-add"), Some(Value::from(2)));
        let unknown = got("work-if").expect("it is shown");
        assert_eq!(unknown["$unavailable"], "not in scope here");
        for probe in ["p1", "p2", "p3"] {
            let summary = finished.summary(probe);
            let calls = 800;
            // Each call of `work` is a hit until the one that is recorded, and no other pass is one.
            assert!(counter(&summary, "hits") <= calls + 40, "{summary}");
            assert_eq!(counter(&summary, "lost"), 0);
        }
    }
}

/// The value of an expression, if the event has it.
fn find<'e>(event: &'e Value, expr: &str) -> Option<&'e Value> {
    let mut values = event["values"].as_array()?.iter();
    values
        .find(|value| value["expr"] == expr)
        .map(|value| &value["value"])
}

#[test]
fn frames_of_recursion_coroutines_and_loops_are_told_apart() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        "trace factorial",
        "trace factorial depth 2",
        "trace coroutine if own == 1",
        "trace again hits 3",
    ];
    for flags in [["-O0", "-pthread"], ["-O2", "-pthread"]] {
        let finished = observe("gcc", &flags, &probes[..], &[]);
        let flat = steps(&finished, "p1");
        assert_is_whole(&flat);
        assert!(flat.iter().all(|event| step(event, "depth") == 0));
        assert_eq!(find(&flat[0], "n"), Some(&Value::from(4)));
        if flags[0] == "-O0" {
            let deep = steps(&finished, "p2");
            assert_is_whole(&deep);
            let entered: Vec<Option<&Value>> = deep
                .iter()
                .filter(|event| kind(event) == "enter")
                .map(|event| find(event, "n"))
                .collect();
            let numbers = [4, 3, 2].map(Value::from);
            assert_eq!(entered, numbers.iter().map(Some).collect::<Vec<_>>());
            let returns: Vec<&Value> = deep
                .iter()
                .filter(|event| kind(event) == "return")
                .map(|event| value(event, "$return"))
                .collect();
            assert_eq!(
                returns,
                [&Value::from(2), &Value::from(6), &Value::from(24)]
            );
        }
        let own = steps(&finished, "p3");
        assert_is_whole(&own);
        let lines: Vec<String> = own.iter().map(shown).collect();
        let yields = lines.iter().filter(|line| *line == "coroutine-yield");
        // The compiler unrolls the loop, and rows of one line that follow each other are one step.
        let turns = if flags[0] == "-O0" { 3 } else { 1 };
        assert_eq!(yields.count(), turns, "{lines:?}");
        for event in &own {
            // The other coroutine runs the same lines on the same thread.
            if let Some(number) = find(event, "own").and_then(Value::as_i64) {
                assert_eq!(number, 1, "{event}");
            }
        }
        let all = steps(&finished, "p4");
        let calls: Vec<u64> = all
            .iter()
            .filter(|event| kind(event) == "return")
            .map(|event| step(event, "call"))
            .collect();
        assert_eq!(calls, [1, 2, 3]);
        for (call, n) in (1..).zip([2, 3, 4]) {
            let of_call = |event: &&Value| step(event, "call") == call;
            let steps: Vec<Value> = all.iter().filter(of_call).cloned().collect();
            assert_is_whole(&steps);
            assert_eq!(find(&steps[0], "n"), Some(&Value::from(n)), "{flags:?}");
            let turns = steps.iter().filter(|event| shown(event) == "again-add");
            if flags[0] == "-O0" {
                assert_eq!(turns.count(), n, "a loop is not a call");
            }
        }
    }
}

#[test]
fn turns_of_a_loop_at_a_followed_functions_first_instruction_are_no_calls() {
    if !needs::kernel() {
        return;
    }
    let finished = observe("gcc", &["-Os", "-pthread"], &["trace heads depth 1"], &[]);
    let all = steps(&finished, "p1");
    assert_is_whole(&all);
    let of = |wanted: &str| {
        let inner = all.iter().filter(|event| step(event, "depth") == 1);
        inner.filter(|event| kind(event) == wanted).count()
    };
    let lines: Vec<String> = all.iter().map(shown).collect();
    assert_eq!((of("enter"), of("return")), (2, 2), "{lines:?}");
    let sets = lines.iter().filter(|line| *line == "  head-set").count();
    assert_eq!(sets, 2 + 3, "{lines:?}");
}

#[test]
fn result_of_a_function_with_a_redacted_name_is_redacted() {
    if !needs::kernel() {
        return;
    }
    let probes = ["trace api_token", r#"log api_token%return "{$return}""#];
    let finished = observe("gcc", &["-O0", "-pthread"], &probes, &[]);
    let traced = steps(&finished, "p1");
    assert_eq!(find(&traced[0], "seed"), Some(&Value::from(6)));
    for event in [traced.last().expect("a return"), &steps(&finished, "p2")[0]] {
        assert!(
            value(event, "$return").to_string().contains("redacted"),
            "{event}"
        );
        assert!(!event["message"].to_string().contains("42"), "{event}");
    }
}

#[test]
fn function_with_a_jump_table_is_recorded_and_its_unknown_returns_are_told() {
    if !needs::kernel() {
        return;
    }
    let finished = observe("gcc", &["-O0", "-pthread"], &["trace pick hits 3"], &[]);
    let all = steps(&finished, "p1");
    let returns: Vec<i64> = all
        .iter()
        .filter(|event| kind(event) == "return")
        .map(|event| value(event, "$return").as_i64().expect("a number"))
        .collect();
    assert_eq!(returns.len(), 3);
    assert_eq!((returns[0], returns[2]), (7, -7));
    let lines: Vec<String> = all.iter().map(shown).collect();
    assert!(lines.iter().any(|line| line == "pick-2"), "{lines:?}");
    finished.assert_says(&["some returns of `pick` may not be seen: the jump at"]);
}

#[test]
fn call_that_is_left_by_a_jump_is_told_by_the_next_one() {
    if !needs::kernel() {
        return;
    }
    let finished = observe("gcc", &["-O0", "-pthread"], &["trace escape hits 4"], &[]);
    let all = steps(&finished, "p1");
    let of_call = |call: u64| -> Vec<&str> {
        let steps = all.iter().filter(|event| step(event, "call") == call);
        steps.map(kind).collect()
    };
    // The calls 1 and 3 of the program jump away. The pass that tells is not recorded itself.
    let shown: Vec<String> = all
        .iter()
        .map(|event| format!("{} {} {}", step(event, "call"), kind(event), shown(event)))
        .collect();
    assert_eq!(of_call(1).last(), Some(&"left"), "{shown:?}");
    let left = all.iter().find(|event| kind(event) == "left").expect("one");
    assert_eq!(left["values"], serde_json::json!([]), "{left}");
    assert_eq!(left["message"], "");
    assert_eq!(of_call(2).first(), Some(&"enter"), "{all:#?}");
}

#[test]
fn call_whose_thread_ends_in_it_is_over() {
    if !needs::kernel() {
        return;
    }
    let path = c("trace-end", SOURCE, &["-O0", "-pthread"]);
    let mut program = Program::ready(&path, &[]);
    let tracer = Tracer::attach(program.pid(), "json", &["trace end_thread"], &[]);
    tracer.wait_tracing();
    program.say("go");
    // The probe is done, since no more of the call can come.
    let finished = tracer.finish();
    finished.assert_code(0);
    let lines: Vec<String> = steps(&finished, "p1").iter().map(shown).collect();
    assert_eq!(lines, ["end-1", "end-exit"]);
    finished.assert_says(&["p1: call 1 ended without a return after step 2: its thread is gone"]);
}

#[test]
fn calls_beyond_those_that_can_be_recorded_at_once_are_lost_and_that_is_told() {
    if !needs::kernel() {
        return;
    }
    let path = c("trace-crowd", SOURCE, &["-O0", "-pthread"]);
    let mut program = Program::ready(&path, &["1", "crowd"]);
    let probe = "trace stay hits 5000 rate 1000000/s";
    let tracer = Tracer::attach(program.pid(), "json", &[probe], &["--max-cpu", "off"]);
    tracer.wait_tracing();
    program.say("go");
    let told = |line: &str| line.contains("p1: calls are lost, because 1,024 others");
    tracer.stderr.wait_line("the loss", 0, told);
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    let finished = tracer.interrupt();
    let summary = finished.summary("p1");
    assert_adds_up(&summary);
    assert!(counter(&summary, "lost") >= 1_100 - 1_024, "{summary}");
    let all = steps(&finished, "p1");
    let returns = all.iter().filter(|event| kind(event) == "return").count();
    assert_eq!(returns, 1_024);
}

#[test]
fn long_loop_keeps_its_first_and_last_turns_and_those_that_change_a_watched_value() {
    if !needs::kernel() {
        return;
    }
    let probes = ["trace turns", "trace turns with kept"];
    let probes = probes.map(|probe| format!("{probe} cpu 10000%"));
    let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
    let finished = observe("gcc", &["-O0", "-pthread"], &probes, &["--max-cpu", "off"]);
    for probe in ["p1", "p2"] {
        let all = steps(&finished, probe);
        let last = all.last().expect("steps");
        assert_eq!(
            (kind(last), value(last, "$return")),
            ("return", &Value::from(99_999))
        );
        // All steps are shown or counted, apart from those that were lost.
        let repeated: u64 = all.iter().map(|event| step(event, "repeated")).sum();
        let lost = counter(&finished.summary(probe), "lost");
        assert!(step(last, "number") <= all.len() as u64 + repeated + lost);
        assert!(step(last, "number") >= 300_000);
        let adds: Vec<&Value> = all
            .iter()
            .filter(|event| shown(event) == "turns-add")
            .collect();
        assert!((60..4_000).contains(&adds.len()), "{}", adds.len());
        if probe == "p1" {
            let turn = |event: &Value| find(event, "i").and_then(Value::as_i64);
            assert_eq!(turn(adds[0]), Some(0));
            assert_eq!(turn(adds[adds.len() - 1]), Some(99_999));
        } else {
            let kept: std::collections::BTreeSet<i64> = all
                .iter()
                .filter_map(|event| find(event, "kept").and_then(Value::as_i64))
                .collect();
            let wanted = std::iter::once(0).chain((999..100_000).step_by(1000));
            // Before its first line the variable has any value.
            assert!(kept.is_superset(&wanted.collect()), "{kept:?}");
        }
    }
}

#[test]
fn call_that_costs_too_much_is_cut_and_says_where() {
    if !needs::kernel() {
        return;
    }
    let path = c("trace-cut", SOURCE, &["-O0", "-pthread"]);
    let mut program = Program::ready(&path, &["20000000"]);
    let tracer = Tracer::attach(program.pid(), "json", &["trace turns cpu 5%"], &[]);
    tracer.wait_tracing();
    program.say("go");
    // All probes are done once the call is cut, although the program runs on.
    let finished = tracer.finish();
    finished.assert_code(0);
    let all = steps(&finished, "p1");
    let last = all.last().expect("steps");
    assert_eq!(kind(last), "cut");
    assert!(
        shown(last).starts_with("turns") || shown(last) == "-",
        "{last}"
    );
    assert!(find(last, "i").and_then(Value::as_i64).expect("a number") > 0);
    let stderr = finished.stderr.join("\n");
    assert!(stderr.contains("silenced: its hits cost"), "{stderr}");
    assert_adds_up(&finished.summary("p1"));
}

#[test]
fn lines_can_be_chosen_and_marks_are_those_of_the_source() {
    if !needs::kernel() {
        return;
    }
    let path = source(SOURCE);
    let (first, last) = (line_of(&path, "work-if"), line_of(&path, "work-negate"));
    let probe = format!("trace work if n == 3 lines e2e_trace.c:{first}..{last}");
    let finished = observe("gcc", &["-O0", "-pthread"], &[&probe], &[]);
    let lines: Vec<String> = steps(&finished, "p1").iter().map(shown).collect();
    assert_eq!(lines, ["work-1", "work-if", "work-negate", "work-end"]);
}
