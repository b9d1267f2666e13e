//! The ends of a server: the client leaves, signals, the emergency stop, an audit file that cannot be written.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::client::RawClient;
use crate::support::build::{c, scratch};
use crate::support::program::{Program, run};
use crate::support::tracer::Tracer;
use crate::support::{needs, wait_for};

/// Time in which a server ends.
const SOON: Duration = Duration::from_secs(1);
/// More time for a busy machine.
const BUSY: Duration = Duration::from_secs(1);

fn worker() -> Program {
    Program::ready(&c("mcp-worker", "e2e_worker.c", &[]), &["0", "stay"])
}

/// The server ends soon, with that code.
#[track_caller]
fn ends(client: &mut RawClient, began: Instant, code: i32) {
    let status = client.server.wait();
    let took = began.elapsed();
    let said = client.server.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(code), "{said}");
    assert!(took < SOON + BUSY, "{took:?}");
    assert!(!said.contains("panicked"), "{said}");
}

/// A request that waits for an event that never comes.
fn wait_for_nothing(client: &mut RawClient) {
    let arguments = json!({ "wait_ms": 30_000 });
    client.request(
        "tools/call",
        json!({ "name": "read_events", "arguments": arguments }),
    );
}

#[test]
fn server_ends_with_its_client_and_with_signals() {
    if !needs::kernel() {
        return;
    }
    let target = worker();
    for signal in [
        None,
        Some(Signal::TERM),
        Some(Signal::INT),
        Some(Signal::HUP),
    ] {
        let mut client = RawClient::of(&target, &[]);
        client.add("count work");
        wait_for_nothing(&mut client);
        let began = Instant::now();
        match signal {
            None => client.server.close_input(),
            Some(signal) => client.server.signal(signal),
        }
        ends(&mut client, began, 0);
    }
    // One that never says anything.
    let pid = target.pid().to_string();
    let mut silent = RawClient::silent(&["--pid", &pid]);
    let began = Instant::now();
    silent.server.close_input();
    let status = silent.server.wait();
    assert!(status.success() && began.elapsed() < Duration::from_secs(10));
}

#[test]
fn client_that_takes_no_answers_does_not_hold_the_server() {
    if !needs::kernel() {
        return;
    }
    let target = worker();
    let pid = target.pid().to_string();
    // Its answers go to a pipe that is full soon.
    let script = format!(
        "(for n in $(seq 2000); do echo '{{\"jsonrpc\":\"2.0\",\"id\":'$n',\"method\":\"tools/list\"}}'; done; sleep 2) \
         | {} mcp --pid {pid} | sleep 60",
        crate::support::tracer::TRACER
    );
    let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let script = script.replacen("(for", &format!("(echo '{hello}'; for"), 1);
    let shell = Program::start(Path::new("sh"), &["-c", &script]);
    let server = |pid: &str| {
        let ours = format!("--pid\0{pid}\0");
        let all = fs::read_dir("/proc").expect("there").flatten();
        let line = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("cmdline")).ok();
        all.filter_map(line)
            .any(|line| line.contains("\0mcp\0") && line.contains(&ours))
    };
    wait_for("the server", || server(&pid).then_some(()));
    wait_for("its end", || (!server(&pid)).then_some(()));
    drop(shell);
}

#[test]
fn emergency_stop_removes_all_probes_and_refuses_others() {
    if !needs::kernel() {
        return;
    }
    let mut target = worker();
    for by_signal in [true, false] {
        let mut client = RawClient::of(&target, &[]);
        let probes: Vec<String> = (0..4).map(|_| client.add("count work")).collect();
        target.call(2);
        // Adding goes on meanwhile.
        let params = json!({ "name": "add_probe", "arguments": { "probe": "count rest" } });
        let racing: Vec<u64> = (0..5)
            .map(|_| client.request("tools/call", params.clone()))
            .collect();
        match by_signal {
            true => client.server.signal(Signal::USR1),
            false => drop(client.done("stop_everything", json!({}))),
        }
        for id in racing {
            client.answer(id);
        }
        let left = wait_for("the stop", || {
            let cost = client.done("cost", json!({}));
            (cost["stopped"] == true && cost["live"] == 0).then_some(cost)
        });
        assert_eq!(left["probes"], json!([]), "{left}");
        let refused = client.tool("add_probe", json!({ "probe": "count work" }));
        assert!(refused.is_err_and(|why| why.contains("everything was stopped")));
        assert!(
            client
                .tool("remove_probe", json!({ "probe": probes[0] }))
                .is_err(),
            "it is gone"
        );
        // A second signal wakes nothing.
        client.server.signal(Signal::USR1);
        client.done("find_processes", json!({}));
        assert_eq!(client.done("list_probes", json!({}))["probes"], json!([]));
    }
}

