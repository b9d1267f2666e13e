//! Random schedules of calls, panics, moves, losses and looks, against what really was open.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::batch::{CallSource, EndedCall, Looked, PossibleCall, SpanPlacer, Surroundings};
use super::table::{CallFacts, CallId, FrameKey, SPAN_EVENTS, SpanCall, SpanTable};
use crate::event::{Event, LeftOut, PlacementId, ProbeId, SiteOrigin, SpanContext, SpanId, Stack};

/// xorshift: the same schedules in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// A call in the model: a span if it has an id.
#[derive(Clone, Copy)]
struct ModelCall {
    key: FrameKey,
    id: Option<CallId>,
}

/// A record on its way.
struct Record {
    time: u64,
    surroundings: Surroundings,
    /// The call that is around it, if that is a span.
    outer: Option<CallId>,
    ended: Option<EndedCall>,
}

/// Faults that a schedule may have.
#[derive(Clone, Copy)]
struct Faults {
    /// Calls are left without their end.
    leaves: bool,
    /// Records of ends are lost.
    losses: bool,
}

/// The threads, and the kernel's maps. Stacks are coroutines: any thread continues any of them.
struct Model {
    random: Random,
    faults: Faults,
    now: u64,
    stacks: Vec<Vec<ModelCall>>,
    open: HashMap<FrameKey, u64>,
    missed: HashMap<u32, u64>,
    ring: Vec<Record>,
}

impl Model {
    fn new(seed: u64, faults: Faults) -> Self {
        Self {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            faults,
            now: 1,
            stacks: vec![Vec::new(); 3],
            open: HashMap::new(),
            missed: HashMap::new(),
            ring: Vec::new(),
        }
    }

    fn surroundings(stack: &[ModelCall]) -> Surroundings {
        let possible = stack.iter().rev().map(|call| PossibleCall {
            key: call.key,
            keeps: false,
            begins_here: false,
            ends_here: false,
        });
        Surroundings {
            possible: possible.collect(),
            stopped: None,
        }
    }

    fn step(&mut self) {
        self.now += 1;
        let time = self.now;
        let at = self.random.below(3) as usize;
        let Some(stack) = self.stacks.get_mut(at) else {
            return;
        };
        let what = self.random.below(16);
        match what {
            0..5 if stack.len() < 6 => {
                let key = FrameKey {
                    slot: self.random.below(2) as u32,
                    group: 0,
                    process: 7,
                    frame: 0x1000 * (at as u64 + 1) - 16 * stack.len() as u64,
                };
                // The condition is false for some calls. Such a call is not a span, and removes an earlier entry.
                let is_span = self.random.below(4) > 0;
                let id = CallId {
                    begun_ns: time,
                    key,
                };
                let earlier = match is_span {
                    true => self.open.insert(key, time),
                    false => self.open.remove(&key),
                };
                if earlier.is_some() {
                    *self.missed.entry(key.slot).or_default() += 1;
                }
                stack.push(ModelCall {
                    key,
                    id: is_span.then_some(id),
                });
            }
            5..9 => {
                let surroundings = Self::surroundings(stack);
                let Some(call) = stack.pop() else { return };
                let Some(id) = call.id else { return };
                self.open.remove(&call.key);
                if self.faults.losses && self.random.below(8) == 0 {
                    *self.missed.entry(call.key.slot).or_default() += 1;
                    return;
                }
                let outer = stack.iter().rev().find_map(|call| call.id);
                let ended = EndedCall {
                    call: SpanCall {
                        id,
                        facts: Arc::new(CallFacts::default()),
                    },
                    end_ns: time,
                };
                self.ring.push(Record {
                    time,
                    surroundings,
                    outer,
                    ended: Some(ended),
                });
            }
            9 if self.faults.leaves => {
                // A panic: the entries stay.
                let left = self.random.below(3) as usize;
                stack.truncate(stack.len().saturating_sub(left));
            }
            _ => {
                let outer = stack.iter().rev().find_map(|call| call.id);
                self.ring.push(Record {
                    time,
                    surroundings: Self::surroundings(stack),
                    outer,
                    ended: None,
                });
            }
        }
    }

    fn steps(&mut self) {
        for _ in 0..self.random.below(6) {
            self.step();
        }
    }
}

impl CallSource for Model {
    fn open(&self, possible: PossibleCall) -> Option<SpanCall> {
        let begun_ns = *self.open.get(&possible.key)?;
        Some(SpanCall {
            id: CallId {
                begun_ns,
                key: possible.key,
            },
            facts: Arc::new(CallFacts::default()),
        })
    }

    fn keyed(&self) -> Vec<SpanCall> {
        Vec::new()
    }

    fn missed(&self, slot: u32) -> u64 {
        self.missed.get(&slot).copied().unwrap_or(0)
    }
}

/// Places that the placer gave.
#[derive(Default)]
struct Said {
    calls: HashMap<SpanId, CallId>,
    ids: HashMap<CallId, SpanId>,
    named: u64,
    unknown: u64,
}

