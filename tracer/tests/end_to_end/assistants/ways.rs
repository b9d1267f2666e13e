//! Redacted values by each way that leads to them: names that an expression leaves out, and keys of maps.

use serde_json::json;

use super::client::RawClient;
use super::secrets::tells;
use crate::support::build::{fixture, rust_compiler};
use crate::support::needs;
use crate::support::program::Program;

/// The number that is secret in the fixtures.
const NUMBER: &str = "7788990";

/// An assistant's view of a probe: its first message or its first row, or the refusal.
fn got(client: &mut RawClient, target: &mut Program, probe: &str) -> String {
    let name = match client.tool("add_probe", json!({ "probe": probe })) {
        Ok(answer) => answer["probe"]["probe"]
            .as_str()
            .expect("a name")
            .to_owned(),
        Err(refusal) => return refusal,
    };
    target.call(1);
    let is_sum = probe.starts_with("count ") || probe.starts_with("hist ");
    let got = crate::support::wait_for(&format!("what `{probe}` shows"), || {
        if is_sum {
            let answer = client.done("read_aggregates", json!({ "probe": name }));
            let rows = answer["aggregates"][0]["rows"].as_array()?;
            return rows.first().map(|row| row["value"].to_string());
        }
        let events = client.events(&name);
        let message = events.first()?["message"].as_str();
        Some(message.expect("a message").to_owned())
    });
    client.done("remove_probe", json!({ "probe": name }));
    got
}

