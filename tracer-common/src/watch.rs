//! Watchpoints: hardware breakpoints on data, which fire after an instruction has accessed the address.
//!
//! The kernel runs one program for all of them. It finds the watched value by the process and the address of the
//! event, because events that threads inherit have lost their attach cookie. A value that is wider than one
//! breakpoint has several, each with an entry of its own that names the same value.

/// Bytes of the widest value: four breakpoints of 8 bytes.
pub const MAX_WATCHED_BYTES: usize = 8 * WORDS;
/// Words of a value.
pub const WORDS: usize = 4;

/// Identifies a breakpoint.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct WatchKey {
    /// Address in the process.
    pub address: u64,
    /// Process id, as the tracer's pid namespace counts it.
    pub pid: u32,
    /// Zero.
    pub padding: u32,
}

/// A watched value in one process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct WatchedValue {
    /// Address of its first byte in the process.
    pub address: u64,
    /// Its size in bytes, at most [`MAX_WATCHED_BYTES`].
    pub size: u32,
    /// The site of its hits.
    pub cookie: u32,
    /// Its bytes at the last hit, or when the watch began. The last word is padded with zeroes.
    pub last: [u64; WORDS],
    /// 0 if `last` is not known: no access was seen yet.
    pub is_known: u64,
    /// Address of the return address of the function whose frame has the value; 0 if it is on no stack.
    pub return_slot: u64,
    /// That return address. Another one there tells that the function was left.
    pub return_address: u64,
}

/// The number in the machine register [`ACCESS`](crate::op::ACCESS) if the program itself accessed the value.
pub const BY_PROGRAM: u64 = 1 << 63;
/// The number there if the kernel did so outside of a system call. In a system call it is the number of the call.
pub const BY_KERNEL: u64 = 1 << 62;
/// Added to the number there if the value before the access is not known.
pub const OLD_IS_UNKNOWN: u64 = 1 << 61;
/// Added to the number there if the function was left whose frame had the value.
pub const FRAME_WAS_LEFT: u64 = 1 << 60;
