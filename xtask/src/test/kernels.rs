//! Runs the kernel tests in other kernels: Debian's, booted in an emulator.
//!
//! The kernels are downloaded, not installed. Each boots an initramfs that contains only the test
//! programs, their libraries and this program as its first process (see [`super::guest`]). Output
//! on the serial console is passed on.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::guest::{MARK, TESTS};
use super::initramfs::Initramfs;
use super::suites::Suites;
use crate::pointer::Running;
use crate::support::command::{find, output, run as run_command};
use crate::support::failure::{Failure, USAGE};
use crate::{setup, support::workspace};

/// Kernels to boot, by the prefix of their version.
const VERSIONS: &[&str] = &["6.1", "6.12"];
/// Test programs to run in them.
const TEST_TARGETS: &str = "kernel*";
/// Time after which a kernel is given up. A boot takes a few seconds, and tests are ten times
/// slower than on the host.
const LIMIT: Duration = Duration::from_secs(300);

/// Boots each kernel and runs the kernel tests in it.
///
/// # Errors
/// A test failed, or a kernel did not boot or could not be downloaded.
pub(super) fn run(suites: &mut Suites) -> Result<()> {
    let initramfs = workspace::target().join("kernels/initramfs.cpio");
    let images = VERSIONS
        .iter()
        .map(|version| Ok((*version, image(version)?)))
        .collect::<Result<Vec<_>>>()?;
    std::fs::write(&initramfs, pack(&test_programs()?)?)
        .with_context(|| format!("cannot write {}", initramfs.display()))?;
    let mut failed = Vec::new();
    for (version, image) in images {
        let started = Instant::now();
        suites.start(format!("kernel, in Linux {version}"));
        match boot(version, &image, &initramfs, suites) {
            Ok(()) => eprintln!(
                "Linux {version}: the kernel tests passed in {:.1} s",
                started.elapsed().as_secs_f64()
            ),
            Err(error) => {
                eprintln!("Linux {version}: {error:#}");
                failed.push(version);
            }
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("failed in Linux {}", failed.join(", "))).into())
    }
}

/// The bootable image of the newest kernel of a version. It is downloaded if it is missing.
fn image(version: &str) -> Result<PathBuf> {
    let directory = workspace::target().join("kernels").join(version);
    if let Some(image) = unpacked_image(&directory) {
        return Ok(image);
    }
    if find("apt-get").is_none() {
        return Err(
            Failure::new("kernels to test in come from Debian's packages")
                .hint("this distribution has no `apt-get`; leave this step out")
                .code(USAGE)
                .into(),
        );
    }
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    // The package lists may be missing, or name a package that no longer exists.
    if let Err(error) = download(version, &directory) {
        eprintln!("{error:#}; trying again with new package lists");
        setup::fetch_package_lists()?;
        download(version, &directory)?;
    }
    for file in entries(&directory)? {
        if file.extension().is_some_and(|extension| extension == "deb") {
            run_command(Command::new("dpkg").arg("-x").arg(&file).arg(&directory))?;
            std::fs::remove_file(&file)
                .with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    unpacked_image(&directory)
        .ok_or_else(|| Failure::new("the downloaded package has no kernel in it").into())
}

fn download(version: &str, directory: &Path) -> Result<()> {
    let package = newest_package(version)?;
    run_command(
        Command::new("apt-get")
            .args(["download", "-q", &package])
            .current_dir(directory),
    )
}

fn unpacked_image(directory: &Path) -> Option<PathBuf> {
    entries(&directory.join("boot"))
        .ok()?
        .into_iter()
        .find(|file| {
            file.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
        })
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    std::fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .with_context(|| format!("cannot read {}", directory.display()))
}

/// The name of the newest package of a version, from today's package lists.
fn newest_package(version: &str) -> Result<String> {
    let pattern = format!(
        "^linux-image-{}\\.[0-9].*-cloud-amd64$",
        version.replace('.', "\\.")
    );
    let listed = output(Command::new("apt-cache").args(["search", "--names-only", &pattern]))?;
    String::from_utf8_lossy(&listed)
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .max_by_key(|name| numbers(name))
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(format!("the package lists have no kernel {version}")).into())
}

/// The numbers in a name, by which versions compare.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

/// Builds the kernel tests like the other steps. Returns their paths.
fn test_programs() -> Result<Vec<PathBuf>> {
    let built = output(workspace::cargo("test").args([
        "--workspace",
        "--locked",
        "--test",
        TEST_TARGETS,
        "--no-run",
        "--message-format=json",
    ]))?;
    let programs: Vec<PathBuf> = String::from_utf8_lossy(&built)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["kind"][0] == "test")
        .filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
        .collect();
    if programs.is_empty() {
        return Err(Failure::new("cargo built no kernel tests").into());
    }
    Ok(programs)
}

fn pack(tests: &[PathBuf]) -> Result<Vec<u8>> {
    let mut archive = Initramfs::new();
    let us = workspace::this_program().context("cannot find this program")?;
    archive.program(&us, Path::new("/init"))?;
    for test in tests {
        let name = test.file_name().unwrap_or(test.as_os_str());
        archive.program(test, &Path::new(TESTS).join(name))?;
    }
    Ok(archive.finish())
}

/// Boots, passes the console on, and returns whether the tests passed.
fn boot(version: &str, image: &Path, initramfs: &Path, suites: &mut Suites) -> Result<()> {
    let mut emulator = Command::new("qemu-system-x86_64")
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"])
        .args([
            "-m",
            "2048",
            "-no-reboot",
            "-nic",
            "none",
            "-display",
            "none",
        ])
        .args(["-serial", "stdio", "-monitor", "none"])
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", "console=ttyS0 panic=-1 quiet"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run qemu")?;
    let stdout = emulator.stdout.take();
    let _emulator = Running(emulator);
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stdout
            .into_iter()
            .flat_map(|out| BufReader::new(out).split(b'\n'))
        {
            let Ok(line) = line else { break };
            if sender
                .send(String::from_utf8_lossy(&line).trim_end().to_owned())
                .is_err()
            {
                break;
            }
        }
    });
    let deadline = Instant::now() + LIMIT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) => {
                suites.line(&line);
                eprintln!("{version} | {}", printable(&line));
                match line.strip_prefix(MARK).map(str::trim) {
                    Some("passed") => return Ok(()),
                    Some("failed") => return Err(Failure::new("the kernel tests failed").into()),
                    _ => {}
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(Failure::new(format!("no end after {} s", LIMIT.as_secs())).into());
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(Failure::new("the machine went down before the tests' end").into());
            }
        }
    }
}

/// The firmware's control sequences would clear the user's screen, so they are removed.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn newer_package_compares_greater() {
        let old = numbers("linux-image-6.12.99+deb12-cloud-amd64");
        let new = numbers("linux-image-6.12.101+deb12-cloud-amd64");
        assert!(old < new);
    }
}
