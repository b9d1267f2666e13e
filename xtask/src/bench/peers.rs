//! Other tracers, if they are installed.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};

use super::observed::{EndedObserver, EventCounts, Observed, Observer, RunTime, Scratch};
use super::report::{SiteKind, StartTimes, Tool, Workload};
use super::target::{Hitter, function};
use crate::support::command::{find, output, run as run_command};
use crate::support::failure::Failure;

/// The kernel's list of probes, which `perf probe` needs.
const TRACEFS: &str = "/sys/kernel/tracing";
/// Longest time for perf to start.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks at a pipe.
const LOOK: Duration = Duration::from_millis(1);
/// Name of our probes in the kernel's list.
const GROUP: &str = "tracer_bench";

/// Starts a peer on the hitting program.
///
/// # Errors
/// The peer is not installed, or does not support this.
pub(super) fn start(
    tool: Tool,
    what: Workload,
    hitter: &Hitter,
    site: SiteKind,
) -> Result<Box<dyn Observer>> {
    Ok(match tool {
        Tool::Bpftrace => Box::new(bpftrace(what, hitter, site)?),
        Tool::Perf => Box::new(Perf::start(hitter, site)?),
        Tool::Gdb => Box::new(gdb(hitter, site)?),
        _ => return Err(Failure::new("that is no peer").into()),
    })
}

/// Starts a peer on the hitting program while it hits, waits for the first event, and interrupts
/// the peer.
///
/// # Errors
/// The peer is not installed, or shows no event.
pub(super) fn once(tool: Tool, hitter: &Hitter) -> Result<StartTimes> {
    let started = Instant::now();
    let (mut process, perf) = match tool {
        Tool::Bpftrace => (
            bpftrace(Workload::Log2, hitter, SiteKind::OneTrap)?.process,
            None,
        ),
        Tool::Gdb => (gdb(hitter, SiteKind::OneTrap)?.process, None),
        Tool::Perf => {
            let Perf {
                process,
                data,
                _probe: probe,
            } = Perf::start(hitter, SiteKind::OneTrap)?;
            (process, Some((data, probe)))
        }
        _ => return Err(Failure::new("that is no peer").into()),
    };
    let mut first = match perf {
        Some(_) => started.elapsed(),
        None => process.wait_wanted(is_pair)?.duration_since(started),
    };
    let peak_rss_mb = process
        .peak_rss_mb()
        .ok_or_else(|| Failure::new("the kernel does not say how much memory was used"))?;
    let exit = process.interrupt()?.took;
    if let Some((data, _probe)) = perf {
        // perf shows nothing before its end.
        let ended = Instant::now();
        script(&data)?;
        first += exit + ended.elapsed();
    }
    Ok(StartTimes {
        first_event_ms: first.as_secs_f64() * 1e3,
        peak_rss_mb,
        exit_ms: exit.as_secs_f64() * 1e3,
    })
}

