//! Steps of recorded calls: the passes that are steps, their frames, and the counters.

use tracer::kernel::{SiteRequest, TraceRequest, TracedCaller};
use tracer_common::control::{ANNOUNCES, ProbeControl, RETURNS, STEPS, TAKES};
use tracer_common::op::{self, EncodedOp};
use tracer_common::record::{FLAG_STEP, RecordHeader};
use tracer_common::trace::{
    ANNOUNCES_CALLS, CALLS_COMPUTED, CallerFrame, FOLLOWS_CALLS, NEEDS_ANNOUNCEMENT,
    RETURNS_FROM_CALLS, ROLE_BITS, STEP_CUT, STEP_ENTER, STEP_LEFT, STEP_LINE, STEP_MISSED,
    STEP_RETURN, StepRecord, TAKES_CALLS, TraceControl,
};

use crate::support::rig::{RDI, RSI, Record, Rig, UNLIMITED, emit, program, requests, ways};
use crate::support::scratch::BusyScratch;
use crate::support::site::SITES;

const RING: u32 = 1 << 20;

/// A site, by its number among those of this program.
struct StepSite {
    roles: u32,
    line: u32,
    flags: u32,
}

/// The first line, another line, the return, and the first instruction of a function that is called.
const PLAIN: [StepSite; 4] = [
    StepSite {
        roles: TAKES_CALLS,
        line: 1,
        flags: STEPS | TAKES,
    },
    StepSite {
        roles: 0,
        line: 2,
        flags: STEPS,
    },
    StepSite {
        roles: RETURNS_FROM_CALLS,
        line: 0,
        flags: STEPS | RETURNS,
    },
    StepSite {
        roles: FOLLOWS_CALLS,
        line: 0,
        flags: STEPS,
    },
];

/// The sites' programs. The frame is in `rdi`, and a value in `rsi`.
fn sites(steps: &[StepSite; 4]) -> Vec<SiteRequest> {
    let step = |order: u32, site: &StepSite| EncodedOp {
        code: op::STEP,
        src: RDI,
        dst: 31,
        size: RSI,
        a: site.roles | order << ROLE_BITS,
        len: site.line,
        ..EncodedOp::default()
    };
    let all: Vec<_> = (0..)
        .zip(steps)
        .zip(SITES)
        .map(|((order, site), at)| (at.offset(), vec![step(order, site), emit(0, RSI)]))
        .collect();
    let mut requests = requests(&all);
    for (request, site) in requests.iter_mut().zip(steps) {
        request.program = program(std::mem::take(&mut request.program.ops), site.flags);
    }
    requests
}

/// Installs a trace. Returns its slot.
fn install(
    rig: &mut Rig,
    steps: &[StepSite; 4],
    control: &ProbeControl,
    trace: &TraceRequest,
) -> u32 {
    let requests = sites(steps);
    let reserved = rig.machine.reserve(control, &requests).expect("room");
    let slot = reserved.slot;
    rig.machine.set_trace(slot, trace).expect("written");
    let attached = rig.machine.attach(std::process::id(), reserved, &requests);
    assert!(attached.expect("attached").is_empty());
    slot
}

fn limits(steps: u64, frames: u32) -> TraceRequest {
    TraceRequest {
        control: TraceControl {
            steps,
            frames,
            reserved: 0,
        },
        callers: Vec::new(),
    }
}

fn pass(site: usize, frame: u64, value: u64) {
    SITES[site].pass([frame, value, 0, 0, 0, 0]);
}

/// Call, number, depth, kind and value of each step.
fn steps(rig: &mut Rig) -> Vec<(u64, u64, u32, u32, Option<u64>)> {
    rig.records().iter().map(step_of).collect()
}

fn step_of(record: &Record) -> (u64, u64, u32, u32, Option<u64>) {
    assert_ne!(u32::from(record.header.flags) & FLAG_STEP, 0);
    let header = size_of::<RecordHeader>();
    let (step, chunks) = record.bytes[header..].split_at(size_of::<StepRecord>());
    let step: StepRecord = bytemuck::pod_read_unaligned(step);
    assert_eq!(step.repeated, 0);
    let value = chunks
        .get(8..16)
        .map(|data| u64::from_le_bytes(data.try_into().expect("eight")));
    (step.call, step.number, step.depth, step.kind, value)
}

