//! Calls from made-up steps.

use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::base::unavailable::Unavailable;
use crate::event::{LeftOut, PlacementId, SiteOrigin, SpanContext, Stack};
use crate::value::Value;

/// A step to be made.
#[derive(Clone)]
struct Made {
    step: StepEvent,
    line: u64,
    function: &'static str,
    values: Vec<NamedValue>,
    time_ns: u64,
}

/// A step of the first call, in the traced function `work`.
fn at(number: u64, line: u64) -> Made {
    Made {
        step: StepEvent {
            call: 1,
            number,
            depth: 0,
            frame: 0x1000,
            kind: match number {
                1 => StepKind::Enter,
                _ => StepKind::Line,
            },
            repeated: 0,
        },
        line,
        function: "work",
        values: Vec::new(),
        time_ns: number * 1000,
    }
}

impl Made {
    fn with(mut self, name: &str, value: i128) -> Self {
        self.values.push(number(name, value));
        self
    }

    fn kind(mut self, kind: StepKind) -> Self {
        self.step.kind = kind;
        self
    }

    /// In `leaf`, which `work` has called.
    fn in_leaf(mut self, kind: StepKind) -> Self {
        (self.step.depth, self.step.frame, self.function) = (1, 0xf00, "leaf");
        self.step.kind = kind;
        self
    }

    fn event(self) -> Arc<Event> {
        let Self {
            step,
            line,
            function,
            values,
            time_ns,
        } = self;
        Arc::new(Event {
            origin: Arc::new(SiteOrigin {
                frame_function: None,
                probe: ProbeId(1),
                placement: PlacementId(1),
                probe_name: "p1".into(),
                action: "trace",
                file: Arc::new(PathBuf::from("/src/work.c")),
                line,
                function: function.into(),
                address: line,
                site: (1, 1),
                multiline: false,
            }),
            time_ns,
            pid: 10,
            tid: 11,
            thread: "main".into(),
            hit: step.number,
            message: String::new(),
            values,
            stack: Stack::default(),
            left_out: LeftOut::default(),
            span: None,
            context: SpanContext::Outside,
            access: None,
            step: Some(Box::new(step)),
        })
    }
}

fn number(name: &str, value: i128) -> NamedValue {
    NamedValue {
        expr: name.into(),
        ty: "int".into(),
        value: Value::Int(value, 32),
    }
}

const KEY: CallKey = CallKey {
    probe: ProbeId(1),
    pid: 10,
    tid: 11,
    call: 1,
};

/// `work` calls `leaf` twice in a loop.
fn steps() -> Vec<Made> {
    vec![
        at(1, 10).with("n", 2),
        at(2, 11).with("n", 2).with("sum", 0),
        at(3, 5).in_leaf(StepKind::Enter).with("k", 0),
        at(4, 6).in_leaf(StepKind::Line).with("k", 1),
        at(5, 6).in_leaf(StepKind::Return).with("$return", 7),
        at(6, 12).with("n", 2).with("sum", 0).with("part", 7),
        at(7, 11).with("n", 2).with("sum", 7),
        at(8, 5).in_leaf(StepKind::Enter).with("k", 1),
        at(9, 6).in_leaf(StepKind::Line).with("k", 2),
        at(10, 6).in_leaf(StepKind::Return).with("$return", 9),
        at(11, 12).with("n", 2).with("sum", 7).with("part", 9),
        at(12, 13).with("n", 2).with("sum", 16),
        at(13, 13).kind(StepKind::Return).with("$return", 16),
    ]
}

fn call(steps: impl IntoIterator<Item = Made>) -> TracedCall {
    let mut call = TracedCall::new(KEY);
    call.extend(steps.into_iter().map(Made::event));
    call
}

/// The frames: depth, numbers of the steps, end.
fn frames(call: &TracedCall) -> Vec<(u32, Vec<u64>, FrameEnd)> {
    let number = |index: &usize| call.step(*index).map_or(0, TracedStep::number);
    let frames = call.frames().iter();
    frames
        .map(|frame| {
            (
                frame.depth,
                frame.steps.iter().map(number).collect(),
                frame.end,
            )
        })
        .collect()
}

