//! Hits that are added up in the kernel: exact counts and buckets, without an event per hit.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::build::{c, fixture, probe_line, rust};
use crate::support::program::Program;
use crate::support::tracer::{Finished, Tracer, assert_adds_up, counter};
use crate::support::{needs, observe};

const SOURCE: &str = "e2e_loop.c";

/// Runs `threads` threads with `calls` calls each under the probes, to the end of the program.
fn observe(threads: u32, calls: u32, probes: &[String]) -> Finished {
    let path = c("loop", SOURCE, &["-O0"]);
    let program = Program::ready(&path, &[&threads.to_string(), &calls.to_string(), "0"]);
    let finished = observe::observe(program, probes, &[]).finished;
    finished.assert_code(0);
    finished
}

/// The only record of that type for a probe.
#[track_caller]
fn added_up(finished: &Finished, kind: &str, probe: &str) -> Value {
    let lines = finished
        .stdout
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut mine: Vec<Value> = lines
        .filter(|line| line["type"] == kind && line["probe"] == probe)
        .collect();
    assert_eq!(mine.len(), 1, "{finished}");
    mine.remove(0)
}

/// Value and count of each row.
fn rows(count: &Value) -> BTreeMap<String, u64> {
    let rows = count["rows"].as_array().expect("rows");
    rows.iter()
        .map(|row| (row["value"].to_string(), counter(row, "count")))
        .collect()
}

/// Ends and count of each bucket.
fn buckets(hist: &Value) -> Vec<(i64, i64, u64)> {
    let buckets = hist["buckets"].as_array().expect("buckets");
    let end = |bucket: &Value, end| bucket[end].as_i64().expect("a number");
    buckets
        .iter()
        .map(|one| (end(one, "low"), end(one, "high"), counter(one, "count")))
        .collect()
}

fn at_work(action: &str, rest: &str) -> String {
    let line = probe_line(SOURCE, "work");
    format!("{action} {SOURCE}:{line} {rest}")
}

#[test]
fn counts_of_all_threads_are_exact() {
    if !needs::kernel() {
        return;
    }
    let (threads, calls) = (4_u32, 5_000_u32);
    let all = u64::from(threads * calls);
    let probes = [
        at_work("count", ""),
        at_work("count", "by thread"),
        at_work("count", "if number <= 100"),
        at_work("count", "by number % 3 if number > 10"),
    ];
    let finished = observe(threads, calls, &probes);
    assert!(finished.events().is_empty(), "no event for a hit");
    assert_eq!(counter(&added_up(&finished, "count", "p1"), "total"), all);
    let by_thread = added_up(&finished, "count", "p2");
    let each = |key: u32| (key.to_string(), u64::from(calls));
    assert_eq!(rows(&by_thread), (0..threads).map(each).collect());
    assert_eq!(by_thread["by"], "thread");
    assert_eq!(counter(&by_thread, "other"), 0);
    let few = added_up(&finished, "count", "p3");
    assert_eq!(counter(&few, "total"), u64::from(threads) * 100);
    let rests: BTreeMap<String, u64> = (11..=calls).fold(BTreeMap::new(), |mut rests, number| {
        *rests.entry((number % 3).to_string()).or_default() += u64::from(threads);
        rests
    });
    assert_eq!(rows(&added_up(&finished, "count", "p4")), rests);
    for probe in ["p1", "p2", "p3", "p4"] {
        let summary = finished.summary(probe);
        assert_eq!(counter(&summary, "hits"), all, "{summary}");
        assert_adds_up(&summary);
    }
    let rejected = counter(&finished.summary("p3"), "rejected");
    assert_eq!(rejected, u64::from(threads * (calls - 100)));
}

