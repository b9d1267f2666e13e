//! What userspace learns of processes that the target forks, and how the kernel side finds it.

/// A process of the family has forked another.
pub const FORKED: u32 = 1;
/// A process of the family executes another program. Of its family is from now on only the target.
pub const EXECUTED: u32 = 2;

/// A process of the family that stays in it when it executes another program: the target.
pub const TARGET: u32 = 1;
/// Any other.
pub const CHILD: u32 = 0;

/// What became of a process of the family.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct FamilyMessage {
    /// [`FORKED`] or [`EXECUTED`].
    pub kind: u32,
    /// The new process, or the one that executes, in the tracer's pid namespace.
    pub process: u32,
    /// The same in the initial pid namespace.
    pub initial: u32,
    /// Of a new process, the one that forked it, in the tracer's pid namespace.
    pub parent: u32,
    /// When, in ns of `CLOCK_MONOTONIC`: of a new process, before its first instruction.
    pub ktime_ns: u64,
}

/// Where the kernel has what is asked of a process: bytes from the beginning of each struct, by the
/// kernel's BTF. Written by userspace before the programs are loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct TaskLayout {
    /// `task_struct.mm`.
    pub mm: u32,
    /// `task_struct.tgid`.
    pub tgid: u32,
    /// `task_struct.thread_pid`.
    pub thread_pid: u32,
    /// `pid.level`.
    pub level: u32,
    /// `pid.numbers`, of `upid`s: 4 bytes of number, and at 8 the namespace.
    pub numbers: u32,
    /// The inode's number in a `pid_namespace`.
    pub inum: u32,
    /// `task_struct.group_leader`.
    pub group_leader: u32,
    /// `task_struct.signal`.
    pub signal: u32,
    /// `signal_struct.live`: threads that have not begun to exit.
    pub live: u32,
}

const _: () = assert!(size_of::<FamilyMessage>() == 24);
const _: () = assert!(size_of::<TaskLayout>() == 36);
