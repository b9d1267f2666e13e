//! `--output otel-console`.

use serde_json::Value;

use super::export::{at_work, calling};
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
