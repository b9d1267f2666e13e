//! Random schedules of commands and of events outside their control: loads, unloads and moves of
//! modules, `exec`, last hits, costs, and late plans.
//!
//! The backend here attaches nothing, but notes what it would have attached. Each step compares its
//! notes with the owner's probes. At rest, they are also compared with the commands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;
use crate::actions::parse_probe;
use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::event::{Aggregate, Counters, Done, DoneReason, TargetStatus};
use crate::kernel::TrapCost;
use crate::session::live::budget::Over;
use crate::session::reader::objects::WatchNews;
use crate::session::{Cost, FollowedProcesses, Removed, SessionSpending};

/// Schedules of one run.
const SCHEDULES: u32 = 10_000;
/// Steps of the longest one.
const STEPS: usize = 32;
/// Libraries that probes name. A probe that names none is the executable's, which is always there.
const LIBRARIES: [&str; 2] = ["liba.so", "libb.so"];

/// One thing that happens.
#[derive(Clone, Debug)]
enum ScheduleStep {
    /// A probe is added, of a library or of the executable.
    Add(Option<usize>),
    /// A probe is removed: one of those that there were, by number.
    Remove(usize),
    /// A probe is woken or silenced.
    Enable(usize, bool),
    SilenceAll,
    /// A library is loaded, or loaded at another address; the linker's probe tells.
    Load(usize),
    /// A library is loaded, and nobody tells before the next tick.
    LoadUntold(usize),
    Unload(usize),
    Exec,
    /// A plan that is under way is made, of the modules as they are now.
    Compute,
    /// It comes back; made now, unless it was before.
    Deliver,
    /// The kernel refuses the next probe.
    Refuse,
    /// A probe has its last hit.
    LastHit(usize),
    /// A probe costs too much.
    Costs(usize),
    Tick,
}

fn step() -> impl Strategy<Value = ScheduleStep> {
    let probe = 0..6_usize;
    let library = 0..LIBRARIES.len();
    prop_oneof![
        4 => proptest::option::of(library.clone()).prop_map(ScheduleStep::Add),
        2 => probe.clone().prop_map(ScheduleStep::Remove),
        3 => (probe.clone(), any::<bool>()).prop_map(|(probe, on)| ScheduleStep::Enable(probe, on)),
        1 => Just(ScheduleStep::SilenceAll),
        2 => library.clone().prop_map(ScheduleStep::Load),
        1 => library.clone().prop_map(ScheduleStep::LoadUntold),
        1 => library.prop_map(ScheduleStep::Unload),
        1 => Just(ScheduleStep::Exec),
        4 => Just(ScheduleStep::Compute),
        6 => Just(ScheduleStep::Deliver),
        1 => Just(ScheduleStep::Refuse),
        1 => probe.clone().prop_map(ScheduleStep::LastHit),
        1 => probe.prop_map(ScheduleStep::Costs),
        3 => Just(ScheduleStep::Tick),
    ]
}

/// The address of a module; each mapping has a new number.
type Mapping = u32;

/// Sites that would be in the target.
#[derive(Debug)]
struct FakeSites {
    number: u64,
    library: Option<String>,
    mapping: Mapping,
    program: u64,
    stale: bool,
}

/// The input of a plan.
struct FakePlan {
    library: Option<String>,
    mapping: Mapping,
    /// Number of the program that the target executed.
    program: u64,
}

/// A plan that is under way.
struct FakeJob {
    ticket: Ticket,
    spec: Arc<ProbeSpec>,
    /// The finished plan. `None` if it is not made yet.
    result: Option<Result<FakePlan, Diagnostic>>,
}

#[derive(Debug)]
struct InTarget {
    probe: ProbeId,
    on: bool,
}

#[derive(Default)]
struct FakeBackend {
    epoch: u64,
    /// Programs that the target has executed.
    program: u64,
    executed: bool,
    mappings: BTreeMap<String, Mapping>,
    last_mapping: Mapping,
    have_changed: bool,
    job: Option<FakeJob>,
    in_target: BTreeMap<u64, InTarget>,
    last_sites: u64,
    refuses: bool,
    last_hits: BTreeSet<ProbeId>,
    costly: BTreeSet<ProbeId>,
    ended: bool,
}

