//! The bytes of a file in memory, which stay readable even if the file changes.
//!
//! Files belong to the target, and the target may cut one short while it is read. A read of a
//! mapped page beyond the new end raises `SIGBUS`, which would end the tracer. So small files are
//! copied. Big files are mapped under a guard, because only some of their bytes are ever needed.
//! The guard's signal handler fills the missing pages with zeros and records that it did. Readers
//! of debug information must accept zeros like any other damaged data. [`FileImage::intact`]
//! tells whether the zeros are the file's own.
//!
//! [`super::object`] interprets the bytes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::debuginfo::error::DebugInfoError;

mod guard;

/// Files up to this many bytes are copied; a copy takes about 1 ms per 2 MiB.
const COPY_BYTES: u64 = 4 << 20;

/// The bytes of one file.
pub struct FileImage(Bytes);

enum Bytes {
    Copied(Vec<u8>),
    Mapped(guard::GuardedMap),
}

impl FileImage {
    /// Reads or maps a regular file.
    ///
    /// # Errors
    /// [`DebugInfoError::Read`] and [`DebugInfoError::NotAFile`].
    pub fn open(path: &Path) -> Result<Self, DebugInfoError> {
        let failed = |source| DebugInfoError::Read {
            path: path.to_owned(),
            source,
        };
        // Opening a named pipe must not block.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
            .open(path)
            .map_err(failed)?;
        Self::of_open(&file, path)
    }

    /// Reads or maps an open regular file; `path` is its name in messages.
    ///
    /// # Errors
    /// [`DebugInfoError::Read`] and [`DebugInfoError::NotAFile`].
    pub(in crate::debuginfo) fn of_open(file: &File, path: &Path) -> Result<Self, DebugInfoError> {
        let failed = |source| DebugInfoError::Read {
            path: path.to_owned(),
            source,
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(DebugInfoError::NotAFile {
                path: path.to_owned(),
            });
        }
        Self::of_file(file, metadata.len()).map_err(failed)
    }

    /// Returns an image without bytes.
    pub(in crate::debuginfo) const fn empty() -> Self {
        Self(Bytes::Copied(Vec::new()))
    }

    fn of_file(file: &File, length: u64) -> io::Result<Self> {
        if length > COPY_BYTES {
            if let Some(map) = guard::GuardedMap::new(file)? {
                return Ok(Self(Bytes::Mapped(map)));
            }
            return Err(io::Error::other("too many big files are open"));
        }
        let mut bytes = Vec::new();
        file.take(COPY_BYTES).read_to_end(&mut bytes)?;
        Ok(Self(Bytes::Copied(bytes)))
    }

    /// Drops the pages that were read so far from our memory. Reading them again brings them
    /// back.
    ///
    /// Use this after a pass over the whole file, because little of it is needed again.
    pub(in crate::debuginfo) fn release(&self) {
        if let Bytes::Mapped(map) = &self.0 {
            map.release();
        }
    }

    /// Returns true if all bytes so far were the file's own.
    ///
    /// Returns false once the file has become shorter while it was open, or a disk failed.
    #[must_use]
    pub fn intact(&self) -> bool {
        match &self.0 {
            Bytes::Copied(_) => true,
            Bytes::Mapped(map) => map.intact(),
        }
    }
}

impl Deref for FileImage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Copied(bytes) => bytes,
            Bytes::Mapped(map) => map,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn open_named_pipe_is_refused_at_once() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .expect("mkfifo");
        assert!(made.success());
        assert!(matches!(
            FileImage::open(&path),
            Err(DebugInfoError::NotAFile { .. })
        ));
    }

    #[test]
    fn mapped_file_cut_short_reads_as_zeros_and_is_not_intact() {
        let mut file = tempfile::NamedTempFile::new().expect("temporary file");
        let bytes = vec![7_u8; 6 << 20];
        file.write_all(&bytes).expect("write");
        let image = FileImage::open(file.path()).expect("open");
        let other = FileImage::open(file.path()).expect("open again");
        assert!(matches!(image.0, Bytes::Mapped(_)));
        assert_eq!(image[5 << 20], 7);
        assert!(image.intact());
        file.as_file().set_len(1 << 20).expect("truncate");
        assert_eq!(image[5 << 20], 0);
        assert_eq!(image[(6 << 20) - 1], 0);
        assert_eq!(image[1000], 7);
        assert!(!image.intact());
        image.release();
        assert_eq!(image[5 << 20], 0);
        assert_eq!(image[1000], 7);
        assert!(!image.intact());
        assert!(other.intact(), "its bytes were not asked for yet");
        assert_eq!(other[2 << 20], 0);
        assert!(!other.intact());
    }
}
