//! Our spans beside those that a program makes by the SDK of OpenTelemetry, of the same calls, in Rust and in C++.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use std::path::Path;

use crate::support::build::{own_spans, own_spans_in_cpp};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Finished, Tracer};

const PROBES: [&str; 7] = [
    "span own_spans::request with n=me rate 100000/s",
    "span own_spans::descend with n=me, level=level rate 100000/s",
    "span own_spans::order with n=me error if me % 3 == 0 rate 100000/s",
    "span own_spans::risky with n=me rate 100000/s",
    "span own_spans::submit with n=me key me rate 100000/s",
    "span own_spans::step with n=me, job=job key job rate 100000/s",
    "log own_spans::note \"{inside}\" rate 100000/s",
];

/// Jobs of the program.
const JOBS: usize = 8;

/// Difference between the kernel's clock and the program's that is no mistake. Both are read in turns.
const CLOCKS_NS: i128 = 2_000_000;

/// A span, by whoever made it.
#[derive(Clone, Debug, PartialEq)]
struct MadeSpan {
    name: String,
    id: String,
    trace: String,
    parent: Option<String>,
    /// Start and end, in ns since the Unix epoch.
    times: [i128; 2],
    attributes: BTreeMap<String, i64>,
    /// The value of each event.
    events: Vec<i64>,
    failed: bool,
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn numbers(attributes: &Value) -> BTreeMap<String, i64> {
    let attributes = attributes.as_object().expect("an object").iter();
    let number = |value: &Value| value.as_i64().expect("a number");
    let pairs = attributes.map(|(key, value)| (key.clone(), number(value)));
    pairs.collect()
}

/// A line of the program.
fn own(line: &str) -> Option<MadeSpan> {
    let span: Value = serde_json::from_str(line).ok()?;
    let events = span["events"].as_array()?.iter();
    let time = |key: &str| i128::from(span[key].as_i64().expect("ns"));
    let inside = |event: &Value| {
        assert_eq!(event["name"], "log");
        event["attributes"]["inside"].as_i64()
    };
    Some(MadeSpan {
        name: text(&span["name"])?,
        id: text(&span["id"])?,
        trace: text(&span["trace"])?,
        parent: text(&span["parent"]),
        times: [time("start"), time("end")],
        attributes: numbers(&span["attributes"]),
        events: events
            .map(|event| inside(event).expect("a number"))
            .collect(),
        failed: span["failed"].as_bool()?,
    })
}

/// An event of ours.
fn ours(event: &Value) -> Option<MadeSpan> {
    let span = event.get("span")?.as_object()?;
    let name = text(&span["name"])?;
    let start = text(&span["start"])?.parse::<jiff::Timestamp>();
    let start = start.expect("a time").as_nanosecond();
    let took = span["duration_ns"].as_i64().expect("ns");
    let events = span["events"].as_array()?.iter();
    let inside = events.map(|event| event["message"].as_str()?.parse().ok());
    Some(MadeSpan {
        name: name.strip_prefix("own_spans::")?.to_owned(),
        id: text(&span["span_id"])?,
        trace: text(&span["trace_id"])?,
        parent: span.get("parent_span_id").and_then(text),
        times: [start, start + i128::from(took)],
        attributes: numbers(&span["attributes"]),
        events: inside.map(|number| number.expect("a number")).collect(),
        failed: span["status"]["code"] == "error",
    })
}

/// Spans by the number of their call.
#[derive(Debug)]
struct Tree {
    spans: BTreeMap<i64, MadeSpan>,
    by_id: BTreeMap<String, i64>,
}

impl Tree {
    fn of(made: impl Iterator<Item = MadeSpan>) -> Self {
        let mut tree = Self {
            spans: BTreeMap::new(),
            by_id: BTreeMap::new(),
        };
        for span in made {
            let number = span.attributes["n"];
            tree.by_id.insert(span.id.clone(), number);
            let before = tree.spans.insert(number, span);
            assert_eq!(before, None, "two spans of the call {number}");
        }
        tree
    }