impl FakeBackend {
    fn map(&mut self, library: usize) {
        self.last_mapping += 1;
        self.mappings
            .insert(LIBRARIES[library].to_owned(), self.last_mapping);
        self.have_changed = true;
    }

    /// Makes the plan that is under way, unless it is made already.
    fn compute(&mut self) {
        let Some(mut job) = self.job.take() else {
            return;
        };
        let library = job.spec.location.module.clone();
        let planned = || match self.mapping_of(library.as_ref()) {
            Some(mapping) => Ok(FakePlan {
                library: library.clone(),
                mapping,
                program: self.program,
            }),
            None => Err(Diagnostic::new("no such module")),
        };
        job.result.get_or_insert_with(planned);
        self.job = Some(job);
    }

    fn mapping_of(&self, library: Option<&String>) -> Option<Mapping> {
        match library {
            None => Some(0),
            Some(library) => self.mappings.get(library).copied(),
        }
    }
}

impl Backend for FakeBackend {
    type Plan = FakePlan;
    type Placement = FakeSites;

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn is_outdated(&self, plan: &FakePlan) -> bool {
        let now = self.mapping_of(plan.library.as_ref());
        now.is_some_and(|now| now != plan.mapping)
    }

    fn absent_module(&self, spec: &ProbeSpec) -> Option<String> {
        let module = spec.location.module.as_ref()?;
        (!self.mappings.contains_key(module)).then(|| "waits".to_owned())
    }

    fn lacks_programs(&self, _: &FakeSites) -> bool {
        false
    }

    fn attach_more(&mut self, _: &mut Probe<FakeSites>, _: Result<FakePlan, Diagnostic>) {}

    fn look_for_processes(&mut self) -> bool {
        false
    }

    fn cgroups_changed(&mut self) -> bool {
        false
    }

    fn begin_plan(&mut self, ticket: Ticket, spec: Arc<ProbeSpec>, _: Option<&FakeSites>) {
        assert!(self.job.is_none(), "plans are made one at a time");
        self.job = Some(FakeJob {
            ticket,
            spec,
            result: None,
        });
    }

    fn attach(
        &mut self,
        new: &NewProbe<'_>,
        plan: FakePlan,
    ) -> Result<Attached<FakeSites>, Diagnostic> {
        assert!(!self.ended, "attached behind the end");
        if std::mem::take(&mut self.refuses) {
            return Err(Diagnostic::new("refused"));
        }
        let others = self.in_target.values();
        assert!(
            others.clone().all(|one| one.probe != new.id),
            "attached twice"
        );
        self.last_sites += 1;
        self.in_target.insert(
            self.last_sites,
            InTarget {
                probe: new.id,
                on: true,
            },
        );
        let placement = FakeSites {
            number: self.last_sites,
            library: plan.library,
            mapping: plan.mapping,
            program: plan.program,
            stale: false,
        };
        Ok(Attached {
            placement,
            notes: Vec::new(),
        })
    }

    fn take_out(&mut self, status: ProbeStatus, placement: FakeSites) -> ProbeStatus {
        let gone = self.in_target.remove(&placement.number);
        assert_eq!(gone.map(|gone| gone.probe), Some(status.id));
        status
    }

    fn switch(&mut self, probe: &mut Probe<FakeSites>, enabled: bool) {
        let sites = probe.placement().expect("attached");
        assert!(
            !(enabled && sites.stale),
            "woken at a place that it has left"
        );
        self.in_target.get_mut(&sites.number).expect("attached").on = enabled;
        probe.enabled = enabled;
        if enabled {
            probe.done = None;
        }
    }

    fn placed(&mut self, _: &Probe<FakeSites>, _: bool) {}

    fn status(&self, probe: &Probe<FakeSites>) -> ProbeStatus {
        ProbeStatus {
            id: probe.id,
            name: probe.name.clone(),
            text: String::new(),
            file: Arc::default(),
            line: 0,
            function: String::new(),
            sites: u32::from(!probe.is_waiting()),
            placement: None,
            enabled: probe.enabled,
            done: probe.done,
            counters: Counters::default(),
            cost: Cost::default(),
            notes: probe.notes.clone(),
            processes: Vec::new(),
            undelivered: 0,
        }
    }

    fn add_processes(&self, _: &ProbeMap<FakeSites>, _: &mut [ProbeStatus]) {}

    fn aggregates(&self, _: &ProbeMap<FakeSites>) -> Vec<Aggregate> {
        Vec::new()
    }

