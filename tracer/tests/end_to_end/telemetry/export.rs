//! Events and aggregates at receivers of OTLP.

use std::process::Command;

use serde_json::json;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::telemetry::{Collector, Protocol, Receiver, attributes, items};
use crate::support::tracer::{TRACER, Tracer, attach_args};

pub(super) const SOURCE: &str = "e2e_loop.c";

/// One thread that calls once a millisecond, or a number of times.
pub(super) fn calling(calls: &str) -> Program {
    let mut program = Program::ready(&c("loop", SOURCE, &["-O0"]), &["1", calls, "1000"]);
    program.say("go");
    program
}

pub(super) fn at_work(action: &str, rest: &str) -> String {
    let line = probe_line(SOURCE, "work");
    format!("{action} {SOURCE}:{line} {rest}")
}

#[test]
fn log_records_have_what_json_has_over_both_protocols() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let receiver = Receiver::start(&tools, protocol, &[]);
        let program = calling("0");
        let log = at_work("log", r#""{number} {pair}" hits 20"#);
        let snapshot = at_work("snapshot", "hits 1");
        let probes = [log.as_str(), snapshot.as_str()];
        let variables = [("OTEL_RESOURCE_ATTRIBUTES", "team=a%20b")];
        let tracer = receiver.attach(program.pid(), &probes, &[], &variables);
        let finished = tracer.finish();
        finished.assert_code(0);
        let events = finished.events();
        let records = receiver.records();
        assert_eq!((events.len(), records.len()), (21, 21), "{finished}");
        for event in &events {
            let is_of_event = |record: &&_| {
                let record: &crate::support::telemetry::ReceivedRecord = record;
                record.attributes["tracer.probe"]["stringValue"] == event["probe"]
                    && record.attributes["tracer.hit"]["intValue"].as_str()
                        == Some(&*event["hit"].to_string())
            };
            let record = records.iter().find(is_of_event).expect("each has a record");
            let text = |key: &str| &record.attributes[key]["stringValue"];
            let number = |key: &str| record.attributes[key]["intValue"].as_str();
            assert_eq!(record.record["body"]["stringValue"], event["message"]);
            assert_eq!(record.record["severityText"], "INFO");
            assert_eq!(text("tracer.action"), &event["action"]);
            assert_eq!(text("code.function.name"), "work");
            assert_eq!(text("code.file.path"), &event["file"]);
            assert_eq!(
                number("code.line.number"),
                Some(&*event["line"].to_string())
            );
            assert_eq!(text("thread.name"), &event["thread"]);
            assert_eq!(number("thread.id"), Some(&*event["tid"].to_string()));
            assert_eq!(number("process.pid"), Some(&*event["pid"].to_string()));
            let of = |key: &str| &record.resource[key];
            assert_eq!(of("process.pid")["intValue"], program.pid().to_string());
            assert_eq!(of("process.executable.name")["stringValue"], "loop");
            assert_eq!(of("team")["stringValue"], "a b");
            assert!(of("process.executable.build_id.gnu")["stringValue"].is_string());
            let value = &event["values"][0]["value"];
            assert_eq!(number("number"), Some(&*value.to_string()));
            let pair = attributes(&record.attributes["pair"]["kvlistValue"]["values"]);
            assert_eq!(pair["$type"]["stringValue"], "pair");
            assert_eq!(pair["number"]["intValue"], value.to_string());
            if event["action"] == "snapshot" {
                let stack = text("code.stacktrace").as_str().expect("a text");
                assert!(
                    stack.starts_with("at work (") && stack.contains("\nat "),
                    "{stack}"
                );
                let frames = &record.attributes["tracer.frames"]["arrayValue"]["values"];
                assert!(items(frames).len() > 1, "{frames}");
            }
        }
    }
}

