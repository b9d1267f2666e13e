//! Sources that are not at the path in the debug information: named by the user, or part of a Rust
//! toolchain.
//!
//! A program that was built on another machine contains paths of that machine, and the user says
//! where the sources are here. The names below such a directory are still untrusted: links and `..`
//! cannot leave the directory. Permission bits do not matter there, because the user, who may read
//! every file, has named it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use super::own::is_own_source;
use crate::base::users;

/// Prefix of the compiler's own sources, followed by the commit that they were built from.
const RUSTC: &str = "/rustc";
/// The folder of these sources in a rustup toolchain with `rust-src`.
const RUST_SRC: &str = "lib/rustlib/src/rust";
/// The file of a toolchain that lists the commits of its parts.
const MANIFEST: &str = "lib/rustlib/multirust-channel-manifest.toml";
/// A manifest has about 1 MB. A longer one is not read to its end.
const MANIFEST_BYTES: u64 = 16 << 20;

/// Places of sources, besides the paths in the debug information.
#[derive(Clone, Debug, Default)]
pub struct SourcePlaces {
    /// Mappings that are tried before the paths in the debug information, in this order.
    pub maps: Vec<SourceMap>,
    /// Directories that are searched after the paths in the debug information, in this order.
    pub directories: Vec<PathBuf>,
    /// Homes of rustup, which are searched last.
    pub rustup: Vec<PathBuf>,
}

/// A mapping from one directory to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceMap {
    /// The directory in the debug information.
    pub from: PathBuf,
    /// The directory on this machine.
    pub to: PathBuf,
}

/// A file below a directory of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceCandidate {
    /// The directory, which the look-up cannot leave.
    pub(super) root: PathBuf,
    pub(super) below: PathBuf,
}

impl SourcePlaces {
    /// Adds the homes of rustup: `RUSTUP_HOME`, and `.rustup` of our user and of the user who
    /// called `sudo`, `pkexec` or `doas`.
    #[must_use]
    pub fn with_rustup(self) -> Self {
        let is_root = rustix::process::geteuid().is_root();
        let invoker = users::invoker(|name| std::env::var(name).ok(), is_root);
        let invoker = invoker.ok().flatten().and_then(users::home_of);
        let homes = [std::env::var_os("HOME").map(PathBuf::from), invoker];
        let below = homes.into_iter().flatten().map(|home| home.join(".rustup"));
        let named = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
        Self {
            rustup: named.into_iter().chain(below).collect(),
            ..self
        }
    }

    /// Returns the places of a file according to the maps.
    pub(super) fn mapped(&self, path: &Path) -> Vec<SourceCandidate> {
        let path = normal(path);
        let mapped = self.maps.iter().filter_map(|map| {
            Some(SourceCandidate {
                root: map.to.clone(),
                below: path.strip_prefix(&map.from).ok()?.to_owned(),
            })
        });
        mapped.collect()
    }

    /// Returns other places of a file: below the directories by the longest end of its path, and
    /// in toolchains.
    pub(super) fn others(&self, path: &Path, listed: &mut Listed) -> Vec<SourceCandidate> {
        let path = normal(path);
        let mut found = Vec::new();
        let ends = ends(&path);
        for root in &self.directories {
            let here = ends.iter().filter(|end| listed.has(root, end));
            found.extend(here.map(|end| SourceCandidate {
                root: root.clone(),
                below: (*end).to_owned(),
            }));
        }
        if let Some((hash, below)) = of_rustc(&path) {
            found.extend(
                listed
                    .toolchains(&self.rustup, hash)
                    .map(|root| SourceCandidate {
                        root: root.clone(),
                        below: below.to_owned(),
                    }),
            );
        }
        found
    }
}

/// Cached entries of directories. Most ends of most paths start with a name that does not exist.
#[derive(Debug, Default)]
pub(super) struct Listed {
    directories: Vec<(PathBuf, HashSet<OsString>)>,
    /// Source folders of toolchains, by commit.
    toolchains: Vec<(String, Vec<PathBuf>)>,
}

impl Listed {
    /// Returns true if a directory contains the first name of a path.
    fn has(&mut self, root: &Path, path: &Path) -> bool {
        let Some(Component::Normal(first)) = path.components().next() else {
            return false;
        };
        let known = self.directories.iter().position(|(known, _)| known == root);
        let index = known.unwrap_or_else(|| {
            let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name()).collect();
            self.directories.push((root.to_owned(), names));
            self.directories.len() - 1
        });
        let names = self.directories.get(index).map(|(_, names)| names);
        names.is_some_and(|names| names.contains(first))
    }

    /// Returns the source folders of toolchains that were built from a commit.
    fn toolchains(&mut self, homes: &[PathBuf], hash: &str) -> impl Iterator<Item = &PathBuf> {
        if !self.toolchains.iter().any(|(known, _)| known == hash) {
            self.toolchains
                .push((hash.to_owned(), toolchains(homes, hash)));
        }
        let of_hash = self
            .toolchains
            .iter()
            .filter(move |(known, _)| known == hash);
        of_hash.flat_map(|(_, roots)| roots)
    }
}

