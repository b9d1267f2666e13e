//! How links are closed, one probe's or all of them at the end of a session.
//!
//! The kernel takes tens of milliseconds to close a link, because it waits for the hits in progress.
//! So threads do it, and only the end of a session waits for them.

use std::thread::JoinHandle;

use tracer_common::control::ProbeControl;

use super::machine::{Installed, Link, Machine};

/// The most threads that close links at once. When more processes end than these can follow, the
/// caller waits for the oldest one.
const MAX_CLOSING: usize = 16;

/// Links that are being closed.
#[derive(Debug, Default)]
pub(super) struct Closing {
    threads: Vec<JoinHandle<()>>,
    ended: bool,
}

impl Closing {
    /// Whether the session has ended, so that nothing may be attached any more.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    fn close(&mut self, links: Vec<Link>) {
        if links.is_empty() {
            return;
        }
        self.threads.retain(|thread| !thread.is_finished());
        if self.threads.len() >= MAX_CLOSING {
            wait(self.threads.remove(0));
        }
        self.threads.push(std::thread::spawn(move || drop(links)));
    }
}

fn wait(thread: JoinHandle<()>) {
    // The thread could only panic while it closes, and the process closes what is left open.
    let _ = thread.join();
}

impl Machine {
    /// Silences a probe at once and closes its links in the background.
    ///
    /// Its counters can be read until [`Machine::forget`] is called: the last hits may still
    /// be on their way.
    pub fn detach(&mut self, slot: u32) {
        // A map that cannot be written does not keep the links from closing.
        let _ = self.set_control(slot, &ProbeControl::default());
        self.close(&[slot]);
    }

    /// Closes the links of probes in the background. Their limits stay, so hits until they are
    /// closed are counted as before.
    pub fn close(&mut self, slots: &[u32]) {
        let closed = self
            .installed
            .iter_mut()
            .filter(|installed| slots.contains(&installed.reserved.slot));
        let links = closed.flat_map(Installed::take_links).collect();
        self.close_later(links);
    }

    /// Closes links in the background.
    pub(super) fn close_later(&mut self, links: Vec<Link>) {
        self.closing.close(links);
    }

    /// Waits until all links that are being closed are closed: no hit is in progress then.
    pub fn wait_closed(&mut self) {
        for thread in std::mem::take(&mut self.closing.threads) {
            wait(thread);
        }
    }

    /// Detaches every probe for good: when this returns, no hit is in progress and none can follow.
    ///
    /// A command that another thread still carries out, such as waking a probe, is refused with
    /// [`KernelError::Ended`]. Counters can be read as before.
    ///
    /// [`KernelError::Ended`]: super::KernelError::Ended
    pub fn end(&mut self) {
        self.closing.ended = true;
        let slots: Vec<u32> = self
            .installed
            .iter()
            .map(|installed| installed.reserved.slot)
            .collect();
        for slot in slots {
            self.detach(slot);
        }
        self.wait_closed();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
    }
}
