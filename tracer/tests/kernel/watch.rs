//! Watched values: one hit for each access, with the value before and after.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tracer::base::address::RunAddr;
use tracer::kernel::{KernelError, SiteRequest, Trigger, WatchOn, WatchedMemory};
use tracer_common::control::WATCHES;
use tracer_common::op::{ACCESS, NEW_WORDS, OLD_WORDS};
use tracer_common::watch::{BY_PROGRAM, OLD_IS_UNKNOWN};

use crate::support::rig::{Rig, UNLIMITED, Way, emit, emulated, program};

const RING: u32 = 1 << 22;

fn request(address: u64, size: u32, on: WatchOn) -> SiteRequest {
    let ops = vec![emit(0, OLD_WORDS), emit(1, NEW_WORDS), emit(2, ACCESS)];
    SiteRequest {
        trigger: Trigger::Watch(WatchedMemory {
            pid: std::process::id(),
            thread: None,
            address: RunAddr(address),
            size,
            on,
            owner: None,
        }),
        program: program(ops, WATCHES),
        shift: 0,
        only_if: None,
        copies: Vec::new(),
        alone: true,
        begins_span: false,
    }
}

/// Watches a value. Returns the slot of the probe and the cookie of its site.
fn watch(rig: &mut Rig, request: &SiteRequest) -> Result<(u32, u32), KernelError> {
    let requests = [request.clone()];
    let reserved = rig.machine.reserve(&UNLIMITED, &requests).expect("room");
    let (slot, cookie) = (reserved.slot, reserved.cookies[0]);
    let failed = rig
        .machine
        .attach(std::process::id(), reserved, &requests)?;
    assert!(failed.is_empty(), "{failed:?}");
    Ok((slot, cookie))
}

/// Old value, new value and kind of access of each record.
fn accesses(rig: &mut Rig) -> Vec<(u64, u64, u64)> {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let records = rig.records();
    let all = records.iter().map(|record| {
        let chunks = record.chunks();
        (word(chunks[0].1), word(chunks[1].1), word(chunks[2].1))
    });
    all.collect()
}

#[test]
fn each_write_is_a_hit_with_the_value_before_and_after() {
    let Some(mut rig) = Rig::load(Way::Best, RING) else {
        return;
    };
    static VALUE: AtomicU32 = AtomicU32::new(7);
    let request = request(VALUE.as_ptr() as u64, 4, WatchOn::Write);
    let (slot, cookie) = watch(&mut rig, &request).expect("attached");
    rig.machine
        .set_last_value(cookie, [7, 0, 0, 0])
        .expect("written");
    for value in [8, 8, 3] {
        VALUE.store(value, Ordering::Relaxed);
    }
    assert_eq!(VALUE.load(Ordering::Relaxed), 3);
    assert_eq!(
        accesses(&mut rig),
        [(7, 8, BY_PROGRAM), (8, 8, BY_PROGRAM), (8, 3, BY_PROGRAM)]
    );
    assert_eq!(rig.counters(slot).hits, 3);
    rig.remove(slot);
}

#[test]
fn value_before_the_first_access_is_not_known_unless_it_was_told() {
    let Some(mut rig) = Rig::load(Way::Best, RING) else {
        return;
    };
    static VALUE: AtomicU64 = AtomicU64::new(1);
    let request = request(VALUE.as_ptr() as u64, 8, WatchOn::Any);
    let (slot, cookie) = watch(&mut rig, &request).expect("attached");
    VALUE.store(2, Ordering::Relaxed);
    // Too late: there was an access.
    rig.machine
        .set_last_value(cookie, [1, 0, 0, 0])
        .expect("written");
    assert_eq!(VALUE.load(Ordering::Relaxed), 2);
    assert_eq!(
        accesses(&mut rig),
        [(0, 2, BY_PROGRAM | OLD_IS_UNKNOWN), (2, 2, BY_PROGRAM)]
    );
    rig.remove(slot);
}

#[test]
fn late_threads_are_watched_and_a_fifth_value_is_refused() {
    let Some(mut rig) = Rig::load(Way::Best, RING) else {
        return;
    };
    static VALUES: [AtomicU64; 5] = [const { AtomicU64::new(0) }; 5];
    let requests =
        [0, 1, 2, 3, 4].map(|index| request(VALUES[index].as_ptr() as u64, 8, WatchOn::Write));
    let mut slots = Vec::new();
    for request in &requests[..4] {
        slots.push(watch(&mut rig, request).expect("attached").0);
    }
    let fifth = watch(&mut rig, &requests[4]).expect_err("no register is left");
    let hint = fifth.hint().expect("advice");
    assert!(hint.contains("four watchpoints"), "{fifth}: {hint}");
    // QEMU misses a few watchpoints of locked instructions if it runs several CPUs at once: none with one CPU, or with
    // one thread for all CPUs. There the writers use plain stores.
    let write = || {
        for value in 0..1_000 {
            match emulated() {
                true => VALUES[3].store(value, Ordering::Relaxed),
                false => {
                    VALUES[3].fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    let writers: Vec<_> = (0..8).map(|_| std::thread::spawn(write)).collect();
    for writer in writers {
        writer.join().expect("it ends");
    }
    assert_eq!(rig.counters(slots[3]).hits, 8_000);
    assert_eq!(rig.counters(slots[0]).hits, 0);
    for slot in slots {
        rig.remove(slot);
    }
    let (slot, _) = watch(&mut rig, &requests[4]).expect("a register is free again");
    rig.remove(slot);
}

#[test]
fn value_that_is_watched_is_refused_until_its_probe_is_removed() {
    let Some(mut rig) = Rig::load(Way::Best, RING) else {
        return;
    };
    static VALUE: AtomicU64 = AtomicU64::new(1);
    let request = request(VALUE.as_ptr() as u64, 8, WatchOn::Write);
    let (slot, _) = watch(&mut rig, &request).expect("attached");
    let again = watch(&mut rig, &request).expect_err("it is watched");
    assert!(
        again.to_string().starts_with("another probe watches"),
        "{again}"
    );
    rig.machine.detach(slot);
    let (other, _) = watch(&mut rig, &request).expect("the first is gone");
    rig.machine.wait_closed();
    VALUE.store(2, Ordering::Relaxed);
    assert_eq!(rig.counters(other).hits, 1);
    rig.machine.forget(slot);
    rig.remove(other);
}
