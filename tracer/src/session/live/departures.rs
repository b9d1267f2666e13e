//! Targets that leave, stop, or run again, as notes to the user.
//!
//! A target leaves when it ends, or when it executes a program that does not match. A stopped target
//! stays one. Nothing tells that a process has stopped, so this looks at some targets now and then.

use std::time::{Duration, Instant};

use super::accounts::closed::TargetEnd;
use super::{ExecutableId, Live};
use crate::base::visible::Visible;
use crate::event::TargetId;
use crate::session::Notice;
use crate::session::locks::lock;
use crate::session::targets::Targets;
use crate::target::select::is_stopped;

/// Targets that are named when they leave or stop. Further ones leave and stop silently.
const MAX_NAMED: u64 = 16;

/// Between two looks for stopped targets.
const STOPPED_PAUSE: Duration = Duration::from_secs(2);

/// Targets that one look asks, some 20 µs for each. The next look asks the next ones.
const STOPPED_AT_A_TIME: usize = 64;

/// Why a process is not a target any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    Ended,
    /// It executed a program that does not match.
    Executed,
    /// It becomes another target at once.
    Rejoins,
}

/// A target that becomes another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejoining {
    /// The program that it ran.
    pub(super) executable: Option<ExecutableId>,
}

/// A target, its process id, and true if it is stopped now.
type StoppedChange = (TargetId, u32, bool);

/// Notes on targets so far, and the looks for them.
#[derive(Debug)]
pub(super) struct DepartureNotes {
    told: u64,
    looked: Instant,
    /// The last target that was asked.
    asked: Option<TargetId>,
    /// The one process of a session without a family is stopped.
    one_is_stopped: bool,
}

impl DepartureNotes {
    pub(super) fn new() -> Self {
        Self {
            told: 0,
            looked: Instant::now(),
            asked: None,
            one_is_stopped: false,
        }
    }
}

impl DepartureNotes {
    /// The next targets, as far as they have been stopped or resumed since the last look.
    fn changed(&mut self, targets: &mut Targets) -> Vec<StoppedChange> {
        let asked = targets.after(self.asked, STOPPED_AT_A_TIME);
        self.asked = asked.last().map(|one| one.id);
        let mut changed = Vec::new();
        for one in asked {
            if let Some(stopped) = is_stopped(one.pid)
                && targets.set_stopped(one.id, stopped)
            {
                changed.push((one.id, one.pid, stopped));
            }
        }
        changed
    }
}

impl Live {
    /// A target leaves. Returns it if the process goes on as another target.
    pub(super) fn leave(&mut self, id: TargetId, departure: Departure) -> Option<Rejoining> {
        let target = self.family.as_mut()?.targets.remove(id)?;
        // Its pid may be that of another process by now, which has not executed anything.
        let departure = match departure {
            Departure::Rejoins if target.has_exited() => Departure::Ended,
            departure => departure,
        };
        let pid = target.status.pid;
        if !target.is_chosen() {
            lock(&self.machine).leave(&[pid], true);
        }
        let end = match departure {
            Departure::Rejoins => TargetEnd::Executed,
            Departure::Ended | Departure::Executed => TargetEnd::Gone,
        };
        self.settle_accounts(pid, Some(id), end);
        self.shared.labels().left(pid);
        self.shared.tell(Notice::TargetLeft(target.status));
        if let Some(executable) = target.executable {
            self.replace_standing(executable, pid);
        }
        self.tell_departure(pid, departure);
        (departure == Departure::Rejoins).then_some(Rejoining {
            executable: target.executable,
        })
    }

    /// Tells that a process is not a target any more. The end of the last target is the end of the
    /// session, which is told anyway.
    pub(super) fn tell_departure(&mut self, pid: u32, departure: Departure) {
        match departure {
            Departure::Rejoins => {}
            Departure::Ended if self.is_family_gone() => {}
            Departure::Ended => self.tell_of_target(&format!("process {pid} has ended")),
            Departure::Executed => {
                let program = std::fs::read_link(format!("/proc/{pid}/exe"));
                let program = match program {
                    Ok(path) => format!("`{}`", Visible(&path.to_string_lossy())),
                    // It has ended since.
                    Err(_) => "another program".to_owned(),
                };
                self.tell_of_target(&format!(
                    "process {pid} executed {program}, and is not a target any more"
                ));
            }
        }
    }

    /// Looks for targets that have been stopped, or resumed.
    pub(super) fn look_for_stopped(&mut self) {
        let notes = &mut self.departures;
        if notes.looked.elapsed() < STOPPED_PAUSE {
            return;
        }
        notes.looked = Instant::now();
        let changed = match &mut self.family {
            Some(tracker) => notes.changed(&mut tracker.targets),
            None => self.one_changed(),
        };
        for (id, _, stopped) in &changed {
            self.shared.tell(Notice::TargetStopped {
                id: *id,
                stopped: *stopped,
            });
        }
        for (_, pid, stopped) in changed {
            let what = match stopped {
                true => "is stopped",
                false => "runs again",
            };
            self.tell_of_target(&format!("process {pid} {what}"));
        }
    }

    /// The one process of a session without a family, if it has been stopped or resumed since the last look.
    fn one_changed(&mut self) -> Vec<StoppedChange> {
        let mut targets = self.target_statuses();
        let Some(one) = targets.pop() else {
            return Vec::new();
        };
        let was_stopped = &mut self.departures.one_is_stopped;
        match is_stopped(one.pid) {
            Some(stopped) if std::mem::replace(was_stopped, stopped) != stopped => {
                vec![(one.id, one.pid, stopped)]
            }
            _ => Vec::new(),
        }
    }

    fn tell_of_target(&mut self, what: &str) {
        let notes = &mut self.departures;
        notes.told += 1;
        if notes.told > MAX_NAMED {
            return;
        }
        let last = if notes.told == MAX_NAMED {
            "; further processes end and stop silently"
        } else {
            ""
        };
        self.shared.note(format!("{what}{last}"));
    }
}
