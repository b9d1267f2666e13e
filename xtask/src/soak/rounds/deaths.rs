//! Targets that crash or are killed under their probes. The tracer ends with them and accounts for
//! every hit.

use std::os::unix::process::ExitStatusExt;

use anyhow::Result;
use rustix::process::Signal;

use super::accounts::PLACES;
use super::kills::pause;
use crate::soak::accounts::{EndedSession, Expected, Known, check};
use crate::soak::counters::Around;
use crate::soak::findings::Class;
use crate::soak::round::Round;
use crate::soak::target::SoakTarget;

/// Signal numbers by the command that makes a target crash.
const CRASHES: [(&str, i32); 4] = [("segv", 11), ("fpe", 8), ("ill", 4), ("abort", 6)];

/// Runs the round.
///
/// # Errors
/// Fails if something does not end in time or cannot be started.
pub(in crate::soak) fn run(round: &mut Round<'_>) -> Result<()> {
    for _ in 0..1 + round.random.below(3) {
        one(round)?;
    }
    Ok(())
}

fn one(round: &mut Round<'_>) -> Result<()> {
    let mut target = round.target()?;
    let threads = 1 + round.random.below(4);
    let pause_us = round.random.pick(&[10, 50, 200, 1000]);
    target.tell(&format!("start {threads} {pause_us}"))?;
    let start = target.counters()?;
    let mut sessions = Vec::new();
    for _ in 0..1 + round.random.below(2) {
        let probes = round.probes(&target, &PLACES, 3, true);
        let more = round.options();
        sessions.push((round.session(&target, &probes, &more)?, probes));
    }
    // Some targets are killed while the tracers start.
    let mut all_traced = !round.random.one_in(4);
    if all_traced {
        for (session, _) in &sessions {
            all_traced &= session.wait_tracing()?;
        }
    }
    let traced = target.counters()?;
    pause(round, 100_000);
    die(round, &mut target)?;
    let end = target.counters()?;
    let around = Around {
        start,
        traced: if all_traced { traced } else { end.clone() },
        asked: end.clone(),
        end,
    };
    for (session, probes) in sessions {
        let finished = session.finish()?;
        finished.check_said(&mut round.findings);
        // The target may have been gone before the tracer looked at it or attached the probes.
        let has_account = all_traced
            || finished
                .errors
                .iter()
                .any(|line| line.starts_with("tracing "));
        if !has_account {
            continue;
        }
        finished.check_end(&[0, 1, 2], &mut round.findings);
        let expected: Vec<Expected<'_>> = probes
            .iter()
            .map(|probe| Expected {
                probe,
                known: Known::Within(&around),
            })
            .collect();
        let ended = EndedSession {
            program: &target.program,
            pids: &[target.pid()],
            has_lives: false,
            finished: &finished,
        };
        check(ended, &expected, &mut round.findings);
    }
    Ok(())
}

/// Ends the target in one way, and checks its exit status.
fn die(round: &mut Round<'_>, target: &mut SoakTarget) -> Result<()> {
    let wanted = if round.random.one_in(2) {
        let (how, signal) = round.random.pick(&CRASHES);
        target.say(&format!("crash {how}"));
        (None, Some(signal))
    } else if round.random.one_in(3) {
        target.say("exit 9");
        (Some(9), None)
    } else {
        let signal = round
            .random
            .pick(&[Signal::KILL, Signal::TERM, Signal::SEGV]);
        target.signal(signal);
        (None, Some(signal.as_raw()))
    };
    let status = target.wait()?;
    round.findings.count("targets that died", 1);
    round.findings.check(
        Class::Harm,
        (status.code(), status.signal()) == wanted,
        || format!("a target was to end with {wanted:?}, and ended with {status}"),
    );
    Ok(())
}
