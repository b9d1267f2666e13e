//! Targets that fork. The options of the session determine whose passes count.

use anyhow::Result;
use serde_json::Value;

use super::accounts::{PLACES, end, run_command};
use crate::soak::accounts::{EndedSession, Expected, Known, check};
use crate::soak::findings::{Class, Findings};
use crate::soak::places::{PassKind, SlotRange};
use crate::soak::residue::check_target;
use crate::soak::round::Round;
use crate::soak::session::{Finished, Session};
use crate::soak::target::SoakTarget;

/// Children of a fork. The tracer names only the first 16 followed processes of a session.
const CHILDREN: u64 = 5;

/// Slots from this one on belong to forked processes.
const CHILD_SLOTS: u64 = 64;

/// The processes that have the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follow {
    /// Only the target.
    Nobody,
    /// Children too, some moments after their start.
    Cheap,
    /// Children too, from their start.
    Exact,
}

/// Forked processes and their passes.
#[derive(Default)]
struct Done {
    passes: Vec<SlotRange>,
    children: u64,
    /// True if children passed before they were known to have the probes.
    at_once: bool,
}

/// Runs the round.
///
/// # Errors
/// Fails if something does not end in time or cannot be started.
pub(in crate::soak) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut target = round.target()?;
    let follow = round
        .random
        .pick(&[Follow::Nobody, Follow::Cheap, Follow::Exact]);
    let probes = round.probes(&target, &PLACES, 4, true);
    let more = match follow {
        Follow::Nobody => vec![],
        Follow::Cheap => vec!["--follow-fork".to_owned()],
        Follow::Exact => vec!["--follow-fork=exact".to_owned()],
    };
    let session = round.session(&target, &probes, &more)?;
    session.wait_tracing()?;
    let mut done = Done::default();
    for _ in 0..1 + round.random.below(3) {
        fork(round, &mut target, &session, follow, &mut done)?;
        let command = run_command(&mut round.random);
        done.passes
            .extend(target.pass(&command, PassKind::Program, &mut round.findings)?);
    }
    let finished = end(session, true, &mut round.random)?;
    let codes: &[i32] = if target.program.optimised {
        &[0, 1, 2]
    } else {
        &[0, 1]
    };
    finished.check_end(codes, &mut round.findings);
    check_target(&target, &mut round.findings);
    round.findings.count("forked processes", done.children);
    let of_target = done.passes.iter().filter(|range| range.slot < CHILD_SLOTS);
    let passes: Vec<SlotRange> = match follow {
        Follow::Nobody => of_target.copied().collect(),
        Follow::Cheap | Follow::Exact => done.passes.clone(),
    };
    let known = match follow {
        Follow::Cheap if done.at_once => Known::AtMost(&passes),
        _ => Known::Exactly(&passes),
    };
    let expected: Vec<Expected<'_>> = probes
        .iter()
        .map(|probe| Expected { probe, known })
        .collect();
    let pids = [target.pid()];
    let ended = EndedSession {
        program: &target.program,
        pids: if follow == Follow::Nobody { &pids } else { &[] },
        has_lives: false,
        finished: &finished,
    };
    check(ended, &expected, &mut round.findings);
    if follow != Follow::Nobody {
        check_followed(&finished, done.children, &mut round.findings);
    }
    target.exit(7, &mut round.findings)
}

/// Lets the target fork, and its children pass.
fn fork(
    round: &mut Round<'_>,
    target: &mut SoakTarget,
    session: &Session,
    follow: Follow,
    done: &mut Done,
) -> Result<()> {
    let children = 1 + round.random.below(CHILDREN);
    let passes = 1 + round.random.below(40);
    done.children += children;
    let before = target.quiet_counters()?;
    let said = if round.random.one_in(2) {
        done.at_once = true;
        target.tell(&format!("fork {children} {passes}"))?
    } else {
        let said = target.tell(&format!("hold {children} {passes}"))?;
        if follow == Follow::Cheap {
            let pids = said.iter().filter_map(|line| line.strip_prefix("child "));
            for pid in pids {
                let begin = format!("note: process {pid} is followed");
                let told = session.wait_said(0, "a process that is followed", |line| {
                    line.starts_with(&begin)
                })?;
                // Optimised code may refuse every probe, and the tracer then ends. The checks at
                // its end tell whether that was right.
                if told.is_none() {
                    break;
                }
            }
        }
        target.tell("release")?
    };
    done.passes
        .extend(target.passed(&before, PassKind::Program, &said, &mut round.findings)?);
    Ok(())
}

/// Checks that each forked process is in one of the tracer's numbers.
fn check_followed(finished: &Finished, children: u64, findings: &mut Findings) {
    let lines = finished.output.iter().rev();
    let mut values = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let Some(followed) = values.find(|value| value["type"] == "followed") else {
        // Optimised code may refuse every probe. The session then ends before it follows any
        // process.
        let mut said = finished.errors.iter();
        let traced = said.any(|line| line.starts_with("tracing "));
        let refused = finished.code == Some(2) && !traced;
        findings.check(Class::Account, refused, || {
            let said = finished.errors.join("\n");
            format!("nothing is said of forked processes; the tracer said:\n{said}")
        });
        return;
    };
    let number = |name: &str| followed[name].as_u64().unwrap_or(0);
    let all = number("followed") + number("too_short") + number("missed");
    findings.check(Class::Account, all == children, || {
        format!("{children} processes were forked, and {all} are told of: {followed}")
    });
}