fn toolchains(homes: &[PathBuf], hash: &str) -> Vec<PathBuf> {
    use std::io::Read as _;
    let list = |home: &PathBuf| {
        std::fs::read_dir(home.join("toolchains"))
            .into_iter()
            .flatten()
    };
    let all = homes
        .iter()
        .flat_map(list)
        .flatten()
        .map(|entry| entry.path());
    let wanted = format!("\"{hash}\"");
    let is_of_hash = |toolchain: &PathBuf| {
        let mut manifest = Vec::new();
        let file = std::fs::File::open(toolchain.join(MANIFEST));
        let read = file.and_then(|file| file.take(MANIFEST_BYTES).read_to_end(&mut manifest));
        read.is_ok() && memchr::memmem::find(&manifest, wanted.as_bytes()).is_some()
    };
    let roots = all
        .filter(is_of_hash)
        .map(|toolchain| toolchain.join(RUST_SRC));
    roots.filter(|root| root.is_dir()).collect()
}

/// Removes `.` and `..` from the text of a path. The directories may not exist here.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            component => normal.push(component),
        }
    }
    normal
}

/// Returns the ends of a path to look up, longest first.
///
/// The end of a path must identify the file, because a wrong source is worse than none:
/// `src/lib.rs` of a package that cargo fetched is looked up with the package's directory.
fn ends(path: &Path) -> Vec<&Path> {
    let mut names: Vec<&Path> = path
        .ancestors()
        .filter_map(|above| path.strip_prefix(above).ok())
        .filter(|end| !end.as_os_str().is_empty())
        .collect();
    if names.is_empty() || !path.is_absolute() {
        names.push(path);
    }
    let least = least(path);
    names.retain(|end| end.components().count() >= least);
    names.sort_by_key(|end| std::cmp::Reverse(end.components().count()));
    names.dedup();
    names
}

/// Returns the number of names at the end of a path that identify the file.
fn least(path: &Path) -> usize {
    let text = path.to_string_lossy();
    let names_after = |part: &str, skipped: usize| {
        let (_, after) = text.split_once(part)?;
        Some(after.split('/').count().saturating_sub(skipped))
    };
    // `registry/src/INDEX/PACKAGE-VERSION/…` and `git/checkouts/REPOSITORY-HASH/COMMIT/…`.
    let fetched = names_after("/registry/src/", 1).or_else(|| names_after("/git/checkouts/", 0));
    let of_rustc = of_rustc(path).map(|(_, below)| below.components().count());
    match fetched.or(of_rustc) {
        Some(least) => least.max(1),
        None if is_own_source(path) => 1,
        None => 2,
    }
}

/// Returns the commit in `/rustc/HASH/library/std/src/io.rs`, and the path after it.
fn of_rustc(path: &Path) -> Option<(&str, &Path)> {
    let below = path.strip_prefix(RUSTC).ok()?;
    let hash = below.components().next()?.as_os_str();
    let below = below.strip_prefix(hash).ok()?;
    let hash = hash.to_str()?;
    let is_hash = !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_hash.then_some((hash, below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_of(path: &str) -> Vec<&str> {
        let ends = ends(Path::new(path));
        ends.into_iter().filter_map(Path::to_str).collect()
    }

    #[test]
    fn ends_say_whose_file_it_is() {
        assert_eq!(
            ends_of("/ci/app/src/main.rs"),
            [
                "ci/app/src/main.rs",
                "app/src/main.rs",
                "src/main.rs",
                "main.rs"
            ]
        );
        assert_eq!(ends_of("src/main.rs"), ["src/main.rs", "main.rs"]);
        assert_eq!(
            ends_of("/h/.cargo/registry/src/index-1/serde-1.0.1/src/lib.rs"),
            [
                "h/.cargo/registry/src/index-1/serde-1.0.1/src/lib.rs",
                ".cargo/registry/src/index-1/serde-1.0.1/src/lib.rs",
                "registry/src/index-1/serde-1.0.1/src/lib.rs",
                "src/index-1/serde-1.0.1/src/lib.rs",
                "index-1/serde-1.0.1/src/lib.rs",
                "serde-1.0.1/src/lib.rs",
            ]
        );
        assert_eq!(
            ends_of("/rustc/0a1b/library/std/src/io.rs").last(),
            Some(&"library/std/src/io.rs")
        );
        assert_eq!(
            ends_of("/usr/include/stdio.h").last(),
            Some(&"include/stdio.h")
        );
    }

    #[test]
    fn maps_replace_whole_names_only() {
        let places = SourcePlaces {
            maps: vec![SourceMap {
                from: "/build/app".into(),
                to: "/srv/app".into(),
            }],
            ..SourcePlaces::default()
        };
        let mapped = |path: &str| places.mapped(Path::new(path));
        assert_eq!(
            mapped("/build/app/src/../src/a.c"),
            [SourceCandidate {
                root: "/srv/app".into(),
                below: "src/a.c".into()
            }]
        );
        assert_eq!(mapped("/build/application/a.c"), []);
        assert_eq!(mapped("/build/app/../../etc/shadow"), []);
    }

    #[test]
    fn commit_of_the_compiler_is_taken_from_the_path() {
        let path = Path::new("/rustc/0a1b/library/core/src/fmt.rs");
        let expected = ("0a1b", Path::new("library/core/src/fmt.rs"));
        assert_eq!(of_rustc(path), Some(expected));
        assert_eq!(of_rustc(Path::new("/rustc/../etc")), None);
        assert_eq!(of_rustc(Path::new("/home/rustc/0a1b/x.rs")), None);
    }
}
