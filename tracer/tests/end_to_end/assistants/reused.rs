//! Process ids that come again: another program has the pid of a target that has ended.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::client::RawClient;
use crate::support::build::{c, source};
use crate::support::program::Program;
use crate::support::{needs, wait_for};

/// The id after which the kernel looks for a free one.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";
/// Time in which the session looks at its targets several times.
const LOOKS: Duration = Duration::from_secs(1);

/// The other program, under the pid of one that has ended. Other tests start processes, too, so it takes some tries.
fn under(pid: u32, program: &Path) -> Program {
    wait_for("the pid", || {
        fs::write(LAST_PID, (pid - 1).to_string()).expect("root may write it");
        let started = Program::start(program, &[]);
        (started.pid() == pid).then_some(started)
    })
}

fn end(mut target: Program) {
    target.signal(Signal::KILL);
    target.wait();
}

/// Nothing of the other program is seen.
#[track_caller]
fn sees_nothing(client: &mut RawClient, other: &Program) {
    let file = source("e2e_bits.c");
    let found = client.done("find_processes", json!({}));
    let processes = found["processes"].as_array().expect("a list");
    let is_other = |one: &&Value| one["pid"] == other.pid();
    assert_eq!(processes.iter().find(is_other), None, "{found}");
    for (tool, arguments) in [
        ("find_functions", json!({ "pattern": "passed" })),
        ("find_files", json!({ "pattern": "e2e_bits" })),
    ] {
        if let Ok(answer) = client.tool(tool, arguments) {
            assert_eq!(answer["total"], 0, "{answer}");
        }
    }
    for (tool, arguments) in [
        ("list_variables", json!({ "location": "passed" })),
        ("list_lines", json!({ "file": "e2e_bits.c" })),
        ("show_source", json!({ "file": file.to_str(), "line": 10 })),
        ("add_probe", json!({ "probe": "log passed" })),
    ] {
        let refused = client.tool(tool, arguments.clone());
        assert!(refused.is_err(), "{tool} {arguments}: {refused:?}");
    }
    let checked = client.done("check_probe", json!({ "probe": "log passed" }));
    assert!(checked["refused"].is_object(), "{checked}");
}

#[test]
fn program_that_gets_the_pid_of_a_target_is_not_seen() {
    if !needs::kernel() || !needs::device(LAST_PID) {
        return;
    }
    let worker = c("mcp-worker", "e2e_worker.c", &[]);
    let program = c("mcp-bits", "e2e_bits.c", &[]);
    for asked_before in [false, true] {
        let target = Program::ready(&worker, &["0", "stay"]);
        let pid = target.pid();
        let mut client = RawClient::of(&target, &[]);
        if asked_before {
            let found = client.done("find_functions", json!({ "pattern": "work" }));
            assert_eq!(found["total"], 1, "{found}");
            client.add("log work \"{number}\"");
        }
        end(target);
        let other = under(pid, &program);
        let began = Instant::now();
        while began.elapsed() < LOOKS {
            sees_nothing(&mut client, &other);
        }
        if asked_before {
            let found = client.done("find_functions", json!({ "pattern": "work" }));
            assert_eq!(found["total"], 1, "its own are known: {found}");
        }
    }
}
