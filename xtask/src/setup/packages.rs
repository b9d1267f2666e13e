//! Packages of the distribution: their size, and their installation.

use std::process::Command;

use anyhow::Result;

use crate::setup::machine::Missing;
use crate::support::command::{as_root, find, run_quietly};
use crate::support::failure::{Failure, USAGE};

/// Advice for a machine without Debian's packages.
const COMPILER_HINT: &str = "for eBPF, rustup's nightly may do: \
    `rustup toolchain install nightly --component rust-src,clippy`";

/// Installs the packages of the missing things, after printing their names and size.
///
/// # Errors
/// There is no apt, we cannot become root, or apt fails.
pub(super) fn install(missing: &[Missing]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    if find("apt-get").is_none() {
        return Err(cannot_install(missing, "this distribution has no `apt-get`").into());
    }
    let packages = names(missing);
    // The package lists are fetched only if they are missing or old, because that takes time.
    let mut size = size(&packages);
    if size.is_none() {
        println!("  fetching the package lists first: they are missing or old");
        fetch_lists()?;
        size = self::size(&packages);
    }
    let shown = packages.join(" ");
    match size {
        Some(size) => println!("  packages: {shown}, and what they need: {size}"),
        None => println!("  packages: {shown}"),
    }
    if apt_install(&packages)?.is_err() {
        println!("  that failed; fetching the package lists and trying again");
        fetch_lists()?;
        let why = "the package lists of this machine do not have its packages";
        apt_install(&packages)?.map_err(|_| cannot_install(missing, why))?;
    }
    Ok(())
}

/// The packages' names, each once.
pub(super) fn names(missing: &[Missing]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for &name in missing.iter().flat_map(|missing| missing.packages) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The size that apt would download and unpack, in its own words. `None` if apt does not know all
/// packages.
fn size(packages: &[&str]) -> Option<String> {
    let mut apt = Command::new("apt-get");
    apt.env("LC_ALL", "C")
        .args(["install", "--assume-no", "--no-install-recommends"])
        // The query needs no root.
        .args(["-o", "Debug::NoLocking=true"])
        .args(packages);
    let output = apt.output().ok()?;
    size_in(&String::from_utf8_lossy(&output.stdout))
}

fn size_in(answer: &str) -> Option<String> {
    let lines = || answer.lines().map(str::trim);
    let fetched = lines().find_map(|line| line.strip_prefix("Need to get "))?;
    let fetched = fetched.strip_suffix(" of archives.").unwrap_or(fetched);
    let unpacked = lines().find_map(|line| line.strip_prefix("After this operation, "))?;
    let (unpacked, _) = unpacked.split_once(" of ")?;
    Some(format!("{fetched} to fetch, {unpacked} on the disk"))
}

/// Updates the distribution's lists of packages.
///
/// # Errors
/// We cannot become root.
pub(crate) fn fetch_lists() -> Result<()> {
    let mut update = as_root("apt-get", "fetching package lists")?;
    // One broken source among many must not stop us.
    if let Err(error) = run_quietly(update.args(["update", "-q"])) {
        println!("  {error}; going on with the lists that are here");
    }
    Ok(())
}

/// The outer error: apt could not be started. The inner error: it could not install.
fn apt_install(packages: &[&str]) -> Result<Result<()>> {
    let mut apt = as_root("apt-get", "installing packages")?;
    apt.env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-q", "-y", "--no-install-recommends"])
        .args(packages);
    Ok(run_quietly(&mut apt))
}

/// The failure of an installation, with advice.
pub(super) fn cannot_install(missing: &[Missing], why: &str) -> Failure {
    let what: Vec<&str> = missing.iter().map(|missing| missing.what).collect();
    let packages = names(missing).join(" ");
    let mut hint = format!("install by hand what Debian has as {packages}");
    if missing.iter().any(|missing| missing.ebpf_compiler) {
        hint = format!("{hint}\n{COMPILER_HINT}");
    }
    Failure::new(format!("cannot install {}: {why}", what.join(", ")))
        .hint(hint)
        .code(USAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_what_apt_says() {
        let answer = "0 upgraded, 60 newly installed, 0 to remove and 21 not upgraded.\n\
            Need to get 60.0 MB of archives.\n\
            After this operation, 235 MB of additional disk space will be used.\n\
            Do you want to continue? [Y/n] N\nAbort.\n";
        let expected = "60.0 MB to fetch, 235 MB on the disk";
        assert_eq!(size_in(answer).as_deref(), Some(expected));
        assert_eq!(size_in("E: Unable to locate package xvfb\n"), None);
    }
}
