//! Decides which memory of a process may be read from outside, and how.
//!
//! Memory that the process itself may not read is skipped. So is memory that could make the reader
//! wait: files of FUSE and of network file systems, devices, and everything unknown. The device
//! number in `/proc/PID/maps` and the lists of mounts give the file system of a file. The file
//! itself is opened only if that is a local one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use rustix::fs::{MemfdFlags, fstat, major, memfd_create, minor};

use super::limits::MAPS_BYTES;
use crate::target::{Mapping, parse_maps};

/// File systems on local disks. Their pages are read by `process_vm_readv`, which waits for a disk
/// without holding a lock of the process.
const ON_DISK: [&str; 17] = [
    "bcachefs", "btrfs", "cramfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660",
    "jfs", "overlay", "squashfs", "udf", "vfat", "xfs", "zfs",
];
/// File systems in memory and in swap.
const IN_MEMORY: [&str; 3] = ["ramfs", "rootfs", "tmpfs"];
/// Processes whose mounts are searched for the type of a file system, besides the process itself.
const MOUNTS: [&str; 2] = ["self", "1"];

/// The system call for reading a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageAccess {
    /// `process_vm_readv`.
    Vector,
    /// `/proc/PID/mem`. userfaultfd, which exists for memory without a file on disk, gets no notice
    /// of such a read, and the read fails at once.
    Memory,
}

/// The readable memory of a process.
pub(super) struct ReadablePlaces {
    pid: u32,
    /// Ranges by address.
    mappings: Vec<Mapping>,
    file_systems: FileSystems,
    /// Mapped files by device and inode.
    files: HashMap<(u64, u64), Option<PageAccess>>,
}

impl ReadablePlaces {
    /// Reads the current mappings of a process.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let mut text = Vec::new();
        File::open(format!("/proc/{pid}/maps"))?
            .take(MAPS_BYTES)
            .read_to_end(&mut text)?;
        let mut mappings = parse_maps(&text);
        mappings.retain(|mapping| mapping.read);
        Ok(Self {
            pid,
            mappings,
            file_systems: FileSystems::default(),
            files: HashMap::new(),
        })
    }

    /// Returns the way in which the page at `address` may be read, or `None` if it may not.
    pub(super) fn access(&mut self, address: u64) -> Option<PageAccess> {
        let behind = self.mappings.partition_point(|one| one.start <= address);
        let mapping = self.mappings.get(behind.checked_sub(1)?)?;
        if address >= mapping.end {
            return None;
        }
        if mapping.inode == 0 {
            return (mapping.device == 0).then_some(PageAccess::Memory);
        }
        let identity = (mapping.device, mapping.inode);
        if let Some(&known) = self.files.get(&identity) {
            return known;
        }
        let access = self.file_systems.access(self.pid, mapping.device);
        let access = access.filter(|_| is_regular(self.pid, mapping));
        self.files.insert(identity, access);
        access
    }
}

/// Returns true if the mapped file is a regular file and not a device.
fn is_regular(pid: u32, mapping: &Mapping) -> bool {
    let (start, end) = (mapping.start, mapping.end);
    let file = fs::metadata(format!("/proc/{pid}/map_files/{start:x}-{end:x}"));
    file.is_ok_and(|file| {
        let kind = file.file_type();
        kind.is_file() && !kind.is_char_device() && file.ino() == mapping.inode
    })
}

/// Types of file systems, by device.
#[derive(Default)]
struct FileSystems(Option<HashMap<u64, PageAccess>>);

impl FileSystems {
    fn access(&mut self, pid: u32, device: u64) -> Option<PageAccess> {
        let known = self.0.get_or_insert_with(|| {
            let mut all = HashMap::new();
            // The kernel's file for shared memory without a name.
            if let Some(device) = shared_memory() {
                all.insert(device, PageAccess::Memory);
            }
            let of = MOUNTS.map(str::to_owned).into_iter();
            for process in of.chain([pid.to_string()]) {
                let text = fs::read(format!("/proc/{process}/mountinfo"));
                all.extend(parse_mounts(&text.unwrap_or_default()));
            }
            all
        });
        known.get(&device).copied()
    }
}

/// Returns the device of the file system for memory files.
fn shared_memory() -> Option<u64> {
    let file = memfd_create(c"tracer", MemfdFlags::CLOEXEC).ok()?;
    let device = fstat(&file).ok()?.st_dev;
    Some(joined(major(device), minor(device)))
}

const fn joined(major: u32, minor: u32) -> u64 {
    (major as u64) << 32 | minor as u64
}

/// Returns the file systems of `/proc/PID/mountinfo` whose pages may be read.
fn parse_mounts(text: &[u8]) -> Vec<(u64, PageAccess)> {
    let text = String::from_utf8_lossy(text);
    let parse = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let (major, minor) = mount.split_whitespace().nth(2)?.split_once(':')?;
        let device = joined(major.parse().ok()?, minor.parse().ok()?);
        let kind = file_system.split_whitespace().next()?;
        if ON_DISK.contains(&kind) {
            Some((device, PageAccess::Vector))
        } else if IN_MEMORY.contains(&kind) {
            Some((device, PageAccess::Memory))
        } else {
            None
        }
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_file_systems_may_be_asked() {
        let text = b"\
            24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            25 24 0:5 / /dev rw - devtmpfs udev rw\n\
            26 24 0:40 / /mnt/a\\040b rw shared:9 master:2 - fuse.sshfs host:/ rw\n\
            27 24 0:41 / /net rw - nfs4 server:/ rw\n\
            28 24 0:42 / /tmp rw - tmpfs tmpfs rw\n\
            nonsense\n\
            29 24 x:y / / rw - ext4 /dev/sdb rw\n";
        let found = parse_mounts(text);
        let wanted = [
            (joined(8, 1), PageAccess::Vector),
            (joined(0, 42), PageAccess::Memory),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn own_memory_is_told_apart_by_what_it_is() {
        let mut places = ReadablePlaces::of(std::process::id()).expect("own mappings");
        let on_stack = 1_u8;
        let stack = (&raw const on_stack) as u64;
        assert_eq!(places.access(stack), Some(PageAccess::Memory));
        assert_eq!(places.access(0), None);
        assert_eq!(places.access(u64::MAX), None);
    }
}