    fn removed(&self, _: usize) -> Vec<Removed> {
        Vec::new()
    }

    fn tidy(&mut self, _: bool) {}

    fn announce(&mut self, _: Vec<(PathBuf, LinkAddr)>) {}
    fn expect_spans(&mut self) {}
    fn installed(&mut self, _: &ProbeMap<FakeSites>, _: u64) {}

    fn watch_loader(&mut self) {}

    fn look_at_limits(&mut self, probes: &mut ProbeMap<FakeSites>) {
        for id in std::mem::take(&mut self.last_hits) {
            let Some(probe) = probes.get_mut(id) else {
                continue;
            };
            let Some(sites) = probe.placement().map(|sites| sites.number) else {
                continue;
            };
            if probe.done.is_none() {
                self.in_target.get_mut(&sites).expect("attached").on = false;
                probe.enabled = false;
                probe.done = Some(Done {
                    reason: DoneReason::Hits(1),
                    time_ns: 0,
                });
            }
        }
    }

    fn follow_exec(&mut self) -> bool {
        let executed = std::mem::take(&mut self.executed);
        self.epoch += u64::from(executed);
        executed
    }

    fn follow_modules(&mut self, _: &ProbeMap<FakeSites>) -> bool {
        std::mem::take(&mut self.have_changed)
    }

    fn tell_moved(&mut self, _: &mut ProbeMap<FakeSites>) {}

    fn has_moved(&self, placement: &FakeSites) -> bool {
        let now = self.mapping_of(placement.library.as_ref());
        now.is_some_and(|now| now != placement.mapping)
    }

    fn set_stale(&self, placement: &mut FakeSites) {
        placement.stale = true;
    }

    fn is_stale(&self, placement: &FakeSites) -> bool {
        placement.stale
    }

    fn spending(&self, _: &ProbeMap<FakeSites>) -> SessionSpending {
        SessionSpending::default()
    }

    fn spend(&mut self, _: &ProbeMap<FakeSites>, _: Duration) -> Vec<Over> {
        let over = |probe| Over {
            probe,
            share: 1.0,
            limit: 0.1,
            together: false,
        };
        std::mem::take(&mut self.costly)
            .into_iter()
            .map(over)
            .collect()
    }

    fn watch_news(&mut self, _: &mut ProbeMap<Self::Placement>, _: WatchNews) {}

    fn set_trap_cost(&mut self, _: Option<TrapCost>) {}

    fn take_forks(&mut self) -> bool {
        false
    }

    fn process_ended(&mut self, _: u64) -> bool {
        false
    }

    fn tell_programs(&mut self, _: &ProbeMap<FakeSites>) {}

    fn followed(&self) -> Option<FollowedProcesses> {
        None
    }

    fn targets(&self) -> Vec<TargetStatus> {
        Vec::new()
    }

    fn end(&mut self, _: &mut ProbeMap<FakeSites>) {
        self.ended = true;
        self.in_target.values_mut().for_each(|one| one.on = false);
    }

    fn tell_probes(&self, _: &ProbeMap<FakeSites>) {}

    fn warn(&self, _: String) {}
}

/// A pending answer to `add`.
type Adding = Receiver<Result<ProbeStatus, Diagnostic>>;

/// A session, and the state that its user expects.
struct Schedule {
    actor: Actor<FakeBackend>,
    adding: Vec<Adding>,
    /// True for each probe that its last command or event leaves enabled.
    expected: BTreeMap<ProbeId, bool>,
    removed: BTreeSet<ProbeId>,
    /// The kernel has refused a probe.
    refused: bool,
}

impl Schedule {
    fn new() -> Self {
        Self {
            actor: Actor::new(FakeBackend::default()),
            adding: Vec::new(),
            expected: BTreeMap::new(),
            removed: BTreeSet::new(),
            refused: false,
        }
    }

    /// The probe with that number among those that there are.
    fn probe(&self, number: usize) -> Option<ProbeId> {
        let all: Vec<ProbeId> = self.expected.keys().copied().collect();
        all.get(number % all.len().max(1)).copied()
    }

    fn send(&mut self, message: Message<FakePlan>) {
        let flow = self.actor.handle(message);
        assert_eq!(flow, ControlFlow::Continue(()));
    }

