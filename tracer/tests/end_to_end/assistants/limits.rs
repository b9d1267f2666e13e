//! Attempts of an assistant to get past its limits: targets, sources, life, events, rate, cost, number of probes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{RawClient, outcome};
use crate::support::build::{c, source};
use crate::support::program::Program;
use crate::support::{needs, wait_for};

fn worker() -> Program {
    Program::ready(&c("mcp-worker", "e2e_worker.c", &[]), &["0", "stay"])
}

#[test]
fn only_selected_processes_are_seen_and_hit() {
    if !needs::kernel() {
        return;
    }
    let (mut target, mut other) = (worker(), worker());
    let mut client = RawClient::of(&target, &[]);
    let found = client.done("find_processes", json!({}));
    let exe = c("mcp-worker", "e2e_worker.c", &[]);
    let only = json!([{ "pid": target.pid(), "exe": exe.to_str() }]);
    assert_eq!(found["processes"], only, "{found}");
    let elsewhere = format!("/proc/{}/exe!work", other.pid());
    for (tool, arguments) in [
        ("find_processes", json!({ "pid": other.pid() })),
        (
            "find_functions",
            json!({ "pattern": "work", "pid": other.pid() }),
        ),
        (
            "add_probe",
            json!({ "probe": "log work", "pid": other.pid() }),
        ),
        ("add_probe", json!({ "probe": "target --pid 1\nlog work" })),
        ("list_variables", json!({ "location": elsewhere })),
    ] {
        let refused = client.tool(tool, arguments.clone());
        assert!(refused.is_err(), "{tool} {arguments}: {refused:?}");
    }
    // A module that is not there is waited for, by its name in the selected process.
    let waiting = client.add(&format!("log {elsewhere}"));
    let probe = client.add("log work \"{number}\"");
    let by_pid = client.add(&format!(
        "log work \"{{number}}\" if $pid == {}",
        other.pid()
    ));
    let count = client.add("count work by $pid");
    other.call(50);
    target.call(3);
    other.call(50);
    let events = wait_for("the events", || {
        let events = client.events(&probe);
        (events.len() >= 3).then_some(events)
    });
    let pids: Vec<u64> = events
        .iter()
        .filter_map(|event| event["pid"].as_u64())
        .collect();
    assert_eq!(pids, [u64::from(target.pid()); 3], "{events:?}");
    assert_eq!(client.events(&by_pid), [] as [Value; 0]);
    assert_eq!(client.listed(&waiting)["sites"], 0);
    assert_eq!(client.listed(&count)["hits"], 3);
}

#[test]
fn process_that_becomes_another_program_shows_only_that() {
    if !needs::kernel() {
        return;
    }
    let mut target = worker();
    let mut client = RawClient::of(&target, &["--ttl", "1500ms"]);
    let probe = client.add("count work");
    target.call(2);
    let again = c("mcp-worker", "e2e_worker.c", &[]);
    let from = target.stdout.count();
    target.say(&format!("exec {} 0 stay", again.display()));
    target
        .stdout
        .wait_line("`ready`", from, |line| line == "ready");
    // The life of a probe does not begin again with the program.
    wait_for("the end of its life", || {
        let list = client.done("list_probes", json!({}));
        let live = list["probes"]
            .as_array()
            .expect("probes")
            .iter()
            .filter(|one| one["live"] == true);
        (live.count() == 0).then_some(())
    });
    let list = client.done("list_probes", json!({}));
    let before = list["probes"].clone();
    target.call(5);
    let after = client.done("list_probes", json!({}));
    let hits = |probes: &Value| {
        probes
            .as_array()
            .expect("probes")
            .first()
            .map(|one| one["events"].clone())
    };
    assert_eq!(hits(&before), hits(&after["probes"]), "{probe}: {after}");
}

