//! The demo's target `target-app`, and its output.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::pointer::{Display, Point, Running};
use crate::support::failure::Failure;
use crate::support::workspace;

/// How long the target runs. The demo ends it earlier.
const WATCH_SECONDS: &str = "3600";
/// Longest time until the target sees a move: four times its own interval.
pub(super) const NOTICE: Duration = Duration::from_secs(1);
/// Lines that are kept for the end.
const KEPT_LINES: usize = 64;

/// One movement in the target's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Movement {
    /// The position in the first line.
    pub(super) to: Point,
    /// The second line's last word: `left` or `right`.
    pub(super) horizontal: String,
    /// The third line's last word: `up` or `down`.
    pub(super) vertical: String,
}

/// The running target, which ends with this value.
#[derive(Debug)]
pub(super) struct DemoTarget {
    process: Running,
    lines: Mutex<Receiver<String>>,
    kept: Arc<Mutex<VecDeque<String>>>,
}

impl DemoTarget {
    /// Starts the target and waits until it watches the pointer.
    ///
    /// # Errors
    /// The target could not be started, or ended at once.
    pub(super) fn start(display: &Display, release: bool) -> Result<Self> {
        let mut process = Command::new(workspace::binary("target-app", release))
            .args(["--seconds", WATCH_SECONDS])
            .env("DISPLAY", display.name())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start target-app")?;
        let stdout = process.stdout.take();
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, lines) = mpsc::channel();
        let target = Self {
            process: Running(process),
            lines: Mutex::new(lines),
            kept: Arc::clone(&kept),
        };
        std::thread::spawn(move || {
            let lines = stdout
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines());
            for line in lines.map_while(Result::ok) {
                keep(&kept, &line);
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        // Two lines report the start. Movements come after them.
        for _ in 0..2 {
            target.line(Duration::from_secs(30))?;
        }
        Ok(target)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// The next printed movement. None if it saw none within [`NOTICE`], for example if the pointer
    /// moved before its first look.
    ///
    /// # Errors
    /// The target ended, or printed an unexpected line.
    pub(super) fn next_movement(&self) -> Result<Option<Movement>> {
        let Some(first) = self.line_within(NOTICE)? else {
            return Ok(None);
        };
        let unknown = |line: &str| Failure::new(format!("target-app printed `{line}`"));
        let to = parse_location(&first).ok_or_else(|| unknown(&first))?;
        let horizontal = self.direction()?;
        let vertical = self.direction()?;
        Ok(Some(Movement {
            to,
            horizontal,
            vertical,
        }))
    }

    /// Its last printed lines.
    pub(super) fn last_lines(&self, count: usize) -> Vec<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .skip(kept.len().saturating_sub(count))
            .cloned()
            .collect()
    }

    fn direction(&self) -> Result<String> {
        let line = self.line(NOTICE)?;
        line.strip_prefix("Mouse moved ")
            .map(str::to_owned)
            .ok_or_else(|| Failure::new(format!("target-app printed `{line}`")).into())
    }

    fn line(&self, patience: Duration) -> Result<String> {
        self.line_within(patience)?
            .ok_or_else(|| Failure::new("target-app stopped printing").into())
    }

    fn line_within(&self, patience: Duration) -> Result<Option<String>> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.recv_timeout(patience) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Failure::new("target-app ended in mid-demo").into())
            }
        }
    }
}

fn keep(kept: &Mutex<VecDeque<String>>, line: &str) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() == KEPT_LINES {
        kept.pop_front();
    }
    kept.push_back(line.to_owned());
}

fn parse_location(line: &str) -> Option<Point> {
    let numbers = line.strip_prefix("Mouse Pointer Location Change: X: ")?;
    let (x, y) = numbers.split_once(", Y: ")?;
    Some(Point {
        x: x.parse().ok()?,
        y: y.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_line_gives_its_point() {
        assert_eq!(
            parse_location("Mouse Pointer Location Change: X: 812, Y: -4"),
            Some(Point { x: 812, y: -4 })
        );
    }

    #[test]
    fn other_line_gives_no_point() {
        assert_eq!(parse_location("Mouse moved left"), None);
    }
}
