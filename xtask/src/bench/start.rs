//! Measures how fast a trace starts and ends, on small and large programs.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Extent;
use super::observed::Observed;
use super::observer::{NO_RATE, attach, tracer};
use super::peers;
use super::report::{BenchReport, Pace, SiteKind, StartRow, StartTimes, Tool};
use super::statistics::{median, round};
use super::table::word;
use super::target::{Answering, HITTER, Hitter, compile, line_of, marked_line};
use crate::demo;
use crate::pointer::{Display, Hand, Running, path};
use crate::support::failure::Failure;
use crate::support::workspace;

/// The probed source of the large target, and a line that it passes every few milliseconds.
const LARGE_SOURCE: &str = "tracer/src/session/reader.rs";
const LARGE_LINE: &str = "let now = monotonic_ns();";
/// How long the small target hits for one observation.
const HITTING_MS: u64 = 3_000;
/// Time between two moves of the pointer, so that each look of target-app finds a move.
const MOVE: Duration = Duration::from_millis(50);

/// Measures starts on one target, this many times.
type Measure = fn(u32) -> Result<StartRow>;

/// Measures starts on all targets.
///
/// # Errors
/// None: failures are noted.
pub(super) fn measure(report: &mut BenchReport, extent: &Extent) {
    let targets: [(&str, Measure); 4] = [
        ("small_c", small),
        ("target_app_debug", |repeats| target_app(false, repeats)),
        ("target_app_release", |repeats| target_app(true, repeats)),
        ("large", large),
    ];
    for (name, measure) in targets {
        eprintln!("bench: start on {name}");
        match measure(extent.repeats) {
            Ok(row) => report.start.push(row),
            Err(error) => report.note(&format!("start on {name}"), &error),
        }
    }
    if extent.peers {
        for tool in [Tool::Bpftrace, Tool::Perf, Tool::Gdb] {
            let name = format!("start of {} on small_c", word(tool));
            eprintln!("bench: {name}");
            match peer(tool, extent.repeats) {
                Ok(row) => report.start.push(row),
                Err(error) => report.note(&name, &error),
            }
        }
    }
}

