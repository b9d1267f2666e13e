//! The tools that receive telemetry in tests: the collector `rotel-agent`, the official messages of OTLP and the
//! SDK for Python, and Prometheus. Beside them are those that read exports: DuckDB, the messages of Perfetto, and
//! pprof. They are in a Python environment in the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::install::installation::{copy, empty};
use crate::support::command::{find, run, run_quietly};
use crate::support::failure::{Failure, USAGE};
use crate::support::workspace;

/// Packages of PyPI, in the tested versions.
const REQUIREMENTS: &str = include_str!("otel_tools.txt");

/// Debian's package, and the program in it.
const PROMETHEUS: &str = "prometheus";

/// The environment.
pub(crate) fn root() -> PathBuf {
    workspace::target().join("otel-tools")
}

/// The list of installed tools, which is written last.
fn stamp() -> PathBuf {
    root().join("installed.txt")
}

/// Returns true if the tested versions are installed.
pub(crate) fn are_there() -> bool {
    fs::read_to_string(stamp()).is_ok_and(|there| there == REQUIREMENTS)
        && program(PROMETHEUS).is_file()
}

/// A program of the environment.
fn program(name: &str) -> PathBuf {
    root().join("bin").join(name)
}

/// The collector.
///
/// # Errors
/// It is not installed.
pub(crate) fn collector() -> Result<PathBuf> {
    let lib = root().join("lib");
    let versions = fs::read_dir(&lib).with_context(|| format!("cannot list {}", lib.display()))?;
    let mut agents = versions
        .flatten()
        .map(|version| version.path().join("site-packages/rotel/rotel-agent"))
        .filter(|agent| agent.is_file());
    agents
        .next()
        .ok_or_else(|| Failure::new("the collector rotel is not where it was installed to").into())
}

/// Installs them. `fetch_lists` updates the distribution's lists of packages.
///
/// # Errors
/// Python cannot make an environment, PyPI has not got the packages, or Debian has no Prometheus.
pub(super) fn install(fetch_lists: fn() -> Result<()>) -> Result<()> {
    let root = root();
    empty(&root)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(&root))?;
    let wanted = root.join("wanted.txt");
    fs::write(&wanted, REQUIREMENTS)
        .with_context(|| format!("cannot write {}", wanted.display()))?;
    let mut pip = Command::new(program("pip"));
    pip.args(["install", "--quiet", "--no-deps", "--only-binary", ":all:"])
        .args(["--disable-pip-version-check", "--requirement"])
        .arg(&wanted);
    run(&mut pip)?;
    install_prometheus(&root, fetch_lists)?;
    // Go comes with the sources of pprof.
    let mut pprof = Command::new(root.join("bin/go"));
    pprof.args(["build", "-o"]).arg(root.join("bin/pprof"));
    pprof.arg("cmd/pprof").env("GOTOOLCHAIN", "local");
    run(pprof.env("GOCACHE", root.join("go-cache")))?;
    fs::remove_dir_all(root.join("go-cache")).context("cannot remove the cache of Go")?;
    // An interrupted installation is repeated.
    fs::rename(&wanted, stamp()).with_context(|| format!("cannot write {}", stamp().display()))
}

/// Takes the program out of Debian's package. Installing the package would start a service.
fn install_prometheus(root: &Path, fetch_lists: fn() -> Result<()>) -> Result<()> {
    let without = |why: &str| {
        Failure::new(format!("cannot get Prometheus: {why}"))
            .hint("put a program `prometheus` into a folder of `PATH`")
            .code(USAGE)
    };
    if find("apt-get").is_none() || find("dpkg-deb").is_none() {
        let theirs = find(PROMETHEUS).ok_or_else(|| without("this is no Debian"))?;
        return copy(&theirs, &program(PROMETHEUS));
    }
    let folder = root.join("debian");
    empty(&folder)?;
    // apt checks the package's hash by the signed lists.
    let download = || {
        let mut apt = Command::new("apt-get");
        apt.args(["download", "-q", PROMETHEUS]);
        run_quietly(apt.current_dir(&folder))
    };
    if let Err(error) = download() {
        println!("  {error}; fetching the package lists and trying again");
        fetch_lists()?;
        download().map_err(|_| without("the package lists of this machine do not have it"))?;
    }
    let files = fs::read_dir(&folder);
    let files = files.with_context(|| format!("cannot list {}", folder.display()))?;
    let package = files.flatten().map(|file| file.path()).next();
    let package = package.ok_or_else(|| without("apt-get fetched nothing"))?;
    let unpacked = folder.join("unpacked");
    let mut dpkg = Command::new("dpkg-deb");
    run(dpkg.arg("--extract").arg(&package).arg(&unpacked))?;
    copy(&unpacked.join("usr/bin/prometheus"), &program(PROMETHEUS))?;
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}