#[test]
fn aggregates_are_cumulative_metrics_each_interval() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    let receiver = Receiver::start(&tools, Protocol::Http, &[]);
    let program = calling("0");
    let count = at_work("count", "by twice / 500 as parity");
    let hist = at_work("hist", "number as numbers");
    let probes = [count.as_str(), &hist, "time work as calls"];
    let tracer = receiver.attach(program.pid(), &probes, &["--every", "50ms"], &[]);
    tracer.wait_tracing();
    let is_metrics = |line: &serde_json::Value| line["signal"] == "metrics";
    receiver.wait("metrics before the end", is_metrics);
    let finished = tracer.interrupt();
    assert!(receiver.requests("metrics").len() > 1);
    let parity = receiver.metric("parity");
    assert_eq!(parity["sum"]["isMonotonic"], true);
    assert_eq!(
        parity["sum"]["aggregationTemporality"],
        "AGGREGATION_TEMPORALITY_CUMULATIVE"
    );
    let numbers = |points: &serde_json::Value, key: &str| -> u64 {
        let points = items(points);
        let number = |point: &serde_json::Value| point[key].as_str()?.parse::<u64>().ok();
        points.filter_map(number).sum()
    };
    let hits = |name: &str| finished.summary(name)["hits"].as_u64().expect("a number");
    assert_eq!(
        numbers(&parity["sum"]["dataPoints"], "asInt"),
        hits("parity")
    );
    let rows = items(&parity["sum"]["dataPoints"]);
    for row in rows {
        let key = &attributes(&row["attributes"])["twice / 500"];
        assert!(key["intValue"].is_string(), "{row}");
    }
    let made = receiver.metric("numbers");
    let made = &made["exponentialHistogram"]["dataPoints"];
    assert_eq!(numbers(made, "count"), hits("numbers"));
    assert_eq!(made[0]["scale"].as_i64().unwrap_or_default(), 0);
    let calls = receiver.metric("calls");
    assert_eq!(calls["unit"], "s");
    let calls = &calls["exponentialHistogram"]["dataPoints"][0];
    let (min, max) = (calls["min"].as_f64(), calls["max"].as_f64());
    assert!(min > Some(0.0) && min <= max && max < Some(1.0), "{calls}");
    let all = &receiver.metric("tracer.probe.hits")["sum"]["dataPoints"];
    let sum = ["parity", "numbers", "calls"]
        .into_iter()
        .map(hits)
        .sum::<u64>();
    assert_eq!(numbers(all, "asInt"), sum);
}

/// Makes an authority and a certificate for localhost, in one.
fn certificate(folder: &std::path::Path) -> (String, String) {
    let path = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let (key, certificate) = (path("key.pem"), path("certificate.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
    openssl.args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=tracer test", "-addext"]);
    openssl.args(["subjectAltName=DNS:localhost", "-addext"]);
    openssl.args(["basicConstraints=critical,CA:FALSE"]);
    openssl.args(["-keyout", &key, "-out", &certificate]);
    let made = openssl.output().expect("openssl is installed");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    (key, certificate)
}

#[test]
fn connection_is_encrypted_compressed_and_has_the_headers() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel() && needs::tools(&["openssl"]))
    else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (key, certificate) = certificate(folder.path());
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let arguments = ["--key", &key, "--certificate", &certificate];
        let receiver = Receiver::start(&tools, protocol, &arguments);
        let program = calling("0");
        let log = at_work("log", "hits 200");
        let trusted = [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*certificate),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%20t"),
        ];
        let tracer = receiver.attach(program.pid(), &[&log], &[], &trusted);
        let finished = tracer.finish();
        assert_eq!(receiver.records().len(), 200, "{finished}");
        for request in receiver.requests("logs") {
            assert_eq!(request["headers"]["api-key"], "s t");
            if protocol == Protocol::Http {
                assert_eq!(request["headers"]["content-encoding"], "gzip");
            }
        }
        // Nobody else's certificate is trusted.
        let wait = ["--otlp-timeout", "300ms"];
        let log = at_work("log", "hits 2");
        let tracer = receiver.attach(program.pid(), &[&log], &wait, &[]);
        let finished = tracer.finish();
        finished.assert_says(&["certificate", "did not get the last events"]);
        assert_eq!(finished.summary("p1")["undelivered"], 2);
        assert_eq!(receiver.records().len(), 200);
    }
}

