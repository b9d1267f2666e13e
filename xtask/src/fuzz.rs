//! `cargo xtask fuzz`: feeds hostile input to every parser of foreign bytes.
//!
//! There are four ways. libFuzzer searches for input that reaches new code, starting from the
//! seeds in `tracer/fuzz/corpus`, and keeps its findings below the target directory. With
//! `--damaged`, `tracer/examples/damage.rs` damages thousands of whole programs at random, each in
//! a process that is watched from outside. With `--bombs`, `tracer/examples/bombs.rs` builds files
//! that grow in one dimension each. With `--mcp`, a test sends random requests to `tracer mcp`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::machine::{self, Need};
use crate::support::command;
use crate::support::failure::{Failure, USAGE};
use crate::test::privilege::as_tests_need;
use crate::{setup, support::workspace};

/// Folder of the targets, from the workspace's root.
pub(crate) const CRATE: &str = "tracer/fuzz";
/// Time limit for one input, in seconds.
const INPUT_SECONDS: u64 = 2;
/// Memory limit of the fuzzer, in MiB.
const MEMORY_MIB: u64 = 512;
/// Targets whose seeds are the ELF files of another target.
const READ_ELF: [&str; 2] = ["lines", "variables"];
/// The platform that the targets are compiled for.
const MACHINE: &str = "x86_64-unknown-linux-gnu";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only this target; may be given several times
    #[arg(long = "target", value_name = "TARGET", conflicts_with = "damaged")]
    targets: Vec<String>,
    /// Time for each target
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Damage whole programs at random instead, each in a separate process
    #[arg(long)]
    damaged: bool,
    /// Read hostile files that grow in one dimension each, up to this many megabytes
    #[arg(long, value_name = "MEGABYTES", num_args = 0..=1, default_missing_value = "64", conflicts_with_all = ["damaged", "targets"])]
    bombs: Option<u32>,
    /// With --damaged and --mcp, start with this seed; the same seed gives the same inputs
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Send this many random requests to `tracer mcp` instead, as root
    #[arg(long, value_name = "REQUESTS", conflicts_with_all = ["damaged", "targets", "bombs"])]
    mcp: Option<u64>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.damaged {
        return damage(args);
    }
    if let Some(megabytes) = args.bombs {
        return bombs(megabytes);
    }
    if let Some(requests) = args.mcp {
        return assistants(requests, args.seed);
    }
    let targets = chosen(&args.targets)?;
    setup::ensure(&[Need::Build, Need::Tests, Need::Fuzz])?;
    build(&args.targets)?;
    let mut failed = Vec::new();
    for target in &targets {
        if let Err(error) = fuzz(target, args.seconds) {
            eprintln!("{target}: {error:#}");
            failed.push(target.as_str());
        }
    }
    println!(
        "fuzz: {} targets, {} s each: {} failed",
        targets.len(),
        args.seconds,
        failed.len()
    );
    if failed.is_empty() {
        return Ok(());
    }
    Err(
        Failure::new(format!("input was found for {}", failed.join(", ")))
            .hint(format!("it is below {}", artifacts("").display()))
            .into(),
    )
}

/// Has the end-to-end test send requests.
fn assistants(requests: u64, seed: u64) -> Result<()> {
    setup::ensure(&[Need::Build, Need::Tests])?;
    let mut test = workspace::cargo("test");
    test.args(["--workspace", "--locked", "--test", "end_to_end"]);
    test.args(["--", "assistants::fuzzed", "--nocapture"]);
    test.env("TRACER_MCP_FUZZ", requests.to_string());
    test.env("TRACER_MCP_SEED", seed.to_string());
    as_tests_need(&mut test);
    command::run(&mut test)
}

/// The named targets, or all of them.
fn chosen(named: &[String]) -> Result<Vec<String>> {
    let directory = workspace::root().join(CRATE).join("fuzz_targets");
    let entries =
        fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut all: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some(path.file_stem()?.to_string_lossy().into_owned())
        })
        .collect();
    all.sort();
    match named.iter().find(|name| !all.contains(name)) {
        Some(name) => Err(Failure::new(format!("no fuzz target `{name}`"))
            .hint(format!("there are {}", all.join(", ")))
            .code(USAGE)
            .into()),
        None if named.is_empty() => Ok(all),
        None => Ok(named.to_vec()),
    }
}

/// Builds the targets, instrumented.
///
/// There is no address sanitizer: almost no unsafe code could benefit from it, and its own memory
/// would count against the limit.
fn build(named: &[String]) -> Result<()> {
    let cargo_fuzz = machine::cargo_fuzz().context("cargo-fuzz is gone")?;
    let mut build = Command::new("rustup");
    build
        .args(["run", "nightly"])
        .arg(cargo_fuzz)
        .args(["fuzz", "build", "--sanitizer", "none"])
        .args(["--codegen-units", "16", "--target", MACHINE])
        .arg("--fuzz-dir")
        .arg(workspace::root().join(CRATE))
        .arg("--target-dir")
        .arg(directory())
        .current_dir(workspace::root());
    // One target at a time, or all.
    if let [target] = named {
        build.arg(target);
    }
    // Variables of the outer cargo, which are for another compiler.
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
        build.env_remove(name);
    }
    command::run(&mut build)
}

/// Runs one target for a while.
fn fuzz(target: &str, seconds: u64) -> Result<()> {
    let (found, kept) = (directory().join("corpus").join(target), artifacts(target));
    for directory in [&found, &kept] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let seeds = |name: &str| workspace::root().join(CRATE).join("corpus").join(name);
    let mut fuzz = Command::new(directory().join(MACHINE).join("release").join(target));
    // libFuzzer writes new inputs into the first directory.
    fuzz.arg(&found)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-artifact_prefix={}/", kept.display()))
        .args(["-print_final_stats=1", "-verbosity=1"]);
    let shared = READ_ELF.contains(&target).then(|| seeds("elf"));
    let seeds = [Some(seeds(target)), shared].into_iter().flatten();
    fuzz.args(seeds.filter(|path| path.is_dir()));
    command::run(&mut fuzz)
}

/// Folder for all generated input.
fn directory() -> PathBuf {
    workspace::target().join("fuzz")
}

/// Folder for failing input.
fn artifacts(target: &str) -> PathBuf {
    directory().join(Path::new("artifacts").join(target))
}

fn bombs(megabytes: u32) -> Result<()> {
    let mut read = workspace::cargo("run");
    read.args(["--package", "tracer", "--example", "bombs"])
        .args(["--release", "--locked", "--"])
        .arg(megabytes.to_string());
    command::run(&mut read)
}

fn damage(args: &Args) -> Result<()> {
    let mut fuzz = workspace::cargo("run");
    fuzz.args(["--package", "tracer", "--example", "damage", "--locked"])
        .arg("--")
        .args([args.seconds.to_string(), args.seed.to_string()]);
    command::run(&mut fuzz)
}
