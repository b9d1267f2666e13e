//! Selected processes: the rules that select them, and the kernel side's entry for each of them.
//!
//! Rules of one kind add up: a process has to match one of them. Rules of different kinds narrow: a
//! process has to match each kind that the session asks for.

use crate::limits::NAME_BYTES;

/// The session asks for processes by their ids. Userspace adds these processes.
pub const BY_PID: u32 = 1;
/// The session asks for processes by the file that they execute.
pub const BY_EXE: u32 = 2;
/// The session asks for processes by their name.
pub const BY_NAME: u32 = 4;
/// The session asks for processes by their cgroup (version 2).
pub const BY_CGROUP: u32 = 8;
/// The session asks for processes by their effective user.
pub const BY_USER: u32 = 16;

/// The members of the map are a target and the processes that it forks.
pub const FAMILY: u32 = 0;
/// The members of the map are the processes that match the rules.
pub const RULES: u32 = 1;

/// The choice of processes. Written by userspace before the programs are loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct SelectionSettings {
    /// [`FAMILY`] or [`RULES`].
    pub mode: u32,
    /// Kinds of rules that the session asks for: [`BY_PID`] and the others above.
    pub kinds: u32,
}

/// State of the rules. Written by userspace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct SelectionState {
    /// Increases with each added rule, so that earlier verdicts are made again. 0 before the rules
    /// are in force.
    pub generation: u64,
    /// Number of name patterns.
    pub names: u64,
}

/// The process was chosen by its id. It stays in the map when it executes another program.
pub const CHOSEN: u32 = 1;
/// Processes that the process forks join the map, whatever they match.
pub const FOLLOWED: u32 = 2;
/// The process was chosen by its id, but its program does not match the other rules.
pub const UNMATCHED: u32 = 4;

/// No user has this id.
pub const NO_USER: u32 = u32::MAX;
/// No cgroup has this id.
pub const NO_CGROUP: u64 = 0;

/// A process in the map of members.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Member {
    /// [`CHOSEN`], [`FOLLOWED`] and [`UNMATCHED`].
    pub flags: u32,
    /// An effective user of the process that matches the rules; [`NO_USER`] if none is known.
    pub user: u32,
    /// Id of a cgroup of the process that matches the rules; [`NO_CGROUP`] if none is known.
    pub cgroup: u64,
}

/// Identity of a file in the kernel: its own inode, below file systems such as overlayfs.
///
/// `stat` may show another device and inode, as it does on overlayfs and on btrfs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct InodeKey {
    /// `super_block.s_dev`.
    pub device: u64,
    /// `inode.i_ino`.
    pub inode: u64,
}

/// The last verdict that a process matches no name and no file, with its inputs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Rejection {
    /// [`SelectionState::generation`] of the verdict.
    pub generation: u64,
    /// `comm` of the process, if the session asks for names.
    pub comm: [u64; 2],
}

/// A pattern for names, with zeroes after its end.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct GlobText {
    /// Its bytes. The last one is zero.
    pub bytes: [u8; NAME_BYTES],
}

/// No `*` has been passed.
const NO_STAR: u32 = u32::MAX;

/// Where the comparison of a name with a pattern is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobCursor {
    /// Index of the pattern's next byte.
    pub pattern: u32,
    /// Index of the name's next byte.
    pub name: u32,
    /// Index of the pattern's byte after the last `*`, or [`NO_STAR`].
    star: u32,
    /// Index of the name's byte at which the last `*` was tried to end.
    retry: u32,
}

/// Result of one step of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobStep {
    /// The comparison continues with the bytes at the cursor.
    More,
    /// The name matches.
    Matches,
    /// The name does not match.
    Fails,
}

impl GlobCursor {
    /// The start of a comparison.
    pub const START: Self = Self {
        pattern: 0,
        name: 0,
        star: NO_STAR,
        retry: 0,
    };