/// The hitting program, at 4,000 hits a second.
fn small(repeats: u32) -> Result<StartRow> {
    let line = marked_line(HITTER, "one_trap")?;
    let probe = format!(r#"log {HITTER}:{line} "{{left}} {{right}}" {NO_RATE}"#);
    on_hitter(Tool::Tracer, repeats, |hitter| once(hitter.pid(), &probe))
}

/// Measures starts with another tool.
fn peer(tool: Tool, repeats: u32) -> Result<StartRow> {
    on_hitter(tool, repeats, |hitter| peers::once(tool, hitter))
}

fn on_hitter(
    tool: Tool,
    repeats: u32,
    once: impl Fn(&Hitter) -> Result<StartTimes>,
) -> Result<StartRow> {
    let mut hitter = Hitter::start(&compile(HITTER)?)?;
    let mut times = Vec::new();
    for _ in 0..repeats {
        hitter.begin(SiteKind::OneTrap, Pace::FourThousand, 1, HITTING_MS)?;
        let once = once(&hitter);
        hitter.end()?;
        times.push(once?);
    }
    row(tool, "small_c", &times)
}

/// The target of the demo, with a moving pointer.
fn target_app(release: bool, repeats: u32) -> Result<StartRow> {
    let display = Display::start()?;
    let hand = Hand::on(&display)?;
    let app = Command::new(workspace::binary("target-app", release))
        .args(["--seconds", "3600"])
        .env("DISPLAY", display.name())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start target-app")?;
    let app = Running(app);
    let probe = demo::probe()?;
    let done = AtomicBool::new(false);
    let times = std::thread::scope(|scope| {
        scope.spawn(|| {
            for step in 0.. {
                if done.load(Ordering::Relaxed) || hand.move_to(path(step)).is_err() {
                    break;
                }
                std::thread::sleep(MOVE);
            }
        });
        let times: Result<Vec<StartTimes>> =
            (0..repeats).map(|_| once(app.0.id(), &probe)).collect();
        done.store(true, Ordering::Relaxed);
        times
    })?;
    let name = if release {
        "target_app_release"
    } else {
        "target_app_debug"
    };
    row(Tool::Tracer, name, &times)
}

/// The tracer's own dev build, tracing.
fn large(repeats: u32) -> Result<StartRow> {
    let mut program = Answering::start(&mut Command::new(compile(HITTER)?))?;
    program.answer("ready")?;
    let line = marked_line(HITTER, "one_trap")?;
    let idle = format!("log {HITTER}:{line}");
    let mut target = attach(&tracer(false), program.pid(), &idle);
    target
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut target: Child = target.spawn().context("cannot start the large target")?;
    let said = target.stderr.take();
    let target = Running(target);
    // It prints a line when it traces.
    let mut first = String::new();
    if let Some(said) = said {
        std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut first)?;
    }
    let (_, line) = large_line()?;
    let probe = format!(r#"log {LARGE_SOURCE}:{line} "{{last}}" {NO_RATE}"#);
    let times: Result<Vec<StartTimes>> =
        (0..repeats).map(|_| once(target.0.id(), &probe)).collect();
    row(Tool::Tracer, "large", &times?)
}

/// A source of the large target, and one of its lines.
pub(super) fn large_line() -> Result<(&'static str, usize)> {
    let source = workspace::root().join(LARGE_SOURCE);
    let text = std::fs::read_to_string(&source)
        .with_context(|| format!("cannot read {}", source.display()))?;
    let line = line_of(&text, LARGE_LINE)
        .ok_or_else(|| Failure::new(format!("no line of {LARGE_SOURCE} is `{LARGE_LINE}`")))?;
    Ok((LARGE_SOURCE, line))
}

/// Starts tracer, waits for its first event, and interrupts it.
fn once(pid: u32, probe: &str) -> Result<StartTimes> {
    let exe: PathBuf = tracer(true);
    let mut process = Observed::spawn(&mut attach(&exe, pid, probe))?;
    let attached = process.wait_attached()?;
    let started = process.started();
    let (line, came) = process.wait_line()?;
    let event: Value = serde_json::from_str(&line).context("the first line is no JSON")?;
    let hit = event
        .get("time")
        .and_then(Value::as_str)
        .and_then(second_of_day)
        .ok_or_else(|| Failure::new("the first event has no time"))?;
    let wrote = second_of_today(came.wall)?;
    // A hit before midnight may be written after it.
    let mut delay = Duration::from_secs_f64((wrote - hit).rem_euclid(86_400.0));
    let whole = came.instant.duration_since(started);
    let before = attached.duration_since(started);
    // If the hit came before tracer reported its attach, there was no waiting time.
    delay = delay.min(whole.saturating_sub(before));
    let peak_rss_mb = process
        .peak_rss_mb()
        .ok_or_else(|| Failure::new("the kernel does not say how much memory was used"))?;
    let ended = process.interrupt()?;
    Ok(StartTimes {
        first_event_ms: (before + delay).as_secs_f64() * 1e3,
        peak_rss_mb,
        exit_ms: ended.took.as_secs_f64() * 1e3,
    })
}

fn row(tool: Tool, target: &'static str, times: &[StartTimes]) -> Result<StartRow> {
    let middle = |value: fn(&StartTimes) -> f64| {
        let values: Vec<f64> = times.iter().map(value).collect();
        median(&values).context("there was no repeat")
    };
    Ok(StartRow {
        tool,
        target,
        first_event_ms: round(middle(|times| times.first_event_ms)?, 1),
        peak_rss_mb: round(middle(|times| times.peak_rss_mb)?, 1),
        exit_ms: round(middle(|times| times.exit_ms)?, 1),
    })
}

/// Seconds since midnight of a time such as `2026-11-22T12:04:31.250117042Z`.
fn second_of_day(time: &str) -> Option<f64> {
    let (_, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let mut parts = clock.splitn(3, ':');
    let hours: f64 = parts.next()?.parse().ok()?;
    let minutes: f64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some((hours * 60.0 + minutes) * 60.0 + seconds)
}

fn second_of_today(time: SystemTime) -> Result<f64> {
    let since = time
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    let nanoseconds = since.as_nanos() % 86_400_000_000_000;
    Ok(nanoseconds as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_an_event_is_read() {
        assert_eq!(
            second_of_day("2026-11-22T12:04:31.250000000Z"),
            Some(43_471.25)
        );
        assert_eq!(second_of_day("12:04:31"), None);
    }

    #[test]
    fn both_ways_to_the_second_of_the_day_agree() {
        let time = UNIX_EPOCH + Duration::from_millis(20_781 * 86_400_000 + 43_471_250);
        let second = second_of_today(time).unwrap();
        assert_eq!(Some(second), second_of_day("2026-11-24T12:04:31.250Z"));
    }

    #[test]
    fn probed_line_of_the_large_target_is_there() {
        let source = std::fs::read_to_string(workspace::root().join(LARGE_SOURCE)).unwrap();
        assert!(line_of(&source, LARGE_LINE).is_some());
    }
}
