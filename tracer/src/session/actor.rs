//! The thread that owns a session: its probes, the kernel's side and the targets.
//!
//! Every change of a probe comes here as a [`Message`], so no two changes overlap, and there is no
//! order of locks to know. Another thread does the slow part of adding a probe, which is to resolve
//! and compile it. Its result comes back as [`Message::Planned`]. The result is dropped if the
//! probe was removed in the meantime, and made again if the target has executed a program or moved
//! the module.

mod backend;
mod message;
#[cfg(test)]
mod schedules;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

pub(super) use backend::{Attached, Backend, NewProbe};
pub(super) use message::{Message, Reply, reply_channel};

use super::ProbeStatus;
use super::probes::{Probe, ProbeMap, Stage, Waiting, name_of};
use crate::base::diagnostic::Diagnostic;
use crate::event::ProbeId;
use crate::lang::ast::ProbeSpec;

/// Between two looks at the costs and limits of probes, and at the program that the target executes.
const TICK: Duration = Duration::from_millis(250);

/// Names one plan that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// A plan with a waiting receiver.
enum WantedPlan {
    /// For a probe that is being added.
    New {
        spec: Arc<ProbeSpec>,
        reply: Reply<Result<ProbeStatus, Diagnostic>>,
    },
    /// For a probe that waits.
    Waiting(ProbeId),
    /// For an attached probe, in programs that targets did not run when it was planned.
    More(ProbeId),
}

/// The plan that is being made.
struct Planning {
    ticket: Ticket,
    /// The target's epoch when planning began; see [`Backend::epoch`].
    epoch: u64,
    /// [`Actor::changes`] when it was begun.
    changes: u64,
    wanted: WantedPlan,
}

/// Owns a session.
pub(super) struct Actor<B: Backend> {
    backend: B,
    probes: ProbeMap<B::Placement>,
    /// Plans that are to be made, in order. One is made at a time: each must know where the sites of
    /// the others are.
    wanted: VecDeque<WantedPlan>,
    planning: Option<Planning>,
    last_ticket: u64,
    /// Number of changes found in the target's modules.
    changes: u64,
    /// The session is over: all is detached, and no probe can be attached.
    finished: bool,
}

