//! Offsets in this kernel of the data that the programs read about processes.

use tracer_common::forks::{RuleLayout, TaskLayout};

use crate::kernel::btf::{KernelBtf, nested_offset};
use crate::kernel::error::KernelError;

/// Looks offsets up.
struct LayoutReader {
    btf: KernelBtf,
}

impl LayoutReader {
    fn open() -> Result<Self, KernelError> {
        let btf = KernelBtf::open()
            .map_err(|source| KernelError::call("read the kernel's BTF", source))?;
        Ok(Self { btf })
    }

    /// Offset of a member, which may be in an unnamed struct or union.
    fn of(&self, name: &str, member: &str) -> Result<u32, KernelError> {
        nested_offset(&self.btf, name, member).ok_or_else(|| KernelError::Load {
            reason: format!(
                "the kernel's BTF has no `{name}.{member}`, which processes are followed by"
            ),
        })
    }
}

/// Offsets for following forks.
///
/// # Errors
/// The kernel's BTF does not have them.
pub(in crate::kernel) fn task_layout() -> Result<TaskLayout, KernelError> {
    let reader = LayoutReader::open()?;
    let of = |name: &str, member: &str| reader.of(name, member);
    Ok(TaskLayout {
        mm: of("task_struct", "mm")?,
        tgid: of("task_struct", "tgid")?,
        thread_pid: of("task_struct", "thread_pid")?,
        level: of("pid", "level")?,
        numbers: of("pid", "numbers")?,
        inum: of("pid_namespace", "ns")?.saturating_add(of("ns_common", "inum")?),
        group_leader: of("task_struct", "group_leader")?,
        signal: of("task_struct", "signal")?,
        live: of("signal_struct", "live")?,
    })
}

/// Offsets for checking rules.
///
/// # Errors
/// The kernel's BTF does not have them.
pub(in crate::kernel) fn rule_layout() -> Result<RuleLayout, KernelError> {
    let reader = LayoutReader::open()?;
    let of = |name: &str, member: &str| reader.of(name, member);
    Ok(RuleLayout {
        comm: of("task_struct", "comm")?,
        real_parent: of("task_struct", "real_parent")?,
        real_cred: of("task_struct", "real_cred")?,
        euid: of("cred", "euid")?,
        exe_file: of("mm_struct", "exe_file")?,
        start_code: of("mm_struct", "start_code")?,
        vm_file: of("vm_area_struct", "vm_file")?,
        f_inode: of("file", "f_inode")?,
        dentry: of("file", "f_path")?.saturating_add(of("path", "dentry")?),
        name: of("dentry", "d_name")?.saturating_add(of("qstr", "name")?),
        i_ino: of("inode", "i_ino")?,
        i_sb: of("inode", "i_sb")?,
        s_dev: of("super_block", "s_dev")?,
        s_magic: of("super_block", "s_magic")?,
    })
}
