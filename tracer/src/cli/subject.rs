//! Shared parts of the commands over processes: their choice, the options of a session, and the report
//! of several failures.

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::args::{Attach, SiteArg, TraceArgs};
use super::failure::CommandFailure;
use super::output::{Colours, say, tell};
use super::{BAD_INPUT, INTERRUPTED};
use crate::base::signals::Signals;
use crate::base::visible::Visible;
use crate::session::{SessionOptions, SiteChoice};
use crate::target::process_by_name;
use crate::target::select::{ProcessFacts, Selection, Selector};
use crate::value::redact::Redactor;

/// Between two looks whether a process that is waited for runs. Nothing tells of it.
const WAITING_LOOK: Duration = Duration::from_millis(50);

/// The session's options from the command line.
pub(super) fn options(args: &TraceArgs) -> SessionOptions {
    SessionOptions {
        // This program, even if another file is at its path by now.
        pager: Some(PathBuf::from("/proc/self/exe")),
        ring_bytes: args.limits.ring_bytes.unwrap_or(0),
        buffer_bytes: args.limits.buffer_size.unwrap_or(0),
        perf_events: args.perf_events,
        usdt_semaphores: args.usdt_semaphores,
        forks: args.forks(),
        site: match args.site {
            SiteArg::Cheapest => SiteChoice::Cheapest,
            SiteArg::First => SiteChoice::First,
        },
        debug: args.debug.options(),
        limits: args.limits.of_values(),
        max_cpu: args.limits.cpus(),
        redactor: if args.no_redact {
            Redactor::nothing()
        } else {
            Redactor::default().with(&args.redact)
        },
        ..SessionOptions::default()
    }
}

/// A pid, or the one process of that name.
pub(super) fn subject_pid(named: &str) -> Result<u32, CommandFailure> {
    match named.parse() {
        Ok(pid) => Ok(pid),
        Err(_) => Ok(process_by_name(named)?),
    }
}

/// The processes that the command line selects, or those of the files of probes if it selects none.
pub(super) fn selector(args: &Attach, of_files: &Selector) -> Result<Selector, CommandFailure> {
    let selector = args.selector()?;
    if !selector.is_empty() {
        return Ok(selector);
    }
    Ok(Selector {
        now_only: selector.now_only || of_files.now_only,
        wait: selector.wait || of_files.wait,
        ..of_files.clone()
    })
}

/// The selected processes that run now.
///
/// # Errors
/// None does, or the selector cannot be looked up.
pub(super) fn matched(selection: &Selection) -> Result<Vec<ProcessFacts>, CommandFailure> {
    let found = selection.scan()?;
    if found.is_empty() {
        return Err(selection.nothing_matches().into());
    }
    Ok(found)
}

/// The selected processes, once there is one.
///
/// # Errors
/// None runs and the selector does not wait, or it cannot be looked up, or a signal ends the wait.
pub(super) fn awaited(selection: &mut Selection) -> Result<Vec<ProcessFacts>, CommandFailure> {
    if !selection.selector().wait {
        return matched(selection);
    }
    let mut found = selection.look()?;
    if !found.is_empty() {
        return Ok(found);
    }
    // The list of processes leaves no default action of signals behind.
    let (sender, interrupted) = channel();
    let _signals = Signals::listen(move |_| sender.send(()).is_ok())
        .map_err(|error| CommandFailure::new(format!("cannot wait for signals: {error}")))?;
    say!("{}", selection.waiting());
    while found.is_empty() {
        if interrupted.recv_timeout(WAITING_LOOK) != Err(RecvTimeoutError::Timeout) {
            return Err(CommandFailure::told(INTERRUPTED));
        }
        selection.refresh();
        found = selection.look()?;
    }
    Ok(found)
}

/// Waits until one of the selected programs is there, if none is and the selector waits.
///
/// # Errors
/// A file is not a program, or a signal ends the wait.
pub(super) fn await_program(selection: &mut Selection) -> Result<(), CommandFailure> {
    let selector = selection.selector();
    if !selector.wait || selector.exes.is_empty() || !selection.files().is_empty() {
        return Ok(());
    }
    let (sender, interrupted) = channel();
    let _signals = Signals::listen(move |_| sender.send(()).is_ok())
        .map_err(|error| CommandFailure::new(format!("cannot wait for signals: {error}")))?;
    for path in selection.paths() {
        let path = path.to_string_lossy();
        say!("waiting for `{}`, which does not exist yet", Visible(&path));
    }
    loop {
        selection.look()?;
        selection.refresh_files();
        if let Some(path) = selection.ready_program()? {
            let path = path.to_string_lossy();
            say!(
                "note: `{}` exists now, and gets the probes; processes that have run it and ended before were not seen",
                Visible(&path)
            );
            return Ok(());
        }
        if interrupted.recv_timeout(WAITING_LOOK) != Err(RecvTimeoutError::Timeout) {
            return Err(CommandFailure::told(INTERRUPTED));
        }
    }
}

/// Reports all failures but the last, which is for the caller to report.
pub(super) fn report_all(mut failures: Vec<CommandFailure>, colours: Colours) -> CommandFailure {
    let last = failures.pop();
    for failure in failures {
        tell(&failure.render(colours.stderr));
    }
    last.unwrap_or_else(|| CommandFailure::told(BAD_INPUT))
}
