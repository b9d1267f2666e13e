//! The demo without a terminal: text output for a few seconds, and a check of it.
//!
//! The pointer moves step by step, each time after the target has printed the last move, until the
//! tracer has shown the requested number. Then three records of the same moves are compared: the
//! positions that we set, the target's output, and the values that the tracer read at the branch.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::target::{DemoTarget, Movement};
use crate::pointer::{Hand, Point, path};
use crate::support::failure::Failure;

/// Events after which the tracer ends: about four seconds of movement.
pub(super) const EVENTS: usize = 16;
/// The tracer's own time limit, in case no events come.
pub(super) const TRACER_LIMIT: &str = "60s";
/// Moves after which the target must have printed one.
const PATIENCE: usize = 10;
/// Time after which the demo gives up, beyond the tracer's limit.
const LIMIT: Duration = Duration::from_secs(75);

/// One hit of the logpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShownMove {
    pub(super) last: Point,
    pub(super) current: Point,
}

/// Attaches, moves, compares, and prints the comparison.
pub(super) fn run(release: bool, hand: &Hand, target: &DemoTarget, probe: &str) -> Result<()> {
    println!(
        "the target's own log says the direction; the logpoint shows why it is wrong:\n  {probe}\n"
    );
    // One movement is printed before the tracer starts, so every later movement starts at a
    // position that we chose.
    let (step, first) = first_movement(hand, target)?;
    let mut moves = vec![first];
    let mut command = super::tracer(release, target, probe)?;
    command
        .args(["--output", "text", "--for", TRACER_LIMIT])
        .args(["--events", &EVENTS.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut tracer = command.spawn().context("cannot run the tracer")?;
    let stdout = tracer.stdout.take();
    let reader = std::thread::spawn(move || print_lines(stdout));

    move_until_ended(hand, target, &mut tracer, step + 1, &mut moves)?;
    let lines = reader
        .join()
        .map_err(|_| Failure::new("the tracer's output could not be read"))?;
    let status = tracer.wait().context("cannot wait for the tracer")?;
    if !status.success() {
        return Err(Failure::new(format!("the tracer failed ({status})")).into());
    }
    let hits = lines
        .iter()
        .map(|line| {
            parse_hit(line).ok_or_else(|| Failure::new(format!("the tracer printed `{line}`")))
        })
        .collect::<Result<Vec<ShownMove>, Failure>>()?;
    compare(&moves, &hits)?;
    println!("\nchecked {} moves, one after the other:", hits.len());
    println!("  the coordinates in each event are those that the pointer was moved from and to");
    println!("  target-app printed the same position for each");
    println!("  target-app printed the wrong direction for each, on both axes");
    if target.next_movement()?.is_some() {
        return Err(Failure::new("target-app printed a movement that was not made").into());
    }
    println!(
        "target-app still runs, as the same process {}",
        target.pid()
    );
    Ok(())
}

/// Passes the tracer's lines on as they come.
fn print_lines(stdout: Option<ChildStdout>) -> Vec<String> {
    stdout
        .into_iter()
        .flat_map(|stdout| BufReader::new(stdout).lines())
        .map_while(Result::ok)
        .inspect(|line| println!("{line}"))
        .collect()
}

/// Moves along the path until the target has printed a movement, because it may look for the first
/// time only after a few moves. Returns the step of the path too.
pub(super) fn first_movement(
    hand: &Hand,
    target: &DemoTarget,
) -> Result<(usize, (Point, Movement))> {
    for step in 0..PATIENCE {
        let to = path(step);
        hand.move_to(to)?;
        if let Some(movement) = target.next_movement()? {
            return Ok((step, (to, movement)));
        }
    }
    Err(Failure::new("target-app never saw the pointer move").into())
}

/// Moves along the path from a step on, each time the target has printed the last move, until the
/// tracer ends.
pub(super) fn move_until_ended(
    hand: &Hand,
    target: &DemoTarget,
    tracer: &mut Child,
    first: usize,
    moves: &mut Vec<(Point, Movement)>,
) -> Result<()> {
    let started = Instant::now();
    for step in first.. {
        let ended = tracer.try_wait().context("cannot wait for the tracer")?;
        if ended.is_some() {
            break;
        }
        if started.elapsed() > LIMIT {
            // The tracer may run as root while we do not, so its own limit comes first.
            let _ = tracer.kill();
            return Err(Failure::new("the tracer did not end at its time limit").into());
        }
        let to = path(step);
        hand.move_to(to)?;
        let movement = target
            .next_movement()?
            .ok_or_else(|| Failure::new("target-app missed a move"))?;
        moves.push((to, movement));
    }
    Ok(())
}

/// Compares the three records. Returns the index of the first hit's move.
pub(super) fn compare(moves: &[(Point, Movement)], hits: &[ShownMove]) -> Result<usize> {
    if hits.len() != EVENTS {
        return Err(Failure::new(format!(
            "the tracer showed {} events and not {EVENTS}",
            hits.len()
        ))
        .into());
    }
    let first = hits.first().copied();
    let start = (1..moves.len())
        .find(|&index| first.is_some_and(|hit| made(moves, index) == Some(hit)))
        .ok_or_else(|| Failure::new("the tracer's first event is none of the moves made"))?;
    for (index, hit) in hits.iter().enumerate() {
        let expected = made(moves, start + index)
            .ok_or_else(|| Failure::new(format!("event {} is no move made", index + 1)))?;
        if *hit != expected {
            return Err(Failure::new(format!(
                "event {} shows {hit:?}, and the move made was {expected:?}",
                index + 1
            ))
            .into());
        }
        check_target(moves.get(start + index), hit)?;
    }
    Ok(start)
}

/// The tracer's message for a move, starting at the last position.
fn made(moves: &[(Point, Movement)], index: usize) -> Option<ShownMove> {
    let (last, _) = moves.get(index.checked_sub(1)?)?;
    let (current, _) = moves.get(index)?;
    Some(ShownMove {
        last: *last,
        current: *current,
    })
}

/// The bug: the target must have printed the right position, and both directions wrong.
fn check_target(made: Option<&(Point, Movement)>, hit: &ShownMove) -> Result<()> {
    let horizontal = if hit.current.x > hit.last.x {
        "left"
    } else {
        "right"
    };
    let vertical = if hit.current.y > hit.last.y {
        "up"
    } else {
        "down"
    };
    let expected = Movement {
        to: hit.current,
        horizontal: horizontal.to_owned(),
        vertical: vertical.to_owned(),
    };
    match made {
        Some((_, printed)) if *printed == expected => Ok(()),
        printed => Err(Failure::new(format!(
            "at {hit:?} target-app printed {printed:?} and not {expected:?}"
        ))
        .into()),
    }
}

/// Parses a line of text output: `… x 640 -> 812, y 400 -> 380`.
fn parse_hit(line: &str) -> Option<ShownMove> {
    let (_, values) = line.split_once(" x ")?;
    parse_values(values)
}

/// Parses the logpoint's message: `x 640 -> 812, y 400 -> 380`.
pub(super) fn parse_move(message: &str) -> Option<ShownMove> {
    parse_values(message.strip_prefix("x ")?)
}

fn parse_values(values: &str) -> Option<ShownMove> {
    let (x, y) = values.split_once(", y ")?;
    let ((last_x, x), (last_y, y)) = (x.split_once(" -> ")?, y.split_once(" -> ")?);
    Some(ShownMove {
        last: Point {
            x: last_x.parse().ok()?,
            y: last_y.parse().ok()?,
        },
        current: Point {
            x: x.parse().ok()?,
            y: y.parse().ok()?,
        },
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn point(x: i16, y: i16) -> Point {
        Point { x, y }
    }

    /// Moves and hits of the path, as the buggy program prints them.
    pub(in super::super) fn story() -> (Vec<(Point, Movement)>, Vec<ShownMove>) {
        let moves: Vec<(Point, Movement)> = (0..EVENTS + 4)
            .map(|step| {
                let (from, to) = (path(step), path(step + 1));
                let movement = Movement {
                    to,
                    horizontal: if to.x > from.x { "left" } else { "right" }.to_owned(),
                    vertical: if to.y > from.y { "up" } else { "down" }.to_owned(),
                };
                (to, movement)
            })
            .collect();
        let hits = (3..3 + EVENTS)
            .filter_map(|index| made(&moves, index))
            .collect();
        (moves, hits)
    }

    #[test]
    fn text_line_gives_its_hit() {
        assert_eq!(
            parse_hit("12:04:31.250117 Monitor/4711 main.rs:119 x 640 -> -812, y 4 -> 380"),
            Some(ShownMove {
                last: point(640, 4),
                current: point(-812, 380)
            })
        );
    }

    #[test]
    fn text_line_with_unreadable_value_gives_no_hit() {
        let line = "12:04:31.250117 Monitor/4711 main.rs:119 x <optimised out> -> 1, y 4 -> 380";
        assert_eq!(parse_hit(line), None);
    }

    #[test]
    fn same_moves_in_all_stories_pass() {
        let (moves, hits) = story();
        assert!(compare(&moves, &hits).is_ok());
    }

    #[test]
    fn coordinate_off_by_one_fails() {
        let (moves, mut hits) = story();
        hits[5].current.x += 1;
        assert!(compare(&moves, &hits).is_err());
    }

    #[test]
    fn missing_event_fails() {
        let (moves, mut hits) = story();
        hits.remove(7);
        assert!(compare(&moves, &hits).is_err());
    }

    #[test]
    fn right_direction_printed_fails() {
        let (mut moves, hits) = story();
        moves[8].1.horizontal = "sideways".to_owned();
        assert!(compare(&moves, &hits).is_err());
    }
}
