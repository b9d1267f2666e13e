//! The commands beside `attach` that need no target of their own.

use crate::support::needs;
use crate::support::program::Program;
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
