//! Why a value cannot be shown: the reasons, and their words.

use std::fmt;

/// Why a value, or a part of it, is not known.
///
/// The text of each is stable: it stands in JSON as `{"$unavailable": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Unavailable {
    /// DWARF says that the variable has no place at this address.
    OptimisedOut,
    /// The value is in a register that the kernel does not expose to eBPF
    /// (SSE, x87, …); the name is DWARF's.
    Register(String),
    /// The memory was not readable: run address, if known.
    Unreadable(Option<u64>),
    /// The target may read it, and its page was not in memory: a hit does not wait for one.
    Absent,
    /// The same, or the target may not read it: it was changing its mappings at the hit.
    Unread,
    /// In a caller's frame: outside of the stack that was captured.
    NotCaptured,
    /// In a caller's frame: in a register that was not kept over the call.
    NotKept,
    /// A local of a coroutine (`async`) that is on the stack alone, and has been waited since.
    NotKeptAwaiting,
    /// The record had no room for it.
    NoRoom,
    /// The hit ran out of steps before it got there.
    Steps,
    /// The pointer that leads to it is null.
    Null,
    /// Thread-local, and the thread has no copy of its own yet.
    Untouched,
    /// It lies deeper than the depth limit.
    Depth,
    /// The place needs an operation that is not supported; what it is.
    Unsupported(String),
    /// The debug information is wrong or contradicts itself; how.
    BadDebugInfo(String),
    /// Its name is one that no output gets the values of.
    Redacted,
    /// The optimiser removed the block of another variable of this name, declared on the line, and
    /// it is not known whether that one is meant here.
    Unclear(String, u64),
    /// Several variables have the name, and none of them is nearer than the others; which.
    Several(String),
    /// The bytes are no valid value of the type (a `bool` of 7, an unknown discriminant).
    Invalid(String),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OptimisedOut => f.write_str("optimised out"),
            Self::Register(name) => {
                write!(f, "in register {name}, which the kernel does not expose")
            }
            Self::Unreadable(Some(address)) => write!(f, "memory at {address:#x} not readable"),
            Self::Unreadable(None) => f.write_str("memory not readable"),
            Self::Absent => f.write_str("the page is not in memory"),
            Self::Unread => f.write_str("the page is not in memory, or not mapped"),
            Self::NotCaptured => f.write_str("not in the captured stack"),
            Self::NotKept => f.write_str("in a register that was not kept over the call"),
            Self::NotKeptAwaiting => f.write_str("not kept across the await"),
            Self::NoRoom => f.write_str("record full"),
            Self::Steps => f.write_str("step limit of the hit reached"),
            Self::Null => f.write_str("null pointer"),
            Self::Untouched => f.write_str("not used by this thread yet"),
            Self::Redacted => f.write_str("redacted"),
            Self::Depth => f.write_str("deeper than the depth limit"),
            Self::Unclear(name, line) => write!(
                f,
                "not clear which: the block of the `{name}` of line {line} was optimised away"
            ),
            Self::Several(which) => write!(f, "not clear which: {which}"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
            Self::BadDebugInfo(what) => write!(f, "bad debug information: {what}"),
            Self::Invalid(what) => write!(f, "invalid value: {what}"),
        }
    }
}
