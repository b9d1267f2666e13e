//! How links are closed, one probe's or all of them at the end of a session.
//!
//! The kernel takes tens of milliseconds to close a link, because it waits for the hits in progress.
//! So threads do it, and only the end of a session waits for them.
//!
//! A thread that is killed while it closes a link leaves the breakpoint in the target: the kernel gives
//! up the access to the target's memory (`uprobe: … failed to unregister, leaking uprobe`). So the
//! closing itself is done by a process that shares our memory and files, and that neither `kill -9` nor
//! our own exit reaches. When we are gone, its exit closes all that is left.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::thread::JoinHandle;

use tracer_common::control::ProbeControl;

use super::machine::{Installed, Link, Machine};

/// The most threads that close links at once. When more processes end than these can follow, the
/// caller waits for the oldest one.
const MAX_CLOSING: usize = 16;

/// Links that are being closed.
#[derive(Debug, Default)]
pub(super) struct Closing {
    threads: Vec<JoinHandle<()>>,
    ended: bool,
}

impl Closing {
    /// Whether the session has ended, so that nothing may be attached any more.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    fn close(&mut self, links: Vec<Link>) {
        if links.is_empty() {
            return;
        }
        self.threads.retain(|thread| !thread.is_finished());
        if self.threads.len() >= MAX_CLOSING {
            wait(self.threads.remove(0));
        }
        self.threads
            .push(std::thread::spawn(move || close_apart(links)));
    }
}

fn wait(thread: JoinHandle<()>) {
    // The thread could only panic while it closes, and the process closes what is left open.
    let _ = thread.join();
}

/// Bytes of the stack on which descriptors are closed: no more than a call to the kernel.
const STACK: usize = 64 << 10;

/// Closes links where a signal to this process does not reach, and waits for it.
pub(super) fn close_apart(links: Vec<Link>) {
    if links.is_empty() {
        return;
    }
    let mut fds: Vec<RawFd> = links
        .into_iter()
        .map(|link| OwnedFd::from(link).into_raw_fd())
        .collect();
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    let flags = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_VFORK;
    let mut status = 0;
    #[expect(
        unsafe_code,
        reason = "a process that shares our memory has no safe wrapper"
    )]
    // SAFETY: the stack is aligned, grows down from its end, and outlives the process, because
    // CLONE_VFORK keeps this thread from going on before that has ended. `close_all` touches nothing
    // but the list, which nobody else has, and makes calls to the kernel only; it runs no handler of
    // a signal, since all signals are blocked. The thread-local storage that it shares with this
    // thread has `errno` alone, and this thread waits.
    let process = unsafe {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let top = stack.as_mut_ptr_range().end.cast::<c_void>();
        let list = (&raw mut fds).cast::<c_void>();
        let process = libc::clone(close_all, top, flags, list);
        // No signal may interrupt this: the process would stay behind as a zombie.
        if process > 0 {
            libc::waitpid(process, &raw mut status, libc::__WALL);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        process
    };
    if process < 0 {
        // No process can be made: better closed here than not at all.
        for fd in fds {
            #[expect(unsafe_code, reason = "takes ownership of descriptors again")]
            // SAFETY: they were given up above, and nobody has closed them.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

/// Closes the descriptors of a list.
extern "C" fn close_all(list: *mut c_void) -> c_int {
    #[expect(unsafe_code, reason = "runs in a process of its own")]
    // SAFETY: the caller hands over a pointer to its list, which lives until this process ends.
    // `close` takes a number.
    unsafe {
        let list = &*list.cast::<Vec<RawFd>>();
        for &fd in list {
            libc::syscall(libc::SYS_close, fd);
        }
    }
    0
}

impl Machine {
    /// Silences a probe at once and closes its links in the background.
    ///
    /// Its counters can be read until [`Machine::forget`] is called: the last hits may still
    /// be on their way.
    pub fn detach(&mut self, slot: u32) {
        // A map that cannot be written does not keep the links from closing.
        let _ = self.set_control(slot, &ProbeControl::default());
        self.close(&[slot]);
    }

    /// Closes the links of probes in the background. Their limits stay, so hits until they are
    /// closed are counted as before.
    pub fn close(&mut self, slots: &[u32]) {
        let closed = self
            .installed
            .iter_mut()
            .filter(|installed| slots.contains(&installed.reserved.slot));
        let links = closed.flat_map(Installed::take_links).collect();
        self.close_later(links);
    }

    /// Closes links in the background.
    pub(super) fn close_later(&mut self, links: Vec<Link>) {
        self.closing.close(links);
    }

    /// Waits until all links that are being closed are closed: no hit is in progress then.
    pub fn wait_closed(&mut self) {
        for thread in std::mem::take(&mut self.closing.threads) {
            wait(thread);
        }
    }

    /// Detaches every probe for good: when this returns, no hit is in progress and none can follow.
    ///
    /// A command that another thread still carries out, such as waking a probe, is refused with
    /// [`KernelError::Ended`]. Counters can be read as before.
    ///
    /// [`KernelError::Ended`]: super::KernelError::Ended
    pub fn end(&mut self) {
        self.closing.ended = true;
        let slots: Vec<u32> = self
            .installed
            .iter()
            .map(|installed| installed.reserved.slot)
            .collect();
        for slot in slots {
            self.detach(slot);
        }
        self.wait_closed();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
    }
}
