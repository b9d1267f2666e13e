//! The options that select processes, on the command line and in files of probes.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args as ClapArgs, Parser};

use crate::base::diagnostic::Diagnostic;
use crate::target::select::{Selector, SelectorKind};

/// Selected processes.
#[derive(ClapArgs, Debug, Default)]
#[command(next_help_heading = "Processes (several of one kind add up, different kinds narrow)")]
pub(in crate::cli) struct SelectorArgs {
    /// A process: its pid, or a name that processes have now
    #[arg(long, short, value_name = "PID", action = ArgAction::Append)]
    pub(super) pid: Vec<String>,
    /// Processes of this name, or of an executable with this name: `nginx`, `worker-*`
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Processes that run this file, under any path and in any container
    #[arg(long, value_name = "PATH")]
    pub(super) exe: Vec<PathBuf>,
    /// Processes of this systemd unit: `nginx`, `user.slice`, `worker@*.service`
    #[arg(long, value_name = "UNIT")]
    unit: Vec<String>,
    /// Processes in this cgroup or below it: `/system.slice/x`, or its directory
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<String>,
    /// Processes of this container: its id, its first digits, its name, or `pod:NAME`
    #[arg(long, value_name = "NAME")]
    container: Vec<String>,
    /// Processes of this user: its name or number
    #[arg(long, value_name = "USER")]
    user: Vec<String>,
}

impl SelectorArgs {
    /// The selector of these options.
    ///
    /// # Errors
    /// One of them is empty or malformed, or there are too many.
    pub(in crate::cli) fn selector(&self) -> Result<Selector, Diagnostic> {
        let mut selector = Selector::default();
        for path in &self.exe {
            selector.add_exe(path)?;
        }
        for (kind, texts) in [
            (SelectorKind::Pid, &self.pid),
            (SelectorKind::Name, &self.name),
            (SelectorKind::Unit, &self.unit),
            (SelectorKind::Cgroup, &self.cgroup),
            (SelectorKind::Container, &self.container),
            (SelectorKind::User, &self.user),
        ] {
            for text in texts {
                selector.add(kind, text)?;
            }
        }
        Ok(selector)
    }
}

/// The processes that a session is for.
#[derive(ClapArgs, Debug, Default)]
pub(in crate::cli) struct TargetArgs {
    #[command(flatten)]
    pub(super) selectors: SelectorArgs,
    /// Only the processes that run already, none that start later
    #[arg(long)]
    now_only: bool,
    /// Wait for a process if none matches yet
    #[arg(long, conflicts_with = "now_only")]
    wait: bool,
}

impl TargetArgs {
    /// The selector of these options.
    ///
    /// # Errors
    /// As of [`SelectorArgs::selector`].
    pub(in crate::cli) fn selector(&self) -> Result<Selector, Diagnostic> {
        Ok(Selector {
            now_only: self.now_only,
            wait: self.wait,
            ..self.selectors.selector()?
        })
    }
}

/// A line `target …` in a file of probes.
#[derive(Parser, Debug)]
#[command(
    no_binary_name = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
struct TargetLineOptions {
    #[command(flatten)]
    target: TargetArgs,
}

/// The selector of a line `target …`, without its first word. Words are as in a shell.
///
/// # Errors
/// It has something else than options of targets, or none.
pub(in crate::cli) fn parse_target_line(options: &str) -> Result<Selector, Diagnostic> {
    let words = shlex::split(options)
        .ok_or_else(|| Diagnostic::new("a quote of the line `target` is not closed"))?;
    let line = TargetLineOptions::try_parse_from(words).map_err(|error| line_mistake(&error))?;
    let selector = line.target.selector()?;
    if selector.is_empty() {
        return Err(Diagnostic::new("the line `target` selects no process")
            .hint("write an option behind it, as in `target --unit nginx.service`"));
    }
    Ok(selector)
}

/// The mistake that clap found, on one line.
fn line_mistake(error: &clap::Error) -> Diagnostic {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(word) = context(ContextKind::InvalidArg)
    {
        let hint = match context(ContextKind::SuggestedArg) {
            Some(option) => format!("did you mean `{option}`?"),
            None => "the options are those of `tracer attach` that select processes, \
                     as in `target --unit nginx.service`"
                .to_owned(),
        };
        return Diagnostic::new(format!("the line `target` has no `{word}`")).hint(hint);
    }
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    Diagnostic::new(first.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_line_has_the_options_of_attach() {
        let selector = parse_target_line("--unit nginx.service --user 'www-data' --wait").unwrap();
        assert_eq!(selector.units, ["nginx.service"]);
        assert_eq!(selector.users, ["www-data"]);
        assert!(selector.wait && !selector.now_only);
        let exe = parse_target_line(r#"--exe "/opt/my app/app""#).unwrap();
        assert_eq!(exe.exes, [PathBuf::from("/opt/my app/app")]);
    }

    #[test]
    fn mistakes_of_a_target_line_are_told_on_one_line() {
        for (text, message) in [
            ("", "the line `target` selects no process"),
            ("--wait", "the line `target` selects no process"),
            ("--unti x", "the line `target` has no `--unti`"),
            ("nginx", "the line `target` has no `nginx`"),
            ("--help", "the line `target` has no `--help`"),
            ("--name 'x", "a quote of the line `target` is not closed"),
            ("--name ''", "the name is empty"),
            (
                "--unit a.target",
                "`a.target` has no processes, because it is a target",
            ),
        ] {
            let error = parse_target_line(text).unwrap_err();
            assert_eq!(error.message, message);
            assert!(!error.message.contains('\n'), "{error}");
        }
        let error = parse_target_line("--wait --now-only --pid 1").unwrap_err();
        assert!(error.message.contains("'--now-only'"), "{error}");
        let error = parse_target_line("--unti x").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `--unit`?"));
        assert!(
            parse_target_line("--name")
                .unwrap_err()
                .message
                .contains("--name")
        );
    }
}
