//! Readers of the output that stop or go away. The tracer ends when it is asked to, or by itself.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::kills::{pause, unread};
use crate::soak::findings::Class;
use crate::soak::places::PassKind;
use crate::soak::residue::check_target;
use crate::soak::round::Round;
use crate::soak::session::EventReader;

/// Time from the signal, or from the end of the pipe, to the end of the tracer. On an idle machine
/// it is less than a second.
const END: Duration = Duration::from_secs(10);

/// Runs the round.
///
/// # Errors
/// Fails if something does not end in time or cannot be started.
pub(in crate::soak) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut target = round.target()?;
    let before = target.quiet_counters()?;
    target.tell(&format!("start 2 {}", 10 + round.random.below(200)))?;
    for _ in 0..1 + round.random.below(2) {
        let (mut session, probes) = unread(round, &target, EventReader::Sleeps)?;
        let sends = probes
            .iter()
            .any(|probe| probe.sends() && probe.condition.is_none());
        let tracing = session.wait_tracing()?;
        pause(round, 500_000);
        round.findings.count("readers that stopped", 1);
        if round.random.one_in(2) {
            session.close_output();
            // Without events, the tracer does not notice.
            pause(round, if sends { 2_000 } else { 200_000 });
        }
        if tracing {
            session.signal(round.random.pick(&[Signal::INT, Signal::TERM]));
        }
        let finished = session.finish_within(END)?;
        finished.check_said(&mut round.findings);
        round
            .findings
            .check(Class::Tracer, finished.signal.is_none(), || {
                format!(
                    "{} was ended by signal {:?}",
                    finished.shown, finished.signal
                )
            });
        check_target(&target, &mut round.findings);
    }
    let said = target.tell("halt")?;
    target.passed(&before, PassKind::Program, &said, &mut round.findings)?;
    target.exit(6, &mut round.findings)
}
