//! `cargo xtask build`: the tracer with its eBPF programs, and the target of the demo.

use anyhow::Result;

use crate::command::run as run_command;
use crate::machine::Need;
use crate::{setup, workspace};

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
        // With the features of the whole, for which everything is built already.
        "--workspace",
        "--example",
        name,
    ]);
    run_command(&mut build)
}

/// Builds `tracer` and `target-app`; what they need must be there.
///
/// # Errors
/// The build failed.
pub(crate) fn programs(release: bool) -> Result<()> {
    let mut build = workspace::cargo("build");
    // The whole workspace, as the tests build it: a part of it would be
    // compiled with other features, and so a second time.
    build.args(["--workspace", "--locked"]);
    if release {
        build.arg("--release");
    }
    run_command(&mut build)
}
