//! `cargo xtask demo`: traces a running program at the line with its bug.
//!
//! The program is `target-app`, which prints *left* when the pointer goes right. The demo moves its
//! pointer along a path, attaches the tracer, and opens the terminal UI with a logpoint on the
//! branch that decides. [`headless`] does the same without a terminal and checks the output.
//! [`stepped`] steps through recorded calls. [`exported`] sends the same as spans to a collector of OpenTelemetry.

mod collector;
mod exported;
mod headless;
mod stepped;
mod target;

use std::io::IsTerminal;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::pointer::{Display, Hand, path};
use crate::setup::machine::Need;
use crate::support::command::as_root;
use crate::support::failure::{Failure, USAGE};
use crate::support::steps::Steps;
use crate::{build, setup, support::workspace};
use collector::Collector;
use target::DemoTarget;

/// Source file of the target, from the workspace's root.
const SOURCE: &str = "target-app/src/main.rs";
/// The branch whose messages are swapped.
const BRANCH: &str = "if current.x > last.x {";
/// The logpoint's message, which [`headless`] parses.
const TEMPLATE: &str = "x {last.x} -> {current.x}, y {last.y} -> {current.y}";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print text instead of opening the terminal UI, and check it against the moves made; always
    /// uses its own X server
    #[arg(long)]
    headless: bool,
    /// Trace the optimised build of the target
    #[arg(long)]
    release: bool,
    /// Send each call as a span to the OpenTelemetry collector at URL, at OTEL_EXPORTER_OTLP_ENDPOINT, or one that is
    /// installed and started now. The optimised build has no such calls: they are inlined
    #[arg(long, value_name = "URL", num_args = 0..=1, conflicts_with = "release")]
    #[expect(clippy::option_option, reason = "the option may be without a URL")]
    otel: Option<Option<String>>,
    /// Record calls of the function with the bug line by line, to step through them. The optimised build has no such
    /// calls
    #[arg(long, conflicts_with_all = ["release", "otel"])]
    steps: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !args.headless && !interactive {
        return Err(Failure::new("the demo's terminal UI needs a terminal")
            .hint("`cargo xtask demo --headless` prints text instead")
            .code(USAGE)
            .into());
    }
    let mut steps = Steps::new("demo", 4);
    steps.run("install what is missing here", || {
        let needs = [Need::Build, Need::Telemetry];
        let count = 1 + usize::from(args.otel.is_some());
        setup::ensure(needs.get(..count).unwrap_or(&needs))
    })?;
    steps.run("build tracer and target-app", || {
        build::programs(args.release)
    })?;
    let (display, hand, target) = steps.run("start target-app, the program to trace", || {
        let display = display(args.headless)?;
        let hand = Hand::on(&display)?;
        let target = DemoTarget::start(&display, args.release)?;
        println!(
            "  target-app runs as process {} on display {} ({}); nothing in it knows of tracing",
            target.pid(),
            display.name(),
            display.kind()
        );
        Ok((display, hand, target))
    })?;
    let probe = probe()?;
    steps.run("trace it", || match &args.otel {
        None if args.steps && args.headless => stepped::check(&hand, &target),
        None if args.steps => stepped::interactive(&hand, &target),
        Some(url) => {
            let collector = Collector::find(url.as_deref())?;
            let probes = exported::probes(&probe)?;
            let chapter = if args.headless {
                exported::check
            } else {
                exported::interactive
            };
            chapter(args.release, &hand, &target, &probes, &collector)
        }
        None if args.headless => headless::run(args.release, &hand, &target, &probe),
        None => interactive_session(args.release, &hand, &target, &probe),
    })?;
    drop(display);
    Ok(())
}

/// Runs the demo without a terminal: its text, its spans, and its steps.
pub(crate) fn check() -> Result<()> {
    for (otel, steps) in [(None, false), (Some(None), false), (None, true)] {
        run(&Args {
            headless: true,
            release: false,
            otel,
            steps,
        })?;
    }
    Ok(())
}

/// The user's X server, or our own.
fn display(headless: bool) -> Result<Display> {
    // The check must not depend on the user's pointer movements.
    let given = if headless { None } else { Display::given() };
    given.map_or_else(Display::start, Ok)
}

/// The logpoint on the branch, at its current line in the source.
///
/// # Errors
/// The source is missing, or has no such branch.
pub(crate) fn probe() -> Result<String> {
    let file = workspace::root().join(SOURCE);
    let line = line_of(&file, BRANCH)?;
    Ok(format!("log {SOURCE}:{line} \"{TEMPLATE}\""))
}

fn line_of(file: &Path, text: &str) -> Result<usize> {
    let source =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    source
        .lines()
        .position(|line| line.trim() == text)
        .map(|index| index + 1)
        .ok_or_else(|| Failure::new(format!("no line of {SOURCE} is `{text}`")).into())
}

/// `tracer attach` to the target, as root. The caller adds further options.
fn tracer(release: bool, target: &DemoTarget, probe: &str) -> Result<Command> {
    let mut command = as_root(workspace::binary("tracer", release), "tracing")?;
    command
        .args(["attach", "--pid", &target.pid().to_string(), "-e", probe])
        .current_dir(workspace::root());
    Ok(command)
}

/// Opens the terminal UI, with the pointer moving until the user quits it.
fn interactive_session(release: bool, hand: &Hand, target: &DemoTarget, probe: &str) -> Result<()> {
    let mut tracer = tracer(release, target, probe)?;
    tracer.args(["--output", "tui"]);
    let status = while_moving(hand, target, &mut tracer)?;
    println!("meanwhile, target-app printed:");
    for line in target.last_lines(9) {
        println!("  {line}");
    }
    println!("left for right, up for down: the messages of {SOURCE} are swapped");
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("the tracer failed ({status})")).into())
    }
}

/// Runs the tracer to its end, with the pointer moving.
fn while_moving(hand: &Hand, target: &DemoTarget, tracer: &mut Command) -> Result<ExitStatus> {
    let quit = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mover = scope.spawn(|| keep_moving(hand, target, &quit));
        let status = tracer.status().context("cannot run the tracer");
        quit.store(true, Ordering::Relaxed);
        // Failures of the mover show in the target's output.
        let _ = mover.join();
        status
    })
}

/// Moves the pointer each time the target has printed the last move.
fn keep_moving(hand: &Hand, target: &DemoTarget, quit: &AtomicBool) -> Result<()> {
    for step in 0.. {
        if quit.load(Ordering::Relaxed) {
            break;
        }
        hand.move_to(path(step))?;
        target.next_movement()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_names_a_line_of_the_source() {
        assert!(probe().is_ok_and(|probe| probe.starts_with("log target-app/src/main.rs:")));
    }
}
