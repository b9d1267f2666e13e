//! The session: a handle on the thread that owns it.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use super::actor::{Message, Reply, reply_channel};
use super::live::{LiveMessage, Removed};
use super::{Catalog, FollowedProcesses, ProbeStatus, SessionSpending, Subscriber, Subscription};
use crate::base::diagnostic::Diagnostic;
use crate::event::{Aggregate, ProbeId, TargetStatus};
use crate::lang::ast::ProbeSpec;
use crate::session::locks::lock;
use crate::session::prepare::runtime::announced;
use crate::session::reader::clock::monotonic_ns;
use crate::session::reader::wait::Stopper;
use crate::session::shared::SharedState;
use crate::session::sites::modules::{Modules, has_sources};
use crate::session::sites::process_modules::ProcessModules;
use crate::target::Process;

/// A live set of probes over one target.
///
/// All methods send a message to the thread that owns the session, or read a snapshot. Dropping it
/// ends it: probes are silenced and detached, the threads stop.
pub struct Session {
    /// The modules of the program that the session began with.
    pub(super) first: Arc<ProcessModules>,
    pub(super) selectors: Option<String>,
    pub(super) shared: Arc<SharedState>,
    /// Bytes of events that may wait for a frontend.
    pub(super) queue_bytes: usize,
    pub(super) messages: Sender<LiveMessage>,
    pub(super) owner: Mutex<Option<JoinHandle<()>>>,
    pub(super) stopper: Stopper,
    pub(super) reader: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("program", &self.program())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// The process that was chosen, or that stands for all that run the first program. `None` while none
    /// does.
    #[must_use]
    pub fn process(&self) -> Option<Arc<Process>> {
        self.first.process()
    }

    /// The path of the first program, in the view of its processes.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        let modules = self.first.now();
        let main = modules.all().first();
        main.map(|main| main.file.path.clone()).unwrap_or_default()
    }

    /// The selectors, as the user wrote them. `None` if one process was chosen by its id.
    #[must_use]
    pub fn selectors(&self) -> Option<&str> {
        self.selectors.as_deref()
    }

    /// Sends a message and waits for its answer. `None` if the owner has panicked.
    fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> LiveMessage) -> Option<T> {
        let (reply, answer) = reply_channel();
        self.messages.send(message(reply)).ok()?;
        answer.recv().ok()
    }

    fn tell(&self, message: LiveMessage) {
        // The owner ends after this, unless it panicked. Then the panic hook has reported it.
        let _ = self.messages.send(message);
    }

    /// Counts of the processes that the target has forked. `None` if they are not followed.
    #[must_use]
    pub fn followed(&self) -> Option<FollowedProcesses> {
        self.ask(Message::Followed)?
    }

    /// Installs a probe that has been parsed.
    ///
    /// # Errors
    /// See [`Diagnostic`]. Nothing is left attached.
    pub fn install(&self, spec: &ProbeSpec) -> Result<ProbeStatus, Diagnostic> {
        let started = Instant::now();
        let spec = Arc::new(spec.clone());
        let added = self.ask(|reply| Message::Add { spec, reply });
        let status = added.unwrap_or_else(|| Err(Diagnostic::new("the session has failed")))?;
        let took_ms = started.elapsed().as_secs_f64() * 1e3;
        tracing::debug!(sites = status.sites, took_ms, "probe attached");
        Ok(status)
    }

    /// Promises that these are the only probes, which gives each of them more possible places.
    pub fn announce<'p>(&self, specs: impl Iterator<Item = &'p ProbeSpec>) {
        let sites = announced(&self.first.now(), specs).collect();
        self.tell(Message::Announce(sites));
    }

    /// Returns true if the debug information of the first program names its sources.
    #[must_use]
    pub fn has_sources(&self) -> bool {
        has_sources(&self.first.now())
    }

    /// The probes that the session was started with are in, or refused. Processes that were waited for, or that
    /// came meanwhile, are reported now, with the time that was not seen.
    pub fn installed(&self) {
        // The owner may read this later, when the program of `run` has begun.
        let time_ns = monotonic_ns();
        self.tell(Message::Installed { time_ns });
    }

    /// Prepares for spans, if one of these probes makes some. Events of the probes that are installed from
    /// then on tell the span around them.
    pub fn expect<'p>(&self, mut specs: impl Iterator<Item = &'p ProbeSpec>) {
        if specs.any(|spec| spec.action.kind().makes_spans()) {
            self.tell(Message::ExpectSpans);
        }
    }

    /// Leaves a number out, so that the names `p1`, `p2` … of probes that were asked for together
    /// tell their place among these, whichever are refused.
    pub(super) fn skip_number(&self) {
        self.tell(Message::SkipId);
    }

    /// Silences every probe at once; wakes them when all are silent already. True when they are
    /// silent now. Probes that are done stay so.
    pub fn silence_all(&self) -> bool {
        self.ask(Message::SilenceAll).unwrap_or_default()
    }

    /// The removed probes that will have no more events, oldest first, without the first `skip`.
    pub(super) fn removed(&self, skip: usize) -> Vec<Removed> {
        let removed = self.ask(|reply| Message::Removed { skip, reply });
        removed.unwrap_or_default()
    }

    /// The cost of all probes until now, with those that were removed.
    pub(super) fn spending(&self) -> SessionSpending {
        self.ask(Message::Spending).unwrap_or_default()
    }

    /// Subscribes a frontend. The first one gets the notices from before it came.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, subscriber: Subscriber) -> Subscription {
        Subscription::new(Arc::clone(self), subscriber)
    }

    /// The processes that are probed now.
    #[must_use]
    pub fn targets(&self) -> Vec<TargetStatus> {
        self.ask(Message::Targets).unwrap_or_default()
    }

    pub(super) fn remove(&self, id: ProbeId) -> Option<ProbeStatus> {
        self.ask(|reply| Message::Remove { id, reply })?
    }

    pub(super) fn set_enabled(&self, id: ProbeId, enabled: bool) {
        self.ask(|reply| Message::SetEnabled { id, enabled, reply });
    }

    /// All probes. Events that were lost on their way to one frontend are not among the lost ones.
    pub(super) fn probes(&self) -> Vec<ProbeStatus> {
        self.ask(Message::Probes).unwrap_or_default()
    }

    pub(super) fn aggregates(&self) -> Vec<Aggregate> {
        self.ask(Message::Aggregates).unwrap_or_default()
    }

    /// Silences and detaches every probe, and reads the ring to its end. Only the last events
    /// remain to be taken, and the counters are final.
    pub(super) fn finish(&self) -> Vec<ProbeStatus> {
        self.ask(Message::Finish);
        self.shared.end_paging();
        self.stopper.stop();
        if let Some(reader) = lock(&self.reader).take() {
            // A panic of the reader has been reported by the panic hook.
            let _ = reader.join();
        }
        self.ask(Message::ReaderEnded).unwrap_or_default()
    }

    /// The things to probe in the program that the session began with.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        Catalog::of_modules(self.modules())
    }

    pub(super) fn modules(&self) -> Arc<Modules> {
        self.first.now()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.finish();
        self.tell(Message::Stop);
        if let Some(owner) = lock(&self.owner).take() {
            // A panic of the owner has been reported by the panic hook.
            let _ = owner.join();
        }
    }
}
