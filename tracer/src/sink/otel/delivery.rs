//! Requests on their way to a collector: a bounded queue, and a thread that sends one after the other.
//!
//! Nobody waits for the network but this thread. What it cannot deliver is counted by probe.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::batch::EncodedRequest;
use super::limits::{FIRST_PAUSE, LONGEST_PAUSE, LONGEST_TRIAL, WAITING_BYTES};
use super::transport::{PartialSuccess, SendError, Transport};
use crate::event::{ProbeId, counted};

/// Sends a request. [`Transport`] does, and the tests' own.
pub(super) trait SendRequest {
    /// Sends a request, and waits for the answer.
    fn send(&mut self, request: &[u8]) -> Result<PartialSuccess, SendError>;
}

impl SendRequest for Transport {
    fn send(&mut self, request: &[u8]) -> Result<PartialSuccess, SendError> {
        Self::send(self, request)
    }
}

/// Hears what becomes of requests.
pub(super) trait Account: Send + Sync {
    /// Events of a probe will not be delivered.
    fn count_undelivered(&self, probe: ProbeId, events: u64);
    /// Something that the user should know.
    fn warn(&self, text: String);
    /// Something that goes on as it should.
    fn note(&self, text: String);
}

/// The requests that are kept for a collector that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// All, up to the limit.
    All,
    /// The newest: it has all that the ones before have.
    Newest,
}

/// The way to one collector.
pub(super) struct Delivery {
    shared: Arc<DeliveryShared>,
}

struct DeliveryShared {
    state: Mutex<DeliveryState>,
    changed: Condvar,
    account: Arc<dyn Account>,
    url: String,
    kept: Kept,
}

#[derive(Default)]
struct DeliveryState {
    waiting: VecDeque<EncodedRequest>,
    bytes: usize,
    /// Events of the request that is being sent, until they are accounted for.
    in_flight: Option<BTreeMap<ProbeId, u64>>,
    /// The end of the session has come, and this is the time to give up.
    deadline: Option<Instant>,
    /// The attempt that the end allows without a pause was made.
    hurried: bool,
    /// Requests that were delivered or given up.
    handled: u64,
    /// The reason of the last failure. `None` while the collector takes requests.
    failure: Option<String>,
    /// Events that were not delivered since the failure began.
    lost: u64,
    /// Records that were refused from requests of several probes.
    refused_of_several: u64,
    ended: bool,
}

