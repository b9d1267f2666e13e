//! Bounded reads of `/proc`.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::limits::PROC_BYTES;

/// Reads a file of `/proc` as text, with replacements for what is not UTF-8.
pub(super) fn read_bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(PROC_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Pids of all processes, in order.
///
/// # Errors
/// `/proc` cannot be listed.
pub(super) fn pids() -> io::Result<Vec<u32>> {
    let pid = |entry: io::Result<fs::DirEntry>| {
        let name = entry.ok()?.file_name();
        std::str::from_utf8(name.as_bytes()).ok()?.parse().ok()
    };
    let mut pids: Vec<u32> = fs::read_dir("/proc")?.filter_map(pid).collect();
    pids.sort_unstable();
    Ok(pids)
}
