//! Traces: calls of a function that are recorded line by line.
//!
//! A call that is taken has an entry in a map, under its probe and thread. A step of a thread without an entry is
//! turned away before anything is read. The entry has the addresses of the frames that are recorded: that of the
//! traced function, and those of the calls that it makes, down to the depth that the user wants.

/// Frames of one traced call that are recorded inside of each other: a power of two.
pub const MAX_FRAMES: usize = 16;

/// Identifies a call that is being recorded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct TakenKey {
    /// The probe.
    pub probe: u32,
    /// Thread id, as the initial pid namespace counts it.
    pub thread: u32,
}

/// A call that is being recorded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct TakenCall {
    /// Canonical frame addresses, the traced function's first.
    pub frames: [u64; MAX_FRAMES],
    /// The line of the last step in each frame: the number of [`STEP`](crate::op::STEP), or 0 for none.
    pub lines: [u32; MAX_FRAMES],
    /// The place of the last step in each frame, by the order of [`STEP`](crate::op::STEP).
    pub orders: [u32; MAX_FRAMES],
    /// Number of the call among those of its probe, from 1.
    pub call: u64,
    /// Steps so far, those included that were cut off.
    pub steps: u64,
    /// Index of the innermost frame.
    pub top: u32,
    /// 1: the innermost frame has no step yet.
    pub is_new: u32,
    /// 1: a return was missed while the call was recorded, so the call may be over.
    pub missed_return: u32,
    /// Zero.
    pub reserved: u32,
}

/// Role of a site: the first line of the traced function, where calls are taken.
pub const TAKES_CALLS: u32 = 1;
/// With [`TAKES_CALLS`]: the line is also passed later in a call, so only a pass that follows one of
/// [`ANNOUNCES_CALLS`] in its frame is a call.
pub const NEEDS_ANNOUNCEMENT: u32 = 2;
/// Role of a site: the first instruction of the traced function, if calls have to be announced.
pub const ANNOUNCES_CALLS: u32 = 4;
/// Role of a site: the first instruction of a function that is followed.
pub const FOLLOWS_CALLS: u32 = 8;
/// Role of a site: the function returns.
pub const RETURNS_FROM_CALLS: u32 = 16;
/// With [`FOLLOWS_CALLS`]: the instruction is also the head of a loop, so a pass in a frame that is recorded is a turn.
pub const HEADS_LOOP: u32 = 32;
/// Role of a site: a call of an address in a register or memory, which a register of the op has.
pub const CALLS_COMPUTED: u32 = 64;
/// Bits of the roles in the number of a [`STEP`](crate::op::STEP). The order of the site is above them.
pub const ROLE_BITS: u32 = 8;

/// The limits of a trace. Written by userspace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct TraceControl {
    /// Steps of one call. The call is recorded no further then.
    pub steps: u64,
    /// Frames inside of each other: one more than the depth.
    pub frames: u32,
    /// Zero.
    pub reserved: u32,
}

/// The state of a trace, for all CPUs together.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct TraceState {
    /// Calls that were taken.
    pub taken: u64,
    /// Calls among them that have ended.
    pub ended: u64,
    /// Calls that found no room for their entry. They are not recorded.
    pub full: u64,
}

/// Identifies a call of a followed function in a function that is recorded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct CallerKey {
    /// Address that the call returns to, minus that of the function's first instruction.
    pub distance: u64,
    /// The probe.
    pub probe: u32,
    /// The function: the order of its site for [`FOLLOWS_CALLS`].
    pub order: u32,
}

/// The rule that computes the frame of the caller at the first instruction of the function that it has called.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct CallerFrame {
    /// Offset from the register.
    pub offset: i32,
    /// Machine register.
    pub register: u32,
}

/// A called address that a recorded call has computed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct SeenTarget {
    /// The called address minus that of the call instruction.
    pub distance: u64,
    /// The probe.
    pub probe: u32,
    /// Attach cookie of the site at the call instruction, with the role [`CALLS_COMPUTED`].
    pub site: u32,
}

/// Follows the header of a record with [`FLAG_STEP`](crate::record::FLAG_STEP). The chunks of the plan come
/// behind it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct StepRecord {
    /// Number of the call, from 1.
    pub call: u64,
    /// Number of the step in its call, from 1.
    pub number: u64,
    /// Canonical frame address.
    pub frame: u64,
    /// Calls between the traced one and this one.
    pub depth: u32,
    /// `STEP_…`.
    pub kind: u32,
    /// Zero. The reader of the ring sets it to the number of steps that it has left out before this one.
    pub repeated: u64,
}

/// A line.
pub const STEP_LINE: u32 = 0;
/// The first line of a call.
pub const STEP_ENTER: u32 = 1;
/// A return.
pub const STEP_RETURN: u32 = 2;
/// The traced call was left without a return.
pub const STEP_LEFT: u32 = 3;
/// The traced call is over, and its return may be one that was missed.
pub const STEP_MISSED: u32 = 5;
/// The last step that is recorded of the call: the probe was switched off, or the call has more steps than
/// [`TraceControl::steps`].
pub const STEP_CUT: u32 = 4;

const _: () = assert!(size_of::<TakenCall>() == MAX_FRAMES * 16 + 32);
const _: () = assert!(size_of::<StepRecord>() == 40 && align_of::<StepRecord>() == 8);
