//! What the kernel tells of processes that are forked.

#![expect(unsafe_code, reason = "forks before it executes a program")]

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use tracer::kernel::{Family, Forks, LoadOptions, Machine};
use tracer_common::forks::{EXECUTED, FORKED, FamilyMessage};

use crate::support::needs;

/// The machine, which is held for its programs, and the family of this process.
fn family() -> (Machine, Family) {
    let options = LoadOptions {
        ring_bytes: 1 << 12,
        forks: Forks::Told,
        ..LoadOptions::default()
    };
    let mut machine = Machine::load(&options).expect("the programs load");
    let mut family = machine.take_family().expect("it was asked for");
    family.begin(std::process::id()).expect("room for one");
    (machine, family)
}

/// What was told of a process; other tests fork, too.
fn told(family: &mut Family, process: u32) -> Vec<FamilyMessage> {
    let messages = family.messages().into_iter();
    messages
        .filter(|message| message.process == process)
        .collect()
}

/// Runs a program to its end, from a process of its own or from one in our memory.
fn run(forks: bool) -> u32 {
    // Ourselves, with no test to run: the other kernels have nothing else.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", "no test"]).stdout(Stdio::null());
    if forks {
        // SAFETY: does nothing between fork and exec.
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
    assert_eq!(family.missed(), 0);
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