/// The lines that the collector printed behind a line with this text, up to the next element of its kind.
fn printed_behind(lines: &[String], mark: &str, next: &str) -> Option<Vec<String>> {
    let at = lines.iter().position(|line| line.trim() == mark)?;
    let own = lines[at..].iter().skip(1);
    let own: Vec<String> = own
        .take_while(|line| !line.starts_with(next))
        .cloned()
        .collect();
    Some(own)
}

/// Returns true if these texts are each in a line, in their order.
fn has_in_order(lines: &[String], texts: &[String]) -> bool {
    let mut lines = lines.iter();
    texts
        .iter()
        .all(|text| lines.any(|line| line.contains(text)))
}

#[test]
fn collector_takes_records_spans_and_metrics_over_both_protocols() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    let collector = Collector::start(&tools);
    let program = calling("0");
    for (port, name, protocol) in [
        (collector.grpc, "by-grpc", Protocol::Grpc),
        (collector.http, "by-http", Protocol::Http),
    ] {
        let url = format!("http://127.0.0.1:{port}");
        let message = json!(format!("{name} {{number}}"));
        let log = at_work("log", &format!("{message} hits 5"));
        let count = at_work("count", &format!("by number > 0 as count-{name} hits 5"));
        let span = format!("span work {message} with n=number hits 5");
        let time = format!("time work as time-{name}");
        let probes = [log.as_str(), &span, &count, &time];
        let mut command = Command::new(TRACER);
        command.args(attach_args(program.pid(), "json", &probes, &["--otlp"]));
        // The variables alone say where.
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.variable());
        let tracer = Tracer::spawn(command);
        // Five of the log and five spans.
        tracer.wait_events(10);
        let finished = tracer.interrupt();
        finished.assert_code(0);
        let undelivered = |summary: &serde_json::Value| !summary["undelivered"].is_null();
        assert!(!finished.summaries().iter().any(undelivered), "{finished}");
        let output = &collector.served.output;
        output.wait("the records", |lines| {
            let is_body = |line: &&String| line.contains("Body") && line.contains(name);
            (lines.iter().filter(is_body).count() >= 5).then_some(())
        });
        let events = finished.events();
        let mut spans = events.iter().filter_map(|event| event["span"].as_object());
        let made = spans.next().unwrap_or_else(|| panic!("{finished}"));
        let id = made["span_id"].as_str().expect("a text");
        let shown = output.wait("a span", |lines| {
            let mark = format!("ID             : {id}");
            printed_behind(lines, &mark, "Span #")
        });
        let text = |key: &str| made[key].as_str().expect("a text").to_owned();
        let expected = [
            format!("Name           : {}", text("name")),
            "SPAN_KIND_INTERNAL".to_owned(),
            "STATUS_CODE_UNSET".to_owned(),
            format!("-> n: Int({})", made["attributes"]["n"]),
            "-> code.function.name: Str(work)".to_owned(),
        ];
        assert!(has_in_order(&shown, &expected), "{expected:?} in {shown:?}");
        assert_eq!(spans.count() + 1, 5);
        let metric = |name: String| {
            output.wait("a metric", |lines| {
                printed_behind(lines, &format!("-> Name: {name}"), "Metric #")
            })
        };
        let counted = metric(format!("count-{name}"));
        let expected = [
            "DataType: Sum",
            "IsMonotonic: true",
            "-> number > 0: Bool(true)",
            "Value: 5",
        ];
        assert!(
            has_in_order(&counted, &expected.map(str::to_owned)),
            "{counted:?}"
        );
        let timed = metric(format!("time-{name}"));
        let calls = finished.summary(&format!("time-{name}"));
        let expected = [
            "DataType: ExponentialHistogram".to_owned(),
            "CUMULATIVE".to_owned(),
            format!("Count: {}", calls["hits"]),
            "Sum: 0.0".to_owned(),
        ];
        assert!(has_in_order(&timed, &expected), "{expected:?} in {timed:?}");
    }
}
