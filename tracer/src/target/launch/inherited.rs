//! What this process was given at its start, and programs that it starts get in turn.
//!
//! Rust's runtime ignores SIGPIPE and opens standard streams that were closed, handlers of ours replace
//! signals that were ignored, and the kernel side raises the limit of open files. A program must see
//! none of that.

use std::sync::atomic::{AtomicU64, Ordering};

/// Signals of Linux, from 1.
const SIGNALS: i32 = 64;

/// Bit `n` is set if signal `n` + 1 was ignored.
static IGNORED: AtomicU64 = AtomicU64::new(0);
/// The same for blocked signals.
static BLOCKED: AtomicU64 = AtomicU64::new(0);
/// Bit `n` is set if descriptor `n`, a standard stream, was closed.
static CLOSED: AtomicU64 = AtomicU64::new(0);
/// Limits of open files, soft and hard. Zero if they are unknown.
static FILES: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Runs `record` before `main`, and so before Rust's runtime changes SIGPIPE.
#[expect(unsafe_code, reason = "only the loader calls functions before main")]
#[used]
// SAFETY: the section is the loader's list of functions without a result, and `record` is one. It
// needs nothing of Rust's runtime.
#[unsafe(link_section = ".init_array")]
static RECORD: extern "C" fn() = record;

extern "C" fn record() {
    for signal in 1..=SIGNALS {
        if disposition(signal, None) == libc::SIG_IGN {
            IGNORED.fetch_or(bit(signal), Ordering::Relaxed);
        }
    }
    BLOCKED.store(mask(libc::SIG_BLOCK, None), Ordering::Relaxed);
    #[expect(unsafe_code, reason = "descriptors and limits are asked for by libc")]
    // SAFETY: the pointer is to a local value of the right type, which zeros are valid for. Asking
    // about a descriptor does nothing to it.
    unsafe {
        for stream in libc::STDIN_FILENO..=libc::STDERR_FILENO {
            if libc::fcntl(stream, libc::F_GETFD) < 0 {
                CLOSED.fetch_or(1 << stream, Ordering::Relaxed);
            }
        }
        let mut limits: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) == 0 {
            let [soft, hard] = &FILES;
            soft.store(limits.rlim_cur, Ordering::Relaxed);
            hard.store(limits.rlim_max, Ordering::Relaxed);
        }
    }
}

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// A signal's action as the kernel has it. That of the C library cannot name the library's own signals.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct KernelAction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// The handler of a signal, once it is replaced by `new`. Zero, the default, if the kernel refuses, as
/// it does for SIGKILL.
fn disposition(signal: i32, new: Option<usize>) -> usize {
    let new = new.map(|handler| KernelAction {
        handler,
        ..KernelAction::default()
    });
    let mut before = KernelAction::default();
    let after = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    #[expect(unsafe_code, reason = "the C library keeps two signals to itself")]
    // SAFETY: both pointers are null or to local values of the kernel's layout, and the size is that
    // of the mask in them. Only the default and ignoring are set, which need no code.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            after,
            &raw mut before,
            size_of::<u64>(),
        );
    }
    before.handler
}

/// The blocked signals, before `new` is blocked or set.
fn mask(how: i32, new: Option<u64>) -> u64 {
    let mut before = 0_u64;
    let after = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    #[expect(unsafe_code, reason = "the C library keeps two signals to itself")]
    // SAFETY: both pointers are null or to local masks of the kernel's size, which is said.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            how,
            after,
            &raw mut before,
            size_of::<u64>(),
        );
    }
    before
}

/// Gives this process the signals and limits that it had at its start.
///
/// Only makes system calls, so that a forked child may call it. Signals come from here on, and no
/// handler of this process gets one.
pub(super) fn restore() {
    // A linker may leave out what nothing refers to.
    std::hint::black_box(&RECORD);
    let ignored = IGNORED.load(Ordering::Relaxed);
    let blocked = BLOCKED.load(Ordering::Relaxed);
    let [soft, hard] = &FILES;
    let limits = libc::rlimit {
        rlim_cur: soft.load(Ordering::Relaxed),
        rlim_max: hard.load(Ordering::Relaxed),
    };
    let closed = CLOSED.load(Ordering::Relaxed);
    #[expect(unsafe_code, reason = "limits are set, and streams closed, by libc")]
    // SAFETY: the pointer is to a local value of the right type. The child that calls this writes to
    // no stream, and never returns.
    unsafe {
        for stream in libc::STDIN_FILENO..=libc::STDERR_FILENO {
            if closed & (1 << stream) != 0 {
                libc::close(stream);
            }
        }
        if limits.rlim_max != 0 {
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits);
        }
    }
    for signal in 1..=SIGNALS {
        let is_ignored = ignored & bit(signal) != 0;
        let handler = if is_ignored {
            libc::SIG_IGN
        } else {
            libc::SIG_DFL
        };
        disposition(signal, Some(handler));
    }
    mask(libc::SIG_SETMASK, Some(blocked));
}

/// Blocks all signals of this thread as long as it lives.
pub(super) struct BlockedSignals {
    before: u64,
}

impl BlockedSignals {
    pub(super) fn new() -> Self {
        Self {
            before: mask(libc::SIG_BLOCK, Some(u64::MAX)),
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        mask(libc::SIG_SETMASK, Some(self.before));
    }
}
