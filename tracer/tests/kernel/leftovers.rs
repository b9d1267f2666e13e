//! Nothing stays in the target, however the tracer ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tracer::kernel::{KernelError, LoadOptions, Machine};

use crate::support::needs;
use crate::support::rig::{RDI, Rig, UNLIMITED, Way, emit, requests, ways};
use crate::support::site::{SITES, Site};

/// The kernel writes this byte over a probed instruction.
const INT3: u8 = 0xCC;
/// Set for the program that this test starts to hold probes on it.
const TARGET: &str = "TRACER_TEST_HOLDS_PROBES_ON";
const LIMIT: Duration = Duration::from_secs(20);

/// The kernel removes probes some time after the links are gone, without a notification. So this
/// polls.
fn wait_for_byte(site: Site, wanted: u8) -> bool {
    let end = Instant::now() + LIMIT;
    while site.byte() != wanted {
        if Instant::now() > end {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn dropping_the_machine_restores_the_instruction() {
    for &way in ways() {
        let [_, site, ..] = SITES;
        let before = site.byte();
        let Some(mut rig) = Rig::load(way, 1 << 16) else {
            return;
        };
        assert_ne!(before, INT3);
        rig.probe(&UNLIMITED, &[(site.offset(), vec![emit(1, RDI)])]);
        assert_eq!(site.byte(), INT3, "{way:?}");
        drop(rig);
        assert!(wait_for_byte(site, before), "{way:?}");
    }
}

/// A command can still be in progress when the session ends, such as a signal that wakes all
/// probes. A hit after the end would be counted, but nobody would read its record.
#[test]
fn nothing_is_attached_after_the_end() {
    for &way in ways() {
        let [site, other, ..] = SITES;
        let before = [site.byte(), other.byte()];
        let Some(mut rig) = Rig::load(way, 1 << 16) else {
            return;
        };
        let sites = [(site.offset(), vec![emit(1, RDI)])];
        let (slot, _) = rig.probe(&UNLIMITED, &sites);
        rig.machine.end();
        assert!(wait_for_byte(site, before[0]), "{way:?}");

        let (process, woken) = (std::process::id(), requests(&sites));
        let again = rig.machine.reattach(process, slot, &UNLIMITED, &woken);
        assert!(
            matches!(again, Err(KernelError::Ended)),
            "{way:?}: {again:?}"
        );

        let added = requests(&[(other.offset(), vec![emit(1, RDI)])]);
        let reserved = rig.machine.reserve(&UNLIMITED, &added).expect("room");
        let new = rig.machine.attach(process, reserved, &added);
        assert!(matches!(new, Err(KernelError::Ended)), "{way:?}: {new:?}");

        site.pass([0; 6]);
        other.pass([0; 6]);
        assert_eq!(rig.counters(slot).hits, 0, "{way:?}");
        assert_eq!([site.byte(), other.byte()], before, "{way:?}");
    }
}

/// Not a test of its own: it holds probes on the process that started it until it is killed.
#[test]
fn holder_of_probes() {
    let Ok(target) = std::env::var(TARGET) else {
        return;
    };
    let target: u32 = target.parse().expect("a process id");
    let way = std::env::var("TRACER_TEST_WAY").expect("a way");
    let options = LoadOptions {
        ring_bytes: 1 << 16,
        perf_events: way == format!("{:?}", Way::PerfEvents),
        ..LoadOptions::default()
    };
    let mut machine = Machine::load(&options).expect("the programs load");
    let sites: Vec<_> = SITES
        .iter()
        .map(|site| (site.offset(), vec![emit(1, RDI)]))
        .collect();
    let requests = requests(&sites);
    let reserved = machine.reserve(&UNLIMITED, &requests).expect("room");
    let failed = machine
        .attach(target, reserved, &requests)
        .expect("attached");
    assert!(failed.is_empty());
    println!("holding");
    // Waits until the other end of the pipe is closed. Usually this process is killed before.
    let _ = std::io::stdin().read(&mut [0]);
}

fn holder(way: Way) -> Child {
    let mut child = Command::new("/proc/self/exe")
        .args(["--exact", "leftovers::holder_of_probes", "--nocapture"])
        .env(TARGET, std::process::id().to_string())
        .env("TRACER_TEST_WAY", format!("{way:?}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program runs");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let held = out
        .lines()
        .any(|line| line.is_ok_and(|line| line.contains("holding")));
    assert!(held, "{way:?}: the probes were not attached");
    child
}

#[test]
fn killing_the_tracer_restores_the_instructions() {
    if !needs::kernel() {
        return;
    }
    for &way in ways() {
        // Keeps the other tests from probing the same sites.
        let Some(_turn) = Rig::load(way, 1 << 12) else {
            return;
        };
        let before = SITES.map(Site::byte);
        assert!(!before.contains(&INT3));
        let mut child = holder(way);
        assert_eq!(SITES.map(Site::byte), [INT3; 4], "{way:?}");
        child.kill().expect("killed");
        child.wait().expect("ended");
        for (site, byte) in SITES.iter().zip(before) {
            assert!(wait_for_byte(*site, byte), "{way:?}");
            site.pass([0; 6]);
        }
    }
}

#[test]
fn many_probes_that_come_and_go_leave_nothing() {
    let Some(mut rig) = Rig::load(Way::Best, 1 << 16) else {
        return;
    };
    let before = SITES.map(Site::byte);
    let rounds = if rig.machine.has_multi_links() {
        100
    } else {
        10
    };
    for round in 0..rounds {
        let site = SITES[round % 4];
        let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), vec![emit(1, RDI)])]);
        site.pass([0; 6]);
        assert_eq!(rig.counters(slot).events, 1, "round {round}");
        assert_eq!(rig.records().len(), 1, "round {round}");
        rig.remove(slot);
        site.pass([0; 6]);
        assert_eq!(rig.records().len(), 0, "round {round}");
    }
    assert_eq!(SITES.map(Site::byte), before);
}