    /// The parent's number, if the parent is known.
    fn parent(&self, span: &MadeSpan) -> Option<i64> {
        self.by_id.get(span.parent.as_deref()?).copied()
    }
}

/// A call that a panic or an exception left has a span once its frame is used again, and it has failed. Its end is a bound.
fn is_left(span: &MadeSpan) -> bool {
    span.name == "risky" && span.attributes["n"] % 2 == 0
}

/// Asserts that both trees are the same.
fn assert_same_tree(theirs: &Tree, ours: &Tree, finished: &Finished) {
    let known = |number: &i64| theirs.spans.contains_key(number);
    assert!(ours.spans.keys().all(known), "{finished}");
    // Each of their traces is one of ours.
    let mut traces = BTreeSet::new();
    for (number, their) in &theirs.spans {
        let parent = theirs.parent(their);
        let is_below_left = parent.is_some_and(|parent| is_left(&theirs.spans[&parent]));
        let Some(our) = ours.spans.get(number) else {
            assert!(is_left(their), "no span {their:?}\n{finished}");
            continue;
        };
        let pair = format!("{their:?} and {our:?}\n{finished}");
        assert_eq!(our.name, their.name, "{pair}");
        assert_eq!(our.attributes, their.attributes, "{pair}");
        if is_left(their) {
            assert!(our.failed, "{pair}");
            let is_right = our.events.is_empty() || our.events == their.events;
            assert!(is_right, "{pair}");
            let known = ours.parent(our);
            assert!(known.is_none() || known == parent, "{pair}");
            continue;
        }
        assert_eq!(our.failed, their.failed, "{pair}");
        if is_below_left && ours.parent(our).is_none() {
            // Before a call ends, nobody knows that a panic or an exception leaves it. The log may then name nobody.
            let is_right = our.events.is_empty() || our.events == their.events;
            assert!(is_right, "{pair}");
            continue;
        }
        assert_eq!(our.events, their.events, "{pair}");
        assert_eq!(ours.parent(our), parent, "{pair}");
        traces.insert((&their.trace, &our.trace));
    }
    let of = |all: Vec<&String>| all.into_iter().collect::<BTreeSet<_>>().len();
    let pairs = || traces.iter().copied();
    let (their, our) = (
        of(pairs().map(|pair| pair.0).collect()),
        of(pairs().map(|pair| pair.1).collect()),
    );
    assert_eq!((their, our), (traces.len(), traces.len()), "{traces:?}");
}

/// Asserts that each span of the program is within ours: they begin inside of the call and end there.
fn assert_times_within(theirs: &Tree, ours: &Tree) {
    let mut gaps = Vec::new();
    for (number, our) in &ours.spans {
        let their = &theirs.spans[number];
        let before = their.times[0] - our.times[0];
        let after = our.times[1] - their.times[1];
        assert!(
            before >= -CLOCKS_NS && after >= -CLOCKS_NS,
            "{before} ns before and {after} ns after: {their:?} and {our:?}"
        );
        gaps.push(before + after);
    }
    gaps.sort_unstable();
    println!(
        "our spans are {} ns longer, as the median of {}",
        gaps[gaps.len() / 2],
        gaps.len()
    );
}

/// Lets the program make its calls, and returns its own spans and ours.
fn observed(program: &Path) -> (Tree, Tree, Finished) {
    let mut program = Program::ready(program, &[]);
    let tracer = Tracer::json(program.pid(), &PROBES);
    tracer.wait_tracing();
    program.say("go");
    let is_end = |line: &str| line == "done";
    program.stdout.wait_line("its end", 0, is_end);
    let theirs = program.stdout.lines();
    // The jobs end last. A session that is interrupted drops events that it cannot show within a second.
    tracer.stdout.wait("the spans of all jobs", |lines| {
        let is_job =
            |line: &&String| line.contains(r#""type":"event","#) && line.contains("submit");
        (lines.iter().filter(is_job).count() == JOBS).then_some(())
    });
    let finished = tracer.interrupt();
    let theirs = Tree::of(theirs.iter().filter_map(|line| own(line)));
    let made = Tree::of(finished.events().iter().filter_map(ours));
    (theirs, made, finished)
}

/// Checks the spans of two builds: with the SDK, and without.
fn check(build: fn(bool) -> std::path::PathBuf) {
    if !needs::kernel() {
        return;
    }
    let (theirs, ours, finished) = observed(&build(true));
    // 15 requests with 11 calls each, 8 jobs with 4 steps and a call in each step.
    assert_eq!(theirs.spans.len(), 15 * 11 + JOBS + JOBS * 4 * 2);
    assert_same_tree(&theirs, &ours, &finished);
    assert_times_within(&theirs, &ours);
    // A build that knows nothing of spans makes these calls too.
    let (none, ours, finished) = observed(&build(false));
    assert!(none.spans.is_empty());
    assert_same_tree(&theirs, &ours, &finished);
}

#[test]
fn spans_are_those_that_the_program_makes_by_its_own_sdk() {
    check(own_spans);
}

#[test]
fn spans_of_cpp_are_those_that_the_program_makes_by_its_own_sdk() {
    check(own_spans_in_cpp);
}
