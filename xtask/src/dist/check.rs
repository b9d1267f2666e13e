//! Installs each package in a system of its own, traces a program there, and removes it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::roots::{Root, System};
use super::{DistSteps, check_size};
use crate::install::installation::empty;
use crate::pointer::Running;
use crate::setup::machine::Need;
use crate::support::command::{as_root, output, run as run_command};
use crate::support::failure::Failure;
use crate::{setup, support::workspace};

/// The traced program, and the mark on the probed line.
const PROGRAM: &str = include_str!("busy.c");
const MARK: &str = "/* here */";
/// Number of awaited events.
const EVENTS: usize = 3;

/// A package, and how to install and remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PackageKind {
    Tarball,
    Deb,
    Rpm,
}

/// Packages by system.
const TRIALS: &[(System, PackageKind)] = &[
    (System::Bullseye, PackageKind::Deb),
    (System::Bullseye, PackageKind::Tarball),
    (System::Bookworm, PackageKind::Deb),
    (System::Bookworm, PackageKind::Tarball),
    (System::Bookworm, PackageKind::Rpm),
    (System::Musl, PackageKind::Tarball),
];

/// Runs the checks as root, in a mount namespace that ends with them.
///
/// # Errors
/// A package does not work, or we cannot become root.
pub(super) fn run_as_root(directory: &Path) -> Result<()> {
    setup::ensure(&[Need::DistCheck])?;
    let exe = workspace::this_program().context("cannot find this program")?;
    let mut command = as_root("unshare", "installing the packages in other systems")?;
    command
        .args(["--mount", "--propagation", "private", "--", "env"])
        .arg(format!(
            "CARGO_TARGET_DIR={}",
            workspace::target().display()
        ))
        .arg(exe)
        .args(["dist", "--built"]);
    let status = command.status().context("cannot run as root")?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the packages in {} do not work ({status})",
        directory.display()
    ))
    .into())
}

/// Runs the checks.
///
/// # Errors
/// A package does not work.
pub(super) fn run(directory: &Path) -> Result<()> {
    let mut steps = DistSteps::new(3 + TRIALS.len());
    steps.run("sums, and the size of the binary", || {
        check_size(&directory.join("tracer"))?;
        run_command(Command::new("sha256sum").current_dir(directory).args([
            "--check",
            "--strict",
            "SHA256SUMS",
        ]))
    })?;
    steps.run("roots of other systems", || {
        System::ALL.into_iter().try_for_each(System::ensure)
    })?;
    let programs = steps.run("programs to trace", || TracedPrograms::build(directory))?;
    let version = output(Command::new(directory.join("tracer")).arg("--version"))?;
    let version = String::from_utf8_lossy(&version).into_owned();
    for &(system, kind) in TRIALS {
        let package = package(directory, kind)?;
        let what = format!("{}: {}", system.name(), file_name(&package));
        steps.run(&what, || {
            let trial = Trial {
                root: Root::copy(system)?,
                kind,
                package,
            };
            trial.run(programs.of(system), &version)
        })?;
    }
    Ok(())
}