    fn add(&mut self, library: Option<usize>) {
        let text = match library {
            Some(library) => format!("log {}!f", LIBRARIES[library]),
            None => "log f".to_owned(),
        };
        let spec = Arc::new(parse_probe(&text).expect("a probe"));
        let (reply, answer) = reply_channel();
        self.adding.push(answer);
        self.send(Message::Add { spec, reply });
    }

    fn remove(&mut self, number: usize) {
        let Some(id) = self.probe(number) else { return };
        let (reply, answer) = reply_channel();
        self.send(Message::Remove { id, reply });
        assert!(
            answer.recv().expect("an answer").is_some(),
            "{id} was there"
        );
        self.expected.remove(&id);
        self.removed.insert(id);
    }

    fn enable(&mut self, number: usize, enabled: bool) {
        let Some(id) = self.probe(number) else { return };
        let (reply, answer) = reply_channel();
        self.send(Message::SetEnabled { id, enabled, reply });
        answer.recv().expect("an answer");
        // A probe that is done either stays silent or starts again.
        self.expected.insert(id, enabled);
    }

    fn silence_all(&mut self) {
        let live = |id: &ProbeId| {
            let probe = self.actor.probes.get(*id).expect("a probe");
            probe.done.is_none()
        };
        let live: Vec<ProbeId> = self.expected.keys().copied().filter(live).collect();
        let silence = live.iter().any(|id| self.expected[id]);
        let (reply, answer) = reply_channel();
        self.send(Message::SilenceAll(reply));
        assert_eq!(answer.recv(), Ok(silence));
        self.expected
            .extend(live.into_iter().map(|id| (id, !silence)));
    }

    /// The plan that is under way comes back; false when there is none.
    fn deliver(&mut self) -> bool {
        self.actor.backend.compute();
        let Some(job) = self.actor.backend.job.take() else {
            return false;
        };
        self.send(Message::Planned {
            ticket: job.ticket,
            result: job.result.expect("it was just made"),
        });
        true
    }

    fn tick(&mut self) {
        let hits: Vec<ProbeId> = self.actor.backend.last_hits.iter().copied().collect();
        let costly = self.actor.backend.costly.clone();
        let attached = |schedule: &Self, id: ProbeId| {
            let probe = schedule.actor.probes.get(id);
            probe.is_some_and(|probe| !probe.is_waiting() && probe.done.is_none())
        };
        for id in hits {
            if attached(self, id) {
                self.expected.insert(id, false);
            }
        }
        self.actor.tick(Duration::from_millis(250));
        for id in costly {
            if attached(self, id) {
                self.expected.insert(id, false);
            }
        }
    }

    fn take(&mut self, step: &ScheduleStep) {
        match *step {
            ScheduleStep::Add(library) => self.add(library),
            ScheduleStep::Remove(number) => self.remove(number),
            ScheduleStep::Enable(number, enabled) => self.enable(number, enabled),
            ScheduleStep::SilenceAll => self.silence_all(),
            ScheduleStep::Load(library) => {
                self.actor.backend.map(library);
                self.hits_behind();
                self.send(Message::LibraryLoaded);
            }
            ScheduleStep::LoadUntold(library) => self.actor.backend.map(library),
            ScheduleStep::Unload(library) => {
                let backend = &mut self.actor.backend;
                backend.mappings.remove(LIBRARIES[library]);
                backend.have_changed = true;
            }
            ScheduleStep::Exec => {
                let backend = &mut self.actor.backend;
                backend.executed = true;
                backend.program += 1;
                backend.mappings.clear();
            }
            ScheduleStep::Compute => self.actor.backend.compute(),
            ScheduleStep::Deliver => {
                self.deliver();
            }
            ScheduleStep::Refuse => {
                self.actor.backend.refuses = true;
                self.refused = true;
            }
            ScheduleStep::LastHit(number) => {
                let probe = self.probe(number);
                self.actor.backend.last_hits.extend(probe);
            }
            ScheduleStep::Costs(number) => {
                let probe = self.probe(number);
                self.actor.backend.costly.extend(probe);
            }
            ScheduleStep::Tick => self.tick(),
        }
        self.take_answers();
    }

    /// Last hits are looked at when modules change, too.
    fn hits_behind(&mut self) {
        for id in self.actor.backend.last_hits.clone() {
            let probe = self.actor.probes.get(id);
            if probe.is_some_and(|probe| !probe.is_waiting() && probe.done.is_none()) {
                self.expected.insert(id, false);
            }
        }
    }

