//! The tools that receive telemetry in tests: the collector `rotel-agent`, and the official messages of OTLP for
//! Python. They are in a Python environment in the target directory.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::install::installation::empty;
use crate::support::command::run;
use crate::support::workspace;

/// Packages of PyPI, in the tested versions.
const REQUIREMENTS: &str = include_str!("otel_tools.txt");

/// The environment.
pub(crate) fn root() -> PathBuf {
    workspace::target().join("otel-tools")
}

/// The list of what is installed, which is written last.
fn stamp() -> PathBuf {
    root().join("installed.txt")
}

/// Returns true if the tested versions are installed.
pub(crate) fn are_there() -> bool {
    fs::read_to_string(stamp()).is_ok_and(|there| there == REQUIREMENTS)
}

/// Installs them.
///
/// # Errors
/// Python cannot make an environment, or PyPI has not got the packages.
pub(super) fn install() -> Result<()> {
    let root = root();
    empty(&root)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(&root))?;
    let wanted = root.join("wanted.txt");
    fs::write(&wanted, REQUIREMENTS)
        .with_context(|| format!("cannot write {}", wanted.display()))?;
    let mut pip = Command::new(root.join("bin/pip"));
    pip.args(["install", "--quiet", "--no-deps", "--only-binary", ":all:"])
        .args(["--disable-pip-version-check", "--requirement"])
        .arg(&wanted);
    run(&mut pip)?;
    // An interrupted installation is repeated.
    fs::rename(&wanted, stamp()).with_context(|| format!("cannot write {}", stamp().display()))
}
