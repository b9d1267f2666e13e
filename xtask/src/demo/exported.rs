//! `demo --otel`: the same story as spans at a collector of OpenTelemetry, without an edit of the program.
//!
//! Each call of the function with the bug is a span. The logpoint at the branch and those at the lines that print a
//! direction are its events, so a span has both coordinates and the wrong direction.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

use super::collector::{Collector, ReceivedSpan};
use super::headless::{self, EVENTS, TRACER_LIMIT};
use super::target::{DemoTarget, Movement};
use super::{SOURCE, while_moving};
use crate::pointer::{Hand, Point};
use crate::support::command::as_root;
use crate::support::failure::Failure;
use crate::support::workspace;

/// The function with the bug.
const FUNCTION: &str = "report_mouse_movement";
/// Lines of the function that print a direction.
const PRINTED: &str = "println!(\"Mouse moved ";
/// Events of one span: the branch, and one direction on each axis.
const EVENTS_EACH: usize = 3;

/// The probes: the call as a span, the branch, and each line that prints a direction.
///
/// # Errors
/// The source is missing, or has no such lines.
pub(super) fn probes(branch: &str) -> Result<Vec<String>> {
    let file = workspace::root().join(SOURCE);
    let source = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let mut probes = vec![
        format!("span {FUNCTION} \"mouse moved\""),
        branch.to_owned(),
    ];
    let printed = (1..).zip(source.lines()).filter_map(|(line, text)| {
        let words = text.trim().strip_prefix(PRINTED)?.split('"').next()?;
        Some(format!("log {SOURCE}:{line} \"Mouse moved {words}\""))
    });
    probes.extend(printed);
    if probes.len() == 6 {
        Ok(probes)
    } else {
        Err(Failure::new(format!("{SOURCE} does not print four directions")).into())
    }
}

/// `tracer attach` with all probes, which sends to the collector.
fn tracer(
    release: bool,
    target: &DemoTarget,
    probes: &[String],
    collector: &Collector,
) -> Result<Command> {
    let mut command = as_root("env", "tracing")?;
    for (name, value) in std::env::vars_os() {
        if !name.to_string_lossy().starts_with("OTEL_") {
            continue;
        }
        if collector.is_given() {
            // sudo removes them.
            let mut variable = name;
            variable.push("=");
            variable.push(value);
            command.arg(variable);
        } else {
            command.env_remove(name);
        }
    }
    command
        .arg(workspace::binary("tracer", release))
        .args(["attach", "--pid", &target.pid().to_string()])
        .current_dir(workspace::root());
    for probe in probes {
        command.args(["-e", probe]);
    }
    command.arg("--otlp").args(collector.url());
    Ok(command)
}

/// Opens the terminal UI while the pointer moves, and shows a span of the collector at the end.
pub(super) fn interactive(
    release: bool,
    hand: &Hand,
    target: &DemoTarget,
    probes: &[String],
    collector: &Collector,
) -> Result<()> {
    let mut tracer = tracer(release, target, probes, collector)?;
    tracer.args(["--output", "tui"]);
    let status = while_moving(hand, target, &mut tracer)?;
    if !status.success() {
        return Err(Failure::new(format!("the tracer failed ({status})")).into());
    }
    match collector {
        Collector::Given(_) => println!(
            "the spans of the service `target-app` are at {}",
            collector.name()
        ),
        Collector::Own(own) => match own.received().last() {
            Some(span) => show(span, &collector.name()),
            None => println!("{} has received no span", collector.name()),
        },
    }
    Ok(())
}

fn show(span: &ReceivedSpan, collector: &str) {
    println!("\nthe last span at {collector}:");
    for line in &span.lines {
        println!("  {line}");
    }
    println!("left for right, up for down: the messages of {SOURCE} are swapped");
}

