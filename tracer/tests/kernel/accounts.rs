//! Accounts of processes: the hits of each, and limits that hold for each by itself.

use tracer::kernel::RuleKinds;
use tracer_common::control::{ProbeControl, SILENT};

use crate::support::needs;
use crate::support::rig::{RDI, Rig, UNLIMITED, Way, emit, odd, ways};
use crate::support::selected::{SelectedRig, exe};
use crate::support::short::{self, FORK, Obedient, PASS};
use crate::support::site::SITES;

const HOUR: u64 = 3_600_000_000_000;

/// Hits and events of each process of a probe, by its id.
fn accounts(rig: &SelectedRig) -> Vec<(u32, u64, u64)> {
    let mut all: Vec<_> = (rig.machine().accounts().expect("read"))
        .iter()
        .map(|(key, account)| (key.process, account.hits, account.events))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn hits_are_counted_for_each_process_and_add_up() {
    if !needs::kernel() {
        return;
    }
    let folder = short::folder();
    let app = short::write(&folder.path().join("app"));
    for &way in ways() {
        let rig = SelectedRig::load(way, &[RuleKinds::EXES], &[exe(&app)], &[&app]);
        let mut first = Obedient::start(&app, &[]);
        let mut second = Obedient::start(&app, &[]);
        (0..5).for_each(|_| first.tell(PASS));
        (0..3).for_each(|_| second.tell(PASS));
        first.tell(FORK);
        let (one, two) = (first.id(), second.id());
        let mut found = accounts(&rig);
        found.retain(|account| [one, two].contains(&account.0));
        let mut wanted = [(one, 5, 5), (two, 3, 3)];
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{way:?}");
        let sum: u64 = accounts(&rig).iter().map(|account| account.1).sum();
        assert_eq!((sum, accounts(&rig).len()), (9, 3), "{way:?}");
        assert_eq!(rig.hits(), [9], "{way:?}");
        let mut named = rig.machine().accounts().expect("read").into_iter();
        let (_, account) = named
            .find(|(key, _)| key.process == one)
            .expect("its account");
        assert_eq!(account.name, *b"app\0\0\0\0\0\0\0\0\0\0\0\0\0", "{way:?}");
    }
}

#[test]
fn limits_per_process_hold_for_each_process() {
    if !needs::kernel() {
        return;
    }
    let folder = short::folder();
    let app = short::write(&folder.path().join("app"));
    let budget = ProbeControl {
        per_process: 1,
        hit_budget: 2,
        ..UNLIMITED
    };
    let rate = ProbeControl {
        per_process: 1,
        interval_ns: HOUR,
        burst_ns: 2 * HOUR,
        ..UNLIMITED
    };
    for (control, events) in [(budget, 2), (rate, 3)] {
        let mut rig = SelectedRig::load(Way::Best, &[RuleKinds::EXES], &[exe(&app)], &[&app]);
        rig.set_control(&control);
        let mut processes = [(); 3].map(|()| Obedient::start(&app, &[]));
        for (process, passes) in processes.iter_mut().zip([5, 4, 1]) {
            (0..passes).for_each(|_| process.tell(PASS));
        }
        let mut wanted: Vec<(u32, u64, u64)> = processes
            .iter()
            .zip([5, 4, 1])
            .map(|(process, hits)| (process.id(), hits, hits.min(events)))
            .collect();
        wanted.sort_unstable();
        assert_eq!(accounts(&rig), wanted);
        let counters = rig.counters();
        let sent: u64 = wanted.iter().map(|account| account.2).sum();
        let withheld = counters.over_budget + counters.limited;
        assert_eq!(
            (counters.events, withheld),
            (sent, 10 - sent),
            "{counters:?}"
        );
        assert_eq!(counters.unaccounted, 0);
    }
}

#[test]
fn account_that_is_closed_begins_anew() {
    if !needs::kernel() {
        return;
    }
    let folder = short::folder();
    let app = short::write(&folder.path().join("app"));
    let mut rig = SelectedRig::load(Way::Best, &[RuleKinds::EXES], &[exe(&app)], &[&app]);
    rig.set_control(&ProbeControl {
        per_process: 1,
        hit_budget: 2,
        ..UNLIMITED
    });
    let mut process = Obedient::start(&app, &[]);
    (0..4).for_each(|_| process.tell(PASS));
    let found = rig.machine().accounts_of(process.id()).expect("read");
    assert_eq!((found.len(), found[0].1.events), (1, 2));
    let keys = found.iter().map(|(key, _)| *key).collect::<Vec<_>>();
    rig.machine_mut().close_accounts(&keys).expect("closed");
    (0..3).for_each(|_| process.tell(PASS));
    assert_eq!(accounts(&rig), [(process.id(), 3, 2)]);
    rig.machine_mut()
        .renew_accounts(keys[0].probe)
        .expect("written");
}

#[test]
fn processes_beyond_the_room_are_limited_and_told() {
    if !needs::kernel() {
        return;
    }
    let folder = short::folder();
    let app = short::write(&folder.path().join("app"));
    let kinds = [RuleKinds::EXES];
    let mut rig = SelectedRig::load_with_room(Way::Best, &kinds, &[exe(&app)], &[&app], 2);
    rig.set_control(&ProbeControl {
        per_process: 1,
        hit_budget: 2,
        ..UNLIMITED
    });
    // The kernel may have room for more, to be free of one lock.
    let mut processes = [(); 40].map(|()| Obedient::start(&app, &[]));
    for process in &mut processes {
        (0..4).for_each(|_| process.tell(PASS));
    }
    let counters = rig.counters();
    let open = accounts(&rig).len() as u64;
    assert!((2..40).contains(&open), "{counters:?}");
    let missed = 4 * (40 - open);
    assert_eq!(
        (counters.events, counters.over_budget),
        (2 * open, 2 * open)
    );
    assert_eq!((counters.limited, counters.unaccounted), (missed, missed));
}

/// A timing is at the kernel's limit of calls in calls, and records are limited in three places.
#[test]
fn limits_per_process_hold_for_records_of_every_kind() {
    for &way in ways() {
        let Some(mut rig) = Rig::load_with_accounts(way, 1 << 20) else {
            return;
        };
        let [site, ..] = SITES;
        for (ops, events) in [(vec![emit(1, RDI)], 7), (odd(), 7)] {
            let control = ProbeControl {
                per_process: 1,
                hit_budget: 7,
                expires_ns: u64::MAX,
                ..UNLIMITED
            };
            let (slot, _) = rig.probe(&control, &[(site.offset(), ops)]);
            for number in 1..=100 {
                site.pass([number, 0, 0, 0, 0, 0]);
            }
            let counters = rig.counters(slot);
            assert_eq!(
                (counters.events, counters.hits),
                (events, 100),
                "{counters:?}"
            );
            let of_us = rig.machine.accounts_of(std::process::id()).expect("read");
            let account = of_us[0].1;
            assert_eq!((account.hits, account.events), (100, events), "{way:?}");
            let silent = ProbeControl {
                enabled: SILENT,
                ..control
            };
            rig.machine.set_control(slot, &silent).expect("written");
            site.pass([0; 6]);
            let of_us = rig.machine.accounts_of(std::process::id()).expect("read");
            assert_eq!(of_us[0].1.hits, 101, "{way:?}: a silent hit counts");
            rig.machine.detach(slot);
            site.pass([0; 6]);
            rig.machine.wait_closed();
            let of_us = rig.machine.accounts_of(std::process::id()).expect("read");
            assert_eq!(
                of_us[0].1.hits, 101,
                "{way:?}: a hit after the removal does not"
            );
            rig.machine.forget(slot);
            assert!(rig.machine.accounts().expect("read").is_empty(), "{way:?}");
            rig.records();
        }
    }
}
