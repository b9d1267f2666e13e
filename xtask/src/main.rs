//! Setup, build, install, demo and test of the project: `cargo xtask COMMAND`.
//!
//! This file reads the command line; each command has a file of its own. Every
//! command first runs the steps of [`setup`] that it needs, so that none of
//! them asks for another to be run before it.

mod bench;
mod build;
mod command;
mod demo;
mod dist;
mod ebpf;
mod failure;
mod fidelity;
mod fuzz;
#[cfg(test)]
mod house;
mod install;
mod installation;
mod limits;
mod machine;
mod package;
mod pages;
mod pointer;
mod setup;
mod soak;
mod steps;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Measure what a hit costs, how fast a trace starts and ends
    Bench(bench::Args),
    /// Run every check: format, lints, tests, documentation
    Test(test::Args),
    /// Compare every variable with what gdb prints
    Fidelity(fidelity::Args),
    /// Feed damaged input to every parser of foreign bytes
    Fuzz(fuzz::Args),
    /// Trace random targets with random probes, kill both, and check every account
    Soak(soak::Args),
    /// Write docs/limits.md from the limits in the source
    Limits(limits::Args),
    /// Run the commands of the tutorial and the recipes, and write their outputs into them
    Pages(pages::Args),
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
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