/// The changes of a step, in words.
fn changed(call: &TracedCall, number: u64) -> Vec<String> {
    let text =
        |value: Option<&NamedValue>| value.map_or("-".to_owned(), |one| one.value.to_string());
    let changes = call.changes(call.index_of(number));
    changes
        .iter()
        .map(|one| format!("{} {} {}", one.name(), text(one.before), text(one.now)))
        .collect()
}

/// The number of the step that a move leads to.
fn gone(call: &TracedCall, from: u64, way: StepMove, direction: Direction) -> Option<u64> {
    let to = call.go(call.index_of(from), way, direction)?;
    call.step(to).map(TracedStep::number)
}

#[test]
fn steps_make_frames() {
    let call = call(steps());
    assert_eq!(
        frames(&call),
        [
            (0, vec![1, 2, 6, 7, 11, 12, 13], FrameEnd::Returned),
            (1, vec![3, 4, 5], FrameEnd::Returned),
            (1, vec![8, 9, 10], FrameEnd::Returned),
        ]
    );
    assert_eq!(call.end(), FrameEnd::Returned);
    assert_eq!(
        (call.frames()[1].parent, call.frames()[0].parent),
        (Some(0), None)
    );
    assert_eq!(call.duration_ns(&call.frames()[1]), Some(2000));
    assert_eq!(call.name_of(&call.frames()[2]), "leaf");
}

#[test]
fn steps_in_any_order_and_twice_make_the_same_call() {
    let straight = call(steps());
    let mut late = TracedCall::new(KEY);
    for from in [8, 3, 0] {
        let part = steps().into_iter().skip(from);
        late.extend(part.map(Made::event));
    }
    let mut backwards = TracedCall::new(KEY);
    for step in steps().into_iter().rev() {
        assert_eq!(backwards.extend([step.clone().event()]), 1);
        assert_eq!(backwards.extend([step.event()]), 0);
    }
    for other in [late, backwards] {
        assert_eq!(frames(&other), frames(&straight));
        for number in 1..=13 {
            assert_eq!(changed(&other, number), changed(&straight, number));
        }
        assert_eq!(other.bytes(), straight.bytes());
    }
}

#[test]
fn steps_of_other_calls_are_passed_over() {
    let mut other = at(2, 11);
    other.step.call = 2;
    let mut call = TracedCall::new(KEY);
    assert_eq!(call.extend([at(1, 10).event(), other.event()]), 1);
    assert_eq!(call.len(), 1);
}

#[test]
fn changes_are_those_since_the_last_step_of_the_frame() {
    let call = call(steps());
    assert_eq!(changed(&call, 1), ["n - 2"]);
    assert_eq!(changed(&call, 2), ["sum - 0"]);
    assert_eq!(changed(&call, 4), ["k 0 1"]);
    assert_eq!(changed(&call, 5), ["$return - 7"]);
    assert_eq!(changed(&call, 6), ["part - 7"]);
    assert_eq!(changed(&call, 7), ["sum 0 7", "part 7 -"]);
    assert_eq!(changed(&call, 8), ["k - 1"]);
    let returned = |number: u64| -> Vec<(String, u64)> {
        let returned = call.returned_before(call.index_of(number)).into_iter();
        returned
            .map(|(frame, at)| (call.name_of(frame).to_owned(), call.steps()[at].number()))
            .collect()
    };
    assert_eq!(returned(6), [("leaf".to_owned(), 5)]);
    assert_eq!(returned(7), []);
    assert_eq!(returned(11), [("leaf".to_owned(), 10)]);
}

