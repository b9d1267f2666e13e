//! `cargo xtask package`: builds `tracer` from its packages, with stable Rust and a C compiler but
//! without a compiler for eBPF, as a user without this repository does.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::machine::Need;
use crate::support::command::{find, output, run as run_command};
use crate::support::failure::Failure;
use crate::{setup, support::workspace};

/// Files that the package `tracer` needs for its build.
const NEEDED: [&str; 6] = [
    "Cargo.toml",
    "build.rs",
    "build/record.rs",
    "ebpf/tracer-ebpf.o",
    "ebpf/tracer-ebpf.sha256",
    "src/main.rs",
];
/// The only programs, besides cargo and rustc, that the build may find.
const PROGRAMS: [&str; 4] = ["cc", "ld", "as", "ar"];

#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: &Args) -> Result<()> {
    setup::ensure(&[Need::Build])?;
    list()?;
    let place = workspace::target().join("package-build");
    let unpacked = unpack()?;
    check(&place, &unpacked)?;
    println!("`tracer` builds from its packages, without a compiler for eBPF");
    Ok(())
}

/// Checks that the package contains everything that it is built from.
///
/// # Errors
/// A file is missing, or the package contains a file that does not belong there.
pub(crate) fn list() -> Result<()> {
    let mut list = workspace::cargo("package");
    let listed = output(list.args(["--list", "--allow-dirty", "--quiet", "-p", "tracer"]))?;
    let listed = String::from_utf8_lossy(&listed);
    let missing = NEEDED
        .iter()
        .find(|needed| listed.lines().all(|line| line != **needed));
    if let Some(missing) = missing {
        return Err(Failure::new(format!("the package `tracer` does not have {missing}")).into());
    }
    let foreign = |line: &&str| line.starts_with("tests/") || line.starts_with("fuzz/");
    match listed.lines().find(foreign) {
        None => Ok(()),
        Some(file) => Err(Failure::new(format!("the package `tracer` has {file}")).into()),
    }
}

/// The unpacked packages, which are removed on drop. They are outside of the workspace, because
/// cargo would treat them as members of it.
struct Unpacked {
    directory: PathBuf,
    tracer: PathBuf,
    common: PathBuf,
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // A leftover would only waste space.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Builds both packages, and unpacks them in an empty folder.
fn unpack() -> Result<Unpacked> {
    let mut package = workspace::cargo("package");
    run_command(package.args([
        "--no-verify",
        "--allow-dirty",
        "-p",
        "tracer-common",
        "-p",
        "tracer",
    ]))?;
    let version = env!("CARGO_PKG_VERSION");
    let directory = std::env::temp_dir().join(format!("tracer-packages-{}", std::process::id()));
    fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let unpacked = Unpacked {
        tracer: directory.join(format!("tracer-{version}")),
        common: directory.join(format!("tracer-common-{version}")),
        directory,
    };
    for name in ["tracer", "tracer-common"] {
        let file = workspace::target()
            .join("package")
            .join(format!("{name}-{version}.crate"));
        let mut tar = Command::new("tar");
        run_command(tar.arg("-xzf").arg(file).arg("-C").arg(&unpacked.directory))?;
    }
    Ok(unpacked)
}

/// Compiles the package, with programs on the path that cannot build eBPF.
fn check(place: &Path, unpacked: &Unpacked) -> Result<()> {
    let programs = place.join("bin");
    let _ = fs::remove_dir_all(&programs);
    fs::create_dir_all(&programs).with_context(|| format!("cannot make {}", programs.display()))?;
    for name in PROGRAMS {
        let program = find(name).with_context(|| format!("no `{name}` is here"))?;
        symlink(&program, programs.join(name))
            .with_context(|| format!("cannot link {}", program.display()))?;
    }
    let mut check = workspace::cargo("check");
    let rustc = PathBuf::from(check.get_program()).with_file_name("rustc");
    // `tracer-common` is not on crates.io before it is published.
    let patch = format!(
        "patch.crates-io.tracer-common.path='{}'",
        unpacked.common.display()
    );
    check
        .current_dir(&unpacked.tracer)
        .args(["--bins", "--config", &patch])
        .env("CARGO_TARGET_DIR", place.join("target"))
        .env("RUSTC", rustc)
        .env("PATH", &programs);
    for name in own_variables() {
        check.env_remove(name);
    }
    run_command(&mut check)
}

/// Variables that cargo has set for this program, or that would lead to a compiler for eBPF.
fn own_variables() -> Vec<impl AsRef<OsStr>> {
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| {
            let name = name.to_string_lossy();
            name.starts_with("CARGO_PKG_")
                || name.starts_with("TRACER_")
                || name == "CARGO_MANIFEST_DIR"
        })
        .collect()
}
