//! The table at the end of `cargo xtask test`.

use std::fmt::Write as _;
use std::time::Duration;

use super::suites::Suite;

/// One step of the run.
pub(super) struct Row<'a> {
    pub(super) step: &'a str,
    pub(super) took: Duration,
    pub(super) suites: &'a [Suite],
    /// The reason of a failure.
    pub(super) error: Option<String>,
}

/// Width of the names.
const NAMES: usize = 40;

/// Prints steps and their suites with the number of tests and the time. The last line has the
/// totals.
pub(super) fn text(rows: &[Row<'_>]) -> String {
    let mut text = format!(
        "       {:<NAMES$} {:>7} {:>7} {:>8} {:>9}\n",
        "suite", "passed", "failed", "ignored", "time"
    );
    let mut sum = [0; 3];
    for row in rows {
        let verdict = if row.error.is_none() { "ok" } else { "FAILED" };
        let took = row.took.as_secs_f64();
        let why = row
            .error
            .as_ref()
            .map_or_else(String::new, |error| format!("  {error}"));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{verdict:<6} {:<NAMES$} {:>24} {took:>7.1} s{why}",
            row.step, ""
        );
        for suite in row.suites {
            let counts = [suite.passed, suite.failed, suite.ignored];
            sum = std::array::from_fn(|index| sum[index] + counts[index]);
            let [passed, failed, ignored] = counts;
            let took = suite.took.as_secs_f64();
            let _ = writeln!(
                text,
                "       {:<NAMES$} {passed:>7} {failed:>7} {ignored:>8} {took:>7.1} s",
                format!("  {}", suite.name)
            );
        }
    }
    let total: Duration = rows.iter().map(|row| row.took).sum();
    let _ = writeln!(
        text,
        "{} in {:.1} s\n",
        steps(rows.len()),
        total.as_secs_f64()
    );
    let [passed, failed, ignored] = sum;
    let _ = writeln!(text, "{passed} passed, {failed} failed, {ignored} skipped");
    text
}

fn steps(count: usize) -> String {
    match count {
        1 => "1 step".to_owned(),
        count => format!("{count} steps"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_steps_suites_and_sums() {
        let suite = |name: &str, passed, failed| Suite {
            name: name.to_owned(),
            passed,
            failed,
            ignored: 1,
            took: Duration::from_millis(1500),
        };
        let suites = [suite("kernel", 36, 0), suite("end-to-end", 238, 2)];
        let rows = [
            Row {
                step: "format",
                took: Duration::from_secs(2),
                suites: &[],
                error: None,
            },
            Row {
                step: "kernel and end-to-end tests",
                took: Duration::from_secs(200),
                suites: &suites,
                error: Some("`cargo test` failed".to_owned()),
            },
        ];
        let expected = "       suite                                     passed  failed  ignored      time
ok     format                                                                2.0 s
FAILED kernel and end-to-end tests                                         200.0 s  `cargo test` failed
         kernel                                      36       0        1     1.5 s
         end-to-end                                 238       2        1     1.5 s
2 steps in 202.0 s

274 passed, 2 failed, 2 skipped
";
        assert_eq!(text(&rows), expected);
    }
}
