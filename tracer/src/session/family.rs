//! The processes that the target forks: each gets the probes, until it ends or executes another
//! program.
//!
//! The kernel tells of a new process before that runs its first instruction; the thread here
//! attaches the probes a moment later. What the process hits in between is not seen, and no counter
//! knows of it; of what it hits while they are being attached, some is. The session lives as long as one of the family does.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, Weak};
use std::thread;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tracer_common::forks::{EXECUTED, FORKED, FamilyMessage};

use super::Session;
use super::shared::lock;
use super::wait::Stopper;
use crate::causes::chain;
use crate::kernel::{Family, KernelError, Member};

/// Processes that are named when they come; further ones are only counted.
const MAX_NAMED: u64 = 16;
/// Events that are taken from the kernel at a time.
const MAX_EVENTS: usize = 64;

const STOP: u64 = 0;
const TARGET: u64 = 1;
const MESSAGES: u64 = 2;
/// Numbers of processes begin here.
const FIRST_PROCESS: u64 = 3;

/// What became of the processes that the target has forked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// They had the probes.
    pub followed: u64,
    /// They ended before they had them.
    pub too_short: u64,
    /// They executed another program, and had the probes no more.
    pub executed: u64,
    /// They never had them: too many at once, or the kernel refused.
    pub missed: u64,
}

impl fmt::Display for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64| if count == 1 { "process" } else { "processes" };
        let Self {
            followed,
            too_short,
            executed,
            missed,
        } = *self;
        write!(
            f,
            "followed {followed} {} that the target forked",
            plural(followed)
        )?;
        if executed > 0 {
            write!(f, ", {executed} of them until another program was executed")?;
        }
        if too_short > 0 {
            write!(f, "; {too_short} more ended before the probes were there")?;
        }
        if missed > 0 {
            write!(f, "; {missed} more could not be followed")?;
        }
        Ok(())
    }
}

/// The session's end of the thread that follows.
pub(super) struct Following {
    /// Ends the thread when it is dropped.
    stop: Stopper,
    counts: Arc<Mutex<Followed>>,
}

impl Following {
    /// What became of them so far.
    pub(super) fn counts(&self) -> Followed {
        *lock(&self.counts)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// What the thread works with, before there is a session.
pub(super) struct Prepared {
    family: Family,
    epoll: OwnedFd,
    target: (u32, OwnedFd),
    all_gone: Stopper,
}

impl Prepared {
    /// Has forks of the target told from now on.
    pub(super) fn new(
        mut family: Family,
        pid: u32,
        pidfd: BorrowedFd<'_>,
    ) -> Result<Self, KernelError> {
        family.begin(pid)?;
        let call = |source: io::Error| KernelError::Call {
            what: "wait for processes",
            source,
        };
        let target = pidfd.try_clone_to_owned().map_err(call)?;
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| call(error.into()))?;
        let watched = watch(&epoll, target.as_fd(), TARGET)
            .and_then(|()| watch(&epoll, family.as_fd(), MESSAGES));
        watched.map_err(call)?;
        Ok(Self {
            family,
            epoll,
            target: (pid, target),
            all_gone: Stopper::new().map_err(call)?,
        })
    }

    /// Readable when the last process of the family has exited.
    pub(super) fn all_gone(&self) -> BorrowedFd<'_> {
        self.all_gone.as_fd()
    }

    /// Starts the thread. It holds no session alive, and ends with it.
    pub(super) fn start(self, session: Weak<Session>) -> io::Result<Following> {
        let stop = Stopper::new()?;
        watch(&self.epoll, stop.as_fd(), STOP)?;
        let counts = Arc::new(Mutex::default());
        let mut follower = Follower {
            session,
            stop: stop.as_fd().try_clone_to_owned()?,
            family: self.family,
            epoll: self.epoll,
            target: self.target,
            target_lives: true,
            all_gone: self.all_gone,
            processes: BTreeMap::new(),
            next: FIRST_PROCESS,
            missed: 0,
            counts: Arc::clone(&counts),
        };
        thread::Builder::new()
            .name("follower".into())
            .spawn(move || while follower.turn() {})?;
        Ok(Following { stop, counts })
    }
}

fn watch(epoll: &OwnedFd, fd: BorrowedFd<'_>, number: u64) -> io::Result<()> {
    let data = epoll::EventData::new_u64(number);
    Ok(epoll::add(epoll, fd, data, epoll::EventFlags::IN)?)
}

/// A process that is followed.
struct Process {
    process: u32,
    /// Readable when it has exited.
    #[expect(dead_code, reason = "held to be dropped")]
    pidfd: OwnedFd,
}

/// The thread that follows.
struct Follower {
    session: Weak<Session>,
    /// Open for as long as `epoll` names it.
    #[expect(dead_code, reason = "held to be dropped")]
    stop: OwnedFd,
    family: Family,
    epoll: OwnedFd,
    target: (u32, OwnedFd),
    target_lives: bool,
    all_gone: Stopper,
    processes: BTreeMap<u64, Process>,
    next: u64,
    /// That the kernel has counted so far.
    missed: u64,
    counts: Arc<Mutex<Followed>>,
}