#[test]
fn only_the_frame_of_the_call_that_was_taken_has_steps() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let one = ProbeControl {
            hit_budget: 1,
            ..UNLIMITED
        };
        let slot = install(&mut rig, &PLAIN, &one, &limits(100, 1));
        // No call is taken yet.
        pass(1, 100, 0);
        pass(2, 100, 0);
        pass(0, 100, 1);
        pass(1, 100, 2);
        // A deeper call of the same function, and another thread in a frame of that address.
        pass(0, 90, 3);
        pass(1, 90, 4);
        std::thread::spawn(|| {
            pass(1, 100, 5);
            pass(2, 100, 6);
        })
        .join()
        .expect("it runs");
        // The line goes on, and begins again.
        pass(1, 100, 7);
        pass(0, 90, 8);
        pass(2, 90, 9);
        pass(2, 100, 10);
        pass(1, 100, 11);
        pass(0, 100, 12);
        assert_eq!(
            steps(&mut rig),
            [
                (1, 1, 0, STEP_ENTER, Some(1)),
                (1, 2, 0, STEP_LINE, Some(2)),
                (1, 3, 0, STEP_LINE, Some(7)),
                (1, 4, 0, STEP_RETURN, Some(10)),
            ]
        );
        let state = rig.machine.trace_state(slot).expect("a state");
        assert_eq!((state.taken, state.ended, state.full), (1, 1, 0));
        let counters = rig.counters(slot);
        // The call after the last one is over the budget. All other passes are no hits.
        assert_eq!(
            (counters.hits, counters.events, counters.over_budget),
            (5, 4, 1)
        );
        assert_eq!(counters.passed, 9);
    }
}

#[test]
fn calls_are_left_cut_and_announced() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        // Left without a return: the next call in the frame tells it, and the one after that is taken.
        let slot = install(&mut rig, &PLAIN, &UNLIMITED, &limits(3, 1));
        pass(0, 100, 1);
        pass(0, 100, 2);
        pass(0, 100, 3);
        // Cut at the third step. A call in another frame is not taken beside it.
        pass(1, 100, 4);
        pass(0, 50, 0);
        pass(1, 100, 5);
        let found = steps(&mut rig);
        let shown: Vec<(u64, u64, u32)> =
            found.iter().map(|step| (step.0, step.1, step.3)).collect();
        assert_eq!(
            shown,
            [
                (1, 1, STEP_ENTER),
                (1, 2, STEP_LEFT),
                (2, 1, STEP_ENTER),
                (2, 2, STEP_LINE),
                (2, 3, STEP_CUT),
            ]
        );
        assert_eq!(found[1].4, None, "values of another call");
        rig.remove(slot);
        let slot = install(&mut rig, &PLAIN, &UNLIMITED, &limits(2, 1));
        pass(0, 100, 1);
        pass(1, 100, 2);
        pass(2, 100, 3);
        let kinds: Vec<u32> = steps(&mut rig).iter().map(|step| step.3).collect();
        assert_eq!(kinds, [STEP_ENTER, STEP_CUT]);
        let state = rig.machine.trace_state(slot).expect("a state");
        assert_eq!((state.taken, state.ended), (1, 1));
        rig.remove(slot);

        // A first line that is passed in a loop begins a call only behind the function's entry.
        let mut announced = PLAIN;
        announced[0].roles |= NEEDS_ANNOUNCEMENT;
        announced[0].flags = STEPS | ANNOUNCES;
        announced[3] = StepSite {
            roles: ANNOUNCES_CALLS,
            line: 0,
            flags: STEPS | ANNOUNCES,
        };
        let slot = install(&mut rig, &announced, &UNLIMITED, &limits(100, 1));
        pass(0, 100, 1);
        pass(3, 100, 2);
        pass(0, 100, 3);
        pass(1, 100, 4);
        pass(0, 100, 5);
        pass(2, 100, 6);
        pass(0, 100, 7);
        let shown: Vec<(u32, Option<u64>)> = steps(&mut rig)
            .iter()
            .map(|step| (step.3, step.4))
            .collect();
        assert_eq!(
            shown,
            [
                (STEP_ENTER, Some(3)),
                (STEP_LINE, Some(4)),
                (STEP_LINE, Some(5)),
                (STEP_RETURN, Some(6)),
            ]
        );
        rig.counters(slot);
    }
}

