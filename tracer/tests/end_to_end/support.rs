//! The harness: traced programs, a screen with a pointer, and the tracer itself, with live output
//! and deadlines instead of sleeps.
//!
//! The expectations are left to the tests.

pub(crate) mod build;
pub(crate) mod cgroups;
pub(crate) mod containers;
pub(crate) mod display;
pub(crate) mod needs;
pub(crate) mod observe;
pub(crate) mod output;
pub(crate) mod program;
pub(crate) mod pty;
#[path = "../kernel/support/random.rs"]
pub(crate) mod random;
pub(crate) mod steps;
pub(crate) mod telemetry;
pub(crate) mod text;
pub(crate) mod tracer;
pub(crate) mod watch;

use std::time::{Duration, Instant};

/// Time for an event to arrive before the test gives up.
///
/// It is generous, because a compiler may use the same two cores. A test that works never waits for
/// it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Time between two looks at a state without a notification.
const LOOK: Duration = Duration::from_millis(3);

/// Looks for something until it is there.
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
