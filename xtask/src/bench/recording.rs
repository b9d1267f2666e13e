//! Measures recordings: CPU time and bytes for each event, and the time in which ten million events are on the screen.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Extent;
use super::observed::{Observed, Scratch};
use super::observer::{NO_RATE, OutputTotals, attach, number, tracer};
use super::report::{BenchReport, OpenedRow, Pace, RecordedOutput, RecordingRow, SiteKind};
use super::statistics::{median, round};
use super::target::{HITTER, Hitter, compile, marked_line};
use crate::support::failure::Failure;

/// The kind of the probed site.
const SITE: SiteKind = SiteKind::OneTrap;
/// Time of one session.
const TIME: Duration = Duration::from_secs(5);
/// Events of the long recording.
const EVENTS: u64 = 10_000_000;
/// Bytes before the data of a block: see docs/recording.md.
const HEADER: usize = 60;
/// Time for the first screen.
const PATIENCE: Duration = Duration::from_secs(60);
/// A session is at rest if it has used less than a hundredth of a CPU for this long.
const SETTLING: Duration = Duration::from_millis(400);
/// Time between two looks at the screen.
const LOOK: Duration = Duration::from_millis(2);

/// Measures sessions with JSON and with a recording, in turns, and the terminal UI on a long recording.
///
/// # Errors
/// The target or tracer failed.
pub(super) fn measure(report: &mut BenchReport, extent: &Extent) -> Result<()> {
    let mut hitter = Hitter::start(&compile(HITTER)?)?;
    let file = Scratch::new("recording")?;
    let (mut json, mut recorded, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..extent.repeats {
        let one = session(&mut hitter, RecordedOutput::Json, file.path())?;
        let other = session(&mut hitter, RecordedOutput::Recording, file.path())?;
        ratios.push(other.cpu_us_per_event / one.cpu_us_per_event);
        json.push(one);
        recorded.push(other);
    }
    report.recordings.extend(total(&json));
    let mut row = total(&recorded).context("there was no repeat")?;
    row.ratio_to_json = median(&ratios).map(|ratio| round(ratio, 2));
    report.recordings.push(row);
    let long = Scratch::new("long-recording")?;
    let events = repeated(file.path(), long.path())?;
    report.opened.push(opened(long.path(), events)?);
    Ok(())
}

/// One row of several runs: sums of their counts, and medians of their figures.
fn total(rows: &[RecordingRow]) -> Option<RecordingRow> {
    let middle = |of: fn(&RecordingRow) -> f64| median(&rows.iter().map(of).collect::<Vec<f64>>());
    let bytes: Vec<f64> = rows.iter().filter_map(|row| row.bytes_per_event).collect();
    Some(RecordingRow {
        events: rows.iter().map(|row| row.events).sum(),
        lost: rows.iter().map(|row| row.lost).sum(),
        start_cpu_ms: middle(|row| row.start_cpu_ms)?,
        cpu_us_per_event: middle(|row| row.cpu_us_per_event)?,
        bytes_per_event: median(&bytes),
        ..rows.first()?.clone()
    })
}

/// One session with one output: JSON to `/dev/null`, or a recording.
fn session(hitter: &mut Hitter, output: RecordedOutput, file: &Path) -> Result<RecordingRow> {
    let line = marked_line(HITTER, "one_trap")?;
    let probe = format!(r#"log {HITTER}:{line} "{{left}} {{right}}" {NO_RATE}"#);
    let summary = Scratch::new("summary")?;
    let mut command = match output {
        RecordedOutput::Json => attach(&tracer(true), hitter.pid(), &probe),
        RecordedOutput::Recording => {
            let mut command = Command::new(tracer(true));
            command.arg("record").arg(file);
            command.args(["--pid", &hitter.pid().to_string(), "-e", &probe]);
            command.args(["--max-cpu", "off"]);
            command
        }
    };
    command.arg("--summary").arg(summary.path());
    let mut session = Observed::spawn_without_output(&mut command)?;
    session.wait_attached()?;
    let attached = session.cpu().context("the session has no CPU time")?;
    let before = settled_cpu(&session)?;
    let milliseconds = u64::try_from(TIME.as_millis())?;
    hitter.run(SITE, Pace::TwentyThousand, 1, milliseconds)?;
    // A block is written after a second at most.
    thread::sleep(Duration::from_millis(1500));
    session.check_runs()?;
    let cpu = session.cpu().context("the session has no CPU time")? - before;
    session.interrupt()?;
    let text = fs::read_to_string(summary.path()).context("tracer wrote no summary")?;
    let mut totals = OutputTotals::default();
    text.lines().for_each(|line| totals.take(line));
    let summary = totals.summary.context("tracer wrote no summary")?;
    let events = number(&summary, "events").context("the summary has no events")?;
    let each = |total: f64| total / events.max(1) as f64;
    let bytes = match output {
        RecordedOutput::Json => None,
        RecordedOutput::Recording => Some(fs::metadata(file)?.len()),
    };
    Ok(RecordingRow {
        output,
        events,
        lost: number(&summary, "lost").unwrap_or(0),
        start_cpu_ms: round((before - attached).as_secs_f64() * 1e3, 0),
        cpu_us_per_event: round(each(cpu.as_secs_f64() * 1e6), 3),
        ratio_to_json: None,
        bytes_per_event: bytes.map(|bytes| round(each(bytes as f64), 2)),
    })
}

/// CPU time of a session once it has nothing more to do: a recorder reads sources and their lines first.
fn settled_cpu(session: &Observed) -> Result<Duration> {
    let cpu = || session.cpu().context("the session has no CPU time");
    let end = Instant::now() + PATIENCE;
    let mut before = cpu()?;
    loop {
        thread::sleep(SETTLING);
        let now = cpu()?;
        if now - before < SETTLING / 100 {
            return Ok(now);
        }
        if Instant::now() > end {
            return Err(Failure::new("the session is never at rest").into());
        }
        before = now;
    }
}

/// Writes a long recording: the blocks of another one, again and again. Returns its events.
fn repeated(from: &Path, to: &Path) -> Result<u64> {
    let bytes = fs::read(from).context("cannot read the recording")?;
    let blocks = blocks(&bytes).context("the recording is not as its page describes it")?;
    let ([first, middle @ .., last], true) = (blocks.as_slice(), blocks.len() > 2) else {
        return Err(Failure::new("the recording is too short").into());
    };
    let mut out = BufWriter::new(File::create(to).context("cannot write a recording")?);
    out.write_all(first.0)?;
    let mut events = first.1 + last.1;
    while events < EVENTS {
        let added: u64 = middle.iter().map(|block| block.1).sum();
        if added == 0 {
            return Err(Failure::new("the recording has no events").into());
        }
        for block in middle {
            out.write_all(block.0)?;
        }
        events += added;
    }
    out.write_all(last.0)?;
    out.flush()?;
    Ok(events)
}

/// The blocks of a recording, and their events.
fn blocks(mut bytes: &[u8]) -> Option<Vec<(&[u8], u64)>> {
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        let number = |at: usize| {
            let digits = bytes.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_le_bytes(digits))
        };
        if bytes.get(8..12)? != b"TRB1" {
            return None;
        }
        let length = HEADER + usize::try_from(number(16)?).ok()?;
        let events = number(32)?;
        blocks.push((bytes.get(..length)?, events));
        bytes = bytes.get(length..)?;
    }
    Some(blocks)
}

