//! Builds eBPF programs written in Rust, for the kernel's virtual machine.
//!
//! `tracer/build.rs` and `xtask` both include this file, so it uses only `std`. It supports two
//! toolchains: a distribution's rustc with a prebuilt `core` for `bpfel-unknown-none` (Debian:
//! `libstd-rust-web-dev-bpf`), and rustup's nightly with `rust-src`. Both need `bpf-linker`, which
//! loads LLVM's library at run time.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiler whose object the kernel is known to accept.
pub(crate) const KNOWN_COMPILER: &str = "Debian's rustc-web 1.96 with libstd-rust-web-dev-bpf";
/// Version of `bpf-linker` that is known to work with the pinned crates.
pub(crate) const BPF_LINKER_VERSION: &str = "0.10.3";
/// The LLVM version that this `bpf-linker` needs.
const LLVM_VERSION: u32 = 22;
/// Directory of the tracer's programs, from the workspace's root.
pub(crate) const TRACER: &str = "tracer-ebpf";
/// Directory of the programs that `cargo xtask bench` compares the tracer with.
pub(crate) const BENCH: &str = "xtask/bench-ebpf";
/// Rust's name for the kernel's virtual machine.
pub(crate) const TARGET: &str = "bpfel-unknown-none";
/// The distribution's rustc.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
/// The distribution's cargo.
const SYSTEM_CARGO: &str = "/usr/bin/cargo";
/// Directories of the distributions' shared libraries.
const LIBRARY_DIRECTORIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
];

/// The tools that build eBPF programs.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    compiler: Compiler,
    linker: PathBuf,
}

#[derive(Debug, Clone)]
enum Compiler {
    /// rustc and cargo of the distribution, with a prebuilt `core`.
    System,
    /// rustup's nightly, which builds `core` from `rust-src`.
    Nightly,
}

/// A missing part of the toolchain. `Display` describes it for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is no rustc that can build for the target.
    Compiler,
    /// There is no `bpf-linker`.
    Linker,
    /// There is no LLVM that can read the output of the distribution's rustc.
    Library,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Compiler => "no Rust compiler for eBPF: neither a packaged one with a core for bpfel-unknown-none nor rustup's nightly with rust-src",
            Self::Linker => "no bpf-linker",
            Self::Library => "no libLLVM of version 22 or newer",
        })
    }
}

/// Directory in which `cargo xtask setup` installs `bpf-linker`.
#[must_use]
pub(crate) fn linker_root(workspace: &Path) -> PathBuf {
    workspace.join("target").join("bpf-linker")
}

/// Looks for the tools.
///
/// # Errors
/// All missing parts.
pub(crate) fn find(workspace: &Path) -> Result<Toolchain, Vec<Missing>> {
    let compiler = find_compiler();
    let linker = find_linker(workspace);
    let mut missing = Vec::new();
    // Rustup's toolchains have their own LLVM library.
    if matches!(compiler, Some(Compiler::System))
        && newest_llvm().is_none_or(|(version, _)| version < LLVM_VERSION)
    {
        missing.push(Missing::Library);
    }
    if compiler.is_none() {
        missing.push(Missing::Compiler);
    }
    if linker.is_none() {
        missing.push(Missing::Linker);
    }
    match (compiler, linker) {
        (Some(compiler), Some(linker)) if missing.is_empty() => Ok(Toolchain { compiler, linker }),
        _ => Err(missing),
    }
}

/// Builds the programs of a crate. Returns the path of the object, which has the name of the crate's
/// directory.
///
/// # Errors
/// The build failed. The error has the compiler's output.
pub(crate) fn build(
    toolchain: &Toolchain,
    workspace: &Path,
    programs: &str,
    out: &Path,
) -> io::Result<PathBuf> {
    let mut command = command(toolchain, workspace, programs, out, "build")?;
    run(&mut command, programs, out)
}

/// Runs a build made by [`command`]. Returns the path of the object.
///
/// # Errors
/// The build failed. The error has the compiler's output.
pub(crate) fn run(command: &mut Command, programs: &str, out: &Path) -> io::Result<PathBuf> {
    let output = command.output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!(
            "the eBPF programs do not build:\n{words}"
        )));
    }
    Ok(out.join(TARGET).join("release").join(
        Path::new(programs)
            .file_name()
            .unwrap_or_else(|| programs.as_ref()),
    ))
}

/// A cargo subcommand for the programs, with its output below `out`.
///
/// # Errors
/// `out` is not writable.
pub(crate) fn command(
    toolchain: &Toolchain,
    workspace: &Path,
    programs: &str,
    out: &Path,
    subcommand: &str,
) -> io::Result<Command> {
    let libraries = llvm_directory(out)?;
    let mut command = cargo(toolchain, &libraries);
    command
        .current_dir(workspace.join(programs))
        .args([subcommand, "--release", "--locked", "--target", TARGET])
        .arg("--target-dir")
        .arg(out);
    if matches!(toolchain.compiler, Compiler::Nightly) {
        command.args(["-Z", "build-std=core"]);
    }
    Ok(command)
}

