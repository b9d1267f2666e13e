//! Asks long work to end early.
//!
//! The process has one flag, because signals are the process's. Long work looks at it between
//! steps of some milliseconds and gives up with [`Cancelled`].

use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

static CANCELLED: OnceLock<Instant> = OnceLock::new();
static DETACHED: AtomicBool = AtomicBool::new(false);
static WRITING_LOOKS: AtomicU32 = AtomicU32::new(0);

/// Between two looks of the watchdog.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// The user has asked the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Cancelled;

/// Asks all long work of the process to end, for good.
pub fn cancel() {
    let _first = CANCELLED.get_or_init(Instant::now);
}

/// Whether long work should end.
#[must_use]
pub fn is_cancelled() -> bool {
    CANCELLED.get().is_some()
}

/// All probes are out of the target: what is left to do is to write.
pub fn detached() {
    DETACHED.store(true, Ordering::Relaxed);
}

/// The watchdog has looked once more, [`LOOK`] after the last time.
pub(crate) fn looked() {
    if DETACHED.load(Ordering::Relaxed) {
        WRITING_LOOKS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Time that there was to write what is left; `None`: nobody has asked for the end, or probes are
/// still being taken out. Counted in looks, so that it is longer on a machine that is too busy.
#[must_use]
pub fn writing_since() -> Option<Duration> {
    let is_writing = is_cancelled() && DETACHED.load(Ordering::Relaxed);
    is_writing.then(|| LOOK * WRITING_LOOKS.load(Ordering::Relaxed))
}

/// To be called between the steps of long work; costs about a nanosecond.
///
/// # Errors
/// The work should end.
pub fn check() -> Result<(), Cancelled> {
    match is_cancelled() {
        true => Err(Cancelled),
        false => Ok(()),
    }
}

/// Writes a short text to a descriptor, without the locks of `std` and only if it takes it at once.
pub(crate) fn write_at_once(to: &impl AsFd, text: &[u8]) {
    let mut fds = [PollFd::new(to, PollFlags::OUT)];
    let now = rustix::time::Timespec::default();
    let is_ready = poll(&mut fds, Some(&now)) == Ok(1);
    if is_ready && fds.iter().all(|fd| fd.revents().contains(PollFlags::OUT)) {
        // There is nobody else to tell.
        let _ = rustix::io::write(to, text);
    }
}
