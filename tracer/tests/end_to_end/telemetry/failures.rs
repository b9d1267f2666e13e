//! Collectors that are down, refuse, hang, or come back: the session goes on, and what is lost is counted.

use std::time::{Duration, Instant};

use super::export::{at_work, calling};
use crate::support::needs;
use crate::support::telemetry::{Protocol, Receiver};
use crate::support::tracer::{Tracer, counter, tracer};

#[test]
fn collector_that_is_down_costs_nothing_but_counted_events() {
    if !needs::kernel() {
        return;
    }
    let program = calling("0");
    let port = crate::support::telemetry::free_port();
    let url = format!("http://127.0.0.1:{port}");
    let log = at_work("log", "hits 30");
    let more = ["--otlp", &url, "--otlp-timeout", "300ms"];
    let finished = Tracer::attach(program.pid(), "text", &[&log], &more).finish();
    finished.assert_code(0);
    assert_eq!(finished.stdout.len(), 30, "{finished}");
    finished.assert_says(&[
        "/v1/logs cannot be reached",
        "it is tried again",
        "/v1/logs did not get the last events",
        "; 30 events not delivered to the collector",
    ]);
}

#[test]
fn spans_that_a_collector_does_not_get_are_counted_by_their_probe() {
    if !needs::kernel() {
        return;
    }
    let program = calling("0");
    let port = crate::support::telemetry::free_port();
    let url = format!("http://127.0.0.1:{port}");
    let more = ["--otlp", &url, "--otlp-timeout", "300ms"];
    let probes = ["span work hits 30 as calls"];
    let finished = Tracer::attach(program.pid(), "json", &probes, &more).finish();
    finished.assert_code(0);
    let summary = finished.summary("calls");
    assert_eq!(counter(&summary, "events"), 30, "{summary}");
    assert_eq!(counter(&summary, "undelivered"), 30, "{summary}");
    finished.assert_says(&["/v1/traces did not get the last spans"]);
}

#[test]
fn collector_that_hangs_does_not_hold_up_the_end() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let receiver = Receiver::start(&tools, protocol, &["--answers", "hang,hang,hang"]);
        let program = calling("0");
        let log = at_work("log", "hits 4000");
        let more = ["--otlp-timeout", "500ms"];
        let tracer = receiver.attach(program.pid(), &[&log], &more, &[]);
        receiver.wait("a request", |line| line["signal"] == "hang");
        let events = tracer.wait_events(1_000).len();
        let began = Instant::now();
        let finished = tracer.interrupt();
        assert!(began.elapsed() < Duration::from_secs(4), "{finished}");
        finished.assert_says(&["no answer in time"]);
        let summary = finished.summary("p1");
        assert_eq!(counter(&summary, "lost"), 0, "{finished}");
        assert!(counter(&summary, "events") >= events as u64);
        assert_eq!(summary["undelivered"], summary["events"]);
    }
}

#[test]
fn request_that_may_come_again_is_sent_until_it_is_taken() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    for (protocol, answers) in [
        (Protocol::Http, "503:1,429"),
        (Protocol::Grpc, "UNAVAILABLE,ABORTED"),
    ] {
        let receiver = Receiver::start(&tools, protocol, &["--answers", answers]);
        let program = calling("0");
        let log = at_work("log", "hits 5");
        let more = ["--for", "4s"];
        // A file of probes keeps the session, so that the pauses pass before its end.
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &log).expect("written");
        let path = file.path().to_str().expect("UTF-8");
        let more = [&["-f", path], &more[..]].concat();
        let tracer = receiver.attach(program.pid(), &[], &more, &[]);
        receiver.wait("the records", |line| {
            line["request"]["resourceLogs"].is_array()
        });
        let finished = tracer.interrupt();
        assert_eq!(receiver.records().len(), 5, "{finished}");
        finished.assert_says(&[
            "it is tried again",
            "takes telemetry again; nothing was lost",
        ]);
        assert!(
            finished.summary("p1")["undelivered"].is_null(),
            "{finished}"
        );
    }
}

#[test]
fn refused_events_are_counted_by_probe_and_not_sent_again() {
    let Some(tools) = needs::otel_tools().filter(|_| needs::kernel()) else {
        return;
    };
    for (protocol, answers, undelivered, words) in [
        (Protocol::Http, "400", 5, "as the test wants it"),
        (
            Protocol::Grpc,
            "INVALID_ARGUMENT",
            5,
            "as the test wants it",
        ),
        (
            Protocol::Http,
            "partial:2",
            2,
            "refused 2 records: some were too old",
        ),
        (
            Protocol::Grpc,
            "partial:2",
            2,
            "refused 2 records: some were too old",
        ),
    ] {
        let receiver = Receiver::start(&tools, protocol, &["--answers", answers]);
        let program = calling("0");
        let log = at_work("log", "hits 5");
        let tracer = receiver.attach(program.pid(), &[&log], &[], &[]);
        let finished = tracer.finish();
        finished.assert_says(&[words]);
        assert_eq!(
            finished.summary("p1")["undelivered"],
            undelivered,
            "{finished}"
        );
    }
}

#[test]
fn mistakes_are_told_before_anything_is_attached() {
    let pid = std::process::id().to_string();
    let wrong = tracer(&["attach", "-e", "log f.c:1", "-o", "json", "--otlp", &pid]);
    wrong
        .assert_code(2)
        .assert_says(&["is not the URL of a collector", "http://localhost:4318"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let wrong = tracer(&[
        "attach",
        &pid,
        "-e",
        "log f.c:1",
        "-o",
        "json",
        "--prometheus",
        &address,
    ]);
    wrong
        .assert_code(2)
        .assert_says(&["cannot serve metrics at", "in use"]);
}
