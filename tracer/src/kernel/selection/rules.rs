//! Rules that select processes.

use tracer_common::limits::NAME_BYTES;
use tracer_common::selection::{
    BY_CGROUP, BY_EXE, BY_NAME, BY_PID, BY_USER, GlobText, InodeKey, glob_matches,
};

/// Kinds of rules that a session asks for. A process has to match one rule of each of these kinds,
/// so a kind without any rule yet matches nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleKinds(u32);

impl RuleKinds {
    /// Processes that userspace adds by their ids.
    pub const PIDS: Self = Self(BY_PID);
    /// Processes that execute a file.
    pub const EXES: Self = Self(BY_EXE);
    /// Processes with a name.
    pub const NAMES: Self = Self(BY_NAME);
    /// Processes in a cgroup.
    pub const CGROUPS: Self = Self(BY_CGROUP);
    /// Processes of a user.
    pub const USERS: Self = Self(BY_USER);

    /// These kinds and those of `other`.
    #[must_use]
    pub const fn and(self, Self(other): Self) -> Self {
        Self(self.0 | other)
    }

    /// All kinds of `other` are among these.
    #[must_use]
    pub const fn has(self, Self(other): Self) -> bool {
        self.0 & other == other
    }

    /// The bits for the kernel's side.
    pub(in crate::kernel) const fn bits(self) -> u32 {
        self.0
    }
}

/// A rule that selects processes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "rules are few, and made one at a time"
)]
pub enum SelectionRule {
    /// The process executes this file, by
    /// [`ProcessSelection::identify`](super::ProcessSelection::identify). For a script, that is its
    /// interpreter.
    Exe(InodeKey),
    /// A name of the process matches: `comm` of its first thread, or the name of its executable
    /// file. A script has the name of the script by `comm`, and the interpreter's by its file.
    Name(NameRule),
    /// The process is in the cgroup (version 2) with this id, or below it. The id is the inode
    /// number of its directory.
    Cgroup(u64),
    /// The effective user of the process, by its first thread.
    User(u32),
}

/// A pattern for names of processes: `*` stands for any bytes, `?` for any one byte.
///
/// The kernel cuts `comm` to 15 bytes. So a longer name only matches the name of the executable
/// file.
#[derive(Clone, PartialEq, Eq)]
pub struct NameRule(GlobText);

impl NameRule {
    /// A pattern. `None` if it is empty, has more than 255 bytes, or has a zero among them.
    #[must_use]
    pub fn new(pattern: &[u8]) -> Option<Self> {
        let mut bytes = [0; NAME_BYTES];
        let (text, end) = bytes.split_at_mut_checked(pattern.len())?;
        if pattern.is_empty() || end.is_empty() || pattern.contains(&0) {
            return None;
        }
        text.copy_from_slice(pattern);
        Some(Self(GlobText { bytes }))
    }

    /// True if the name matches. The kernel's side decides in the same way.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        !name.is_empty() && glob_matches(&self.0.bytes, name)
    }

    /// The pattern for the kernel's side.
    pub(super) const fn text(&self) -> GlobText {
        self.0
    }
}

impl std::fmt::Debug for NameRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.bytes.split(|&byte| byte == 0).next();
        write!(f, "NameRule({})", text.unwrap_or_default().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_that_the_kernel_has_no_room_for_is_refused() {
        assert_eq!(NameRule::new(b""), None);
        assert_eq!(NameRule::new(b"a\0b"), None);
        assert_eq!(NameRule::new(&[b'a'; NAME_BYTES]), None);
        let longest = NameRule::new(&[b'a'; NAME_BYTES - 1]).expect("room");
        assert!(longest.matches(&[b'a'; NAME_BYTES - 1]));
        assert!(!longest.matches(&[b'a'; NAME_BYTES - 2]));
    }

    #[test]
    fn names_match_by_the_pattern() {
        let matches =
            |pattern: &[u8], name: &[u8]| NameRule::new(pattern).expect("a pattern").matches(name);
        assert!(matches(b"nginx", b"nginx"));
        assert!(!matches(b"nginx", b"nginx2"));
        assert!(matches(b"nginx*", b"nginx"));
        assert!(matches(b"*-worker-?", b"app-worker-7"));
        assert!(!matches(b"*", b""));
    }

    #[test]
    fn kinds_add_up() {
        let kinds = RuleKinds::EXES.and(RuleKinds::USERS);
        assert!(kinds.has(RuleKinds::USERS) && !kinds.has(RuleKinds::NAMES));
        assert!(!RuleKinds::USERS.has(kinds));
    }
}
