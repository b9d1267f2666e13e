//! The compiler's wrapper for builds that do not depend on where they are made.
//!
//! Cargo derives `-C metadata` of a crate from its path, and symbols are named by it; panics and
//! debug information have paths as well. Cargo runs this program in place of rustc
//! (`RUSTC_WRAPPER`), which then puts names of its own in place of both.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use super::recipe;

/// Set, to anything, when cargo runs us as the compiler's wrapper.
const MARK: &str = "TRACER_XTASK_IS_RUSTC_WRAPPER";

/// Lets cargo run this program in place of rustc.
///
/// # Errors
/// The path of this program is not known.
pub(super) fn wrap(cargo: &mut Command) -> std::io::Result<()> {
    cargo
        .env("RUSTC_WRAPPER", std::env::current_exe()?)
        .env(MARK, "1");
    Ok(())
}

/// Becomes the compiler, when cargo has run us as its wrapper; else returns.
pub(crate) fn run_if_wrapper() -> Option<ExitCode> {
    std::env::var_os(MARK)?;
    let mut arguments = std::env::args_os().skip(1);
    let rustc = arguments.next()?;
    let mut arguments: Vec<OsString> = arguments.collect();
    let is_for_ebpf = arguments.iter().any(|argument| argument == recipe::TARGET);
    // Cargo's questions about the compiler are of no package.
    if let Some(package) = Crate::from_environment().filter(|_| is_for_ebpf) {
        arguments = independent(arguments, &package);
    }
    // Comes back only when it fails.
    let error = Command::new(&rustc).args(arguments).exec();
    eprintln!("xtask: cannot run {}: {error}", rustc.display());
    Some(ExitCode::FAILURE)
}

/// The package that is compiled, as cargo tells the compiler.
struct Crate {
    name: String,
    version: String,
    manifest_directory: OsString,
}

impl Crate {
    fn from_environment() -> Option<Self> {
        Some(Self {
            name: std::env::var("CARGO_PKG_NAME").ok()?,
            version: std::env::var("CARGO_PKG_VERSION").ok()?,
            manifest_directory: std::env::var_os("CARGO_MANIFEST_DIR")?,
        })
    }
}

/// The compiler's arguments without anything that depends on paths.
fn independent(arguments: Vec<OsString>, package: &Crate) -> Vec<OsString> {
    let is_metadata = |argument: &OsString| {
        argument
            .to_str()
            .is_some_and(|text| text.starts_with("metadata="))
    };
    // Our own packages have the workspace's version, which is no part of their sources.
    let metadata = if package.name.starts_with("tracer-") {
        format!("metadata={}", package.name)
    } else {
        format!("metadata={}-{}", package.name, package.version)
    };
    let mut arguments: Vec<OsString> = arguments
        .into_iter()
        .map(|argument| {
            if is_metadata(&argument) {
                OsString::from(&metadata)
            } else {
                argument
            }
        })
        .collect();
    let from = Path::new(&package.manifest_directory);
    let mut remap = OsString::from("--remap-path-prefix=");
    remap.push(from);
    remap.push(format!("=/{}", package.name));
    arguments.push(remap);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_paths_are_those_of_the_package() {
        let package = Crate {
            name: "aya-ebpf".into(),
            version: "0.2.1".into(),
            manifest_directory: "/home/me/registry/aya-ebpf-0.2.1".into(),
        };
        let given = [
            "--crate-name",
            "aya_ebpf",
            "-C",
            "metadata=00c0ffee",
            "-C",
            "extra-filename=-1",
        ];
        assert_eq!(
            independent(given.map(OsString::from).to_vec(), &package),
            [
                "--crate-name",
                "aya_ebpf",
                "-C",
                "metadata=aya-ebpf-0.2.1",
                "-C",
                "extra-filename=-1",
                "--remap-path-prefix=/home/me/registry/aya-ebpf-0.2.1=/aya-ebpf"
            ]
        );
    }
}
