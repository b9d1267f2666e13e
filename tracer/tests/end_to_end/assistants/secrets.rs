//! Attempts of an assistant to see a redacted value.

use serde_json::json;

use super::client::RawClient;
use crate::support::build::{c, probe_line, scratch};
use crate::support::needs;
use crate::support::program::Program;

/// The value of the field `password` in the fixture.
pub(super) const SECRET: &str = "xyzzy-plugh-plover";

fn target() -> Program {
    Program::ready(&c("mcp-account", "mcp/account.c", &[]), &[])
}

/// Returns true if a text has the secret: as text, as a part of it, as numbers, or in hexadecimal.
pub(super) fn tells(text: &str) -> bool {
    let bytes = |part: &str| -> Vec<String> { part.bytes().map(|byte| byte.to_string()).collect() };
    let hex = |part: &str| -> String { part.bytes().map(|byte| format!("{byte:02x}")).collect() };
    let reversed = |part: &str| -> String {
        part.bytes()
            .rev()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    let word = u64::from_le_bytes(SECRET.as_bytes()[..8].try_into().expect("eight bytes"));
    let numbers = [
        bytes("xyzz").join(","),
        bytes("xyzz").join(", "),
        word.to_string(),
    ];
    let texts = ["xyzzy", "plugh", "plover", &hex("xyzz"), &reversed("xyzz")];
    texts.iter().any(|part| text.contains(part)) || numbers.iter().any(|part| text.contains(part))
}

#[test]
fn secret_is_recognised_in_each_form() {
    for text in [
        SECRET,
        "[120,121,122,122]",
        "{120, 121, 122, 122",
        "7a7a7978",
        "7813795353256950136",
    ] {
        assert!(tells(text), "{text}");
    }
    assert!(!tells("sixteen-letters! <redacted> 120"));
}

/// Expressions for the secret: its name and what contains it, then its memory without its name.
const EXPRESSIONS: [&str; 43] = [
    // Names of the value, and of things that contain it.
    "account.password",
    "account->password",
    "*account",
    "account",
    "ours",
    "ours.account",
    "ours.account.password",
    "ours.account.password[0]",
    "account.password[0] + 0",
    "account.password[0] as i64",
    "account.password.len()",
    "&account.password",
    "*&account.password",
    "account.password == \"a guess\"",
    // Its memory, without its name.
    "account.name",
    "account.name[16]",
    "account.name[20]",
    "account.name[-1]",
    "account.name[amount + 20]",
    "(char *)account",
    "(char *)account + 16",
    "(char *)&account->name",
    "*((char *)account + 16)",
    "(const char *)((unsigned long)account + 16)",
    "*(long *)((char *)account + 16)",
    "*(struct account **)&account",
    "(struct view *)account",
    "note[24]",
    "note[amount + 23]",
    "*(note + 24)",
    "note + 24",
    "&note[24]",
    "account.history[-7]",
    "account.history[amount]",
    "(account + 1)->name",
    "account[0]",
    "account[1].name",
    "(account - 1)->history",
    "ours.words[20]",
    "(long *)&ours",
    "*(long (*)[8])account",
    "account as *const char",
    "(char *)ours.words",
];

/// Questions on it, whose answers the number of hits would tell.
const QUESTIONS: [&str; 12] = [
    "account.password == \"a guess\"",
    "account.password[0] == 'x'",
    "account.password.starts_with(\"x\")",
    "account.password.matches(/^xy/)",
    "!account.password.is_empty()",
    "account->password[0] > 100",
    "amount > 0 && account.password.len() > 3",
    "account.name[16] == 'x'",
    "note[24] == 'x'",
    "*(note + 24) == 'x'",
    "((char *)account)[16] == 'x'",
    "(account + 0)->password[0] == 'x'",
];

/// More probes, of functions with such a name and of all that is in scope.
const PROBES: [&str; 33] = [
    "watch ours.account.password",
    "watch ours.account.password \"{old} {new}\"",
    "watch ours.account.password \"{new[0]} {new[0] + 0} {old:x}\"",
    "watch ours.account.password \"{ours.account.password}\"",
    "watch ours.account.password depth 8",
    "watch ours.account.password if new[0] == 'x'",
    "watch ours.account.password if old == \"a guess\"",
    "watch ours.account.password[0]",
    "watch ours.account.password[0] \"{old} {new} {new as long}\"",
    "watch ours.account.password[0] if new == 'x'",
    "log get_token%return",
    "log get_token%return \"{$return}\"",
    "log get_token%return \"{*$return}\"",
    "log get_token%return \"{$return[0]}\"",
    "log get_token%return \"{(long)$return}\"",
    "count get_token%return by $return",
    "count get_token%return if $return[0] == 'x'",
    "count get_token%return if *$return == 'x'",
    "time get_token \"{$return}\"",
    "span get_token",
    "trace get_token",
    "snapshot pay",
    "log pay",
    "log pay depth 8",
    "trace pay",
    "trace pay with account.password, *account, ours",
    "trace pay with account.name[16], note[24]",
    "span pay \"{account.password} {*account}\" with a=account.password, b=ours, c=*account",
    "span pay \"{note[24]}\" with a=(char *)account",
    "log pay \"{account.password:x} {*account:x} {ours:#?}\"",
    "trace main",
    "span pay \"x\" key account.password",
    "span pay \"x\" parent account.password",
];

/// Probes that read or ask for the secret, each by another way.
fn attempts() -> Vec<String> {
    let line = probe_line("mcp/account.c", "pay");
    let mut probes: Vec<String> = EXPRESSIONS
        .iter()
        .flat_map(|expr| {
            [
                format!("log pay \"{{{expr}}}\""),
                format!("count pay by {expr}"),
                format!("hist pay {expr}"),
            ]
        })
        .collect();
    // Questions: hits would tell the answers.
    for question in QUESTIONS {
        probes.push(format!("count pay if {question}"));
        probes.push(format!("log pay \"asked\" if {question}"));
        probes.push(format!("span pay \"asked\" error if {question}"));
        probes.push(format!("trace pay if {question} with amount"));
        probes.push(format!("time pay if {question}"));
    }
    // Results of a function with such a name.
    for probe in PROBES {
        probes.push(probe.to_owned());
    }
    probes.push(format!("log account.c:{line}"));
    probes.push(format!("snapshot account.c:{line}"));
    probes
}

#[test]
fn redacted_value_is_never_told() {
    if !needs::kernel() {
        return;
    }
    let mut target = target();
    let more = ["--max-probes", "400", "--max-cpu", "90%"];
    let mut client = RawClient::of(&target, &more);
    let attempts = attempts();
    let (mut added, mut asked, mut events) = (0, 0, 0);
    for batch in attempts.chunks(40) {
        let mut names: Vec<String> = Vec::new();
        for probe in batch {
            asked += 1;
            client.done("check_probe", json!({ "probe": probe }));
            if let Ok(answer) = client.tool("add_probe", json!({ "probe": probe })) {
                names.push(
                    answer["probe"]["probe"]
                        .as_str()
                        .expect("a name")
                        .to_owned(),
                );
            }
        }
        target.call(2);
        for name in names {
            added += 1;
            let probe = client.listed(&name);
            let text = probe["text"].as_str().expect("a text");
            assert!(!text.contains(" if "), "a question was attached: {probe}");
            // Aggregates count the hits that they have added up as events.
            let is_sum = ["count ", "hist ", "time "]
                .iter()
                .any(|verb| text.starts_with(verb));
            let sent = if is_sum {
                0
            } else {
                probe["events"].as_u64().expect("a count")
            };
            crate::support::wait_for(&format!("{sent} events of {probe}"), || {
                let came = client.events(&name).len() as u64;
                (came >= sent).then_some(())
            });
            events += sent;
            let _ = client.tool("read_aggregates", json!({ "probe": name }));
            let _ = client.tool("read_snapshot", json!({ "probe": name }));
            let _ = client.tool("read_call", json!({ "probe": name }));
            client.done("remove_probe", json!({ "probe": name }));
        }
    }
    assert!(added > 20 && added < asked / 2, "{added} of {asked}");
    assert!(events > 40, "{events}");
    for line in client.server.stdout.lines() {
        assert!(!tells(&line), "{line}");
    }
}

#[test]
fn more_names_are_redacted_and_none_less() {
    if !needs::kernel() {
        return;
    }
    let mut target = target();
    let config = scratch("assistant-config").join("config.toml");
    std::fs::write(&config, "redact = [\"amount\"]\n").expect("ours");
    let config = config.to_str().expect("test paths are UTF-8");
    let mut client = RawClient::of(&target, &["--redact", "cents", "--config", config]);
    let probe = client.add("log pay \"{account.cents} {amount}\"");
    let refused = client.tool(
        "add_probe",
        json!({ "probe": "count pay if account.cents < 0" }),
    );
    assert!(refused.is_err(), "{refused:?}");
    target.call(1);
    let events = crate::support::wait_for("the event", || {
        let events = client.events(&probe);
        (!events.is_empty()).then_some(events)
    });
    assert_eq!(events[0]["message"], "<redacted> <redacted>", "{events:?}");
    let limits = client.done("cost", json!({}))["limits"].clone();
    let redacted = limits["redacted"].as_array().expect("names");
    assert!(
        redacted.len() == 18 && redacted.contains(&json!("cents")),
        "{limits}"
    );
}
