//! `cargo xtask COMMAND`: setup, build, install, demo and test of the project.
//!
//! This file parses the command line. Each command has its own file. Every command first runs the
//! steps of [`setup`] that it needs, so no command requires another one before it.

mod bench;
mod build;
mod demo;
mod dist;
mod docs;
mod fidelity;
mod fuzz;
#[cfg(test)]
mod house;
mod install;
mod pointer;
mod setup;
mod soak;
mod support;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::build::{ebpf, package};
use crate::docs::{limits, pages, pictures};
use crate::support::failure;

/// Everything that is done with this repository besides writing it
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what build, demo and tests need and this machine lacks
    Setup(setup::Args),
    /// Build `tracer` with its eBPF programs
    Build(build::Args),
    /// Make the eBPF object that `tracer` carries from its sources, or check it
    Ebpf(ebpf::Args),
    /// Build `tracer` from its packages, as cargo does from a registry
    Package(package::Args),
    /// Install the binary, its manual page and shell completions
    Install(install::Args),
    /// Make one static binary and packages of it
    Dist(dist::Args),
    /// Trace a running program at the line where its bug is
    Demo(demo::Args),
    /// Measure the cost of a hit, and how fast a trace starts and ends
    Bench(bench::Args),
    /// Run every check: format, lints, tests, documentation
    Test(test::Args),
    /// Compare every variable with the value that gdb prints
    Fidelity(fidelity::Args),
    /// Feed damaged input to every parser of foreign bytes
    Fuzz(fuzz::Args),
    /// Trace random targets with random probes, kill both, and check all counters
    Soak(soak::Args),
    /// Write docs/limits.md from the limits in the source
    Limits(limits::Args),
    /// Run the commands on the pages of the documentation, and update their outputs
    Pages(pages::Args),
    /// Make the pictures of the terminal UI in the documentation
    Pictures(pictures::Args),
}

fn main() -> ExitCode {
    test::run_if_init();
    if let Some(code) = ebpf::run_if_wrapper() {
        return code;
    }
    let result = match Args::parse().command {
        Command::Setup(args) => setup::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Ebpf(args) => ebpf::run(&args),
        Command::Package(args) => package::run(&args),
        Command::Install(args) => install::run(&args),
        Command::Dist(args) => dist::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Fidelity(args) => fidelity::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Limits(args) => limits::run(&args),
        Command::Pages(args) => pages::run(&args),
        Command::Pictures(args) => pictures::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
