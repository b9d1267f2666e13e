//! Uprobes by perf events, one for each site, for kernels without multi-uprobe links.

use std::ffi::CString;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use aya_obj::generated::perf_event_attr;

use super::bpf;
use super::trigger::Uprobe;

/// Directory with the kernel's description of its uprobes.
const UPROBES: &str = "/sys/bus/event_source/devices/uprobe";
/// The event is closed in programs that we start.
const PERF_FLAG_FD_CLOEXEC: u64 = 8;

/// Runs the program at a site, or at each return of the function there.
pub(super) fn link(
    program: BorrowedFd<'_>,
    pid: u32,
    uprobe: &Uprobe,
    cookie: u64,
) -> io::Result<OwnedFd> {
    let path = CString::new(uprobe.path.as_os_str().as_bytes())?;
    #[expect(unsafe_code, reason = "a struct of plain numbers")]
    // SAFETY: all zeroes are a value of it.
    let mut event: perf_event_attr = unsafe { mem::zeroed() };
    event.type_ = number(&fs::read_to_string(format!("{UPROBES}/type"))?)?;
    event.size = u32::try_from(size_of::<perf_event_attr>()).map_err(io::Error::other)?;
    if uprobe.returns {
        // `config:0`: the bit that says returns.
        let format = fs::read_to_string(format!("{UPROBES}/format/retprobe"))?;
        let bit = number(format.trim().strip_prefix("config:").unwrap_or_default())?;
        event.config = 1_u64.checked_shl(bit).unwrap_or(0);
    }
    if let Some(counter) = uprobe.counter {
        // `config:32-63`: the bits of the counter's place.
        let format = fs::read_to_string(format!("{UPROBES}/format/ref_ctr_offset"))?;
        let bits = format.trim().strip_prefix("config:").unwrap_or_default();
        let first = bits.split('-').next().unwrap_or_default();
        let counter = u32::try_from(counter.0).map_err(io::Error::other)?;
        let shifted = u64::from(counter).checked_shl(number(first)?);
        event.config |= shifted.unwrap_or_default();
    }
    event.__bindgen_anon_3.uprobe_path = path.as_ptr() as u64;
    event.__bindgen_anon_4.probe_offset = uprobe.offset.0;
    // One process on any CPU. For all processes, an event on any one CPU is enough.
    let (pid, cpu) = if pid == 0 {
        (-1, 0)
    } else {
        (i32::try_from(pid).map_err(io::Error::other)?, -1)
    };
    #[expect(unsafe_code, reason = "the attributes hold an address")]
    // SAFETY: the attributes are whole. The path lives until the call is over.
    let event = unsafe { open(&event, pid, cpu) }?;
    bpf::link_event(program, event.as_fd(), cookie)
}

/// Opens an event of a thread or process, or of a CPU. Programs that we start do not inherit the descriptor.
///
/// # Safety
/// Each address in the attributes that the kernel reads is valid until the call is over.
#[expect(unsafe_code, reason = "perf_event_open has no safe wrapper")]
pub(super) unsafe fn open(event: &perf_event_attr, pid: i32, cpu: i32) -> io::Result<OwnedFd> {
    // SAFETY: the attributes live until the call is over. Our caller answers for the addresses in them.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            ptr::from_ref(event),
            pid,
            cpu,
            -1,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel just made it for this call, and it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn number(text: &str) -> io::Result<u32> {
    text.trim().parse().map_err(io::Error::other)
}
