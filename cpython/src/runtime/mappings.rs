//! The file of a process that has CPython in it.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Refusal;
use super::image::InterpreterImage;
use super::loaded::LoadedInterpreter;

/// A mapping of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileMapping {
    start: u64,
    end: u64,
    offset: u64,
    path: PathBuf,
}

/// Reads a line of `/proc/PID/maps`. `None` for memory without a file.
fn mapping(line: &[u8]) -> Option<FileMapping> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let (range, _, offset, _, _) = (text()?, text()?, text()?, text()?, text()?);
    let (start, end) = range.split_once('-')?;
    let path = fields.next()?.trim_ascii_start();
    if !path.starts_with(b"/") {
        return None;
    }
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some(FileMapping {
        start: number(start)?,
        end: number(end)?,
        offset: number(offset)?,
        path: PathBuf::from(std::ffi::OsStr::from_bytes(path)),
    })
}

/// Opens the file behind a mapping, also if it has been replaced or is in another mount namespace.
fn open(pid: u32, mapping: &FileMapping) -> std::io::Result<File> {
    let exact = format!(
        "/proc/{pid}/map_files/{:x}-{:x}",
        mapping.start, mapping.end
    );
    File::open(exact).or_else(|_| {
        let relative = mapping.path.strip_prefix("/").unwrap_or(&mapping.path);
        File::open(Path::new(&format!("/proc/{pid}/root")).join(relative))
    })
}

/// Finds the file with CPython: the executable or a library.
pub(super) fn load(pid: u32) -> Result<LoadedInterpreter, Refusal> {
    let maps = PathBuf::from(format!("/proc/{pid}/maps"));
    let maps = fs::read(&maps).map_err(|error| Refusal::Open { path: maps, error })?;
    let mappings: Vec<FileMapping> = maps
        .split(|byte| *byte == b'\n')
        .filter_map(mapping)
        .collect();
    let executable = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let mut candidates: Vec<&FileMapping> = Vec::new();
    for mapping in &mappings {
        if candidates.iter().all(|known| known.path != mapping.path) {
            candidates.push(mapping);
        }
    }
    candidates.retain(|mapping| {
        let name = mapping
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        mapping.path == executable || name.starts_with("libpython")
    });
    // An executable that is linked with `libpython` has no state of its own.
    candidates.sort_by_key(|mapping| mapping.path == executable);
    for mapping in candidates {
        let file = open(pid, mapping).map_err(|error| Refusal::Open {
            path: mapping.path.clone(),
            error,
        })?;
        if let Some(image) = InterpreterImage::read(file, "_PyRuntime")
            && let Some(bias) = image.bias(mapping.start, mapping.offset)
        {
            return Ok(LoadedInterpreter {
                path: mapping.path.clone(),
                bias,
                image,
            });
        }
    }
    Err(Refusal::NoPython { pid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_is_whole_and_memory_without_file_is_skipped() {
        let line =
            b"7f00-7f10 r--p 00001000 08:01 42                  /opt/my python/lib (deleted)";
        let found = mapping(line).unwrap();
        assert_eq!(
            (found.start, found.end, found.offset),
            (0x7f00, 0x7f10, 0x1000)
        );
        assert_eq!(found.path, Path::new("/opt/my python/lib (deleted)"));
        assert_eq!(mapping(b"7f00-7f10 rw-p 00000000 00:00 0 [heap]"), None);
        assert_eq!(mapping(b"7f00-7f10 rw-p 00000000 00:00 0"), None);
        assert_eq!(mapping(b"garbage"), None);
    }
}
