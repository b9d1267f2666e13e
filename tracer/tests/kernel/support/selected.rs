//! A machine whose hits count in selected processes.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use tracer::kernel::{
    LoadOptions, Machine, MissedMembers, NameRule, ProcessSelection, Processes, RuleKinds,
    SelectionRule, SiteRequest, Trigger,
};
use tracer_common::control::{COUNTS, ProbeControl, ProbeCounters};
use tracer_common::forks::FamilyMessage;
use tracer_common::limits::MAX_ACCOUNTS;

use super::rig::{UNLIMITED, Way, program};
use super::short;

/// A machine with probes on the line of programs, and the choice of processes.
pub(crate) struct SelectedRig {
    machine: Machine,
    pub(crate) selection: ProcessSelection,
    /// The probe of each program, in the order of their files.
    slots: Vec<u32>,
    /// Messages so far, by kind.
    pub(crate) messages: BTreeMap<u32, Vec<FamilyMessage>>,
}

impl SelectedRig {
    /// Loads the machine, with rules in force, and probes the line of programs.
    pub(crate) fn load(
        way: Way,
        kinds: &[RuleKinds],
        rules: &[SelectionRule],
        files: &[&Path],
    ) -> Self {
        Self::load_with_room(way, kinds, rules, files, MAX_ACCOUNTS)
    }

    /// Such a load with room for so many accounts of processes.
    pub(crate) fn load_with_room(
        way: Way,
        kinds: &[RuleKinds],
        rules: &[SelectionRule],
        files: &[&Path],
        accounts: u32,
    ) -> Self {
        let kinds = kinds
            .iter()
            .copied()
            .fold(RuleKinds::default(), RuleKinds::and);
        let options = LoadOptions {
            ring_bytes: 1 << 12,
            perf_events: way == Way::PerfEvents,
            processes: Processes::Selected(kinds),
            accounts,
            ..LoadOptions::default()
        };
        let mut machine = Machine::load(&options).expect("the programs load");
        let mut selection = machine.take_selection().expect("it was asked for");
        for rule in rules {
            selection.add_rule(rule).expect("room");
        }
        let slots = files.iter().map(|file| probe(&mut machine, file)).collect();
        selection.begin().expect("in force");
        Self {
            machine,
            selection,
            slots,
            messages: BTreeMap::new(),
        }
    }

    /// Hits of each program so far.
    pub(crate) fn hits(&self) -> Vec<u64> {
        let hits = |&slot| self.machine.counters(slot).expect("counters").hits;
        self.slots.iter().map(hits).collect()
    }

    /// Counters of the first program's probe.
    pub(crate) fn counters(&self) -> ProbeCounters {
        self.machine.counters(self.slots[0]).expect("counters")
    }

    /// Changes the limits of the first program's probe.
    pub(crate) fn set_control(&mut self, control: &ProbeControl) {
        let slot = self.slots[0];
        self.machine.set_control(slot, control).expect("written");
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(crate) fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Takes the messages of the kernel.
    pub(crate) fn take_messages(&mut self) {
        for message in self.selection.messages() {
            self.messages.entry(message.kind).or_default().push(message);
        }
    }

    /// Number of messages of a kind so far.
    pub(crate) fn count(&mut self, kind: u32) -> usize {
        self.take_messages();
        self.messages.get(&kind).map_or(0, Vec::len)
    }

    /// The kinds of the messages about a process so far, in their order.
    pub(crate) fn kinds_of(&mut self, process: u32) -> Vec<u32> {
        self.take_messages();
        let all = self.messages.values().flatten();
        let mut of: Vec<&FamilyMessage> = all.filter(|one| one.process == process).collect();
        of.sort_by_key(|message| message.ktime_ns);
        of.iter().map(|message| message.kind).collect()
    }

    #[track_caller]
    pub(crate) fn assert_none_missed(&self) {
        assert_eq!(self.selection.missed(), MissedMembers::default());
    }
}

/// Probes the line of a program in all selected processes. Returns the probe's slot.
fn probe(machine: &mut Machine, file: &Path) -> u32 {
    let requests = [SiteRequest {
        trigger: Trigger::at(file, short::line()),
        program: program(Vec::new(), COUNTS),
        shift: 0,
        only_if: None,
        copies: Vec::new(),
        alone: false,
        begins_span: false,
    }];
    let reserved = machine.reserve(&UNLIMITED, &requests).expect("room");
    let slot = reserved.slot;
    let failed = machine.attach(std::process::id(), reserved, &requests);
    assert!(failed.expect("attached").is_empty());
    slot
}

/// A rule by file. The identity comes from a machine that asks for files, too.
pub(crate) fn exe(path: &Path) -> SelectionRule {
    let options = LoadOptions {
        ring_bytes: 1 << 12,
        processes: Processes::Selected(RuleKinds::EXES),
        ..LoadOptions::default()
    };
    let mut machine = Machine::load(&options).expect("the programs load");
    let selection = machine.take_selection().expect("it was asked for");
    let file = File::open(path).expect("the file");
    SelectionRule::Exe(selection.identify(&file).expect("mapped"))
}

/// A rule by name.
pub(crate) fn name(pattern: &str) -> SelectionRule {
    SelectionRule::Name(NameRule::new(pattern.as_bytes()).expect("a pattern"))
}