#[test]
fn only_sources_of_the_program_are_shown() {
    if !needs::kernel() {
        return;
    }
    let target = worker();
    let mut client = RawClient::of(&target, &[]);
    let own = source("e2e_worker.c");
    let shown = client.done(
        "show_source",
        json!({ "file": own.to_str(), "line": 20, "around": 1 }),
    );
    assert_eq!(shown["lines"].as_array().map(Vec::len), Some(3));
    let long = "../".repeat(300) + "etc/passwd";
    for path in [
        "/etc/passwd",
        "etc/passwd",
        "../../../../../../../../etc/passwd",
        "/proc/self/environ",
        "/proc/1/environ",
        "e2e_worker.c/../../../../Cargo.toml",
        "fixtures/../fixtures/e2e_worker.c/..",
        "mcp/account.c",
        "/dev/zero",
        "e2e_worker.c\0/etc/passwd",
        "",
        &long,
    ] {
        let refused = client.tool("show_source", json!({ "file": path, "line": 1 }));
        assert!(refused.is_err(), "{path}: {refused:?}");
        let refused = client.tool("list_lines", json!({ "file": path }));
        assert!(refused.is_err(), "{path}: {refused:?}");
        let encoded: String = path.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for uri in [
            format!("tracer://source/{path}"),
            format!("tracer://source/{encoded}?line=1"),
        ] {
            let answer = client.ask("resources/read", json!({ "uri": uri }));
            assert!(answer["error"].is_object(), "{uri}: {answer}");
        }
    }
    for uri in [
        "file:///etc/passwd",
        "tracer://recording/x",
        "tracer://recording/../x",
        "",
        "tracer:",
    ] {
        let answer = client.ask("resources/read", json!({ "uri": uri }));
        assert!(answer["error"].is_object(), "{uri}: {answer}");
    }
}

#[test]
fn probe_ends_after_its_time_whatever_it_asks_for() {
    if !needs::kernel() {
        return;
    }
    let mut target = worker();
    let mut client = RawClient::of(&target, &["--ttl", "700ms"]);
    let began = Instant::now();
    for probe in [
        "log work for 24h",
        "count work",
        "count work for 1h",
        "time work",
        "trace rest hits 900",
    ] {
        let added = client.done("add_probe", json!({ "probe": probe }));
        assert_eq!(added["ends_in_ms"], 700, "{added}");
    }
    target.call(1);
    let probes = wait_for("the end of all", || {
        let list = client.done("list_probes", json!({}));
        let probes = list["probes"].as_array().expect("probes").clone();
        probes
            .iter()
            .all(|one| one["live"] == false)
            .then_some(probes)
    });
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    let events = |probes: &[Value]| -> Vec<Value> {
        probes.iter().map(|one| one["events"].clone()).collect()
    };
    target.call(20);
    let list = client.done("list_probes", json!({}));
    let after = list["probes"].as_array().expect("probes");
    // Hits of the moments until the breakpoints are out are counted as expired.
    assert_eq!(events(&probes), events(after), "an event after the end");
}

#[test]
fn events_and_rate_stay_below_the_limits() {
    if !needs::kernel() {
        return;
    }
    let mut target = worker();
    let mut client = RawClient::of(&target, &["--max-hits", "7", "--max-rate", "20"]);
    let many = client.add("log work \"{number}\" hits 100000 rate 100000/s");
    let usual = client.add("log work \"{number}\"");
    let spaced = client.add("log work \"{number}\" every 1ns");
    let refused = client.tool(
        "add_probe",
        json!({ "probe": "log work hits 3 per process" }),
    );
    assert!(refused.is_err(), "{refused:?}");
    target.call(500);
    for probe in [&many, &usual, &spaced] {
        wait_for("its end", || {
            (client.listed(probe)["live"] == false).then_some(())
        });
        assert_eq!(client.events(probe).len(), 7, "{probe}");
    }
    let mut client = RawClient::of(&target, &["--max-rate", "20"]);
    let probe = client.add("log work \"{number}\" hits 1000 rate 100000/s");
    let began = Instant::now();
    target.call(5000);
    let took = began.elapsed().as_secs_f64();
    let probe = client.listed(&probe);
    let events = probe["events"].as_u64().expect("a number");
    // A second's worth may come at once.
    assert!(
        events <= 20 + (took * 20.0) as u64 + 1,
        "{events} events in {took} s"
    );
    assert_eq!(probe["hits"], 5000);
}

