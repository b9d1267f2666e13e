//! A client that sends whatever a test wants.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::program::Program;
use crate::support::tracer::TRACER;

/// Time for an answer.
const ANSWER: Duration = Duration::from_secs(60);

/// A client, and the server that it has started.
pub(super) struct RawClient {
    pub(super) server: Program,
    last: u64,
}

impl RawClient {
    /// Starts `tracer mcp` with these arguments, and shakes hands.
    #[track_caller]
    pub(super) fn start(args: &[&str]) -> Self {
        let mut client = Self::silent(args);
        let id = client.hello();
        let answer = client.answer(id);
        assert_eq!(answer["result"]["serverInfo"]["name"], "tracer", "{answer}");
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    /// Starts the server, and says nothing.
    #[track_caller]
    pub(super) fn silent(args: &[&str]) -> Self {
        let all = [&["mcp"], args].concat();
        let server = Program::start_with(Path::new(TRACER), &all, |command| {
            command.env("XDG_CONFIG_HOME", "/nonexistent");
        });
        Self { server, last: 0 }
    }

    /// Sends the first request. Returns its id.
    #[track_caller]
    pub(super) fn hello(&mut self) -> u64 {
        let hello = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        self.request("initialize", hello)
    }

    /// A server for one process.
    #[track_caller]
    pub(super) fn of(target: &Program, more: &[&str]) -> Self {
        let pid = target.pid().to_string();
        Self::start(&[&["--pid", &pid], more].concat())
    }

    /// Sends a message.
    #[track_caller]
    pub(super) fn send(&mut self, message: &Value) {
        self.server.say(&message.to_string());
    }

    /// Sends a request. Returns its id.
    #[track_caller]
    pub(super) fn request(&mut self, method: &str, params: Value) -> u64 {
        self.last += 1;
        let id = self.last;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// Waits for the answer to a request.
    #[track_caller]
    pub(super) fn answer(&self, id: u64) -> Value {
        // Each line is parsed once.
        let mut seen = 0;
        self.server
            .stdout
            .wait_within(ANSWER, &format!("the answer to request {id}"), |lines| {
                let new = lines.iter().skip(seen);
                seen = lines.len();
                let mut new = new.map(|line| {
                    serde_json::from_str::<Value>(line)
                        .unwrap_or_else(|error| panic!("{error} in `{line}`"))
                });
                new.find(|message| message["id"] == id)
            })
    }

    /// Sends a request and waits for its answer.
    #[track_caller]
    pub(super) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.answer(id)
    }

    /// Uses a tool. A refusal is an error.
    #[track_caller]
    pub(super) fn tool(&mut self, name: &str, arguments: Value) -> Result<Value, String> {
        let answer = self.ask(
            "tools/call",
            json!({ "name": name, "arguments": arguments }),
        );
        outcome(&answer)
    }

    /// Uses a tool that must work.
    #[track_caller]
    pub(super) fn done(&mut self, name: &str, arguments: Value) -> Value {
        let answer = self.tool(name, arguments);
        answer.unwrap_or_else(|refused| panic!("{name}: {refused}"))
    }

    /// Adds a probe. Returns its name.
    #[track_caller]
    pub(super) fn add(&mut self, probe: &str) -> String {
        let added = self.done("add_probe", json!({ "probe": probe }));
        added["probe"]["probe"].as_str().expect("a name").to_owned()
    }

    /// All events of a probe until now.
    #[track_caller]
    pub(super) fn events(&mut self, probe: &str) -> Vec<Value> {
        let (mut events, mut after) = (Vec::new(), json!(0));
        loop {
            let page = self.done("read_events", json!({ "probe": probe, "after": after }));
            events.extend(page["events"].as_array().expect("events").iter().cloned());
            after = page["next"].clone();
            if page["more"] == false {
                return events;
            }
        }
    }

    /// A probe of the list.
    #[track_caller]
    pub(super) fn listed(&mut self, probe: &str) -> Value {
        let list = self.done("list_probes", json!({}));
        let probes = list["probes"].as_array().expect("probes");
        let found = probes.iter().find(|one| one["probe"] == probe);
        found
            .unwrap_or_else(|| panic!("no {probe} in {list}"))
            .clone()
    }
}

/// The structured answer of a tool. A refusal is an error.
pub(super) fn outcome(answer: &Value) -> Result<Value, String> {
    let result = &answer["result"];
    match (&result["structuredContent"], &result["isError"]) {
        (Value::Object(_), Value::Bool(false)) => Ok(result["structuredContent"].clone()),
        _ => Err(answer.to_string()),
    }
}
