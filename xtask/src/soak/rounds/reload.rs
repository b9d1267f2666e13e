//! Probe files that are rewritten while they are in use. A probe counts while it is in the file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::accounts::{PLACES, end, run_command};
use crate::soak::accounts::{EndedSession, Expected, Known, check};
use crate::soak::places::{PassKind, SlotRange};
use crate::soak::probes::{Probe, unreadable};
use crate::soak::residue::check_target;
use crate::soak::round::Round;
use crate::soak::session::Session;

/// A probe that may be in the file.
struct InFile {
    probe: Probe,
    is_there: bool,
    was_there: bool,
    passes: Vec<SlotRange>,
}

/// Runs the round.
///
/// # Errors
/// Fails if something does not end in time or cannot be started.
pub(in crate::soak) fn run(round: &mut Round<'_>) -> Result<()> {
    // Unoptimised code refuses no probe, so each can be awaited.
    let mut target = round.plain_target()?;
    let probes = round.probes(&target, &PLACES, 6, true);
    let mut probes: Vec<InFile> = probes
        .into_iter()
        .map(|probe| InFile {
            probe,
            is_there: round.random.one_in(2),
            was_there: false,
            passes: Vec::new(),
        })
        .collect();
    // A session needs a probe at its start.
    probes[0].is_there = true;
    let file = round.directory.join("probes");
    save(&file, &text(&probes))?;
    let more = vec!["-f".to_owned(), file.display().to_string()];
    let session = round.session(&target, &[], &more)?;
    let is_tracing = session.wait_tracing()?;
    anyhow::ensure!(is_tracing, "no probe could be attached");
    for _ in 0..2 + round.random.below(4) {
        let command = run_command(&mut round.random);
        let passes = target.pass(&command, PassKind::Program, &mut round.findings)?;
        for one in probes.iter_mut().filter(|one| one.is_there) {
            one.was_there = true;
            one.passes.extend(passes.iter().copied());
        }
        if round.random.one_in(3) {
            break_file(round, &session, &file, &probes)?;
        } else {
            change(round, &session, &file, &mut probes)?;
        }
    }
    let finished = end(session, true, &mut round.random)?;
    finished.check_end(&[0, 1, 2], &mut round.findings);
    let expected: Vec<Expected<'_>> = probes
        .iter()
        .filter(|one| one.was_there)
        .map(|one| Expected {
            probe: &one.probe,
            known: Known::Exactly(&one.passes),
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

fn text(probes: &[InFile]) -> String {
    let lines = probes.iter().filter(|one| one.is_there);
    let lines: Vec<&str> = lines.map(|one| one.probe.text.as_str()).collect();
    lines.join("\n") + "\n"
}

/// Saves like an editor: another file is moved to the place of the old one.
fn save(file: &Path, text: &str) -> Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, text).context("cannot write a probe file")?;
    fs::rename(&new, file).context("cannot write a probe file")
}

/// Writes a file with an invalid line, which must change nothing.
fn break_file(
    round: &mut Round<'_>,
    session: &Session,
    file: &Path,
    probes: &[InFile],
) -> Result<()> {
    let from = session.said();
    let broken = unreadable(&mut round.random);
    save(file, &format!("{broken}\n{}", text(probes)))?;
    round.findings.count("probe files rewritten", 1);
    session
        .wait_said(from, "that a probe file is left", |line| {
            line.contains("the probes are unchanged")
        })?
        .context("the tracer ended at a probe file")?;
    let from = session.said();
    save(file, &text(probes))?;
    // No message appears, because nothing changes. A probe that is added and removed proves that
    // the file was read.
    let marked = format!("{}count leaf as zz\n", text(probes));
    save(file, &marked)?;
    said(session, from, "zz is added")?;
    save(file, &text(probes))?;
    said(session, from, "zz is removed")
}

/// Adds some probes and removes others, and waits until the session has followed.
fn change(
    round: &mut Round<'_>,
    session: &Session,
    file: &Path,
    probes: &mut [InFile],
) -> Result<()> {
    let from = session.said();
    let mut awaited = Vec::new();
    for one in probes.iter_mut() {
        if round.random.one_in(2) {
            continue;
        }
        one.is_there = !one.is_there;
        let what = if one.is_there { "added" } else { "removed" };
        awaited.push(format!("{} is {what}", one.probe.name));
    }
    save(file, &text(probes))?;
    round.findings.count("probe files rewritten", 1);
    awaited
        .iter()
        .try_for_each(|text| said(session, from, text))
}

fn said(session: &Session, from: usize, text: &str) -> Result<()> {
    session
        .wait_said(from, text, |line| line.contains(text))?
        .context("the tracer ended at a probe file")?;
    Ok(())
}
