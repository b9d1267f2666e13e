//! The bytes of a file, in memory, however its owner treats the file.
//!
//! Files are the target's, and the target may cut one short while it is read.
//! A read of a mapped page that is no longer in the file raises `SIGBUS`, which
//! would end the tracer. So small files are copied, and big ones, of whose
//! bytes only some are ever needed, are mapped under a guard: the guard's
//! signal handler puts zeros where the file has gone, and notes that it did.
//! Whoever reads debug information must take zeros anyway, as it takes any
//! other nonsense; [`Image::intact`] tells the one from the other.
//!
//! Leaves the meaning of the bytes to [`super::object`].

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::DebugInfoError;

mod guard;

/// Files up to this many bytes are copied; a copy takes about 1 ms per 2 MiB.
const COPY_BYTES: u64 = 4 << 20;

/// The bytes of one file.
pub struct Image(Bytes);

enum Bytes {
    Copied(Vec<u8>),
    Mapped(guard::GuardedMap),
}

impl Image {
    /// Reads or maps a regular file.
    ///
    /// # Errors
    /// [`DebugInfoError::Read`] and [`DebugInfoError::NotAFile`].
    pub fn open(path: &Path) -> Result<Self, DebugInfoError> {
        let failed = |source| DebugInfoError::Read {
            path: path.to_owned(),
            source,
        };
        // A named pipe must not hold us up.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
            .open(path)
            .map_err(failed)?;
        Self::of_open(&file, path)
    }

    /// Reads or maps a regular file that is open; `path` is its name in messages.
    ///
    /// # Errors
    /// [`DebugInfoError::Read`] and [`DebugInfoError::NotAFile`].
    pub(super) fn of_open(file: &File, path: &Path) -> Result<Self, DebugInfoError> {
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

    /// No bytes.
    pub(super) const fn empty() -> Self {
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

    /// Takes what was read so far out of our memory; reading on brings it back.
    ///
    /// For after a pass over the whole file, of which little is needed again.
    pub(super) fn release(&self) {
        if let Bytes::Mapped(map) = &self.0 {
            map.release();
        }
    }

    /// Whether all bytes so far were the file's own.
    ///
    /// False once the file has become shorter under our eyes, or a disk failed.
    #[must_use]
    pub fn intact(&self) -> bool {
        match &self.0 {
            Bytes::Copied(_) => true,
            Bytes::Mapped(map) => map.intact(),
        }
    }
}

impl Deref for Image {
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
            Image::open(&path),
            Err(DebugInfoError::NotAFile { .. })
        ));
    }

    #[test]
    fn mapped_file_cut_short_reads_as_zeros_and_is_not_intact() {
        let mut file = tempfile::NamedTempFile::new().expect("temporary file");
        let bytes = vec![7_u8; 6 << 20];
        file.write_all(&bytes).expect("write");
        let image = Image::open(file.path()).expect("open");
        let other = Image::open(file.path()).expect("open again");
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
