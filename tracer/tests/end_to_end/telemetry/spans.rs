//! Spans at a receiver of OTLP and on the console, compared with those of JSON.

use serde_json::Value;

use crate::support::build::rust;
use crate::support::needs;
use crate::support::program::Program;
use crate::support::telemetry::{Protocol, Receiver, attributes, items};
use crate::support::tracer::{Finished, Tracer};

pub(super) const PROBES: [&str; 4] = [
    "span fixture::request \"request {me}\" with n=me",
    "span fixture::descend with n=me, level=level",
    "span fixture::order with n=me error if me % 3 == 0",
    "log fixture::note \"{inside}\" rate 100000/s",
];

/// The program of the tests of spans, which waits for its start.
pub(super) fn program() -> Program {
    let path = rust("spans", "e2e_spans.rs", &["-C", "opt-level=0"]);
    Program::ready(&path, &[])
}

/// Lets the program make its calls, and ends the session.
pub(super) fn observed(mut program: Program, tracer: Tracer) -> Finished {
    tracer.wait_tracing();
    program.say("go");
    let is_end = |line: &str| line == "done";
    program.stdout.wait_line("its end", 0, is_end);
    tracer.interrupt()
}

/// The bytes of an id: the messages' JSON has them in base64.
fn hexadecimal(id: &Value) -> String {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = id.as_str().unwrap_or_default().trim_end_matches('=');
    let (mut waiting, mut bits, mut shown) = (0_usize, 0, String::new());
    for c in text.chars() {
        waiting = waiting << 6 | digits.find(c).expect("base64");
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            shown += &format!("{:02x}", waiting >> bits);
            waiting &= (1 << bits) - 1;
        }
    }
    shown
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn spans_have_what_json_has_over_both_protocols() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let receiver = Receiver::start(&tools, protocol, &[]);
        let program = program();
        let tracer = receiver.attach(program.pid(), &PROBES, &[], &[]);
        let finished = observed(program, tracer);
        let mut received = Vec::new();
        for request in receiver.requests("traces") {
            for part in items(&request["request"]["resourceSpans"]) {
                let resource = attributes(&part["resource"]["attributes"]);
                assert_eq!(resource["service.name"]["stringValue"], "spans");
                for scope in items(&part["scopeSpans"]) {
                    received.extend(items(&scope["spans"]).cloned());
                }
            }
        }
        let events = finished.events();
        let spans: Vec<&Value> = events
            .iter()
            .filter(|event| event["span"].is_object())
            .collect();
        assert!(spans.len() >= 38, "{finished}");
        assert_eq!(received.len(), spans.len(), "{finished}");
        let (mut nested, mut inside, mut failed) = (0, 0, 0);
        for event in spans {
            let span = &event["span"];
            let is_it = |made: &&Value| hexadecimal(&made["spanId"]) == text(&span["span_id"]);
            let made = received
                .iter()
                .find(is_it)
                .unwrap_or_else(|| panic!("{span}"));
            assert_eq!(hexadecimal(&made["traceId"]), text(&span["trace_id"]));
            assert_eq!(made["name"], span["name"]);
            assert_eq!(made["kind"], "SPAN_KIND_INTERNAL");
            if made["parentSpanId"].is_string() {
                assert_eq!(
                    hexadecimal(&made["parentSpanId"]),
                    text(&span["parent_span_id"])
                );
                nested += 1;
            } else {
                assert!(span["parent_span_id"].is_null(), "{span}");
            }
            let time = |key: &str| text(&made[key]).parse::<u64>().expect("ns");
            let took = time("endTimeUnixNano") - time("startTimeUnixNano");
            assert_eq!(Some(took), span["duration_ns"].as_u64());
            let given = attributes(&made["attributes"]);
            for (key, value) in span["attributes"].as_object().expect("attributes") {
                assert_eq!(text(&given[key]["intValue"]), value.to_string());
            }
            assert_eq!(given["thread.id"]["intValue"], event["tid"].to_string());
            assert_eq!(
                given["code.function.name"]["stringValue"],
                event["function"]
            );
            if span["status"]["code"] == "error" {
                assert_eq!(made["status"]["code"], "STATUS_CODE_ERROR");
                assert_eq!(made["status"]["message"], span["status"]["message"]);
                failed += 1;
            }
            let events = items(&made["events"]);
            assert_eq!(
                events.len(),
                span["events"].as_array().expect("events").len()
            );
            for event in events {
                assert_eq!(event["name"], "log");
                assert!(attributes(&event["attributes"]).contains_key("inside"));
                inside += 1;
            }
        }
        assert!(
            nested > 10 && inside > 10 && failed > 2,
            "{nested} {inside} {failed}\n{finished}"
        );
        // A log is a record as well, which names its span.
        let in_spans = receiver.records().into_iter().filter(|record| {
            let id = hexadecimal(&record.record["spanId"]);
            received
                .iter()
                .any(|span| hexadecimal(&span["spanId"]) == id)
        });
        assert!(in_spans.count() > 10, "{finished}");
    }
}

#[test]
fn console_has_spans_with_their_events() {
    if !needs::kernel() {
        return;
    }
    let program = program();
    let tracer = Tracer::attach(program.pid(), "otel-console", &PROBES, &[]);
    let finished = observed(program, tracer);
    let text = finished.stdout.join("\n");
    let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let values: Vec<Value> = values.collect::<Result<_, _>>().expect("JSON objects");
    let named = |name: &str| {
        let is_it = |value: &&Value| {
            value["name"]
                .as_str()
                .is_some_and(|it| it.starts_with(name))
        };
        values.iter().filter(is_it).collect::<Vec<_>>()
    };
    let (outer, inner) = (named("request "), named("fixture::order"));
    let inner = inner.first().unwrap_or_else(|| panic!("{finished}"));
    assert_eq!(inner["events"][0]["name"], "log", "{finished}");
    let is_outer = |value: &&&Value| value["context"]["span_id"] == inner["parent_id"];
    let outer = outer
        .iter()
        .find(is_outer)
        .unwrap_or_else(|| panic!("{finished}"));
    assert_eq!(outer["context"]["trace_id"], inner["context"]["trace_id"]);
}