/// Opens a recording in the terminal UI, on a terminal that `script` makes.
fn opened(file: &Path, events: u64) -> Result<OpenedRow> {
    let screen = Scratch::new("screen")?;
    // `exec` gives the terminal UI the shell's process id.
    let command = format!(
        "stty rows 40 columns 120; exec {} view {}",
        tracer(true).display(),
        file.display()
    );
    let started = Instant::now();
    let mut script = Command::new("script")
        .args(["--quiet", "--flush", "--command", &command])
        .arg(screen.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start `script`")?;
    let shown = format!("of {}", grouped(events));
    let first = loop {
        if fs::read(screen.path()).is_ok_and(|seen| contains(&seen, shown.as_bytes())) {
            break started.elapsed();
        }
        if started.elapsed() > PATIENCE {
            script.kill()?;
            script.wait()?;
            return Err(Failure::new("the recording is not on the screen").into());
        }
        thread::sleep(LOOK);
    };
    let peak_rss_mb = peak_of_child(script.id());
    let keys = script.stdin.take().context("it has no keyboard")?;
    (&keys).write_all(b"q")?;
    script.wait()?;
    Ok(OpenedRow {
        events,
        mb: round(fs::metadata(file)?.len() as f64 / 1e6, 1),
        seconds: round(first.as_secs_f64(), 3),
        peak_rss_mb,
    })
}

/// Peak memory of the only child of a process, in MB.
fn peak_of_child(parent: u32) -> Option<f64> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let status = fs::read_to_string(format!("/proc/{}/status", children.trim())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(round(kib / 1024.0, 1))
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

/// A number as the terminal UI writes it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_by_their_headers() {
        let mut block = vec![0; HEADER];
        block[8..12].copy_from_slice(b"TRB1");
        block[16..24].copy_from_slice(&3_u64.to_le_bytes());
        block[32..40].copy_from_slice(&7_u64.to_le_bytes());
        block.extend(b"abc");
        let both = [block.clone(), block.clone()].concat();
        let found = blocks(&both).expect("two blocks");
        assert_eq!(found, [(block.as_slice(), 7), (block.as_slice(), 7)]);
        assert_eq!(blocks(&both[..HEADER + 2]), None);
        assert_eq!(blocks(b"something else, of some length"), None);
    }

    #[test]
    fn numbers_are_written_as_on_the_screen() {
        assert_eq!(grouped(10_000_123), "10,000,123");
        assert_eq!(grouped(12), "12");
    }
}