#[test]
fn emergency_stop_waits_for_no_other_request() {
    if !needs::kernel() {
        return;
    }
    let target = worker();
    let mut client = RawClient::of(&target, &[]);
    client.add("count work");
    // As many as may wait, and more.
    let arguments = json!({ "wait_ms": 30_000 });
    let params = json!({ "name": "read_events", "arguments": arguments });
    for _ in 0..100 {
        client.request("tools/call", params.clone());
    }
    client.server.stdout.wait_line("a refusal", 0, |line| {
        line.contains("more than 64 requests at a time")
    });
    let began = Instant::now();
    let stopped = client.done("stop_everything", json!({}));
    assert_eq!(
        stopped["removed"].as_array().map(Vec::len),
        Some(1),
        "{stopped}"
    );
    assert!(began.elapsed() < SOON + BUSY, "{:?}", began.elapsed());
}

#[test]
fn audit_file_has_requests_that_are_mistakes() {
    if !needs::kernel() {
        return;
    }
    let target = worker();
    let audit = scratch("assistant-audit-mistakes").join("audit.jsonl");
    let _ = fs::remove_file(&audit);
    let path = audit.to_str().expect("test paths are UTF-8");
    let mut client = RawClient::of(&target, &["--audit", path]);
    let mut codes = Vec::new();
    for (method, params) in [
        ("ping", json!({})),
        ("tools/call", json!({ "nam": "find_processes" })),
        ("tools/call", json!({ "name": "no_such_tool" })),
        ("resources/read", json!({})),
        ("resources/subscribe", json!({ "uri": "tracer://source/x" })),
        ("completion/complete", json!({})),
        ("logging/setLevel", json!({ "level": "debug" })),
        ("no/such/method", json!({ "secret": 1 })),
    ] {
        let answer = client.ask(method, params);
        codes.push(answer["error"]["code"].as_i64());
    }
    let (bad, none) = (Some(-32602), Some(-32601));
    assert_eq!(codes, [None, bad, bad, bad, none, none, none, none]);
    client.server.close_input();
    client.server.wait();
    let text = fs::read_to_string(&audit).expect("it is there");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let asked = lines.iter().filter(|line| line["type"] == "asked");
    let methods: Vec<&str> = asked
        .clone()
        .filter_map(|line| line["method"].as_str())
        .collect();
    assert_eq!(
        methods,
        [
            "initialize",
            "ping",
            "tools/call",
            "tools/call",
            "resources/read",
            "resources/subscribe",
            "completion/complete",
            "logging/setLevel",
            "no/such/method",
        ]
    );
    let shown = |request: &Value| {
        let mut lines = lines.iter().filter(|line| line["type"] == "shown");
        lines.any(|line| line["request"] == *request)
    };
    assert!(asked.clone().all(|line| shown(&line["request"])), "{text}");
    assert!(text.contains("\"nam\":\"find_processes\""), "{text}");
    assert!(text.contains("\"secret\":1"), "{text}");
}

