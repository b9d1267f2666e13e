//! Builds the tracer as one static program for musl.
//!
//! rustup has Rust's standard library for musl as a component. If it is not installed, Debian's
//! packaged compiler builds it from `rust-web-src`. zig provides musl itself, the unwinder, and the
//! compiler of the few C files. cargo-zigbuild makes it cargo's linker. Both come from PyPI, pinned
//! by hash.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::support::command::run as run_command;
use crate::support::workspace;

/// Rust's name for Linux with musl.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-musl";
/// The cargo profile of the distributed binary.
const PROFILE: &str = "dist";
/// Requirements for pip, with hashes.
const REQUIREMENTS: &str = include_str!("tools.txt");
/// Debian's compiler, and the sources of its standard library.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust";
/// Licence files of the standard library: Debian's, and rustup's below the compiler's root.
const DEBIAN_LICENCES: &str = "/usr/share/doc/rust-web-src/copyright";
const RUSTUP_LICENCES: &str = "share/doc/rust/COPYRIGHT-library.html";

/// Sources of the standard library for musl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandardLibrary {
    /// A rustup component of the current compiler.
    Rustup,
    /// Debian's sources, built with the program.
    Source,
}

/// The available standard library, if there is one.
pub(crate) fn standard_library() -> Option<StandardLibrary> {
    let libraries = printed_path(&["--target", TARGET, "--print", "target-libdir"]);
    if libraries.is_some_and(|directory| directory.is_dir()) {
        return Some(StandardLibrary::Rustup);
    }
    let all = [DEBIAN_CARGO, DEBIAN_RUSTC].map(Path::new);
    let sources = Path::new(DEBIAN_SOURCES).join("library/std");
    (all.iter().all(|file| file.exists()) && sources.is_dir()).then_some(StandardLibrary::Source)
}

/// A part of the binary that is not a crate: its name, licence, and the file with its terms.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) name: &'static str,
    pub(super) licence: &'static str,
    pub(super) text: PathBuf,
}

/// The tools from PyPI, in the target directory.
#[derive(Debug)]
pub(super) struct Tools {
    root: PathBuf,
}

impl Tools {
    /// Installs the pinned versions if they are missing or different.
    ///
    /// # Errors
    /// pip cannot install them.
    pub(super) fn ensure() -> Result<Self> {
        let tools = Self {
            root: workspace::target().join("dist-tools"),
        };
        let installed = tools.root.join("installed.txt");
        if fs::read_to_string(&installed).is_ok_and(|there| there == REQUIREMENTS) {
            return Ok(tools);
        }
        println!("setup: installing zig and cargo-zigbuild from PyPI (95 MB)");
        crate::install::installation::empty(&tools.root)?;
        let wanted = tools.root.join("tools.txt");
        fs::write(&wanted, REQUIREMENTS)
            .with_context(|| format!("cannot write {}", wanted.display()))?;
        let mut pip = Command::new("pip3");
        pip.args(["install", "--quiet", "--no-deps", "--only-binary", ":all:"])
            .args(["--require-hashes", "--disable-pip-version-check"])
            .args(["--root-user-action", "ignore", "--target"])
            .arg(&tools.root)
            .arg("--requirement")
            .arg(&wanted);
        run_command(&mut pip)?;
        // The stamp is written last, so that an interrupted installation is repeated.
        fs::rename(&wanted, &installed)
            .with_context(|| format!("cannot write {}", installed.display()))?;
        Ok(tools)
    }

    /// Builds the tracer. Returns its path.
    ///
    /// # Errors
    /// The build failed.
    pub(super) fn build(&self, library: StandardLibrary) -> Result<PathBuf> {
        let output = workspace::target().join("dist/build");
        let mut build = Command::new(self.root.join("bin/cargo-zigbuild"));
        build
            .current_dir(workspace::root())
            .args(["zigbuild", "--locked", "--package", "tracer"])
            .args(["--profile", PROFILE, "--target", TARGET, "--target-dir"])
            .arg(&output);
        self.set_environment(&mut build);
        if library == StandardLibrary::Source {
            build
                .args(["-Z", "build-std=std,panic_unwind"])
                .env("CARGO", DEBIAN_CARGO)
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("PATH", path_from(Path::new("/usr/bin"))?);
        }
        run_command(&mut build)?;
        Ok(output.join(TARGET).join(PROFILE).join("tracer"))
    }

    /// zig as a C compiler.
    pub(super) fn c_compiler(&self) -> Command {
        let mut command = Command::new(self.root.join("ziglang/zig"));
        command
            .env("ZIG_GLOBAL_CACHE_DIR", self.root.join("zig-cache"))
            .arg("cc");
        command
    }

    /// Parts of the binary that are not crates.
    pub(super) fn components(&self, library: StandardLibrary) -> Vec<Component> {
        let zig = self.root.join("ziglang");
        let standard = match library {
            StandardLibrary::Source => PathBuf::from(DEBIAN_LICENCES),
            StandardLibrary::Rustup => printed_path(&["--print", "sysroot"])
                .unwrap_or_default()
                .join(RUSTUP_LICENCES),
        };
        let component = |name, licence, text| Component {
            name,
            licence,
            text,
        };
        vec![
            component(
                "Rust's standard library and its crates",
                "MIT OR Apache-2.0",
                standard,
            ),
            component("musl", "MIT", zig.join("lib/libc/musl/COPYRIGHT")),
            component(
                "LLVM's libunwind",
                "Apache-2.0 WITH LLVM-exception",
                zig.join("lib/libunwind/LICENSE.TXT"),
            ),
            component("zig's compiler-rt", "MIT", zig.join("LICENSE")),
        ]
    }

    fn set_environment(&self, build: &mut Command) {
        // These variables are for the build of xtask itself.
        for name in [
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_DIR",
        ] {
            build.env_remove(name);
        }
        build
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags())
            .env("CARGO_ZIGBUILD_ZIG_PATH", self.root.join("ziglang/zig"))
            .env("CARGO_ZIGBUILD_CACHE_DIR", self.root.join("cache"))
            .env("ZIG_GLOBAL_CACHE_DIR", self.root.join("zig-cache"));
    }
}

/// zig's own start files, a load address that the kernel chooses, and no path of this machine in
/// the binary.
fn rustflags() -> OsString {
    let remap = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flag
    };
    [
        OsString::from("-C"),
        OsString::from("link-self-contained=no"),
        OsString::from("-C"),
        OsString::from("link-arg=-pie"),
        remap(&workspace::root(), "/tracer"),
        remap(&cargo_home().join("registry/src"), "/crates"),
    ]
    .join(OsStr::new("\u{1f}"))
}

fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    )
}

fn path_from(first: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(first.to_path_buf()).chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(directories)?)
}

/// A path that the current compiler prints.
fn printed_path(arguments: &[&str]) -> Option<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let output = Command::new(rustc).args(arguments).output().ok()?;
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !path.is_empty()).then(|| PathBuf::from(path))
}