#[test]
fn keys_beyond_the_limit_are_counted_as_other() {
    if !needs::kernel() {
        return;
    }
    let keys = tracer_common::limits::MAX_KEYS;
    let calls = u32::try_from(keys).expect("small") + 500;
    let finished = observe(1, calls, &[at_work("count", "by number")]);
    let count = added_up(&finished, "count", "p1");
    assert_eq!(rows(&count).len() as u64, keys);
    assert_eq!(counter(&count, "other"), 500);
    assert_eq!(counter(&count, "total"), u64::from(calls));
    assert_eq!(counter(&finished.summary("p1"), "events"), u64::from(calls));
}

#[test]
fn histograms_have_exact_buckets_below_zero_too() {
    if !needs::kernel() {
        return;
    }
    let calls = 1_000_u32;
    let probes = [
        at_work("hist", "number"),
        at_work("hist", "number - 500"),
        at_work("hist", "number - 500 step 100"),
    ];
    let finished = observe(2, calls, &probes);
    let numbers = || 1..=i64::from(calls);
    assert_eq!(
        buckets(&added_up(&finished, "hist", "p1")),
        expected(numbers(), power)
    );
    assert_eq!(
        buckets(&added_up(&finished, "hist", "p2")),
        expected(numbers().map(|number| number - 500), power)
    );
    let steps = |number: i64| {
        let low = number.div_euclid(100) * 100;
        (low, low + 99)
    };
    let hist = added_up(&finished, "hist", "p3");
    assert_eq!(
        buckets(&hist),
        expected(numbers().map(|number| number - 500), steps)
    );
    assert_eq!(counter(&hist, "step"), 100);
    assert_eq!(counter(&hist, "total"), 2 * u64::from(calls));
}

/// Bounds of the power of two that contains a number.
fn power(number: i64) -> (i64, i64) {
    if number == 0 {
        return (0, 0);
    }
    let low = 1_i64 << number.abs().ilog2();
    if number > 0 {
        (low, 2 * low - 1)
    } else {
        (1 - 2 * low, -low)
    }
}

/// The expected buckets of two threads.
fn expected(
    numbers: impl Iterator<Item = i64>,
    bucket: impl Fn(i64) -> (i64, i64),
) -> Vec<(i64, i64, u64)> {
    let mut found: BTreeMap<(i64, i64), u64> = BTreeMap::new();
    for number in numbers {
        *found.entry(bucket(number)).or_default() += 2;
    }
    found
        .into_iter()
        .map(|((low, high), count)| (low, high, count))
        .collect()
}

#[test]
fn budget_bounds_what_is_counted() {
    if !needs::kernel() {
        return;
    }
    let finished = observe(2, 1_000, &[at_work("count", "by thread hits 150")]);
    let count = added_up(&finished, "count", "p1");
    assert_eq!(counter(&count, "total"), 150);
    assert_eq!(rows(&count).values().sum::<u64>(), 150);
    let summary = finished.summary("p1");
    // Its breakpoints are removed once the budget is used, so later hits are not counted.
    assert_eq!(counter(&summary, "events"), 150);
    assert_adds_up(&summary);
}

/// A row for an enum: the variant, with its data if that is shown.
fn variant_row(value: &Value) -> String {
    let name = value["$variant"].as_str();
    let name = name.unwrap_or_else(|| panic!("no variant: {value}"));
    match value.get("0") {
        Some(data) => format!("{name}({data})"),
        None => name.to_owned(),
    }
}

/// Rows of a fixture that prints `NAME TIMES ROW`. JSON does not mark omitted data.
fn told_rows(printed: &[String], name: &str) -> BTreeMap<String, u64> {
    let mine = printed
        .iter()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    mine.map(|line| {
        let (times, row) = line.split_once(' ').expect("times and row");
        let row = row.trim_end_matches("(…)").trim_end_matches(" { … }");
        (row.to_owned(), times.parse().expect("a number"))
    })
    .collect()
}

