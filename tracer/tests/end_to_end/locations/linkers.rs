//! Binaries of every linker: file offsets, link addresses and run addresses differ in another way
//! with each of them.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::build::{c, probe_line, rust};
use crate::support::needs;
use crate::support::program::{Program, run};
use crate::support::text::Text;
use crate::support::tracer::{Tracer, value};

/// gdb's output for each expression in the running program.
fn gdb(pid: u32, file: &str, line: u64, expressions: &[&str]) -> Vec<String> {
    let pid = pid.to_string();
    let breakpoint = format!("tbreak {file}:{line}");
    let mut args = vec!["-nx", "-batch", "-p", &pid, "-ex", "set language c"];
    args.extend(["-ex", &breakpoint, "-ex", "continue"]);
    let prints: Vec<String> = expressions
        .iter()
        .map(|expression| format!("printf \"gdb: %ld\\n\", (long)({expression})"))
        .collect();
    for print in &prints {
        args.extend(["-ex", print]);
    }
    args.extend(["-ex", "detach"]);
    let printed = run("gdb", args);
    let values = printed
        .lines()
        .filter_map(|line| line.strip_prefix("gdb: "));
    values.map(str::to_owned).collect()
}

/// Two events at a line of a running program. Its code is as before afterwards.
fn events_at(program: &Program, probe: &str) -> Vec<Value> {
    let text = Text::of_exe(program.pid());
    let tracer = Tracer::json(program.pid(), &[probe]);
    tracer.wait_events(2);
    let finished = tracer.interrupt();
    finished.assert_code(0);
    text.wait_restored();
    finished.events()
}

fn comment(path: &Path) -> String {
    run(
        "readelf",
        ["-p".as_ref(), ".comment".as_ref(), path.as_os_str()],
    )
}

fn check_c(linker: &str, pie: &str) {
    let source = "e2e_places.c";
    let flag = format!("-fuse-ld={linker}");
    let path = c(
        &format!("places-{linker}{pie}"),
        source,
        &["-O0", &flag, pie],
    );
    let maker = comment(&path);
    match linker {
        "lld" => assert!(maker.contains("LLD"), "{maker}"),
        "mold" => assert!(maker.contains("mold"), "{maker}"),
        _ => assert!(!maker.contains("LLD") && !maker.contains("mold"), "{maker}"),
    }
    let program = Program::ready(&path, &[]);
    let line = probe_line(source, "place");
    let names = ["argument", "local", "in_data", "in_bss", "in_rodata"];
    let by_gdb = gdb(program.pid(), source, line, &names);
    let probe = format!(
        r#"log {source}:{line} "{{argument}} {{local}} {{in_data}} {{in_bss}} {{in_rodata}} {{name}}""#
    );
    let expected = [14, 42, 1032, -9_000_000_000_i64, 77];
    for event in events_at(&program, &probe) {
        for ((name, by_gdb), expected) in names.iter().zip(&by_gdb).zip(expected) {
            let ours = value(&event, name);
            assert_eq!(
                ours,
                &Value::from(expected),
                "{linker} {pie}: {name} of {event}"
            );
            assert_eq!(&ours.to_string(), by_gdb, "{linker} {pie}: {name}");
        }
        let message = event["message"].as_str().expect("a message");
        assert!(message.contains("global name"), "{message}");
    }
}

#[test]
fn c_places_equal_gdb_with_gnu_ld() {
    if needs::kernel() && needs::tools(&["gdb", "readelf", "ld.bfd"]) {
        check_c("bfd", "-pie");
        check_c("bfd", "-no-pie");
    }
}

#[test]
fn c_places_equal_gdb_with_lld() {
    if needs::kernel() && needs::tools(&["gdb", "readelf", "ld.lld"]) {
        check_c("lld", "-pie");
        check_c("lld", "-no-pie");
    }
}

#[test]
fn c_places_equal_gdb_with_mold() {
    if needs::kernel() && needs::tools(&["gdb", "readelf", "mold"]) {
        check_c("mold", "-pie");
        check_c("mold", "-no-pie");
    }
}

#[test]
fn c_places_equal_gdb_with_gold() {
    // Not every binutils has this linker, so it is tested if installed.
    if needs::kernel() && needs::tools(&["gdb", "readelf"]) && needs::has("ld.gold") {
        check_c("gold", "-pie");
        check_c("gold", "-no-pie");
    }
}

fn check_rust(linker: Option<&str>, model: &str, optimised: bool) {
    let source = "e2e_places.rs";
    let model_flag = format!("-Crelocation-model={model}");
    let link_flag = format!("-Clink-arg=-fuse-ld={}", linker.unwrap_or_default());
    let mut flags = vec![model_flag.as_str()];
    if linker.is_some() {
        flags.extend(["-Clinker-features=-lld", &link_flag]);
    }
    if optimised {
        flags.push("-O");
    }
    let name = format!("places-rs-{}-{model}", linker.unwrap_or("default"));
    let path = rust(&name, source, &flags);
    let maker = comment(&path);
    match linker {
        None => assert!(
            maker.contains("LLD"),
            "rustc's default is rust-lld: {maker}"
        ),
        Some(linker) => {
            assert!(!maker.contains("LLD"), "{maker}");
            assert_eq!(maker.contains("mold"), linker == "mold", "{maker}");
        }
    }
    let program = Program::ready(&path, &[]);
    let line = probe_line(source, "place");
    let probe =
        format!(r#"log {source}:{line} "{{local}} {{COUNTER}} {{NAME}} {{TABLE}} {{SWITCH}}""#);
    for event in events_at(&program, &probe) {
        let what = format!("{linker:?} {model}: {event}");
        assert_eq!(value(&event, "local"), 42, "{what}");
        assert_eq!(value(&event, "NAME"), "global name", "{what}");
        assert_eq!(
            value(&event, "TABLE"),
            &json!([-9_000_000_000_i64, 0, 77]),
            "{what}"
        );
        assert_eq!(value(&event, "SWITCH"), true, "{what}");
        // The value alone, or with the fields of the atomic around it.
        assert!(
            value(&event, "COUNTER").to_string().contains("1032"),
            "{what}"
        );
    }
}

#[test]
fn rust_places_are_right_with_rust_lld() {
    if needs::kernel() && needs::tools(&["readelf"]) {
        check_rust(None, "pie", false);
        check_rust(None, "static", false);
        check_rust(None, "pie", true);
    }
}

#[test]
fn rust_places_are_right_with_gnu_ld() {
    if needs::kernel() && needs::tools(&["readelf", "ld.bfd"]) {
        check_rust(Some("bfd"), "pie", false);
        check_rust(Some("bfd"), "static", false);
    }
}

#[test]
fn rust_places_are_right_with_mold() {
    if needs::kernel() && needs::tools(&["readelf", "mold"]) {
        check_rust(Some("mold"), "pie", false);
        check_rust(Some("mold"), "static", false);
    }
}