/// Handles messages until the session is dropped.
pub(super) fn run<B: Backend>(mut actor: Actor<B>, messages: &Receiver<Message<B::Plan>>) {
    let mut ticked = Instant::now();
    loop {
        match messages.recv_timeout(TICK.saturating_sub(ticked.elapsed())) {
            Ok(message) => {
                if actor.handle(message).is_break() {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let passed = ticked.elapsed();
        if passed >= TICK {
            ticked = Instant::now();
            actor.tick(passed);
        }
    }
}

impl<B: Backend> Actor<B> {
    pub(super) fn new(backend: B) -> Self {
        Self {
            backend,
            probes: ProbeMap::default(),
            wanted: VecDeque::new(),
            planning: None,
            last_ticket: 0,
            changes: 0,
            finished: false,
        }
    }

    /// Carries out a message. Breaks when the session is over.
    fn handle(&mut self, message: Message<B::Plan>) -> ControlFlow<()> {
        match message {
            Message::Add { spec, reply } => self.add(spec, reply),
            Message::SkipId => {
                self.probes.next_id();
            }
            Message::Installed { time_ns } => self.backend.installed(&self.probes, time_ns),
            Message::ExpectSpans => self.backend.expect_spans(),
            Message::Announce(sites) => self.backend.announce(sites),
            Message::Remove { id, reply } => {
                let removed = self.remove(id);
                self.answer(reply, removed);
            }
            Message::SetEnabled { id, enabled, reply } => {
                self.set_enabled(id, enabled);
                self.answer(reply, ());
            }
            Message::SilenceAll(reply) => {
                let silent = self.silence_all();
                self.answer(reply, silent);
            }
            Message::Probes(reply) => reply.send(self.statuses()),
            Message::Aggregates(reply) => reply.send(self.backend.aggregates(&self.probes)),
            Message::Removed { skip, reply } => reply.send(self.backend.removed(skip)),
            Message::Planned { ticket, result } => self.planned(ticket, result),
            Message::LibraryLoaded => self.follow_modules(),
            Message::Watch(news) => {
                self.backend.watch_news(&mut self.probes, news);
                self.backend.tell_probes(&self.probes);
            }
            Message::TrapCost(cost) => self.backend.set_trap_cost(cost),
            Message::Forks => self.follow_processes(B::take_forks),
            Message::CgroupsChanged => self.follow_processes(B::cgroups_changed),
            Message::ProcessEnded(process) => {
                self.follow_processes(|backend| backend.process_ended(process));
            }
            Message::Followed(reply) => reply.send(self.backend.followed()),
            Message::Spending(reply) => reply.send(self.backend.spending(&self.probes)),
            Message::Targets(reply) => reply.send(self.backend.targets()),
            Message::Finish(reply) => {
                self.finish();
                self.answer(reply, ());
            }
            Message::ReaderEnded(reply) => {
                self.backend.tidy(false);
                reply.send(self.statuses());
            }
            Message::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Checks for changes that no message announces.
    fn tick(&mut self, passed: Duration) {
        self.backend.tidy(true);
        if self.finished {
            return;
        }
        // This comes first: a probe past its last hit has no other hit in another program.
        self.look_at_limits();
        // A trace has seen a call that it is to follow.
        self.want_more();
        self.plan_next();
        self.follow_processes(B::look_for_processes);
        // A removed probe is not waited for.
        self.backend.tell_programs(&self.probes);
        if !self.follow_exec() {
            self.follow_modules();
        }
        for over in self.backend.spend(&self.probes, passed) {
            self.stop_for_cost(over.probe, over.to_string());
        }
        self.backend.tell_probes(&self.probes);
    }

    /// Answers a request that changes probes. Whoever has the answer has the new state of the probes,
    /// too, or can take it.
    fn answer<T>(&self, reply: Reply<T>, answer: T) {
        self.backend.tell_probes(&self.probes);
        reply.send(answer);
    }

    fn statuses(&self) -> Vec<ProbeStatus> {
        let probes = self.probes.iter();
        let mut statuses: Vec<ProbeStatus> =
            probes.map(|probe| self.backend.status(probe)).collect();
        self.backend.add_processes(&self.probes, &mut statuses);
        statuses
    }
}

/// Adding: from a text's meaning to sites in the target.
impl<B: Backend> Actor<B> {
    fn add(&mut self, spec: Arc<ProbeSpec>, reply: Reply<Result<ProbeStatus, Diagnostic>>) {
        if self.finished {
            reply.send(Err(Diagnostic::new("the session has ended")));
            return;
        }
        self.wanted.push_back(WantedPlan::New { spec, reply });
        self.plan_next();
    }

    /// Begins to make the next plan, unless one is being made.
    fn plan_next(&mut self) {
        while self.planning.is_none()
            && !self.finished
            && let Some(wanted) = self.wanted.pop_front()
        {
            let (spec, attached) = match &wanted {
                WantedPlan::New { spec, .. } => (Arc::clone(spec), None),
                WantedPlan::Waiting(id) => {
                    let Some(probe) = self.probes.waiting(*id) else {
                        continue;
                    };
                    (Arc::clone(&probe.spec), None)
                }
                WantedPlan::More(id) => {
                    let Some(probe) = self.probes.get(*id) else {
                        continue;
                    };
                    let Some(placement) = probe.placement() else {
                        continue;
                    };
                    (Arc::clone(&probe.spec), Some(placement))
                }
            };
            self.last_ticket += 1;
            let ticket = Ticket(self.last_ticket);
            self.backend.begin_plan(ticket, spec, attached);
            self.planning = Some(Planning {
                ticket,
                epoch: self.backend.epoch(),
                changes: self.changes,
                wanted,
            });
        }
    }

    /// A plan has been made, or cannot be.
    fn planned(&mut self, ticket: Ticket, result: Result<B::Plan, Diagnostic>) {
        let Some(planning) = self.planning.take_if(|planning| planning.ticket == ticket) else {
            return;
        };
        // It may be for the program that the target executed before, or for a place that the module has
        // left. It may have failed for want of a module that is there now.
        let is_outdated = planning.epoch != self.backend.epoch()
            || match &result {
                Ok(plan) => self.backend.is_outdated(plan),
                Err(_) => planning.changes != self.changes,
            };
        if is_outdated {
            self.wanted.push_front(planning.wanted);
        } else {
            match planning.wanted {
                WantedPlan::New { spec, reply } => {
                    let added = self.added(spec, result);
                    self.answer(reply, added);
                }
                WantedPlan::Waiting(id) => {
                    self.place(id, result);
                    self.backend.tell_probes(&self.probes);
                }
                WantedPlan::More(id) => {
                    if let Some(probe) = self.probes.get_mut(id) {
                        self.backend.attach_more(probe, result);
                        self.backend.tell_probes(&self.probes);
                        self.backend.tell_programs(&self.probes);
                    }
                }
            }
            self.want_more();
        }
        self.plan_next();
    }

    /// Has plans made for the attached probes that lack sites in a program of the targets.
    fn want_more(&mut self) {
        let is_wanted = |id: ProbeId| {
            let is_it = |wanted: &WantedPlan| matches!(wanted, WantedPlan::More(of) if *of == id);
            let planning = self.planning.iter().map(|planning| &planning.wanted);
            self.wanted.iter().chain(planning).any(is_it)
        };
        let lacks = |probe: &&Probe<B::Placement>| {
            probe
                .placement()
                .is_some_and(|placement| self.backend.lacks_programs(placement))
        };
        let lacking = self.probes.iter().filter(lacks).map(|probe| probe.id);
        let lacking: Vec<ProbeId> = lacking.filter(|&id| !is_wanted(id)).collect();
        self.wanted
            .extend(lacking.into_iter().map(WantedPlan::More));
    }

    /// Takes news of processes. Targets may run programs now that no probe has sites in.
    fn follow_processes(&mut self, news: impl FnOnce(&mut B) -> bool) {
        if !news(&mut self.backend) || self.finished {
            return;
        }
        self.backend.tell_programs(&self.probes);
        self.want_more();
        self.plan_waiting();
    }

    /// Attaches a new probe, or has it wait for the module that it names.
    fn added(
        &mut self,
        spec: Arc<ProbeSpec>,
        plan: Result<B::Plan, Diagnostic>,
    ) -> Result<ProbeStatus, Diagnostic> {
        let plan = match (plan, self.backend.absent_module(&spec)) {
            (Ok(plan), _) => plan,
            (Err(_), Some(note)) => return Ok(self.add_waiting(spec, note)),
            (Err(error), None) => return Err(error),
        };
        let id = self.probes.next_id();
        let new = NewProbe {
            id,
            name: &name_of(&spec, id),
            spec: &spec,
        };
        let Attached { placement, notes } = self.backend.attach(&new, plan)?;
        let probe = Probe::new(id, spec, Stage::Attached(placement), notes);
        let status = self.backend.status(&probe);
        self.probes.insert(probe);
        Ok(status)
    }

    fn add_waiting(&mut self, spec: Arc<ProbeSpec>, note: String) -> ProbeStatus {
        let id = self.probes.next_id();
        let waiting = Stage::Waiting(Waiting {
            anew: false,
            planned: false,
        });
        let probe = Probe::new(id, spec, waiting, vec![note]);
        let status = self.backend.status(&probe);
        self.probes.insert(probe);
        self.backend.watch_loader();
        status
    }

    /// Attaches a probe that waited, by the plan that was made for it.
    fn place(&mut self, id: ProbeId, plan: Result<B::Plan, Diagnostic>) {
        let Some(probe) = self.probes.waiting(id) else {
            // It was removed meanwhile.
            return;
        };
        let Stage::Waiting(waiting) = &mut probe.stage else {
            return;
        };
        waiting.planned = false;
        let anew = waiting.anew;
        let new = NewProbe {
            id,
            name: &probe.name,
            spec: &probe.spec,
        };
        match plan.and_then(|plan| self.backend.attach(&new, plan)) {
            Ok(Attached { placement, notes }) => {
                probe.stage = Stage::Attached(placement);
                probe.notes = notes;
                let enabled = std::mem::replace(&mut probe.enabled, true);
                if !enabled {
                    self.backend.switch(probe, false);
                }
                self.backend.placed(probe, anew);
            }
            Err(error) => {
                let note = with_hint(&error);
                // Reported once, not at each attempt.
                if probe.notes.first() != Some(&note) {
                    self.backend.warn(format!("{}: {note}", probe.name));
                    probe.notes = vec![note];
                }
            }
        }
    }
}

fn with_hint(error: &Diagnostic) -> String {
    match &error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message.clone(),
    }
}

/// Changes that the user requests.
impl<B: Backend> Actor<B> {
    fn remove(&mut self, id: ProbeId) -> Option<ProbeStatus> {
        let probe = self.probes.remove(id)?;
        let status = self.backend.status(&probe);
        Some(match probe.stage {
            Stage::Waiting(_) => status,
            Stage::Attached(placement) => self.backend.take_out(status, placement),
        })
    }

    /// Silences or wakes a probe. A finished probe starts again when it is woken.
    fn set_enabled(&mut self, id: ProbeId, enabled: bool) {
        let Some(probe) = self.probes.get_mut(id) else {
            return;
        };
        let Some(placement) = probe.placement() else {
            // It is attached in this state.
            probe.enabled = enabled;
            return;
        };
        if self.finished || (probe.done.is_some() && !enabled) {
            return;
        }
        if enabled && self.backend.is_stale(placement) {
            probe.enabled = true;
            self.place_again(&[id]);
            return;
        }
        self.backend.switch(probe, enabled);
    }

    /// Silences every probe that is not done, or wakes them when all are silent. True when they are
    /// silent now.
    fn silence_all(&mut self) -> bool {
        let live = self.probes.iter().filter(|probe| probe.done.is_none());
        let live: Vec<(ProbeId, bool)> = live.map(|probe| (probe.id, probe.enabled)).collect();
        let silence = live.iter().any(|(_, enabled)| *enabled);
        for (id, _) in live {
            self.set_enabled(id, !silence);
        }
        silence
    }

    /// Takes every probe out for good.
    fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.look_at_limits();
        }
        let planning = self.planning.take().map(|planning| planning.wanted);
        for wanted in planning.into_iter().chain(self.wanted.drain(..)) {
            if let WantedPlan::New { reply, .. } = wanted {
                reply.send(Err(Diagnostic::new("the session has ended")));
            }
        }
        self.backend.end(&mut self.probes);
    }
}

/// Changes that happen by themselves.
impl<B: Backend> Actor<B> {
    /// Takes out the probes that have had their last hit.
    fn look_at_limits(&mut self) {
        self.backend.look_at_limits(&mut self.probes);
    }

    /// Places every probe again if the target has executed another program, or the same one again.
    /// Returns true if it has.
    fn follow_exec(&mut self) -> bool {
        if !self.backend.follow_exec() {
            return false;
        }
        self.place_anew(|_, _| true);
        self.plan_waiting();
        let waits = |probe: &Probe<B::Placement>| {
            probe.is_waiting() && self.backend.absent_module(&probe.spec).is_some()
        };
        if self.probes.iter().any(waits) {
            self.backend.watch_loader();
        }
        true
    }

    /// Attaches the probes whose modules are now loaded. Places a probe again if its module has
    /// moved.
    fn follow_modules(&mut self) {
        if self.finished || !self.backend.follow_modules(&self.probes) {
            return;
        }
        self.changes += 1;
        self.backend.tell_moved(&mut self.probes);
        self.place_anew(B::has_moved);
        self.plan_waiting();
        self.backend.tell_probes(&self.probes);
    }

    /// Has plans made for the probes that wait for modules that are there now.
    fn plan_waiting(&mut self) {
        for id in self.probes.idle() {
            self.want_plan(id);
        }
        self.plan_next();
    }

    /// Has a plan made for a probe that waits, if its module is there.
    fn want_plan(&mut self, id: ProbeId) {
        let Some(probe) = self.probes.get_mut(id) else {
            return;
        };
        if self.backend.absent_module(&probe.spec).is_none()
            && let Stage::Waiting(waiting) = &mut probe.stage
        {
            waiting.planned = true;
            self.wanted.push_back(WantedPlan::Waiting(id));
        }
    }

    /// Places probes again. A finished probe stays finished, and is placed again when it is woken.
    fn place_anew(&mut self, which: impl Fn(&B, &B::Placement) -> bool) {
        self.look_at_limits();
        let mut displaced = Vec::new();
        for probe in self.probes.iter_mut() {
            let (id, is_done) = (probe.id, probe.done.is_some());
            if let Some(placement) = probe.placement_mut()
                && which(&self.backend, placement)
            {
                match is_done {
                    false => displaced.push(id),
                    true => self.backend.set_stale(placement),
                }
            }
        }
        self.place_again(&displaced);
    }

    /// Takes probes out and has plans made for where their locations are now. They keep their ids.
    fn place_again(&mut self, ids: &[ProbeId]) {
        for &id in ids {
            let Some(probe) = self.probes.get(id) else {
                continue;
            };
            let status = self.backend.status(probe);
            let Some(placement) = self.probes.displace(id) else {
                continue;
            };
            self.backend.take_out(status, placement);
            let Some(probe) = self.probes.get_mut(id) else {
                continue;
            };
            probe.notes = Vec::new();
            if let Some(note) = self.backend.absent_module(&probe.spec) {
                self.backend.warn(format!("{}: {note}", probe.name));
                probe.notes = vec![note];
            }
            self.want_plan(id);
        }
        self.plan_next();
    }

    /// Silences a probe that costs too much, and reports it.
    fn stop_for_cost(&mut self, id: ProbeId, note: String) {
        let is_live = |probe: &&mut Probe<B::Placement>| probe.enabled && !probe.is_waiting();
        let Some(probe) = self.probes.get_mut(id).filter(is_live) else {
            return;
        };
        self.backend.switch(probe, false);
        self.backend.warn(format!("{}: {note}", probe.name));
        // Newest first, since a row of a table shows only one.
        probe.notes.insert(0, note);
    }
}