/// Moves the pointer, and compares the spans with the moves made.
pub(super) fn check(
    release: bool,
    hand: &Hand,
    target: &DemoTarget,
    probes: &[String],
    collector: &Collector,
) -> Result<()> {
    println!("each call of `{FUNCTION}` is a span; the lines of the bug are its events:");
    for probe in probes {
        println!("  {probe}");
    }
    let (step, first) = headless::first_movement(hand, target)?;
    let mut moves = vec![first];
    let mut command = tracer(release, target, probes, collector)?;
    let events = EVENTS * (EVENTS_EACH + 1);
    command
        .args(["--output", "json", "--for", TRACER_LIMIT])
        .args(["--events", &events.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut tracer = command.spawn().context("cannot run the tracer")?;
    let output = lines_of(tracer.stdout.take());
    let talk = lines_of(tracer.stderr.take());
    // Every call from now on is a whole span.
    for line in talk.iter() {
        eprintln!("  {line}");
        if line.starts_with("tracing ") {
            break;
        }
    }
    headless::move_until_ended(hand, target, &mut tracer, step + 1, &mut moves)?;
    let status = tracer.wait().context("cannot wait for the tracer")?;
    talk.iter().for_each(|line| eprintln!("  {line}"));
    if !status.success() {
        return Err(Failure::new(format!("the tracer failed ({status})")).into());
    }
    let output: Vec<Value> = output
        .iter()
        .map(|line| serde_json::from_str(&line).context("the tracer printed no JSON"))
        .collect::<Result<_>>()?;
    if let Some(lossy) = output.iter().find(|it| it["undelivered"].is_number()) {
        let why = format!("{} did not get all events: {lossy}", collector.name());
        return Err(Failure::new(why).into());
    }
    let Collector::Own(own) = collector else {
        compare(&moves, &output.iter().filter_map(sent).collect::<Vec<_>>())?;
        println!(
            "{} took all of them, as the service `target-app`",
            collector.name()
        );
        return Ok(());
    };
    let spans = own.spans(EVENTS, EVENTS_EACH);
    let messages: Vec<Vec<String>> = spans.iter().map(|span| span.messages.clone()).collect();
    if let Some(span) = spans.last() {
        show(span, &collector.name());
    }
    compare(&moves, &messages)
}

fn lines_of(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let all = stream.into_iter().flat_map(|it| BufReader::new(it).lines());
        for line in all.map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Messages of the events inside of a span that the tracer printed.
fn sent(event: &Value) -> Option<Vec<String>> {
    let inside = event["span"]["events"].as_array()?.iter();
    let messages = inside.filter_map(|event| event["message"].as_str());
    Some(messages.map(str::to_owned).collect())
}

/// Compares the messages in each span with the moves made, and with the program's own words.
fn compare(moves: &[(Point, Movement)], spans: &[Vec<String>]) -> Result<()> {
    let mut hits = Vec::new();
    for messages in spans {
        let hit = messages.first().filter(|_| messages.len() == EVENTS_EACH);
        let hit = hit.and_then(|message| headless::parse_move(message));
        hits.push(hit.ok_or_else(|| Failure::new(format!("a span has the events {messages:?}")))?);
    }
    let start = headless::compare(moves, &hits)?;
    for (index, messages) in spans.iter().enumerate() {
        let Some((_, printed)) = moves.get(start + index) else {
            continue;
        };
        let words = |word: &str| format!("Mouse moved {word}");
        let expected = [words(&printed.horizontal), words(&printed.vertical)];
        if messages.get(1..) != Some(&expected[..]) {
            let why =
                format!("a span has the events {messages:?}, and target-app printed {expected:?}");
            return Err(Failure::new(why).into());
        }
    }
    println!("\nchecked {} spans, one after the other:", spans.len());
    println!("  the branch is an event of each, with the coordinates of the move");
    println!("  the lines that print are events of each, with the wrong direction on both axes");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::headless::ShownMove;
    use super::super::headless::tests::story;
    use super::*;

    /// The messages in the spans of the story.
    fn spans(moves: &[(Point, Movement)], hits: &[ShownMove]) -> Vec<Vec<String>> {
        let first = hits.first().expect("the story has hits");
        let is_first =
            |pair: &[(Point, Movement)]| (pair[0].0, pair[1].0) == (first.last, first.current);
        let start = 1 + moves.windows(2).position(is_first).expect("it was made");
        let of_hit = |(hit, (_, printed)): (&ShownMove, &(Point, Movement))| {
            let (last, current) = (hit.last, hit.current);
            let branch = format!(
                "x {} -> {}, y {} -> {}",
                last.x, current.x, last.y, current.y
            );
            let words = [&printed.horizontal, &printed.vertical];
            let words = words.map(|word| format!("Mouse moved {word}"));
            [branch].into_iter().chain(words).collect()
        };
        hits.iter().zip(&moves[start..]).map(of_hit).collect()
    }

    #[test]
    fn probes_are_the_call_the_branch_and_four_lines() {
        let probes = probes("log a.rs:1").expect("the source has them");
        assert_eq!(probes.len(), 6);
        assert!(probes[2].ends_with(" \"Mouse moved left\""), "{probes:?}");
    }

    #[test]
    fn spans_of_the_moves_pass_and_those_with_another_direction_or_without_an_event_fail() {
        let (moves, hits) = story();
        let good = spans(&moves, &hits);
        assert!(compare(&moves, &good).is_ok());
        let mut other = good.clone();
        other[5][1] = "Mouse moved sideways".to_owned();
        assert!(compare(&moves, &other).is_err());
        let mut without = good.clone();
        without[5].pop();
        assert!(compare(&moves, &without).is_err());
        let mut fewer = good;
        fewer.pop();
        assert!(compare(&moves, &fewer).is_err());
    }
}
