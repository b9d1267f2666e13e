//! The pace at which the target's mappings are read to resolve the frames of stacks.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::debuginfo::DebugOptions;
use crate::session::locks::lock;
use crate::session::sites::modules::Modules;
use crate::target::Process;

/// Between two looks for an address that no module has; twice as long after each that found none,
/// as code that a program makes itself is in no file.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Age of the last look at a hit, in ns, from which on it is looked again: a library may have been
/// replaced by another one at its address.
const STALE_NS: u64 = 1_000_000_000;

/// Reads the target's modules, and decides when that is due.
pub(in crate::session) struct ModuleLooks {
    /// The process whose mappings are read. `None` before one runs the program.
    process: Mutex<Option<Arc<Process>>>,
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
    pub(in crate::session) fn new(process: Option<Arc<Process>>, options: DebugOptions) -> Self {
        Self {
            process: Mutex::new(process),
            options,
            pace: Mutex::new(Pace::new(Instant::now())),
        }
    }

    /// Reads the target's present mappings. `None` if it is gone.
    pub(in crate::session) fn read(&self) -> Option<Modules> {
        let process = self.process()?;
        let modules = Modules::read(&process, &self.options).ok()?;
        // A process that exits meanwhile shows a part of its mappings, or those of another process.
        process.has_program().then_some(modules)
    }

    /// The process whose mappings are read.
    pub(in crate::session) fn process(&self) -> Option<Arc<Process>> {
        lock(&self.process).clone()
    }

    /// From now on reads the mappings of another process.
    pub(in crate::session) fn set_process(&self, process: Arc<Process>) {
        *lock(&self.process) = Some(process);
    }

    /// Returns true if the mappings may be read again for an address. It was `found`, or not, in
    /// the modules of a look that was `age` ns old at the hit. An address that a look after the hit
    /// did not find was in no module.
    pub(in crate::session) fn may_look(&self, found: bool, age: u64) -> bool {
        let due = if found { age > STALE_NS } else { age > 0 };
        due && lock(&self.pace).next <= Instant::now()
    }

    /// Notes a look.
    pub(in crate::session) fn looked(&self, found: bool) {
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
