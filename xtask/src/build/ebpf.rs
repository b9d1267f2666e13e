//! `cargo xtask ebpf`: builds the eBPF object of the repository, or checks it.
//!
//! `tracer` embeds the object `tracer/ebpf/tracer-ebpf.o`, so that `tracer` builds without a
//! compiler for eBPF. A record beside the object names its sources and tools. Equal sources and
//! tools produce equal bytes, wherever the repository and cargo's home are.

mod btf;
mod rustc;
mod strip;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

pub(crate) use super::object::recipe::{BENCH, TRACER, Toolchain, build, command, find};
use super::object::record::{self, OBJECT, RECORD, Record};
use super::object::{instructions, recipe, verify_record};
use crate::setup::machine::Need;
use crate::support::command::as_root;
use crate::support::failure::{Failure, USAGE};
use crate::{build, setup, support::workspace};
pub(crate) use rustc::run_if_wrapper;

/// Prefix of the message of `tracer doctor` if the kernel does not let this user load programs.
const NOT_PERMITTED: &str = "the kernel does not let this user";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build the object in a temporary directory, and compare it byte by byte with the repository's
    #[arg(long)]
    check: bool,
}

/// Comparison of the repository's object with one that is built here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The bytes are equal.
    Same,
    /// The tools differ, so the bytes cannot be compared.
    OtherTools {
        /// The tools that built the repository's object.
        recorded: String,
        /// The tools of this machine.
        here: String,
    },
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Same => write!(f, "{OBJECT} is, byte by byte, what its sources make"),
            Self::OtherTools { recorded, here } => write!(
                f,
                "{OBJECT} was not compared: it was made by {recorded}, and here is {here}, which makes other bytes"
            ),
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure(&[Need::Build, Need::Ebpf])?;
    if !args.check {
        return make();
    }
    let verdict = check()?;
    println!("{verdict}");
    match verdict {
        Verdict::Same => Ok(()),
        Verdict::OtherTools { .. } => Err(Failure::new("the object could not be compared")
            .code(USAGE)
            .into()),
    }
}

/// Builds the object again, and compares. The tools must be installed.
///
/// # Errors
/// The record does not match the sources, the object differs, or the build fails.
pub(crate) fn check() -> Result<Verdict> {
    let record = verify_record()?;
    let toolchain = toolchain()?;
    let here = tools(&toolchain)?;
    if here != record.tools {
        return Ok(Verdict::OtherTools {
            recorded: record.tools,
            here,
        });
    }
    let sum = record::sum(&make_object(&toolchain)?);
    if sum != record.object {
        return Err(Failure::new(format!(
            "{OBJECT} is not what its sources make: SHA-256 {} in the repository, {sum} here",
            record.object
        ))
        .hint("`cargo xtask ebpf` makes the object anew")
        .into());
    }
    Ok(Verdict::Same)
}

/// Builds object and record, and has the kernel load the programs once.
fn make() -> Result<()> {
    let root = workspace::root();
    let toolchain = toolchain()?;
    let object = make_object(&toolchain)?;
    let record = Record {
        tools: tools(&toolchain)?,
        object: record::sum(&object),
        sources: record::sources(&root)?,
    };
    let before = [OBJECT, RECORD].map(|file| (file, fs::read(root.join(file)).ok()));
    write(&root, OBJECT, &object)?;
    write(&root, RECORD, record.text().as_bytes())?;
    println!(
        "wrote {OBJECT} ({} bytes), made by {}",
        object.len(),
        record.tools
    );
    let loaded = load();
    if loaded.is_err() {
        // An object that the kernel refuses must not be committed.
        for (file, content) in before {
            if let Some(content) = content {
                write(&root, file, &content)?;
            }
        }
    }
    loaded
}

fn write(root: &Path, file: &str, content: &[u8]) -> Result<()> {
    let path = root.join(file);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    fs::write(&path, content).with_context(|| format!("cannot write {file}"))
}

/// The tools that build eBPF programs.
///
/// # Errors
/// Some tools are missing. The error lists them.
pub(crate) fn toolchain() -> Result<Toolchain> {
    find(&workspace::root()).map_err(|missing| {
        let words: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Failure::new(words.join("; "))
            .hint("`cargo xtask setup --ebpf` installs it")
            .into()
    })
}

/// The versions of the tools, in the form of the record.
fn tools(toolchain: &Toolchain) -> Result<String> {
    toolchain
        .versions()
        .map(|versions| versions.to_string())
        .context("cannot ask the compiler for its version")
}

/// Builds the object of the repository from scratch.
fn make_object(toolchain: &Toolchain) -> Result<Vec<u8>> {
    let root = workspace::root();
    let out = workspace::target().join("ebpf-object");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    let mut command = command(toolchain, &root, TRACER, &out, "build")
        .with_context(|| format!("cannot write to {}", out.display()))?;
    rustc::wrap(&mut command).context("cannot find our own program")?;
    let built = recipe::run(&mut command, TRACER, &out)?;
    let built = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let object = strip::strip(&built)?;
    instructions::check(&object).map_err(|why| {
        let here = tools(toolchain).unwrap_or_default();
        Failure::new(format!(
            "the kernel would refuse the object that {here} made: {why}"
        ))
        .hint(format!("{} is known to work", recipe::KNOWN_COMPILER))
    })?;
    fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    Ok(object)
}

/// Has the kernel load the programs of the repository's object, if we have the privileges.
fn load() -> Result<()> {
    build::programs(false)?;
    let tracer = workspace::binary("tracer", false);
    let mut doctor: Command = match as_root(&tracer, "loading eBPF programs") {
        Ok(command) => command,
        Err(why) => {
            println!("not loaded into a kernel: {why}");
            return Ok(());
        }
    };
    let output = doctor
        .args(["doctor", "--json"])
        .output()
        .with_context(|| format!("cannot run {}", tracer.display()))?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
        .context("`tracer doctor --json` printed something else")?;
    let features = answer["machine"].as_array();
    let loads = features
        .into_iter()
        .flatten()
        .find(|feature| feature["name"] == "the eBPF programs load")
        .context("`tracer doctor --json` does not say whether the programs load")?;
    if loads["present"] == true {
        println!("this kernel loads the programs: {}", text(&loads["found"]));
        return Ok(());
    }
    let why = text(&loads["found"]);
    if why.starts_with(NOT_PERMITTED) {
        println!("not loaded into a kernel: {why}");
        return Ok(());
    }
    Err(
        Failure::new(format!("this kernel does not load the programs: {why}"))
            .hint(format!("{} is known to work", recipe::KNOWN_COMPILER))
            .into(),
    )
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}
