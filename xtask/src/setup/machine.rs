//! Finds out which needs of the commands this machine meets. [`crate::setup`] installs the rest.
//!
//! The checks look at a few file names, so they cost nothing on a complete machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{mcp_tools, otel_tools};
use crate::build::object::{self, recipe};
use crate::dist::toolchain::standard_library;
use crate::support::command::find;
use crate::support::workspace;

/// A need of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Link host programs. Includes [`Need::Ebpf`] if the sources of the eBPF programs differ from
    /// those of the repository's object.
    Build,
    /// Compile eBPF programs written in Rust.
    Ebpf,
    /// Programs that the tests run, and compilers of their fixtures.
    Tests,
    /// Receivers of telemetry, which are among those of [`Need::Tests`] too.
    Telemetry,
    /// Compile the C parts of dependencies for AArch64.
    Aarch64,
    /// Boot other kernels.
    Kernels,
    /// Other tracers, for comparison with ours.
    Peers,
    /// Build one static binary, and packages of it.
    Dist,
    /// Install the packages in other systems.
    DistCheck,
    /// Coverage-guided fuzzing: rustup's nightly, cargo-fuzz, a C++ compiler for libFuzzer.
    Fuzz,
}

/// Missing things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lack {
    /// Missing things that packages bring, each once.
    pub(crate) packaged: Vec<Missing>,
    /// bpf-linker, which comes from crates.io.
    pub(crate) bpf_linker: bool,
    /// cargo-fuzz, which comes from crates.io.
    pub(crate) cargo_fuzz: bool,
    /// A nightly toolchain, which comes from rustup.
    pub(crate) nightly: bool,
    /// A collector and the messages of OpenTelemetry, which come from PyPI, and Prometheus.
    pub(crate) otel_tools: bool,
    /// Clients of the Model Context Protocol, which come from PyPI and npm.
    pub(crate) mcp_tools: bool,
}

impl Lack {
    /// Everything in it, in readable form.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let packaged = self.packaged.iter().map(|missing| missing.what);
        packaged
            .chain(self.bpf_linker.then_some("bpf-linker"))
            .chain(self.nightly.then_some("a nightly toolchain of rustup"))
            .chain(self.cargo_fuzz.then_some("cargo-fuzz"))
            .chain(
                self.otel_tools
                    .then_some("tools of OpenTelemetry, and Prometheus"),
            )
            .chain(
                self.mcp_tools
                    .then_some("clients of the Model Context Protocol"),
            )
            .collect()
    }
}

/// One missing thing, and the Debian packages that bring it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Its readable name.
    pub(crate) what: &'static str,
    /// Debian's packages.
    pub(crate) packages: &'static [&'static str],
    /// True if it is part of the compiler for eBPF, which rustup can bring as well.
    pub(crate) ebpf_compiler: bool,
}

/// Programs by need: name, readable name, packages.
const PROGRAMS: &[(Need, &str, Missing)] = &[
    (
        Need::Build,
        "cc",
        missing_program("a C compiler", &["gcc", "libc6-dev"]),
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
    (
        Need::Tests,
        "dwp",
        missing_program("binutils", &["binutils"]),
    ),
    (Need::Tests, "llvm-dwp", missing_program("llvm", &["llvm"])),
    (Need::Tests, "dwz", missing_program("dwz", &["dwz"])),
    (Need::Tests, "gdb", missing_program("gdb", &["gdb"])),
    (Need::Tests, "jq", missing_program("jq", &["jq"])),
    (Need::Tests, "zstdcat", missing_program("zstd", &["zstd"])),
    (Need::Tests, "curl", missing_program("curl", &["curl"])),
    (
        Need::Tests,
        "openssl",
        missing_program("openssl", &["openssl"]),
    ),
    (Need::Tests, "node", missing_program("Node.js", &["nodejs"])),
    (Need::Tests, "npm", missing_program("npm", &["npm"])),
    (
        Need::Aarch64,
        "aarch64-linux-gnu-gcc",
        missing_program(
            "a C compiler for AArch64",
            &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        ),
    ),
    (
        Need::Kernels,
        "qemu-system-x86_64",
        missing_program("qemu", &["qemu-system-x86"]),
    ),
    (
        Need::Peers,
        "bpftrace",
        missing_program("bpftrace", &["bpftrace"]),
    ),
    (
        Need::Peers,
        "perf",
        missing_program("perf", &["linux-perf"]),
    ),
    (Need::Peers, "gdb", missing_program("gdb", &["gdb"])),
    (
        Need::Dist,
        "pip3",
        missing_program("Python's pip", &["python3-pip"]),
    ),
    (Need::Dist, "dpkg-deb", missing_program("dpkg", &["dpkg"])),
    (Need::Dist, "rpmbuild", missing_program("rpm", &["rpm"])),
    (Need::DistCheck, "rpm", missing_program("rpm", &["rpm"])),
    (
        Need::DistCheck,
        "mmdebstrap",
        missing_program("mmdebstrap", &["mmdebstrap"]),
    ),
    (
        Need::DistCheck,
        "musl-gcc",
        missing_program("a C compiler for musl", &["musl-tools"]),
    ),
    (Need::Fuzz, "g++", missing_program("g++", &["g++"])),
];

/// Debian's Rust compiler with a prebuilt core for eBPF.
const DEBIAN_COMPILER: Missing = part_of_compiler(
    "a Rust compiler for eBPF",
    &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
);

/// Clippy of the same version as [`DEBIAN_COMPILER`].
const DEBIAN_CLIPPY: Missing = part_of_compiler("clippy for eBPF", &["rust-web-clippy"]);

/// The LLVM that bpf-linker loads, unless it comes from rustup's nightly.
const LIBLLVM: Missing = part_of_compiler("libLLVM 22", &["libllvm22"]);

/// Debian's Rust compiler, with the sources of its library for musl.
const MUSL_LIBRARY: Missing = missing_program(
    "Rust's standard library for musl",
    &["rustc-web", "cargo-web", "rust-web-src"],
);

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

/// The other standard library of C++.
const LIBCXX: Missing = missing_program("libc++", &["libc++-dev", "libc++abi-dev"]);

/// Programs of Debian 12 with USDT probes, by the files that tests start.
const USDT_PROGRAMS: [(&str, Missing); 2] = [
    (
        "/usr/lib/postgresql/15/bin/postgres",
        missing_program("PostgreSQL 15", &["postgresql-15"]),
    ),
    (
        "/usr/bin/python3.11",
        missing_program("Python 3.11", &["python3.11"]),
    ),
];

/// Python, with the parts that make environments.
const PYTHON_VENV: Missing = missing_program("Python's venv", &["python3", "python3-venv"]);

/// Returns true if the system is Debian 12. Others have other versions of its programs.
fn is_debian_12() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let has = |wanted: &str| release.lines().any(|line| line.replace('"', "") == wanted);
    has("ID=debian") && has("VERSION_ID=12")
}

