//! An assistant's part of a session: its probes within the limits, its events, and the emergency stop.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::diagnostic::Diagnostic;
use crate::event::ProbeId;
use crate::mcp::kept::KeptEvents;
use crate::mcp::limits::ENDED_PROBES;
use crate::mcp::recordings::NamedRecording;
use crate::mcp::sandbox::{AdmittedProbe, Sandbox};
use crate::session::{
    Catalog, Control, Notice, ProbeStatus, Session, SessionOptions, Subscriber, percent,
};

/// Time that a probe may outlive its end before it is removed: the session ends it by itself before.
const GRACE: Duration = Duration::from_millis(500);
/// Notices that are taken at a time.
const NOTICES: usize = 1 << 10;

/// The session of one server. All clients of the server share it.
pub(super) struct AssistantSession {
    session: Arc<Session>,
    pub(super) control: Arc<dyn Control>,
    pub(super) options: SessionOptions,
    pub(super) sandbox: Sandbox,
    pub(super) kept: KeptEvents,
    pub(super) recordings: Vec<NamedRecording>,
    /// No probe may be added any more.
    stopped: AtomicBool,
    owned: Mutex<OwnedProbes>,
}

/// The probes that live, and the places of those that are being added.
#[derive(Debug, Default)]
struct OwnedProbes {
    /// The end of each probe's life.
    ends: BTreeMap<ProbeId, Instant>,
    /// Each with the name that was asked for.
    being_added: Vec<Option<String>>,
}

/// A probe that was added.
#[derive(Debug)]
pub(super) struct AddedProbe {
    pub(super) status: ProbeStatus,
    pub(super) lowered: Vec<String>,
    pub(super) life: Duration,
}

impl AssistantSession {
    pub(super) fn new(
        session: Arc<Session>,
        options: SessionOptions,
        sandbox: Sandbox,
        recordings: Vec<NamedRecording>,
    ) -> Self {
        let control = Arc::new(session.subscribe(Subscriber {
            capacity: 0,
            patient: true,
            wants_probes: false,
            skips_events: false,
        }));
        Self {
            session,
            control,
            options,
            sandbox,
            kept: KeptEvents::default(),
            recordings,
            stopped: AtomicBool::new(false),
            owned: Mutex::default(),
        }
    }

    /// The things to probe in the program, as it is now.
    pub(super) fn catalog(&self) -> Catalog {
        let catalog = self.session.catalog();
        catalog.expect_question();
        catalog
    }

    /// A process that has the program's modules mapped.
    pub(super) fn process(&self) -> Option<u32> {
        let process = self.session.process();
        let running = process.filter(|process| process.is_alive());
        running.map(|process| process.pid())
    }

    fn owned(&self) -> MutexGuard<'_, OwnedProbes> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true after the emergency stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Adds a probe within the limits.
    pub(super) fn add(&self, text: &str) -> Result<AddedProbe, Diagnostic> {
        self.refuse_stopped()?;
        let AdmittedProbe { spec, lowered } = self.sandbox.admit(text)?;
        self.refuse_overspent()?;
        let name = &spec.options.name;
        self.reserve(name.as_ref())?;
        self.catalog();
        let added = self.control.add_spec(&spec);
        let life = spec.options.ttl.unwrap_or(self.sandbox.ttl);
        let mut owned = self.owned();
        if let Some(place) = owned.being_added.iter().position(|one| one == name) {
            owned.being_added.swap_remove(place);
        }
        let status = added?;
        owned.ends.insert(status.id, Instant::now() + life);
        drop(owned);
        self.kept.wake();
        if let Err(stopped) = self.refuse_stopped() {
            // The stop came while the probe was being attached.
            self.remove(status.id);
            return Err(stopped);
        }
        Ok(AddedProbe {
            status,
            lowered,
            life,
        })
    }

    fn refuse_stopped(&self) -> Result<(), Diagnostic> {
        match self.is_stopped() {
            false => Ok(()),
            true => Err(Diagnostic::new(
                "everything was stopped: this server adds no probes any more",
            )),
        }
    }

    /// Refuses a probe until time has paid for those before it. A probe that was ended for its cost would only be
    /// added again otherwise.
    fn refuse_overspent(&self) -> Result<(), Diagnostic> {
        let wait = self.control.spending().wait;
        if wait.is_zero() {
            return Ok(());
        }
        let limit = percent(self.sandbox.cpus);
        let seconds = wait.as_secs_f64().ceil();
        Err(Diagnostic::new(format!(
            "the probes until now have cost the program more than {limit}% of a CPU, which is the limit"
        ))
        .hint(format!(
            "try again in {seconds} s, with a probe that is hit less often"
        )))
    }

