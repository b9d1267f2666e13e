//! The identity of a file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// Device and inode of a file, as `stat` gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId {
    /// Number of the device.
    pub dev: u64,
    /// Number of the inode.
    pub ino: u64,
}

impl From<&Metadata> for InodeId {
    fn from(metadata: &Metadata) -> Self {
        Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
        }
    }
}
