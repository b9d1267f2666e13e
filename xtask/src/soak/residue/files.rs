//! Files that sessions leave.

use std::fs;
use std::path::Path;

/// Directories that all sessions share; what a session writes there has a name that stays.
const SHARED: [&str; 2] = ["/run/tracer", "/sys/fs/bpf"];
/// What is meant to stay: costs of traps that were measured on this machine.
const KEPT: [&str; 1] = ["/run/tracer/trap-cost"];

/// Files in the shared directories, but for those that are meant to stay.
pub(in crate::soak) fn shared_files() -> Vec<String> {
    let files = SHARED
        .iter()
        .flat_map(|directory| left_in(Path::new(directory)));
    files
        .filter(|file| !KEPT.contains(&file.as_str()))
        .collect()
}

/// Everything in a directory.
pub(super) fn left_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let names = entries.filter_map(|entry| Some(entry.ok()?.path().to_string_lossy().into_owned()));
    names.collect()
}
