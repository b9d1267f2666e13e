//! The record beside the prebuilt eBPF object: its sources, its compiler, its checksum.
//!
//! `sha256sum --check` in the root of the repository reads the record too. `tracer/build.rs` and
//! `xtask` both include this file.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The prebuilt object, from the workspace's root.
pub(crate) const OBJECT: &str = "tracer/ebpf/tracer-ebpf.o";
/// The record, from the workspace's root.
pub(crate) const RECORD: &str = "tracer/ebpf/tracer-ebpf.sha256";
/// Files and directories that decide what the object is, from the workspace's root.
pub(crate) const SOURCES: [&str; 6] = [
    "tracer-common/Cargo.toml",
    "tracer-common/src",
    "tracer-ebpf/Cargo.lock",
    "tracer-ebpf/Cargo.toml",
    "tracer-ebpf/src",
    "tracer/build/recipe.rs",
];
/// Prefix of the line with the tools.
const TOOLS: &str = "# made by: ";

/// SHA-256 of files, in hexadecimal digits, by their paths from the workspace's root.
pub(crate) type Sums = BTreeMap<String, String>;

/// The content of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The tools that built the object.
    pub(crate) tools: String,
    /// The object's checksum.
    pub(crate) object: String,
    /// The sources' checksums.
    pub(crate) sources: Sums,
}

impl Record {
    /// Reads the text of a record.
    ///
    /// # Errors
    /// The text is not a record. The error says why.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let tools = text.lines().find_map(|line| line.strip_prefix(TOOLS));
        let mut sources = Sums::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (sum, path) = line
                .split_once("  ")
                .ok_or_else(|| format!("`{line}` is no checksum and path"))?;
            sources.insert(path.to_owned(), sum.to_owned());
        }
        Ok(Self {
            tools: tools.ok_or("it does not name the tools")?.to_owned(),
            object: sources
                .remove(OBJECT)
                .ok_or("it has no checksum of the object")?,
            sources,
        })
    }

    /// The text of the record.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "# Written by `cargo xtask ebpf`; `sha256sum --check {RECORD}` verifies it.\n\
             {TOOLS}{}\n{}  {OBJECT}\n",
            self.tools, self.object
        );
        for (path, sum) in &self.sources {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{sum}  {path}");
        }
        text
    }

    /// Sources that differ from the record, or are missing on one side.
    #[must_use]
    pub(crate) fn changed(&self, sources: &Sums) -> Vec<String> {
        let paths = self.sources.keys().chain(sources.keys());
        let mut changed: Vec<String> = paths
            .filter(|path| self.sources.get(*path) != sources.get(*path))
            .cloned()
            .collect();
        changed.sort_unstable();
        changed.dedup();
        changed
    }
}

/// SHA-256 of bytes, in hexadecimal digits.
#[must_use]
pub(crate) fn sum(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Checksums of the object's sources.
///
/// # Errors
/// A source cannot be read.
pub(crate) fn sources(workspace: &Path) -> io::Result<Sums> {
    let mut sums = Sums::new();
    let mut open: Vec<PathBuf> = SOURCES.iter().map(PathBuf::from).collect();
    while let Some(path) = open.pop() {
        let full = workspace.join(&path);
        if full.is_dir() {
            for entry in fs::read_dir(&full)? {
                open.push(path.join(entry?.file_name()));
            }
        } else {
            let read = fs::read(&full).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
            sums.insert(path.to_string_lossy().into_owned(), sum(&read));
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            tools: "rustc 1.96.0, LLVM 22".into(),
            object: sum(b"object"),
            sources: [("b/c.rs", b"c"), ("a.rs", b"a")]
                .map(|(path, content)| (path.to_owned(), sum(content)))
                .into(),
        }
    }

    #[test]
    fn sum_is_sha_256() {
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sum(b""), of_nothing);
    }

    #[test]
    fn text_of_a_record_is_read_back() {
        assert_eq!(Record::parse(&record().text()), Ok(record()));
    }

    #[test]
    fn edited_added_and_removed_sources_are_changes() {
        let record = record();
        assert!(record.changed(&record.sources).is_empty());
        let mut sources = record.sources.clone();
        sources.insert("a.rs".into(), sum(b"b"));
        sources.remove("b/c.rs");
        sources.insert("new.rs".into(), sum(b""));
        assert_eq!(record.changed(&sources), ["a.rs", "b/c.rs", "new.rs"]);
    }

    #[test]
    fn damaged_records_are_refused() {
        let text = record().text();
        for missing in [TOOLS, OBJECT] {
            assert!(Record::parse(&text.replace(missing, "")).is_err());
        }
    }
}
