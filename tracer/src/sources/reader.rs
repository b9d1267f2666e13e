//! The users for whom a source file is read, and their permissions.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::Stat;

/// Permission to read a file.
pub(super) const READ: u32 = 4;
/// Permission to look files up in a directory.
pub(super) const SEARCH: u32 = 1;

/// A user and its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceReader {
    pub(super) user: u32,
    pub(super) groups: Vec<u32>,
}

impl SourceReader {
    /// Returns the user whose permissions a process has for files.
    pub(super) fn of_process(pid: u32) -> Option<Self> {
        Self::of_status(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
    }

    /// Returns the owner of a file, with the file's group.
    pub(super) fn of_owner(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            user: metadata.uid(),
            groups: vec![metadata.gid()],
        })
    }

    fn of_status(status: &str) -> Option<Self> {
        let numbers = |field: &str| -> Option<Vec<u32>> {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            line.split_whitespace()
                .map(|number| number.parse().ok())
                .collect()
        };
        // These are the real, effective, saved and file system ids.
        let [.., user] = numbers("Uid:")?[..] else {
            return None;
        };
        let [.., group] = numbers("Gid:")?[..] else {
            return None;
        };
        let mut groups = numbers("Groups:").unwrap_or_default();
        groups.push(group);
        Some(Self { user, groups })
    }

    /// Returns true if the permission bits allow `wanted`.
    ///
    /// The bits do not bind root, so they are taken as the intention of the file's owner: root
    /// may look files up in every directory, and reads only files that everyone may read.
    pub(super) fn may(&self, wanted: u32, stat: &Stat) -> bool {
        let shift = match self.user {
            0 if wanted == SEARCH => return true,
            0 => 0,
            user if user == stat.st_uid => 6,
            _ if self.groups.contains(&stat.st_gid) => 3,
            _ => 0,
        };
        (stat.st_mode >> shift) & wanted == wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_status_takes_the_ids_of_the_file_system() {
        let status = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \n";
        let reader = SourceReader::of_status(status).expect("a user");
        assert_eq!(reader.user, 4);
        assert_eq!(reader.groups, [9, 10, 8]);
        assert_eq!(SourceReader::of_status("Name:\tx\n"), None);
    }
}
