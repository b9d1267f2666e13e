//! Instructions that must not be probed. They are known in advance, another instruction of the line
//! is used if it is equivalent, and the target is not disturbed.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::build::{c, probe_line, source};
use crate::support::program::Program;
use crate::support::tracer::{counter, tracer};
use crate::support::{needs, observe};

const ASSEMBLY: &str = "e2e_instructions.S";
const SOURCE: &str = "e2e_instructions.c";
const CALLS: u64 = 40;

fn built() -> PathBuf {
    let assembly = source(ASSEMBLY);
    let assembly = assembly.to_str().expect("test paths are UTF-8");
    c(
        "instructions",
        SOURCE,
        &["-O1", "-fcf-protection=none", assembly],
    )
}

/// The output of `attach --check` for a probe that is refused.
fn refused(exe: &str, probe: &str, words: &[&str]) {
    let finished = tracer(&["attach", "--check", "--exe", exe, "-e", probe]);
    assert_eq!(finished.code, Some(2), "{probe}\n{finished}");
    finished.assert_says(words);
    assert!(!finished.text().contains("524"), "{finished}");
}

#[test]
fn instruction_that_cannot_be_probed_is_named_beforehand() {
    let path = built();
    let exe = path.to_string_lossy();
    for (mark, instruction, why) in [
        ("system", "`syscall`", "system call"),
        ("locked", "`lock xadd", "`lock` prefix"),
        ("repeated", "`rep stosb", "would count as a hit"),
    ] {
        let line = probe_line(ASSEMBLY, mark);
        let place = format!("{ASSEMBLY}:{line}");
        let near = format!("{}", line + 1);
        refused(&exe, &format!("count {place}"), &[instruction, why, &near]);
        let listed = tracer(&["lines", "--exe", &exe, &place]);
        listed.assert_code(0);
        let text = listed.stdout.join("\n");
        assert!(
            text.contains("no probe") && text.contains(instruction),
            "{listed}"
        );
        let listed = tracer(&["lines", "--exe", &exe, &place, "--json"]);
        let site: Value = serde_json::from_str(&listed.stdout[0]).expect("JSON");
        let obstacle = site["obstacle"].as_str().unwrap_or_default();
        assert!(obstacle.contains(why), "{site}");
        assert!(site.get("cost").is_none(), "{site}");
    }
    // One end of a time is enough for a refusal.
    refused(&exe, "time add_locked", &["`lock xadd"]);
    refused(&exe, "count add_locked", &["`lock xadd"]);
    refused(&exe, "log add_locked%return trampoline", &["`lock xadd"]);
}

#[test]
fn functions_around_such_instructions_are_probed() {
    if !needs::kernel() {
        return;
    }
    let probes = [
        "count ask_system".to_owned(),
        "count ask_system%return".to_owned(),
        "time ask_system".to_owned(),
        "count add_locked%return".to_owned(),
        "time fill_bytes".to_owned(),
        // The call after the locked instruction is an equivalent site.
        format!("count {SOURCE}:{}", probe_line(SOURCE, "counted")),
    ];
    let observed = observe::observe(Program::ready(&built(), &[]), &probes, &[]);
    observed.finished.assert_code(0);
    for number in 1..=probes.len() {
        let summary = observed.finished.summary(&format!("p{number}"));
        assert_eq!(counter(&summary, "hits"), CALLS, "p{number}: {summary}");
    }
}

#[test]
fn first_instruction_that_was_asked_for_is_refused_when_it_cannot_be_probed() {
    let path = built();
    let exe = path.to_string_lossy();
    let line = probe_line(SOURCE, "counted");
    let probe = format!("count {SOURCE}:{line}");
    let args = ["attach", "--check", "--exe", &exe, "-e", &probe];
    tracer(&args).assert_code(0);
    let finished = tracer(&[&args[..], &["--site", "first"]].concat());
    assert_eq!(finished.code, Some(2), "{finished}");
    finished.assert_says(&["`lock", "can be probed are"]);
}

#[test]
fn code_that_is_not_the_files_any_more_is_not_probed() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&built(), &[]);
    let pid = program.pid().to_string();
    for probe in ["count changed", "time changed"] {
        let finished = tracer(&["attach", "--check", "--pid", &pid, "-e", probe]);
        assert_eq!(finished.code, Some(2), "{probe}\n{finished}");
        finished.assert_says(&["was changed in memory"]);
    }
    let probes = ["count no_prefix".to_owned()];
    let observed = observe::observe(program, &probes, &[]);
    observed.finished.assert_code(0);
    assert_eq!(counter(&observed.finished.summary("p1"), "hits"), CALLS);
}
