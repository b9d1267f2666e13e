//! `tracer mcp`: serves an assistant.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::aim_at;
use crate::base::visible::Visible;
use crate::cli::DONE;
use crate::cli::args::McpArgs;
use crate::cli::failure::CommandFailure;
use crate::cli::output::say;
use crate::cli::recordings::view::open;
use crate::cli::watchdog::Watchdog;
use crate::mcp::{AssistantPlan, AuditFile, HttpPlan, Sandbox, ServerWatch};
use crate::session::{Control, Session, SessionOptions};
use crate::value::redact::Redactor;

/// Runs the command.
pub(in crate::cli) fn run(args: McpArgs) -> Result<u8, CommandFailure> {
    let selector = args.target.selector()?;
    if selector.is_empty() {
        return Err(CommandFailure::new("no process is selected").hint(
            "select what the assistant may look into, by `--pid`, `--name`, `--exe`, `--unit`, `--cgroup`, `--container` or `--user`"
                .to_owned(),
        ));
    }
    for note in &args.notes {
        say!("note: {}", Visible(note));
    }
    let limits = &args.limits;
    let sandbox = Sandbox {
        ttl: limits.ttl,
        hits: limits.max_hits,
        rate: limits.max_rate,
        cpus: limits.max_cpu,
        probes: usize::try_from(limits.max_probes).unwrap_or(usize::MAX),
        redactor: Redactor::default().with(&limits.redact),
    };
    let recordings = args.recordings.iter().map(|path| open(path));
    let mut plan = AssistantPlan::new(sandbox, recordings.collect::<Result<_, _>>()?)?;
    plan.audit = args.audit.as_deref().map(audit).transpose()?;
    if let Some(address) = args.listen {
        plan.http = Some(HttpPlan::bind(address, args.token_file.as_deref())?);
    }
    let watchdog = Watchdog::listen()?;
    let options = plan.confine(SessionOptions {
        // This program, even if another file is at its path by now.
        pager: Some(PathBuf::from("/proc/self/exe")),
        debug: args.debug.options(),
        limits: args.values,
        ..SessionOptions::default()
    });
    let session = Session::begin(aim_at(&selector)?, &options)?;
    if let Some(http) = &plan.http {
        say!("{}", http.description());
    }
    session.installed();
    plan.serve(&session, options, &watchdog)?;
    Ok(DONE)
}

impl ServerWatch for Watchdog {
    fn begins(&self, control: &Arc<dyn Control>) {
        self.over(control, false);
    }

    fn set_detaching(&self, detaching: bool) {
        self.progress.set_detaching(detaching);
    }
}

fn audit(path: &Path) -> Result<AuditFile, CommandFailure> {
    AuditFile::open(path).map_err(|error| CommandFailure::cannot_write(path, &error))
}
