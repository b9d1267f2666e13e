//! The session's side of the helper: the thread that decides which pages to request, and the life
//! of the helper process.

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

/// Maximum number of waiting jobs. Further jobs are dropped.
const JOBS: usize = 64;

/// Jobs of the thread.
enum Job {
    /// Hits have missed these pages.
    Missed(Vec<Miss>),
    /// Probes will read these ranges of a process.
    Warm {
        process: u32,
        ranges: Vec<MemoryRange>,
        done: SyncSender<()>,
    },
    /// A process was forked. The same ranges are fetched there.
    Forked(u32),
}

/// Fetches pages. Dropping it ends the helper process.
pub(crate) struct Pager {
    /// Queue of jobs; `None` at the end.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Pager {
    /// Starts the helper, a program that must call [`super::run`] first.
    ///
    /// # Errors
    /// Fails if the thread could not be created.
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

    /// Requests pages that hits have missed. Does not wait.
    pub(crate) fn missed(&self, misses: Vec<Miss>) {
        self.tell(Job::Missed(misses));
    }

    /// Requests ranges that probes will read, and waits for them a few milliseconds at most.
    pub(crate) fn warm(&self, process: u32, mut ranges: Vec<MemoryRange>) {
        ranges.truncate(WARMED_RANGES);
        let (done, is_done) = sync_channel(1);
        self.tell(Job::Warm {
            process,
            ranges,
            done,
        });
        // The ranges fetched so far are enough.
        let _ = is_done.recv_timeout(WARMING);
    }

    /// Requests the same ranges for a forked process. Does not wait.
    pub(crate) fn forked(&self, process: u32) {
        self.tell(Job::Forked(process));
    }

    fn tell(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // If there is no room or no helper, the pages stay out of memory.
            let _ = jobs.try_send(job);
        }
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // The thread only waits for bounded times.
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

/// Returns the pages of a miss that are due.
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

/// Returns the new ranges, up to the limit.
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
    /// Pipe of requests, which never blocks.
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

    /// Sends requests. If the pipe is full because the helper hangs, they are dropped.
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

    /// Requests ranges, and waits a few milliseconds for them if asked to.
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
            // Answers to earlier requests, for which nobody waited, come first.
            if u64::from_ne_bytes(token) == self.token {
                break;
            }
        }
        Ok(())
    }

    /// Waits for an answer until the deadline.
    fn is_answering(&self, until: Instant) -> io::Result<bool> {
        let left = until.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(&self.answers, PollFlags::IN)];
        Ok(poll(&mut fds, Some(&timespec(left)))? > 0)
    }

    /// Ends the helper. A helper that hangs in the kernel ends as soon as the kernel lets it.
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

/// Lets the helper keep the capabilities that it needs. Capabilities from the program's file would
/// not be inherited.
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