/// Lists the missing things for these needs.
pub(crate) fn lack(needs: &[Need]) -> Lack {
    let mut lack = Lack {
        packaged: PROGRAMS
            .iter()
            .filter(|(need, program, _)| needs.contains(need) && find(program).is_none())
            .map(|(_, _, missing)| *missing)
            .collect(),
        ..Lack::default()
    };
    if needs.contains(&Need::Tests) && !has_libcxx() {
        lack.packaged.push(LIBCXX);
    }
    if needs.contains(&Need::Tests) && is_debian_12() {
        let absent = USDT_PROGRAMS
            .iter()
            .filter(|(path, _)| !Path::new(path).is_file());
        lack.packaged.extend(absent.map(|(_, missing)| *missing));
    }
    if needs.contains(&Need::Tests) || needs.contains(&Need::Telemetry) {
        lack.otel_tools = !otel_tools::are_there();
        lack.mcp_tools = needs.contains(&Need::Tests) && !mcp_tools::are_there();
        if (lack.otel_tools || lack.mcp_tools) && !has_venv() {
            lack.packaged.push(PYTHON_VENV);
        }
    }
    if needs.contains(&Need::Dist) && standard_library().is_none() {
        lack.packaged.push(MUSL_LIBRARY);
    }
    if needs.contains(&Need::Fuzz) {
        lack.nightly = !has_nightly();
        lack.cargo_fuzz = cargo_fuzz().is_none();
    }
    let ebpf =
        needs.contains(&Need::Ebpf) || needs.contains(&Need::Build) && object::must_be_built();
    if ebpf && let Err(missing) = recipe::find(&workspace::root()) {
        for part in missing {
            match part {
                recipe::Missing::Compiler => lack.packaged.extend([DEBIAN_COMPILER, LIBLLVM]),
                recipe::Missing::Library => lack.packaged.push(LIBLLVM),
                recipe::Missing::Linker => lack.bpf_linker = true,
            }
        }
    }
    if ebpf
        && needs.contains(&Need::Tests)
        && (lack.packaged.contains(&DEBIAN_COMPILER) || recipe::compiler_is_packaged())
        && !Path::new("/usr/bin/cargo-clippy").exists()
    {
        lack.packaged.push(DEBIAN_CLIPPY);
    }
    lack.packaged.dedup();
    lack
}

/// Folder in which `cargo xtask fuzz` installs cargo-fuzz.
pub(crate) fn cargo_fuzz_root() -> PathBuf {
    workspace::target().join("cargo-fuzz")
}

/// cargo-fuzz: the one that we installed, or the user's own.
pub(crate) fn cargo_fuzz() -> Option<PathBuf> {
    let ours = cargo_fuzz_root().join("bin/cargo-fuzz");
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo/bin/cargo-fuzz"));
    [ours]
        .into_iter()
        .chain(find("cargo-fuzz"))
        .chain(home)
        .find(|path| path.is_file())
}

/// Returns true if clang finds libc++. For a file that it does not find, it prints only the name.
fn has_libcxx() -> bool {
    let mut command = Command::new("clang++");
    command.args(["-stdlib=libc++", "-print-file-name=libc++.so"]);
    command
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout.contains(&b'/'))
}

/// Returns true if Python can make an environment with pip in it.
fn has_venv() -> bool {
    let output = Command::new("python3")
        .args(["-c", "import venv, ensurepip"])
        .output();
    output.is_ok_and(|output| output.status.success())
}

fn has_nightly() -> bool {
    let output = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--version"])
        .output();
    output.is_ok_and(|output| output.status.success())
}
