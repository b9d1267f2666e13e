//! Tips for mistakes in the command line that clap does not know.

use std::ffi::OsString;

use clap::builder::{StyledStr, Styles};
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::actions;

/// Words that begin a probe in other tools.
const ACTIONS_ELSEWHERE: [&str; 7] = ["print", "break", "trace", "probe", "record", "stat", "run"];

/// The error with a tip of ours, where there is one.
pub(super) fn with_tip(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let tip = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            named(ContextKind::InvalidSubcommand).and_then(|word| of_command(&word))
        }
        ErrorKind::UnknownArgument => {
            named(ContextKind::InvalidArg).and_then(|word| of_argument(&word, arguments))
        }
        _ => None,
    };
    if let Some(tip) = tip {
        let valid = Styles::styled();
        let valid = valid.get_valid();
        let styled = StyledStr::from(format!("write '{valid}{tip}{valid:#}'"));
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![styled]),
        );
    }
    error
}

/// The command to write instead of an unknown one.
fn of_command(word: &str) -> Option<String> {
    let first = word.split_whitespace().next().unwrap_or_default();
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) {
        return Some(format!("tracer attach {word}"));
    }
    if actions::names().any(|name| name == first) || ACTIONS_ELSEWHERE.contains(&first) {
        return Some("tracer attach --pid PID -e 'log main.rs:57'".to_owned());
    }
    let command = match first {
        "list" | "files" | "src" => "tracer lines --pid PID",
        "info" | "locals" | "args" => "tracer vars --pid PID main.rs:57",
        "functions" | "symbols" | "syms" => "tracer funcs --pid PID",
        "check" => "tracer attach --check --pid PID -e 'log main.rs:57'",
        "ps" | "top" | "tui" | "ui" => "tracer attach",
        "version" => "tracer --version",
        _ => return None,
    };
    Some(command.to_owned())
}

/// The option to write instead of an unknown one.
fn of_argument(word: &str, arguments: &[OsString]) -> Option<String> {
    let attach = arguments.iter().any(|one| one == "attach");
    let selects = attach || arguments.iter().any(|one| one == "doctor");
    let option = match word {
        "--json" if attach => "--output json",
        "--text" if attach => "--output text",
        "--tui" if attach => "--output tui",
        "--duration" | "--timeout" | "--seconds" if attach => "--for 10s",
        "--count" | "--limit" | "--max" | "-n" if attach => "--events 10",
        "--interval" if attach => "--every 1s",
        "--expr" | "--exec" | "--eval" | "--log" if attach => "-e 'log main.rs:57'",
        "--follow" | "--follow-forks" | "--children" if attach => "--follow-fork",
        "--no-color" | "--no-colour" | "--colour" => "--color never",
        "--process" | "--comm" if selects => "--name NAME",
        "--service" | "--systemd" if selects => "--unit NAME.service",
        "--pod" if selects => "--container pod:NAME",
        "--docker" | "--container-id" | "--podman" if selects => "--container NAME",
        "--uid" if selects => "--user USER",
        "--name" | "--process" | "--comm" => "--pid NAME",
        "--exec-path" | "--binary" | "--program" | "--file-name" => "--exe PATH",
        _ => return None,
    };
    Some(option.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::Args;
    use super::*;

    fn told(arguments: &[&str]) -> String {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let error = Args::try_parse_from(&arguments).expect_err("a mistake");
        with_tip(error, &arguments).to_string()
    }

    #[test]
    fn commands_and_options_of_other_tools_have_a_tip() {
        for (arguments, tip) in [
            (&["tracer", "8271"][..], "tip: write 'tracer attach 8271'"),
            (
                &["tracer", "log main.rs:57"],
                "tip: write 'tracer attach --pid PID -e",
            ),
            (
                &["tracer", "trace", "-p", "1"],
                "tip: write 'tracer attach --pid PID -e",
            ),
            (
                &["tracer", "attach", "1", "--json"],
                "tip: write '--output json'",
            ),
            (
                &["tracer", "attach", "1", "-n", "3"],
                "tip: write '--events 10'",
            ),
            (
                &["tracer", "attach", "1", "--duration", "3"],
                "tip: write '--for 10s'",
            ),
            // clap's own.
            (&["tracer", "attach", "1", "--event", "3"], "'--events'"),
        ] {
            let told = told(arguments);
            assert!(told.contains(tip), "{arguments:?}: {told}");
            assert!(!told.contains("'-- --json'"), "{told}");
        }
    }
}
