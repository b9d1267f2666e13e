//! Connections over HTTP before their client has shown the token, and places for those that have.
//!
//! Whoever can reach the port can connect. Such connections take no place of a client with the token: the oldest is
//! closed when there are too many, and each one soon.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::mcp::limits::{CONNECTIONS, GUESTS, TOKEN_TIME};

/// All connections.
#[derive(Debug)]
pub(super) struct Guests {
    /// Those without the token, oldest first.
    waiting: Mutex<VecDeque<WaitingGuest>>,
    last: AtomicU64,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct WaitingGuest {
    number: u64,
    sent_away: Arc<Notify>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Guest {
    all: Arc<Guests>,
    number: u64,
    sent_away: Arc<Notify>,
    /// Its client has shown the token.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Default for Guests {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            last: AtomicU64::new(0),
            places: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }
}

impl Guests {
    /// A new connection. Too many without the token close the oldest.
    pub(super) fn enter(self: &Arc<Self>) -> Guest {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let sent_away = Arc::<Notify>::default();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(WaitingGuest {
            number,
            sent_away: Arc::clone(&sent_away),
        });
        if waiting.len() > GUESTS
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.sent_away.notify_one();
        }
        drop(waiting);
        Guest {
            all: Arc::clone(self),
            number,
            sent_away,
            place: Mutex::default(),
        }
    }

    fn forget(&self, number: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| one.number != number);
    }
}

impl Guest {
    /// The client has shown the token. Returns false if there is no place for it.
    pub(super) fn shows_token(&self) -> bool {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_none() {
            *place = Arc::clone(&self.all.places).try_acquire_owned().ok();
            self.all.forget(self.number);
        }
        place.is_some()
    }

    /// Completes when the connection is to be closed, because its client has not shown the token.
    pub(super) async fn goes(&self) {
        tokio::select! {
            () = self.sent_away.notified() => {}
            () = sleep(TOKEN_TIME) => {}
        }
        let is_known = {
            let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
            place.is_some()
        };
        if is_known {
            std::future::pending().await
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.all.forget(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn those_with_the_token_stay_and_the_oldest_others_go() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let all = Arc::<Guests>::default();
            let (known, oldest) = (all.enter(), all.enter());
            assert!(known.shows_token());
            let others: Vec<Guest> = (0..GUESTS).map(|_| all.enter()).collect();
            let soon = TOKEN_TIME / 4;
            timeout(soon, oldest.goes()).await.expect("it is closed");
            assert!(timeout(soon, others[0].goes()).await.is_err());
            let late = TOKEN_TIME + Duration::from_secs(5);
            timeout(late, others[0].goes())
                .await
                .expect("its time is over");
            assert!(timeout(late, known.goes()).await.is_err());
            let more: Vec<Guest> = (1..CONNECTIONS).map(|_| all.enter()).collect();
            assert!(more.iter().all(Guest::shows_token));
            let beyond = all.enter();
            assert!(!beyond.shows_token());
            drop(known);
            assert!(beyond.shows_token());
        });
    }
}
