//! Events that the reader waits for: the end of a period, a full ring, the target's exit, the
//! session's end.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Why the reader was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Woken {
    /// The period is over, or the ring is filling up.
    Look,
    /// The target has exited: look once more, then end.
    TargetExited,
    /// The session is over: look once more, then end.
    Stop,
}

/// An eventfd that tells the reader to stop.
#[derive(Debug)]
pub(in crate::session) struct Stopper(OwnedFd);

impl Stopper {
    /// A new eventfd, not signalled yet.
    pub(in crate::session) fn new() -> io::Result<Self> {
        #[expect(unsafe_code, reason = "eventfd has no safe wrapper in std")]
        // SAFETY: the call takes two numbers and gives a new descriptor or -1.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        #[expect(unsafe_code, reason = "takes ownership of the descriptor")]
        // SAFETY: the kernel just made `fd` for this call, and it has no other owner.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Tells the reader to stop.
    pub(in crate::session) fn stop(&self) {
        let one = 1_u64;
        #[expect(unsafe_code, reason = "write to an eventfd")]
        // SAFETY: the buffer is the 8 bytes of `one`. A failure can only mean that
        // the counter is full, and then the reader has been told.
        unsafe {
            libc::write(
                self.0.as_raw_fd(),
                (&raw const one).cast(),
                size_of::<u64>(),
            );
        }
    }
}

impl AsFd for Stopper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits for the first of all those things.
#[derive(Debug)]
pub(in crate::session) struct Waiter {
    epoll: OwnedFd,
    /// Kept open for as long as `epoll` names them.
    _watched: [OwnedFd; 3],
}

const STOP: u64 = 0;
const TARGET: u64 = 1;
const RING: u64 = 2;

impl Waiter {
    /// Watches duplicates of the three descriptors.
    pub(in crate::session) fn new(
        stop: BorrowedFd<'_>,
        target: BorrowedFd<'_>,
        ring: BorrowedFd<'_>,
    ) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "epoll has no safe wrapper in std")]
        // SAFETY: the call takes a number and gives a new descriptor or -1.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        #[expect(unsafe_code, reason = "takes ownership of the descriptor")]
        // SAFETY: the kernel just made `fd` for this call, and it has no other owner.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        let watched = [
            stop.try_clone_to_owned()?,
            target.try_clone_to_owned()?,
            ring.try_clone_to_owned()?,
        ];
        let [stop, target, ring] = &watched;
        watch(&epoll, stop, libc::EPOLLIN, STOP)?;
        watch(&epoll, target, libc::EPOLLIN, TARGET)?;
        // Edge-triggered, since a ring with data is always readable. The event that matters is the
        // kernel side's call when the ring fills past its mark.
        watch(&epoll, ring, libc::EPOLLIN | libc::EPOLLET, RING)?;
        Ok(Self {
            epoll,
            _watched: watched,
        })
    }

    /// Waits for `period` at most, in whole milliseconds.
    pub(in crate::session) fn wait(&self, period: Duration) -> Woken {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 3];
        let timeout = i32::try_from(period.as_millis()).unwrap_or(i32::MAX);
        #[expect(unsafe_code, reason = "epoll has no safe wrapper in std")]
        // SAFETY: `events` has space for the three requested events.
        let count =
            unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), 3, timeout) };
        // An error (a signal) is as good as a period that is over.
        let ready = events.iter().take(usize::try_from(count).unwrap_or(0));
        let mut woken = Woken::Look;
        for event in ready {
            match event.u64 {
                STOP => return Woken::Stop,
                TARGET => woken = Woken::TargetExited,
                _ => {}
            }
        }
        woken
    }

    /// True once the session is over.
    pub(in crate::session) fn is_stopped(&self) -> bool {
        self.wait(Duration::ZERO) == Woken::Stop
    }
}

fn watch(epoll: &OwnedFd, fd: &OwnedFd, events: i32, token: u64) -> io::Result<()> {
    let mut event = libc::epoll_event {
        events: events.cast_unsigned(),
        u64: token,
    };
    #[expect(unsafe_code, reason = "epoll has no safe wrapper in std")]
    // SAFETY: both descriptors are open, `event` is valid for the call.
    let result = unsafe {
        libc::epoll_ctl(
            epoll.as_raw_fd(),
            libc::EPOLL_CTL_ADD,
            fd.as_raw_fd(),
            &raw mut event,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
