use std::io::Read as _;
use std::sync::Arc;

use flate2::read::GzDecoder;
use prost::Message as _;

use super::made::{begin, event, frames, origin, span};
use super::*;
use crate::event::{Aggregate, AggregateBody, CountRow, ProbeId, Times};
use crate::sink::Sink as _;
use crate::sink::export::pprof::PprofSink;
use crate::sink::export::pprof::messages::{Profile, ProfileSample};
use crate::value::Value;

fn decoded(bytes: &[u8]) -> Profile {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).expect("gzip");
    Profile::decode(&*plain).expect("a profile")
}

fn text(profile: &Profile, place: i64) -> &str {
    &profile.string_table[usize::try_from(place).expect("a place")]
}

/// The stack of a sample, the innermost first, as `function:line`.
fn stack(profile: &Profile, sample: &ProfileSample) -> Vec<String> {
    let place = |id: &u64| {
        let mut all = profile.location.iter();
        let location = all.find(|location| location.id == *id).expect("a location");
        let line = location.line.first().expect("a line");
        let mut all = profile.function.iter();
        let function = all
            .find(|one| one.id == line.function_id)
            .expect("a function");
        format!("{}:{}", text(profile, function.name), line.line)
    };
    sample.location_id.iter().map(place).collect()
}

fn label<'p>(profile: &'p Profile, sample: &ProfileSample, key: &str) -> &'p str {
    let mut labels = sample.label.iter();
    let found = labels.find(|label| text(profile, label.key) == key);
    found.map_or("", |label| text(profile, label.str))
}

#[test]
fn hits_are_added_up_by_stack_probe_and_thread() {
    let mut stacked = event(1, Vec::new());
    stacked.stack = frames(&["inner", "outer"]);
    let mut other_thread = stacked.clone();
    other_thread.thread = "Other".into();
    let events = [stacked.clone(), event(2, Vec::new()), stacked, other_thread];
    let profile = decoded(&export(ExportFormat::Pprof, &events));
    assert_eq!(profile.string_table[0], "");
    assert_eq!(profile.sample_type.len(), 1);
    assert_eq!(text(&profile, profile.sample_type[0].r#type), "hits");
    let samples: Vec<_> = profile
        .sample
        .iter()
        .map(|sample| {
            let thread = label(&profile, sample, "thread");
            (stack(&profile, sample), thread, sample.value[0])
        })
        .collect();
    let stack = ["inner:1".to_owned(), "outer:2".to_owned()];
    assert_eq!(samples.len(), 3);
    assert_eq!(samples[0], (stack.to_vec(), "Monitor", 2));
    assert!(samples.contains(&(stack.to_vec(), "Other", 1)));
    // An event without a stack has its own location.
    assert!(samples.contains(&(vec!["app::report:57".into()], "Monitor", 1)));
    assert_eq!(label(&profile, &profile.sample[0], "probe"), "p1");
}

#[test]
fn spans_have_their_times() {
    let events = [span(1, 10, 30), span(2, 50, 55), event(60, Vec::new())];
    let profile = decoded(&export(ExportFormat::Pprof, &events));
    let kinds: Vec<_> = profile
        .sample_type
        .iter()
        .map(|kind| (text(&profile, kind.r#type), text(&profile, kind.unit)))
        .collect();
    assert_eq!(kinds, [("hits", "count"), ("time", "nanoseconds")]);
    let values: Vec<_> = profile
        .sample
        .iter()
        .map(|sample| sample.value.as_slice())
        .collect();
    assert_eq!(values, [[2, 25], [1, 0]]);
    assert_eq!(profile.duration_nanos, 60);
}

#[test]
fn hits_that_the_kernel_added_up_are_samples() {
    let aggregate = |probe, body| Aggregate {
        probe: ProbeId(probe),
        probe_name: format!("p{probe}"),
        action: "count",
        expr: "kind".into(),
        total: 9,
        other: 2,
        body,
    };
    let rows = vec![CountRow {
        value: Value::Uint(4),
        count: 7,
    }];
    let bytes = SharedBytes::default();
    let mut sink = PprofSink::new(bytes.clone());
    sink.begin(&begin()).expect("written");
    let mut with_events = event(1, Vec::new());
    with_events.origin = Arc::clone(&origin(3, "span"));
    sink.event(&with_events).expect("written");
    let times = |sum_ns| {
        AggregateBody::Times(Times {
            sum_ns,
            ..Times::default()
        })
    };
    for aggregate in [
        // A later one has all that an earlier one has.
        aggregate(1, AggregateBody::Count(Vec::new())),
        aggregate(1, AggregateBody::Count(rows)),
        aggregate(2, times(1000)),
        // Its events are there.
        aggregate(3, times(5)),
    ] {
        sink.aggregate(&aggregate, 1).expect("written");
    }
    sink.finish().expect("written");
    let profile = decoded(&bytes.take());
    let mut samples: Vec<_> = profile
        .sample
        .iter()
        .map(|sample| {
            let by = label(&profile, sample, "kind");
            (label(&profile, sample, "probe"), by, sample.value.clone())
        })
        .collect();
    samples.sort();
    assert_eq!(
        samples,
        [
            ("p1", "", vec![2, 0]),
            ("p1", "4", vec![7, 0]),
            ("p2", "", vec![9, 1000]),
            ("p3", "", vec![1, 0]),
        ]
    );
}
