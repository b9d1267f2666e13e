//! Root directories of other systems, for installing packages and running programs in them.
//!
//! The pristine roots are built once and kept in the target directory. Each check works on a copy.
//! The caller has its own mount namespace, so no mount outlives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::mount::{
    MountPropagationFlags, UnmountFlags, mount_bind_recursive, mount_change, unmount,
};

use crate::install::installation::empty;
use crate::support::command::{output, run as run_command};
use crate::{setup, support::workspace};

/// A system that users have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    /// Debian 11, with glibc 2.31.
    Bullseye,
    /// Debian 12, with glibc 2.36.
    Bookworm,
    /// Busybox and musl, as in Alpine: no glibc anywhere.
    Musl,
}

impl System {
    pub(super) const ALL: [Self; 3] = [Self::Bullseye, Self::Bookworm, Self::Musl];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bullseye => "Debian 11",
            Self::Bookworm => "Debian 12",
            Self::Musl => "busybox and musl",
        }
    }

    fn directory(self) -> PathBuf {
        kept().join(match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm => "bookworm",
            Self::Musl => "musl",
        })
    }

    /// Builds the pristine root if it does not exist.
    ///
    /// # Errors
    /// Debian's packages cannot be downloaded.
    pub(super) fn ensure(self) -> Result<()> {
        let directory = self.directory();
        if directory.exists() {
            return Ok(());
        }
        println!("      making a root of {} (about a minute)", self.name());
        let unfinished = kept().join("unfinished");
        remove(&unfinished)?;
        fs::create_dir_all(kept()).with_context(|| format!("cannot make {}", kept().display()))?;
        match self {
            Self::Bullseye => debian("bullseye", &unfinished)?,
            Self::Bookworm => debian("bookworm", &unfinished)?,
            Self::Musl => musl(&unfinished)?,
        }
        fs::rename(&unfinished, &directory)
            .with_context(|| format!("cannot make {}", directory.display()))
    }
}

/// A copy of a system's root, with the kernel's file systems. It is removed on drop.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
}

impl Root {
    /// # Errors
    /// The copy or a mount failed.
    pub(super) fn copy(system: System) -> Result<Self> {
        let path = kept().join("run");
        remove(&path)?;
        let root = Self { path };
        run_command(
            Command::new("cp")
                .args(["--archive", "--no-target-directory"])
                .arg(system.directory())
                .arg(&root.path),
        )?;
        for name in ["proc", "sys"] {
            let place = root.path.join(name);
            mount_bind_recursive(Path::new("/").join(name), &place)
                .with_context(|| format!("cannot mount {}", place.display()))?;
            // Mounts in other namespaces stay.
            mount_change(
                &place,
                MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
            )
            .with_context(|| format!("cannot change the mount {}", place.display()))?;
        }
        Ok(root)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A command with this directory as its root and without our environment.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
            )
            .env("HOME", "/root")
            .env("LC_ALL", "C")
            .arg(&self.path)
            .arg(program);
        command
    }

    /// All files and directories, except those of package managers, their logs and the running
    /// system.
    ///
    /// # Errors
    /// `find` failed.
    pub(super) fn listing(&self) -> Result<Vec<String>> {
        let mut find = Command::new("find");
        find.current_dir(&self.path).args([".", "-xdev"]);
        for kept in [
            "./proc",
            "./sys",
            "./dev",
            // Such files are gone after the next boot.
            "./run",
            "./var/lib/dpkg",
            "./var/lib/rpm",
            "./var/log",
            "./var/cache",
        ] {
            find.args(["-path", kept, "-prune", "-o"]);
        }
        let listed = output(find.arg("-print"))?;
        let mut names: Vec<String> = String::from_utf8_lossy(&listed)
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        Ok(names)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        for name in ["sys", "proc"] {
            // Nothing is mounted if the copy failed half way.
            let _ = unmount(self.path.join(name), UnmountFlags::DETACH);
        }
        if let Err(error) = remove(&self.path) {
            eprintln!("{error:#}");
        }
    }
}

fn kept() -> PathBuf {
    workspace::target().join("dist-roots")
}

/// Removes a root, but nothing in other file systems that may be mounted in it.
fn remove(root: &Path) -> Result<()> {
    if !root.exists() {
        return Ok(());
    }
    run_command(
        Command::new("rm")
            .args(["--recursive", "--force", "--one-file-system"])
            .arg(root),
    )
}

fn debian(suite: &str, root: &Path) -> Result<()> {
    run_command(
        Command::new("mmdebstrap")
            .args(["--quiet", "--mode=root", "--variant=essential", suite])
            .arg(root)
            .arg("http://deb.debian.org/debian"),
    )
}

/// Only Debian's busybox and musl.
fn musl(root: &Path) -> Result<()> {
    empty(root)?;
    for directory in [
        "proc", "sys", "dev", "tmp", "root", "usr/bin", "usr/sbin", "sbin",
    ] {
        fs::create_dir_all(root.join(directory))
            .with_context(|| format!("cannot make {directory} in {}", root.display()))?;
    }
    let packages = kept().join("packages");
    empty(&packages)?;
    if download(&packages).is_err() {
        setup::fetch_package_lists()?;
        download(&packages)?;
    }
    for file in crate::install::installation::files(&packages)? {
        run_command(
            Command::new("dpkg")
                .arg("-x")
                .arg(packages.join(file))
                .arg(root),
        )?;
    }
    run_command(
        Command::new("chroot")
            .arg(root)
            .args(["/bin/busybox", "--install", "-s"]),
    )?;
    run_command(
        Command::new("mknod")
            .args(["-m", "666"])
            .arg(root.join("dev/null"))
            .args(["c", "1", "3"]),
    )
}

fn download(directory: &Path) -> Result<()> {
    run_command(Command::new("apt-get").current_dir(directory).args([
        "download",
        "-q",
        "busybox-static",
        "musl",
    ]))
}
