//! `--export FORMAT=PATH`: a session in the formats of other tools, beside its output.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{pprof, read};
use crate::support::build::{c, probe_line, rust};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::{Tracer, tracer};

/// Calls of the program's functions that have probes.
const EVENTS: usize = 351;

const FORMATS: [&str; 6] = ["json", "csv", "parquet", "chrome", "perfetto", "pprof"];

/// The options for all formats, and their files.
fn exports(folder: &Path) -> (Vec<String>, HashMap<&'static str, PathBuf>) {
    let files = FORMATS.map(|format| (format, folder.join(format)));
    let option = |(format, path): &(&str, PathBuf)| format!("--export={format}={}", path.display());
    (files.iter().map(option).collect(), files.into())
}

#[test]
fn session_is_exported_in_all_formats_at_once() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (options, files) = exports(folder.path());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let path = rust("spans", "e2e_spans.rs", &["-C", "opt-level=0"]);
    let mut program = Program::ready(&path, &[]);
    let probes = [
        "span fixture::request \"{me}\" with outer=outer",
        "span fixture::descend \"{me}\" with level=level",
        "log fixture::note \"{inside}\" depth 16 rate 100000/s",
    ];
    let tracer = Tracer::attach(program.pid(), "json", &probes, &options);
    tracer.wait_tracing();
    program.say("go");
    program.stdout.wait_line("`done`", 0, |line| line == "done");
    tracer.wait_events(EVENTS);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    let events = finished.events();
    assert_eq!(events.len(), EVENTS, "{finished}");
    let (spans, logs): (Vec<&Value>, Vec<&Value>) =
        events.iter().partition(|event| event.get("span").is_some());

    let text = fs::read_to_string(&files["json"]).expect("written");
    let shown = finished.stdout.iter().map(String::as_str);
    // The times of aggregates are those at which each output asked for them.
    let is_event = |line: &&str| line.starts_with(r#"{"type":"event""#);
    assert!(text.lines().filter(is_event).eq(shown.filter(is_event)));

    for (format, level) in [("csv", "p2.level:int64"), ("parquet", "p2.level")] {
        let table = read(&tools, format, &files[format]);
        let rows = table["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), events.len(), "{format}");
        for (row, event) in rows.iter().zip(&events) {
            assert_eq!(row["message"], event["message"]);
            assert_eq!(
                row["span_id"],
                event.get("span").unwrap_or(event)["span_id"]
            );
            let of = &event["span"]["attributes"]["level"];
            let shown = of.as_u64().map(|level| level.to_string());
            assert_eq!(row[level].as_str(), shown.as_deref(), "{event}");
        }
        let kind = table["types"][level].as_str().expect("a type");
        assert!(kind.ends_with("BIGINT"), "{kind}");
    }

    let chrome = fs::read(&files["chrome"]).expect("written");
    let chrome: Value = serde_json::from_slice(&chrome).expect("JSON");
    let lines = chrome["traceEvents"].as_array().expect("events");
    let of = |kind: &str| lines.iter().filter(|line| line["ph"] == kind).count();
    assert_eq!((of("X"), of("i")), (spans.len(), logs.len()));

    compare_perfetto(&read(&tools, "perfetto", &files["perfetto"]), &spans, &logs);

    let hits = pprof(&tools, &files["pprof"], &["-sample_index=hits", "-top"]);
    assert!(
        hits.contains(&format!("of {} total", events.len())),
        "{hits}"
    );
    let stacks = pprof(
        &tools,
        &files["pprof"],
        &[
            "-sample_index=hits",
            "-tagfocus=probe=p3",
            "-peek=fixture::descend",
        ],
    );
    assert!(stacks.contains("fixture::note"), "{stacks}");
}

/// Compares a trace with the spans and logs of its session.
#[track_caller]
fn compare_perfetto(perfetto: &Value, spans: &[&Value], logs: &[&Value]) {
    assert_eq!(perfetto["unknown"], json!([]));
    assert_eq!(
        perfetto["slices"].as_array().map(Vec::len),
        Some(spans.len())
    );
    let name_of: HashMap<&str, &Value> = spans
        .iter()
        .map(|span| {
            (
                span["span"]["span_id"].as_str().expect("an id"),
                &span["span"]["name"],
            )
        })
        .collect();
    let instants = perfetto["instants"].as_array().expect("instants");
    assert_eq!(instants.len(), logs.len());
    let mut inside = 0;
    for (instant, log) in instants.iter().zip(logs) {
        assert_eq!(instant["args"]["tracer"]["hit"], log["hit"]);
        assert_eq!(instant["thread"], log["thread"]);
        let frames = log["stack"].as_array().expect("a stack").len();
        assert_eq!(instant["stack"].as_array().map(Vec::len), Some(frames));
        // The slice around it on its thread is the span that the session names.
        if let Some(name) = log["span_id"].as_str().and_then(|id| name_of.get(id)) {
            assert_eq!(&instant["inside"], *name, "{log}");
            inside += 1;
        }
    }
    assert!(inside > 100, "{inside} logs are in spans");
}

#[test]
fn redacted_values_are_in_no_export() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (options, files) = exports(folder.path());
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    options.extend(["--redact", "number"]);
    let mut program = Program::ready(&c("loop", "e2e_loop.c", &["-O0"]), &["1", "0", "1000"]);
    program.say("go");
    let probe = format!(
        "log e2e_loop.c:{} \"{{number}} {{twice}}\" hits 5",
        probe_line("e2e_loop.c", "work")
    );
    let tracer = Tracer::attach(program.pid(), "json", &[&probe], &options);
    tracer.finish().assert_code(0);
    for (format, number, remarks) in [
        ("csv", "p1.number:text", "remarks"),
        ("parquet", "p1.number", "remarks"),
    ] {
        let table = read(&tools, format, &files[format]);
        let row = &table["rows"][4];
        assert_eq!(row[number], Value::Null, "{row}");
        let remarks = row[remarks].as_str().expect("a remark");
        assert!(remarks.contains("redacted"), "{remarks}");
    }
    let perfetto = read(&tools, "perfetto", &files["perfetto"]);
    let counters = perfetto["counters"].as_object().expect("counters");
    assert_eq!(counters.keys().collect::<Vec<_>>(), ["p1.twice"]);
    let args = &perfetto["instants"][0]["args"]["number"];
    assert!(
        args["$unavailable"]
            .as_str()
            .is_some_and(|why| why.contains("redacted")),
        "{args}"
    );
    let chrome = fs::read_to_string(&files["chrome"]).expect("written");
    assert!(chrome.contains(r#""number":{"$unavailable":"#) && !chrome.contains("p1.number"));
}

#[test]
fn mistakes_in_exports_cost_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = std::process::id().to_string();
    let missing = format!("csv={}/missing/x.csv", folder.path().display());
    for (export, told) in [
        (
            "xml=x",
            "`xml` is none of json, csv, parquet, chrome, perfetto, pprof",
        ),
        (
            "otlp=http://localhost",
            "`--otlp URL` sends events to a collector",
        ),
        (&*missing, "cannot write"),
    ] {
        let args = [
            "attach", "-p", &pid, "-o", "json", "-e", "log main", "--export", export,
        ];
        tracer(&args).assert_code(2).assert_says(&[told]);
    }
}