impl Said {
    /// An id stands for this call, and for no other.
    fn is(&mut self, span: SpanId, call: CallId) {
        assert_eq!(*self.calls.entry(span).or_insert(call), call);
        assert_eq!(*self.ids.entry(call).or_insert(span), span);
        self.named += 1;
    }
}

/// Runs one schedule.
fn run(seed: u64, faults: Faults) -> Said {
    let mut model = Model::new(seed, faults);
    let (mut placer, mut said) = (SpanPlacer::default(), Said::default());
    for _ in 0..60 {
        for _ in 0..model.random.below(40) {
            model.step();
        }
        let settled = model.now.saturating_sub(model.random.below(10));
        let count = model.ring.partition_point(|record| record.time <= settled);
        let batch: Vec<Record> = model.ring.drain(..count).collect();
        let all = batch.iter().map(|record| &record.surroundings);
        let mut looked = Looked::of(&model, all, false);
        // The program goes on at each moment.
        model.steps();
        let ended = batch.iter().chain(&model.ring);
        looked.add_ended(ended.filter_map(|record| record.ended.clone()));
        model.steps();
        let now = model.now;
        placer.look_at_missed(&model, [0, 1].into_iter(), &|| now);
        for record in batch {
            let Some(ended) = record.ended else {
                let (context, _) = placer.context(&looked, &record.surroundings, record.time);
                match (context, record.outer) {
                    (SpanContext::Inside(ids), Some(outer)) => said.is(ids.span, outer),
                    (SpanContext::Outside, None) => {}
                    (SpanContext::Unknown(_), _) => said.unknown += 1,
                    wrong => panic!("schedule {seed}, time {}: {wrong:?}", record.time),
                }
                continue;
            };
            let known = placer.ended(&looked, &record.surroundings, &ended);
            let known = known.expect("it has ids");
            said.is(known.ids.span, ended.call.id);
            match (known.parent, record.outer) {
                (Some(parent), Some(outer)) => said.is(parent, outer),
                (None, None) => {}
                (None, Some(_)) => {
                    assert!(!known.notes.is_empty(), "schedule {seed}: no word on it");
                    said.unknown += 1;
                }
                wrong => panic!("schedule {seed}: {wrong:?}"),
            }
        }
    }
    said
}

#[test]
fn events_and_spans_are_in_the_innermost_open_call() {
    for seed in 0..300 {
        let faults = Faults {
            leaves: false,
            losses: false,
        };
        let said = run(seed, faults);
        assert_eq!(said.unknown, 0, "schedule {seed}");
        assert!(said.named > 100, "schedule {seed}");
    }
}

#[test]
fn no_event_is_in_a_wrong_call_whatever_is_left_or_lost() {
    let (mut named, mut unknown) = (0, 0);
    for seed in 0..600 {
        let faults = Faults {
            leaves: seed % 3 != 1,
            losses: seed % 3 != 2,
        };
        let said = run(seed, faults);
        named += said.named;
        unknown += said.unknown;
    }
    assert!(unknown > 0, "some could not be known");
    assert!(named > 2 * unknown, "{named} named, {unknown} unknown");
}

fn call(begun_ns: u64, frame: u64, key: Option<&str>) -> SpanCall {
    SpanCall {
        id: CallId {
            begun_ns,
            key: FrameKey {
                slot: 0,
                group: 0,
                process: 7,
                frame,
            },
        },
        facts: Arc::new(CallFacts {
            parent: None,
            key: key.map(str::to_owned),
        }),
    }
}

/// Calls with keys that are open.
struct Keyed(Vec<SpanCall>);

impl CallSource for Keyed {
    fn open(&self, possible: PossibleCall) -> Option<SpanCall> {
        let mut calls = self.0.iter();
        calls.find(|call| call.id.key == possible.key).cloned()
    }

    fn keyed(&self) -> Vec<SpanCall> {
        self.0.clone()
    }

    fn missed(&self, _: u32) -> u64 {
        0
    }
}

/// Ends a call that has these calls around it, outermost last.
fn end(
    placer: &mut SpanPlacer,
    open: &Keyed,
    chain: &[&SpanCall],
    end_ns: u64,
) -> super::table::KnownSpan {
    let possible = chain.iter().map(|call| PossibleCall {
        key: call.id.key,
        keeps: true,
        begins_here: false,
        ends_here: false,
    });
    let surroundings = Surroundings {
        possible: possible.collect(),
        stopped: None,
    };
    let looked = Looked::of(open, std::iter::once(&surroundings), true);
    let ended = EndedCall {
        call: chain[0].clone(),
        end_ns,
    };
    placer
        .ended(&looked, &surroundings, &ended)
        .expect("it has ids")
}

