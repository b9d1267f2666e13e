//! A line that is in the code many times: how long its probe takes to come and to go.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Extent;
use super::code::Code;
use super::observer::NO_RATE;
use super::report::{Report, SitesRow};
use super::statistics::{median, round};
use super::target::{Answering, compile, marked_line};
use crate::command::run as run_command;
use crate::failure::Failure;
use crate::workspace;

const SOURCE: &str = "sites.c";
/// Sites of the marked lines.
const COUNTS: &[u32] = &[1, 100, 1000];

/// Builds the session that says its times.
///
/// # Errors
/// The build failed.
pub(super) fn build() -> Result<()> {
    run_command(workspace::cargo("build").args([
        "--release",
        "--locked",
        "-p",
        "tracer",
        "--example",
        "session_times",
    ]))
}

/// Measures all counts in one session, in turn.
///
/// # Errors
/// The session failed, or a line has another number of sites.
pub(super) fn measure(report: &mut Report, extent: &Extent) -> Result<()> {
    let mut target = Answering::start(&mut Command::new(compile(SOURCE)?))?;
    target.answer("ready")?;
    let code = Code::of_exe(target.pid())?;
    let example = workspace::target().join("release/examples/session_times");
    let mut session = Answering::start(Command::new(example).arg(target.pid().to_string()))?;
    // The first probe has the debug information read.
    cycle(&mut session, &code, 1)?;
    let mut times = vec![(Vec::new(), Vec::new()); COUNTS.len()];
    for _ in 0..extent.repeats {
        for (&count, (attach, detach)) in COUNTS.iter().zip(&mut times) {
            let (came, went) = cycle(&mut session, &code, count)?;
            attach.push(came);
            detach.push(went.as_secs_f64() * 1e3);
        }
    }
    for (&count, (attach, detach)) in COUNTS.iter().zip(&times) {
        let middle = |values: &[f64]| median(values).context("there was no repeat");
        report.sites.push(SitesRow {
            count,
            attach_ms: round(middle(attach)?, 2),
            detach_ms: round(middle(detach)?, 2),
        });
    }
    Ok(())
}

/// Adds a probe and takes it away: what the session says that adding took, in ms, and
/// how long it was until the code was as before.
fn cycle(session: &mut Answering, code: &Code, count: u32) -> Result<(f64, Duration)> {
    let line = marked_line(SOURCE, &format!("sites_{count}"))?;
    session.say(&format!(r#"add log {SOURCE}:{line} "x" {NO_RATE}"#))?;
    let (sites, attach_ms) = parse_added(&session.answer("added")?)
        .ok_or_else(|| Failure::new("the session says no numbers"))?;
    if sites != count {
        return Err(Failure::new(format!(
            "line {line} of {SOURCE} has {sites} sites and not {count}"
        ))
        .into());
    }
    code.wait_probed(count as usize, || Ok(()))?;
    let started = Instant::now();
    session.say("remove")?;
    code.wait_restored()?;
    let took = started.elapsed();
    session.answer("removed")?;
    Ok((attach_ms, took))
}

fn parse_added(words: &[String]) -> Option<(u32, f64)> {
    Some((words.first()?.parse().ok()?, words.get(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_gives_sites_and_time() {
        let words = ["1000".to_owned(), "9.5".to_owned()];
        assert_eq!(parse_added(&words), Some((1000, 9.5)));
        assert_eq!(parse_added(&words[..1]), None);
    }

    #[test]
    fn every_count_has_its_line() {
        for count in COUNTS {
            assert!(marked_line(SOURCE, &format!("sites_{count}")).is_ok());
        }
    }
}