    /// Takes a place for a probe, if one is free, and its name.
    fn reserve(&self, name: Option<&String>) -> Result<(), Diagnostic> {
        let mut owned = self.owned();
        let probes = self.control.probes();
        let live = probes.iter().filter(|probe| is_live(probe));
        if let Some(name) = name {
            let adding = owned.being_added.iter().flatten();
            let mut taken = live.clone().map(|probe| &probe.name).chain(adding);
            if taken.any(|taken| taken == name) || is_given(name) {
                return Err(
                    Diagnostic::new(format!("another probe may have the name `{name}`"))
                        .hint("answers identify probes by their names"),
                );
            }
        }
        let most = self.sandbox.probes;
        if live.count() + owned.being_added.len() >= most {
            return Err(
                Diagnostic::new(format!("there are {most} probes, which is the limit"))
                    .hint("remove one, or wait until one has ended"),
            );
        }
        owned.being_added.push(name.cloned());
        drop(owned);
        let ended = probes.iter().filter(|probe| !is_live(probe));
        let ended: Vec<ProbeId> = ended.map(|probe| probe.id).collect();
        for &oldest in ended.iter().rev().skip(ENDED_PROBES) {
            self.remove(oldest);
        }
        Ok(())
    }

    /// Removes a probe. Returns its last state.
    pub(super) fn remove(&self, probe: ProbeId) -> Option<ProbeStatus> {
        let removed = self.control.remove(probe);
        self.owned().ends.remove(&probe);
        removed
    }

    /// The time that a probe has left.
    pub(super) fn left(&self, probe: ProbeId) -> Option<Duration> {
        let end = self.owned().ends.get(&probe).copied()?;
        Some(end.saturating_duration_since(Instant::now()))
    }

    /// The emergency stop: removes all probes at once, and refuses others from now on. Returns their last states.
    pub(super) fn stop(&self) -> Vec<ProbeStatus> {
        self.stopped.store(true, Ordering::SeqCst);
        let probes = self.control.probes();
        // If none was enabled, this would wake them.
        if probes.iter().any(|probe| probe.enabled) && !self.control.silence_all() {
            self.control.silence_all();
        }
        let removed = probes.iter().filter_map(|probe| self.remove(probe.id));
        removed.collect()
    }

    /// Removes the probes whose life is over. Returns the time of the next end.
    fn end_lives(&self) -> Option<Instant> {
        let now = Instant::now();
        let over: Vec<ProbeId> = {
            let owned = self.owned();
            let ends = owned.ends.iter();
            let over = ends.filter(|&(_, &end)| end + GRACE <= now);
            over.map(|(&probe, _)| probe).collect()
        };
        if !over.is_empty() {
            let probes = self.control.probes();
            for probe in over {
                let ended = probes
                    .iter()
                    .any(|one| one.id == probe && one.done.is_some());
                if ended {
                    self.owned().ends.remove(&probe);
                } else {
                    self.remove(probe);
                }
            }
        }
        self.owned().ends.values().min().map(|&end| end + GRACE)
    }

    /// Takes the notices of the session, and ends the lives of probes, until the session is over.
    pub(super) async fn pump(&self) {
        loop {
            let next = self.end_lives();
            let sleep = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.control.notices_ready() => {}
                () = self.kept.woken() => {}
                () = sleep => {}
            }
            for notice in self.control.take_notices(NOTICES) {
                self.take(notice);
            }
        }
    }

    fn take(&self, notice: Notice) {
        match notice {
            Notice::Event(event) => self.kept.add(event),
            Notice::Warning(text) | Notice::Note(text) => self.kept.note(text),
            Notice::Limited(limited) => self.kept.note(limited.to_string()),
            Notice::Done(done) => self.kept.note(done.to_string()),
            Notice::TargetCame(target) => {
                self.kept
                    .note(format!("process {} is a target", target.pid));
            }
            Notice::TargetLeft(target) => {
                self.kept
                    .note(format!("process {} is not a target any more", target.pid));
            }
            Notice::TargetExited(code) => {
                self.kept.note(match code {
                    Some(code) => format!("the last target exited with code {code}"),
                    None => "the last target exited".to_owned(),
                });
                self.kept.end();
            }
            Notice::TargetStopped { .. } | Notice::Probes(_) => {}
        }
    }
}

/// Returns true for a name as probes without one get it, such as `p7`.
fn is_given(name: &str) -> bool {
    let number = name.strip_prefix('p').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// A probe that may have more hits.
pub(super) fn is_live(probe: &ProbeStatus) -> bool {
    probe.done.is_none() && probe.enabled
}
