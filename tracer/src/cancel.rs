//! Asks long work to end early.
//!
//! The process has one flag, because signals are the process's. Long work looks at it between
//! steps of some milliseconds and gives up with [`Cancelled`].

use std::sync::atomic::{AtomicBool, Ordering};

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// The user has asked the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Cancelled;

/// Asks all long work of the process to end, for good.
pub fn cancel() {
    CANCELLED.store(true, Ordering::Relaxed);
}

/// Whether long work should end.
#[must_use]
pub fn is_cancelled() -> bool {
    CANCELLED.load(Ordering::Relaxed)
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
