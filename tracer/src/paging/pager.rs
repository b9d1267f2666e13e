//! The session's end: the thread that decides what is asked for, and the helper process's life.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{
    CapabilitySets, capabilities, configure_capability_in_ambient_set, set_capabilities,
};
use tracer_common::record::Miss;

use super::helper::{NAME, NEEDED};
use super::limits::{END_MS, WARMED_PAGES, WARMED_RANGES, WARMING_MS};
use super::recent::{ProcessPage, RecentPages};
use super::{BATCH, MemoryRange, PAGE, Request, WARMING};

/// Jobs that may wait; further ones are left out.
const JOBS: usize = 64;

/// What the thread is told.
enum Job {
    /// Hits have missed pages.
    Missed(Vec<Miss>),
    /// Probes will read this of a process.
    Warm {
        process: u32,
        ranges: Vec<MemoryRange>,
        done: SyncSender<()>,
    },
    /// A process was forked: what was warm is to be warm there, too.
    Forked(u32),
}

/// Brings pages in. Dropping it ends the helper process.
pub(crate) struct Pager {
    /// `None` at the end.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Pager {
    /// Starts the helper: a program that calls [`super::run`] first.
    ///
    /// # Errors
    /// No thread could be made.
    pub(crate) fn start(program: PathBuf) -> io::Result<Self> {
        let (jobs, told) = sync_channel(JOBS);
        // The helper dies with the thread that has started it.
        let thread = thread::Builder::new()
            .name("pager".into())
            .spawn(move || run(&program, &told))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Has pages brought in that were missed. Waits for nothing.
    pub(crate) fn missed(&self, misses: Vec<Miss>) {
        self.tell(Job::Missed(misses));
    }

    /// Has memory brought in that probes will read, and waits for it for a few milliseconds at most.
    pub(crate) fn warm(&self, process: u32, mut ranges: Vec<MemoryRange>) {
        ranges.truncate(WARMED_RANGES);
        let (done, is_done) = sync_channel(1);
        self.tell(Job::Warm {
            process,
            ranges,
            done,
        });
        // As far as it has come.
        let _ = is_done.recv_timeout(WARMING);
    }

    /// Has the same brought in for a process that was forked. Waits for nothing.
    pub(crate) fn forked(&self, process: u32) {
        self.tell(Job::Forked(process));
    }

    fn tell(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // Without room, or without a helper, pages stay away.
            let _ = jobs.try_send(job);
        }
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It waits for little, and for a bounded time.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Pager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pager").finish_non_exhaustive()
    }
}

fn run(program: &PathBuf, told: &Receiver<Job>) {
    let mut helper = match Helper::start(program) {
        Ok(helper) => helper,
        Err(error) => {
            tracing::debug!(%error, "pages that are not in memory are not brought in");
            return;
        }
    };
    let mut recent = RecentPages::new(Instant::now());
    let mut warmed: Vec<MemoryRange> = Vec::new();
    while let Ok(job) = told.recv() {
        let asked = match job {
            Job::Missed(misses) => {
                let now = Instant::now();
                let requests = misses
                    .iter()
                    .filter_map(|miss| request(miss, &mut recent, now));
                helper.ask(&requests.collect::<Vec<_>>())
            }
            Job::Warm {
                process,
                ranges,
                done,
            } => {
                let new = bounded(ranges, &warmed);
                warmed.extend(&new);
                let asked = helper.warm(process, &new, true);
                let _ = done.try_send(());
                asked
            }
            Job::Forked(process) => helper.warm(process, &warmed, false),
        };
        if let Err(error) = asked {
            tracing::debug!(%error, "pages that are not in memory are not brought in any more");
            break;
        }
    }
    helper.end();
}

/// What is asked for because of a miss: the pages of it that are due.
fn request(miss: &Miss, recent: &mut RecentPages, now: Instant) -> Option<Request> {
    let last = miss
        .address
        .checked_add(u64::from(miss.length.max(1)) - 1)?;
    let pages = miss.address / PAGE..=last / PAGE;
    let mut due = pages.filter(|&page| {
        let process = miss.process;
        recent.admit(ProcessPage { process, page }, now)
    });
    let first = due.next()?;
    let last = due.last().unwrap_or(first);
    Some(Request {
        address: first * PAGE,
        length: (last - first + 1) * PAGE,
        process: miss.process,
        ..Request::default()
    })
}

