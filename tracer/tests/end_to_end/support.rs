//! The harness: programs to trace, a screen to move a pointer on, and the
//! tracer itself, each with live output and deadlines instead of sleeps.
//!
//! Leaves to the tests: what to expect.

pub(crate) mod build;
pub(crate) mod display;
pub(crate) mod needs;
pub(crate) mod observe;
pub(crate) mod output;
pub(crate) mod program;
pub(crate) mod pty;
#[path = "../kernel/support/random.rs"]
pub(crate) mod random;
pub(crate) mod text;
pub(crate) mod tracer;
pub(crate) mod watch;

use std::time::{Duration, Instant};

/// How long an event may take to arrive before the test gives up on it.
///
/// Generous, since two cores may be shared with a compiler: a test that works
/// never waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Time between two looks at something that cannot be waited for.
const LOOK: Duration = Duration::from_millis(3);

/// Looks at something until it is there.
///
/// # Panics
/// It is not there after [`PATIENCE`].
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(LOOK);
    }
}
