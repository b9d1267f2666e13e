//! Sends signals to targets and tracers while they work. No signal may change a result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;

use super::random::Random;
use super::target::send;

/// The processes to disturb.
#[derive(Clone, Debug, Default)]
pub(super) struct Victims {
    /// Processes that handle SIGUSR1 and are also stopped and continued.
    pub(super) targets: Vec<u32>,
    /// Processes that are stopped and continued.
    pub(super) tracers: Vec<u32>,
}

/// Disturbs the processes while it lives. On drop, all processes continue.
pub(super) struct Perturbation {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Perturbation {
    /// Starts to disturb.
    pub(super) fn start(victims: Victims, mut random: Random) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            while !is_done.load(Ordering::Acquire) {
                disturb(&victims, &mut random);
                // The moment is random by design; there is no event to wait for.
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
            // The thread does not panic.
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
