//! `tracer export --to otlp`.

use std::path::Path;

use super::made::{TIME, small};
use crate::support::needs;
use crate::support::telemetry::{Protocol, Receiver, attributes, free_port, items};
use crate::support::tracer::{Finished, tracer};

fn export(recording: &Path, url: &str, more: &[&str]) -> Finished {
    let recording = recording.to_str().expect("UTF-8");
    let args = ["export", recording, "--to", "otlp", "--otlp", url];
    tracer(&[&args, more].concat())
}

#[test]
fn recording_arrives_with_the_resource_of_its_process() {
    let Some(tools) = needs::otel_tools() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start(&tools, Protocol::Http, &[]);
    let finished = export(&small(folder.path()), &receiver.url(), &[]);
    finished.assert_code(0);
    let records = receiver.records();
    assert_eq!(records.len(), 2, "{finished}");
    let record = &records[0];
    assert_eq!(record.record["timeUnixNano"], (TIME + 1_100).to_string());
    assert_eq!(record.record["body"]["stringValue"], "hit 1");
    assert_eq!(record.attributes["x"]["intValue"], "-1");
    let resource = |key: &str| &record.resource[key];
    assert_eq!(resource("service.name")["stringValue"], "shop");
    assert_eq!(resource("process.pid")["intValue"], "42");
    assert_eq!(
        resource("process.executable.path")["stringValue"],
        "/srv/shop"
    );
    assert_eq!(resource("host.name")["stringValue"], "far-away");
    let mut names = Vec::new();
    for request in receiver.requests("traces") {
        for part in items(&request["request"]["resourceSpans"]) {
            let resource = attributes(&part["resource"]["attributes"]);
            assert_eq!(resource["service.name"]["stringValue"], "shop");
            for scope in items(&part["scopeSpans"]) {
                names.extend(items(&scope["spans"]).map(|span| span["name"].clone()));
            }
        }
    }
    assert_eq!(
        names,
        ["checkout 1", "checkout 2", "checkout 3", "checkout 4"]
    );
}

#[test]
fn collector_that_is_away_is_given_up_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("http://127.0.0.1:{}", free_port());
    let finished = export(&small(folder.path()), &url, &["--otlp-timeout", "1s"]);
    finished.assert_code(2);
    finished.assert_says(&[
        "cannot be reached",
        "not all of the 6 events were delivered: the collector took nothing for 1s",
    ]);
}
