//! Asks long work to end early.
//!
//! The process has one flag, because signals are sent to the process. Long work checks it every few
//! milliseconds, and ends with [`Cancelled`].

use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

static CANCELLED: OnceLock<Instant> = OnceLock::new();
static DETACHED: AtomicBool = AtomicBool::new(false);
static WRITING_LOOKS: AtomicU32 = AtomicU32::new(0);

/// Time between two checks of the watchdog.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// The user has asked the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Cancelled;

/// Asks all long work of the process to end, for good.
pub fn cancel() {
    let _first = CANCELLED.get_or_init(Instant::now);
}

/// True if long work should end.
#[must_use]
pub fn is_cancelled() -> bool {
    CANCELLED.get().is_some()
}

/// Notes that all probes are out of the target. Only writing the output is left to do.
pub fn detached() {
    DETACHED.store(true, Ordering::Relaxed);
}

/// Notes one more check of the watchdog, [`LOOK`] after the last one.
pub(crate) fn looked() {
    if DETACHED.load(Ordering::Relaxed) {
        WRITING_LOOKS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Time since all probes were removed. `None` if nobody has asked for the end, or if probes are
/// still being removed. It is counted in checks, so it is longer on a very busy machine.
#[must_use]
pub fn writing_since() -> Option<Duration> {
    let is_writing = is_cancelled() && DETACHED.load(Ordering::Relaxed);
    is_writing.then(|| LOOK * WRITING_LOOKS.load(Ordering::Relaxed))
}

/// Call this between the steps of long work. It takes about a nanosecond.
///
/// # Errors
/// The work should end.
pub fn check() -> Result<(), Cancelled> {
    match is_cancelled() {
        true => Err(Cancelled),
        false => Ok(()),
    }
}

/// Writes a short text to a descriptor if it accepts the text at once. Takes none of the locks of
/// `std`.
pub(crate) fn write_at_once(to: &impl AsFd, text: &[u8]) {
    let mut fds = [PollFd::new(to, PollFlags::OUT)];
    let now = rustix::time::Timespec::default();
    let is_ready = poll(&mut fds, Some(&now)) == Ok(1);
    if is_ready && fds.iter().all(|fd| fd.revents().contains(PollFlags::OUT)) {
        // An error cannot be reported anywhere else.
        let _ = rustix::io::write(to, text);
    }
}
