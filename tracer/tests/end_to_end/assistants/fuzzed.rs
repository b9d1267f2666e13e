//! Random, malformed, huge, cancelled requests to a real server: no panic, no hang, no way past its limits.
//!
//! `TRACER_MCP_FUZZ=REQUESTS` sends as many, and `TRACER_MCP_SEED=N` others. `cargo xtask fuzz --mcp` does so.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::support::build::c;
use crate::support::needs;
use crate::support::output::Output;
use crate::support::program::Program;
use crate::support::random::Random;
use crate::support::tracer::TRACER;

/// Requests of the test.
const REQUESTS: u64 = 3_000;
/// Requests that are on their way at a time.
const AHEAD: u64 = 20;
/// Longest time without any answer.
const HANG: Duration = Duration::from_secs(60);

const TOOLS: [&str; 17] = [
    "find_processes",
    "find_files",
    "find_functions",
    "list_lines",
    "list_variables",
    "show_source",
    "check_probe",
    "add_probe",
    "list_probes",
    "remove_probe",
    "read_events",
    "read_aggregates",
    "read_snapshot",
    "read_call",
    "cost",
    "no_such_tool",
    "",
];
const METHODS: [&str; 12] = [
    "tools/call",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "ping",
    "completion/complete",
    "logging/setLevel",
    "no/such",
    "",
];
const KEYS: [&str; 16] = [
    "pattern", "all", "offset", "limit", "file", "line", "around", "from", "to", "location",
    "owner", "probe", "after", "wait_ms", "call", "pid",
];
const WORDS: [&str; 40] = [
    "watch",
    "at",
    "until",
    "on access",
    "log",
    "count",
    "hist",
    "time",
    "span",
    "trace",
    "snapshot",
    "work",
    "rest",
    "main",
    "e2e_worker.c:36",
    "e2e_worker.c",
    "number",
    "sum",
    "build",
    "if",
    "by",
    "with",
    "hits",
    "rate",
    "for",
    "cpu",
    "depth",
    "every",
    "as",
    "per process",
    "\"{number}\"",
    "$pid",
    "%return",
    "trampoline",
    "999999999",
    "0",
    "(char *)0x1000",
    "*",
    "..",
    "libc.so.6!malloc",
];

fn word(random: &mut Random) -> String {
    match random.below(12) {
        0 => String::new(),
        1 => "\u{1b}[31m\u{202e}\0".into(),
        2 => "x".repeat(random.below(3000) as usize),
        3 => "(".repeat(random.below(300) as usize),
        4 => format!("/proc/{}/exe", random.below(5000)),
        5 => format!("p{}", random.below(40)),
        _ => random.pick(&WORDS).to_owned(),
    }
}

fn phrase(random: &mut Random) -> String {
    let words: Vec<String> = (0..random.below(7) + 1).map(|_| word(random)).collect();
    words.join(if random.one_in(9) { "" } else { " " })
}

/// A probe that is likely to be one.
fn probe(random: &mut Random) -> String {
    if random.one_in(6) {
        let watched = random.pick(&["sum", "build", "sum if old != new", "build on access"]);
        let place = random.pick(&["", " at work", " at work until rest"]);
        return match watched.split_once(' ') {
            Some((value, more)) => format!("watch {value}{place} {more}"),
            None => format!("watch {watched}{place}"),
        };
    }
    let action = random.pick(&["log", "count", "time", "snapshot", "trace", "span", "hist"]);
    let place = random.pick(&["work", "rest", "main", "e2e_worker.c:36"]);
    let value = if action == "hist" { " number" } else { "" };
    let option = random.pick(&[
        "",
        " hits 99999",
        " rate 99999/s",
        " for 99h",
        " cpu 90%",
        " if number > 2",
        " depth 4",
    ]);
    format!("{action} {place}{value}{option}")
}

fn value(random: &mut Random, depth: u32) -> Value {
    match random.below(if depth > 3 { 6 } else { 9 }) {
        0 => Value::Null,
        1 => json!(random.one_in(2)),
        2 => json!(random.next()),
        3 => json!(random.below(60) as i64 - 20),
        4 => json!(random.below(1000) as f64 / 7.0),
        5 => json!(phrase(random)),
        6 => (0..random.below(4))
            .map(|_| value(random, depth + 1))
            .collect(),
        7 => {
            let mut nested = json!(1);
            for _ in 0..random.below(200) {
                nested = json!([nested]);
            }
            nested
        }
        _ => object(random, depth + 1),
    }
}

