//! Finds files that sessions leave.

use std::fs;
use std::path::Path;

/// Directories that all sessions share. The files of a session have fixed names there.
const SHARED: [&str; 2] = ["/run/tracer", "/sys/fs/bpf"];
/// Files that are meant to stay: the measured costs of traps.
const KEPT: [&str; 1] = ["/run/tracer/trap-cost"];

/// Returns the files in the shared directories, except those that are meant to stay.
pub(in crate::soak) fn shared_files() -> Vec<String> {
    let files = SHARED
        .iter()
        .flat_map(|directory| left_in(Path::new(directory)));
    files
        .filter(|file| !KEPT.contains(&file.as_str()))
        .collect()
}

/// Returns all files in a directory.
pub(super) fn left_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let names = entries.filter_map(|entry| Some(entry.ok()?.path().to_string_lossy().into_owned()));
    names.collect()
}
