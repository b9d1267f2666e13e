//! Each limit by itself, exact to the hit.

use std::time::Duration;

use tracer_common::control::ProbeControl;

use crate::support::rig::{RDI, Rig, UNLIMITED, emit, odd, ways};
use crate::support::site::SITES;

const RING: u32 = 1 << 20;
const HOUR: u64 = 3_600_000_000_000;

fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(
        u64::try_from(time.tv_sec).expect("after boot"),
        u32::try_from(time.tv_nsec).expect("below a second"),
    )
    .as_nanos() as u64
}

/// Hits a probe with this control 100 times. Checks events, the named counter, and the hit numbers
/// of the records.
fn hundred(control: ProbeControl, count: fn(&tracer_common::control::ProbeCounters) -> u64) {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let [site, ..] = SITES;
        let (slot, cookies) = rig.probe(&control, &[(site.offset(), odd())]);
        for number in 1..=100 {
            site.pass([number, 0, 0, 0, 0, 0]);
        }
        let counters = rig.counters(slot);
        assert_eq!(counters.hits, 100, "{way:?}");
        let records = rig.records();
        assert_eq!(records.len() as u64, counters.events, "{way:?}");
        for record in &records {
            // Hits are numbered from 1, as the argument is.
            let sent = u64::from_le_bytes(record.bytes[72..80].try_into().expect("a number"));
            assert_eq!(record.header.hit, sent, "{way:?}");
            assert_eq!(record.header.site, cookies[0], "{way:?}");
            assert_eq!(sent % 2, 1, "{way:?}");
        }
        let (events, rejected) = (counters.events, counters.rejected);
        assert_eq!(
            count(&counters) + events + rejected,
            100,
            "{way:?}: {counters:?}"
        );
        rig.remove(slot);
        assert_ne!(site.byte(), 0xCC, "{way:?}: the probe is gone");
    }
}

#[test]
fn probe_without_limits_sends_every_hit_that_its_condition_takes() {
    hundred(UNLIMITED, |counters| {
        assert_eq!((counters.events, counters.rejected), (50, 50));
        0
    });
}

#[test]
fn disabled_probe_counts_hits_as_silenced() {
    let control = ProbeControl {
        enabled: 0,
        ..UNLIMITED
    };
    hundred(control, |counters| {
        assert_eq!(counters.silenced, 100);
        100
    });
}

#[test]
fn probe_after_its_time_counts_hits_as_expired() {
    let control = ProbeControl {
        expires_ns: now(),
        ..UNLIMITED
    };
    hundred(control, |counters| {
        assert_eq!(counters.expired, 100);
        100
    });
    let control = ProbeControl {
        expires_ns: now() + HOUR,
        ..UNLIMITED
    };
    hundred(control, |counters| counters.expired);
}

#[test]
fn probe_with_a_budget_sends_as_many_hits_as_it_says() {
    let control = ProbeControl {
        hit_budget: 7,
        ..UNLIMITED
    };
    hundred(control, |counters| {
        // The condition is decided first: hit 13 is the seventh that meets it.
        assert_eq!((counters.events, counters.rejected), (7, 6));
        counters.over_budget
    });
}

#[test]
fn probe_with_a_rate_sends_one_burst_at_once() {
    let control = ProbeControl {
        interval_ns: HOUR,
        burst_ns: 9 * HOUR,
        ..UNLIMITED
    };
    hundred(control, |counters| {
        assert_eq!((counters.events, counters.rejected), (10, 9));
        counters.limited
    });
}

#[test]
fn rate_comes_back_with_time() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let [site, ..] = SITES;
        let control = ProbeControl {
            interval_ns: 1_000_000,
            burst_ns: 0,
            ..UNLIMITED
        };
        let (slot, _) = rig.probe(&control, &[(site.offset(), vec![emit(1, RDI)])]);
        let (start, mut hits) = (now(), 0);
        while now() < start + 50_000_000 {
            site.pass([0; 6]);
            hits += 1;
        }
        let took = now() - start;
        let counters = rig.counters(slot);
        assert_eq!(counters.hits, hits);
        // One hit at once, then at most one a millisecond. On a busy machine some are late.
        assert!(
            counters.events <= 1 + took / 1_000_000,
            "{counters:?} in {took} ns"
        );
        assert!(counters.events > 1, "{counters:?} in {took} ns");
        rig.remove(slot);
    }
}

#[test]
fn control_of_a_live_probe_changes_at_the_next_hit() {
    let Some(mut rig) = Rig::load(ways()[0], RING) else {
        return;
    };
    let [site, ..] = SITES;
    let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), vec![emit(1, RDI)])]);
    site.pass([0; 6]);
    let silent = ProbeControl {
        enabled: 0,
        ..UNLIMITED
    };
    rig.machine.set_control(slot, &silent).expect("written");
    site.pass([0; 6]);
    site.pass([0; 6]);
    rig.machine.set_control(slot, &UNLIMITED).expect("written");
    site.pass([0; 6]);
    let counters = rig.counters(slot);
    assert_eq!((counters.events, counters.silenced), (2, 2));
}
