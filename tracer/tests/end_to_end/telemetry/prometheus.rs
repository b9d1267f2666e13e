//! The page for Prometheus, read by a real one.

use serde_json::Value;

use super::export::{at_work, calling};
use crate::support::needs;
use crate::support::telemetry::{Prometheus, free_port};
use crate::support::tracer::Tracer;
use crate::support::wait_for;

#[test]
fn prometheus_scrapes_counts_times_and_counters() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let program = calling("0");
    let port = free_port();
    let count = at_work("count", "by number > 0 as positive");
    let hist = at_work("hist", "number as numbers");
    let probes = [count.as_str(), &hist, "time work as calls"];
    let address = port.to_string();
    let more = ["--prometheus", &address];
    let tracer = Tracer::attach(program.pid(), "json", &probes, &more);
    tracer.wait_tracing();
    let prometheus = Prometheus::start(&tools, folder.path(), port);
    let wait = |query: &str, least: f64| {
        wait_for(query, || {
            prometheus.query(query).filter(|&value| value >= least)
        })
    };
    wait(
        r#"positive_total{tracer_probe="positive",number___0="true"}"#,
        100.0,
    );
    wait(r#"numbers_bucket{le="+Inf"}"#, 100.0);
    let calls = wait("calls_seconds_count", 100.0);
    assert!(wait("calls_seconds_sum / calls_seconds_count", 1e-9) < 1.0);
    wait("histogram_quantile(0.5, calls_seconds_bucket)", 1e-9);
    wait(
        r#"tracer_probe_hits_total{tracer_outcome="event",tracer_probe="positive"}"#,
        calls,
    );
    assert_eq!(wait("target_info", 1.0), 1.0);
    // It reads what the page has: the rate of a metric needs two scrapes that agree.
    wait("rate(positive_total[5s])", 1.0);
    tracer.interrupt().assert_code(0);
}

/// The exemplars of a span's times are spans of the session, with their time.
#[test]
fn prometheus_has_spans_as_exemplars() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let program = calling("0");
    let port = free_port();
    let address = port.to_string();
    let more = ["--prometheus", &address];
    let probes = ["span work rate 100000/s as calls"];
    let tracer = Tracer::attach(program.pid(), "json", &probes, &more);
    tracer.wait_tracing();
    let prometheus = Prometheus::start(&tools, folder.path(), port);
    let exemplars = wait_for("exemplars", || {
        let found = prometheus.exemplars("calls_seconds_bucket");
        (!found.is_empty()).then_some(found)
    });
    let finished = tracer.interrupt();
    let events = finished.events();
    for (labels, seconds) in exemplars {
        let is_it = |event: &&Value| event["span"]["span_id"] == labels["span_id"];
        let event = events.iter().find(is_it);
        let event = event.unwrap_or_else(|| panic!("{labels} is a span: {finished}"));
        assert_eq!(event["span"]["trace_id"], labels["trace_id"], "{event}");
        let took = event["span"]["duration_ns"].as_f64().expect("ns") / 1e9;
        assert!((took - seconds).abs() < 1e-12, "{seconds} {event}");
    }
}

#[test]
fn page_is_at_its_path_alone_and_ends_with_the_session() {
    if !needs::kernel() {
        return;
    }
    let program = calling("0");
    let port = free_port();
    let probes = ["time work as calls", "count work"];
    let address = format!("127.0.0.1:{port}");
    let tracer = Tracer::attach(program.pid(), "json", &probes, &["--prometheus", &address]);
    tracer.wait_tracing();
    let get = |path: &str| {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .new_agent();
        agent.get(format!("http://{address}{path}")).call()
    };
    let mut page = wait_for("the page", || get("/metrics").ok());
    let kind = page.headers()["content-type"]
        .to_str()
        .expect("text")
        .to_owned();
    assert_eq!(
        kind,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = page.body_mut().read_to_string().expect("text");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert!(text.contains("tracer_count_total{tracer_probe=\"p2\",code_function_name=\"work\"} "));
    assert_eq!(get("/").expect("an answer").status(), 404);
    let posted = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent();
    let posted = posted.post(format!("http://{address}/metrics")).send("x");
    assert_eq!(posted.expect("an answer").status(), 405);
    tracer.interrupt().assert_code(0);
    assert!(get("/metrics").is_err(), "nobody listens after the end");
}