#[test]
fn span_hangs_below_the_last_open_one_with_its_key() {
    let outer = call(10, 0x100, None);
    let (first, last) = (call(20, 0x90, Some("7")), call(25, 0x300, Some("7")));
    let (other, later) = (call(30, 0x400, Some("8")), call(60, 0x500, Some("7")));
    let worker = call(50, 0x600, Some("7"));
    let inner = call(55, 0x580, Some("8"));
    let open = vec![&outer, &first, &last, &other, &later, &worker];
    let open = Keyed(open.into_iter().cloned().collect());
    let mut placer = SpanPlacer::default();
    // Its caller is nearer than any key.
    let inner = end(&mut placer, &open, &[&inner, &worker], 70);
    let worker = end(&mut placer, &open, &[&worker], 80);
    assert_eq!(inner.parent, Some(worker.ids.span));
    let last = end(&mut placer, &open, &[&last], 90);
    assert_eq!(worker.parent, Some(last.ids.span));
    // The stack of `first` is seen last. The trace that began in it is that of all.
    let first = end(&mut placer, &open, &[&first, &outer], 100);
    assert_eq!(last.parent, Some(first.ids.span));
    let outer = end(&mut placer, &open, &[&outer], 110);
    assert_eq!((first.parent, outer.parent), (Some(outer.ids.span), None));
    let traces: HashSet<_> = [&inner, &worker, &last, &first, &outer]
        .iter()
        .map(|span| span.ids.trace)
        .collect();
    assert_eq!(traces.len(), 1);
    // An ended span is remembered for those that began while it was open.
    let gone = Keyed(Vec::new());
    let late = end(&mut placer, &gone, &[&call(95, 0x700, Some("7"))], 120);
    assert_eq!(late.parent, Some(first.ids.span));
    let after = end(&mut placer, &gone, &[&call(200, 0x700, Some("7"))], 210);
    assert_eq!(after.parent, None);
}

#[test]
fn event_at_the_first_instruction_of_its_span_is_in_none_that_began_later() {
    let (outer, own) = (call(10, 0x100, None), call(20, 0x90, None));
    let open = Keyed(vec![outer.clone(), own.clone()]);
    let surroundings = Surroundings {
        possible: [(&own, true), (&outer, false)]
            .into_iter()
            .map(|(call, begins_here)| PossibleCall {
                key: call.id.key,
                keeps: false,
                begins_here,
                ends_here: false,
            })
            .collect(),
        stopped: None,
    };
    let mut placer = SpanPlacer::default();
    let mut context = |time_ns| {
        let looked = Looked::of(&open, std::iter::once(&surroundings), false);
        placer.context(&looked, &surroundings, time_ns)
    };
    // The kernel ran the probe of the event first.
    let (before, none) = context(19);
    assert!(
        matches!(&before, SpanContext::Unknown(why) if why.contains("same instruction")),
        "{before:?}"
    );
    assert_eq!(none, None);
    let (after, inside) = context(21);
    assert!(matches!(after, SpanContext::Inside(_)), "{after:?}");
    assert_eq!(inside, Some(own.id));
}

fn event() -> Event {
    Event {
        origin: Arc::new(SiteOrigin {
            frame_function: None,
            probe: ProbeId(1),
            placement: PlacementId(1),
            probe_name: "p1".into(),
            action: "log",
            file: Arc::default(),
            line: 0,
            function: "f".into(),
            address: 0,
            site: (1, 1),
            multiline: false,
        }),
        time_ns: 0,
        pid: 7,
        tid: 7,
        thread: String::new(),
        hit: 1,
        message: String::new(),
        values: Vec::new(),
        stack: Stack::default(),
        left_out: LeftOut::default(),
        span: None,
        step: None,
        context: SpanContext::Outside,
        access: None,
    }
}

#[test]
fn calls_that_were_left_make_room_and_those_with_an_end_stay() {
    let mut table = SpanTable::default();
    let event = Arc::new(event());
    let calls: Vec<SpanCall> = (0..100)
        .map(|at| call(at + 1, 0x1000 + 16 * at, None))
        .collect();
    let mut kept = HashMap::new();
    for call in &calls {
        let ids = table.establish(std::slice::from_ref(call), true, &|_| None);
        kept.insert(call.id, ids.expect("ids"));
        for _ in 0..SPAN_EVENTS + 2 {
            table.hold(&call.id, &event);
        }
    }
    assert!(table.is_full());
    // The first ten are open. The ends of the next ten wait.
    let is_open = |id: &CallId| id.begun_ns <= 10;
    let mut ended = || calls[10..20].iter().map(|call| call.id).collect();
    table.tidy(&is_open, &mut ended);
    assert!(table.is_full(), "no call is dropped at the first sight");
    table.tidy(&is_open, &mut ended);
    assert!(!table.is_full());
    for (index, call) in calls.iter().enumerate() {
        let Some(known) = table.end(call, 1000) else {
            assert!(index >= 20, "{index} is gone");
            continue;
        };
        assert!(index < 20, "{index} is there");
        assert_eq!(known.ids, kept[&call.id]);
        assert_eq!(
            (known.events.len(), known.left_out_events),
            (SPAN_EVENTS, 2)
        );
    }
}
