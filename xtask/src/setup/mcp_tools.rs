//! Clients of the Model Context Protocol for tests: the SDK for Python, and the inspector. They are in a Python
//! environment in the target directory, and in a folder of npm in it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::install::installation::empty;
use crate::support::command::run;
use crate::support::workspace;

/// Packages of PyPI, in the tested versions.
const REQUIREMENTS: &str = include_str!("mcp_tools.txt");

/// The inspector. Later versions need Node 22.
const INSPECTOR: &str = "@modelcontextprotocol/inspector@0.15.0";

fn root() -> PathBuf {
    workspace::target().join("mcp-tools")
}

/// The list of installed tools, which is written last.
fn stamp() -> PathBuf {
    root().join("installed.txt")
}

fn wanted() -> String {
    format!("{REQUIREMENTS}{INSPECTOR}\n")
}

/// Returns true if the tested versions are installed.
pub(super) fn are_there() -> bool {
    fs::read_to_string(stamp()).is_ok_and(|there| there == wanted())
}

/// Installs them.
///
/// # Errors
/// Python cannot make an environment, or PyPI or npm has not got the packages.
pub(super) fn install() -> Result<()> {
    let root = root();
    empty(&root)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(&root))?;
    let requirements = root.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)
        .with_context(|| format!("cannot write {}", requirements.display()))?;
    let mut pip = Command::new(root.join("bin/pip"));
    pip.args(["install", "--quiet", "--no-deps", "--only-binary", ":all:"])
        .args(["--disable-pip-version-check", "--requirement"])
        .arg(&requirements);
    run(&mut pip)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"])
        .arg(root.join("npm"))
        .arg(INSPECTOR);
    run(&mut npm)?;
    // An interrupted installation is repeated.
    fs::write(stamp(), wanted()).with_context(|| format!("cannot write {}", stamp().display()))
}