/// Tries all probes. Each shows its text, up to a `…` at its end, or is refused with it.
fn assert_shows(target: &mut Program, probes: &[(&str, &str)], refused: &[(&str, &str)]) {
    let mut client = RawClient::of(target, &["--max-probes", "100", "--max-cpu", "90%"]);
    let mut wrong = Vec::new();
    for (probe, wanted) in probes {
        let shown = got(&mut client, target, probe);
        let is_wanted = match wanted.strip_suffix('…') {
            Some(begin) => shown.starts_with(begin),
            None => shown == *wanted,
        };
        if !is_wanted {
            wrong.push(format!("{probe}\n  shows {shown}\n  not {wanted}"));
        }
    }
    for (probe, why) in refused {
        match client.tool("add_probe", json!({ "probe": probe })) {
            Err(refusal) if refusal.contains(why) => {}
            answer => wrong.push(format!("{probe}\n  is not refused as {why}: {answer:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for line in client.server.stdout.lines() {
        assert!(!tells(&line) && !line.contains(NUMBER), "{line}");
    }
}

const QUESTION: &str = "a condition on a redacted value is not allowed here";
const KEY: &str = "values of this name are redacted";

#[test]
fn bases_and_namespaces_that_an_expression_leaves_out_redact() {
    if !needs::kernel() {
        return;
    }
    let path = fixture("c++", "mcp-vault-cpp", "mcp/vault.cpp", &["-g", "-O0"]);
    let mut target = Program::ready(&path, &[]);
    let shows = [
        (
            "log use \"{value} {secrets::value} {pin}\"",
            "<redacted> <redacted> <redacted>",
        ),
        (
            "log use \"{pin + 1} {&value} {value[0]}\"",
            "<redacted> <redacted> <redacted>",
        ),
        ("log use \"{most} {limits::most}\"", "12 12"),
        (
            "log use \"{login.code} {login.number} {login.user}\"",
            "<redacted> <redacted> bob",
        ),
        (
            "log use \"{login}\"",
            "Login { Credentials: <redacted>, user: \"bob\" }",
        ),
        (
            "log use \"{gate.code} {gate.number} {gate.door}\"",
            "<redacted> <redacted> 5",
        ),
        (
            "log use \"{maps.by_pointer}\"",
            "{\"password\": <redacted>}",
        ),
        (
            "log use \"{maps.by_bytes}\"",
            "{['p', 'a', 's', 's', 'w', 'o', 'r', 'd']: <redacted>}",
        ),
        (
            "log use \"{maps.by_pair}\"",
            "{pair { first: \"password\", second: 1 }: <redacted>}",
        ),
        (
            "log use \"{maps.by_key}\"",
            "{Key { password: <redacted> }: 7}",
        ),
        ("count use by part.place", "3"),
        ("watch pin", "pin: <redacted> → <redacted> by use"),
        (
            "span use \"{login.number}\" with a=pin key amount",
            "<redacted> took …",
        ),
        (
            "trace use with login.number, pin",
            "login.number = <redacted>, pin = <redacted>",
        ),
    ];
    let refused = [
        ("count use by pin", KEY),
        ("count use by value", KEY),
        ("count use by login.number", KEY),
        ("hist use pin", KEY),
        ("count use by part", "`Part` has redacted parts"),
        ("count use if pin == 1", QUESTION),
        ("count use if value[0] == 'x'", QUESTION),
        ("log use \"asked\" if login.number > 5", QUESTION),
        ("count use if gate.number > 5", QUESTION),
        ("time use if amount > 0 && pin > 5", QUESTION),
        ("span use error if login.number > 5", QUESTION),
        ("span use error if amount > 5 && pin > 5", QUESTION),
        ("trace use if login.number > 5 with amount", QUESTION),
        ("watch limits::most if pin > 5", QUESTION),
        (
            "watch pin \"{old} {new + 1}\"",
            "the watched value is redacted",
        ),
        ("watch pin if new == 3", "the watched value is redacted"),
    ];
    assert_shows(&mut target, &shows, &refused);
}

#[test]
fn variants_and_tuple_structs_that_an_expression_leaves_out_redact() {
    if !needs::kernel() {
        return;
    }
    // The crate's own name is a redacted one, which makes none of its statics a secret.
    let flags = ["--edition=2021", "-g", "--crate-name", "token_vault"];
    let path = fixture(&rust_compiler(), "mcp-vault-rs", "mcp/vault.rs", &flags);
    let mut target = Program::ready(&path, &[]);
    let shows = [
        ("log open \"{forms.auth}\"", "Password(<redacted>)"),
        (
            "log open \"{forms.auth.0} {forms.auth.Password.0}\"",
            "<redacted> <redacted>",
        ),
        (
            "log open \"{forms.word} {forms.word.0}\"",
            "Password(<redacted>) <redacted>",
        ),
        (
            "log open \"{forms.four} {forms.four.0}\"",
            "Token(<redacted>) <redacted>",
        ),
        (
            "log open \"{forms.pin} {forms.pin + 1}\"",
            "Pin { secret: <redacted> } <redacted>",
        ),
        (
            "log open \"{forms.small} {forms.pairs}\"",
            "Secret(<redacted>) [(\"password\", 4)]",
        ),
        ("log open%return \"{$return}\"", "Err(Password(<redacted>))"),
        (
            "log open \"{PIN} {secrets::PIN} {LIMIT} {token_vault::LIMIT}\"",
            "<redacted> <redacted> 12 12",
        ),
        ("log open \"{maps.by_variant}\"", "{Password: <redacted>}"),
        (
            "log open \"{maps.by_newtype}\"",
            "{Name(\"password\"): <redacted>}",
        ),
        (
            "log open \"{maps.by_bytes}\"",
            "{[112, 97, 115, 115, 119, 111, 114, 100]: <redacted>}",
        ),
        (
            "log open \"{maps.by_box}\"",
            "{Name(\"password\"): <redacted>}",
        ),
        ("log open \"{maps.plain}\"", "{Name(\"host\"): 80}"),
        ("count open by forms.small", "{\"$variant\":\"Secret\"}"),
    ];
    let refused = [
        ("count open by forms.auth.0", KEY),
        ("count open by forms.word.0", KEY),
        ("count open by forms.word", KEY),
        ("count open by forms.four", KEY),
        ("count open by forms.pin", KEY),
        ("hist open forms.pin", KEY),
        ("count open if forms.auth.0.starts_with(\"x\")", QUESTION),
        ("count open if forms.word.0 == \"x\"", QUESTION),
        ("count open if forms.pin > 5", QUESTION),
        ("count open if PIN > 5", QUESTION),
    ];
    assert_shows(&mut target, &shows, &refused);
}