/// Cargo, set up for the target.
fn cargo(toolchain: &Toolchain, libraries: &Path) -> Command {
    let mut command = match toolchain.compiler {
        Compiler::System => {
            let mut command = Command::new(SYSTEM_CARGO);
            command
                .env("RUSTC", SYSTEM_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1");
            command
        }
        Compiler::Nightly => {
            let mut command = Command::new("rustup");
            command.args(["run", "nightly", "cargo"]);
            command.env_remove("RUSTC");
            command
        }
    };
    // The outer cargo has set these for the host.
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_TARGET",
        "RUSTUP_TOOLCHAIN",
        "CLIPPY_ARGS",
    ] {
        command.env_remove(name);
    }
    command
        .env("RUSTFLAGS", rustflags(&toolchain.linker))
        .env("LD_LIBRARY_PATH", libraries);
    command
}

fn rustflags(linker: &Path) -> String {
    // Atomic operations need version 3 of the instruction set (Linux 5.12).
    format!(
        "-C debuginfo=2 -C linker={} -C link-arg=--btf -C target-cpu=v3 --cfg bpf_target_arch=\"x86_64\"",
        linker.display()
    )
}

/// Returns true if the compiler is the distribution's. Its clippy is in a package of its own.
pub(crate) fn compiler_is_packaged() -> bool {
    matches!(find_compiler(), Some(Compiler::System))
}

/// Versions of the compiler, of its LLVM, and of the linker, as the tools print them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versions {
    /// First line of `rustc --version`.
    pub(crate) rustc: String,
    /// Version of rustc's LLVM.
    pub(crate) llvm: String,
    /// First line of `bpf-linker --version`.
    pub(crate) linker: String,
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, LLVM {}, {}", self.rustc, self.llvm, self.linker)
    }
}

impl Toolchain {
    /// Asks the tools for their versions.
    ///
    /// # Errors
    /// A tool cannot be run.
    pub(crate) fn versions(&self) -> io::Result<Versions> {
        let mut rustc = match self.compiler {
            Compiler::System => Command::new(SYSTEM_RUSTC),
            Compiler::Nightly => {
                let mut command = Command::new("rustup");
                command.args(["run", "nightly", "rustc"]);
                command
            }
        };
        let rustc = rustc.arg("-vV").output()?.stdout;
        let rustc = String::from_utf8_lossy(&rustc).into_owned();
        let llvm = rustc
            .lines()
            .find_map(|line| line.strip_prefix("LLVM version: "));
        let linker = Command::new(&self.linker).arg("--version").output()?.stdout;
        let linker = String::from_utf8_lossy(&linker).into_owned();
        Ok(Versions {
            llvm: llvm.unwrap_or_default().to_owned(),
            rustc: rustc.lines().next().unwrap_or_default().to_owned(),
            linker: linker.lines().next().unwrap_or_default().to_owned(),
        })
    }
}

fn find_compiler() -> Option<Compiler> {
    let sysroot = |program: &mut Command| {
        let output = program.args(["--print", "sysroot"]).output().ok()?;
        output
            .status
            .success()
            .then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    };
    if Path::new(SYSTEM_CARGO).exists()
        && let Some(root) = sysroot(&mut Command::new(SYSTEM_RUSTC))
        && root.join("lib/rustlib").join(TARGET).join("lib").is_dir()
    {
        return Some(Compiler::System);
    }
    let mut nightly = Command::new("rustup");
    nightly.args(["run", "nightly", "rustc"]);
    let root = sysroot(&mut nightly)?;
    root.join("lib/rustlib/src/rust/library/core")
        .is_dir()
        .then_some(Compiler::Nightly)
}

fn find_linker(workspace: &Path) -> Option<PathBuf> {
    let named = env::var_os("TRACER_BPF_LINKER").map(PathBuf::from);
    let ours = linker_root(workspace).join("bin/bpf-linker");
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo/bin/bpf-linker"));
    let paths = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&paths).map(|directory| directory.join("bpf-linker"));
    named
        .into_iter()
        .chain([ours])
        .chain(on_path)
        .chain(home)
        .find(|path| path.is_file())
}

/// Makes a directory that only has links to the newest LLVM library.
///
/// `bpf-linker` loads the first libLLVM that it finds, and an older one could not read the output
/// of the compiler.
fn llvm_directory(out: &Path) -> io::Result<PathBuf> {
    let directory = out.join("llvm");
    fs::create_dir_all(&directory)?;
    let Some((version, library)) = newest_llvm() else {
        return Ok(directory);
    };
    for name in [
        format!("libLLVM-{version}.so"),
        "libLLVM.so".into(),
        format!("libLLVM.so.{version}.1"),
    ] {
        let link = directory.join(name);
        if fs::read_link(&link).ok().as_deref() != Some(&library) {
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(&library, &link)?;
        }
    }
    Ok(directory)
}

fn newest_llvm() -> Option<(u32, PathBuf)> {
    let entries = LIBRARY_DIRECTORIES
        .iter()
        .filter_map(|directory| fs::read_dir(directory).ok());
    entries
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let rest = name
                .strip_prefix("libLLVM.so.")
                .or_else(|| name.strip_prefix("libLLVM-"))?;
            let version = rest.split('.').next()?.parse().ok()?;
            Some((version, fs::canonicalize(entry.path()).ok()?))
        })
        .max_by_key(|(version, _)| *version)
}
