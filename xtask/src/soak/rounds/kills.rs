//! Tracers that are killed and signalled at random moments, on a target that continues.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::accounts::{PLACES, check_all, end, run_command};
use crate::soak::accounts::{EndedSession, Expected, Known, check, check_events};
use crate::soak::counters::Around;
use crate::soak::findings::Class;
use crate::soak::places::PassKind;
use crate::soak::probes::{self, Probe};
use crate::soak::residue::check_target;
use crate::soak::round::Round;
use crate::soak::session::{EventReader, Finished, Session};
use crate::soak::target::SoakTarget;

/// Longest time in microseconds from the start of a tracer to its signal.
const STARTED: u64 = 600_000;

/// Runs the round.
///
/// # Errors
/// Fails if something does not end in time or cannot be started.
pub(in crate::soak) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut target = round.target()?;
    let threads = 1 + round.random.below(4);
    let before = target.quiet_counters()?;
    target.tell(&format!("start {threads} {}", 50 + round.random.below(500)))?;
    for _ in 0..2 + round.random.below(4) {
        match round.random.below(6) {
            0 => refused(round, &target)?,
            1 | 2 => ended(round, &target)?,
            _ => killed(round, &target)?,
        }
        check_target(&target, &mut round.findings);
    }
    let said = target.tell("halt")?;
    target.passed(&before, PassKind::Program, &said, &mut round.findings)?;
    // Leftovers must not disturb the next session.
    let probes = round.probes(&target, &PLACES, 4, true);
    let session = round.session(&target, &probes, &[])?;
    session.wait_tracing()?;
    let command = run_command(&mut round.random);
    let passes = target.pass(&command, PassKind::Program, &mut round.findings)?;
    let finished = end(session, true, &mut round.random)?;
    check_all(round, &target, &finished, &probes, &passes);
    check_target(&target, &mut round.findings);
    target.exit(5, &mut round.findings)
}

/// Runs several tracers at once, which are all killed at random moments.
fn killed(round: &mut Round<'_>, target: &SoakTarget) -> Result<()> {
    let mut sessions = Vec::new();
    for _ in 0..1 + round.random.below(3) {
        let probes = round.probes(target, &PLACES, 4, true);
        let more = options(round);
        sessions.push((round.session(target, &probes, &more)?, probes));
    }
    for (session, probes) in sessions {
        some_time(round, &session)?;
        if round.random.one_in(3) {
            session.signal(Signal::STOP);
            pause(round, 20_000);
        }
        session.signal(Signal::KILL);
        round.findings.count("tracers killed", 1);
        let finished = session.finish()?;
        finished.check_said(&mut round.findings);
        check_events(
            of(target, &finished, &[target.pid()]),
            &probes,
            &mut round.findings,
        );
    }
    Ok(())
}

/// Runs a tracer that is asked to end, once or several times, and may be silenced in between.
fn ended(round: &mut Round<'_>, target: &SoakTarget) -> Result<()> {
    let start = target.counters()?;
    let probes = round.probes(target, &PLACES, 4, true);
    let more = options(round);
    let session = round.session(target, &probes, &more)?;
    let is_known = round.random.one_in(2) && session.wait_tracing()?;
    let traced = target.counters()?;
    pause(round, 100_000);
    let silences = round.random.one_in(4);
    if silences && is_known {
        for _ in 0..1 + round.random.below(6) {
            session.signal(Signal::USR1);
            pause(round, 20_000);
        }
    }
    let asked = target.counters()?;
    let twice = round.random.one_in(4);
    session.signal(round.random.pick(&ends()?));
    if twice {
        pause(round, 400_000);
        session.signal(Signal::TERM);
    }
    round.findings.count("tracers asked to end", 1);
    let finished = session.finish()?;
    finished.check_said(&mut round.findings);
    let end = target.counters()?;
    // If a tracer does not listen yet, the signal kills it. A second signal ends it without
    // waiting.
    let has_account = finished.signal.is_none() && finished.code != Some(130);
    if !has_account {
        check_events(
            of(target, &finished, &[target.pid()]),
            &probes,
            &mut round.findings,
        );
        return Ok(());
    }
    let from = if is_known && !silences {
        traced
    } else {
        end.clone()
    };
    let around = Around {
        start,
        traced: from,
        asked,
        end,
    };
    if finished.code == Some(2) && !target.program.optimised {
        let said = finished.errors.join("\n");
        round
            .findings
            .add(Class::Tracer, format!("{} said {said}", finished.shown));
    }
    let expected: Vec<Expected<'_>> = probes
        .iter()
        .map(|probe| Expected {
            probe,
            known: Known::Within(&around),
        })
        .collect();
    check(
        of(target, &finished, &[target.pid()]),
        &expected,
        &mut round.findings,
    );
    Ok(())
}