#[test]
fn values_out_of_scope_come_and_go() {
    let absent = |words: &str| NamedValue {
        value: Value::Unavailable(match words {
            "" => Unavailable::OutOfScope,
            words => Unavailable::Recorded(words.to_owned()),
        }),
        ..number("i", 0)
    };
    for words in ["", "not in scope here"] {
        let mut first = at(1, 10);
        first.values.push(absent(words));
        let mut last = at(3, 12);
        last.values.push(absent(words));
        let call = call([first, at(2, 11).with("i", 5), last]);
        assert_eq!(changed(&call, 1), [""; 0]);
        assert_eq!(changed(&call, 2), ["i - 5"]);
        assert_eq!(changed(&call, 3), ["i 5 -"]);
    }
}

#[test]
fn steps_of_inlined_bodies_are_compared_with_their_own() {
    let mut inlined = at(2, 30).with("x", 1);
    inlined.function = "helper";
    let mut again = at(4, 30).with("x", 2);
    again.function = "helper";
    let call = call([
        at(1, 10).with("n", 1),
        inlined,
        at(3, 11).with("n", 3),
        again,
    ]);
    assert_eq!(call.frames().len(), 1);
    assert_eq!(changed(&call, 3), ["n 1 3"]);
    assert_eq!(changed(&call, 4), ["x 1 2"]);
}

#[test]
fn nan_is_no_change_of_nan() {
    let float = |value| {
        vec![NamedValue {
            value: Value::Float64(value),
            ..number("f", 0)
        }]
    };
    assert!(changes(&float(f64::NAN), &float(f64::NAN)).is_empty());
    assert_eq!(changes(&float(1.0), &float(f64::NAN)).len(), 1);
}

#[test]
fn gaps_are_told_by_their_reason() {
    let mut turned = at(12, 11);
    turned.step.repeated = 6;
    let mut wrong = at(14, 12);
    wrong.step.repeated = 100;
    let call = call([at(3, 10), turned, wrong]);
    let gap = |number| call.gap_before(call.index_of(number));
    assert_eq!(gap(12).short(), "6 counted, 2 lost");
    assert_eq!(
        gap(3),
        StepGap {
            lost: 2,
            ..StepGap::default()
        }
    );
    assert_eq!(
        gap(12),
        StepGap {
            repeated: 6,
            lost: 2
        }
    );
    assert_eq!(
        gap(14),
        StepGap {
            repeated: 1,
            ..StepGap::default()
        }
    );
    assert_eq!(
        gap(12).text(),
        "6 steps of further turns only counted, 2 steps lost"
    );
    assert!(gap(12).hides_steps() && !gap(14).hides_steps());
}

#[test]
fn frames_without_a_return_are_left_or_not_known() {
    // `leaf` is left by `longjmp`.
    let jumped = || steps().into_iter().filter(|one| one.step.number != 5);
    let mut renumbered: Vec<Made> = jumped().collect();
    (1..)
        .zip(&mut renumbered)
        .for_each(|(number, one)| one.step.number = number);
    assert_eq!(
        frames(&call(renumbered))[1],
        (1, vec![3, 4], FrameEnd::Left)
    );
    // The step of its return is lost.
    assert_eq!(
        frames(&call(jumped()))[1],
        (1, vec![3, 4], FrameEnd::Unknown)
    );
    // No more has come.
    let open = call(steps().into_iter().take(4));
    assert_eq!(frames(&open)[1].2, FrameEnd::Open);
    assert_eq!(open.end(), FrameEnd::Open);
    assert_eq!(open.duration_ns(&open.frames()[1]), None);
}

#[test]
fn a_call_that_was_left_shows_no_values_of_another() {
    let left = at(5, 10).kind(StepKind::Left).with("n", 99);
    let call = call(steps().into_iter().take(4).chain([left]));
    let ends: Vec<FrameEnd> = call.frames().iter().map(|frame| frame.end).collect();
    assert_eq!(ends, [FrameEnd::Left, FrameEnd::Left]);
    assert_eq!(frames(&call)[0].1, [1, 2, 5]);
    assert_eq!(call.end(), FrameEnd::Left);
    assert!(call.values(4).is_empty());
}

