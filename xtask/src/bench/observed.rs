//! The interface of observers, and observers that are separate processes: start, output, interrupt.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::pointer::Running;
use crate::support::failure::Failure;
use crate::support::workspace;

/// Longest time for an observer to end, or to write its events.
const PATIENCE: Duration = Duration::from_secs(60);
/// Output that has not grown for this time is complete.
const QUIET: Duration = Duration::from_millis(60);
/// Time between two looks at an output.
const LOOK: Duration = Duration::from_millis(10);
/// Time between two looks for a line whose time is measured.
const LINE_LOOK: Duration = Duration::from_micros(300);
/// Prefix of tracer's line when its probes are attached.
const ATTACHED: &str = "tracing ";
/// Prefix of the record that tracer writes before all events.
const SESSION: &[u8] = br#"{"type":"session""#;
/// Longest first line, in bytes.
const MAX_LINE: u64 = 64 << 10;
/// Time between two looks whether a process has ended.
const END_LOOK: Duration = Duration::from_micros(500);

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) instant: Instant,
    pub(super) wall: SystemTime,
}

/// Number of runs of eBPF programs, and their total time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RunTime {
    pub(super) runs: u64,
    pub(super) ns: u64,
}

impl RunTime {
    /// Time per run since an earlier reading. `None` if there was no run.
    pub(super) fn ns_each_since(self, earlier: Self) -> Option<f64> {
        let runs = self.runs.checked_sub(earlier.runs)?;
        let ns = self.ns.checked_sub(earlier.ns)?;
        (runs > 0).then(|| ns as f64 / runs as f64)
    }
}

/// A tool that is attached.
pub(super) trait Observer {
    /// Fails if the tool has ended.
    fn check_runs(&mut self) -> Result<()>;
    /// CPU time of the reading process so far.
    fn cpu(&self) -> Option<Duration>;
    /// Run time of its eBPF programs so far, while statistics are on.
    fn run_time(&self) -> Option<RunTime>;
    /// Waits until it has written all events.
    fn settle(&mut self) -> Result<()>;
    /// Ends the tool.
    fn stop(self: Box<Self>) -> Result<EventCounts>;
}

/// The totals of a tool at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EventCounts {
    /// Events that it wrote, or hits that it counted.
    pub(super) delivered: Option<u64>,
    /// Events that it reports as lost.
    pub(super) lost: Option<u64>,
}

/// A process with its output in temporary files.
pub(super) struct Observed {
    process: Running,
    started: Instant,
    out: Scratch,
    said: Scratch,
}

impl Observed {
    /// Starts the process.
    ///
    /// # Errors
    /// The program is missing.
    pub(super) fn spawn(command: &mut Command) -> Result<Self> {
        let out = Scratch::new("out")?;
        let stdout = Stdio::from(out.create()?);
        Self::spawn_to(command, out, stdout)
    }

    /// Starts the process, and throws its output away: of minutes, it would fill the memory.
    ///
    /// # Errors
    /// The program is missing.
    pub(super) fn spawn_without_output(command: &mut Command) -> Result<Self> {
        Self::spawn_to(command, Scratch::new("out")?, Stdio::null())
    }

    fn spawn_to(command: &mut Command, out: Scratch, stdout: Stdio) -> Result<Self> {
        let said = Scratch::new("said")?;
        let name = Path::new(command.get_program())
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(said.create()?);
        let started = Instant::now();
        let process = command
            .spawn()
            .with_context(|| format!("cannot start `{name}`"))?;
        Ok(Self {
            process: Running(process),
            started,
            out,
            said,
        })
    }

    /// Start of the process.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Fails if the process has ended. The error contains its messages.
    ///
    /// # Errors
    /// The process has ended.
    pub(super) fn check_runs(&mut self) -> Result<()> {
        match self.process.0.try_wait().context("cannot wait")? {
            None => Ok(()),
            Some(status) => {
                let said = std::fs::read_to_string(&self.said.0).unwrap_or_default();
                let line = said.lines().find(|line| !line.trim().is_empty());
                let line = line.unwrap_or("it said nothing").trim();
                Err(Failure::new(format!("it ended early ({status}): {line}")).into())
            }
        }
    }

    /// Waits until tracer reports that its probes are attached.
    ///
    /// # Errors
    /// The process ends, or does not report it.
    pub(super) fn wait_attached(&mut self) -> Result<Instant> {
        self.wait_in(|this| &this.said.0, |line| line.starts_with(ATTACHED))
    }

    /// Waits for the first complete line of its output.
    ///
    /// # Errors
    /// The process ended, or stays silent.
    pub(super) fn wait_line(&mut self) -> Result<(String, When)> {
        self.wait_for_line(|this| &this.out.0)
    }

