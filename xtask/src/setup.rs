//! `cargo xtask setup`: installs what is missing of what the commands need.
//!
//! Packages come from the distribution (Debian and what derives from it), as
//! root; bpf-linker and cargo-fuzz from crates.io into the target directory. Where
//! all is there it says so and changes nothing.

use std::process::Command;

use anyhow::Result;

use crate::command::{as_root, find, run as run_command};
use crate::ebpf;
use crate::failure::{Failure, USAGE};
use crate::machine::{self, Lack, Missing, Need};
use crate::workspace::{cargo, root};

/// What a machine without Debian's packages can do instead.
const COMPILER_HINT: &str = "for eBPF, rustup's nightly will do: \
    `rustup toolchain install nightly --component rust-src,clippy`";

/// The version of cargo-fuzz that the targets were last run with.
const CARGO_FUZZ_VERSION: &str = "0.13.2";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only say what is missing; exit code 1 when something is
    #[arg(long)]
    check: bool,
}

/// Runs the command: everything that any command needs.
pub(crate) fn run(args: &Args) -> Result<()> {
    let needs = [Need::Build, Need::Display, Need::Tests, Need::Kernels];
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

/// Installs what is missing for these needs.
///
/// # Errors
/// Something is missing and cannot be installed from here; says what, and how
/// to get it.
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
    install_packages(&others)?;
    install_compiler(&compiler)?;
    if lack.bpf_linker {
        install_bpf_linker()?;
    }
    if lack.nightly {
        install_nightly()?;
    }
    if lack.cargo_fuzz {
        install_cargo_fuzz()?;
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

/// Debian's compiler for eBPF, or where there is none, rustup's.
fn install_compiler(missing: &[Missing]) -> Result<()> {
    let Err(error) = install_packages(missing) else {
        return Ok(());
    };
    let Some(rustup) = find("rustup") else {
        return Err(error);
    };
    println!("setup: {error:#}; trying rustup's nightly instead");
    let mut install = Command::new(rustup);
    install.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
    run_command(install.args(["--component", "rust-src,clippy"])).map_err(|_| error)
}

fn install_packages(missing: &[Missing]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    if find("apt-get").is_none() {
        return Err(cannot_install(missing, "this distribution has no `apt-get`").into());
    }
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|missing| missing.packages.iter().copied())
        .collect();
    println!("setup: installing the packages {}", packages.join(" "));
    // Package lists may be missing or old: only then is fetching them worth its time.
    if apt_install(&packages)?.is_err() {
        println!("setup: that failed; fetching the package lists and trying again");
        fetch_package_lists()?;
        apt_install(&packages)?.map_err(|_| {
            cannot_install(missing, "the package lists of this machine do not bring")
        })?;
    }
    Ok(())
}

/// Brings the distribution's lists of packages up to date.
///
/// # Errors
/// We cannot become root.
pub(crate) fn fetch_package_lists() -> Result<()> {
    let mut update = as_root("apt-get", "fetching package lists")?;
    // One broken source among many must not stop us.
    if let Err(error) = run_command(update.args(["update", "-q"])) {
        println!("setup: {error}; going on with what there is");
    }
    Ok(())
}

/// The outer error: apt could not be asked; the inner one: it could not install.
fn apt_install(packages: &[&str]) -> Result<Result<()>> {
    let mut apt = as_root("apt-get", "installing packages")?;
    apt.env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-q", "-y", "--no-install-recommends"])
        .args(packages);
    Ok(run_command(&mut apt))
}

fn cannot_install(missing: &[Missing], why: &str) -> Failure {
    let what: Vec<&str> = missing.iter().map(|missing| missing.what).collect();
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|missing| missing.packages.iter().copied())
        .collect();
    let mut hint = format!("install by hand what Debian has as {}", packages.join(" "));
    if missing.iter().any(|missing| missing.ebpf_compiler) {
        hint = format!("{hint}\n{COMPILER_HINT}");
    }
    Failure::new(format!("cannot install {}: {why}", what.join(", ")))
        .hint(hint)
        .code(USAGE)
}

fn install_bpf_linker() -> Result<()> {
    let version = ebpf::BPF_LINKER_VERSION;
    println!("setup: building bpf-linker {version} from crates.io (about a minute)");
    let mut install = cargo("install");
    install
        .args(["bpf-linker", "--locked", "--version", version, "--root"])
        .arg(ebpf::linker_root(&root()));
    without_our_environment(&mut install);
    run_command(&mut install)
}

/// The compiler that can count which code an input reaches.
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
    println!("setup: building cargo-fuzz {CARGO_FUZZ_VERSION} from crates.io (about a minute)");
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

/// Keeps what cargo set for us from changing another package's build.
fn without_our_environment(command: &mut Command) {
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
}
