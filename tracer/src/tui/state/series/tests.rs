use std::time::Instant;

use super::steps::{SLOTS, STEPS};
use super::*;
use crate::base::unavailable::Unavailable;
use crate::event::NamedValue;
use crate::tui::fake;

fn event(hit: u64, values: Vec<(&str, Value)>) -> Arc<Event> {
    let mut event = fake::event(1, hit, "message");
    event.values = values
        .into_iter()
        .map(|(expr, value)| NamedValue {
            expr: expr.into(),
            ty: "i64".into(),
            value,
        })
        .collect();
    Arc::new(event)
}

fn fed(events: Vec<Arc<Event>>) -> ProbeSeries {
    let mut series = ProbeSeries::default();
    let now = Instant::now();
    events.iter().for_each(|event| series.take(event, now));
    series
}

fn slots(series: &ProbeSeries, name: &str) -> Vec<Slot> {
    let channel = series.channel(name).expect("there is such a channel");
    let all = channel.steps.range(0, 0, u64::MAX);
    all.map(|(_, slot)| *slot).collect()
}

#[test]
fn a_million_events_keep_a_bounded_number_of_points() {
    let mut series = ProbeSeries::default();
    let now = Instant::now();
    for batch in 0..2_000 {
        for hit in 0..500 {
            let mut one = fake::event(1, 1, "message");
            one.time_ns += (batch * 500 + hit) * 1_000_000;
            let value = Value::Uint(u128::from(hit));
            let named = |expr: &str| NamedValue {
                expr: expr.into(),
                ty: "u64".into(),
                value: value.clone(),
            };
            one.values = (0..12).map(|index| named(&format!("v{index}"))).collect();
            series.take(&Arc::new(one), now);
        }
        let kept: usize = series.channels.iter().map(|one| one.steps.kept()).sum();
        assert!(series.channels.len() <= CHANNELS);
        assert!(kept <= CHANNELS * STEPS.len() * SLOTS, "{kept}");
        assert!(series.rows.len() <= ROWS && series.recent.len() <= RECENT);
    }
    assert_eq!((series.events, series.has_more), (1_000_000, true));
    // A quarter of an hour has far more steps of 40 ms, and the newest are kept.
    let slots = slots(&series, "v0");
    assert_eq!(slots.len(), SLOTS);
    assert!(slots.last().is_some_and(|slot| slot.last == 499.0));
}

#[test]
fn fields_of_structs_are_channels_and_none_is_a_gap() {
    let point = |x| ("p", fake::point(x, 3));
    let series = fed(vec![event(1, vec![point(1)]), event(2, vec![point(2)])]);
    let names: Vec<&str> = series.channels.iter().map(|one| &*one.name).collect();
    assert_eq!(names, ["p.x", "p.y"]);
    assert_eq!(series.rows[1].numbers[..2], [2.0, 3.0]);
}

#[test]
fn unavailable_and_infinite_values_break_the_line_and_are_no_points() {
    let of = |hit, value| event(hit, vec![("v", value)]);
    let series = fed(vec![
        of(1, Value::Float64(1.0)),
        of(2, Value::Unavailable(Unavailable::Null)),
        of(3, Value::Float64(2.0)),
        of(4, Value::Float64(f64::NAN)),
        of(5, Value::Float64(f64::INFINITY)),
        of(6, Value::Float64(3.0)),
        of(7, Value::Float64(4.0)),
    ]);
    let slots = slots(&series, "v");
    let lasts: Vec<f64> = slots.iter().map(|slot| slot.last).collect();
    let broken: Vec<bool> = slots.iter().map(|slot| slot.is_broken).collect();
    assert_eq!(lasts, [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(broken, [false, true, true, false]);
    let channel = &series.channels[0];
    assert_eq!((channel.absent, channel.not_finite), (1, 2));
    assert!(series.rows[1].numbers[0].is_nan());
}

#[test]
fn left_out_hits_break_the_line_and_are_counted_by_time() {
    let mut after = (*event(2, vec![("v", Value::Uint(2))])).clone();
    after.left_out.limited = 40;
    after.left_out.lost = 2;
    let series = fed(vec![event(1, vec![("v", Value::Uint(1))]), Arc::new(after)]);
    assert!(slots(&series, "v")[1].is_broken);
    let left_out: Vec<u64> = series
        .left_out
        .range(2, 0, u64::MAX)
        .map(|one| one.1)
        .collect();
    assert_eq!(left_out, [42]);
}

#[test]
fn integers_beyond_f64_are_known_to_be_rounded() {
    for (value, rounded) in [
        (Value::Uint(1 << 53), false),
        (Value::Uint((1 << 53) + 1), true),
        (Value::Int(i128::MIN, 128), true),
        (Value::Uint(u128::MAX), true),
        (Value::Float64(1e300), false),
    ] {
        let series = fed(vec![event(1, vec![("v", value)])]);
        assert_eq!(series.channels[0].is_rounded, rounded);
    }
}

#[test]
fn events_out_of_order_go_to_their_time() {
    let mut series = ProbeSeries::default();
    for hit in [1, 2, 4, 3, 2] {
        series.take(
            &event(hit, vec![("v", Value::Uint(hit.into()))]),
            Instant::now(),
        );
    }
    let lasts: Vec<f64> = slots(&series, "v").iter().map(|slot| slot.last).collect();
    assert_eq!(lasts, [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn large_events_are_kept_up_to_a_number_of_bytes() {
    let big = |hit| {
        let mut one = fake::event(1, hit, &"x".repeat(300_000));
        one.values.clear();
        Arc::new(one)
    };
    let series = fed((0..20).map(big).collect());
    assert!(
        (1..=3).contains(&series.recent.len()),
        "{}",
        series.recent.len()
    );
}