/// The package of a kind that is listed in the sums. Older ones may be beside it.
fn package(directory: &Path, kind: PackageKind) -> Result<PathBuf> {
    let sums = directory.join("SHA256SUMS");
    let text =
        fs::read_to_string(&sums).with_context(|| format!("cannot read {}", sums.display()))?;
    let end = match kind {
        PackageKind::Tarball => ".tar.gz",
        PackageKind::Deb => ".deb",
        PackageKind::Rpm => ".rpm",
    };
    let name = text
        .split_whitespace()
        .find(|word| word.ends_with(end))
        .with_context(|| format!("SHA256SUMS names no {end}"))?;
    Ok(directory.join(name))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The traced program, for glibc and for musl.
struct TracedPrograms {
    glibc: PathBuf,
    musl: PathBuf,
}

impl TracedPrograms {
    fn build(directory: &Path) -> Result<Self> {
        let work = directory.join("work/programs");
        empty(&work)?;
        let source = work.join("busy.c");
        fs::write(&source, PROGRAM)
            .with_context(|| format!("cannot write {}", source.display()))?;
        let compile = |compiler: &mut Command, name: &str| -> Result<PathBuf> {
            let program = work.join(name);
            run_command(
                compiler
                    .current_dir(&work)
                    .args(["-g", "-O0", "busy.c", "-o"])
                    .arg(&program),
            )?;
            Ok(program)
        };
        let mut zig = super::toolchain::Tools::ensure()?.c_compiler();
        // The glibc version must be older than that of both Debians.
        zig.args(["-target", "x86_64-linux-gnu.2.28"]);
        Ok(Self {
            glibc: compile(&mut zig, "busy-glibc")?,
            musl: compile(&mut Command::new("musl-gcc"), "busy-musl")?,
        })
    }

    fn of(&self, system: System) -> &Path {
        match system {
            System::Bullseye | System::Bookworm => &self.glibc,
            System::Musl => &self.musl,
        }
    }
}

/// A check of one package in one system.
struct Trial {
    root: Root,
    kind: PackageKind,
    package: PathBuf,
}

impl Trial {
    fn run(&self, program: &Path, version: &str) -> Result<()> {
        let before = self.root.listing()?;
        self.install()?;
        self.check_files()?;
        let printed = output(self.root.command("tracer").arg("--version"))?;
        if printed != version.as_bytes() {
            return Err(Failure::new("the installed tracer says another version").into());
        }
        run_command(
            self.root
                .command("tracer")
                .arg("doctor")
                .stdout(Stdio::null()),
        )?;
        self.trace(program)?;
        self.remove()?;
        let left: Vec<String> = self
            .root
            .listing()?
            .into_iter()
            .filter(|name| before.binary_search(name).is_err())
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("left behind: {}", left.join(", "))).into())
    }

    fn install(&self) -> Result<()> {
        let inside = self.root.path().join("tmp").join(file_name(&self.package));
        crate::install::installation::copy(&self.package, &inside)?;
        let named = format!("/tmp/{}", file_name(&self.package));
        match self.kind {
            PackageKind::Tarball => {
                let local = self.root.path().join("usr/local");
                fs::create_dir_all(&local)
                    .with_context(|| format!("cannot make {}", local.display()))?;
                run_command(self.root.command("tar").args([
                    "-xzf",
                    &named,
                    "-C",
                    "/usr/local",
                    "--strip-components=1",
                ]))?;
            }
            PackageKind::Deb => run_command(self.root.command("dpkg").args(["--install", &named]))?,
            PackageKind::Rpm => {
                run_command(Command::new("rpm").arg("--checksig").arg(&self.package))?;
                run_command(self.rpm().arg("--install").arg(&self.package))?;
            }
        }
        fs::remove_file(&inside).with_context(|| format!("cannot remove {}", inside.display()))
    }

    /// Checks the files with the package managers' own verification.
    fn check_files(&self) -> Result<()> {
        match self.kind {
            PackageKind::Tarball => Ok(()),
            PackageKind::Deb => run_command(self.root.command("dpkg").args(["--verify", "tracer"])),
            PackageKind::Rpm => run_command(self.rpm().args(["--verify", "tracer"])),
        }
    }

    fn remove(&self) -> Result<()> {
        match self.kind {
            PackageKind::Tarball => self.remove_files(),
            PackageKind::Deb => run_command(self.root.command("dpkg").args(["--purge", "tracer"])),
            PackageKind::Rpm => run_command(self.rpm().args(["--erase", "tracer"])),
        }
    }

    /// Removes the files of the tarball, and directories that are then empty.
    fn remove_files(&self) -> Result<()> {
        let listed = output(Command::new("tar").arg("-tzf").arg(&self.package))?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let local = self.root.path().join("usr/local");
        // An archive lists a directory before its content.
        for name in listed.lines().rev() {
            let Some((_, below)) = name.split_once('/') else {
                continue;
            };
            let path = local.join(below);
            if below.is_empty() || below.ends_with('/') {
                // Directories with other files stay.
                let _ = fs::remove_dir(&path);
            } else {
                fs::remove_file(&path)
                    .with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        // The tool is not in every system.
        let _ = fs::remove_dir(&local);
        Ok(())
    }

    /// This machine's rpm, with its database in the root.
    fn rpm(&self) -> Command {
        let mut rpm = Command::new("rpm");
        // Debian's rpm needs this option, because it expects alien packages.
        if Path::new("/etc/debian_version").exists() {
            rpm.arg("--force-debian");
        }
        // Debian's rpm keeps its database in a home directory.
        rpm.args(["--dbpath", "/var/lib/rpm", "--root"])
            .arg(self.root.path());
        rpm
    }

    /// Starts the program in the root, and lets the tracer there show some values.
    fn trace(&self, program: &Path) -> Result<()> {
        let inside = self.root.path().join("tmp/busy");
        crate::install::installation::copy(program, &inside)?;
        let child = self
            .root
            .command("/tmp/busy")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot run the program to trace")?;
        let mut target = Running(child);
        wait_for_program(target.0.id())?;
        let line = 1 + PROGRAM
            .lines()
            .position(|line| line.contains(MARK))
            .context("the program has no mark")?;
        let printed = output(
            self.root
                .command("tracer")
                .args(["attach", "--pid", &target.0.id().to_string()])
                .args([
                    "-e",
                    &format!("log busy.c:{line} \"n={{n}} name={{name}}\""),
                ])
                .args(["--events", &EVENTS.to_string(), "--for", "60s"]),
        )?;
        let printed = String::from_utf8_lossy(&printed);
        if !counts_up(&printed) {
            return Err(Failure::new(format!("wrong events: {printed}")).into());
        }
        if target.0.try_wait()?.is_some() {
            return Err(Failure::new("the traced program has ended").into());
        }
        drop(target);
        fs::remove_file(&inside).with_context(|| format!("cannot remove {}", inside.display()))
    }
}

/// Waits until `chroot` has executed the program.
fn wait_for_program(pid: u32) -> Result<()> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let link = format!("/proc/{pid}/exe");
    while std::time::Instant::now() < deadline {
        if fs::read_link(&link).is_ok_and(|exe| exe.ends_with("tmp/busy")) {
            return Ok(());
        }
        std::thread::yield_now();
    }
    Err(Failure::new("the program to trace did not start").into())
}

/// Returns true if the events have the number of the call, which increases by one, and the name.
fn counts_up(printed: &str) -> bool {
    let numbers: Vec<u64> = printed
        .lines()
        .filter(|line| line.contains("worker"))
        .filter_map(|line| {
            let (_, rest) = line.split_once("n=")?;
            rest.split(' ').next()?.parse().ok()
        })
        .collect();
    numbers.len() == EVENTS && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

#[cfg(test)]
mod tests {
    use super::counts_up;

    #[test]
    fn events_in_order_count_up() {
        let line = |n: u32| format!("10:00:00.0 busy/1 busy.c:7 n={n} name=\"worker\"\n");
        assert!(counts_up(&format!("{}{}{}", line(4), line(5), line(6))));
        assert!(!counts_up(&format!("{}{}{}", line(4), line(5), line(7))));
        assert!(!counts_up(&format!("{}{}", line(4), line(5))));
        assert!(!counts_up(&line(4).repeat(3)));
    }
}