    /// Waits for a complete line near the start of its output that is wanted.
    ///
    /// # Errors
    /// The process ended, or does not write such a line.
    pub(super) fn wait_wanted(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Instant> {
        self.wait_in(|this| &this.out.0, wanted)
    }

    /// Waits for a complete line near the start of a file that is wanted.
    fn wait_in(
        &mut self,
        file: fn(&Self) -> &Path,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Instant> {
        let started = Instant::now();
        loop {
            let mut text = Vec::new();
            let file = File::open(file(self)).context("cannot read an output")?;
            file.take(MAX_LINE).read_to_end(&mut text)?;
            let now = Instant::now();
            let text = String::from_utf8_lossy(&text);
            let mut whole = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            if whole.any(|line| wanted(line.trim_end())) {
                return Ok(now);
            }
            self.check_runs()?;
            if started.elapsed() > PATIENCE {
                return Err(Failure::new("it did not write the awaited line").into());
            }
            std::thread::sleep(LINE_LOOK);
        }
    }

    fn wait_for_line(&mut self, file: fn(&Self) -> &Path) -> Result<(String, When)> {
        let started = Instant::now();
        loop {
            let text = first_line(file(self))?;
            let when = When {
                instant: Instant::now(),
                wall: SystemTime::now(),
            };
            if let Some(line) = text {
                return Ok((line, when));
            }
            self.check_runs()?;
            if started.elapsed() > PATIENCE {
                return Err(Failure::new("it said nothing").into());
            }
            std::thread::sleep(LINE_LOOK);
        }
    }

    /// CPU time of all its threads so far.
    pub(super) fn cpu(&self) -> Option<Duration> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).ok()?;
        let mut total = 0;
        for task in tasks {
            total += cpu_ns_of(&task.ok()?.path().join("schedstat"))?;
        }
        Some(Duration::from_nanos(total))
    }

    /// Peak memory, in megabytes (10⁶ bytes).
    pub(super) fn peak_rss_mb(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        parse_peak(&status)
    }

    /// Runs of all eBPF programs that it has open, while statistics are on.
    pub(super) fn run_time(&self) -> Option<RunTime> {
        run_time_of(&self.pid().to_string())
    }

    /// Waits until its output stops growing.
    pub(super) fn settle(&mut self) -> Result<()> {
        let (started, mut grew, mut size) = (Instant::now(), Instant::now(), None);
        while grew.elapsed() < QUIET && started.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
            let now = std::fs::metadata(&self.out.0).ok().map(|file| file.len());
            if now != size {
                (size, grew) = (now, Instant::now());
            }
        }
        self.check_runs()
    }

    /// Its output so far, line by line.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn for_each_line(&self, line: impl FnMut(&str)) -> Result<()> {
        for_each_line(&self.out.0, line)
    }

    /// Interrupts it like Ctrl-C, and waits for its end.
    ///
    /// # Errors
    /// The process does not end, and is killed.
    pub(super) fn interrupt(mut self) -> Result<EndedObserver> {
        let interrupted = Instant::now();
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::INT).context("cannot interrupt an observer")?;
        }
        while self
            .process
            .0
            .try_wait()
            .context("cannot wait for an observer")?
            .is_none()
        {
            if interrupted.elapsed() > PATIENCE {
                return Err(Failure::new("it did not end when interrupted").into());
            }
            std::thread::sleep(END_LOOK);
        }
        Ok(EndedObserver {
            took: interrupted.elapsed(),
            out: self.out,
            said: self.said,
        })
    }
}

/// Results of a process that has ended.
pub(super) struct EndedObserver {
    /// Time from the interrupt to the end.
    pub(super) took: Duration,
    out: Scratch,
    said: Scratch,
}

impl EndedObserver {
    /// Its output, line by line.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn for_each_line(&self, line: impl FnMut(&str)) -> Result<()> {
        for_each_line(&self.out.0, line)
    }

    /// Its messages on stderr, line by line.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn for_each_said(&self, line: impl FnMut(&str)) -> Result<()> {
        for_each_line(&self.said.0, line)
    }
}

/// The first line of a file once it is complete, except tracer's record of the session.
fn first_line(path: &Path) -> Result<Option<String>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut bytes = Vec::new();
    let mut reader = BufReader::new(file.take(MAX_LINE));
    reader.read_until(b'\n', &mut bytes)?;
    if bytes.starts_with(SESSION) {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes)?;
    }
    Ok(bytes
        .strip_suffix(b"\n")
        .map(|line| String::from_utf8_lossy(line).into_owned()))
}

