//! The demo as a debugger's user would go about it: step through a call, line by line. Nothing is stopped for it.
//!
//! `trace` records calls of the function that prints the directions, while the pointer moves. The first of them is shown
//! with its source, and all of them are checked against the moves made: the values of the arguments, the branch that
//! was taken, and the words that the target printed there.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;

use super::headless::{first_movement, move_until_ended};
use super::target::{DemoTarget, Movement};
use super::{SOURCE, while_moving};
use crate::pointer::{Hand, Point};
use crate::support::failure::Failure;
use crate::support::workspace;

/// The function that prints the directions.
const FUNCTION: &str = "report_mouse_movement";
/// Calls that are recorded.
const CALLS: usize = 8;
/// The tracer's own time limit, in case no call comes.
const TRACER_LIMIT: &str = "60s";

/// A step of a recorded call.
#[derive(Clone, Debug, PartialEq)]
struct DemoStep {
    call: u64,
    kind: String,
    line: usize,
    message: String,
    /// The arguments, where they are in scope.
    current: Option<Point>,
    last: Option<Point>,
}

/// Opens the terminal UI with a recorded call.
pub(super) fn interactive(hand: &Hand, target: &DemoTarget) -> Result<()> {
    println!("Enter on a step opens the recorded call; there, ? lists the keys");
    let mut tracer = super::tracer(false, target, &format!("trace {FUNCTION} hits 3"))?;
    tracer.args(["--output", "tui"]);
    let status = while_moving(hand, target, &mut tracer)?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("the tracer failed ({status})")).into()),
    }
}

/// Records some calls, shows one, and checks all.
pub(super) fn check(hand: &Hand, target: &DemoTarget) -> Result<()> {
    let probe = format!("trace {FUNCTION} hits {CALLS}");
    println!("step through a call while the program runs at full speed:\n  {probe}\n");
    let (step, first) = first_movement(hand, target)?;
    let mut moves = vec![first];
    let mut command = super::tracer(false, target, &probe)?;
    command
        .args(["--output", "json", "--for", TRACER_LIMIT])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut tracer = command.spawn().context("cannot run the tracer")?;
    let stdout = tracer.stdout.take().context("the tracer has no output")?;
    let reader = std::thread::spawn(move || -> Vec<String> {
        let lines = BufReader::new(stdout).lines();
        lines.map_while(Result::ok).collect()
    });
    move_until_ended(hand, target, &mut tracer, step + 1, &mut moves)?;
    let lines = reader
        .join()
        .map_err(|_| Failure::new("the tracer's output could not be read"))?;
    let status = tracer.wait().context("cannot wait for the tracer")?;
    if !status.success() {
        return Err(Failure::new(format!("the tracer failed ({status})")).into());
    }
    let steps: Vec<DemoStep> = lines.iter().filter_map(|line| parse(line)).collect();
    let path = workspace::root().join(SOURCE);
    let source = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let source: Vec<&str> = source.lines().collect();
    for step in steps.iter().filter(|step| step.call == 1) {
        println!("{}", shown(step, &source));
    }
    let checked = compare(&moves, &steps, &source)?;
    println!("\nchecked {checked} recorded calls, one after the other:");
    println!("  the arguments of each are the positions that the pointer was moved from and to");
    println!(
        "  where current.x > last.x, the next line is the one that prints `left`: that branch lies"
    );
    println!(
        "target-app still runs, as the same process {}",
        target.pid()
    );
    Ok(())
}

/// A step with its source.
fn shown(step: &DemoStep, source: &[&str]) -> String {
    let text = step.line.checked_sub(1).and_then(|at| source.get(at));
    let text = text.copied().unwrap_or_default();
    let mark = match step.kind.as_str() {
        "enter" => "→",
        "return" => "←",
        _ => " ",
    };
    format!("{mark} {:>4} {text:<46} {}", step.line, step.message)
}

/// Parses a line of JSON. `None` if the line is not a step.
fn parse(line: &str) -> Option<DemoStep> {
    let event: Value = serde_json::from_str(line).ok()?;
    let step = event.get("step")?;
    let point = |name: &str| {
        let mut values = event["values"].as_array()?.iter();
        let value = &values.find(|value| value["expr"] == name)?["value"];
        let part = |key: &str| i16::try_from(value[key].as_i64()?).ok();
        Some(Point {
            x: part("x")?,
            y: part("y")?,
        })
    };
    Some(DemoStep {
        call: step["call"].as_u64()?,
        kind: step["kind"].as_str()?.to_owned(),
        line: usize::try_from(event["line"].as_u64()?).ok()?,
        message: event["message"].as_str()?.to_owned(),
        current: point("current"),
        last: point("last"),
    })
}