/// Totals of the output of `perf script`.
fn script(data: &Scratch) -> Result<String> {
    let mut script = Command::new(installed("perf")?);
    script
        .args(["script", "--show-lost-events", "-i"])
        .arg(data.path());
    let text = output(&mut script)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn installed(name: &str) -> Result<PathBuf> {
    find(name).ok_or_else(|| Failure::new(format!("`{name}` is not installed")).into())
}

/// A peer that writes one line per event.
struct Peer {
    process: Observed,
    count: fn(&EndedObserver) -> Result<EventCounts>,
}

impl Observer for Peer {
    fn check_runs(&mut self) -> Result<()> {
        self.process.check_runs()
    }

    fn cpu(&self) -> Option<Duration> {
        self.process.cpu()
    }

    fn run_time(&self) -> Option<RunTime> {
        self.process.run_time()
    }

    fn settle(&mut self) -> Result<()> {
        self.process.settle()
    }

    fn stop(self: Box<Self>) -> Result<EventCounts> {
        (self.count)(&self.process.interrupt()?)
    }
}

fn bpftrace(what: Workload, hitter: &Hitter, site: SiteKind) -> Result<Peer> {
    const LOG: &str = r#"{ printf("%d %d\n", (int32)arg0, (int32)arg1); }"#;
    let action = match what {
        Workload::Log2 => LOG.to_owned(),
        Workload::Rejected => format!("/(int32)arg0 == -1/ {LOG}"),
        Workload::Count => "{ @hits = count(); }".to_owned(),
        _ => return Err(Failure::new("bpftrace is not asked for that").into()),
    };
    let (path, name) = (hitter.path().display(), function(site));
    let mut command = Command::new(installed("bpftrace")?);
    command
        .args(["-p", &hitter.pid().to_string(), "-e"])
        .arg(format!("uprobe:{path}:{name} {action}"));
    Ok(Peer {
        process: Observed::spawn(&mut command)?,
        count: if what == Workload::Count {
            counted_by_bpftrace
        } else {
            logged_by_bpftrace
        },
    })
}

fn counted_by_bpftrace(ended: &EndedObserver) -> Result<EventCounts> {
    let mut hits = None;
    ended.for_each_line(|line| hits = hits.or(after(line, "@hits: ")))?;
    Ok(EventCounts {
        delivered: hits,
        lost: Some(0),
    })
}

fn logged_by_bpftrace(ended: &EndedObserver) -> Result<EventCounts> {
    let (mut delivered, mut lost) = (0, 0);
    let mut take = |line: &str| {
        if is_pair(line) {
            delivered += 1;
        } else if let Some(count) = after(line, "Lost ") {
            lost += count;
        }
    };
    ended.for_each_line(&mut take)?;
    ended.for_each_said(&mut take)?;
    Ok(EventCounts {
        delivered: Some(delivered),
        lost: Some(lost),
    })
}

fn gdb(hitter: &Hitter, site: SiteKind) -> Result<Peer> {
    let mut command = Command::new(installed("gdb")?);
    command
        .args(["-nx", "-batch", "-p", &hitter.pid().to_string()])
        .args(["-ex", "set debuginfod enabled off"])
        .args([
            "-ex",
            &format!(
                r#"dprintf *{:#x},"%d %d\n",left,right"#,
                hitter.address(site)
            ),
        ])
        .args(["-ex", "continue"]);
    Ok(Peer {
        process: Observed::spawn(&mut command)?,
        count: logged_by_gdb,
    })
}

fn logged_by_gdb(ended: &EndedObserver) -> Result<EventCounts> {
    let mut delivered = 0;
    ended.for_each_line(|line| delivered += u64::from(is_pair(line)))?;
    Ok(EventCounts {
        delivered: Some(delivered),
        lost: Some(0),
    })
}

/// Returns true if a line has two integers, as our events do.
fn is_pair(line: &str) -> bool {
    let mut words = line.split(' ').map(str::parse::<i32>);
    matches!(
        (words.next(), words.next(), words.next()),
        (Some(Ok(_)), Some(Ok(_)), None)
    )
}

/// The number after a text.
fn after(line: &str, text: &str) -> Option<u64> {
    let (_, rest) = line.split_once(text)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// `perf record` on a probe of `perf probe`.
struct Perf {
    // The order matters: the recording must end before its probe is removed.
    process: Observed,
    data: Scratch,
    _probe: PerfProbe,
}

impl Perf {
    fn start(hitter: &Hitter, site: SiteKind) -> Result<Self> {
        let probe = PerfProbe::add(hitter.path(), function(site))?;
        let data = Scratch::new("perf.data")?;
        let mut control = Fifo::new("control")?;
        let mut answers = Fifo::new("answers")?;
        let mut command = Command::new(installed("perf")?);
        // The recording starts on command, long after its probe is attached.
        command
            .args(["record", "-q", "-D", "-1", "--control"])
            .arg(format!("fifo:{},{}", control.path(), answers.path()))
            .args(["-p", &hitter.pid().to_string(), "-e"])
            .arg(format!("{GROUP}:{}", function(site)))
            .arg("-o")
            .arg(data.path());
        let mut process = Observed::spawn(&mut command)?;
        control.write("enable\n")?;
        answers.wait("ack", || process.check_runs())?;
        Ok(Self {
            process,
            data,
            _probe: probe,
        })
    }
}

impl Observer for Perf {
    fn check_runs(&mut self) -> Result<()> {
        self.process.check_runs()
    }

    fn cpu(&self) -> Option<Duration> {
        self.process.cpu()
    }

    fn run_time(&self) -> Option<RunTime> {
        None
    }

    fn settle(&mut self) -> Result<()> {
        self.process.settle()
    }

    fn stop(self: Box<Self>) -> Result<EventCounts> {
        let this = *self;
        this.process.interrupt()?;
        Ok(count_script(&script(&this.data)?))
    }
}

/// A named pipe.
struct Fifo {
    name: Scratch,
    file: File,
}

impl Fifo {
    fn new(name: &str) -> Result<Self> {
        let name = Scratch::new(name)?;
        mkfifoat(CWD, name.path(), Mode::RUSR | Mode::WUSR).context("cannot make a named pipe")?;
        // Opened for reading and writing, so it does not wait for the other side.
        let flags = i32::try_from(OFlags::NONBLOCK.bits())?;
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(name.path())
            .context("cannot open a named pipe")?;
        Ok(Self { name, file })
    }

    fn path(&self) -> std::path::Display<'_> {
        self.name.path().display()
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.file
            .write_all(text.as_bytes())
            .context("cannot write to a named pipe")
    }

    /// Waits for a text, or until `ended` gives the reason why it will not come.
    fn wait(&mut self, text: &str, mut ended: impl FnMut() -> Result<()>) -> Result<()> {
        let started = Instant::now();
        let mut came = Vec::new();
        while !String::from_utf8_lossy(&came).contains(text) {
            ended()?;
            if started.elapsed() > PATIENCE {
                return Err(Failure::new("it did not begin").into());
            }
            let mut bytes = [0; 64];
            match self.file.read(&mut bytes) {
                Ok(length) => came.extend(bytes.iter().take(length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(LOOK);
                }
                Err(error) => return Err(error).context("cannot read from a named pipe"),
            }
        }
        Ok(())
    }
}

/// Counts events and losses in the output of `perf script`.
fn count_script(text: &str) -> EventCounts {
    let (mut delivered, mut lost) = (0, 0);
    for line in text.lines() {
        if line.contains(" left=") {
            delivered += 1;
        } else if line.contains("PERF_RECORD_LOST") {
            lost += after(line, "lost ").unwrap_or(0);
        }
    }
    EventCounts {
        delivered: Some(delivered),
        // Lost chunks are counted too. The number of events in a chunk is unknown.
        lost: (lost > 0).then_some(lost),
    }
}

/// A probe in the kernel's list, and the list's file system if we mounted it.
struct PerfProbe {
    name: String,
    mounted: bool,
}

impl PerfProbe {
    fn add(program: &Path, function: &str) -> Result<Self> {
        let perf = installed("perf")?;
        let mounted = !Path::new(TRACEFS).join("uprobe_events").exists();
        if mounted {
            run_command(Command::new("mount").args(["-t", "tracefs", "nodev", TRACEFS]))
                .context("`perf probe` needs tracefs")?;
        }
        let probe = Self {
            name: format!("{GROUP}:{function}"),
            mounted,
        };
        // A probe of a killed bench may be in the way.
        probe.delete();
        let mut add = Command::new(perf);
        add.args(["probe", "-q", "-x"])
            .arg(program)
            .arg("--add")
            .arg(format!(
                "{}={function} left=%di:s32 right=%si:s32",
                probe.name
            ));
        output(&mut add)?;
        Ok(probe)
    }

    fn delete(&self) {
        let _ = Command::new("perf")
            .args(["probe", "-q", "--del", &self.name])
            .output();
    }
}

impl Drop for PerfProbe {
    fn drop(&mut self) {
        self.delete();
        if self.mounted {
            let _ = Command::new("umount").arg(TRACEFS).output();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lines_of_two_integers() {
        assert!(is_pair("12 -7"));
        for other in ["Attaching 1 probe...", "12", "1 2 3", "", "Lost 12 events"] {
            assert!(!is_pair(other), "{other}");
        }
    }

    #[test]
    fn losses_and_counts_are_read_from_their_lines() {
        assert_eq!(after("Lost 44 events", "Lost "), Some(44));
        assert_eq!(after("@hits: 120", "@hits: "), Some(120));
        assert_eq!(after("@hits: ", "@hits: "), None);
    }

    #[test]
    fn pipe_gives_what_was_written_and_leaves_no_file() {
        let mut pipe = Fifo::new("test").unwrap();
        let path = pipe.name.path().to_owned();
        pipe.write("ack\n").unwrap();
        pipe.wait("ack", || Ok(())).unwrap();
        let ended = pipe.wait("more", || Err(Failure::new("ended").into()));
        assert!(ended.is_err());
        drop(pipe);
        assert!(!path.exists());
    }

    #[test]
    fn script_gives_events_and_losses() {
        let text = "target 1 [000] 1.0: tracer_bench:one_trap: (55ab) left=1 right=2\n\
                    target 1 [000] 1.1: PERF_RECORD_LOST lost 12\n";
        assert_eq!(
            count_script(text),
            EventCounts {
                delivered: Some(1),
                lost: Some(12)
            }
        );
    }
}
