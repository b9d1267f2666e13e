//! Signals to targets and tracers while they work, none of which may change an account.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;

use super::random::Random;
use super::target::send;

/// Whom to disturb.
#[derive(Clone, Debug, Default)]
pub(super) struct Victims {
    /// Processes that handle SIGUSR1, and are stopped and continued.
    pub(super) targets: Vec<u32>,
    /// Processes that are stopped and continued.
    pub(super) tracers: Vec<u32>,
}

/// Disturbs for as long as it lives; all go on when it is dropped.
pub(super) struct Perturbation {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Perturbation {
    /// Begins.
    pub(super) fn start(victims: Victims, mut random: Random) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            while !is_done.load(Ordering::Acquire) {
                disturb(&victims, &mut random);
                // The moment is what is random; there is nothing to wait for.
                std::thread::sleep(Duration::from_micros(random.below(5_000)));
            }
        });
        Self {
            done,
            thread: Some(thread),
        }
    }
}

impl Drop for Perturbation {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It does not panic.
            let _ = thread.join();
        }
    }
}

fn disturb(victims: &Victims, random: &mut Random) {
    let all: Vec<u32> = victims
        .targets
        .iter()
        .chain(&victims.tracers)
        .copied()
        .collect();
    if !victims.targets.is_empty() && !random.one_in(4) {
        send(random.pick(&victims.targets), Signal::USR1);
    } else if !all.is_empty() {
        let pid = random.pick(&all);
        send(pid, Signal::STOP);
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
        send(pid, Signal::CONT);
    }
}
