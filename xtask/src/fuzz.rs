//! `cargo xtask fuzz`: damaged input for every parser of foreign bytes, for a while.
//!
//! The work is done by `tracer/examples/fuzz.rs`; this builds and starts it.

use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Time for each target
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Begin with this seed: the same one gives the same inputs
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only these: elf, maps, probe, names
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut fuzz = Command::new("cargo");
    fuzz.args([
        "run",
        "--package",
        "tracer",
        "--example",
        "fuzz",
        "--locked",
    ])
    .arg("--")
    .args([args.seconds.to_string(), args.seed.to_string()])
    .args(&args.targets)
    .current_dir(workspace::root());
    command::run(&mut fuzz)
}
