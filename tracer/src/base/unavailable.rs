//! Reasons why a value cannot be shown, and their texts.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a value, or a part of it, is not known.
///
/// The texts are stable: JSON has them as `{"$unavailable": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Unavailable {
    /// DWARF has no location for the variable at this address.
    OptimisedOut,
    /// No variable of the name is in scope on this line of a traced call. On other lines there is one.
    OutOfScope,
    /// The value is in a register that the kernel does not expose to eBPF (SSE, x87, …). The name
    /// is DWARF's.
    Register(String),
    /// The memory was not readable at this run address, if it is known.
    Unreadable(Option<u64>),
    /// The memory of this many elements was not readable at this run address.
    UnreadableItems(u64, u64),
    /// The memory is readable, but its page was not in memory. A hit does not wait for pages.
    Absent,
    /// The page was not in memory, or the memory is not readable: the target was changing its
    /// mappings at the hit.
    Unread,
    /// It needs the address of another module, which is not known in the process of the hit.
    Unplaced,
    /// The value is in a caller's frame, outside of the captured stack.
    NotCaptured,
    /// The value is outside of the captured stack, and has this many elements or bytes.
    NotCapturedItems(u64),
    /// The value is in a caller's frame, in a register that the call did not preserve.
    NotKept,
    /// The value is a local of a coroutine (`async`) that was only on the stack, and the coroutine
    /// has been suspended since.
    NotKeptAwaiting,
    /// The record had no room for it.
    NoRoom,
    /// The hit reached the limit of steps before it.
    Steps,
    /// It is known at the end of a call, and the call was left without its end.
    Left,
    /// The pointer to it is null.
    Null,
    /// The variable is thread-local, and the thread has no copy of its own yet.
    Untouched,
    /// It is the value before the first access that was seen.
    BeforeFirst,
    /// It is deeper than the depth limit.
    Depth,
    /// The location needs this operation, which is not supported.
    Unsupported(String),
    /// The debug information is wrong or contradicts itself in this way.
    BadDebugInfo(String),
    /// The process is in no container.
    NoContainer,
    /// The process had ended before it was looked at.
    ProcessGone,
    /// No output shows values with its name.
    Redacted,
    /// The optimiser removed the block of another variable of this name, which is declared on the
    /// line, and that variable may be meant here.
    Unclear(String, u64),
    /// Several variables have the name, and none of them is nearer than these others.
    Several(String),
    /// The bytes are not a valid value of the type (a `bool` of 7, an unknown discriminant).
    Invalid(String),
    /// The reason is in these words, in a recording.
    Recorded(String),
}

impl Serialize for Unavailable {
    /// The text.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Unavailable {
    /// From the text.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input).map(Self::Recorded)
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OptimisedOut => f.write_str("optimised out"),
            Self::OutOfScope => f.write_str("not in scope here"),
            Self::Left => f.write_str("the call was left before its end"),
            Self::Register(name) => {
                write!(f, "in register {name}, which the kernel does not expose")
            }
            Self::Unreadable(Some(address)) | Self::UnreadableItems(address, _) => {
                write!(f, "memory at {address:#x} not readable")
            }
            Self::Unreadable(None) => f.write_str("memory not readable"),
            Self::Absent => f.write_str("the page is not in memory"),
            Self::Unread => f.write_str("the page is not in memory, or not mapped"),
            Self::Unplaced => f.write_str(
                "the address of a module that it needs is not known in this process yet",
            ),
            Self::NotCaptured => f.write_str("not in the captured stack"),
            Self::NotCapturedItems(length) => {
                write!(f, "not in the captured stack, length {length}")
            }
            Self::NotKept => f.write_str("in a register that was not kept over the call"),
            Self::NotKeptAwaiting => f.write_str("not kept across the await"),
            Self::NoRoom => f.write_str("record full"),
            Self::Steps => f.write_str("step limit of the hit reached"),
            Self::Null => f.write_str("null pointer"),
            Self::Untouched => f.write_str("not used by this thread yet"),
            Self::BeforeFirst => f.write_str("no access was seen before"),
            Self::NoContainer => f.write_str("no container"),
            Self::ProcessGone => f.write_str("the process had ended before it was looked at"),
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
            Self::Recorded(words) => f.write_str(words),
        }
    }
}
