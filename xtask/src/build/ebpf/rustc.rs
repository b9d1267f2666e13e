//! Wraps the compiler for builds that do not depend on their location.
//!
//! Cargo derives `-C metadata` of a crate from its path, and symbols contain it. Panics and debug
//! information contain paths as well. Cargo runs this program instead of rustc (`RUSTC_WRAPPER`),
//! which replaces both by fixed names.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::build::object::recipe;
use crate::support::workspace;

/// This variable is set when cargo runs us as the compiler's wrapper.
const MARK: &str = "TRACER_XTASK_IS_RUSTC_WRAPPER";

/// Makes cargo run this program instead of rustc.
///
/// # Errors
/// The path of this program is unknown.
pub(super) fn wrap(cargo: &mut Command) -> std::io::Result<()> {
    cargo
        .env("RUSTC_WRAPPER", workspace::this_program()?)
        .env(MARK, "1");
    Ok(())
}

/// Executes the compiler if cargo has run us as its wrapper. Otherwise returns.
pub(crate) fn run_if_wrapper() -> Option<ExitCode> {
    std::env::var_os(MARK)?;
    let mut arguments = std::env::args_os().skip(1);
    let rustc = arguments.next()?;
    let mut arguments: Vec<OsString> = arguments.collect();
    let is_for_ebpf = arguments.iter().any(|argument| argument == recipe::TARGET);
    // Cargo's questions about the compiler do not belong to a package.
    if let Some(package) = Crate::from_environment().filter(|_| is_for_ebpf) {
        arguments = independent(arguments, &package);
    }
    // The call returns only if it fails.
    let error = Command::new(&rustc).args(arguments).exec();
    eprintln!("xtask: cannot run {}: {error}", rustc.display());
    Some(ExitCode::FAILURE)
}

/// The compiled package, from cargo's variables.
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
    // Our own packages have the workspace's version, which is not part of their sources.
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
