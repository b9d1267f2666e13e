//! docs/performance.md: how it is measured, and the tables of one run.

use anyhow::{Context, Result};

use super::report::{Pace, Report, Site, Tool};
use super::table;
use crate::workspace;

/// The page, from the workspace's root.
const PAGE: &str = "docs/performance.md";

const HEADER: &str = "# What a hit costs\n
<!-- Written by `cargo xtask bench --write-docs` from `xtask/src/bench/page.rs`: run that again rather than edit. -->

A probed line costs the program a trap each time that it is passed. How much depends on the machine, and most of all on the
instruction under the probe. Some the kernel emulates in the breakpoint's own trap (`nop`, `push`, jumps, calls): *one trap*. All others it runs out of line and traps
again: *two traps*, two to three times as dear on bare metal, far more in some virtual machines. So look at ratios rather than nanoseconds, and run it
where you want to know it:

    cargo xtask bench                # all, some fifteen minutes; --quick for two
    cargo xtask bench --peers        # beside bpftrace, perf and gdb
    cargo xtask bench --json         # the same as one object
";

const METHOD: &str = "
## How it is measured

- **ns/hit** is seen from inside the target: a C program calls the probed function, and takes the time of stretches of 64 calls (*tight*) or of bursts of 40 calls
  each 10 ms (*4k*). The number is the median over stretches, then over repeats. Each of its threads stays on one CPU.
- **× empty** is the ratio to an eBPF program of two instructions at the same instruction, measured in the same repeat just before: what no tool on uprobes can be below.
- *hand-written* is the least eBPF that does the task for this one target (`xtask/bench-ebpf`), with the same kind of reader.
- *log2* logs two integers, *log_struct* a struct of five members with the string that one points to, *rejected* two integers under a condition on an integer that never holds, *count*
  counts hits. *tracer* is the release build as a user starts it, with JSON to a file.
- **eBPF ns** is the kernel's own count of the programs' run time, taken in a separate stretch, since counting costs time too.
- **hits** is what the target made, **delivered** what the tool wrote for it, **lost** what it says it lost: a tracer that drops looks fast.
- **CPU** is that of the observer's process for one event that it delivered. perf's does not have `perf script`, which its events need to be read.
- **task µs** of the real program is its own CPU time for one task: a JSON document of 1,601 values, probed once a document and once a value.
- **attach** and **detach** are what tracer's log says of a probe whose debug information is read already; the detaching takes one more site along.
- **A line of a large binary** is `tracer lines FILE:LINE` and `gdb -nx -batch -ex 'info line FILE:LINE'` on tracer's own dev build, in turns.
- **Lines with a site of one trap** are those of the fidelity corpus (with `--quick` of a part of it), or of `--program FILE`: at the line's first instruction, and at the one that is chosen for a log of two integers
  when it is the only probe. A line may have many sites, as where it was inlined: *first* and *chosen* are lines all of whose sites are so, *any* those that have one.
- **first event** is from the start of the tool to its first line of output, without the time that the program took to pass the line once the probe was
  there (of peers up to 10 ms of that is in it; perf shows nothing before its end, so it is interrupted at once, and its end and `perf script` are in it too); **exit** is from
  Ctrl-C to the end of the process.
";

/// Writes the page.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(report: &Report) -> Result<()> {
    let file = workspace::root().join(PAGE);
    std::fs::write(&file, page(report))
        .with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("bench: wrote {PAGE}");
    Ok(())
}

/// How much dearer two traps are than one where the run was made.
fn second_trap(report: &Report) -> Option<String> {
    let empty = |site| {
        let rows = report.hits.iter();
        let mut rows = rows.filter(|row| row.tool == Tool::Empty && row.pace == Pace::Tight);
        rows.find(|row| row.site == site).map(|row| row.ns_per_hit)
    };
    let ratio = empty(Site::TwoTrap)? / empty(Site::OneTrap)?;
    Some(format!(
        " Two traps are {ratio:.1} times as dear as one on this machine."
    ))
}

fn page(report: &Report) -> String {
    let host = &report.host;
    let mut page = format!(
        "{HEADER}\n## A run\n\n{}: Linux {}, {} CPUs, {} repeats with {} ms of hits each.{}{}\n{}",
        host.date,
        host.kernel,
        host.cpus,
        host.repeats,
        host.milliseconds,
        host.load.map_or_else(String::new, |load| format!(
            " The load average in its last five minutes was {load:.1}; the bench alone makes 1 to 2."
        )),
        second_trap(report).unwrap_or_default(),
        table::markdown(report)
    );
    if !report.absent.is_empty() {
        page.push_str("\nNot measured in this run:\n\n");
        for absent in &report.absent {
            page.push_str(&format!("- {absent}\n"));
        }
    }
    page.push_str(METHOD);
    page
}
