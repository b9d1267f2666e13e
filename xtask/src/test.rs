//! `cargo xtask test`: runs all checks, in the order of their cost.
//!
//! All steps build the whole workspace with the same features, so each crate is compiled once for
//! checks and once for runs. After a failed step, the others still run. The summary at the end
//! lists them all.

mod guest;
mod initramfs;
mod kernels;
pub(crate) mod privilege;
mod suites;
mod table;

use std::env::split_paths;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

pub(crate) use guest::run_if_init;

use crate::setup::machine::Need;
use crate::support::command::run as run_command;
use crate::support::failure::Failure;
use crate::{
    build::ebpf, build::package, demo, dist, fidelity, fuzz, setup, soak, support::workspace,
};
use privilege::as_tests_need;
use suites::{Suite, Suites};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only these steps [default: all but `dist`]
    #[arg(value_enum)]
    steps: Vec<Step>,
    /// Run only the kernel tests, in other kernels
    #[arg(long, conflicts_with = "steps")]
    kernels: bool,
}

/// One step. The order is that of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Sources are formatted
    Format,
    /// Lints of the host's crates, as errors
    Clippy,
    /// Lints of the eBPF programs, as errors
    ClippyEbpf,
    /// The crates compile for another architecture than this machine's
    Aarch64,
    /// The eBPF object of the repository matches its sources, and the packages contain it
    Object,
    /// Tests inside of the crates
    Unit,
    /// The programs in this kernel, end to end
    Integration,
    /// The demo without a terminal: its text, and its spans at a collector
    Demo,
    /// Random targets, probes and signals for three minutes, with all counters checked
    Soak,
    /// Values compared with gdb, on a part of the corpus
    Fidelity,
    /// The examples in the documentation
    DocTests,
    /// The documentation builds, without warnings
    Docs,
    /// The kernel tests in other kernels
    Kernels,
    /// The packages, installed and run in other systems
    Dist,
}

/// The eBPF crates, which are not members of the workspace.
const EBPF: [&str; 2] = [ebpf::TRACER, ebpf::BENCH];

/// Another architecture than this machine's.
const AARCH64: &str = "aarch64-unknown-linux-gnu";

/// The program of the tutorial, which is not a crate.
const TUTORIAL_PROGRAM: &str = "docs/tutorial/shop.rs";

/// The result of a step.
struct StepOutcome {
    step: Step,
    took: Duration,
    suites: Vec<Suite>,
    error: Option<anyhow::Error>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let steps: Vec<Step> = match (args.kernels, args.steps.as_slice()) {
        (true, _) => vec![Step::Kernels],
        (false, []) => usual_steps(),
        (false, steps) => steps.to_vec(),
    };
    let mut needs = vec![Need::Build, Need::Tests];
    if steps.contains(&Step::Kernels) {
        needs.push(Need::Kernels);
    }
    if steps
        .iter()
        .any(|step| matches!(step, Step::ClippyEbpf | Step::Object))
    {
        needs.push(Need::Ebpf);
    }
    if steps.contains(&Step::Aarch64) {
        needs.push(Need::Aarch64);
    }
    setup::ensure(&needs)?;

    let mut outcomes = Vec::new();
    for (index, &step) in steps.iter().enumerate() {
        eprintln!("\n== {}/{} {}", index + 1, steps.len(), name(step));
        let outcome = run_step(step);
        let verdict = match &outcome.error {
            None => "ok",
            Some(_) => "FAILED",
        };
        let took = outcome.took.as_secs_f64();
        eprintln!("== {}/{} {verdict}, {took:.1} s", index + 1, steps.len());
        outcomes.push(outcome);
    }
    summarise(&outcomes)
}

/// All steps but the packages: building them and their test systems takes a quarter of an hour.
fn usual_steps() -> Vec<Step> {
    let all = Step::value_variants().iter().copied();
    all.filter(|step| *step != Step::Dist).collect()
}

fn run_step(step: Step) -> StepOutcome {
    let mut suites = Suites::default();
    let started = Instant::now();
    let result = match step {
        Step::Format => format(),
        Step::Clippy => clippy(),
        Step::ClippyEbpf => clippy_ebpf(),
        Step::Aarch64 => aarch64(),
        Step::Object => object(),
        Step::Unit => unit(&mut suites),
        Step::Integration => integration(&mut suites),
        Step::Demo => demo::check(),
        Step::Soak => soak::quick(),
        Step::Fidelity => fidelity::quick(),
        Step::DocTests => doc_tests(&mut suites),
        Step::Docs => docs(),
        Step::Kernels => kernels::run(&mut suites),
        Step::Dist => dist::build_and_check(),
    };
    if let Err(error) = &result {
        eprintln!("{error:#}");
    }
    StepOutcome {
        step,
        took: started.elapsed(),
        suites: suites.ended,
        error: result.err(),
    }
}

