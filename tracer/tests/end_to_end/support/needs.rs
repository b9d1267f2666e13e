//! Checks the machine for the needs of a test.
//!
//! With `REQUIRE_KERNEL=1`, which CI sets, a missing need fails the test. Otherwise the test prints
//! why it is skipped.

use std::fs;
use std::path::{Path, PathBuf};

/// True if uprobes with eBPF can be tested here.
///
/// # Panics
/// They cannot, and `REQUIRE_KERNEL=1` is set.
#[track_caller]
pub(crate) fn kernel() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1))
            .unwrap_or("0")
            .to_owned()
    };
    let uid = field("Uid:");
    let capabilities = u64::from_str_radix(&field("CapEff:"), 16).unwrap_or(0);
    // CAP_SYS_ADMIN is bit 21. It includes CAP_BPF and CAP_PERFMON.
    let admin = capabilities & (1 << 21) != 0;
    let btf = Path::new("/sys/kernel/btf/vmlinux").exists();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    met(
        uid == "0" && admin && btf,
        "root with CAP_SYS_ADMIN and a kernel with BTF",
        &format!(
            "uid {uid}, CAP_SYS_ADMIN {admin}, BTF {btf}, Linux {}",
            release.trim()
        ),
    )
}

/// True if all of these programs are on the path.
///
/// # Panics
/// One is missing, and `REQUIRE_KERNEL=1` is set.
#[track_caller]
pub(crate) fn tools(names: &[&str]) -> bool {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !has(name)).collect();
    met(
        missing.is_empty(),
        &format!("the tools {}", names.join(", ")),
        &format!("no {}", missing.join(", no ")),
    )
}

/// The programs of `cargo xtask setup` for OpenTelemetry.
///
/// # Panics
/// They are not installed, and `REQUIRE_KERNEL=1` is set.
#[track_caller]
pub(crate) fn otel_tools() -> Option<PathBuf> {
    let build = Path::new(env!("CARGO_BIN_EXE_tracer")).parent()?.parent()?;
    let tools = build.join("otel-tools");
    let is_there = tools.join("installed.txt").is_file();
    met(is_there, "the tools of `cargo xtask setup`", "none");
    is_there.then_some(tools)
}

/// The clients of the Model Context Protocol of `cargo xtask setup`.
///
/// # Panics
/// They are not installed, and `REQUIRE_KERNEL=1` is set.
#[track_caller]
pub(crate) fn mcp_tools() -> Option<PathBuf> {
    let build = Path::new(env!("CARGO_BIN_EXE_tracer")).parent()?.parent()?;
    let tools = build.join("mcp-tools");
    let is_there = tools.join("installed.txt").is_file();
    met(is_there, "the clients of `cargo xtask setup`", "none");
    is_there.then_some(tools)
}

/// True if clang finds libc++. For a file that it does not find, it prints only the name.
///
/// # Panics
/// It does not, and `REQUIRE_KERNEL=1` is set.
#[track_caller]
pub(crate) fn libcxx() -> bool {
    let mut clang = std::process::Command::new("clang++");
    clang.args(["-stdlib=libc++", "-print-file-name=libc++.so"]);
    let found = clang
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout.contains(&b'/'));
    met(found, "clang and libc++", "one of them is missing")
}

/// The mounted root of cgroup v2, if cgroups can be made there. It is mounted if nobody has.
///
/// # Panics
/// It is not, and `REQUIRE_KERNEL=1` is set.
#[track_caller]
pub(crate) fn cgroups() -> Option<PathBuf> {
    let root = unified_root().or_else(|| {
        let folder = std::env::temp_dir().join("tracer-tests-cgroup");
        let _ = fs::create_dir_all(&folder);
        let mut mount = std::process::Command::new("mount");
        let _ = mount.args(["-t", "cgroup2", "none"]).arg(&folder).status();
        unified_root()
    });
    let writable = root.filter(|root| {
        let procs = root.join("cgroup.procs");
        fs::OpenOptions::new().write(true).open(procs).is_ok()
    });
    let needs = "cgroup v2, mounted at its root and writable";
    met(writable.is_some(), needs, "no such mount");
    writable
}

fn unified_root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let found = line.contains(" - cgroup2 ") && fields.get(3) == Some(&"/");
        found.then(|| PathBuf::from(fields[4]))
    })
}

/// True if a program in this folder can take the user that owns it.
///
/// # Panics
/// It cannot, and `REQUIRE_KERNEL=1` is set.
#[track_caller]
pub(crate) fn set_user_id(folder: &Path) -> bool {
    let mount = rustix::fs::statvfs(folder).expect("the folder is there");
    let allowed = !mount.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID);
    met(
        allowed,
        "a folder for temporary files without `nosuid`",
        "`nosuid`",
    )
}

/// True if a program of Debian 12's packages is there. Other systems have other versions of it.
///
/// # Panics
/// This is Debian 12, it is missing, and `REQUIRE_KERNEL=1` is set.
#[track_caller]
pub(crate) fn debian_program(path: &str) -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let lines = || release.lines().map(|line| line.replace('"', ""));
    let is_debian =
        lines().any(|line| line == "ID=debian") && lines().any(|line| line == "VERSION_ID=12");
    let is_there = Path::new(path).is_file();
    if !is_there && !is_debian {
        eprintln!("skipped: this test needs {path} of Debian 12, and this is another system");
        return false;
    }
    met(is_there, &format!("{path} of Debian 12"), "no such file");
    is_there
}

/// True if the kernel has this device.
///
/// # Panics
/// The device is missing, and `REQUIRE_KERNEL=1` is set.
#[track_caller]
pub(crate) fn device(path: &str) -> bool {
    met(Path::new(path).exists(), path, "no such device")
}

/// True if a program with this name is on the path.
pub(crate) fn has(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

#[track_caller]
fn met(holds: bool, needs: &str, found: &str) -> bool {
    let required = std::env::var_os("REQUIRE_KERNEL").is_some_and(|value| value == "1");
    assert!(
        holds || !required,
        "this test needs {needs}; found: {found}"
    );
    if !holds {
        eprintln!("skipped: this test needs {needs}; found: {found}");
    }
    holds
}
