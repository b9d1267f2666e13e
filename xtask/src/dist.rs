//! `cargo xtask dist`: builds one static binary, and its packages.
//!
//! Everything is below `target/dist`. With `--check`, each package is installed, run on a real
//! program and removed again, in separate systems.

mod check;
mod licences;
mod packages;
mod roots;
pub(crate) mod toolchain;

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::install::installation::{self, DOCUMENTS};
use crate::setup::machine::Need;
use crate::support::failure::Failure;
use crate::{setup, support::workspace};
use packages::{Packages, Release};
use toolchain::Tools;
use toolchain::standard_library;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also install, run and remove each package, in Debian 11, Debian 12 and a musl system
    #[arg(long)]
    check: bool,
    /// Only check the existing packages; `--check` runs this as root
    #[arg(long, hide = true)]
    built: bool,
}

/// Largest size of the binary, in bytes: it is copied to machines in trouble.
const LARGEST: u64 = 15 * 1000 * 1000;

/// Numbered steps with their times.
struct DistSteps {
    next: usize,
    all: usize,
}

impl DistSteps {
    fn new(all: usize) -> Self {
        Self { next: 1, all }
    }

    fn run<T>(&mut self, what: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("[{}/{}] {what}", self.next, self.all);
        self.next += 1;
        let started = Instant::now();
        let done = step()?;
        println!("      {:.1} s", started.elapsed().as_secs_f64());
        Ok(done)
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let directory = workspace::target().join("dist");
    if args.built {
        return check::run(&directory);
    }
    build(&directory)?;
    if args.check {
        check::run_as_root(&directory)?;
    }
    Ok(())
}

/// Builds and checks, as a part of `cargo xtask test`.
///
/// # Errors
/// A package cannot be built, or does not work.
pub(crate) fn build_and_check() -> Result<()> {
    run(&Args {
        check: true,
        built: false,
    })
}

fn build(directory: &Path) -> Result<()> {
    let mut steps = DistSteps::new(4);
    let (tools, library) = steps.run("tools", || {
        setup::ensure(&[Need::Build, Need::Dist])?;
        let library = standard_library()
            .ok_or_else(|| Failure::new("there is no standard library of Rust for musl"))?;
        Ok((Tools::ensure()?, library))
    })?;
    let tracer = steps.run("the binary, static and optimised", || tools.build(library))?;
    let stage = directory.join("work/stage");
    steps.run("manual pages, completions, documents, licences", || {
        check_size(&tracer)?;
        installation::stage(&tracer, &stage)?;
        let licences = licences::collect(&tools.components(library))?;
        let file = stage.join(DOCUMENTS).join("THIRD-PARTY-LICENSES");
        installation::write(&file, licences.as_bytes())?;
        installation::copy(&tracer, &directory.join("tracer"))
    })?;
    let packages = steps.run("tarball, deb, rpm, sums", || {
        Release::of(&tracer, directory)?.pack(&stage)
    })?;
    report(directory, &packages)
}

fn check_size(tracer: &Path) -> Result<()> {
    let size = size(tracer)?;
    if size < LARGEST {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the binary has {size} bytes; less than {LARGEST} are wanted"
    ))
    .into())
}

fn size(file: &Path) -> Result<u64> {
    let metadata = fs::metadata(file).with_context(|| format!("cannot find {}", file.display()))?;
    Ok(metadata.len())
}

fn report(directory: &Path, packages: &Packages) -> Result<()> {
    let binary = directory.join("tracer");
    for file in [&binary, &packages.tarball, &packages.deb, &packages.rpm] {
        println!("{:>6.1} MB  {}", size(file)? as f64 / 1e6, file.display());
    }
    Ok(())
}
