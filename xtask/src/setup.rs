//! `cargo xtask setup`: installs the missing needs of the commands.
//!
//! Packages come from the distribution (Debian and its derivatives), as root. bpf-linker and
//! cargo-fuzz come from crates.io, the tools of OpenTelemetry from PyPI, clients of the Model Context Protocol from
//! PyPI and npm, all into the target directory. Prometheus comes from its package without an installation, so no service starts. On a complete machine it reports that and changes nothing.

pub(crate) mod machine;
mod mcp_tools;
pub(crate) mod otel_tools;
mod packages;

use std::process::Command;

use anyhow::Result;

use self::machine::{Lack, Missing, Need};
use crate::build::object::recipe;
use crate::support::command::{find, run as run_command};
use crate::support::failure::{Failure, USAGE};
use crate::support::steps::Steps;
use crate::support::workspace::{cargo, root};
use packages::cannot_install;
pub(crate) use packages::fetch_lists as fetch_package_lists;

/// The tested version of cargo-fuzz.
const CARGO_FUZZ_VERSION: &str = "0.13.2";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only list the missing things; exit code 1 if there are any
    #[arg(long)]
    check: bool,
    /// Include the compiler for the eBPF programs, which only changes of these need
    #[arg(long)]
    ebpf: bool,
}

/// Installs every need of every command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut needs = vec![Need::Build, Need::Tests, Need::Kernels];
    if args.ebpf {
        needs.push(Need::Ebpf);
    }
    if args.check {
        return check(&needs);
    }
    ensure(&needs)?;
    println!("setup: everything is there");
    Ok(())
}

fn check(needs: &[Need]) -> Result<()> {
    let missing = machine::lack(needs).names();
    if missing.is_empty() {
        println!("setup: everything is there");
        return Ok(());
    }
    Err(Failure::new(format!("missing: {}", missing.join(", ")))
        .hint("`cargo xtask setup` installs them")
        .into())
}

/// Installs the missing things for these needs.
///
/// # Errors
/// Something is missing and cannot be installed from here. The error names it, and how to get it.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let lack = machine::lack(needs);
    if lack == Lack::default() {
        return Ok(());
    }
    println!("setup: missing: {}", lack.names().join(", "));
    let (compiler, others): (Vec<Missing>, Vec<Missing>) = lack
        .packaged
        .iter()
        .partition(|missing| missing.ebpf_compiler);
    let steps = [
        !others.is_empty(),
        !compiler.is_empty(),
        lack.bpf_linker,
        lack.nightly,
        lack.cargo_fuzz,
        lack.otel_tools,
        lack.mcp_tools,
    ];
    let count = steps.iter().filter(|step| **step).count();
    let mut steps = Steps::new("setup", count);
    if !others.is_empty() {
        steps.run("install packages", || packages::install(&others))?;
    }
    if !compiler.is_empty() {
        steps.run("install a compiler for the eBPF programs", || {
            install_compiler(&compiler)
        })?;
    }
    if lack.bpf_linker {
        let version = recipe::BPF_LINKER_VERSION;
        let what = format!("build bpf-linker {version} from crates.io, which takes some minutes");
        steps.run(&what, install_bpf_linker)?;
    }
    if lack.nightly {
        steps.run("install a nightly toolchain by rustup", install_nightly)?;
    }
    if lack.cargo_fuzz {
        let version = CARGO_FUZZ_VERSION;
        let what = format!("build cargo-fuzz {version} from crates.io, which takes some minutes");
        steps.run(&what, install_cargo_fuzz)?;
    }
    if lack.otel_tools {
        let what = "fetch the tools of OpenTelemetry from PyPI, and Prometheus";
        steps.run(what, || otel_tools::install(fetch_package_lists))?;
    }
    if lack.mcp_tools {
        let what = "fetch clients of the Model Context Protocol from PyPI and npm";
        steps.run(what, mcp_tools::install)?;
    }
    let still = machine::lack(needs);
    if !still.packaged.is_empty() {
        return Err(cannot_install(&still.packaged, "its packages did not bring it").into());
    }
    if still.bpf_linker {
        return Err(Failure::new("bpf-linker is not where it was installed to").into());
    }
    if still.cargo_fuzz {
        return Err(Failure::new("cargo-fuzz is not where it was installed to").into());
    }
    Ok(())
}

/// Debian's compiler for eBPF, or else rustup's.
fn install_compiler(missing: &[Missing]) -> Result<()> {
    let Err(error) = packages::install(missing) else {
        return Ok(());
    };
    let Some(rustup) = find("rustup") else {
        return Err(error);
    };
    println!("  {error:#}; trying rustup's nightly instead");
    let mut install = Command::new(rustup);
    install.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
    run_command(install.args(["--component", "rust-src,clippy"])).map_err(|_| error)
}

fn install_bpf_linker() -> Result<()> {
    let version = recipe::BPF_LINKER_VERSION;
    let mut install = cargo("install");
    install
        .args(["bpf-linker", "--locked", "--version", version, "--root"])
        .arg(recipe::linker_root(&root()));
    without_our_environment(&mut install);
    run_command(&mut install)
}

/// The compiler that can count the code that an input reaches.
fn install_nightly() -> Result<()> {
    let without = |why: &str| {
        Failure::new(format!(
            "coverage-guided fuzzing needs Rust's nightly: {why}"
        ))
        .hint(
            "`rustup toolchain install nightly`; without it there is `cargo xtask fuzz --damaged`",
        )
        .code(USAGE)
    };
    let rustup = find("rustup").ok_or_else(|| without("there is no `rustup` here"))?;
    let mut install = Command::new(rustup);
    install.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
    run_command(&mut install).map_err(|error| without(&error.to_string()).into())
}

fn install_cargo_fuzz() -> Result<()> {
    let mut install = cargo("install");
    install
        .args(["cargo-fuzz", "--locked", "--version", CARGO_FUZZ_VERSION])
        .arg("--root")
        .arg(machine::cargo_fuzz_root());
    without_our_environment(&mut install);
    run_command(&mut install).map_err(|error| {
        Failure::new(format!("cargo-fuzz cannot be installed: {error}"))
            .hint("`cargo xtask fuzz --damaged` does without it")
            .into()
    })
}

/// Cargo's variables must not change the build of another package.
fn without_our_environment(command: &mut Command) {
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
}
