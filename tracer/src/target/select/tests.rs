//! Tests of selectors on real processes, cgroups and namespaces, and on state files of runtimes.

mod cgroups;
mod containers;
mod processes;

use std::fs;
use std::path::Path;

use super::*;
use crate::base::diagnostic::Diagnostic;

/// A selector of options and their values.
fn selector(options: &[(SelectorKind, &str)]) -> Selector {
    let mut selector = Selector::default();
    for (kind, text) in options {
        selector.add(*kind, text).unwrap();
    }
    selector
}

fn resolve(options: &[(SelectorKind, &str)]) -> Result<Selection, Diagnostic> {
    selector(options).resolve()
}

/// The pids that match.
fn scanned(selection: &Selection) -> Vec<u32> {
    let found = selection.scan().unwrap();
    found.iter().map(|process| process.pid).collect()
}

/// The pids that match these options.
fn pids_of(options: &[(SelectorKind, &str)]) -> Vec<u32> {
    scanned(&resolve(options).unwrap())
}

/// A path as text.
fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A copy of `cat` in a new directory, under a name of its own.
fn program(name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join(name);
    fs::copy("/bin/cat", &program).unwrap();
    (directory, program)
}

/// Tests that need root end here without it.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: it needs root");
    }
    root
}
