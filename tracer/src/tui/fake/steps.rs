//! A traced call of the made-up target.

use std::sync::Arc;

use super::point;
use crate::event::{Event, NamedValue, SiteOrigin, StepEvent, StepKind};
use crate::value::Value;

/// The positions of the pointer by call and turn of the loop. The last turn of the second call goes another way.
const WAYS: [[i128; 4]; 2] = [[100, 140, 140, 90], [100, 140, 140, 190]];

/// Makes the steps of one call.
struct CallMaker {
    call: u64,
    steps: Vec<Arc<Event>>,
    number: u64,
}

impl CallMaker {
    /// A step in `watch` (depth 0) or `report_mouse_movement` (depth 1).
    fn step(&mut self, kind: StepKind, depth: u32, line: u64, values: Vec<NamedValue>) {
        self.number += 1;
        let mut event = super::event(1, self.call * 100 + self.number, "");
        let origin = SiteOrigin {
            line,
            action: "trace",
            function: match depth {
                0 => "target_app::watch".into(),
                _ => "target_app::report_mouse_movement".into(),
            },
            ..(*event.origin).clone()
        };
        let values_text = values.iter();
        let values_text = values_text.map(|value| format!("{} = {}", value.expr, value.value));
        event.message = values_text.collect::<Vec<_>>().join(", ");
        event.origin = Arc::new(origin);
        event.time_ns = 1_700_000_000_000_000_000 + self.call * 1_000_000 + self.number * 1_500;
        event.values = values;
        event.step = Some(Box::new(StepEvent {
            call: self.call,
            number: self.number,
            depth,
            frame: 0x7ffc_0000 - u64::from(depth) * 0x40,
            kind,
            repeated: 0,
        }));
        self.steps.push(Arc::new(event));
    }

    /// A call of `report_mouse_movement`.
    fn report(&mut self, last: i128, current: i128) {
        let values = || vec![pointer("last", last), pointer("current", current)];
        self.step(StepKind::Enter, 1, 16, values());
        self.step(StepKind::Line, 1, 18, values());
        let line = if current > last { 19 } else { 21 };
        self.step(StepKind::Line, 1, line, values());
        self.step(StepKind::Line, 1, 23, values());
        let unit = named("$return", "()", Value::Unit);
        self.step(StepKind::Return, 1, 28, vec![unit]);
    }
}

fn named(expr: &str, ty: &str, value: Value) -> NamedValue {
    NamedValue {
        expr: expr.into(),
        ty: ty.into(),
        value,
    }
}

fn pointer(name: &str, x: i128) -> NamedValue {
    named(name, "Pointer", point(x, 300))
}

/// The steps of a traced call of `watch`, which calls `report_mouse_movement` twice. Call 2 takes another way at its
/// end. Steps are missing in the middle: turns of the loop that are only counted, and two that are lost.
pub(crate) fn traced_call(call: u64) -> Vec<Arc<Event>> {
    let mut maker = CallMaker {
        call,
        steps: Vec::new(),
        number: 0,
    };
    let way = WAYS[usize::from(call == 2)];
    let turn = |turn: i128| named("turn", "usize", Value::Uint(turn.unsigned_abs()));
    maker.step(StepKind::Enter, 0, 31, Vec::new());
    let mut last = way[0];
    for (at, current) in (0..).zip(way) {
        let before = || vec![turn(at), pointer("last", last)];
        let now = || vec![turn(at), pointer("last", last), pointer("current", current)];
        maker.step(StepKind::Line, 0, 33, before());
        if at == 2 {
            maker.number += 12;
            maker.step(StepKind::Line, 0, 34, before());
            if let Some(event) = maker.steps.last_mut().and_then(Arc::get_mut)
                && let Some(step) = &mut event.step
            {
                step.repeated = 10;
            }
        } else {
            maker.step(StepKind::Line, 0, 34, before());
        }
        maker.step(StepKind::Line, 0, 35, now());
        if current != last {
            maker.step(StepKind::Line, 0, 36, now());
            maker.report(last, current);
        }
        maker.step(StepKind::Line, 0, 38, now());
        last = current;
    }
    let ok = Value::Variant(crate::value::Variant {
        ty: "Result".into(),
        name: "Ok".into(),
        line: None,
        fields: vec![("0".into(), Value::Unit)],
        omitted: None,
    });
    maker.step(
        StepKind::Return,
        0,
        40,
        vec![named("$return", "Result<(), Error>", ok)],
    );
    maker.steps
}