#[test]
fn audit_file_has_every_request_and_answer() {
    if !needs::kernel() {
        return;
    }
    let mut target = worker();
    let audit = scratch("assistant-audit").join("audit.jsonl");
    let _ = fs::remove_file(&audit);
    fs::write(&audit, "before\n").expect("ours");
    let path = audit.to_str().expect("test paths are UTF-8");
    let mut client = RawClient::of(&target, &["--audit", path]);
    let probe = client.add("log work \"{number}\"");
    target.call(2);
    let shown = wait_for("the events", || {
        let answer = client.done("read_events", json!({ "probe": probe }));
        (answer["events"].as_array().map(Vec::len) == Some(2)).then_some(answer)
    });
    client.ask(
        "resources/read",
        json!({ "uri": "tracer://source//etc/passwd" }),
    );
    client.server.signal(Signal::USR1);
    wait_for("the stop", || {
        (client.done("cost", json!({}))["stopped"] == true).then_some(())
    });
    client.server.close_input();
    client.server.wait();
    let text = fs::read_to_string(&audit).expect("it is there");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("before"), "it is written behind its end");
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let asked = lines.iter().filter(|line| line["type"] == "asked");
    let answered = |request: &Value| {
        lines
            .iter()
            .any(|line| line["type"] == "shown" && line["request"] == *request)
    };
    assert!(asked.clone().count() >= 4);
    assert!(
        asked.clone().all(|line| answered(&line["request"])),
        "{text}"
    );
    assert!(
        asked
            .clone()
            .any(|line| line["content"]["arguments"]["probe"] == "log work \"{number}\"")
    );
    assert!(
        asked
            .clone()
            .any(|line| line["content"]["uri"] == "tracer://source//etc/passwd")
    );
    assert!(
        lines
            .iter()
            .any(|line| line["content"]["structuredContent"] == shown),
        "{text}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line["content"]["stopped_by"] == "SIGUSR1"),
        "{text}"
    );
}

#[test]
fn nothing_is_answered_once_the_audit_file_cannot_be_written() {
    if !needs::kernel() {
        return;
    }
    let mut target = worker();
    let pid = target.pid().to_string();
    // Full from the beginning.
    let mut client = RawClient::silent(&["--pid", &pid, "--audit", "/dev/full"]);
    let began = Instant::now();
    client.hello();
    ends(&mut client, began, 2);
    let answers = client.server.stdout.lines();
    assert_eq!(answers.len(), 0, "{answers:?}");
    let said = client.server.stderr.lines().join("\n");
    assert!(said.contains("cannot write the audit file"), "{said}");
    // Full in the middle: its reader leaves.
    let pipe = scratch("assistant-audit-pipe").join("pipe");
    let _ = fs::remove_file(&pipe);
    run("mkfifo", [&pipe]);
    // Opened for both, so that opening waits for nobody.
    let mut reader = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .expect("it was just made");
    let path = pipe.to_str().expect("test paths are UTF-8");
    let mut client = RawClient::of(&target, &["--audit", path]);
    let probe = client.add("count work");
    target.call(1);
    let mut first = [0; 16];
    reader.read_exact(&mut first).expect("lines come");
    assert_eq!(&first[..8], b"{\"time\":");
    drop(reader);
    let began = Instant::now();
    let before = client.server.stdout.count();
    client.request(
        "tools/call",
        json!({ "name": "remove_probe", "arguments": { "probe": probe } }),
    );
    ends(&mut client, began, 2);
    assert_eq!(client.server.stdout.count(), before, "no answer");
    // A file that cannot be opened, and one of somebody else.
    let refused = Tracer::start(["mcp", "--pid", &pid, "--audit", "/proc/audit"]).finish();
    refused
        .assert_code(2)
        .assert_says(&["cannot write `/proc/audit`"]);
}

#[test]
fn server_without_targets_is_refused() {
    if !needs::kernel() {
        return;
    }
    let refused = Tracer::start(["mcp"]).finish();
    refused
        .assert_code(2)
        .assert_says(&["no process is selected"]);
    let refused = Tracer::start(["mcp", "--name", "no-such-process"]).finish();
    refused.assert_code(2);
    let refused = Tracer::start(["mcp", "--pid", "1", "--no-redact"]).finish();
    refused.assert_code(2);
    let refused = Tracer::start(["mcp", "--pid", "1", "--usdt-semaphores"]).finish();
    refused.assert_code(2);
}

#[test]
fn target_that_ends_leaves_its_events() {
    if !needs::kernel() {
        return;
    }
    let mut target = worker();
    let mut client = RawClient::of(&target, &[]);
    let probe = client.add("log work \"{number}\"");
    target.call(3);
    target.close_input();
    target.wait();
    let over = wait_for("the end", || {
        let page = client.done(
            "read_events",
            json!({ "probe": probe, "wait_ms": 10_000, "after": 3 }),
        );
        (page["over"] == true).then_some(page)
    });
    assert_eq!(over["events"], json!([]));
    assert_eq!(client.events(&probe).len(), 3);
    assert_eq!(client.done("find_processes", json!({}))["over"], true);
}