    fn take_answers(&mut self) {
        let expected = &mut self.expected;
        self.adding.retain(|adding| match adding.try_recv() {
            Ok(Ok(status)) => {
                expected.insert(status.id, true);
                false
            }
            Ok(Err(_)) => false,
            Err(_) => true,
        });
    }

    /// Checks the invariants after each step.
    fn check(&self) {
        let probes = &self.actor.probes;
        for (number, sites) in &self.actor.backend.in_target {
            let probe = probes.get(sites.probe);
            let placement = probe.and_then(|probe| Some((probe, probe.placement()?)));
            let (probe, placement) = placement.expect("sites of a probe that is there");
            assert_eq!(placement.number, *number);
            assert_eq!(probe.enabled, sites.on, "{}", probe.name);
        }
        for probe in probes.iter() {
            assert_eq!(
                self.expected.get(&probe.id),
                Some(&probe.enabled),
                "{}",
                probe.name
            );
            if let Some(placement) = probe.placement() {
                assert!(self.actor.backend.in_target.contains_key(&placement.number));
            }
            assert!(!self.removed.contains(&probe.id));
        }
        assert_eq!(probes.iter().count(), self.expected.len());
    }

    /// Lets everything that is under way come to its end.
    fn rest(&mut self) {
        self.actor.backend.refuses = false;
        for round in 0..3 {
            // Refused attachments are tried again when modules change, so change them once all is
            // at rest.
            self.actor.backend.have_changed |= round == 2 && self.refused;
            self.tick();
            while self.deliver() {}
            self.take_answers();
        }
    }

    /// Checks the invariants when no work is pending.
    fn check_rest(&self) {
        self.check();
        assert!(self.adding.is_empty(), "every `add` is answered");
        let backend = &self.actor.backend;
        for probe in self.actor.probes.iter() {
            let library = probe.spec.location.module.as_ref();
            let now = backend.mapping_of(library);
            let Some(placement) = probe.placement() else {
                assert_eq!(now, None, "{} waits for nothing", probe.name);
                continue;
            };
            if placement.stale {
                assert!(probe.done.is_some());
                continue;
            }
            assert_eq!(placement.program, backend.program, "{}", probe.name);
            assert!(
                now.is_none_or(|now| now == placement.mapping),
                "{}",
                probe.name
            );
        }
    }
}

proptest! {
    #![proptest_config(Config {
        cases: SCHEDULES,
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn no_schedule_loses_a_change_or_brings_a_probe_back(
        steps in proptest::collection::vec(step(), 1..STEPS),
        finishes in any::<bool>(),
    ) {
        let mut schedule = Schedule::new();
        for step in &steps {
            schedule.take(step);
            schedule.check();
        }
        if finishes {
            let (reply, answer) = reply_channel();
            schedule.send(Message::Finish(reply));
            answer.recv().expect("an answer");
            schedule.take_answers();
            assert!(schedule.adding.is_empty(), "every `add` is answered at once");
            // The plan that is still being made attaches nothing.
            while schedule.deliver() {}
            assert!(schedule.actor.backend.in_target.values().all(|sites| !sites.on));
        } else {
            schedule.rest();
            schedule.check_rest();
        }
    }
}

/// Takes the steps one by one, then lets everything come to its end.
fn run_to_rest(steps: &[ScheduleStep]) {
    let mut schedule = Schedule::new();
    for step in steps {
        schedule.take(step);
        schedule.check();
    }
    schedule.rest();
    schedule.check_rest();
}

#[test]
fn library_that_is_back_when_its_failed_plan_comes_gets_another_plan() {
    run_to_rest(&[
        ScheduleStep::Add(Some(0)),
        ScheduleStep::Deliver,
        ScheduleStep::Load(0),
        ScheduleStep::Unload(0),
        ScheduleStep::Compute,
        ScheduleStep::Load(0),
    ]);
}

#[test]
fn plan_of_a_library_that_has_moved_meanwhile_is_made_again() {
    run_to_rest(&[
        ScheduleStep::Add(Some(0)),
        ScheduleStep::Deliver,
        ScheduleStep::Load(0),
        ScheduleStep::Compute,
        ScheduleStep::Load(0),
    ]);
}
