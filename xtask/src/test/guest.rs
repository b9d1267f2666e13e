//! The guest side of [`super::kernels`]: the first process of a booted kernel.
//!
//! The initramfs contains this program as `/init`. It mounts the file systems that tests expect,
//! runs the test programs one after the other with their output on the serial console, reports
//! their results, and switches the machine off.

use std::path::Path;
use std::process::Command;

use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};

/// Folder of the test programs in the initramfs.
pub(super) const TESTS: &str = "/tests";
/// Prefix of our own lines, as opposed to those of a test.
pub(super) const MARK: &str = "xtask-guest:";

/// Acts as `/init` and does not return, if we were started as that.
pub(crate) fn run_if_init() {
    // A container may run any program as process 1, but only a kernel runs this one under this
    // name.
    let is_init = std::env::args_os()
        .next()
        .is_some_and(|name| name == "/init");
    if is_init && std::process::id() == 1 {
        run();
        // Without power management, a restart also ends the emulator.
        let _ = reboot(RebootCommand::PowerOff);
        let _ = reboot(RebootCommand::Restart);
    }
}

fn run() {
    for (kind, directory) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/tmp"),
        ("tracefs", "/sys/kernel/tracing"),
    ] {
        if let Err(error) = mount(kind, directory, kind, MountFlags::empty(), None) {
            println!("{MARK} cannot mount {kind} on {directory}: {error}");
        }
    }
    println!(
        "{MARK} Linux {}",
        rustix::system::uname().release().to_string_lossy()
    );
    let failed = match test_programs() {
        Ok(programs) => programs.iter().filter(|program| !passes(program)).count(),
        Err(error) => {
            println!("{MARK} cannot list {TESTS}: {error}");
            1
        }
    };
    println!("{MARK} {}", if failed == 0 { "passed" } else { "failed" });
}

fn test_programs() -> std::io::Result<Vec<std::path::PathBuf>> {
    let mut programs = std::fs::read_dir(TESTS)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    programs.sort();
    Ok(programs)
}

fn passes(program: &Path) -> bool {
    let status = Command::new(program)
        .current_dir("/tmp")
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/tmp")
        .env("REQUIRE_KERNEL", "1")
        // Times are meaningless here, and thousands of repeats become hundreds.
        .env("TRACER_TEST_EMULATED", "1")
        .env("RUST_BACKTRACE", "0")
        .status();
    match status {
        Ok(status) => {
            println!("{MARK} {} ended: {status}", program.display());
            status.success()
        }
        Err(error) => {
            println!("{MARK} cannot run {}: {error}", program.display());
            false
        }
    }
}