impl Delivery {
    /// Starts the thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(
        name: &str,
        url: String,
        mut transport: impl SendRequest + Send + 'static,
        account: Arc<dyn Account>,
        kept: Kept,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(DeliveryShared {
            state: Mutex::default(),
            changed: Condvar::new(),
            account,
            url,
            kept,
        });
        let of_thread = Arc::clone(&shared);
        // The thread may hang in the network, so nobody waits for its end without a limit.
        thread::Builder::new()
            .name(name.into())
            .spawn(move || of_thread.run(&mut transport))?;
        Ok(Self { shared })
    }

    /// Adds a request. If too many wait, the oldest are dropped.
    pub(super) fn push(&self, request: EncodedRequest) {
        let mut dropped = Vec::new();
        let mut state = self.shared.lock();
        state.bytes += request.bytes.len();
        state.waiting.push_back(request);
        let is_over = |state: &DeliveryState| match self.shared.kept {
            Kept::All => state.bytes > WAITING_BYTES && state.waiting.len() > 1,
            Kept::Newest => state.waiting.len() > 1,
        };
        while is_over(&state)
            && let Some(oldest) = state.waiting.pop_front()
        {
            state.bytes -= oldest.bytes.len();
            dropped.push(oldest.events);
        }
        for events in &dropped {
            self.shared.lose(&mut state, events);
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits until fewer requests than this wait. Returns false if none was handled for so long.
    pub(super) fn wait_below(&self, requests: usize, patience: Duration) -> bool {
        let mut state = self.shared.lock();
        let mut handled = state.handled;
        let mut until = Instant::now() + patience;
        while state.waiting.len() + usize::from(state.in_flight.is_some()) >= requests {
            if handled != state.handled {
                handled = state.handled;
                until = Instant::now() + patience;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Says that no more requests come, and when to give up.
    pub(super) fn hurry(&self, deadline: Instant) {
        self.shared.lock().deadline = Some(deadline);
        self.shared.changed.notify_all();
    }

    /// Waits until all requests are delivered, or until the deadline. Then the rest counts as not delivered.
    pub(super) fn finish(&self, deadline: Instant) -> FinishedDelivery {
        self.hurry(deadline);
        let mut state = self.shared.lock();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // The thread must not find them any more.
        let rest: Vec<EncodedRequest> = state.waiting.drain(..).collect();
        let in_flight = state.in_flight.take();
        for events in rest.iter().map(|rest| &rest.events).chain(&in_flight) {
            self.shared.lose(&mut state, events);
        }
        let is_complete = state.ended && rest.is_empty() && state.failure.is_none();
        FinishedDelivery {
            failure: match (is_complete, state.failure.take()) {
                (true, _) => None,
                (false, Some(failure)) => Some(failure),
                (false, None) => Some("no answer in time".to_owned()),
            },
            refused_of_several: state.refused_of_several,
        }
    }
}

/// The end of a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FinishedDelivery {
    /// Why the last requests were not delivered. `None` if they were.
    pub(super) failure: Option<String>,
    /// Records that the collector refused, of probes that it did not name.
    pub(super) refused_of_several: u64,
}

impl DeliveryShared {
    fn lock(&self) -> MutexGuard<'_, DeliveryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, transport: &mut impl SendRequest) {
        while let Some(request) = self.next() {
            self.deliver(transport, &request);
            self.lock().handled += 1;
            self.changed.notify_all();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// The oldest request. Waits for one. `None` at the end.
    fn next(&self) -> Option<EncodedRequest> {
        let mut state = self.lock();
        loop {
            if let Some(request) = state.waiting.pop_front() {
                state.bytes -= request.bytes.len();
                state.in_flight = Some(request.events.clone());
                return Some(request);
            }
            if state.deadline.is_some() {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn deliver(&self, transport: &mut impl SendRequest, request: &EncodedRequest) {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match transport.send(&request.bytes) {
                Ok(partial) => return self.accepted(request, &partial),
                Err(error) => error,
            };
            let wait = jittered(pause).max(error.retry_after.unwrap_or_default());
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.failed(&error);
            let is_last = !error.is_passing || began.elapsed() + wait > LONGEST_TRIAL;
            if is_last || !self.pause(wait) {
                let mut state = self.lock();
                if let Some(events) = state.in_flight.take() {
                    self.lose(&mut state, &events);
                }
                return;
            }
        }
    }

    /// Waits before another attempt. Returns false if there is to be none.
    fn pause(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut state = self.lock();
        loop {
            if self.kept == Kept::Newest && !state.waiting.is_empty() {
                return false;
            }
            match state.deadline {
                Some(_) if !state.hurried => {
                    state.hurried = true;
                    return true;
                }
                Some(deadline) if until >= deadline => return false,
                _ => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn accepted(&self, request: &EncodedRequest, partial: &PartialSuccess) {
        let mut state = self.lock();
        // At the end it was given up and counted.
        if state.in_flight.take().is_none() {
            return;
        }
        if state.failure.take().is_some() {
            let lost = std::mem::take(&mut state.lost);
            let lost = match lost {
                0 => "nothing was lost".to_owned(),
                1 => "1 event was not delivered meanwhile".to_owned(),
                lost => format!("{} were not delivered meanwhile", counted(lost, "event")),
            };
            self.account
                .note(format!("{} takes telemetry again; {lost}", self.url));
        }
        if partial.rejected > 0 {
            match request.events.iter().next() {
                Some((probe, _)) if request.events.len() == 1 => {
                    self.account.count_undelivered(*probe, partial.rejected);
                }
                _ => state.refused_of_several += partial.rejected,
            }
        }
        if !partial.message.is_empty() || partial.rejected > 0 {
            let records = counted(partial.rejected, "record");
            let refused = format!("{} refused {records}", self.url);
            self.account.warn(match partial.message.as_str() {
                "" => refused,
                message => format!("{refused}: {message}"),
            });
        }
    }

    /// Tells a failure that is not known yet.
    fn failed(&self, error: &SendError) {
        let mut state = self.lock();
        let is_known = match &state.failure {
            // The words may differ from attempt to attempt.
            Some(known) => error.is_passing || *known == error.message,
            None => false,
        };
        state.failure = Some(error.message.clone());
        if is_known {
            return;
        }
        let what = match (error.is_passing, error.is_answer) {
            (true, false) => "cannot be reached",
            (true, true) => "takes no telemetry now",
            (false, _) => "refuses telemetry",
        };
        let how = match error.is_passing {
            true => "; it is tried again",
            false => "",
        };
        self.account
            .warn(format!("{} {what}: {}{how}", self.url, error.message));
    }

    fn lose(&self, state: &mut DeliveryState, events: &BTreeMap<ProbeId, u64>) {
        for (probe, count) in events {
            state.lost += count;
            self.account.count_undelivered(*probe, *count);
        }
    }
}

/// A random time between a half and the whole of a pause, so that not all clients come at once.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 512;
    pause.mul_f64((512 + random) as f64 / 1024.0)
}

#[cfg(test)]
mod tests;
