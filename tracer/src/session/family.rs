//! The processes that the target forks: each gets the probes, until it ends or executes another
//! program.
//!
//! The kernel tells of a new process before that runs its first instruction; the thread here
//! attaches the probes a moment later. What the process hits in between is not seen, and no counter
//! knows of it; of what it hits while they are being attached, some is. How long that was is measured, and told.
//!
//! Or the sites are in all processes that run the file, and the kernel side knows the family: then a
//! new process has the probes before its first instruction, and nothing is left for the thread but to
//! know who lives. The session lives as long as one of the family does.

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

use super::clock::monotonic_ns;
use super::shared::lock;
use super::wait::Stopper;
use super::{Forks, Session};
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
    /// They had them from their first instruction on; none is too short then.
    pub exact: bool,
    /// From their starts to when they had them; `None` while there is none, or nothing is unseen.
    pub unseen: Option<Unseen>,
}

/// How long processes ran before they had the probes, in ns of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Of the one that had them soonest.
    pub shortest_ns: u64,
    /// Of the one that had them latest.
    pub longest_ns: u64,
}

impl Unseen {
    /// The same with one process more.
    fn with(of_others: Option<Self>, ns: u64) -> Self {
        let others = of_others.unwrap_or(Self {
            shortest_ns: ns,
            longest_ns: ns,
        });
        Self {
            shortest_ns: others.shortest_ns.min(ns),
            longest_ns: others.longest_ns.max(ns),
        }
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shortest, longest) = (
            Milliseconds(self.shortest_ns),
            Milliseconds(self.longest_ns),
        );
        if shortest.to_string() == longest.to_string() {
            return write!(f, "{longest} ms");
        }
        write!(f, "{shortest} to {longest} ms")
    }
}

/// Nanoseconds as milliseconds, to two digits that count.
struct Milliseconds(u64);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = self.0.div_ceil(1_000);
        let (whole, rest) = (microseconds / 1_000, microseconds % 1_000);
        match whole {
            0 if rest < 100 => write!(f, "0.{rest:03}"),
            0 => write!(f, "0.{:02}", rest / 10),
            1..10 => write!(f, "{whole}.{}", rest / 100),
            _ => write!(f, "{whole}"),
        }
    }
}

impl fmt::Display for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64| if count == 1 { "process" } else { "processes" };
        let Self {
            followed,
            too_short,
            executed,
            missed,
            exact,
            unseen,
        } = *self;
        write!(
            f,
            "followed {followed} {} that the target forked",
            plural(followed)
        )?;
        if executed > 0 {
            write!(f, ", {executed} of them until another program was executed")?;
        }
        if exact {
            f.write_str(", each from its first instruction")?;
        }
        if let Some(unseen) = unseen {
            write!(
                f,
                "; what each did in its first {unseen} was not seen (`--follow-fork=exact` sees it, at a price: `--help`)"
            )?;
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
    exact: bool,
}

impl Prepared {
    /// Has forks of the target told from now on.
    pub(super) fn new(
        mut family: Family,
        pid: u32,
        pidfd: BorrowedFd<'_>,
        forks: Forks,
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
            exact: forks == Forks::Exact,
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
        let counts = Arc::new(Mutex::new(Followed {
            exact: self.exact,
            ..Followed::default()
        }));
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
            exact: self.exact,
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
    /// Processes have the probes without us.
    exact: bool,
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
                // It stays readable for ever.
                let _ = epoll::delete(&self.epoll, &self.target.1);
            }
            if let Some(process) = self.processes.remove(number) {
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
        let member = Member {
            process,
            initial: message.initial,
        };
        let Some(pidfd) = open(process).filter(|pidfd| !has_exited(pidfd)) else {
            if self.exact {
                // What it has begun is left behind.
                let mut machine = lock(&session.machine);
                if machine.follow(member).is_ok() {
                    machine.leave(&[process], true);
                }
                self.is_followed(session, message);
            } else {
                lock(&self.counts).too_short += 1;
            }
            return;
        };
        if let Some(pager) = session.shared.pager() {
            pager.forked(process);
        }
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
            let mut counts = lock(&self.counts);
            if has_exited(&pidfd) {
                counts.too_short += 1;
                return;
            }
            self.family.remove(process);
            counts.missed += 1;
            if counts.missed <= MAX_NAMED {
                session.warn(format!("process {process} cannot be followed: {error}"));
            }
            return;
        }
        self.next += 1;
        self.processes.insert(number, Process { process, pidfd });
        self.is_followed(session, message);
    }

    /// Counts a process that has the probes now, or had them, and tells of it.
    fn is_followed(&self, session: &Session, message: &FamilyMessage) {
        let unseen_ns = (!self.exact).then(|| monotonic_ns().saturating_sub(message.ktime_ns));
        let mut counts = lock(&self.counts);
        counts.followed += 1;
        if let Some(ns) = unseen_ns {
            counts.unseen = Some(Unseen::with(counts.unseen, ns));
        }
        if counts.followed <= MAX_NAMED {
            let (process, parent) = (message.process, message.parent);
            let unseen = unseen_ns.map_or_else(String::new, |ns| {
                format!("; its first {} ms were not seen", Milliseconds(ns))
            });
            let last = if counts.followed == MAX_NAMED {
                "; further ones are followed without a word"
            } else {
                ""
            };
            session.warn(format!(
                "process {process} is followed, forked by {parent}{unseen}{last}"
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
        if process == self.target.0 {
            // The others that execute, and those that exit, have left by themselves.
            let live = left.iter().filter(|one| !has_exited(&one.pidfd));
            live.for_each(|one| self.family.remove(one.process));
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
            exact: false,
            unseen: Some(Unseen {
                shortest_ns: 212_400,
                longest_ns: 1_960_000,
            }),
        };
        assert_eq!(
            followed.to_string(),
            "followed 12 processes that the target forked, 2 of them until another program was executed; \
             what each did in its first 0.21 to 1.9 ms was not seen (`--follow-fork=exact` sees it, at a price: `--help`); \
             3 more ended before the probes were there; 1 more could not be followed"
        );
        followed = Followed {
            followed: 2,
            exact: true,
            ..Followed::default()
        };
        assert_eq!(
            followed.to_string(),
            "followed 2 processes that the target forked, each from its first instruction"
        );
    }

    #[test]
    fn unseen_is_the_shortest_and_the_longest_of_all() {
        let all = [3_000_000, 41_000, 22_500_000];
        let unseen = all
            .iter()
            .fold(None, |seen, &ns| Some(Unseen::with(seen, ns)));
        let unseen = unseen.expect("some");
        assert_eq!(unseen.to_string(), "0.041 to 22 ms");
        assert_eq!(Unseen::with(None, 3_000_000).to_string(), "3.0 ms");
    }
}