    /// Compares the bytes at the cursor; a byte after the end is zero.
    ///
    /// `*` stands for any bytes, `?` for any one byte. A comparison takes at most
    /// [`GLOB_STEPS`](crate::limits::GLOB_STEPS) steps.
    #[inline(always)]
    pub fn step(&mut self, pattern: u8, name: u8) -> GlobStep {
        if pattern == b'*' {
            self.pattern = self.pattern.wrapping_add(1);
            self.star = self.pattern;
            self.retry = self.name;
        } else if name == 0 {
            return if pattern == 0 {
                GlobStep::Matches
            } else {
                GlobStep::Fails
            };
        } else if pattern == name || pattern == b'?' {
            self.pattern = self.pattern.wrapping_add(1);
            self.name = self.name.wrapping_add(1);
        } else if self.star == NO_STAR {
            return GlobStep::Fails;
        } else {
            self.retry = self.retry.wrapping_add(1);
            self.name = self.retry;
            self.pattern = self.star;
        }
        GlobStep::More
    }
}

/// True if the name matches the pattern.
#[must_use]
pub fn glob_matches(pattern: &[u8], name: &[u8]) -> bool {
    let byte = |text: &[u8], at: u32| text.get(at as usize).copied().unwrap_or(0);
    let mut cursor = GlobCursor::START;
    loop {
        let (pattern, name) = (byte(pattern, cursor.pattern), byte(name, cursor.name));
        match cursor.step(pattern, name) {
            GlobStep::More => {}
            GlobStep::Matches => return true,
            GlobStep::Fails => return false,
        }
    }
}

const _: () = assert!(size_of::<SelectionSettings>() == 8);
const _: () = assert!(size_of::<SelectionState>() == 16);
const _: () = assert!(size_of::<Member>() == 16);
const _: () = assert!(size_of::<InodeKey>() == 16);
const _: () = assert!(size_of::<Rejection>() == 24);
const _: () = assert!(size_of::<GlobText>() == NAME_BYTES);
const _: () = assert!(size_of::<GlobCursor>() == 16);

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;
    use crate::limits::GLOB_STEPS;
    use crate::random::Random;

    /// The definition of a match, without a cursor.
    fn defined(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                (0..=name.len()).any(|skipped| defined(rest, &name[skipped..]))
            }
            ([b'?', pattern @ ..], [_, name @ ..]) => defined(pattern, name),
            ([a, pattern @ ..], [b, name @ ..]) => a == b && defined(pattern, name),
            _ => false,
        }
    }

    #[test]
    fn names_match_as_defined() {
        let mut random = Random(1);
        for _ in 0..20_000 {
            let mut text = |letters: &[u8]| -> Vec<u8> {
                let length = random.next() % 9;
                let letter = |_| letters[(random.next() % letters.len() as u64) as usize];
                (0..length).map(letter).collect()
            };
            let (pattern, name) = (text(b"ab*?"), text(b"ab"));
            assert_eq!(
                glob_matches(&pattern, &name),
                defined(&pattern, &name),
                "{:?} {:?}",
                pattern.escape_ascii(),
                name.escape_ascii()
            );
        }
    }

    #[test]
    fn longest_comparison_ends_within_its_steps() {
        let mut pattern = [b'a'; NAME_BYTES];
        pattern[0] = b'*';
        pattern[NAME_BYTES / 2] = b'b';
        pattern[NAME_BYTES / 2 + 1..].fill(0);
        let mut name = [b'a'; NAME_BYTES];
        name[NAME_BYTES - 1] = 0;
        let mut cursor = GlobCursor::START;
        let mut steps = 1;
        while cursor.step(pattern[cursor.pattern as usize], name[cursor.name as usize])
            == GlobStep::More
        {
            steps += 1;
        }
        assert!(steps > GLOB_STEPS / 8, "{steps}");
        assert!(steps <= GLOB_STEPS, "{steps}");
    }
}
