use super::super::metrics::tests::{aggregate, rows};
use super::*;
use crate::sink::BeginTarget;
use crate::sink::json::tests::event;

fn written(write: impl FnOnce(&mut ConsoleSink<&mut Vec<u8>>)) -> (String, Vec<Value>) {
    let mut out = Vec::new();
    let mut sink = ConsoleSink::new(&mut out).unwrap();
    sink.begin(&Begin {
        targets: vec![BeginTarget {
            pid: std::process::id(),
            exe: "/bin/app".into(),
        }],
        selectors: None,
        time_ns: 1_000,
        probes: Vec::new(),
    })
    .unwrap();
    write(&mut sink);
    let text = String::from_utf8(out).unwrap();
    let values = serde_json::Deserializer::from_str(&text).into_iter();
    let values = values.collect::<Result<_, _>>().unwrap();
    (text, values)
}

#[test]
fn event_is_a_log_record_of_the_sdk_and_hides_no_control_characters() {
    let mut hostile = event();
    hostile.message = "a\u{202e}b\nc".into();
    let (text, values) = written(|sink| sink.event(&hostile).unwrap());
    assert!(text.starts_with("{\n    \"body\": \"a\\u202eb\\nc\",\n    \"severity_number\": 9,\n"));
    let record = &values[0];
    let keys: Vec<&str> = record
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "body",
            "severity_number",
            "severity_text",
            "attributes",
            "dropped_attributes",
            "timestamp",
            "observed_timestamp",
            "trace_id",
            "span_id",
            "trace_flags",
            "resource",
            "event_name",
        ]
    );
    assert_eq!(record["attributes"]["thread.id"], hostile.tid);
    assert!(record["resource"]["attributes"]["host.name"].is_string());
}

#[test]
fn aggregate_is_a_metric_of_the_sdk() {
    let counted = aggregate("requests", "r.kind", rows());
    let (_, values) = written(|sink| sink.aggregate(&counted, 2_000).unwrap());
    let resource = &values[0]["resource_metrics"][0];
    let own = &resource["resource"]["attributes"]["process.pid"];
    assert_eq!(*own, std::process::id());
    let metric = &resource["scope_metrics"][0]["metrics"][0];
    assert_eq!(metric["name"], "requests");
    let data = &metric["data"];
    assert_eq!(
        (&data["aggregation_temporality"], &data["is_monotonic"]),
        (&json!(2), &json!(true))
    );
    let point = &data["data_points"][0];
    assert_eq!(point["value"], 5);
    assert_eq!(point["attributes"]["r.kind"], "get \"x\"");
    assert_eq!(
        (&point["start_time_unix_nano"], &point["time_unix_nano"]),
        (&json!(1_000), &json!(2_000))
    );
}

#[test]
fn span_is_a_span_of_the_sdk() {
    let event = super::super::spans::tests::span_event();
    let (_, values) = written(|sink| sink.event(&event).unwrap());
    let span = &values[0];
    assert_eq!(span["name"], "checkout 7");
    assert_eq!(
        span["context"]["trace_id"],
        "0x000000000000000000000000000000ab"
    );
    assert_eq!(span["context"]["span_id"], "0x00000000000000cd");
    assert_eq!(span["parent_id"], "0x00000000000000ef");
    assert_eq!(span["start_time"], "1970-01-01T00:00:00.000001Z");
    assert_eq!(
        span["status"],
        json!({"status_code": "ERROR", "description": "Err(Full)"})
    );
    assert_eq!(span["events"][0]["name"], "log");
    assert_eq!(span["events"][0]["attributes"]["x"], 3);
}

#[test]
fn exemplar_names_its_span_as_the_span_itself_does() {
    let one = Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: 9,
        span_id: vec![0, 0, 0, 0, 0, 0, 0, 0xcd],
        trace_id: [vec![0; 15], vec![0xab]].concat(),
        value: Some(exemplar::Value::AsDouble(0.5)),
    };
    assert_eq!(
        exemplars(&[one]),
        [json!({
            "filtered_attributes": {},
            "value": 0.5,
            "time_unix_nano": 9,
            "span_id": "0x00000000000000cd",
            "trace_id": "0x000000000000000000000000000000ab",
        })]
    );
}