fn for_each_line(path: &Path, mut line: impl FnMut(&str)) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        line(String::from_utf8_lossy(&bytes).trim_end());
        bytes.clear();
    }
    Ok(())
}

/// A temporary file, in memory if possible.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Creates a unique name.
    ///
    /// # Errors
    /// There is no directory for it.
    pub(super) fn new(name: &str) -> Result<Self> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() {
            memory.to_owned()
        } else {
            let directory = workspace::target().join("bench");
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
            directory
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        Ok(Self(
            directory.join(format!("tracer-bench-{pid}-{number}-{name}")),
        ))
    }

    /// Creates the file, empty.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn create(&self) -> Result<File> {
        File::create(&self.0).with_context(|| format!("cannot write {}", self.0.display()))
    }

    /// Path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The file may not exist.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs of the eBPF programs that a process (a pid, or `self`) has open.
pub(super) fn run_time_of(process: &str) -> Option<RunTime> {
    let mut programs = std::collections::BTreeMap::new();
    for file in std::fs::read_dir(format!("/proc/{process}/fdinfo")).ok()? {
        // A descriptor that is closed in the meantime is not relevant.
        let Ok(text) = std::fs::read_to_string(file.ok()?.path()) else {
            continue;
        };
        if let Some((id, time)) = parse_fdinfo(&text) {
            programs.insert(id, time);
        }
    }
    (!programs.is_empty()).then(|| {
        programs
            .values()
            .fold(RunTime::default(), |sum, time| RunTime {
                runs: sum.runs + time.runs,
                ns: sum.ns + time.ns,
            })
    })
}

/// The kernel's information about a descriptor of an eBPF program.
fn parse_fdinfo(text: &str) -> Option<(u64, RunTime)> {
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.strip_prefix(':')?.trim().parse().ok()
    };
    let time = RunTime {
        runs: number("run_cnt")?,
        ns: number("run_time_ns")?,
    };
    Some((number("prog_id")?, time))
}

/// CPU time of a thread, in nanoseconds, from its `schedstat`.
fn cpu_ns_of(schedstat: &Path) -> Option<u64> {
    parse_schedstat(&std::fs::read_to_string(schedstat).ok()?)
}

/// The first number is the time on a CPU, in nanoseconds.
fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

fn parse_peak(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptor_of_a_program_has_its_run_time() {
        let text = "pos:\t0\nflags:\t02000002\nprog_type:\t2\nprog_id:\t33\n\
                    run_time_ns:\t5100\nrun_cnt:\t30\nrecursion_misses:\t0\n";
        let time = RunTime { runs: 30, ns: 5100 };
        assert_eq!(parse_fdinfo(text), Some((33, time)));
        assert_eq!(time.ns_each_since(RunTime::default()), Some(170.0));
        assert_eq!(time.ns_each_since(time), None);
    }

    #[test]
    fn descriptor_of_a_link_has_none() {
        assert_eq!(parse_fdinfo("link_id:\t4\nprog_id:\t33\n"), None);
    }

    #[test]
    fn status_has_the_peak_in_megabytes() {
        assert_eq!(
            parse_peak("VmPeak:\t 9 kB\nVmHWM:\t  1000 kB\n"),
            Some(1.024)
        );
        assert_eq!(parse_peak("VmPeak:\t 9 kB\n"), None);
    }

    #[test]
    fn schedstat_has_the_time_first() {
        assert_eq!(parse_schedstat("6591282 12 1\n"), Some(6_591_282));
    }

    #[test]
    fn interrupted_process_leaves_its_lines_and_no_file() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo one; echo two; echo talk >&2; exec sleep 60"]);
        let mut process = Observed::spawn(&mut shell).unwrap();
        let out = process.out.0.clone();
        while !std::fs::read_to_string(&out).unwrap().contains("two") {
            process.check_runs().unwrap();
            std::thread::sleep(LOOK);
        }
        let ended = process.interrupt().unwrap();
        let (mut lines, mut said) = (Vec::new(), Vec::new());
        ended
            .for_each_line(|line| lines.push(line.to_owned()))
            .unwrap();
        ended
            .for_each_said(|line| said.push(line.to_owned()))
            .unwrap();
        assert_eq!(
            (lines, said),
            (vec!["one".into(), "two".into()], vec!["talk".to_owned()])
        );
        drop(ended);
        assert!(!out.exists());
    }

    #[test]
    fn process_that_ended_early_says_why() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo no probe >&2; exit 2"]);
        let mut process = Observed::spawn(&mut shell).unwrap();
        let error = loop {
            if let Err(error) = process.check_runs() {
                break error.to_string();
            }
            std::thread::sleep(LOOK);
        };
        assert!(error.ends_with(": no probe"), "{error}");
    }
}