/// Compares the recorded calls with the moves. Returns the number of calls.
fn compare(moves: &[(Point, Movement)], steps: &[DemoStep], source: &[&str]) -> Result<usize> {
    let mut from = 1;
    for call in 1..=CALLS {
        let of_call: Vec<&DemoStep> = steps
            .iter()
            .filter(|step| usize::try_from(step.call).is_ok_and(|number| number == call))
            .collect();
        let wrong = |what: &str| Failure::new(format!("call {call}: {what}"));
        let first = of_call
            .first()
            .ok_or_else(|| wrong("it was not recorded"))?;
        let is_returned = of_call.last().is_some_and(|step| step.kind == "return");
        if first.kind != "enter" || !is_returned {
            return Err(wrong("it has no beginning, or no return").into());
        }
        let (Some(current), Some(last)) = (first.current, first.last) else {
            return Err(wrong("its arguments are not shown").into());
        };
        let is_made = |index: &usize| {
            let made = (moves.get(*index), moves.get(*index - 1));
            matches!(made, (Some(to), Some(before)) if to.0 == current && before.0 == last)
        };
        let index = (from..moves.len()).find(is_made);
        let index = index.ok_or_else(|| wrong("its arguments are no move made"))?;
        from = index + 1;
        let passes = |word: &str| {
            let text = format!("println!(\"Mouse moved {word}\");");
            of_call.iter().any(|step| {
                let line = step.line.checked_sub(1).and_then(|at| source.get(at));
                line.is_some_and(|line| line.trim() == text)
            })
        };
        let word = if current.x > last.x { "left" } else { "right" };
        let other = if current.x > last.x { "right" } else { "left" };
        if !passes(word) || passes(other) {
            return Err(wrong("its steps do not pass the branch of its arguments").into());
        }
        let printed = moves.get(index).map(|(_, movement)| &*movement.horizontal);
        if printed != Some(word) {
            return Err(wrong("target-app printed another word").into());
        }
    }
    Ok(CALLS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "fn f() {\n    println!(\"Mouse moved left\");\n    println!(\"Mouse moved right\");\n}";

    /// Moves to the right, and the calls that saw them.
    fn story() -> (Vec<(Point, Movement)>, Vec<DemoStep>) {
        let point = |x: usize| Point {
            x: i16::try_from(x).expect("small"),
            y: 0,
        };
        let movement = |x: usize| Movement {
            to: point(x),
            horizontal: "left".into(),
            vertical: "down".into(),
        };
        let moves = (0..CALLS + 2).map(|x| (point(x), movement(x))).collect();
        let step = |call: usize, kind: &str, line| DemoStep {
            call: call as u64,
            kind: kind.into(),
            line,
            message: String::new(),
            current: Some(point(call + 1)),
            last: Some(point(call)),
        };
        let calls = (1..=CALLS).flat_map(|call| {
            [
                step(call, "enter", 1),
                step(call, "line", 2),
                step(call, "return", 4),
            ]
        });
        (moves, calls.collect())
    }

    #[test]
    fn calls_with_the_moves_and_their_branches_pass() {
        let source: Vec<&str> = TEXT.lines().collect();
        let (moves, steps) = story();
        assert!(compare(&moves, &steps, &source).is_ok());
    }

    #[test]
    fn other_arguments_and_other_branches_fail() {
        let source: Vec<&str> = TEXT.lines().collect();
        let (moves, steps) = story();
        let mut other = steps.clone();
        other[6].current = Some(Point { x: 99, y: 0 });
        assert!(compare(&moves, &other, &source).is_err());
        let mut other = steps.clone();
        other[4].line = 3;
        assert!(compare(&moves, &other, &source).is_err());
        let (_, unfinished) = steps.split_last().expect("steps");
        assert!(compare(&moves, unfinished, &source).is_err());
    }

    #[test]
    fn line_of_json_gives_its_step() {
        let line = r#"{"type":"event","line":118,"message":"m","values":[{"expr":"current","type":"Pointer","value":{"$type":"Pointer","x":7,"y":-2}}],"step":{"call":3,"number":2,"kind":"line"}}"#;
        let step = parse(line).expect("a step");
        assert_eq!((step.call, step.line), (3, 118));
        assert_eq!(step.current, Some(Point { x: 7, y: -2 }));
        assert_eq!(parse(r#"{"type":"summary"}"#), None);
    }
}
