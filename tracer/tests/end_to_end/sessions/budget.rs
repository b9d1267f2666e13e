//! Cost limits: a probe that costs more is removed from the target, and the user is told.

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Tracer, assert_adds_up, counter};

const SOURCE: &str = "e2e_loop.c";

/// One thread that calls in a loop until it is told to stop.
fn endless() -> (Program, Text) {
    let path = c("loop", SOURCE, &["-O0"]);
    let program = Program::ready(&path, &["1", "0", "0"]);
    let text = Text::of_exe(program.pid());
    (program, text)
}

fn probe(action: &str, mark: &str, rest: &str) -> String {
    let line = probe_line(SOURCE, mark);
    format!("{action} {SOURCE}:{line} {rest}")
}

#[test]
fn probe_over_its_budget_is_taken_out_and_the_others_stay() {
    if !needs::kernel() {
        return;
    }
    let (mut program, text) = endless();
    let probes = [
        probe("count", "work", "cpu 1% as dear"),
        probe("count", "second", "cpu 10000% as free"),
    ];
    let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
    let tracer = Tracer::attach(program.pid(), "json", &probes, &["--max-cpu", "10000"]);
    text.wait_probed(2);
    program.say("go");
    tracer
        .stderr
        .wait_line("the end of a probe", 0, |line| line.contains("silenced: "));
    // The other probe is still attached.
    text.wait_changed(1);
    program.say("stop");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    let finished = tracer.interrupt();
    text.wait_restored();
    finished.assert_code(0).assert_says(&[
        "dear: silenced: its hits cost ",
        "% of a CPU, over its limit of 1%",
        "of it in eBPF",
    ]);
    let (dear, free) = (finished.summary("dear"), finished.summary("free"));
    assert!(
        counter(&dear, "hits") < counter(&free, "hits"),
        "{finished}"
    );
    for summary in [dear, free] {
        assert_adds_up(&summary);
        // A trap costs a few hundred ns on any machine.
        let each = counter(&summary, "trap_ns") / counter(&summary, "hits");
        assert!((50..100_000).contains(&each), "{summary}");
    }
}

#[test]
fn probes_over_the_budget_of_the_session_go_by_the_dearest() {
    if !needs::kernel() {
        return;
    }
    let (mut program, text) = endless();
    let probes = [probe("count", "work", ""), probe("count", "second", "")];
    let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
    let tracer = Tracer::attach(program.pid(), "json", &probes, &["--max-cpu", "2"]);
    text.wait_probed(2);
    program.say("go");
    // Each of the probes costs too much.
    text.wait_restored();
    let finished = tracer.interrupt();
    finished
        .assert_code(0)
        .assert_says(&["p1: silenced: ", "p2: silenced: ", "`--max-cpu`"]);
}

#[test]
fn share_of_a_cpu_that_makes_no_sense_is_refused() {
    for typed in ["0", "off5", "x", "25%%%x"] {
        let pid = std::process::id();
        Tracer::attach(pid, "json", &["log main.rs:1"], &["--max-cpu", typed])
            .finish()
            .assert_code(2)
            .assert_says(&["--max-cpu"]);
    }
}
