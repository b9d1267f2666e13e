//! Beginnings and ends of timings: which are paired, which are not, and what remains in the maps.

use tracer::kernel::SiteRequest;
use tracer_common::control::{ALWAYS, BEGINS, ENDS, FORGETS, ProbeControl, TURNS};
use tracer_common::limits::{MAX_BEGUN, MAX_TURNS};
use tracer_common::op::{self, EncodedOp};
use tracer_common::record::ChunkHeader;
use tracer_common::timing::TimeCounters;

use crate::support::rig::{RDI, RSI, Rig, UNLIMITED, emit, program, requests, ways};
use crate::support::site::SITES;

const RING: u32 = 1 << 20;

/// The op of a site. Its frame is in `rdi`.
fn timed(code: u8, keeps: bool) -> EncodedOp {
    EncodedOp {
        code,
        src: RDI,
        size: u8::from(keeps),
        ..EncodedOp::default()
    }
}

/// Sites at which a timing begins (and stores `rsi`), ends, and is cancelled.
fn sites(keeps: bool) -> Vec<SiteRequest> {
    let [begin, end, forget, _] = SITES;
    let mut at_begin = vec![timed(op::ENTER, keeps)];
    let mut at_end = vec![timed(op::LEAVE, keeps)];
    if keeps {
        at_begin.push(emit(0, RSI));
        at_end.push(EncodedOp {
            code: op::KEPT,
            ..EncodedOp::default()
        });
    }
    at_end.push(emit(0, op::ELAPSED));
    let mut requests = requests(&[
        (begin.offset(), at_begin),
        (end.offset(), at_end),
        (forget.offset(), vec![timed(op::FORGET, keeps)]),
    ]);
    for (request, flags) in requests.iter_mut().zip([BEGINS, ENDS, FORGETS]) {
        request.program = program(std::mem::take(&mut request.program.ops), flags);
    }
    requests
}

fn install(rig: &mut Rig, keeps: bool) -> (u32, Vec<u32>) {
    let requests = sites(keeps);
    let reserved = rig.machine.reserve(&UNLIMITED, &requests).expect("room");
    let known = (reserved.slot, reserved.cookies.clone());
    let attached = rig.machine.attach(std::process::id(), reserved, &requests);
    assert!(attached.expect("attached").is_empty());
    known
}

fn begin(frame: u64, kept: u64) {
    SITES[0].pass([frame, kept, 0, 0, 0, 0]);
}

fn end(frame: u64) {
    SITES[1].pass([frame, 0, 0, 0, 0, 0]);
}

fn forget(frame: u64) {
    SITES[2].pass([frame, 0, 0, 0, 0, 0]);
}

fn times(rig: &Rig, slot: u32) -> TimeCounters {
    rig.machine.times(slot).expect("counters")
}

#[test]
fn ends_find_the_beginning_of_their_frame_and_what_it_kept() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let (slot, cookies) = install(&mut rig, true);
        // One timing within another, and one that begins again.
        begin(1, 10);
        begin(2, 20);
        end(2);
        begin(3, 30);
        begin(3, 31);
        end(3);
        end(1);
        // Ends without a beginning.
        end(1);
        end(4);
        begin(5, 50);
        forget(5);
        end(5);
        begin(6, 60);
        let kept: Vec<(u64, u64)> = rig
            .records()
            .iter()
            .map(|record| {
                assert_eq!(u32::from(record.header.begun_at), cookies[0]);
                assert_eq!(record.header.begun_bytes, 16);
                let chunk = size_of::<ChunkHeader>();
                let word = |at: usize| {
                    let at = 64 + at + chunk;
                    u64::from_le_bytes(record.bytes[at..at + 8].try_into().expect("eight"))
                };
                (word(0), word(16))
            })
            .collect();
        let (values, elapsed): (Vec<u64>, Vec<u64>) = kept.into_iter().unzip();
        assert_eq!(values, [20, 31, 10]);
        assert!(elapsed.iter().all(|&ns| ns > 0), "{elapsed:?}");
        let found = times(&rig, slot);
        assert_eq!(
            (found.begun, found.ended, found.unfinished, found.unpaired),
            (6, 3, 2, 3)
        );
        assert_eq!(found.sum_ns, elapsed.iter().sum::<u64>());
        assert_eq!(Some(&found.longest_ns), elapsed.iter().max());
        assert_eq!(Some(&!found.shortest_ns_inverse), elapsed.iter().min());
        let counters = rig.counters(slot);
        assert_eq!(
            (counters.hits, counters.events, counters.passed),
            (3, 3, 10)
        );
        let tallies = rig.machine.tallies().expect("tallies").numbers;
        assert!(tallies.iter().all(|(key, _)| key.site == cookies[1]));
        assert_eq!(tallies.iter().map(|(_, count)| count).sum::<u64>(), 3);
    }
}

