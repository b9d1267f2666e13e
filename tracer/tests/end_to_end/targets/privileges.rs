//! Least privilege: the privileges that the tracer keeps, and those that are enough.

use std::fs;
use std::process::Command;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{TRACER, Tracer, attach_args};

/// `CAP_DAC_READ_SEARCH`, `CAP_SYS_PTRACE`, `CAP_PERFMON`, `CAP_BPF`, `CAP_CHECKPOINT_RESTORE`.
const KEPT: u64 = 1 << 2 | 1 << 19 | 1 << 38 | 1 << 39 | 1 << 40;

/// A field of each thread's status, in hexadecimal.
fn of_threads(pid: u32, field: &str) -> Vec<u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let value = |task: std::io::Result<fs::DirEntry>| {
        let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    tasks.filter_map(value).collect()
}

#[test]
fn tracer_keeps_the_privileges_that_it_needs_and_no_others() {
    if !needs::kernel() {
        return;
    }
    let path = c("loop", "e2e_loop.c", &["-O0"]);
    let program = Program::ready(&path, &["1", "1", "0"]);
    let text = Text::of_exe(program.pid());
    let line = probe_line("e2e_loop.c", "work");
    let tracer = Tracer::json(program.pid(), &[&format!("log e2e_loop.c:{line}")]);
    text.wait_probed(1);
    tracer.wait_tracing();
    for field in ["CapEff:", "CapPrm:", "CapBnd:"] {
        let threads = of_threads(tracer.pid(), field);
        assert!(threads.len() > 2, "{threads:x?}");
        // Before Linux 6.10, perf events need CAP_SYS_ADMIN as well.
        let fits = |held: &u64| held & !(KEPT | 1 << 21) == 0;
        assert!(threads.iter().all(fits), "{field} {threads:x?}");
    }
    assert!(
        of_threads(tracer.pid(), "NoNewPrivs:")
            .iter()
            .all(|set| *set == 1)
    );
    tracer.interrupt();
}

#[test]
fn three_capabilities_are_enough_for_a_program_and_its_libraries() {
    if !needs::kernel() || !needs::tools(&["setpriv"]) {
        return;
    }
    let library = c(
        "libe2e_few.so",
        "e2e_shared_lib.c",
        &["-O0", "-shared", "-fPIC"],
    );
    let path = c("few", "e2e_shared_main.c", &["-O0", "-ldl"]);
    let program = Program::ready(
        &path,
        &["3", library.to_str().expect("test paths are UTF-8")],
    );
    let line = probe_line("e2e_shared_lib.c", "library");
    let probe = format!(r#"log libe2e_few.so!e2e_shared_lib.c:{line} "{{input}}""#);
    let three = "-all,+bpf,+perfmon,+sys_ptrace";
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", three, "--inh-caps", three, TRACER]);
    command.args(attach_args(
        program.pid(),
        "json",
        &[&probe],
        &["--events", "2"],
    ));
    let finished = Tracer::spawn(command).finish();
    finished.assert_code(0);
    assert_eq!(finished.events().len(), 2, "{finished}");
}

#[test]
fn perf_events_without_their_capability_are_a_privilege_that_is_missing() {
    if !needs::kernel() || !needs::tools(&["setpriv"]) {
        return;
    }
    let path = c("loop", "e2e_loop.c", &["-O0"]);
    let program = Program::ready(&path, &["1", "1", "0"]);
    let line = probe_line("e2e_loop.c", "work");
    let three = "-all,+bpf,+perfmon,+sys_ptrace";
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", three, "--inh-caps", three, TRACER]);
    let probe = format!("log e2e_loop.c:{line}");
    let more = ["--perf-events", "--events", "1"];
    command.args(attach_args(program.pid(), "json", &[&probe], &more));
    let finished = Tracer::spawn(command).finish();
    // Kernels before mid-2025 allow the attach.
    if finished.code != Some(0) {
        finished.assert_code(77).assert_says(&["CAP_SYS_ADMIN"]);
    }
}
