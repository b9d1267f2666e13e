//! docs/performance.md: the method, and the tables of one run.

use anyhow::{Context, Result};

use super::report::{BenchReport, Pace, SiteKind, Tool};
use super::table;
use crate::support::workspace;

/// The page, from the workspace's root.
const PAGE: &str = "docs/performance.md";

const HEADER: &str = "# What a hit costs\n
<!-- Written by `cargo xtask bench --write-docs` from `xtask/src/bench/page.rs`: run that again rather than edit. -->

This page shows the cost of a hit on one machine. Measure it on yours:

    cargo xtask bench                # everything, about fifteen minutes; --quick takes two
    cargo xtask bench --peers        # compares with bpftrace, perf and gdb
    cargo xtask bench --json         # prints one object

A probed line costs the program a trap each time it is passed. The cost depends on the machine, and even more on the
instruction under the probe:

- *One trap*: the kernel emulates the instruction in the breakpoint's own trap. These are `nop`, `push`, jumps and
  calls.
- *Two traps*: the kernel executes any other instruction out of line and traps again. That costs two to three times as
  much on bare metal, and far more in some virtual machines.

So compare ratios rather than nanoseconds.
";

const METHOD: &str = "
## How it is measured

| column | meaning |
| --- | --- |
| ns/hit | time per call of the probed function, seen from inside the target |
| × empty | ratio to an eBPF program of two instructions at the same instruction |
| eBPF ns | run time of the programs, as the kernel counts it |
| hits | hits that the target made |
| delivered | events that the tool wrote |
| lost | events that the tool reports as lost |
| CPU µs/event | CPU time of the observing process for each delivered event |
| task µs | CPU time of the real program for one task |
| first event ms | from the start of the tool to its first line of output |
| exit ms | from Ctrl-C to the end of the process |
| attach ms, detach ms | from tracer's log, once the debug information is read |
| not delivered | events that tracer could not send to the collector |
| received | log records that the collector says it has received |

- **ns/hit**: a C program calls the function in stretches of 64 calls (*tight*), or in bursts of 40 calls every 10 ms
  (*4k*). The number is the median over stretches, then over repeats. Each thread stays on one CPU.
- **× empty** is measured in the same repeat, just before. No tool that uses uprobes can be faster.
- **eBPF ns** is measured in a separate stretch, because counting costs time too.
- **delivered** shows tools that drop events, which would otherwise look fast.
- **CPU µs/event** of perf excludes `perf script`, which is needed to read its events.
- **task µs**: a task parses a JSON document of 1,601 values. It is probed once per document and once per value.
- **first event ms** excludes the time until the program passes the line once the probe is there. Peers include up to
  10 ms of it. perf shows nothing before its end. So it is interrupted at once, and its end and `perf script` are
  included.
- **detach ms** includes one more site.

| tool or workload | meaning |
| --- | --- |
| *empty* | an eBPF program of two instructions |
| *hand-written* | the smallest eBPF program for this one target (`xtask/bench-ebpf`), with the same kind of reader |
| *tracer* | the release build as a user starts it, with JSON to a file |
| *log2* | logs two integers |
| *log_struct* | logs a struct of five members and the string behind one of them |
| *rejected* | logs two integers under a condition on an integer that is never true |
| *count* | counts hits |

**Many processes of one program**: `tracer attach --exe FILE` with sessions of one process and of many in turns. *Memory* is
the difference of the peaks. A *short process* passes each probed line once. The process that is *not selected* runs the
same file as two selected ones.

**Recordings**: `tracer record` in comparison with `tracer attach -o json` to `/dev/null`, each alone, 20,000 events of
two integers a second. *start CPU ms* is spent once, before the first event: a recorder reads the source of each probe
and finds its lines with code. The long recording has the blocks of the recordings again and again. The time is from the
start of `tracer view` to its first screen with events.

**Answers of the terminal UI**: the time from a key to its answer on the screen of a terminal, while the target makes
100,000 hits a second, each of which is an event of two integers. The keys open and close the help, zoom, and turn the
views of the results. The time includes `script`, which makes the terminal, and the reading of the screen.

**Recorded calls**: a function of forty lines, called again and again on one thread. *logged* is a call with a log of
all variables on each line, and *recorded* one that `trace` records. *rejected* is a call with a log on each line whose
condition compares an argument and is false. *turned away* is a call with a trace whose recorded call is in progress on
another thread. All times are medians of one run in turns. *attach* and *detach* are of a trace of a function of a
thousand lines, from tracer's own log.

**Watched values**: a C program writes a static again and again. *empty* is a write with an eBPF program of two
instructions on the watchpoint, *rejected* one under a probe whose condition is never true, and *event* one that is sent
with the value before and after. The ratios to *empty* are of medians of one run in turns.

**Events to a collector**: `tracer attach --otlp` beside JSON, which goes to `/dev/null`. The target calls in bursts
each 10 ms: 20,000 or 100,000 calls a second, or as many as the machine has time for. The collector is rotel over *grpc*
and *http*, on the same machine. It throws away what it has received. *hanging* takes connections and never answers.
*× JSON* is the CPU time of a session with both, relative to one with JSON alone in the same repeat.

**A line of a large binary** compares `tracer lines FILE:LINE` with `gdb -nx -batch -ex 'info line FILE:LINE'` on
tracer's own dev build, in turns.

**Lines with a site of one trap** covers the lines of the fidelity corpus (a part of it with `--quick`), or of
`--program FILE`. *first* is the line's first instruction. *chosen* is the instruction that tracer chooses for a log of
two integers that is the only probe. A line can have many sites, for example if it was inlined. *first* and *chosen*
count lines whose sites all have one trap; *any* counts lines with at least one such site.
";

/// Writes the page.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(report: &BenchReport) -> Result<()> {
    let file = workspace::root().join(PAGE);
    std::fs::write(&file, page(report))
        .with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("bench: wrote {PAGE}");
    Ok(())
}

/// Cost of two traps relative to one, on the machine of the run.
fn second_trap(report: &BenchReport) -> Option<String> {
    let empty = |site| {
        let rows = report.hits.iter();
        let mut rows = rows.filter(|row| row.tool == Tool::Empty && row.pace == Pace::Tight);
        rows.find(|row| row.site == site).map(|row| row.ns_per_hit)
    };
    let ratio = empty(SiteKind::TwoTrap)? / empty(SiteKind::OneTrap)?;
    Some(format!(
        "\nTwo traps cost {ratio:.1} times as much as one on this machine."
    ))
}

fn page(report: &BenchReport) -> String {
    let host = &report.host;
    let mut page = format!(
        "{HEADER}\n## A run\n\n{}: Linux {}, {} CPUs, {} repeats with {} ms of hits each.{}{}\n{}",
        host.date,
        host.kernel,
        host.cpus,
        host.repeats,
        host.milliseconds,
        host.load.map_or_else(String::new, |load| format!(
            "\nThe load average of the last five minutes was {load:.1}; the bench alone causes 1 to 2."
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
