//! Root for the test programs.

use std::process::Command;

use crate::support::command::{as_root, is_root};

/// Runs the test programs as root if possible. Then a test fails instead of being skipped if the
/// kernel lacks a feature.
pub(crate) fn as_tests_need(test: &mut Command) {
    if is_root() || std::env::var_os("CI").is_some() {
        test.env("REQUIRE_KERNEL", "1");
    }
    if !is_root() {
        match as_root("env", "tracing in the tests") {
            Ok(_) => {
                test.env("REQUIRE_KERNEL", "1");
                test.env(runner_variable(), "sudo -E --");
            }
            Err(error) => eprintln!("{error}: tests that trace say what they lack"),
        }
    }
}

/// Cargo's variable for a program that runs the tests.
fn runner_variable() -> String {
    let arch = std::env::consts::ARCH.to_uppercase();
    format!("CARGO_TARGET_{arch}_UNKNOWN_LINUX_GNU_RUNNER")
}