#[track_caller]
fn assert_counts_by_variant(path: &std::path::Path, functions: &[(&str, &str)]) {
    let probes: Vec<String> = functions
        .iter()
        .map(|(name, by)| format!("count {name} by {by} as {name}"))
        .collect();
    let observed = observe::observe(Program::ready(path, &[]), &probes, &[]);
    let finished = observed.finished;
    finished.assert_code(0);
    for (name, _) in functions {
        let count = added_up(&finished, "count", name);
        let shown: BTreeMap<String, u64> = count["rows"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| (variant_row(&row["value"]), counter(row, "count")))
            .collect();
        let told = told_rows(&observed.printed, name);
        assert!(told.len() > 1, "{name}: {:?}", observed.printed);
        assert_eq!(shown, told, "{name} of {}", path.display());
        assert_eq!(counter(&count, "other"), 0, "{name}");
        assert_adds_up(&finished.summary(name));
    }
}

#[test]
fn rust_enums_with_data_elsewhere_are_counted_by_variant() {
    if !needs::kernel() {
        return;
    }
    let functions = [
        ("owned", "value"),
        ("in_struct", "request.method"),
        ("boxed", "value"),
        ("shared", "value"),
        ("failure", "value"),
        ("nested", "value"),
        ("large", "value"),
        ("below", "value"),
        ("text", "value"),
        ("result", "value"),
        ("pointer", "value"),
        ("cow", "value"),
        ("small", "*value"),
    ];
    for flags in [&[][..], &["-O"]] {
        let path = rust("counted-rs", "e2e_counted.rs", flags);
        assert_counts_by_variant(&path, &functions);
    }
}

#[test]
fn cpp_variants_and_optionals_are_counted_by_alternative() {
    if !needs::kernel() {
        return;
    }
    let functions = [
        ("choice", "value"),
        ("text", "value"),
        ("small", "value"),
        ("request", "value.choice"),
    ];
    for optimise in ["-O0", "-O2"] {
        let flags = ["-g", "-std=c++17", optimise];
        let path = fixture("c++", "counted-cpp", "e2e_counted.cpp", &flags);
        assert_counts_by_variant(&path, &functions);
    }
}

#[test]
fn expected_values_of_cpp_are_counted_by_value_and_by_error() {
    if !needs::kernel() {
        return;
    }
    let path = fixture(
        "g++",
        "expected-O0",
        "e2e_expected.cpp",
        &["-g", "-std=c++23", "-O0"],
    );
    let program = Program::ready(&path, &[]);
    let probes = ["count pass by small as pass hits 20"];
    let finished = Tracer::json(program.pid(), &probes).finish();
    finished.assert_code(0);
    let count = added_up(&finished, "count", "pass");
    let shown: Vec<_> = count["rows"].as_array().expect("rows").iter().collect();
    let mut shown: Vec<_> = shown.iter().map(|row| variant_row(&row["value"])).collect();
    shown.sort();
    assert_eq!(shown, ["expected(5)", "unexpected(6)"]);
    assert_adds_up(&finished.summary("pass"));
}

#[test]
fn struct_with_parts_elsewhere_is_refused_with_its_fields() {
    if !needs::kernel() {
        return;
    }
    let path = rust("counted-rs", "e2e_counted.rs", &[]);
    let program = Program::ready(&path, &[]);
    let finished = Tracer::json(program.pid(), &["count in_struct by request"]).finish();
    finished.assert_code(2).assert_says(&[
        "`Request` has data outside of the value",
        "count by one of its fields: `request.path`, `request.method`, `request.number`",
    ]);
}

/// The array has no zero byte, and the characters behind it belong to another field.
#[test]
fn full_arrays_are_counted_by_their_own_characters() {
    if !needs::kernel() {
        return;
    }
    let path = c("requests", "e2e_requests.c", &["-O0"]);
    let program = Program::ready(&path, &["100"]);
    let line = probe_line("e2e_requests.c", "handle");
    let probe = format!("count e2e_requests.c:{line} by request->tag");
    let finished = observe::observe(program, &[probe], &[]).finished;
    let count = added_up(&finished, "count", "p1");
    let expected = [("\"tag0\"".to_owned(), 50), ("\"tag1\"".to_owned(), 50)];
    assert_eq!(rows(&count), BTreeMap::from(expected), "{count}");
}
