//! Options of the command line for debug information, and the report of `doctor`.

use std::process::{Child, Output, Stdio};

use super::*;

fn tracer(bench: &Bench, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tracer"))
        .args(args)
        .current_dir(bench.0.path())
        .env_remove("DEBUGINFOD_URLS")
        .output()
        .expect("tracer runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program that waits for the end of its input.
struct Waiting(Child);

impl Waiting {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("program starts");
        // Its first byte proves that it is mapped and runs.
        let mut byte = [0];
        let out = child.stdout.as_mut().expect("output");
        std::io::Read::read_exact(out, &mut byte).expect("a byte");
        Self(child)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn waiting() -> Bench {
    let bench = Bench::new();
    let source = "#include <unistd.h>\nint main(void) {\n    char byte = '.';\n    \
                  write(1, &byte, 1);\n    return (int)read(0, &byte, 1);\n}\n";
    fs::write(bench.path("wait.c"), source).expect("source");
    bench.run(
        "gcc -g -O0 -Wl,--build-id -o whole wait.c
         gcc -g -O1 -Wl,--build-id -o other wait.c
         objcopy --only-keep-debug whole kept; objcopy --strip-all whole app",
    );
    bench
}

#[test]
fn debug_file_and_directory_are_used_by_lines_vars_and_funcs() {
    let bench = waiting();
    let directory = bench.path("symbols");
    let debug = by_build_id(&bench.module("whole"), &directory);
    fs::copy(bench.path("kept"), debug).expect("copied");
    for option in [["--debug-file", "kept"], ["--debug-dir", "symbols"]] {
        for (command, location, wanted) in [
            ("lines", "wait.c:4", "main"),
            ("vars", "wait.c:4", "byte"),
            ("funcs", "main", "wait.c"),
        ] {
            let mut args = vec![command, "--exe", "app", location];
            let without = tracer(&bench, &args);
            assert_eq!(without.status.code(), Some(2), "{args:?}");
            args.extend(option);
            let output = tracer(&bench, &args);
            let found = text(&output.stdout);
            assert!(found.contains(wanted), "{args:?}: {output:?}");
        }
    }
}

#[test]
fn debug_file_of_another_build_is_refused_with_the_option_that_takes_it() {
    let bench = waiting();
    let mut args = vec!["lines", "--exe", "app", "--debug-file", "other", "wait.c:4"];
    let output = tracer(&bench, &args);
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.contains("debug file of another build"), "{errors}");
    assert!(errors.contains("--ignore-build-id"), "{errors}");
    args.push("--ignore-build-id");
    assert!(tracer(&bench, &args).status.success());
}

#[test]
fn doctor_tells_where_it_looked_and_what_it_found() {
    let bench = waiting();
    let program = Waiting::start(&bench.path("app"));
    let pid = program.0.id().to_string();
    let output = tracer(&bench, &["doctor", "--pid", &pid]);
    let found = text(&output.stdout);
    let looked = "debug file /usr/lib/debug/.build-id/";
    assert!(
        found.contains(looked) && found.contains("not there"),
        "{found}"
    );
    let args = ["doctor", "--pid", &pid, "--debug-file", "kept", "--json"];
    let output = tracer(&bench, &args);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let app = &report["process"]["modules"][0];
    assert_eq!(app["debug_info"], true, "{app}");
    assert_eq!(app["looked"][0]["place"], "kept");
    assert_eq!(app["looked"][0]["outcome"], "used");
}
