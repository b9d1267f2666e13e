//! A complete run of a program that waits for a command, under probes.

use std::time::{Duration, Instant};

use super::program::Program;
use super::text::Text;
use super::tracer::{Finished, Tracer};

/// The results of a run.
pub(crate) struct Observed {
    /// The tracer, which was ended after the program.
    pub(crate) finished: Finished,
    /// The program's output.
    pub(crate) printed: Vec<String>,
    /// Time from the command to the program's end.
    pub(crate) took: Duration,
}

/// Runs a program from its `ready` to its `done` under these probes. Its code must be the same at
/// both.
#[track_caller]
pub(crate) fn observe(mut program: Program, probes: &[impl AsRef<str>], more: &[&str]) -> Observed {
    let text = Text::of_exe(program.pid());
    let probes: Vec<&str> = probes.iter().map(AsRef::as_ref).collect();
    let tracer = Tracer::attach(program.pid(), "json", &probes, more);
    tracer.wait_tracing();
    let started = Instant::now();
    program.say("go");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    let took = started.elapsed();
    let finished = tracer.interrupt();
    text.wait_restored();
    Observed {
        finished,
        printed: program.stdout.lines(),
        took,
    }
}
