//! Libraries that are loaded and unloaded. Passes while the probes are attached are counted.

use anyhow::{Context, Result};

use super::accounts::{end, run_command};
use crate::soak::accounts::{EndedSession, Expected, Known, check};
use crate::soak::places::{PassKind, Place};
use crate::soak::residue::check_target;
use crate::soak::round::Round;

/// Runs the round.
///
/// # Errors
/// Fails if something does not end in time or cannot be started.
pub(in crate::soak) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut target = round.target()?;
    let load = format!("load {}", round.programs.plugin.display());
    let probes = round.probes(
        &target,
        &[Place::Plugin, Place::Plugin, Place::Leaf],
        3,
        true,
    );
    let waiting: Vec<&str> = probes
        .iter()
        .filter(|probe| probe.place == Place::Plugin)
        .map(|probe| probe.name.as_str())
        .collect();
    let session = round.session(&target, &probes, &[])?;
    let is_tracing = session.wait_tracing()?;
    // If all probes wait, there is no such line. If one waits, the line names it.
    if !is_tracing && waiting.is_empty() {
        anyhow::ensure!(target.program.optimised, "no probe could be attached");
    }
    let mut passes = Vec::new();
    let mut placed = None;
    for life in 0..1 + round.random.below(4) {
        let from = session.said();
        target.tell(&load)?;
        round.findings.count("libraries loaded", 1);
        // If the library is mapped at its old address, the probes work from its first instruction
        // on, and no message appears.
        let base = target.base_of(&round.programs.plugin);
        let moved = base != placed;
        placed = base;
        for name in waiting.iter().filter(|_| moved) {
            let name = format!("{name}: ");
            let there = |line: &str| {
                line.contains(&name)
                    && (line.contains("is loaded: ") || line.contains("attached again"))
            };
            session
                .wait_said(from, "a probe in the library", there)?
                .with_context(|| format!("the tracer ended in life {life} of a library"))?;
        }
        let threads = 1 + round.random.below(4);
        let command = format!("plugin {threads} {}", 1 + round.random.below(400));
        passes.extend(target.pass(&command, PassKind::Plugin, &mut round.findings)?);
        let command = run_command(&mut round.random);
        passes.extend(target.pass(&command, PassKind::Program, &mut round.findings)?);
        target.tell("unload")?;
    }
    let finished = end(session, true, &mut round.random)?;
    finished.check_end(&[0, 1, 2], &mut round.findings);
    let expected: Vec<Expected<'_>> = probes
        .iter()
        .map(|probe| Expected {
            probe,
            known: Known::Exactly(&passes),
        })
        .collect();
    let ended = EndedSession {
        program: &target.program,
        pids: &[target.pid()],
        has_lives: true,
        finished: &finished,
    };
    check(ended, &expected, &mut round.findings);
    check_target(&target, &mut round.findings);
    target.exit(8, &mut round.findings)
}
