//! Closes links, one probe's or all of them at the end of a session.
//!
//! The kernel takes up to tens of milliseconds to close a link, because it waits for the hits in
//! progress. It waits for many links at the same time as long as for one. So threads do it, one for each
//! probe, and only the end of a session waits for them.
//!
//! A thread that is killed while it closes a link leaves the breakpoint in the target: the kernel
//! loses access to the target's memory (`uprobe: … failed to unregister, leaking uprobe`). So a
//! separate process closes the links. It shares the tracer's memory and files, and neither `kill
//! -9` of the tracer nor the tracer's own exit reaches it. If the tracer is gone, the exit of that
//! process closes all remaining links.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::thread::{self, JoinHandle};

use super::installed::Link;

/// The most threads that close links at once. When more processes end than these can follow, or a
/// session has more probes, the caller waits for the oldest one. Eight hundred links were closed almost
/// four times as fast by 128 threads as by 16.
const MAX_CLOSING: usize = 128;

/// Links that are being closed.
#[derive(Debug, Default)]
pub(super) struct Closing {
    threads: Vec<JoinHandle<()>>,
    ended: bool,
}

impl Closing {
    /// Returns true if the session has ended, so that probes can no longer be attached.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// From now on no probe can be attached.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Waits until all links are closed.
    pub(super) fn wait(&mut self) {
        self.threads.drain(..).for_each(wait);
    }

    /// Closes links in the background.
    pub(super) fn close(&mut self, links: Vec<Link>) {
        if links.is_empty() {
            return;
        }
        self.threads.retain(|thread| !thread.is_finished());
        if self.threads.len() >= MAX_CLOSING {
            wait(self.threads.remove(0));
        }
        // If there is no room for a thread, this one closes the links, because `links` is dropped.
        let thread = thread::Builder::new().name("close".into());
        if let Ok(thread) = thread.spawn(move || close_apart(links)) {
            self.threads.push(thread);
        }
    }
}

fn wait(thread: JoinHandle<()>) {
    // The thread could only panic while it closes. The process closes links that stay open.
    let _ = thread.join();
}

/// Size in bytes of the stack for closing descriptors, which only makes system calls.
const STACK: usize = 64 << 10;

/// Closes links in a process that signals to this one do not reach, and waits for its end.
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
    // CLONE_VFORK stops this thread until the process has ended. `close_all` uses only the list,
    // which has no other user, and only makes system calls. It runs no signal handler, since all
    // signals are blocked. Of the thread-local storage that it shares with this thread it uses only
    // `errno`, and this thread waits.
    let process = unsafe {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let top = stack.as_mut_ptr_range().end.cast::<c_void>();
        let list = (&raw mut fds).cast::<c_void>();
        let process = libc::clone(close_all, top, flags, list);
        // A signal must not interrupt this call: the process would stay behind as a zombie.
        if process > 0 {
            libc::waitpid(process, &raw mut status, libc::__WALL);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        process
    };
    if process < 0 {
        // The process cannot be started. Closing the links here is better than leaving them open.
        for fd in fds {
            #[expect(unsafe_code, reason = "takes ownership of descriptors again")]
            // SAFETY: they were given up above, and have not been closed.
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