#[test]
fn probe_that_costs_too_much_is_removed() {
    if !needs::kernel() {
        return;
    }
    let mut target = worker();
    let mut client = RawClient::of(&target, &["--max-cpu", "1%"]);
    let probe = client.add("count work cpu 90%");
    target.say("call 2000000000");
    wait_for("its end", || {
        (client.listed(&probe)["live"] == false).then_some(())
    });
    let cost = client.done("cost", json!({}));
    assert_eq!(
        (&cost["live"], &cost["limits"]["max_cpus"]),
        (&json!(0), &json!(0.01)),
        "{cost}"
    );
}

/// Asks for the same probe many times without waiting. Returns the number of probes that were added.
#[track_caller]
fn added_at_once(client: &mut RawClient, probe: &str, times: usize) -> usize {
    let params = json!({ "name": "add_probe", "arguments": { "probe": probe } });
    let asked: Vec<u64> = (0..times)
        .map(|_| client.request("tools/call", params.clone()))
        .collect();
    let added = asked
        .iter()
        .filter(|&&id| outcome(&client.answer(id)).is_ok());
    added.count()
}

#[test]
fn number_of_probes_holds_for_requests_at_once() {
    if !needs::kernel() {
        return;
    }
    let target = worker();
    let mut client = RawClient::of(&target, &["--max-probes", "3"]);
    assert_eq!(added_at_once(&mut client, "count work", 20), 3);
    let cost = client.done("cost", json!({}));
    assert_eq!(cost["live"], 3, "{cost}");
    let first = cost["probes"][0]["probe"].clone();
    client.done("remove_probe", json!({ "probe": first }));
    client.add("count rest");
    assert!(
        client
            .tool("add_probe", json!({ "probe": "count rest" }))
            .is_err()
    );
}

#[test]
fn writes_into_the_program_are_refused() {
    if !needs::kernel() {
        return;
    }
    let program = c("mcp-usdt", "e2e_usdt.c", &[]);
    let target = Program::ready(&program, &[]);
    let mut client = RawClient::of(&target, &[]);
    for probe in [
        "log work%return trampoline",
        "log work \"{number = 1}\"",
        "log work --usdt-semaphores",
    ] {
        let refused = client.tool("add_probe", json!({ "probe": probe }));
        assert!(refused.is_err(), "{probe}: {refused:?}");
    }
    let guarded = client.tool("add_probe", json!({ "probe": "log usdt:e2e:watched" }));
    assert!(
        guarded.clone().is_err_and(|why| why.contains("semaphore")),
        "{guarded:?}"
    );
}

#[test]
fn hits_go_on_when_the_process_becomes_another_program() {
    if !needs::kernel() {
        return;
    }
    let mut target = worker();
    let mut client = RawClient::of(&target, &["--max-hits", "5"]);
    let probes = [
        "log work",
        "snapshot work hits 5",
        "span work",
        "trace work hits 5",
    ]
    .map(|one| client.add(one));
    target.call(3);
    for probe in &probes[..3] {
        wait_for("the first events", || {
            (client.events(probe).len() == 3).then_some(())
        });
    }
    wait_for("the end of the third call", || {
        let events = client.events(&probes[3]);
        let is_end =
            |event: &Value| event["step"]["call"] == 3 && event["step"]["kind"] == "return";
        events.iter().any(is_end).then_some(())
    });
    let again = c("mcp-worker", "e2e_worker.c", &[]);
    let from = target.stdout.count();
    target.say(&format!("exec {} 0 stay", again.display()));
    target
        .stdout
        .wait_line("`ready`", from, |line| line == "ready");
    let mut placed = 0;
    wait_for("the probes", || {
        let list = client.done("list_probes", json!({}));
        let notes = list["notes"].as_array().expect("notes").iter();
        placed += notes
            .filter(|note| {
                note.as_str()
                    .is_some_and(|note| note.contains("attached again,"))
            })
            .count();
        (placed == probes.len()).then_some(())
    });
    target.call(10);
    for probe in &probes {
        wait_for("its end", || {
            (client.listed(probe)["live"] == false).then_some(())
        });
    }
    for probe in &probes[..3] {
        wait_for("the last event", || {
            (client.events(probe).len() >= 5).then_some(())
        });
    }
    for probe in &probes[..3] {
        assert_eq!(client.events(probe).len(), 5, "{probe}");
    }
    let calls: BTreeSet<u64> = client
        .events(&probes[3])
        .iter()
        .filter_map(|event| event["step"]["call"].as_u64())
        .collect();
    assert_eq!(calls, (1..=5).collect(), "numbers of the traced calls");
}