/// The ranges that are new, as far as they are not too much.
fn bounded(ranges: Vec<MemoryRange>, warmed: &[MemoryRange]) -> Vec<MemoryRange> {
    let mut room = WARMED_PAGES * PAGE;
    let mut new = Vec::new();
    for mut range in ranges {
        if warmed.contains(&range) || warmed.len() + new.len() >= WARMED_RANGES {
            continue;
        }
        range.length = range.length.min(room);
        room -= range.length;
        if range.length > 0 {
            new.push(range);
        }
    }
    new
}

/// The helper process.
struct Helper {
    child: Child,
    /// Requests; it does not wait for room.
    requests: File,
    answers: File,
    token: u64,
}

impl Helper {
    fn start(program: &PathBuf) -> io::Result<Self> {
        if let Err(error) = hand_down() {
            tracing::debug!(%error, "the helper process may lack capabilities");
        }
        let mut child = Command::new(program)
            .arg0(NAME)
            .arg(std::process::id().to_string())
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let ends = child.stdin.take().zip(child.stdout.take());
        let (requests, answers) = ends.ok_or(io::ErrorKind::BrokenPipe)?;
        let (requests, answers) = (OwnedFd::from(requests), OwnedFd::from(answers));
        fcntl_setfl(&requests, fcntl_getfl(&requests)? | OFlags::NONBLOCK)?;
        Ok(Self {
            child,
            requests: requests.into(),
            answers: answers.into(),
            token: 0,
        })
    }

    /// Sends requests; what finds no room, because the helper hangs, is left out.
    fn ask(&mut self, requests: &[Request]) -> io::Result<()> {
        for batch in requests.chunks(BATCH) {
            match self.requests.write(bytemuck::cast_slice(batch)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Asks for ranges, and waits for some milliseconds where that is wanted.
    fn warm(&mut self, process: u32, ranges: &[MemoryRange], wait: bool) -> io::Result<()> {
        let until = Instant::now() + WARMING;
        let Some((last, others)) = ranges.split_last() else {
            return Ok(());
        };
        let request = |range: &MemoryRange| Request {
            address: range.address,
            length: range.length,
            process,
            most_ms: u32::try_from(WARMING_MS).unwrap_or(u32::MAX),
            ..Request::default()
        };
        let mut requests: Vec<Request> = others.iter().map(request).collect();
        self.token += 1;
        requests.push(Request {
            token: if wait { self.token } else { 0 },
            ..request(last)
        });
        self.ask(&requests)?;
        while wait && self.is_answering(until)? {
            let mut token = [0; 8];
            self.answers.read_exact(&mut token)?;
            // Those that nobody waited for come before.
            if u64::from_ne_bytes(token) == self.token {
                break;
            }
        }
        Ok(())
    }

    /// Waits for an answer until then.
    fn is_answering(&self, until: Instant) -> io::Result<bool> {
        let left = until.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(&self.answers, PollFlags::IN)];
        Ok(poll(&mut fds, Some(&timespec(left)))? > 0)
    }

    /// Ends it. One that hangs in the kernel ends whenever the kernel lets it.
    fn end(mut self) {
        drop(self.requests);
        let pidfd = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let _ = self.child.kill();
        if let Some(pidfd) = pidfd {
            let mut fds = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
            let _ = poll(&mut fds, Some(&timespec(Duration::from_millis(END_MS))));
        }
        match self.child.try_wait() {
            Ok(Some(_)) => {}
            _ => tracing::debug!("the helper process hangs in the kernel, and is left there"),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// Has the helper, which this thread starts, keep the capabilities that it needs: where they come from
/// the program's file, they would not be handed down.
fn hand_down() -> rustix::io::Result<()> {
    let now = capabilities(None)?;
    let needed = now.permitted & NEEDED;
    set_capabilities(
        None,
        CapabilitySets {
            inheritable: now.inheritable | needed,
            ..now
        },
    )?;
    for capability in needed.iter() {
        configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}
