//! Reads the suites of a test run from the output of libtest, which is passed on.

use std::io::{BufRead as _, BufReader, Write};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::support::command::show;
use crate::support::failure::Failure;

/// The result of one test program.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Suite {
    /// Its name, such as `end_to_end`.
    pub(super) name: String,
    /// Tests that passed.
    pub(super) passed: u64,
    /// Tests that failed.
    pub(super) failed: u64,
    /// Tests that did not run.
    pub(super) ignored: u64,
    /// Time of its tests, without the build.
    pub(super) took: Duration,
}

/// A parser of libtest's lines: the programs, and the results of their tests.
#[derive(Debug, Default)]
pub(super) struct Suites {
    running: Option<String>,
    /// The suites that have ended.
    pub(super) ended: Vec<Suite>,
}

impl Suites {
    /// Starts a suite with this name, for programs that cargo does not start.
    pub(super) fn start(&mut self, name: String) {
        self.running = Some(name);
    }

    /// Parses a line of the output.
    pub(super) fn line(&mut self, line: &str) {
        let line = plain(line);
        if let Some(name) = started(line.trim()) {
            self.running = Some(name);
        } else if let Some(suite) = ended(line.trim()) {
            let name = self.running.clone().unwrap_or_else(|| "tests".to_owned());
            self.ended.push(Suite { name, ..suite });
        }
    }
}

/// Runs `cargo test` to its end, shows its output, and returns its suites.
///
/// # Errors
/// The command could not be started, or did not end with exit code 0.
pub(super) fn run(command: Command, suites: &mut Suites) -> Result<()> {
    eprintln!("$ {}", show(&command));
    run_to(command, suites, &mut std::io::stdout())
}

fn run_to(mut command: Command, suites: &mut Suites, out: &mut dyn Write) -> Result<()> {
    let shown = show(&command);
    let (output, input) = std::io::pipe().context("cannot make a pipe")?;
    // Both streams share one pipe, so the name of a suite stays before its tests.
    let errors = input.try_clone().context("cannot make a pipe")?;
    let mut child = command
        .stdout(input)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("cannot run `{shown}`"))?;
    // The command holds the other end of the pipe.
    drop(command);
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = output.read_until(b'\n', &mut line);
        if read.context("cannot read the output of the tests")? == 0 {
            break;
        }
        suites.line(&String::from_utf8_lossy(&line));
        out.write_all(&line)
            .context("cannot show the output of the tests")?;
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for `{shown}`"))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("`{shown}` failed ({status})")).into())
    }
}

/// The name in `Running tests/kernel/main.rs (target/debug/deps/kernel-0123)`, and in `Doc-tests tracer`.
fn started(line: &str) -> Option<String> {
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name}, in its documentation"));
    }
    let (source, program) = line.strip_prefix("Running ")?.split_once(" (")?;
    let program = program.strip_suffix(')')?.rsplit('/').next()?;
    let (name, _hash) = program.rsplit_once('-')?;
    let name = name.replace('_', "-");
    Some(match source.strip_prefix("unittests ") {
        Some("src/lib.rs") => format!("{name}, its library"),
        Some("src/main.rs") => format!("{name}, its program"),
        _ => name,
    })
}

/// The numbers in `test result: ok. 5 passed; 0 failed; 1 ignored; …; finished in 6.36s`.
fn ended(line: &str) -> Option<Suite> {
    let (_verdict, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |what: &str| {
        let mut parts = numbers.split("; ");
        parts.find_map(|part| part.strip_suffix(what)?.trim().parse().ok())
    };
    let took = numbers.rsplit_once("finished in ")?.1.strip_suffix('s')?;
    Some(Suite {
        name: String::new(),
        passed: number("passed")?,
        failed: number("failed")?,
        ignored: number("ignored")?,
        took: Duration::try_from_secs_f64(took.parse().ok()?).ok()?,
    })
}

/// The text without colours.
fn plain(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        // A colour sequence ends with an `m`.
        plain + part.split_once('m').map_or(part, |(_, text)| text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_named_and_counted() {
        let mut suites = Suites::default();
        for line in [
            "\u{1b}[1m\u{1b}[92m     Running\u{1b}[0m unittests src/lib.rs (target/debug/deps/tracer-0a1b)",
            "running 2 tests",
            "test result: \u{1b}[32mok\u{1b}[m. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s",
            "     Running tests/end_to_end/main.rs (target/debug/deps/end_to_end-0a1b)",
            "test result: FAILED. 238 passed; 2 failed; 1 ignored; 0 measured; 7 filtered out; finished in 161.25s",
            "   Doc-tests tracer",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            suites.line(line);
        }
        let suite = |name: &str, [passed, failed, ignored]: [u64; 3], ms| Suite {
            name: name.to_owned(),
            passed,
            failed,
            ignored,
            took: Duration::from_millis(ms),
        };
        assert_eq!(
            suites.ended,
            [
                suite("tracer, its library", [2, 0, 0], 500),
                suite("end-to-end", [238, 2, 1], 161_250),
                suite("tracer, in its documentation", [0, 0, 0], 0),
            ]
        );
    }

    #[test]
    fn output_of_a_run_is_counted_and_its_failure_told() {
        let result = "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s";
        let script = format!(
            "echo '     Running tests/a.rs (deps/some_tests-1)' >&2; echo '{result}'; exit 101"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let mut suites = Suites::default();
        let mut shown = Vec::new();
        assert!(run_to(command, &mut suites, &mut shown).is_err());
        assert!(String::from_utf8_lossy(&shown).contains(result));
        let [suite] = &suites.ended[..] else {
            panic!("{suites:?}");
        };
        assert_eq!(
            (suite.name.as_str(), suite.passed, suite.failed),
            ("some-tests", 1, 1)
        );
    }
}