fn object(random: &mut Random, depth: u32) -> Value {
    let entries = (0..random.below(4)).map(|_| {
        let key = if random.one_in(8) {
            word(random)
        } else {
            random.pick(&KEYS).to_owned()
        };
        (key, value(random, depth))
    });
    Value::Object(entries.collect::<Map<String, Value>>())
}

/// Arguments that fit a tool more often than not.
fn arguments(random: &mut Random, tool: &str) -> Value {
    if random.one_in(4) {
        return object(random, 0);
    }
    let page = json!(random.below(300));
    let mut fitting = match tool {
        "find_files" | "find_functions" => json!({ "pattern": word(random), "limit": page }),
        "list_lines" => json!({ "file": word(random), "offset": page }),
        "list_variables" => json!({ "location": phrase(random) }),
        "show_source" => {
            json!({ "file": "e2e_worker.c", "line": random.next() >> random.below(64), "around": page })
        }
        "check_probe" => json!({ "probe": phrase(random) }),
        "add_probe" if random.one_in(3) => json!({ "probe": phrase(random) }),
        "add_probe" => json!({ "probe": probe(random) }),
        "remove_probe" => json!({ "probe": format!("p{}", random.below(60)) }),
        "read_events" => {
            json!({ "after": random.next() >> random.below(64), "wait_ms": random.below(60), "limit": page })
        }
        "read_snapshot" => json!({ "wait_ms": random.below(60) }),
        "read_call" => {
            json!({ "probe": format!("p{}", random.below(60)), "wait_ms": random.below(60) })
        }
        "read_aggregates" => json!({ "offset": page }),
        _ => json!({}),
    };
    if random.one_in(10)
        && let Value::Object(object) = &mut fitting
    {
        object.insert(random.pick(&KEYS).to_owned(), value(random, 0));
    }
    fitting
}

fn params(random: &mut Random, method: &str) -> Value {
    match method {
        _ if random.one_in(12) => value(random, 0),
        "tools/call" => {
            let tool = random.pick(&TOOLS);
            json!({ "name": tool, "arguments": arguments(random, tool) })
        }
        "resources/read" => {
            let kind = random.pick(&["tracer://source/", "tracer://recording/", "file:///", ""]);
            json!({ "uri": format!("{kind}{}?line={}", word(random), word(random)) })
        }
        "prompts/get" => {
            json!({ "name": random.pick(&["why_is_this_slow", "x"]), "arguments": object(random, 0) })
        }
        _ => object(random, 0),
    }
}

/// A server whose stdin takes any bytes.
struct FuzzedServer {
    child: Child,
    stdout: Output,
    stderr: Output,
}

impl FuzzedServer {
    fn start(target: &Program) -> Self {
        let pid = target.pid().to_string();
        let mut command = Command::new(TRACER);
        command.args([
            "mcp",
            "--pid",
            &pid,
            "--max-probes",
            "4",
            "--max-hits",
            "9",
            "--ttl",
            "2s",
            "--redact",
            "sum",
        ]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the tracer is built");
        let stdout = Output::read("the server's stdout", child.stdout.take().expect("piped"));
        let stderr = Output::read("the server's stderr", child.stderr.take().expect("piped"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    #[track_caller]
    fn write(&mut self, bytes: &[u8]) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin
            .write_all(bytes)
            .and_then(|()| stdin.flush())
            .expect("the server reads");
    }

    #[track_caller]
    fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    /// Waits for an answer. The lines before `from` were looked at.
    #[track_caller]
    fn wait(&self, what: &str, from: &mut usize, is: impl Fn(&Value) -> bool) -> Value {
        let mut seen = *from;
        let found = self.stdout.wait_within(HANG, what, |lines| {
            let new: Vec<Value> = lines.get(seen..)?.iter().map(|line| answer(line)).collect();
            let at = new.iter().position(&is);
            seen += at.map_or(new.len(), |at| at + 1);
            at.map(|at| new[at].clone())
        });
        *from = seen;
        found
    }
}

impl Drop for FuzzedServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of the server, which is an answer or an error.
#[track_caller]
fn answer(line: &str) -> Value {
    let answer: Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    assert_eq!(answer["jsonrpc"], "2.0", "{line}");
    assert!(line.len() < 1 << 18, "an answer of {} bytes", line.len());
    assert!(!line.chars().any(char::is_control), "{line}");
    answer
}

/// Writes something that is no request.
fn disturb(random: &mut Random, server: &mut FuzzedServer, id: u64) {
    match random.below(9) {
        0 => server.write(b"\n\r\n{\n"),
        1 => {
            let bytes: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).filter(|&byte| byte != b'\n').collect();
            server.write(&[&bytes[..], b"\n"].concat());
        }
        2 => server.write(&[&vec![b'x'; (1 << 20) + random.below(4096) as usize][..], b"\n"].concat()),
        3 => server.write(format!("{}\n", "[".repeat(random.below(5000) as usize)).as_bytes()),
        4 => server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id.saturating_sub(random.below(9)) } })),
        5 => server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })),
        6 => server.send(&json!({ "jsonrpc": "2.0", "id": random.below(99), "result": value(random, 0) })),
        7 => server.send(&json!({ "jsonrpc": "1.0", "id": value(random, 0), "method": "ping" })),
        _ => server.send(&value(random, 0)),
    }
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual)
}

