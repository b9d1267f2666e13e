//! Many sites at once, and probes that are added to existing ones.

use std::time::{Duration, Instant};

use crate::support::rig::{RDI, Rig, UNLIMITED, Way, emit, emulated, requests};
use crate::support::site::{ROW, SITES, row, row_offset};

/// The shortest of several times counts, because the machine does other work, too.
const TRIES: usize = 5;

#[test]
fn thousand_sites_attach_and_detach_in_one_go() {
    let Some(mut rig) = Rig::load(Way::Best, 1 << 20) else {
        return;
    };
    if !rig.machine.has_multi_links() {
        eprintln!(
            "this kernel has no multi-uprobe links, or not with the right filter: nothing to measure"
        );
        return;
    }
    let sites: Vec<_> = (0..ROW)
        .map(|index| (row_offset(index), vec![emit(1, RDI)]))
        .collect();
    let (mut attach, mut silence, mut close) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for _ in 0..TRIES {
        let started = Instant::now();
        let (slot, cookies) = rig.probe(&UNLIMITED, &sites);
        attach = attach.min(started.elapsed());
        row().pass([1, 0, 0, 0, 0, 0]);
        let started = Instant::now();
        rig.machine.detach(slot);
        silence = silence.min(started.elapsed());
        rig.machine.wait_closed();
        close = close.min(started.elapsed());
        let mut hit: Vec<u32> = rig
            .records()
            .iter()
            .map(|record| record.header.site)
            .collect();
        hit.sort_unstable();
        let mut all = cookies;
        all.sort_unstable();
        assert_eq!(hit, all, "each site was hit once");
        rig.machine.forget(slot);
        row().pass([1, 0, 0, 0, 0, 0]);
        assert_eq!(rig.records().len(), 0);
    }
    eprintln!(
        "{ROW} sites: {attach:?} to attach, {silence:?} until they are silent, {close:?} until they are gone"
    );
    if !emulated() {
        assert!(attach <= Duration::from_millis(50), "{attach:?}");
        assert!(silence <= Duration::from_millis(5), "{silence:?}");
        assert!(close <= Duration::from_millis(100), "{close:?}");
    }
}

#[test]
fn adding_a_probe_verifies_nothing_again() {
    let started = Instant::now();
    let Some(mut rig) = Rig::load(Way::Best, 1 << 20) else {
        return;
    };
    let load = started.elapsed();
    rig.probe(&UNLIMITED, &[(SITES[0].offset(), vec![emit(1, RDI)])]);
    let (mut prepare, mut attach) = (Duration::MAX, Duration::MAX);
    for _ in 0..TRIES {
        let requests = requests(&[(SITES[1].offset(), vec![emit(1, RDI)])]);
        let started = Instant::now();
        let reserved = rig.machine.reserve(&UNLIMITED, &requests).expect("room");
        prepare = prepare.min(started.elapsed());
        let slot = reserved.slot;
        let started = Instant::now();
        let failed = rig.machine.attach(std::process::id(), reserved, &requests);
        attach = attach.min(started.elapsed());
        assert!(failed.expect("attached").is_empty());
        rig.remove(slot);
    }
    eprintln!("{load:?} to load; a second probe: {prepare:?} for the maps, {attach:?} to attach");
    // Besides the attach there are only a few map updates.
    assert!(prepare < load / 20, "{prepare:?}, and {load:?} to load");
    SITES[0].pass([1, 0, 0, 0, 0, 0]);
    assert_eq!(rig.records().len(), 1, "the first probe went on");
}