#[test]
fn calls_of_followed_functions_are_told_by_their_return_address() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let trace = TraceRequest {
            callers: vec![TracedCaller {
                distance: 0x1234,
                order: 3,
                frame: CallerFrame {
                    offset: 16,
                    register: u32::from(RSI),
                },
            }],
            ..limits(100, 2)
        };
        install(&mut rig, &PLAIN, &UNLIMITED, &trace);
        // The return address is below the frame, as the called function has it at its first instruction.
        let entry = SITES[3].address();
        let own = [entry + 0x1234, 0];
        let other = [entry + 0x1235, 0];
        let frame_of = |stack: &[u64; 2]| (&raw const stack[1]) as u64;
        let caller = 1000;
        pass(0, caller, 1);
        // From code that is not followed, and from another frame at the same place.
        pass(3, frame_of(&other), caller - 16);
        pass(1, frame_of(&other), 2);
        pass(3, frame_of(&own), caller - 8);
        pass(1, frame_of(&own), 3);
        // From the frame that is recorded.
        pass(3, frame_of(&own), caller - 16);
        pass(1, frame_of(&own), 4);
        pass(2, frame_of(&own), 5);
        pass(1, caller, 6);
        // Deeper than wanted.
        pass(3, frame_of(&own), caller - 16);
        pass(3, frame_of(&other), frame_of(&own) - 16);
        pass(1, frame_of(&other), 7);
        // The traced function returns, and the other one was left.
        pass(2, caller, 8);
        let found: Vec<(u32, u32, Option<u64>)> = steps(&mut rig)
            .iter()
            .map(|step| (step.2, step.3, step.4))
            .collect();
        assert_eq!(
            found,
            [
                (0, STEP_ENTER, Some(1)),
                (1, STEP_ENTER, Some(4)),
                (1, STEP_RETURN, Some(5)),
                (0, STEP_LINE, Some(6)),
                (0, STEP_RETURN, Some(8)),
            ]
        );
    }
}

#[test]
fn computed_addresses_are_seen_in_the_frame_that_is_recorded() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let mut calling = PLAIN;
        calling[1] = StepSite {
            roles: CALLS_COMPUTED,
            line: 0,
            flags: STEPS,
        };
        let slot = install(&mut rig, &calling, &UNLIMITED, &limits(100, 2));
        let at = SITES[1].address();
        pass(1, 100, at + 1);
        pass(0, 100, 0);
        pass(1, 90, at + 2);
        pass(1, 100, at + 3);
        pass(1, 100, at.wrapping_sub(4));
        pass(1, 100, at + 3);
        pass(2, 100, 0);
        pass(1, 100, at + 5);
        let seen = rig.machine.seen_targets(slot).expect("the map is read");
        let distances: Vec<u64> = seen.iter().map(|seen| seen.distance).collect();
        assert_eq!(distances, [3, 0_u64.wrapping_sub(4)]);
        // A call that is seen is no step.
        let kinds: Vec<u32> = steps(&mut rig).iter().map(|step| step.3).collect();
        assert_eq!(kinds, [STEP_ENTER, STEP_RETURN]);
        rig.remove(slot);
        let slot = install(&mut rig, &calling, &UNLIMITED, &limits(100, 2));
        assert!(rig.machine.seen_targets(slot).expect("read").is_empty());
    }
}

#[test]
fn missed_return_is_not_told_as_a_call_that_was_left() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, RING) else {
            return;
        };
        let slot = install(&mut rig, &PLAIN, &UNLIMITED, &limits(100, 1));
        pass(0, 100, 1);
        // No hit finds an area to run in.
        let busy = BusyScratch::take();
        pass(2, 100, 2);
        drop(busy);
        pass(0, 100, 3);
        pass(0, 100, 4);
        // A line that is missed ends nothing.
        let busy = BusyScratch::take();
        pass(1, 100, 5);
        drop(busy);
        pass(0, 100, 6);
        let shown: Vec<(u64, u32)> = steps(&mut rig)
            .iter()
            .map(|step| (step.0, step.3))
            .collect();
        assert_eq!(
            shown,
            [
                (1, STEP_ENTER),
                (1, STEP_MISSED),
                (2, STEP_ENTER),
                (2, STEP_LEFT),
            ]
        );
        assert_eq!(rig.counters(slot).lost, 2);
    }
}
