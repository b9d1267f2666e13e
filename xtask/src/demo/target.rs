//! The demo's target: `target-app`, started, and what it prints.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::failure::Failure;
use crate::pointer::{Display, Point, Running};
use crate::workspace;

/// How long the target watches; the demo ends it when it is done itself.
const WATCH_SECONDS: &str = "3600";
/// Longest that the target takes to see a move: four times its own interval.
pub(super) const NOTICE: Duration = Duration::from_secs(1);
/// Lines kept to be shown at the end.
const KEPT_LINES: usize = 64;

/// One movement as the target printed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Movement {
    /// The position in the first line.
    pub(super) to: Point,
    /// The second line's last word: `left` or `right`.
    pub(super) horizontal: String,
    /// The third line's last word: `up` or `down`.
    pub(super) vertical: String,
}

/// The running target; it ends with this.
#[derive(Debug)]
pub(super) struct Target {
    process: Running,
    lines: Mutex<Receiver<String>>,
    kept: Arc<Mutex<VecDeque<String>>>,
}

impl Target {
    /// Starts it and waits until it has begun to watch.
    ///
    /// # Errors
    /// It could not be started, or ended at once.
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
        // Two lines say that it starts; what it watches comes after them.
        for _ in 0..2 {
            target.line(Duration::from_secs(30))?;
        }
        Ok(target)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// The next movement that it prints; none when it saw none in [`NOTICE`],
    /// as when the pointer moved before the target looked for the first time.
    ///
    /// # Errors
    /// It ended, or printed what it never prints.
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

    /// The last lines that it printed.
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
