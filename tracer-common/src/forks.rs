//! Messages about processes, and offsets that the kernel side needs.

/// A member has forked another process, which is a member, too.
pub const FORKED: u32 = 1;
/// A member executes another program, and leaves. In a family, the target stays.
pub const EXECUTED: u32 = 2;
/// A process has executed a program that matches the rules. It is a member before the program's
/// first instruction. If it was a member before, its earlier program is gone.
pub const MATCHED: u32 = 3;
/// A running process that matches the rules has hit a site for the first time, and is a member from
/// that hit on.
pub const FOUND: u32 = 4;
/// A member has ended. Not sent in a family.
pub const EXITED: u32 = 5;

/// An event of a member.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct FamilyMessage {
    /// [`FORKED`] and the others above.
    pub kind: u32,
    /// Id of the process in the tracer's pid namespace.
    pub process: u32,
    /// Id of that process in the initial pid namespace.
    pub initial: u32,
    /// Id of its parent in the tracer's pid namespace; 0 if it has none there, and for [`EXECUTED`]
    /// and [`EXITED`].
    pub parent: u32,
    /// Time in ns of `CLOCK_MONOTONIC`; for a new process or program, before its first instruction.
    pub ktime_ns: u64,
}

/// Offsets of the members that the programs read, in bytes from the start of each struct.
///
/// Source: the kernel's BTF. Written by userspace before the programs are loaded.
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
    /// `pid.numbers`, an array of `upid`: 4 bytes of number, and the namespace at offset 8.
    pub numbers: u32,
    /// The inode number in a `pid_namespace`.
    pub inum: u32,
    /// `task_struct.group_leader`.
    pub group_leader: u32,
    /// `task_struct.signal`.
    pub signal: u32,
    /// `signal_struct.live`: the number of threads that have not begun to exit.
    pub live: u32,
}

/// Offsets of the members that rules are checked by, in bytes from the start of each struct.
///
/// Source: the kernel's BTF. Written by userspace before the programs are loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct RuleLayout {
    /// `task_struct.comm`.
    pub comm: u32,
    /// `task_struct.real_parent`.
    pub real_parent: u32,
    /// `task_struct.real_cred`.
    pub real_cred: u32,
    /// `cred.euid`.
    pub euid: u32,
    /// `mm_struct.exe_file`.
    pub exe_file: u32,
    /// `mm_struct.start_code`.
    pub start_code: u32,
    /// `vm_area_struct.vm_file`.
    pub vm_file: u32,
    /// `file.f_inode`.
    pub f_inode: u32,
    /// `file.f_path.dentry`.
    pub dentry: u32,
    /// `dentry.d_name.name`.
    pub name: u32,
    /// `inode.i_ino`.
    pub i_ino: u32,
    /// `inode.i_sb`.
    pub i_sb: u32,
    /// `super_block.s_dev`.
    pub s_dev: u32,
    /// `super_block.s_magic`.
    pub s_magic: u32,
}

const _: () = assert!(size_of::<FamilyMessage>() == 24);
const _: () = assert!(size_of::<TaskLayout>() == 36);
const _: () = assert!(size_of::<RuleLayout>() == 56);
