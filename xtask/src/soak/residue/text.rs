//! Compares the code of a process with its files, which reveals breakpoints.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// Different bytes that are named in a finding.
const SHOWN: usize = 8;

/// Executable mappings of files in a process.
#[derive(Clone, Debug)]
pub(in crate::soak) struct Text {
    pid: u32,
}

/// One mapping.
struct Mapping {
    start: u64,
    length: usize,
    offset: u64,
    path: PathBuf,
}

impl Text {
    /// Reads the code of a process, which must match its files now.
    ///
    /// # Errors
    /// Fails if the code differs or cannot be read.
    pub(in crate::soak) fn of(pid: u32) -> Result<Self> {
        let text = Self { pid };
        anyhow::ensure!(!text.mappings().is_empty(), "process {pid} has no code");
        let changed = text.changed();
        anyhow::ensure!(changed.is_empty(), "before any session: {changed:?}");
        Ok(text)
    }

    fn mappings(&self) -> Vec<Mapping> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid)).unwrap_or_default();
        maps.lines().filter_map(mapping).collect()
    }

    /// Returns the positions at which the code differs from its files. The list is empty if the
    /// process is gone.
    pub(in crate::soak) fn changed(&self) -> Vec<String> {
        let mut changed = Vec::new();
        for mapping in self.mappings() {
            match self.differences(&mapping) {
                Ok(places) => changed.extend(places),
                // The file was unloaded, or the process ended, during the look.
                Err(_) if !self.mappings().iter().any(|now| now.start == mapping.start) => {}
                Err(error) => changed.push(format!("{error:#}")),
            }
        }
        changed
    }

    fn differences(&self, mapping: &Mapping) -> Result<Vec<String>> {
        let shown = mapping.path.display();
        let mut memory = vec![0; mapping.length];
        File::open(format!("/proc/{}/mem", self.pid))?
            .read_exact_at(&mut memory, mapping.start)
            .with_context(|| format!("cannot read the code of {shown} in a target"))?;
        let mut file = File::open(&mapping.path).with_context(|| format!("cannot open {shown}"))?;
        file.seek(SeekFrom::Start(mapping.offset))?;
        let mut bytes = Vec::new();
        file.take(mapping.length as u64).read_to_end(&mut bytes)?;
        // Bytes of a page beyond the end of the file are zero.
        bytes.resize(mapping.length, 0);
        let pairs = memory.iter().zip(&bytes).zip(mapping.offset..);
        let differ = pairs.filter(|((in_memory, in_file), _)| in_memory != in_file);
        let texts = differ.map(|((in_memory, in_file), offset)| {
            format!("{shown} has {in_memory:#04x} at offset {offset:#x}, not {in_file:#04x}")
        });
        Ok(texts.take(SHOWN).collect())
    }
}

/// Parses a line of `/proc/PID/maps`. Returns `None` if it is not code of a file.
fn mapping(line: &str) -> Option<Mapping> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [range, flags, offset, _, _, path, ..] = fields[..] else {
        return None;
    };
    if !flags.contains('x') || !path.starts_with('/') {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    Some(Mapping {
        start,
        length: usize::try_from(end.checked_sub(start)?).ok()?,
        offset: u64::from_str_radix(offset, 16).ok()?,
        path: PathBuf::from(path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_code_is_that_of_its_files() {
        let text = Text::of(std::process::id()).expect("this process runs");
        assert!(text.mappings().len() > 1, "libc is one of them");
    }

    #[test]
    fn mappings_of_no_file_are_left_out() {
        assert!(mapping("7f00-8f00 r-xp 00000000 00:00 0 [vdso]").is_none());
        assert!(mapping("7f00-8f00 r--p 00000000 08:01 12 /bin/x").is_none());
        let found = mapping("7f00-8f00 r-xp 00001000 08:01 12 /bin/x").expect("code");
        assert_eq!((found.start, found.offset), (0x7f00, 0x1000));
        assert_eq!(found.length, 0x1000);
    }
}