#[test]
fn a_call_that_is_recorded_no_further_says_so() {
    let mut cut = at(5, 6).in_leaf(StepKind::Cut).with("k", 4);
    cut.step.number = 5;
    let whole = call(steps());
    let call = call(steps().into_iter().take(4).chain([cut]));
    let ends: Vec<FrameEnd> = call.frames().iter().map(|frame| frame.end).collect();
    assert_eq!(ends, [FrameEnd::Cut, FrameEnd::Cut]);
    assert_eq!((call.end(), frames(&call)[1].1.len()), (FrameEnd::Cut, 3));
    // It is a line as others, but for what follows.
    assert_eq!(changed(&call, 5), ["k 1 4"]);
    assert_eq!(gone(&call, 4, StepMove::Pass, Direction::Forward), Some(5));
    let comparison = CallComparison::new(&call, &whole);
    assert_eq!(
        (comparison.common, comparison.parting),
        (4, Some(Parting::Path))
    );
    let comparison = CallComparison::new(&call, &call);
    assert_eq!(
        (comparison.common, comparison.parting),
        (5, Some(Parting::NotKnown))
    );
}

#[test]
fn steps_after_lost_ones_have_frames_of_their_own() {
    let deep = |number, frame| {
        let mut step = at(number, 40);
        (step.step.depth, step.step.frame, step.function) = (2, frame, "deep");
        step
    };
    // The enters of both, and the frame between them, are lost.
    let call = call([at(1, 10), deep(5, 0xe00), deep(9, 0xd00), at(12, 11)]);
    assert_eq!(
        frames(&call),
        [
            (0, vec![1, 12], FrameEnd::Open),
            (2, vec![5], FrameEnd::Unknown),
            (2, vec![9], FrameEnd::Unknown),
        ]
    );
    assert!(!call.frames()[1].has_enter);
    assert_eq!(call.frames()[2].parent, Some(0));
}

#[test]
fn memory_is_bounded_and_the_end_is_kept() {
    let mut call = TracedCall::bounded(KEY, 10, CALL_BYTES);
    call.extend((1..=50).map(|number| at(number, 10).event()));
    call.extend([at(51, 13).kind(StepKind::Return).event()]);
    assert_eq!((call.len(), call.not_kept()), (11, 40));
    assert_eq!((call.last_number(), call.end()), (51, FrameEnd::Returned));
    assert_eq!(call.gap_before(10).lost, 40);
    let mut small = TracedCall::bounded(KEY, CALL_STEPS, 2000);
    small.extend((1..=50).map(|number| at(number, 10).event()));
    assert!(
        small.len() < 10 && small.bytes() < 4000,
        "{}",
        small.bytes()
    );
}

#[test]
fn moves_lead_over_into_and_out_of_calls() {
    use Direction::{Back, Forward};
    let call = call(steps());
    for (from, way, direction, to) in [
        (2, StepMove::Step, Forward, Some(3)),
        (3, StepMove::Step, Back, Some(2)),
        (13, StepMove::Step, Forward, None),
        (1, StepMove::Step, Back, None),
        (2, StepMove::Over, Forward, Some(6)),
        (6, StepMove::Over, Back, Some(2)),
        (4, StepMove::Over, Forward, Some(5)),
        (5, StepMove::Over, Forward, Some(6)),
        (1, StepMove::Into, Forward, Some(3)),
        (6, StepMove::Into, Forward, Some(8)),
        (7, StepMove::Into, Back, Some(3)),
        (11, StepMove::Into, Forward, None),
        (3, StepMove::Out, Forward, Some(6)),
        (9, StepMove::Out, Back, Some(7)),
        (2, StepMove::Out, Forward, None),
        (2, StepMove::Pass, Forward, Some(7)),
        (7, StepMove::Pass, Back, Some(2)),
        (4, StepMove::Pass, Forward, None),
        (4, StepMove::PassAnywhere, Forward, Some(9)),
        (9, StepMove::PassAnywhere, Back, Some(4)),
        (12, StepMove::Pass, Forward, None),
        (4, StepMove::End, Forward, Some(13)),
        (4, StepMove::End, Back, Some(1)),
    ] {
        assert_eq!(
            gone(&call, from, way, direction),
            to,
            "{from} {way:?} {direction:?}"
        );
    }
    assert_eq!(call.go(99, StepMove::Step, Back), None);
}

