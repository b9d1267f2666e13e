//! Reads `/proc/PID/maps` line by line.

use std::ffi::OsStr;
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Maximum number of mappings that are read; a process may have 65,530 by default.
const MAX_MAPPINGS: usize = 1 << 18;

/// One mapping of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First run address.
    pub start: u64,
    /// Run address after the last one.
    pub end: u64,
    /// Offset in bytes from the start of the file.
    pub offset: u64,
    /// True if it may be read.
    pub read: bool,
    /// True if it may be executed.
    pub execute: bool,
    /// True if it may be written.
    pub write: bool,
    /// Device of the file: major and minor number from `maps`, joined.
    pub device: u64,
    /// Inode of the file; 0 is no file.
    pub inode: u64,
    /// True if it has no file and no name, so that it is not the heap, a stack or the kernel's
    /// own.
    pub anonymous: bool,
    /// Path of the file in the process's view, followed by ` (deleted)` if it was unlinked.
    pub path: Option<PathBuf>,
}

/// Reads the text of `/proc/PID/maps`. Malformed lines are skipped.
#[must_use]
pub fn parse_maps(text: &[u8]) -> Vec<Mapping> {
    text.split(|&byte| byte == b'\n')
        .take(MAX_MAPPINGS)
        .filter_map(parse_line)
        .collect()
}

/// Reads `/proc/PID/maps` line by line, so that long paths are not all in memory at once.
///
/// # Errors
/// Fails if the text cannot be read.
pub(super) fn read_maps(text: impl BufRead, mut each: impl FnMut(Mapping)) -> io::Result<()> {
    for line in text.split(b'\n').take(MAX_MAPPINGS) {
        if let Some(mapping) = parse_line(&line?) {
            each(mapping);
        }
    }
    Ok(())
}

fn parse_line(line: &[u8]) -> Option<Mapping> {
    // address perms offset device inode [spaces] path; only the path may contain spaces.
    let mut rest = line;
    let mut next = || {
        let start = rest.iter().position(|&byte| byte != b' ')?;
        let field = rest.get(start..)?;
        let end = field
            .iter()
            .position(|&byte| byte == b' ')
            .unwrap_or(field.len());
        let (word, after) = field.split_at(end);
        rest = after;
        std::str::from_utf8(word).ok()
    };
    let (start, end) = next()?.split_once('-')?;
    let permissions = next()?;
    let offset = next()?;
    let (major, minor) = next()?.split_once(':')?;
    let inode: u64 = next()?.parse().ok()?;
    let name = rest
        .iter()
        .position(|&byte| byte != b' ')
        .and_then(|at| rest.get(at..));
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let path = name.filter(|name| inode != 0 && name.first() == Some(&b'/'));
    Some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        offset: hex(offset)?,
        read: permissions.contains('r'),
        execute: permissions.contains('x'),
        write: permissions.contains('w'),
        device: hex(major)? << 32 | hex(minor)?,
        inode,
        anonymous: inode == 0 && name.is_none_or(|name| name == b"[anon:.bss]"),
        path: path.map(|name| PathBuf::from(OsStr::from_bytes(&unescape(name)))),
    })
}

/// Restores line feeds in a path, which the kernel writes as `\012`.
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, after)) = rest.split_first() {
        match after.strip_prefix(b"012") {
            Some(behind) if first == b'\\' => {
                bytes.push(b'\n');
                rest = behind;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}