#[test]
fn cost_of_earlier_probes_holds_back_others() {
    if !needs::kernel() {
        return;
    }
    let mut target = worker();
    target.say("call 2000000000");
    // One that was ended for its cost, and is added again at once.
    let mut client = RawClient::of(&target, &["--max-cpu", "5%"]);
    let probe = client.add("count work");
    wait_for("its end", || {
        (client.listed(&probe)["live"] == false).then_some(())
    });
    let refused = client.tool("add_probe", json!({ "probe": "count work" }));
    let refused = refused.expect_err("it would cost as much again");
    assert!(refused.contains("more than 5% of a CPU"), "{refused}");
    assert!(refused.contains("try again in "), "{refused}");
    let cost = client.done("cost", json!({}));
    assert!(cost["add_again_in_ms"].as_u64() > Some(0), "{cost}");
    // Its cost stays when it is removed.
    client.done("remove_probe", json!({ "probe": probe }));
    let after = client.done("cost", json!({}));
    assert!(
        after["total_ns"].as_u64() >= cost["total_ns"].as_u64(),
        "{cost} {after}"
    );
    assert!(after["total_ns"].as_u64() > Some(0), "{after}");
    // Time pays for it.
    wait_for("its time", || {
        client
            .tool("add_probe", json!({ "probe": "count work" }))
            .ok()
    });
    // Each too short to be over its own limit.
    let mut client = RawClient::of(&target, &["--max-cpu", "1%"]);
    let refused = (0..100).any(|number| {
        let name = format!("short{number}");
        let added = client.tool(
            "add_probe",
            json!({ "probe": format!("count work as {name}") }),
        );
        if added.is_ok() {
            client.done("remove_probe", json!({ "probe": name }));
        }
        added.is_err_and(|why| why.contains("more than 1% of a CPU"))
    });
    assert!(refused, "{}", client.done("cost", json!({})));
}

#[test]
fn live_probes_have_names_of_their_own() {
    if !needs::kernel() {
        return;
    }
    let mut target = worker();
    let mut client = RawClient::of(&target, &[]);
    client.add("log work \"{number}\" hits 1 as mine");
    for taken in ["log rest as mine", "count work as p1", "count work as p77"] {
        let refused = client.tool("add_probe", json!({ "probe": taken }));
        let refused = refused.expect_err("two would have the name");
        assert!(
            refused.contains("another probe may have the name"),
            "{refused}"
        );
    }
    target.call(2);
    wait_for("its end", || {
        (client.listed("mine")["live"] == false).then_some(())
    });
    // The name is free, and means the live probe from now on.
    client.add("count rest as mine");
    let refused = client.tool("add_probe", json!({ "probe": "log rest as mine" }));
    assert!(refused.is_err(), "{refused:?}");
    let removed = client.done("remove_probe", json!({ "probe": "mine" }));
    assert_eq!(
        removed["removed"]["text"], "count rest as mine",
        "{removed}"
    );
    let removed = client.done("remove_probe", json!({ "probe": "mine" }));
    assert_eq!(removed["removed"]["hits"], 2, "{removed}");
    // Probes that are being added at the same time have their names, too.
    assert_eq!(added_at_once(&mut client, "count work as one", 10), 1);
}

#[test]
fn options_of_the_server_are_not_recommended() {
    if !needs::kernel() {
        return;
    }
    let target = Program::ready(&c("mcp-account", "mcp/account.c", &[]), &[]);
    let mut client = RawClient::of(&target, &[]);
    let probe = "count pay by account->password";
    let checked = client.done("check_probe", json!({ "probe": probe }));
    let refused = checked["refused"].to_string();
    assert!(refused.contains("redacted"), "{checked}");
    assert!(!refused.contains("--"), "{checked}");
    let refused = client.tool("add_probe", json!({ "probe": probe }));
    assert!(refused.is_err_and(|why| !why.contains("--")));
}
