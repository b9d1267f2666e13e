//! Measures how fast the terminal UI answers a key while a hundred thousand events a second come in.

use std::fs;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::observed::Scratch;
use super::observer::{NO_RATE, OutputTotals, number, tracer};
use super::report::{BenchReport, Pace, SiteKind, UiRow};
use super::statistics::round;
use super::target::{HITTER, Hitter, compile, marked_line};
use crate::support::failure::Failure;

/// Rows and columns of the terminals.
const SIZES: [ScreenSize; 3] = [
    ScreenSize::of(24, 80),
    ScreenSize::of(40, 120),
    ScreenSize::of(60, 200),
];
/// Keys, each with a text that is on the screen after it, or is no longer there.
const KEYS: [UiKey; 8] = [
    UiKey::shows("?", "Everywhere"),
    UiKey::hides("\x1b", "Everywhere"),
    UiKey::hides("4z", "1 Source"),
    UiKey::shows("v", "[plot]"),
    UiKey::shows("v", "[x/y]"),
    UiKey::shows("v", "[rate]"),
    UiKey::shows("v", "[values]"),
    UiKey::shows("z1", "1 Source"),
];
/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two keys, at the least.
const REST: Duration = Duration::from_millis(40);
/// The hits stop by themselves after this time.
const HITTING: Duration = Duration::from_secs(300);

#[derive(Clone, Copy)]
struct ScreenSize {
    rows: u16,
    columns: u16,
}

impl ScreenSize {
    const fn of(rows: u16, columns: u16) -> Self {
        Self { rows, columns }
    }
}

/// A key and its answer.
struct UiKey {
    key: &'static str,
    text: &'static str,
    is_shown: bool,
}

impl UiKey {
    const fn shows(key: &'static str, text: &'static str) -> Self {
        Self {
            key,
            text,
            is_shown: true,
        }
    }

    const fn hides(key: &'static str, text: &'static str) -> Self {
        Self {
            key,
            text,
            is_shown: false,
        }
    }
}

/// Measures each size of the terminal.
///
/// # Errors
/// The target or tracer failed.
pub(super) fn measure(report: &mut BenchReport, is_quick: bool) -> Result<()> {
    let path = compile(HITTER)?;
    let rounds = if is_quick { 3 } else { 25 };
    for size in SIZES {
        report.ui.push(session(&path, size, rounds)?);
    }
    Ok(())
}

fn session(path: &std::path::Path, size: ScreenSize, rounds: u32) -> Result<UiRow> {
    let mut hitter = Hitter::start(path)?;
    let summary = Scratch::new("summary")?;
    let mut screen = UiScreen::open(&hitter, size, &summary)?;
    screen.wait(|text| text.contains("waiting for the first hit"))?;
    let began = Instant::now();
    let milliseconds = u64::try_from(HITTING.as_millis())?;
    hitter.begin(SiteKind::OneTrap, Pace::HundredThousand, 1, milliseconds)?;
    screen.wait(|text| text.contains("hits") && !text.contains("waiting for the first hit"))?;
    thread::sleep(Duration::from_secs(1));
    let mut answers = Vec::new();
    for round in 0..rounds {
        for (index, step) in KEYS.iter().enumerate() {
            answers.push(screen.answer(step)?);
            // Keys come at any time of a frame.
            let late = (u64::from(round) * 7 + index as u64 * 11) % 33;
            screen.rest(REST + Duration::from_millis(late))?;
        }
    }
    screen.quit()?;
    let seconds = began.elapsed().as_secs_f64();
    let text = fs::read_to_string(summary.path()).context("tracer wrote no summary")?;
    let mut totals = OutputTotals::default();
    text.lines().for_each(|line| totals.take(line));
    let summary = totals.summary.context("tracer wrote no summary")?;
    let count = |name: &str| number(&summary, name);
    answers.sort();
    let at = |share: f64| {
        let last = answers.len().saturating_sub(1);
        let index = (share * last as f64).ceil() as usize;
        let answer = answers.get(index.min(last)).copied().unwrap_or_default();
        round(answer.as_secs_f64() * 1e3, 1)
    };
    Ok(UiRow {
        columns: size.columns,
        rows: size.rows,
        events_per_second: round(count("events").unwrap_or(0) as f64 / seconds, 0),
        events: count("events").context("the summary has no events")?,
        lost: count("lost").unwrap_or(0),
        keys: answers.len(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        max_ms: at(1.0),
    })
}

fn cells(count: u16) -> Result<NonZeroU16> {
    NonZeroU16::new(count).context("a terminal has rows and columns")
}

/// The terminal UI on a terminal that `script` makes.
struct UiScreen {
    script: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    parser: vt100::Parser,
}

impl UiScreen {
    fn open(hitter: &Hitter, size: ScreenSize, summary: &Scratch) -> Result<Self> {
        let line = marked_line(HITTER, "one_trap")?;
        let ScreenSize { rows, columns } = size;
        // `exec` gives the terminal UI the shell's process id.
        let command = format!(
            "stty rows {rows} columns {columns}; exec {} attach --pid {} --output tui --max-cpu off --summary {} \
             -e 'log {HITTER}:{line} \"{{left}} {{right}}\" {NO_RATE}'",
            tracer(true).display(),
            hitter.pid(),
            summary.path().display(),
        );
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--command", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start `script`")?;
        let keys = script.stdin.take().context("it has no keyboard")?;
        let mut screen = script.stdout.take().context("it has no screen")?;
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 1 << 16];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            script,
            keys,
            output,
            parser: vt100::Parser::new(cells(rows)?, cells(columns)?, 0),
        })
    }

    /// Time from a key to its answer on the screen.
    fn answer(&mut self, step: &UiKey) -> Result<Duration> {
        let pressed = Instant::now();
        self.keys.write_all(step.key.as_bytes())?;
        self.keys.flush()?;
        self.wait(|text| text.contains(step.text) == step.is_shown)
            .with_context(|| format!("the key {:?} has no answer", step.key))?;
        Ok(pressed.elapsed())
    }

    /// Waits until the screen is as it should be.
    fn wait(&mut self, is: impl Fn(&str) -> bool) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = self.parser.screen().contents();
            if is(&text) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Failure::new(format!("the screen is not as expected:\n{text}")).into());
            }
            self.take(Duration::from_millis(100))?;
        }
    }

    /// Goes on drawing for some time.
    fn rest(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.take(left)?;
        }
    }

    fn take(&mut self, patience: Duration) -> Result<()> {
        match self.output.recv_timeout(patience) {
            Ok(bytes) => self.parser.process(&bytes),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let text = self.parser.screen().contents();
                return Err(Failure::new(format!("the terminal UI has ended:\n{text}")).into());
            }
        }
        for bytes in self.output.try_iter() {
            self.parser.process(&bytes);
        }
        Ok(())
    }

    fn quit(mut self) -> Result<()> {
        self.keys.write_all(b"q")?;
        self.keys.flush()?;
        self.script.wait()?;
        Ok(())
    }
}

impl Drop for UiScreen {
    fn drop(&mut self) {
        // Both calls fail only if it has ended by itself.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