#[test]
fn variable_leads_to_the_steps_where_it_changed() {
    use Direction::{Back, Forward};
    let call = call(steps());
    let change = |from, name, direction| {
        let to = call.change_of(call.index_of(from), name, direction)?;
        call.step(to).map(TracedStep::number)
    };
    assert_eq!(change(13, "sum", Back), Some(12));
    assert_eq!(change(12, "sum", Back), Some(7));
    assert_eq!(change(7, "sum", Back), Some(2));
    assert_eq!(change(2, "sum", Back), None);
    assert_eq!(change(2, "sum", Forward), Some(7));
    // `k` is another one in each call of `leaf`.
    assert_eq!(change(9, "k", Back), Some(8));
    assert_eq!(change(8, "k", Back), None);
    // It goes out of scope, too.
    assert_eq!(change(6, "part", Forward), Some(7));
    assert_eq!(change(6, "none", Forward), None);
    let history: Vec<(usize, Option<String>, bool)> = call
        .history(0, "part")
        .iter()
        .map(|one| (one.step + 1, one.value.map(Value::to_string), one.is_change))
        .collect();
    assert_eq!(
        history,
        [
            (1, None, false),
            (2, None, false),
            (6, Some("7".to_owned()), true),
            (7, None, true),
            (11, Some("9".to_owned()), true),
            (12, None, true),
        ]
    );
}

#[test]
fn calls_are_compared_up_to_where_they_part() {
    let whole = call(steps());
    let compare = |other: Vec<Made>| CallComparison::new(&whole, &call(other));
    let same = compare(steps());
    assert_eq!((same.common, same.parting, same.first()), (13, None, None));
    let mut other = steps();
    other[5] = at(6, 12).with("n", 2).with("sum", 0).with("part", 8);
    other[11] = at(12, 14).with("n", 2);
    let parted = compare(other);
    assert_eq!((parted.common, parted.parting), (11, Some(Parting::Path)));
    assert_eq!(
        (parted.differing.clone(), parted.first()),
        (vec![5], Some(5))
    );
    assert_eq!(
        (parted.next(5, false), parted.next(11, true)),
        (Some(11), Some(5))
    );
    assert_eq!((parted.next(11, false), parted.next(5, true)), (None, None));

    let short: Vec<Made> = steps().into_iter().take(4).collect();
    assert_eq!(compare(short).parting, Some(Parting::NotKnown));
    let mut ended: Vec<Made> = steps().into_iter().take(2).collect();
    ended.push(at(3, 13).kind(StepKind::Return));
    assert_eq!(compare(ended).parting, Some(Parting::Path));
}

#[test]
fn calls_are_not_compared_across_missing_steps() {
    let whole = call(steps());
    let with_gap: Vec<Made> = steps()
        .into_iter()
        .filter(|one| one.step.number != 4)
        .collect();
    let comparison = CallComparison::new(&whole, &call(with_gap));
    assert_eq!(
        (comparison.common, comparison.parting),
        (3, Some(Parting::Missing))
    );
    // As many are missing in both.
    let without = || {
        let steps = steps().into_iter();
        call(steps.filter(|one| one.step.number != 4))
    };
    let comparison = CallComparison::new(&without(), &without());
    assert_eq!((comparison.common, comparison.parting), (12, None));
    assert_eq!((comparison.missing, comparison.first()), (Some(3), None));
    let turned = |repeated: u64| {
        let mut step = at(12, 11);
        step.step.repeated = repeated;
        step.step.number = 2 + repeated;
        call([at(1, 10), step])
    };
    let comparison = CallComparison::new(&turned(4), &turned(6));
    assert_eq!(
        (comparison.common, comparison.parting),
        (1, Some(Parting::Turns))
    );
}
