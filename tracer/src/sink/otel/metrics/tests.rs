use std::sync::Arc;

use super::*;
use crate::base::unavailable::Unavailable;
use crate::event::Counters;
use crate::session::Cost;
use crate::value::Text;

pub(in crate::sink::otel) fn status(name: &str, counters: Counters) -> ProbeStatus {
    ProbeStatus {
        placement: None,
        id: ProbeId(1),
        name: name.into(),
        text: "count main.rs:57 by kind".into(),
        file: Arc::new("/src/main.rs".into()),
        line: 57,
        function: "report".into(),
        sites: 1,
        enabled: true,
        done: None,
        counters,
        cost: Cost::default(),
        notes: Vec::new(),
        processes: Vec::new(),
        undelivered: 2,
    }
}

pub(in crate::sink::otel) fn aggregate(name: &str, expr: &str, body: AggregateBody) -> Aggregate {
    Aggregate {
        probe: ProbeId(1),
        probe_name: name.into(),
        action: match body {
            AggregateBody::Count(_) => "count",
            AggregateBody::Histogram(_) => "hist",
            AggregateBody::Times(_) => "time",
        },
        expr: expr.into(),
        total: 9,
        other: 1,
        body,
    }
}

pub(in crate::sink::otel) fn rows() -> AggregateBody {
    let text = |bytes: &[u8]| {
        Value::Text(Text {
            bytes: bytes.to_vec(),
            cut: None,
        })
    };
    let row = |value, count| CountRow { value, count };
    AggregateBody::Count(vec![
        row(text(b"get \"x\""), 5),
        row(Value::Int(-4, 32), 2),
        row(Value::Unavailable(Unavailable::OptimisedOut), 1),
    ])
}

fn family<'s>(set: &'s MetricSet, name: &str) -> &'s MetricFamily {
    let mut named = set.families.iter().filter(|family| family.name == name);
    let found = named.next().unwrap_or_else(|| panic!("{name} in {set:?}"));
    assert!(named.next().is_none(), "{name} is there once");
    found
}

fn counters(family: &MetricFamily) -> Vec<(&[KeyValue], u64)> {
    match &family.points {
        MetricPoints::Counters(points) => {
            let points = points.iter();
            points
                .map(|one| (one.attributes.as_slice(), one.value))
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn count_is_a_sum_with_its_key_as_attribute() {
    let aggregate = aggregate("requests", "r.kind", rows());
    let set = Metrics::new(5).of(&[aggregate], &[status("requests", Counters::default())], 9);
    let made = family(&set, "requests");
    assert_eq!(made.description, "count main.rs:57 by kind");
    let keys: Vec<(&KeyValue, u64)> = counters(made)
        .iter()
        .map(|(attributes, value)| {
            assert_eq!(attributes[0], text_attribute(PROBE, "requests"));
            assert_eq!(
                attributes[1],
                text_attribute("code.function.name", "report")
            );
            (&attributes[2], *value)
        })
        .collect();
    assert_eq!(
        keys,
        [
            (&text_attribute("r.kind", "get \"x\""), 5),
            (&attribute("r.kind", Any::IntValue(-4)), 2),
            (&text_attribute("tracer.unavailable", "optimised out"), 1),
            (&attribute("otel.metric.overflow", Any::BoolValue(true)), 1),
        ]
    );
}

#[test]
fn probes_without_a_name_share_a_metric() {
    let first = aggregate("p1", "", AggregateBody::Count(Vec::new()));
    let mut second = first.clone();
    (second.probe, second.probe_name) = (ProbeId(2), "p2".into());
    let set = Metrics::new(5).of(&[first, second], &[], 9);
    let points = counters(family(&set, "tracer.count"));
    assert_eq!(
        points.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
        [9, 9]
    );
    assert_ne!(points[0].0, points[1].0);
}

#[test]
fn time_says_what_is_not_in_its_distribution() {
    let times = Times {
        buckets: vec![Bucket {
            low: 16,
            high: 17,
            count: 8,
        }],
        extremes_ns: Some((16, 17)),
        sum_ns: 130,
        in_progress: 3,
        unfinished: 4,
        ..Times::default()
    };
    let set = Metrics::new(5).of(&[aggregate("t", "", AggregateBody::Times(times))], &[], 9);
    let MetricPoints::Distributions(points) = &family(&set, "t").points else {
        panic!("a distribution");
    };
    assert_eq!((points[0].count(), points[0].start_ns), (8, 5));
    assert_eq!(points[0].sum, None, "one time is in no bucket");
    assert_eq!(points[0].extremes, Some((16e-9, 17e-9)));
    assert!(matches!(
        &family(&set, "t.in_progress").points,
        MetricPoints::Levels(points) if points[0].value == 3
    ));
    let uncounted = counters(family(&set, "t.uncounted"));
    assert_eq!(
        uncounted
            .iter()
            .map(|(_, value)| *value)
            .collect::<Vec<_>>(),
        [4, 1]
    );
}

#[test]
fn probe_that_begins_anew_has_a_new_start() {
    let mut metrics = Metrics::new(5);
    let mut one = aggregate("c", "", AggregateBody::Count(Vec::new()));
    let mut start = |one: &Aggregate, now| {
        let set = metrics.of(std::slice::from_ref(one), &[], now);
        match &set.families[0].points {
            MetricPoints::Counters(points) => points[0].start_ns,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(start(&one, 10), 5);
    assert_eq!(start(&one, 20), 5);
    one.total = 2;
    assert_eq!(start(&one, 30), 20);
    assert_eq!(start(&one, 40), 20);
}

#[test]
fn each_hit_is_in_one_outcome() {
    let all = Counters {
        hits: 36,
        events: 1,
        lost: 2,
        limited: 3,
        rejected: 4,
        faults: 5,
        silenced: 6,
        expired: 7,
        over_budget: 8,
        ..Counters::default()
    };
    let set = Metrics::new(5).of(&[], &[status("p1", all)], 9);
    let hits = counters(family(&set, "tracer.probe.hits"));
    assert_eq!(hits.iter().map(|(_, value)| *value).sum::<u64>(), all.hits);
    assert_eq!(hits[1].0[1], text_attribute("tracer.outcome", "lost"));
    let undelivered = counters(family(&set, "tracer.probe.undelivered"));
    assert_eq!(undelivered[0].1, 2);
}
