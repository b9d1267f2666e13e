//! What this machine has and lacks of what the commands need. Only looks; see
//! [`crate::setup`] for the installing. A look is a few file names, so that it
//! costs nothing where all is there.

use std::path::{Path, PathBuf};

use crate::command::find;
use crate::workspace;

/// The bpf-linker that `setup` installs; newer ones want a newer compiler.
pub(crate) const BPF_LINKER_VERSION: &str = "0.10.3";

/// The target that the eBPF programs are compiled for.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";

/// Something that a command needs of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Compile eBPF programs written in Rust, and link host programs.
    Build,
    /// An X server without a screen.
    Display,
    /// What the tests run and what their fixtures are made with.
    Tests,
    /// Boot other kernels.
    Kernels,
}

/// One thing that is not there, and the Debian packages that bring it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// As a person calls it.
    pub(crate) what: &'static str,
    /// Debian's packages.
    pub(crate) packages: &'static [&'static str],
    /// Part of the compiler for eBPF, which rustup can bring as well.
    pub(crate) ebpf_compiler: bool,
}

/// Programs by need: name, what it is, packages.
const PROGRAMS: &[(Need, &str, Missing)] = &[
    (
        Need::Build,
        "cc",
        missing_program("a C compiler", &["gcc", "libc6-dev"]),
    ),
    (
        Need::Display,
        "Xvfb",
        missing_program("the X server Xvfb", &["xvfb"]),
    ),
    (
        Need::Tests,
        "Xvfb",
        missing_program("the X server Xvfb", &["xvfb"]),
    ),
    (
        Need::Tests,
        "gcc",
        missing_program("gcc", &["gcc", "libc6-dev"]),
    ),
    (Need::Tests, "g++", missing_program("g++", &["g++"])),
    (Need::Tests, "clang", missing_program("clang", &["clang"])),
    (
        Need::Tests,
        "ld.lld",
        missing_program("the linker lld", &["lld"]),
    ),
    (
        Need::Tests,
        "mold",
        missing_program("the linker mold", &["mold"]),
    ),
    (
        Need::Tests,
        "objcopy",
        missing_program("binutils", &["binutils"]),
    ),
    (Need::Tests, "gdb", missing_program("gdb", &["gdb"])),
    (
        Need::Kernels,
        "qemu-system-x86_64",
        missing_program("qemu", &["qemu-system-x86"]),
    ),
];

/// Debian's Rust compiler with a prebuilt core for eBPF.
const DEBIAN_COMPILER: Missing = part_of_compiler(
    "a Rust compiler for eBPF",
    &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
);

/// Clippy of the same version as [`DEBIAN_COMPILER`].
const DEBIAN_CLIPPY: Missing = part_of_compiler("clippy for eBPF", &["rust-web-clippy"]);

/// What bpf-linker loads when it does not come from rustup's nightly.
const LIBLLVM: Missing = part_of_compiler("libLLVM 22", &["libllvm22"]);

const fn missing_program(what: &'static str, packages: &'static [&'static str]) -> Missing {
    Missing {
        what,
        packages,
        ebpf_compiler: false,
    }
}

const fn part_of_compiler(what: &'static str, packages: &'static [&'static str]) -> Missing {
    Missing {
        what,
        packages,
        ebpf_compiler: true,
    }
}

/// What is missing for these needs, each thing once.
pub(crate) fn missing(needs: &[Need]) -> Vec<Missing> {
    let mut missing: Vec<Missing> = PROGRAMS
        .iter()
        .filter(|(need, program, _)| needs.contains(need) && find(program).is_none())
        .map(|(_, _, missing)| *missing)
        .collect();
    if needs.contains(&Need::Build) && nightly_with_source().is_none() {
        if !debian_compiler_is_there() {
            missing.push(DEBIAN_COMPILER);
        }
        if !libllvm_is_there() {
            missing.push(LIBLLVM);
        }
    }
    if needs.contains(&Need::Tests)
        && nightly_with_source().is_none()
        && !Path::new("/usr/bin/clippy-driver").exists()
    {
        missing.push(DEBIAN_CLIPPY);
    }
    missing.dedup();
    missing
}

/// Rustup's nightly toolchain, when it has the source of `core` to build it from.
pub(crate) fn nightly_with_source() -> Option<PathBuf> {
    let rustup = std::env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".rustup")))?;
    std::fs::read_dir(rustup.join("toolchains"))
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("nightly-"))
        .map(|entry| entry.path())
        .find(|toolchain| toolchain.join("lib/rustlib/src/rust/library/core").is_dir())
}

fn debian_compiler_is_there() -> bool {
    ["/usr/bin/rustc", "/usr/bin/cargo"]
        .iter()
        .all(|program| Path::new(program).exists())
        && Path::new("/usr/lib/rustlib").join(BPF_TARGET).is_dir()
}

fn libllvm_is_there() -> bool {
    let triple = format!(
        "/usr/lib/{}-linux-gnu/libLLVM.so.22.1",
        std::env::consts::ARCH
    );
    Path::new(&triple).exists()
}

/// Where `setup` puts bpf-linker, and where the build looks for it.
pub(crate) fn bpf_linker_root() -> PathBuf {
    workspace::target().join("bpf-linker")
}

/// Whether bpf-linker is where `setup` puts it.
pub(crate) fn bpf_linker_is_there() -> bool {
    bpf_linker_root().join("bin/bpf-linker").exists()
}
