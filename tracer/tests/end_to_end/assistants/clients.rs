//! Clients that others have written: the SDK for Python, and the inspector.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::build::{Profile, scratch, source, target_app};
use crate::support::display::Display;
use crate::support::needs;
use crate::support::program::{Program, run};
use crate::support::tracer::{TRACER, Tracer};

/// A screen, and target-app on it.
struct Watched {
    target: Program,
    _display: Display,
}

impl Watched {
    fn start() -> Self {
        let display = Display::start();
        let target = super::pages::target_on(&display, &target_app(Profile::Dev));
        Self {
            target,
            _display: display,
        }
    }
}

/// Runs the SDK for Python, which uses everything once.
fn every_tool(tools: &Path, args: &[&str]) {
    let script = source("mcp/every_tool.py");
    let script = script.to_str().expect("test paths are UTF-8");
    let said = run(tools.join("bin/python"), [&[script], args].concat());
    assert_eq!(said.lines().last(), Some("ok"), "{said}");
}

#[test]
fn python_sdk_uses_every_tool_resource_and_prompt() {
    let Some(tools) = needs::mcp_tools().filter(|_| needs::kernel() && needs::tools(&["Xvfb"]))
    else {
        return;
    };
    let watched = Watched::start();
    let pid = watched.target.pid().to_string();
    let folder = scratch("assistant-recording");
    let recording = folder.join("pointer.trz");
    let recording = recording.to_str().expect("test paths are UTF-8");
    let probe = "log target_app::query_pointer hits 3";
    let made = Tracer::start(["record", recording, "--pid", &pid, "-e", probe]).finish();
    made.assert_code(0);
    let server = [TRACER, "mcp", "--pid", &pid, "--recording", recording];
    every_tool(&tools, &[&["stdio", &pid], &server[..]].concat());
}

#[test]
fn python_sdk_uses_everything_over_http_and_others_are_kept_out() {
    let Some(tools) =
        needs::mcp_tools().filter(|_| needs::kernel() && needs::tools(&["Xvfb", "curl"]))
    else {
        return;
    };
    let watched = Watched::start();
    let pid = watched.target.pid().to_string();
    let server = Program::start(Path::new(TRACER), &["mcp", "--pid", &pid, "--listen", "0"]);
    let (url, token) = server.stderr.wait("the address", |lines| {
        let line = lines.first()?.strip_prefix("listening at ")?;
        let (url, token) = line.split_once(", token ")?;
        Some((url.to_owned(), token.to_owned()))
    });
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    every_tool(&tools, &["http", &pid, &url, &token]);
    let status = |headers: &[&str]| {
        let args = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST"];
        let mut curl = Command::new("curl");
        curl.args(args).arg(&url);
        for header in headers {
            curl.args(["-H", header]);
        }
        let output = curl.output().expect("curl runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let right = format!("Authorization: Bearer {token}");
    assert_eq!(status(&[]), "401");
    assert_eq!(status(&["Authorization: Bearer wrong"]), "401");
    assert_eq!(status(&[&right[..right.len() - 1]]), "401");
    assert_eq!(status(&[&right, "Origin: http://example.com"]), "403");
    assert_eq!(status(&[&right, "Host: example.com"]), "403");
    assert_ne!(status(&[&right]), "401");
}

#[test]
fn inspector_lists_and_calls() {
    let Some(tools) =
        needs::mcp_tools().filter(|_| needs::kernel() && needs::tools(&["Xvfb", "node"]))
    else {
        return;
    };
    let watched = Watched::start();
    let pid = watched.target.pid().to_string();
    let inspector = tools.join("npm/node_modules/.bin/mcp-inspector");
    let inspect = |args: &[&str]| -> Value {
        let server = ["--cli", TRACER, "mcp", "--pid", &pid];
        let said = run(&inspector, [&server[..], args].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error} in {said}"))
    };
    let call = |tool: &str, args: &[&str]| {
        let method = ["--method", "tools/call", "--tool-name", tool];
        let mut all = method.to_vec();
        for arg in args {
            all.extend(["--tool-arg", arg]);
        }
        let answer = inspect(&all);
        assert_eq!(answer["isError"], false, "{answer}");
        answer["structuredContent"].clone()
    };
    let tools = inspect(&["--method", "tools/list"]);
    assert_eq!(tools["tools"].as_array().map(Vec::len), Some(16));
    let processes = call("find_processes", &[]);
    assert_eq!(processes["processes"][0]["pid"].to_string(), pid);
    let functions = call("find_functions", &["pattern=report_mouse"]);
    assert_eq!(functions["total"], 1, "{functions}");
    let added = call(
        "add_probe",
        &["probe=log target_app::query_pointer hits 999999"],
    );
    assert_eq!(added["lowered"][0], "`hits 999999` is lowered to 1000");
    let source = inspect(&[
        "--method",
        "resources/read",
        "--uri",
        "tracer://source/main.rs?line=1",
    ]);
    let text = source["contents"][0]["text"].as_str().expect("a text");
    assert!(text.contains("Watches the mouse pointer"), "{text}");
    let prompts = inspect(&["--method", "prompts/list"]);
    assert_eq!(prompts["prompts"].as_array().map(Vec::len), Some(3));
    let prompt = [
        "--method",
        "prompts/get",
        "--prompt-name",
        "why_is_this_slow",
    ];
    let prompt = inspect(&[&prompt[..], &["--prompt-args", "function=work"]].concat());
    let text = prompt["messages"][0]["content"]["text"]
        .as_str()
        .expect("a text");
    assert!(text.contains("`time work`"), "{text}");
}

#[test]
fn recording_with_secrets_is_refused() {
    if !needs::kernel() || !needs::tools(&["Xvfb"]) {
        return;
    }
    let watched = Watched::start();
    let pid = watched.target.pid().to_string();
    let folder = scratch("assistant-unredacted");
    let recording = folder.join("open.trz");
    let recording = recording.to_str().expect("test paths are UTF-8");
    let probe = "log target_app::query_pointer hits 1";
    let record = [
        "record",
        recording,
        "--no-redact",
        "--pid",
        &pid,
        "-e",
        probe,
    ];
    Tracer::start(record).finish().assert_code(0);
    let served = Tracer::start(["mcp", "--pid", &pid, "--recording", recording]).finish();
    served
        .assert_code(2)
        .assert_says(&["may show values that are redacted here: `password`"]);
    fs::remove_file(recording).expect("it is ours");
}