#[test]
fn random_requests_find_no_panic_no_hang_and_no_way_out() {
    if !needs::kernel() {
        return;
    }
    let (requests, seed) = (
        number("TRACER_MCP_FUZZ", REQUESTS),
        number("TRACER_MCP_SEED", 1),
    );
    eprintln!("{requests} requests, seed {seed}");
    let mut random = Random::new(seed);
    let program = c("mcp-worker", "e2e_worker.c", &[]);
    let mut target = Program::ready(Path::new(&program), &["0", "stay"]);
    let pid = target.pid();
    let mut server = FuzzedServer::start(&target);
    let mut seen = 0;
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "f", "version": "1" } });
    server
        .send(&json!({ "jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello }));
    server.wait("`initialize`", &mut seen, |answer| answer["id"] == "hello");
    server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    for id in 0..requests {
        if random.one_in(5) {
            disturb(&mut random, &mut server, id);
        }
        let method = if random.one_in(3) {
            random.pick(&METHODS)
        } else {
            "tools/call"
        };
        let params = params(&mut random, method);
        server.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        if id % AHEAD == AHEAD - 1 {
            // A request that is answered whatever the others were.
            let last = format!("mark {id}");
            let cost = json!({ "name": "cost", "arguments": {} });
            server.send(
                &json!({ "jsonrpc": "2.0", "id": last, "method": "tools/call", "params": cost }),
            );
            let cost = server.wait(&last, &mut seen, |answer| answer["id"] == last.as_str());
            let cost = &cost["result"]["structuredContent"];
            assert!(
                cost["live"].as_u64().is_some_and(|live| live <= 4),
                "seed {seed}: {cost}"
            );
            assert_eq!(cost["limits"]["max_hits"], 9, "seed {seed}: {cost}");
        }
        if id % 200 == 0 {
            target.call(20);
        }
    }
    let mut ids = std::collections::BTreeMap::new();
    for line in server.stdout.lines() {
        let answer = answer(&line);
        *ids.entry(answer["id"].to_string()).or_insert(0) += 1;
        check(&answer, pid, seed);
    }
    let answered = (0..requests)
        .filter(|id| ids.contains_key(&id.to_string()))
        .count() as u64;
    // Some were cancelled, and some were no requests.
    assert!(
        answered * 10 > requests * 8,
        "seed {seed}: {answered} of {requests} were answered"
    );
    drop(server.child.stdin.take());
    let began = Instant::now();
    let status =
        crate::support::wait_for("the end", || server.child.try_wait().expect("our child"));
    assert!(
        status.success() && began.elapsed() < Duration::from_secs(5),
        "seed {seed}: {status}"
    );
    let said = server.stderr.lines().join("\n");
    assert!(!said.contains("panicked"), "seed {seed}: {said}");
    target.call(1);
}

/// Checks the limits in everything that the server has said.
fn check(answer: &Value, pid: u32, seed: u64) {
    let content = &answer["result"]["structuredContent"];
    for process in content["processes"].as_array().into_iter().flatten() {
        assert_eq!(process["pid"], pid, "seed {seed}: {answer}");
    }
    for event in content["events"].as_array().into_iter().flatten() {
        assert_eq!(event["pid"], pid, "seed {seed}: {answer}");
        for value in event["values"].as_array().into_iter().flatten() {
            if value["expr"] == "sum" {
                assert_eq!(
                    value["value"]["$unavailable"], "redacted",
                    "seed {seed}: {answer}"
                );
            }
        }
    }
    for probe in content["probes"].as_array().into_iter().flatten() {
        let is_event = |action: &str| {
            probe["text"]
                .as_str()
                .is_some_and(|text| text.starts_with(action))
        };
        if is_event("log") || is_event("span") {
            assert!(
                probe["events"].as_u64().is_some_and(|events| events <= 9),
                "seed {seed}: {answer}"
            );
        }
        assert!(
            probe["ends_in_ms"].as_u64().is_none_or(|left| left <= 2000),
            "seed {seed}: {answer}"
        );
    }
}
