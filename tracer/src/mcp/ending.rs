//! The end of a server, and its reason.

use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// The reason why a server ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EndReason {
    /// The client has closed its end, or takes no more answers.
    ClientGone,
    /// A signal has asked for it.
    Signal,
    /// The audit file cannot be written.
    AuditFailed(String),
}

/// Tells the main thread to end the server. The first reason counts.
#[derive(Debug, Default)]
pub(super) struct Ending {
    reason: Mutex<Option<EndReason>>,
    told: Notify,
}

impl Ending {
    /// Ends the server.
    pub(super) fn tell(&self, reason: EndReason) {
        let mut known = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert(reason);
        drop(known);
        self.told.notify_waiters();
        self.told.notify_one();
    }

    /// Ends the server, because a line of the audit file could not be written.
    pub(super) fn audit_failed(&self, error: &io::Error) {
        self.tell(EndReason::AuditFailed(error.to_string()));
    }

    /// Completes when the server is to end.
    pub(super) async fn wait(&self) -> EndReason {
        loop {
            let told = self.told.notified();
            if let Some(reason) = &*self.reason.lock().unwrap_or_else(PoisonError::into_inner) {
                return reason.clone();
            }
            told.await;
        }
    }
}
