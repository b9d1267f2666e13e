//! `cargo xtask build`: builds the tracer with its eBPF programs, and the target of the demo.

pub(crate) mod ebpf;
pub(crate) mod object;
pub(crate) mod package;

use anyhow::Result;

use crate::setup::machine::Need;
use crate::support::command::run as run_command;
use crate::{setup, support::workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Optimise
    #[arg(long)]
    release: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure(&[Need::Build])?;
    programs(args.release)?;
    println!(
        "built {}",
        workspace::binary("tracer", args.release).display()
    );
    Ok(())
}

/// Builds an example of the package `tracer`, optimised.
///
/// # Errors
/// The build failed.
pub(crate) fn example(name: &str) -> Result<()> {
    let mut build = workspace::cargo("build");
    build.args([
        "--release",
        "--locked",
        // The features are those of the whole workspace, for which everything is built already.
        "--workspace",
        "--example",
        name,
    ]);
    run_command(&mut build)
}

/// Builds `tracer` and `target-app`. Their needs must be installed.
///
/// # Errors
/// The build failed.
pub(crate) fn programs(release: bool) -> Result<()> {
    let mut build = workspace::cargo("build");
    // The whole workspace is built, as the tests do. A part of it would be compiled again with
    // other features.
    build.args(["--workspace", "--locked"]);
    if release {
        build.arg("--release");
    }
    run_command(&mut build)
}
