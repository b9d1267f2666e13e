//! The kernel's messages about forked processes.

#![expect(unsafe_code, reason = "forks before it executes a program")]

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use tracer::kernel::{Forks, LoadOptions, Machine, MemberOrigin, ProcessSelection, Processes};
use tracer_common::forks::{EXECUTED, FORKED, FamilyMessage};

use crate::support::needs;

/// The machine, which keeps its programs loaded, and the family of this process.
fn family() -> (Machine, ProcessSelection) {
    let options = LoadOptions {
        ring_bytes: 1 << 12,
        processes: Processes::Family(Forks::Told),
        ..LoadOptions::default()
    };
    let mut machine = Machine::load(&options).expect("the programs load");
    let mut family = machine.take_selection().expect("it was asked for");
    let chosen = MemberOrigin::Chosen { follow: true };
    family
        .add(std::process::id(), chosen)
        .expect("room for one");
    (machine, family)
}

/// The messages about one process. Other tests fork, too.
fn told(family: &mut ProcessSelection, process: u32) -> Vec<FamilyMessage> {
    let messages = family.messages().into_iter();
    messages
        .filter(|message| message.process == process)
        .collect()
}

/// Runs a program to its end, in a forked process or in one that shares our memory.
fn run(forks: bool) -> u32 {
    // This program without a test to run, because a guest has no other program.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", "no test"]).stdout(Stdio::null());
    if forks {
        // SAFETY: the closure does nothing between fork and exec.
        unsafe { command.pre_exec(|| Ok(())) };
    }
    let mut child = command.spawn().expect("it is there");
    let process = child.id();
    child.wait().expect("it ends");
    process
}

#[test]
fn forks_and_executions_are_told_in_their_order() {
    if !needs::kernel() {
        return;
    }
    let (_machine, mut family) = family();
    let process = run(true);
    let messages = told(&mut family, process);
    let kinds: Vec<u32> = messages.iter().map(|message| message.kind).collect();
    assert_eq!(kinds, [FORKED, EXECUTED], "{messages:?}");
    assert_eq!(messages[0].parent, std::process::id());
    assert_eq!(messages[0].initial, messages[1].initial);
    assert_eq!(family.missed().processes, 0);
}

#[test]
fn programs_that_begin_in_our_memory_are_not_told() {
    if !needs::kernel() {
        return;
    }
    let (_machine, mut family) = family();
    let process = run(false);
    assert_eq!(told(&mut family, process), []);
}

#[test]
fn processes_of_others_are_not_told() {
    if !needs::kernel() {
        return;
    }
    let (_machine, mut family) = family();
    family.remove(std::process::id());
    let process = run(true);
    assert_eq!(told(&mut family, process), []);
}