/// Runs a tracer with an invalid probe. It must report the probe and attach nothing.
fn refused(round: &mut Round<'_>, target: &SoakTarget) -> Result<()> {
    let mut probes = round.probes(target, &PLACES, 2, false);
    for probe in &mut probes {
        probe.text = probes::unreadable(&mut round.random);
    }
    let session = round.session(target, &probes, &[])?;
    let finished = session.finish()?;
    round
        .findings
        .count("probes that are none", probes.len() as u64);
    finished.check_end(&[2], &mut round.findings);
    round
        .findings
        .check(Class::Tracer, finished.output.is_empty(), || {
            format!("{} wrote {:?}", finished.shown, finished.output)
        });
    Ok(())
}

/// Returns the signals that end a tracer. If a signal is ignored here, as with `nohup`, a tracer
/// ignores it until it listens.
fn ends() -> Result<Vec<Signal>> {
    let status = std::fs::read_to_string("/proc/self/status").context("no /proc")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.context("no mask of ignored signals in /proc/self/status")?;
    let ignored = u64::from_str_radix(ignored.trim(), 16).context("not a mask of signals")?;
    let mut ends = vec![Signal::INT, Signal::TERM, Signal::HUP];
    ends.retain(|signal| ignored & 1 << (signal.as_raw() - 1) == 0);
    Ok(ends)
}

fn of<'a>(target: &'a SoakTarget, finished: &'a Finished, pids: &'a [u32]) -> EndedSession<'a> {
    EndedSession {
        program: &target.program,
        pids,
        has_lives: false,
        finished,
    }
}

/// Returns options for tracers that are killed: all ways to attach.
fn options(round: &mut Round<'_>) -> Vec<String> {
    let mut more = round.options();
    match round.random.below(6) {
        0 => more.push("--follow-fork".to_owned()),
        1 => more.push("--follow-fork=exact".to_owned()),
        _ => {}
    }
    if more.iter().any(|option| option == "--perf-events") {
        more.retain(|option| !option.starts_with("--follow-fork"));
    }
    more
}

/// Waits for a part of the time that a tracer needs to start, or for that time after it has
/// started.
fn some_time(round: &mut Round<'_>, session: &Session) -> Result<()> {
    if round.random.one_in(2) {
        session.wait_tracing()?;
    }
    pause(round, STARTED);
    Ok(())
}

/// Waits for a random time by design; there is no event to wait for.
pub(super) fn pause(round: &mut Round<'_>, most_us: u64) {
    std::thread::sleep(Duration::from_micros(round.random.below(most_us)));
}

/// Returns probes whose events may stay unread.
pub(super) fn unread(
    round: &mut Round<'_>,
    target: &SoakTarget,
    reader: EventReader,
) -> Result<(Session, Vec<Probe>)> {
    let probes = round.probes(target, &PLACES, 4, false);
    let more = options(round);
    let session = round.session_with(target, &probes, &more, reader)?;
    Ok((session, probes))
}
