//! Builds the tarball, `.deb`, `.rpm` and their sums with `tar`, `dpkg-deb`, `rpmbuild` and
//! `sha256sum`.
//!
//! Equal files give equal bytes: names are sorted, owners are root, and all times are those of the
//! commit.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::install::installation::{self, DOCUMENTS, PAGES};
use crate::support::command::{output, run as run_command};
use crate::support::failure::{Failure, USAGE};
use crate::support::workspace::root;

/// The input and output of one build.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) version: String,
    /// Time of the commit, in seconds since 1970.
    pub(super) time: u64,
    /// The output folder.
    pub(super) directory: PathBuf,
}

/// The files of the packages.
#[derive(Debug)]
pub(super) struct Packages {
    pub(super) tarball: PathBuf,
    pub(super) deb: PathBuf,
    pub(super) rpm: PathBuf,
}

/// Description of the program in both packages.
const SUMMARY: &str = "logpoints on source lines of running native programs";
const DESCRIPTION: &[&str] = &[
    "tracer shows the values of variables each time a running program passes a",
    "source line. The program is not restarted, stopped or changed. It needs debug",
    "information of the program, Linux 6.1 or newer with BTF, and root.",
];

impl Release {
    /// The version of `tracer`, and the time of the commit or `SOURCE_DATE_EPOCH`.
    ///
    /// # Errors
    /// There is neither a commit nor that variable.
    pub(super) fn of(tracer: &Path, directory: &Path) -> Result<Self> {
        let printed = output(Command::new(tracer).arg("--version"))?;
        let printed = String::from_utf8_lossy(&printed);
        let version = printed
            .split_whitespace()
            .nth(1)
            .context("`tracer --version` prints no version")?;
        Ok(Self {
            version: version.to_owned(),
            time: source_time()?,
            directory: directory.to_path_buf(),
        })
    }

    /// Builds all packages from the files below `prefix`, and `SHA256SUMS`.
    ///
    /// # Errors
    /// A tool failed.
    pub(super) fn pack(&self, prefix: &Path) -> Result<Packages> {
        let packages = Packages {
            tarball: self.tarball(prefix)?,
            deb: self.deb(prefix)?,
            rpm: self.rpm(prefix)?,
        };
        let names = [&packages.deb, &packages.rpm, &packages.tarball].map(|file| file.file_name());
        let sums = output(
            Command::new("sha256sum")
                .current_dir(&self.directory)
                .args(names.into_iter().flatten()),
        )?;
        installation::write(&self.directory.join("SHA256SUMS"), &sums)?;
        Ok(packages)
    }

    fn tarball(&self, prefix: &Path) -> Result<PathBuf> {
        let name = format!("tracer-{}-x86_64-linux", self.version);
        let file = self.directory.join(format!("{name}.tar.gz"));
        run_command(
            Command::new("tar")
                .args(["--create", "--sort=name", "--format=gnu", "--numeric-owner"])
                .args(["--owner=0", "--group=0", "--mode=u+rw,go=rX"])
                .arg(format!("--mtime=@{}", self.time))
                .arg(format!("--transform=s,^\\.,{name},"))
                .args(["--use-compress-program", "gzip -9n", "--directory"])
                .arg(prefix)
                .arg("--file")
                .arg(&file)
                .arg("."),
        )?;
        Ok(file)
    }

    fn deb(&self, prefix: &Path) -> Result<PathBuf> {
        let tree = self.usr(prefix, "deb")?;
        let copyright = tree.join("usr").join(DOCUMENTS).join("copyright");
        installation::write(&copyright, copyright_text()?.as_bytes())?;
        let bytes = installation::files(&tree)?
            .iter()
            .try_fold(0, |sum, file| {
                fs::metadata(tree.join(file)).map(|metadata| sum + metadata.len())
            })?;
        let sums = output(
            Command::new("md5sum")
                .current_dir(&tree)
                .args(installation::files(&tree)?),
        )?;
        installation::write(&tree.join("DEBIAN/md5sums"), &sums)?;
        let control = control(&self.version, bytes.div_ceil(1024));
        installation::write(&tree.join("DEBIAN/control"), control.as_bytes())?;
        self.set_times(&tree)?;
        let file = self
            .directory
            .join(format!("tracer_{}_amd64.deb", self.version));
        run_command(
            Command::new("dpkg-deb")
                .env("SOURCE_DATE_EPOCH", self.time.to_string())
                // Debian 11 cannot read zstd.
                .args(["--root-owner-group", "-Zxz", "--build"])
                .arg(&tree)
                .arg(&file),
        )?;
        Ok(file)
    }

    fn rpm(&self, prefix: &Path) -> Result<PathBuf> {
        let tree = self.usr(prefix, "rpm-tree")?;
        self.set_times(&tree)?;
        let work = self.directory.join("work/rpm");
        installation::empty(&work)?;
        let spec = work.join("tracer.spec");
        installation::write(&spec, spec_text(&self.version, &tree)?.as_bytes())?;
        let mut build = Command::new("rpmbuild");
        build.env("SOURCE_DATE_EPOCH", self.time.to_string()).args([
            "-bb",
            "--quiet",
            "--target",
            "x86_64-linux",
        ]);
        for (name, value) in [
            ("_topdir", work.as_os_str()),
            ("_rpmdir", work.as_os_str()),
            ("_buildhost", "localhost".as_ref()),
            ("_binary_payload", "w6.xzdio".as_ref()),
            ("use_source_date_epoch_as_buildtime", "1".as_ref()),
            ("clamp_mtime_to_source_date_epoch", "1".as_ref()),
            // The binary is stripped, so there is no separate debug information.
            ("__os_install_post", "%{nil}".as_ref()),
            ("_build_id_links", "none".as_ref()),
            ("debug_package", "%{nil}".as_ref()),
        ] {
            build
                .arg("--define")
                .arg(format!("{name} {}", value.to_string_lossy()));
        }
        run_command(build.arg(&spec))?;
        let name = format!("tracer-{}-1.x86_64.rpm", self.version);
        let file = self.directory.join(&name);
        installation::copy(&work.join("x86_64").join(&name), &file)?;
        Ok(file)
    }