fn format() -> Result<()> {
    run_command(workspace::cargo("fmt").args(["--all", "--check"]))?;
    for part in EBPF.into_iter().chain([fuzz::CRATE]) {
        let manifest = format!("{part}/Cargo.toml");
        run_command(workspace::cargo("fmt").args(["--manifest-path", &manifest, "--check"]))?;
    }
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024", "--check"]);
    run_command(rustfmt.arg(workspace::root().join(TUTORIAL_PROGRAM)))
}

fn clippy() -> Result<()> {
    run_command(workspace::cargo("clippy").args([
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Lints the eBPF crates with the compiler that builds them, because no other has `core` for the
/// kernel's virtual machine.
fn clippy_ebpf() -> Result<()> {
    let root = workspace::root();
    let toolchain = ebpf::toolchain()?;
    let out = workspace::target().join("clippy-ebpf");
    // A packaged cargo finds its clippy by the path, and rustup's comes first there.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(PathBuf::from("/usr/bin")).chain(split_paths(&path));
    let path = std::env::join_paths(path)?;
    for programs in EBPF {
        let mut clippy = ebpf::command(&toolchain, &root, programs, &out, "clippy")
            .with_context(|| format!("cannot write to {}", out.display()))?;
        run_command(clippy.env("PATH", &path).args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// Checks the workspace for AArch64, so that what knows x86-64 stays in its room.
fn aarch64() -> Result<()> {
    // Does nothing when the standard library is here.
    run_command(Command::new("rustup").args(["target", "add", AARCH64]))
        .with_context(|| format!("the standard library for {AARCH64} comes from rustup"))?;
    run_command(
        workspace::cargo("check")
            .env("CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc")
            .args(["--workspace", "--locked", "--target", AARCH64]),
    )
}

/// Compares the repository's object with one that is built here.
fn object() -> Result<()> {
    println!("{}", ebpf::check()?);
    package::list()
}

fn unit(suites: &mut Suites) -> Result<()> {
    let mut test = workspace::cargo("test");
    test.args(["--workspace", "--locked", "--no-fail-fast"]);
    test.args(["--lib", "--bins"]);
    suites::run(test, suites)
}

fn doc_tests(suites: &mut Suites) -> Result<()> {
    let mut test = workspace::cargo("test");
    test.args(["--workspace", "--locked", "--doc"]);
    suites::run(test, suites)
}

/// Tests of the built programs, as root, because they trace.
fn integration(suites: &mut Suites) -> Result<()> {
    // The tests trace the optimised build of the target as well.
    run_command(workspace::cargo("build").args(["--release", "--locked", "-p", "target-app"]))?;
    let mut test = workspace::cargo("test");
    test.args(["--workspace", "--locked", "--no-fail-fast", "--test", "*"])
        .env(
            "TRACER_TEST_TARGET_APP_DEV",
            workspace::binary("target-app", false),
        )
        .env(
            "TRACER_TEST_TARGET_APP_RELEASE",
            workspace::binary("target-app", true),
        );
    as_tests_need(&mut test);
    suites::run(test, suites)
}

fn docs() -> Result<()> {
    run_command(
        workspace::cargo("doc")
            .env(
                "RUSTDOCFLAGS",
                "-D warnings -A rustdoc::private-intra-doc-links",
            )
            // Private items are included: the documentation is for developers.
            .args([
                "--workspace",
                "--locked",
                "--no-deps",
                "--document-private-items",
            ]),
    )
}

/// Prints the result of each step and each of its suites. Fails if one of them failed.
fn summarise(outcomes: &[StepOutcome]) -> Result<()> {
    let rows = outcomes.iter().map(|outcome| table::Row {
        step: name(outcome.step),
        took: outcome.took,
        suites: &outcome.suites,
        error: outcome.error.as_ref().map(ToString::to_string),
    });
    print!("\n{}", table::text(&rows.collect::<Vec<_>>()));
    match outcomes
        .iter()
        .filter(|outcome| outcome.error.is_some())
        .count()
    {
        0 => Ok(()),
        failed => Err(Failure::new(format!("{failed} of {} steps failed", outcomes.len())).into()),
    }
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Format => "format",
        Step::Clippy => "clippy",
        Step::ClippyEbpf => "clippy of the eBPF programs",
        Step::Aarch64 => "check for AArch64",
        Step::Object => "the eBPF object of the repository",
        Step::Unit => "unit tests",
        Step::Integration => "kernel and end-to-end tests",
        Step::Demo => "the demo",
        Step::Soak => "soak, three minutes",
        Step::Fidelity => "values against gdb's",
        Step::DocTests => "documentation tests",
        Step::Docs => "documentation",
        Step::Kernels => "kernel tests in other kernels",
        Step::Dist => "packages in other systems",
    }
}
