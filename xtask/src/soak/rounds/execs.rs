//! Targets that execute themselves. The probes are attached again, and each life has its own
//! account.

use std::cell::Cell;

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
    // Unoptimised code refuses no probe, so each can be awaited.
    let mut target = round.plain_target()?;
    let probes = round.probes(&target, &Place::OF_PASS, 4, true);
    let session = round.session(&target, &probes, &[])?;
    let mut passes = Vec::new();
    anyhow::ensure!(session.wait_tracing()?, "no probe could be attached");
    for _ in 0..1 + round.random.below(3) {
        let command = run_command(&mut round.random);
        passes.extend(target.pass(&command, PassKind::Program, &mut round.findings)?);
        let from = session.said();
        target.tell_until("exec", "ready")?;
        round.findings.count("executions", 1);
        let executed = |line: &str| line.contains("the target executed `");
        let at = session.wait_said(from, "the execution", executed)?;
        let at = at.context("the tracer ended at an execution")?;
        // Probes are awaited one after the other, so some would miss passes in between.
        for probe in &probes {
            let anew = format!(" {}: attached again, ", probe.name);
            let done = format!("note: {} is done ", probe.name);
            let number = Cell::new(0);
            // A probe that is done stays done in every program.
            let is_placed = |line: &str| {
                number.set(number.get() + 1);
                line.contains(&anew) && number.get() > at || line.starts_with(&done)
            };
            session
                .wait_said(0, "a new place", is_placed)?
                .context("the tracer ended at an execution")?;
        }
    }
    let command = run_command(&mut round.random);
    passes.extend(target.pass(&command, PassKind::Program, &mut round.findings)?);
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