    /// A tree with the files below `usr`, with compressed manual pages as distributions have them.
    fn usr(&self, prefix: &Path, name: &str) -> Result<PathBuf> {
        let tree = self.directory.join("work").join(name);
        installation::empty(&tree)?;
        for file in installation::files(prefix)? {
            let to = tree.join("usr").join(&file);
            installation::write(&to, b"")?;
            installation::copy(&prefix.join(&file), &to)?;
        }
        let pages = tree.join("usr").join(PAGES);
        run_command(
            Command::new("gzip")
                .current_dir(&pages)
                .arg("-9n")
                .args(installation::files(&pages)?),
        )?;
        Ok(tree)
    }

    /// Sets everything below a directory to the time of the commit, and directories to their usual
    /// mode.
    fn set_times(&self, tree: &Path) -> Result<()> {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.time);
        for file in installation::files(tree)? {
            for path in tree.join(file).ancestors() {
                if !path.starts_with(tree) {
                    break;
                }
                if path.is_dir() {
                    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
                        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
                }
                fs::File::open(path)
                    .and_then(|opened| opened.set_modified(time))
                    .with_context(|| format!("cannot set the time of {}", path.display()))?;
            }
        }
        Ok(())
    }
}

fn source_time() -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(given) => given,
        Err(_) => {
            let printed =
                output(
                    Command::new("git")
                        .current_dir(root())
                        .args(["log", "-1", "--format=%ct"]),
                )
                .map_err(|error| {
                    Failure::new(format!("the time of the commit is not known: {error}"))
                        .hint("set SOURCE_DATE_EPOCH to seconds since 1970")
                        .code(USAGE)
                })?;
            String::from_utf8_lossy(&printed).into_owned()
        }
    };
    text.trim()
        .parse()
        .with_context(|| format!("`{}` is no number of seconds", text.trim()))
}

/// The description of the Debian package. The static binary has no dependencies.
fn control(version: &str, kibibytes: u64) -> String {
    let description: String = DESCRIPTION
        .iter()
        .map(|line| format!(" {line}\n"))
        .collect();
    format!(
        "Package: tracer\nVersion: {version}\nArchitecture: amd64\n\
         Maintainer: The tracer authors\nInstalled-Size: {kibibytes}\n\
         Section: devel\nPriority: optional\nDescription: {SUMMARY}\n{description}"
    )
}

/// Debian's copyright file: our terms, and the location of the others.
fn copyright_text() -> Result<String> {
    let licence = root().join("LICENSE-MIT");
    let mit = fs::read_to_string(&licence)
        .with_context(|| format!("cannot read {}", licence.display()))?;
    Ok(format!(
        "tracer may be used under the MIT licence below, or under the Apache licence 2.0\n\
         (LICENSE-APACHE beside this file, or /usr/share/common-licenses/Apache-2.0).\n\
         THIRD-PARTY-LICENSES beside this file has the terms of all software in it.\n\n{mit}"
    ))
}

/// The recipe for rpmbuild, which copies the tree.
fn spec_text(version: &str, tree: &Path) -> Result<String> {
    let files = installation::files(tree)?;
    let mut directories: Vec<&Path> = files
        .iter()
        .flat_map(|file| file.ancestors().skip(1))
        .filter(|directory| is_ours(directory))
        .collect();
    directories.sort();
    directories.dedup();
    let directories: String = directories
        .iter()
        .map(|directory| format!("%dir /{}\n", directory.display()))
        .collect();
    let files: String = files
        .iter()
        .map(|file| format!("/{}\n", file.display()))
        .collect();
    Ok(format!(
        "Name: tracer\nVersion: {version}\nRelease: 1\nSummary: {SUMMARY}\n\
         License: MIT OR Apache-2.0\nAutoReqProv: no\n\n%description\n{}\n\n\
         %install\ncp -a '{}/.' '%{{buildroot}}'\n\n%files\n%defattr(-,root,root,755)\n{directories}{files}",
        DESCRIPTION.join("\n"),
        tree.display()
    ))
}

/// Directories that are removed with the package. They exist only if the shell or another package
/// created them.
fn is_ours(directory: &Path) -> bool {
    let shared = [
        "",
        "usr",
        "usr/bin",
        "usr/share",
        "usr/share/man",
        "usr/share/man/man1",
        "usr/share/doc",
    ];
    !shared.iter().any(|name| directory == Path::new(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{control, is_ours};

    #[test]
    fn deb_has_no_dependency() {
        let control = control("1.2.3", 4);
        assert!(control.contains("Version: 1.2.3\n"), "{control}");
        assert!(!control.contains("Depends"), "{control}");
        assert!(control.ends_with('\n'), "{control}");
    }

    #[test]
    fn rpm_owns_directories_that_no_system_has() {
        assert!(is_ours(Path::new("usr/share/fish/vendor_completions.d")));
        assert!(is_ours(Path::new("usr/share/doc/tracer")));
        assert!(!is_ours(Path::new("usr/bin")));
    }
}
