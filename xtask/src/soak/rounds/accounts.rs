//! Sessions on targets that pass in windows. Every hit is known.

use anyhow::Result;
use rustix::process::Signal;

use crate::soak::accounts::{EndedSession, Expected, Known, check};
use crate::soak::findings::Class;
use crate::soak::perturb::{Perturbation, Victims};
use crate::soak::places::{PassKind, Place, SlotRange};
use crate::soak::probes::{self, Probe};
use crate::soak::random::Random;
use crate::soak::residue::check_target;
use crate::soak::round::Round;
use crate::soak::session::{Finished, Session};
use crate::soak::target::SoakTarget;

/// Passes of all threads in one window.
const PASSES: u64 = 2_000;

/// Places of the program, and of its signal handler.
pub(super) const PLACES: [Place; 6] = [
    Place::Work,
    Place::Leaf,
    Place::Look,
    Place::Deep,
    Place::Maybe,
    Place::Signal,
];

/// A session and its probes.
struct RunningSession {
    session: Session,
    probes: Vec<Probe>,
    /// True if it was also given a probe without a site.
    has_invalid: bool,
}

/// Runs the round.
///
/// # Errors
/// Fails if something does not end in time or cannot be started.
pub(in crate::soak) fn run(round: &mut Round<'_>) -> Result<()> {
    let count = 1 + u64::from(round.random.one_in(4));
    for _ in 0..count {
        one_target(round)?;
    }
    Ok(())
}

fn one_target(round: &mut Round<'_>) -> Result<()> {
    let mut target = round.target()?;
    let mut running = Vec::new();
    for _ in 0..1 + round.random.below(3) {
        running.push(start(round, &target)?);
    }
    for one in &running {
        let tracing = one.session.wait_tracing()?;
        round
            .findings
            .check(Class::Tracer, tracing || target.program.optimised, || {
                format!("no probe of {:?} was attached", texts(&one.probes))
            });
    }
    let mut passes = Vec::new();
    for _ in 0..1 + round.random.below(3) {
        passes.extend(window(round, &mut target, &running)?);
    }
    let by_exit = round.random.one_in(4);
    let code = i32::try_from(round.random.below(100))?;
    if by_exit {
        target.exit(code, &mut round.findings)?;
    }
    for RunningSession {
        session,
        probes,
        has_invalid,
    } in running
    {
        let finished = end(session, !by_exit, &mut round.random)?;
        let codes: &[i32] = match (has_invalid, target.program.optimised) {
            (true, _) => &[2],
            (false, true) => &[0, 1, 2],
            (false, false) => &[0, 1],
        };
        finished.check_end(codes, &mut round.findings);
        check_all(round, &target, &finished, &probes, &passes);
    }
    if !by_exit {
        check_target(&target, &mut round.findings);
        target.exit(code, &mut round.findings)?;
    }
    Ok(())
}

fn start(round: &mut Round<'_>, target: &SoakTarget) -> Result<RunningSession> {
    let probes = round.probes(target, &PLACES, 6, true);
    let mut more = round.options();
    let has_invalid = round.random.one_in(5);
    if has_invalid {
        more.extend(["-e".to_owned(), probes::misplaced(&mut round.random)]);
    }
    Ok(RunningSession {
        session: round.session(target, &probes, &more)?,
        probes,
        has_invalid,
    })
}

fn texts(probes: &[Probe]) -> Vec<&str> {
    probes.iter().map(|probe| probe.text.as_str()).collect()
}

/// Lets the target pass, while it and the tracers are disturbed.
fn window(
    round: &mut Round<'_>,
    target: &mut SoakTarget,
    running: &[RunningSession],
) -> Result<Vec<SlotRange>> {
    let command = run_command(&mut round.random);
    let before = target.quiet_counters()?;
    let victims = Victims {
        targets: vec![target.pid()],
        tracers: running.iter().map(|one| one.session.pid()).collect(),
    };
    let disturbs = round.random.one_in(2);
    let random = Random::new(round.random.next());
    let perturbation = disturbs.then(|| Perturbation::start(victims, random));
    let said = target.tell(&command)?;
    drop(perturbation);
    target.passed(&before, PassKind::Program, &said, &mut round.findings)
}

/// Builds a command that makes some threads pass for a while.
pub(super) fn run_command(random: &mut Random) -> String {
    let threads = 1 + random.below(8);
    let passes = 1 + random.below(PASSES / threads);
    let pause = if random.one_in(4) {
        random.below(50)
    } else {
        0
    };
    format!("run {threads} {passes} {pause}")
}

/// Ends a session in one of the ways that users have.
pub(super) fn end(session: Session, by_signal: bool, random: &mut Random) -> Result<Finished> {
    if by_signal {
        session.signal(random.pick(&[Signal::INT, Signal::TERM, Signal::HUP]));
    }
    session.finish()
}

/// Checks all probes of a session. All of them saw the same passes.
pub(super) fn check_all(
    round: &mut Round<'_>,
    target: &SoakTarget,
    finished: &Finished,
    probes: &[Probe],
    passes: &[SlotRange],
) {
    let expected: Vec<Expected<'_>> = probes
        .iter()
        .map(|probe| Expected {
            probe,
            known: Known::Exactly(passes),
        })
        .collect();
    let ended = EndedSession {
        program: &target.program,
        pids: &[target.pid()],
        has_lives: false,
        finished,
    };
    check(ended, &expected, &mut round.findings);
}
