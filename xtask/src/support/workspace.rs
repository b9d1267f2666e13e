//! Paths in the workspace.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's root directory.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

/// A built program of the workspace.
pub(crate) fn binary(name: &str, release: bool) -> PathBuf {
    target()
        .join(if release { "release" } else { "debug" })
        .join(name)
}

/// The running cargo, with the workspace as its directory and its lock file fixed.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(root()).arg(subcommand);
    // `cargo run` sets these to those of this package. A build script that looks at them, as that of ring does, would
    // run again in each build.
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if shown.starts_with("CARGO_PKG_") || shown.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// The file of this program. A build that went on meanwhile may have put another one in its place, which is as
/// good.
///
/// # Errors
/// The kernel does not say.
pub(crate) fn this_program() -> io::Result<PathBuf> {
    std::env::current_exe().map(|exe| replaced(&exe))
}

/// The path of a program without the mark of a file that was replaced.
fn replaced(exe: &Path) -> PathBuf {
    let bytes = exe.as_os_str().as_bytes();
    let path = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    PathBuf::from(OsStr::from_bytes(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_that_was_replaced_is_found_at_its_path() {
        let path = Path::new("/target/debug/xtask");
        assert_eq!(replaced(Path::new("/target/debug/xtask (deleted)")), path);
        assert_eq!(replaced(path), path);
    }
}
