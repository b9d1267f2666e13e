//! The commands besides `attach` that need no target of their own.

use std::path::Path;

use serde_json::json;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::tracer;

#[test]
fn help_and_version_are_data() {
    for (args, word) in [
        (&["--help"] as &[&str], "attach"),
        (&["attach", "--help"], "--pid"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let finished = tracer(args);
        finished.assert_code(0);
        assert!(finished.text().contains(word), "{finished}");
        assert_eq!(finished.stderr, Vec::<String>::new(), "{finished}");
    }
}

#[test]
fn completions_and_man_page_name_every_command() {
    let commands = ["attach", "lines", "vars", "funcs", "doctor"];
    for args in [
        &["completions", "bash"] as &[&str],
        &["completions", "zsh"],
        &["completions", "fish"],
        &["man"],
    ] {
        let finished = tracer(args);
        finished.assert_code(0);
        for command in commands {
            assert!(
                finished.text().contains(command),
                "no {command} in {finished}"
            );
        }
    }
}

#[test]
fn doctor_finds_nothing_missing_where_tests_run() {
    if !needs::kernel() {
        return;
    }
    let finished = tracer(&["doctor"]);
    finished.assert_code(0);
    assert!(
        finished.text().to_lowercase().contains("uprobe"),
        "{finished}"
    );
    let finished = tracer(&["doctor", "--json"]);
    finished.assert_code(0);
    assert!(
        finished.json().is_object() || finished.json().is_array(),
        "{finished}"
    );
}

#[test]
fn doctor_looks_at_one_process() {
    if !needs::kernel() {
        return;
    }
    let program = Program::start("cat".as_ref(), &[]);
    let finished = tracer(&["doctor", "--pid", &program.pid().to_string()]);
    finished.assert_code(0);
    assert!(finished.text().contains("cat"), "{finished}");
}

#[test]
fn check_says_what_probes_would_be_and_attaches_nothing() {
    let path = c("loop", "e2e_loop.c", &["-O0"]);
    let line = probe_line("e2e_loop.c", "work");
    let probes = [
        format!(r#"log e2e_loop.c:{line} "{{number}} {{pair.twice}}" hits 7 rate 5/s"#),
        format!(r#"log e2e_loop.c:{line} "{{nmber}}""#),
    ];
    let path = path.to_str().expect("test paths are UTF-8");
    let check = |subject: &[&str], more: &[&str]| {
        let mut args = vec!["attach", "--check"];
        args.extend(subject);
        args.extend(probes.iter().flat_map(|probe| ["-e", probe]));
        args.extend(more);
        tracer(&args)
    };
    let finished = check(&["--exe", path], &["--output", "json"]);
    finished.assert_code(2);
    let lines = finished.json();
    let (good, bad) = (&lines[0], &lines[1]);
    assert_eq!((&good["hits"], &good["rate"]), (&json!(7), &json!(5.0)));
    let site = &good["sites"][0];
    assert_eq!(site["function"], "work", "{finished}");
    assert_eq!(
        site["values"],
        json!([{"expr": "number", "type": "int"}, {"expr": "pair.twice", "type": "int"}])
    );
    assert_eq!(bad["type"], "refused");
    assert!(
        bad["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("number")),
        "{bad}"
    );

    let program = Program::ready(Path::new(path), &["1", "1", "0"]);
    let text = Text::of_exe(program.pid());
    let finished = check(&["--pid", &program.pid().to_string()], &[]);
    finished
        .assert_code(2)
        .assert_says(&["`nmber`", "did you mean `number`"]);
    assert!(
        finished
            .text()
            .contains("at most 7 events, at most 5 events a second"),
        "{finished}"
    );
    assert_eq!(text.changed(), Vec::<u64>::new());
    tracer(&["attach", "--check", "--exe", path])
        .assert_code(2)
        .assert_says(&["no probe"]);
}
