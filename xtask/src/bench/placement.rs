//! Counts the lines of programs that have a site with one trap, with and without the choice of the
//! instruction: for the fidelity corpus, or for any other program.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::report::{BenchReport, PlacementRow};
use crate::fidelity::corpus;
use crate::support::failure::Failure;
use crate::support::workspace;

/// The example of the package `tracer` that tries every line.
pub(super) const EXAMPLE: &str = "placement";

/// Reads the corpus, or `program` alone.
///
/// # Errors
/// The corpus cannot be built, or a program cannot be read.
pub(super) fn measure(report: &mut BenchReport, quick: bool, program: Option<&Path>) -> Result<()> {
    if let Some(program) = program {
        let name = program.file_name().unwrap_or(program.as_os_str());
        let row = row(&name.to_string_lossy(), "", program)?;
        report.placement.push(row);
        return Ok(());
    }
    for program in corpus::build(quick, None)? {
        eprintln!("bench: lines of {} {}", program.name, program.flags);
        let row = row(&program.name, &program.flags, &program.exe)?;
        report.placement.push(row);
    }
    for profile in ["debug", "release"] {
        if let Some(sum) = sum(&report.placement, profile) {
            report.placement.push(sum);
        }
    }
    Ok(())
}

fn row(name: &str, flags: &str, exe: &Path) -> Result<PlacementRow> {
    let example = workspace::target().join("release/examples").join(EXAMPLE);
    let output = Command::new(&example)
        .arg("--any-line")
        .arg(exe)
        .output()
        .with_context(|| format!("cannot run {}", example.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("{}: {}", exe.display(), said.trim())).into());
    }
    let found: Value = serde_json::from_slice(&output.stdout).context("it writes JSON")?;
    let number = |key: &str| {
        let value = found.get(key).and_then(Value::as_f64);
        value.with_context(|| format!("no `{key}` in {found}"))
    };
    Ok(PlacementRow {
        program: name.to_owned(),
        flags: flags.to_owned(),
        profile: profile(flags),
        lines: number("lines")? as u64,
        one_trap_first: number("one_trap_first")?,
        one_trap_chosen: number("one_trap_chosen")?,
        any_first: number("any_first")?,
        any_chosen: number("any_chosen")?,
    })
}

/// `debug` stands for builds without optimisation.
fn profile(flags: &str) -> &'static str {
    let plain = ["-O0", "opt-level=0", "opt_level=0"];
    if plain.iter().any(|flag| flags.contains(flag)) || flags.is_empty() {
        "debug"
    } else {
        "release"
    }
}

/// The sum over all programs of a profile.
fn sum(rows: &[PlacementRow], profile: &'static str) -> Option<PlacementRow> {
    let mine = || rows.iter().filter(|row| row.profile == profile);
    let lines: u64 = mine().map(|row| row.lines).sum();
    let share = |of: fn(&PlacementRow) -> f64| {
        let cheap: f64 = mine().map(|row| of(row) * row.lines as f64).sum();
        (cheap / lines as f64 * 1000.0).round() / 1000.0
    };
    (lines > 0).then(|| PlacementRow {
        program: "all".into(),
        flags: String::new(),
        profile,
        lines,
        one_trap_first: share(|row| row.one_trap_first),
        one_trap_chosen: share(|row| row.one_trap_chosen),
        any_first: share(|row| row.any_first),
        any_chosen: share(|row| row.any_chosen),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_weighs_programs_by_their_lines() {
        let row = |profile, lines, chosen| PlacementRow {
            program: "p".into(),
            flags: String::new(),
            profile,
            lines,
            one_trap_first: 0.1,
            one_trap_chosen: chosen,
            any_first: 0.2,
            any_chosen: chosen,
        };
        let rows = [
            row("debug", 100, 0.4),
            row("debug", 300, 0.8),
            row("release", 7, 1.0),
        ];
        let sum = sum(&rows, "debug").unwrap();
        assert_eq!((sum.lines, sum.one_trap_chosen), (400, 0.7));
        assert!(super::sum(&[], "debug").is_none());
    }

    #[test]
    fn profile_is_debug_without_optimisation() {
        assert_eq!(profile("-O0 -gdwarf-4"), "debug");
        assert_eq!(profile("-C opt-level=0"), "debug");
        assert_eq!(profile("-O2"), "release");
    }
}
