//! Builds a root file system for a kernel: an archive in cpio's `newc` format (Linux,
//! Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::support::command::output;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// Numbers of a device file; zero for other files.
#[derive(Clone, Copy, Default)]
struct Device {
    major: u32,
    minor: u32,
}

const CONSOLE: Device = Device { major: 5, minor: 1 };

/// The archive under construction.
#[derive(Default)]
pub(super) struct Initramfs {
    bytes: Vec<u8>,
    made: BTreeSet<PathBuf>,
}

impl Initramfs {
    /// An archive with the mount points and the console.
    pub(super) fn new() -> Self {
        let mut archive = Self::default();
        for directory in ["/proc", "/sys", "/dev", "/tmp"] {
            archive.directory(Path::new(directory));
        }
        archive.entry(Path::new("/dev/console"), CHARACTER_DEVICE, CONSOLE, &[]);
        archive
    }

    /// Adds a program and its shared libraries, at their own paths.
    ///
    /// # Errors
    /// A file could not be read.
    pub(super) fn program(&mut self, from: &Path, to: &Path) -> Result<()> {
        self.file(from, to)?;
        for library in libraries(from)? {
            self.file(&library, &library)?;
        }
        Ok(())
    }

    /// Adds an executable file once.
    ///
    /// # Errors
    /// The file could not be read.
    pub(super) fn file(&mut self, from: &Path, to: &Path) -> Result<()> {
        if !self.made.contains(to) {
            let content =
                std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
            if let Some(parent) = to.parent() {
                self.directory(parent);
            }
            self.entry(to, PROGRAM, Device::default(), &content);
        }
        Ok(())
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry(Path::new("/TRAILER!!!"), 0, Device::default(), &[]);
        self.bytes
    }

    fn directory(&mut self, path: &Path) {
        let mut parents: Vec<&Path> = path.ancestors().collect();
        parents.reverse();
        for parent in parents {
            if parent.parent().is_some() && !self.made.contains(parent) {
                self.entry(parent, DIRECTORY, Device::default(), &[]);
            }
        }
    }

    fn entry(&mut self, path: &Path, mode: u32, device: Device, content: &[u8]) {
        let name = path.to_string_lossy();
        let name = name.trim_start_matches('/');
        // Inode numbers only need to differ.
        let inode = self.made.len() + 1;
        let links = 1;
        self.bytes.extend_from_slice(
            format!(
                "070701{inode:08x}{mode:08x}{:08x}{:08x}{links:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
                0, 0, 0,
                content.len(),
                0, 0,
                device.major, device.minor,
                name.len() + 1,
                0,
            )
            .as_bytes(),
        );
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        self.made.insert(path.to_path_buf());
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The shared libraries of a program, including its loader.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let listed = output(Command::new("ldd").arg(program))?;
    Ok(String::from_utf8_lossy(&listed)
        .lines()
        .filter_map(|line| {
            line.split_whitespace()
                .find(|word| word.starts_with('/'))
                .map(PathBuf::from)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_start_at_multiples_of_four_and_end_with_the_trailer() {
        let mut archive = Initramfs::new();
        archive.entry(
            Path::new("/tests/odd"),
            PROGRAM,
            Device::default(),
            b"12345",
        );
        let bytes = archive.finish();
        let starts: Vec<usize> = (0..bytes.len())
            .filter(|&at| bytes[at..].starts_with(b"070701"))
            .collect();
        assert!(starts.iter().all(|start| start % 4 == 0));
        // The entries are /proc /sys /dev /tmp, the console, the file, the trailer.
        assert_eq!(starts.len(), 7);
        assert!(
            bytes[starts[6]..]
                .windows(10)
                .any(|name| name == b"TRAILER!!!")
        );
    }

    #[test]
    fn directory_of_a_file_comes_before_it_and_once() {
        let mut archive = Initramfs::default();
        archive.directory(Path::new("/a/b"));
        archive.directory(Path::new("/a/b"));
        let made: Vec<&Path> = archive.made.iter().map(PathBuf::as_path).collect();
        assert_eq!(made, [Path::new("/a"), Path::new("/a/b")]);
    }
}
