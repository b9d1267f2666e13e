//! Runs other programs: announced, checked, as root if needed.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::support::failure::{Failure, PRIVILEGE};

/// Runs a command to its end with our standard streams.
///
/// # Errors
/// The command could not be started, or did not end with exit code 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command
        .status()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("`{shown}` failed ({status})")).into())
    }
}

/// Runs a command to its end, and shows its output only if it failed.
///
/// # Errors
/// The command could not be started, or did not end with exit code 0.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let output = command
        .output()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if output.status.success() {
        return Ok(());
    }
    for written in [&output.stdout, &output.stderr] {
        eprint!("{}", String::from_utf8_lossy(written));
    }
    Err(Failure::new(format!("`{shown}` failed ({})", output.status)).into())
}

/// Runs a command to its end, and returns its stdout.
///
/// # Errors
/// The command could not be started, or did not end with exit code 0.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let shown = show(command);
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Failure::new(format!("`{shown}` failed ({})", output.status)).into())
    }
}

/// The command in the syntax of a shell, without its environment.
pub(crate) fn show(command: &Command) -> String {
    let name = command.get_program().to_string_lossy();
    let name = name.rsplit('/').next().unwrap_or(&name).to_owned();
    command
        .get_args()
        .map(OsStr::to_string_lossy)
        .fold(name, |shown, argument| {
            if argument.contains(char::is_whitespace) {
                format!("{shown} '{argument}'")
            } else {
                format!("{shown} {argument}")
            }
        })
}

/// Looks a program up in `PATH` and in the directories of system programs.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|file| {
            std::fs::metadata(file).is_ok_and(|metadata| {
                metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
            })
        })
}

/// Returns true if we are root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command that runs as root, through sudo if we are not root.
///
/// # Errors
/// We are not root, and sudo is missing or would have to ask for a password without a terminal.
pub(crate) fn as_root(program: impl AsRef<OsStr>, purpose: &str) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    let mut command = Command::new(sudo(purpose)?);
    if !std::io::stdin().is_terminal() {
        command.arg("-n");
    }
    command.arg("--").arg(program);
    Ok(command)
}

/// The sudo of [`as_root`].
fn sudo(purpose: &str) -> Result<PathBuf> {
    let refuse = |why: &str| {
        Failure::new(format!("{purpose} needs root, and {why}"))
            .hint("run the same command as root")
            .code(PRIVILEGE)
    };
    let sudo = find("sudo").ok_or_else(|| refuse("there is no `sudo`"))?;
    if !std::io::stdin().is_terminal() {
        let asked = Command::new(&sudo).args(["-n", "true"]).output();
        if !asked.is_ok_and(|output| output.status.success()) {
            return Err(refuse("`sudo` would have to ask for a password").into());
        }
    }
    Ok(sudo)
}
