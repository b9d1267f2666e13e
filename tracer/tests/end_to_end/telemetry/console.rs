//! `--output otel-console`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::export::{at_work, calling};
use super::spans::{self, PROBES};
use crate::support::build::source;
use crate::support::needs;
use crate::support::tracer::Tracer;

#[test]
fn console_has_log_records_and_metrics() {
    if !needs::kernel() {
        return;
    }
    let program = calling("0");
    let log = at_work("log", r#""{number}" hits 3"#);
    let count = at_work("count", "hits 3 as all");
    let probes = [log.as_str(), &count];
    let finished = Tracer::attach(program.pid(), "otel-console", &probes, &[]).finish();
    finished.assert_code(0);
    let text = finished.stdout.join("\n");
    let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let values: Vec<Value> = values.collect::<Result<_, _>>().expect("JSON objects");
    let records: Vec<&Value> = values
        .iter()
        .filter(|value| value["body"].is_string())
        .collect();
    assert_eq!(records.len(), 3, "{finished}");
    for record in records {
        let number = record["body"]
            .as_str()
            .and_then(|body| body.parse::<i64>().ok());
        assert_eq!(record["attributes"]["number"].as_i64(), number, "{record}");
        assert_eq!(
            record["resource"]["attributes"]["process.pid"],
            program.pid()
        );
    }
    let metrics = values
        .iter()
        .filter_map(|value| value["resource_metrics"][0]["scope_metrics"][0]["metrics"].as_array());
    let all = metrics.flatten().find(|metric| metric["name"] == "all");
    assert_eq!(
        all.expect("the count")["data"]["data_points"][0]["value"],
        3
    );
}

/// The output of the SDK, by `otel_console.py`.
fn sdk(tools: &Path, arguments: &[&str], input: &str) -> String {
    let mut python = Command::new(tools.join("bin/python"));
    python.arg(source("otel_console.py")).args(arguments);
    python.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().expect("it is installed");
    let mut stdin = python.stdin.take().expect("piped");
    // It reads everything before it prints.
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = python.wait_with_output().expect("it is our child");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn objects(text: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    values.collect::<Result<_, _>>().expect("JSON objects")
}

/// The first span with a parent, an event and an error; the first log record; the first metrics with these names.
fn kinds(objects: &[Value]) -> [Value; 3] {
    let first = |what: &str, is: &dyn Fn(&Value) -> bool| {
        let found = objects.iter().find(|value| is(value));
        found.unwrap_or_else(|| panic!("no {what}")).clone()
    };
    let metrics =
        |value: &Value| value["resource_metrics"][0]["scope_metrics"][0]["metrics"].clone();
    let mut set = first("metrics", &|value| metrics(value).is_array());
    let all = objects
        .iter()
        .flat_map(|value| metrics(value).as_array().cloned());
    let all: Vec<Value> = all.flatten().collect();
    let named = ["all", "numbers", "calls"].map(|name| {
        let mut metric = all.iter().filter(|metric| metric["name"] == name);
        metric.next().unwrap_or_else(|| panic!("no {name}")).clone()
    });
    set["resource_metrics"][0]["scope_metrics"][0]["metrics"] = named.into_iter().collect();
    let is_span = |value: &Value| {
        let is_failed = value["status"]["status_code"] == "ERROR";
        is_failed && value["parent_id"].is_string() && value["events"][0].is_object()
    };
    [
        first("span", &is_span),
        first("log record", &|value| value["body"].is_string()),
        set,
    ]
}

/// Asserts that two objects have the same keys in the same order, down to the attributes, and values of the same form.
/// `null` stands for what we do not know.
fn assert_alike(ours: &Value, theirs: &Value, path: &str) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) if !path.ends_with(".attributes") => {
            let keys = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect();
            let (own, known): (Vec<String>, Vec<String>) = (keys(ours), keys(theirs));
            assert_eq!(own, known, "keys of {path}");
            for (key, value) in ours {
                assert_alike(value, &theirs[key], &format!("{path}.{key}"));
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if path.ends_with(".metrics") => {
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert_alike(ours, theirs, &format!("{path}[{}]", theirs["name"]));
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            if let (Some(ours), Some(theirs)) = (ours.first(), theirs.first()) {
                assert_alike(ours, theirs, &format!("{path}[0]"));
            }
        }
        (Value::String(ours), Value::String(theirs)) => {
            let has_form = path.ends_with("_id") || path.contains("time");
            let form = |text: &str| text.replace(|c: char| c.is_ascii_hexdigit(), "0");
            assert!(
                !has_form || form(ours) == form(theirs),
                "{path}: {ours}, {theirs}"
            );
        }
        (Value::Null, _) | (Value::Number(_), Value::Number(_)) => {}
        (Value::Object(_), Value::Object(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        _ => panic!("{path}: {ours} and {theirs}"),
    }
}

#[test]
fn console_has_the_form_of_the_sdk() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    let program = spans::program();
    let metrics = [
        "count fixture::order by me as all",
        "hist fixture::note inside step 2 as numbers",
        "time fixture::order as calls",
    ];
    let probes = [&PROBES[..], &metrics].concat();
    let tracer = Tracer::attach(program.pid(), "otel-console", &probes, &[]);
    let finished = spans::observed(program, tracer);
    let text = finished.stdout.join("\n") + "\n";
    let ours = kinds(&objects(&text));
    let theirs = kinds(&objects(&sdk(&tools, &[], "")));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_alike(ours, theirs, "");
    }
    assert_eq!(ours[0]["kind"], theirs[0]["kind"]);
    // The layout is that of the SDK too. Floats may have other digits.
    let again = sdk(&tools, &["--again"], &text);
    assert_eq!(again.lines().count(), text.lines().count());
    let key = |line: &str| line.split_inclusive("\": ").next().map(str::to_owned);
    for (ours, theirs) in text.lines().zip(again.lines()) {
        assert_eq!(key(ours), key(theirs));
    }
}
