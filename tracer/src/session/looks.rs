//! How often the target's mappings are looked at for what stacks lead through.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::modules::Modules;
use super::shared::lock;
use crate::debuginfo::DebugOptions;
use crate::target::Process;

/// Between two looks for an address that no module has; twice as long after each that found none,
/// as code that a program makes itself is in no file.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Age of the last look at a hit, in ns, from which on it is looked again: a library may have been
/// replaced by another one at its address.
const STALE_NS: u64 = 1_000_000_000;

/// Reads the target's modules, and says when that is due.
pub(super) struct ModuleLooks {
    process: Arc<Process>,
    options: DebugOptions,
    pace: Mutex<Pace>,
}

/// When the next look may be.
struct Pace {
    next: Instant,
    pause: Duration,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            next: now,
            pause: SHORTEST_PAUSE,
        }
    }

    fn looked(&mut self, found: bool, now: Instant) {
        self.pause = if found {
            SHORTEST_PAUSE
        } else {
            (self.pause * 2).min(LONGEST_PAUSE)
        };
        self.next = now + self.pause;
    }
}

impl ModuleLooks {
    pub(super) fn new(process: Arc<Process>, options: DebugOptions) -> Self {
        Self {
            process,
            options,
            pace: Mutex::new(Pace::new(Instant::now())),
        }
    }

    /// What the target has mapped now; `None` when it is gone.
    pub(super) fn read(&self) -> Option<Modules> {
        Modules::read(&self.process, &self.options).ok()
    }

    /// Whether to look again for an address that was `found` in the modules of a look that was `age`
    /// ns old at the hit. What a later look than the hit did not find was in no module.
    pub(super) fn may_look(&self, found: bool, age: u64) -> bool {
        let due = if found { age > STALE_NS } else { age > 0 };
        due && lock(&self.pace).next <= Instant::now()
    }

    /// It was looked again.
    pub(super) fn looked(&self, found: bool) {
        lock(&self.pace).looked(found, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_nothing_is_found_and_shrink_when_something_is() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.next, start);
        for _ in 0..20 {
            pace.looked(false, start);
        }
        assert_eq!(pace.next, start + LONGEST_PAUSE);
        pace.looked(true, start);
        assert_eq!(pace.next, start + SHORTEST_PAUSE);
        pace.looked(false, start);
        assert_eq!(pace.next, start + 2 * SHORTEST_PAUSE);
    }
}
