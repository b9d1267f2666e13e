//! A whole run: a program that waits for a word, under probes, to its end.

use std::time::{Duration, Instant};

use super::program::Program;
use super::text::Text;
use super::tracer::{Finished, Tracer};

/// What came of it.
pub(crate) struct Observed {
    /// The tracer, which was ended once the program was done.
    pub(crate) finished: Finished,
    /// What the program printed.
    pub(crate) printed: Vec<String>,
    /// From its word to its end.
    pub(crate) took: Duration,
}

/// Has a program that says `ready` go on, until it says `done`, under these probes; its code must be
/// what it was then.
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