impl Follower {
    /// Waits for something and does it; false when the session is over.
    fn turn(&mut self) -> bool {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(MAX_EVENTS);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "processes are not followed any more");
                return false;
            }
        }
        let numbers: Vec<u64> = events.iter().map(|event| event.data.u64()).collect();
        if numbers.contains(&STOP) {
            return false;
        }
        let Some(session) = self.session.upgrade() else {
            return false;
        };
        // Before the ends: who has ended may have forked.
        self.take_messages(&session);
        self.take_ends(&session, &numbers);
        if !self.target_lives && self.processes.is_empty() {
            // Nobody is left who could fork, so these are the last.
            while self.take_messages(&session) {}
            if self.processes.is_empty() {
                self.all_gone.stop();
            }
        }
        true
    }

    /// Follows who was forked, and leaves who executes another program; true when there were any.
    fn take_messages(&mut self, session: &Session) -> bool {
        let messages = self.family.messages();
        for message in &messages {
            match message.kind {
                FORKED => self.forked(session, message),
                EXECUTED => self.executed(session, message.process),
                _ => {}
            }
        }
        let missed = self.family.missed();
        lock(&self.counts).missed += missed.saturating_sub(self.missed);
        self.missed = missed;
        !messages.is_empty()
    }

    fn take_ends(&mut self, session: &Session, numbers: &[u64]) {
        let mut gone = Vec::new();
        for number in numbers {
            if *number == TARGET {
                self.target_lives = false;
                self.family.remove(self.target.0);
                // It stays readable for ever.
                let _ = epoll::delete(&self.epoll, &self.target.1);
            }
            if let Some(process) = self.processes.remove(number) {
                self.family.remove(process.process);
                gone.push(process.process);
            }
        }
        if !gone.is_empty() {
            lock(&session.machine).leave(&gone, true);
        }
    }

    fn forked(&mut self, session: &Session, message: &FamilyMessage) {
        let process = message.process;
        // An earlier process of that number has ended, although its end was not looked at yet.
        let earlier = self
            .processes
            .iter()
            .find(|(_, one)| one.process == process);
        if let Some(number) = earlier.map(|(number, _)| *number) {
            self.take_ends(session, &[number]);
        }
        let Some(pidfd) = open(process).filter(|pidfd| !has_exited(pidfd)) else {
            self.family.remove(process);
            lock(&self.counts).too_short += 1;
            return;
        };
        let member = Member {
            process,
            initial: message.initial,
        };
        let followed = lock(&session.machine)
            .follow(member)
            .map_err(|error| chain(&error));
        let number = self.next;
        let followed = followed.and_then(|()| {
            watch(&self.epoll, pidfd.as_fd(), number).map_err(|error| {
                lock(&session.machine).leave(&[process], true);
                error.to_string()
            })
        });
        if let Err(error) = followed {
            self.family.remove(process);
            let mut counts = lock(&self.counts);
            if has_exited(&pidfd) {
                counts.too_short += 1;
                return;
            }
            counts.missed += 1;
            if counts.missed <= MAX_NAMED {
                session.warn(format!("process {process} cannot be followed: {error}"));
            }
            return;
        }
        self.next += 1;
        self.processes.insert(number, Process { process, pidfd });
        let mut counts = lock(&self.counts);
        counts.followed += 1;
        if counts.followed <= MAX_NAMED {
            let parent = message.parent;
            let last = if counts.followed == MAX_NAMED {
                "; further ones are followed without a word"
            } else {
                ""
            };
            session.warn(format!(
                "process {process} is followed, forked by {parent}{last}"
            ));
        }
    }

    fn executed(&mut self, session: &Session, process: u32) {
        let left: Vec<u64> = if process == self.target.0 {
            // What they run is not the program any more that new probes are for.
            self.processes.keys().copied().collect()
        } else {
            let is_it =
                |(number, one): (&u64, &Process)| (one.process == process).then_some(*number);
            self.processes.iter().find_map(is_it).into_iter().collect()
        };
        let left: Vec<Process> = left
            .iter()
            .filter_map(|number| self.processes.remove(number))
            .collect();
        if left.is_empty() {
            return;
        }
        let processes: Vec<u32> = left.iter().map(|one| one.process).collect();
        for one in &left {
            self.family.remove(one.process);
        }
        lock(&session.machine).leave(&processes, false);
        if process == self.target.0 {
            session.warn(format!(
                "{} of the program before are not followed any more",
                if left.len() == 1 {
                    "a process".to_owned()
                } else {
                    format!("{} processes", left.len())
                }
            ));
        } else {
            lock(&self.counts).executed += 1;
        }
    }
}

/// Takes hold of a process; `None`: it is gone.
fn open(process: u32) -> Option<OwnedFd> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

fn has_exited(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followed_says_only_what_happened() {
        let mut followed = Followed {
            followed: 1,
            ..Followed::default()
        };
        assert_eq!(
            followed.to_string(),
            "followed 1 process that the target forked"
        );
        followed = Followed {
            followed: 12,
            too_short: 3,
            executed: 2,
            missed: 1,
        };
        assert_eq!(
            followed.to_string(),
            "followed 12 processes that the target forked, 2 of them until another program was executed; \
             3 more ended before the probes were there; 1 more could not be followed"
        );
    }
}
