//! Lines for the user on what matched, and on what is waited for.

use std::fmt;

use super::facts::ProcessFacts;
use super::selector::{Selector, SelectorKind};
use crate::base::visible::Visible;

/// Processes that a line lists.
const LISTED: usize = 8;

/// `3 processes match --unit nginx.service: 4242 nginx, 4243 nginx, 4244 nginx`
#[derive(Clone, Copy, Debug)]
pub struct MatchReport<'s> {
    pub(super) selector: &'s Selector,
    pub(super) processes: &'s [ProcessFacts],
}

impl fmt::Display for MatchReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.processes.len() {
            0 => write!(f, "no process matches {}", self.selector)?,
            1 => write!(f, "1 process matches {}", self.selector)?,
            count => write!(f, "{count} processes match {}", self.selector)?,
        }
        let mut before = ": ";
        for process in self.processes.iter().take(LISTED) {
            write!(f, "{before}{} {}", process.pid, Visible(&process.name()))?;
            before = ", ";
        }
        match self.processes.len().checked_sub(LISTED) {
            Some(0) | None => Ok(()),
            Some(more) => write!(f, ", and {more} more"),
        }
    }
}

/// `waiting for a process that runs ./app`
#[derive(Clone, Copy, Debug)]
pub struct WaitReport<'s> {
    pub(super) selector: &'s Selector,
}

impl fmt::Display for WaitReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("waiting for a process")?;
        // In the order of a sentence.
        for (kind, words) in [
            (SelectorKind::Name, "named"),
            (SelectorKind::User, "of user"),
            (SelectorKind::Unit, "in unit"),
            (SelectorKind::Cgroup, "in cgroup"),
            (SelectorKind::Container, "in container"),
            (SelectorKind::Pid, "with pid"),
            (SelectorKind::Exe, "that runs"),
        ] {
            let texts = self.selector.texts(kind);
            for (index, text) in texts.iter().enumerate() {
                let before = if index == 0 { words } else { "or" };
                write!(f, " {before} {}", Visible(text))?;
            }
        }
        Ok(())
    }
}