#[test]
fn silence_and_removal_leave_no_beginning_to_later_ends() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let (slot, _) = install(&mut rig, false);
        begin(1, 0);
        begin(2, 0);
        let silent = ProbeControl {
            enabled: 0,
            ..UNLIMITED
        };
        rig.machine.set_control(slot, &silent).expect("set");
        // This timing ends while the probe is silent. It is a hit, and nothing is stored.
        end(2);
        // The probe is off at this beginning.
        begin(3, 0);
        rig.machine.set_control(slot, &UNLIMITED).expect("set");
        end(1);
        let found = times(&rig, slot);
        assert_eq!(
            (found.begun, found.ended, found.off, found.uncertain),
            (2, 1, 1, 1)
        );
        assert_eq!((found.unfinished, found.unpaired), (0, 0));
        assert_eq!(found.sum_ns, 0);
        let counters = rig.counters(slot);
        assert_eq!((counters.hits, counters.silenced), (1, 1));
        begin(4, 0);
        rig.remove(slot);
        let (again, _) = install(&mut rig, false);
        assert_eq!(again, slot, "the room is used again");
        end(4);
        let found = times(&rig, again);
        assert_eq!((found.begun, found.ended, found.unpaired), (0, 0, 1));
    }
}

#[test]
fn beginnings_beyond_the_room_are_counted_and_not_timed() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let (slot, _) = install(&mut rig, false);
        let room = u64::from(MAX_BEGUN);
        for frame in 0..room + 100 {
            begin(frame, 0);
        }
        for frame in 0..room + 100 {
            end(frame);
        }
        let found = times(&rig, slot);
        assert_eq!(found.begun + found.full, room + 100);
        assert!(found.full >= 100, "{found:?}");
        assert_eq!((found.ended, found.unpaired), (found.begun, found.full));
        rig.remove(slot);
        // All entries are free again.
        let (slot, _) = install(&mut rig, false);
        begin(1, 0);
        end(1);
        assert_eq!(times(&rig, slot).ended, 1);
    }
}

/// Passes a site at `depth` depths of the stack.
#[inline(never)]
fn pass_deep(depth: u32) {
    SITES[2].pass([0; 6]);
    if depth > 0 {
        pass_deep(depth - 1);
    }
    std::hint::black_box(depth);
}

#[test]
fn calls_are_not_timed_once_a_turn_found_no_room() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let [head, end_of, branch, _] = SITES;
        let mut requests = requests(&[
            (head.offset(), vec![timed(op::ENTER, false)]),
            (end_of.offset(), vec![timed(op::LEAVE, false)]),
            (branch.offset(), Vec::new()),
        ]);
        for (request, flags) in requests.iter_mut().zip([BEGINS | TURNS, ENDS, TURNS]) {
            request.program = program(std::mem::take(&mut request.program.ops), flags);
        }
        requests[2].program.turn_condition = ALWAYS;
        let reserved = rig.machine.reserve(&UNLIMITED, &requests).expect("room");
        let slot = reserved.slot;
        let attached = rig.machine.attach(std::process::id(), reserved, &requests);
        assert!(attached.expect("attached").is_empty());
        // The first pass of a thread may not be a call.
        begin(1, 0);
        end(1);
        begin(1, 0);
        end(1);
        begin(2, 0);
        std::thread::Builder::new()
            .stack_size(64 << 20)
            .spawn(|| pass_deep(MAX_TURNS + 100))
            .expect("a thread")
            .join()
            .expect("it ends");
        // This pass may be an iteration, and an earlier beginning may be another frame's.
        begin(3, 0);
        end(3);
        end(2);
        let found = times(&rig, slot);
        assert_eq!(
            (found.begun, found.ended, found.full),
            (2, 1, 1),
            "{found:?}"
        );
        assert_eq!(
            (found.unpaired, found.unfinished, found.uncertain),
            (2, 0, 1),
            "{found:?}"
        );
        rig.remove(slot);
        // The entries are free again, and the next probe is not blind.
        let reserved = rig.machine.reserve(&UNLIMITED, &requests).expect("room");
        let slot = reserved.slot;
        let attached = rig.machine.attach(std::process::id(), reserved, &requests);
        assert!(attached.expect("attached").is_empty());
        pass_deep(10);
        begin(3, 0);
        end(3);
        begin(4, 0);
        end(4);
        let found = times(&rig, slot);
        assert_eq!(
            (found.begun, found.ended, found.full),
            (1, 1, 0),
            "{found:?}"
        );
    }
}
