//! `cargo xtask soak`: runs random targets, probes and signals for as long as asked.
//!
//! Each round has a kind. The seed and the number of the round determine everything random in it,
//! so a round can be repeated. The targets' own counters are the reference. The checks are exact by
//! construction, whatever else the machine does; see the kinds in `soak/rounds`.

mod accounts;
#[path = "../../tracer/examples/damage/copy.rs"]
mod copy;
mod counters;
mod findings;
mod lines;
mod perturb;
mod places;
mod probes;
mod programs;
#[path = "../../tracer/tests/kernel/support/random.rs"]
mod random;
mod report;
mod residue;
mod round;
mod rounds;
mod session;
mod target;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::setup::machine::Need;
use crate::support::command::{as_root, is_root};
use crate::support::failure::Failure;
use crate::{build, setup, support::workspace};
use programs::SoakPrograms;
use report::SoakReport;
use residue::Before;
use round::{Round, RoundKind};

/// Time that `cargo xtask test` runs.
const QUICK: Duration = Duration::from_secs(180);
/// Time without an option on the command line.
const USUAL: Duration = Duration::from_secs(600);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Time to run, in hours
    #[arg(long, value_name = "N", conflicts_with_all = ["minutes", "round"])]
    hours: Option<f64>,
    /// Time to run, in minutes [default: 10]
    #[arg(long, value_name = "N", conflicts_with = "round")]
    minutes: Option<f64>,
    /// Seed of everything random; the same seed gives the same rounds
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Run only the round with this number
    #[arg(long, value_name = "K", requires = "seed")]
    round: Option<u64>,
    /// Run only rounds of these kinds
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KINDS")]
    only: Vec<RoundKind>,
    /// Soak the dev build, without the time limit for hostile files
    #[arg(long)]
    dev: bool,
    /// Report progress each time these minutes have passed
    #[arg(long, value_name = "N", default_value_t = 5.0)]
    every: f64,
    /// Everything is built; the soak passes this to itself when it restarts as root
    #[arg(long, hide = true)]
    built: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.built {
        setup::ensure(&[Need::Build, Need::Tests])?;
        build::programs(!args.dev)?;
    }
    let programs = programs::build(!args.dev)?;
    if !is_root() {
        return go_on_as_root();
    }
    let time = match (args.hours, args.minutes) {
        (Some(hours), _) => Duration::try_from_secs_f64(hours * 3600.0),
        (None, Some(minutes)) => Duration::try_from_secs_f64(minutes * 60.0),
        (None, None) => Ok(USUAL),
    };
    let plan = Plan {
        seed: args.seed.unwrap_or_else(new_seed),
        rounds: match args.round {
            Some(round) => Rounds::One(round),
            None => Rounds::For(time.context("that is no time")?),
        },
        only: &args.only,
        every: Duration::try_from_secs_f64(args.every * 60.0).context("that is no time")?,
    };
    soak(&plan, &programs)
}

/// Runs three minutes of the soak, with the programs that the tests have built.
///
/// # Errors
/// Differences were found.
pub(crate) fn quick() -> Result<()> {
    let programs = programs::build(false)?;
    if is_root() {
        let plan = Plan {
            seed: new_seed(),
            rounds: Rounds::For(QUICK),
            only: &[],
            every: QUICK,
        };
        return soak(&plan, &programs);
    }
    match as_root("env", "tracing in the soak") {
        Ok(_) => {
            let minutes = (QUICK.as_secs() / 60).to_string();
            as_root_with(&["soak", "--dev", "--minutes", &minutes, "--built"])
        }
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {error}");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The rounds to run.
struct Plan<'a> {
    seed: u64,
    rounds: Rounds,
    only: &'a [RoundKind],
    every: Duration,
}

/// Numbers of the rounds.
enum Rounds {
    /// A single round.
    One(u64),
    /// As many rounds as fit into this time.
    For(Duration),
}

fn soak(plan: &Plan<'_>, programs: &SoakPrograms) -> Result<()> {
    let above = programs::directory()?;
    let began = Instant::now();
    let before = Before::look()?;
    let mut report = SoakReport::new(plan.seed);
    println!("soak: seed {}", plan.seed);
    match plan.rounds {
        Rounds::One(number) => one(plan, number, programs, &before, &above, &mut report)?,
        Rounds::For(time) => {
            let mut told = began;
            for number in 0.. {
                one(plan, number, programs, &before, &above, &mut report)?;
                if began.elapsed() >= time {
                    break;
                }
                if told.elapsed() >= plan.every {
                    told = Instant::now();
                    print!("{}", report.text());
                }
            }
        }
    }
    print!("{}", report.text());
    match report.failed() {
        0 => Ok(()),
        failed => Err(Failure::new(format!(
            "{failed} rounds of seed {} failed; the first one: {}",
            plan.seed,
            report.first()
        ))
        .hint("the commands above repeat each of them")
        .into()),
    }
}

fn one(
    plan: &Plan<'_>,
    number: u64,
    programs: &SoakPrograms,
    before: &Before,
    above: &Path,
    report: &mut SoakReport,
) -> Result<()> {
    // Several mounts may run at once.
    let mine = above.join(format!("running-{}", std::process::id()));
    let mut round = Round::new(plan.seed, number, plan.only, programs, &mine)?;
    round.run(before);
    report.add(&round, number, above)?;
    // The removal fails only if something is left in the directory.
    let _ = std::fs::remove_dir(&mine);
    Ok(())
}

/// A seed from the clock.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| now.as_secs() ^ u64::from(now.subsec_nanos()))
}

/// Runs the command again as root.
fn go_on_as_root() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).chain(["--built".into()]).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    as_root_with(&arguments)
}

fn as_root_with(arguments: &[&str]) -> Result<()> {
    let exe = workspace::this_program().context("cannot find this program")?;
    let mut command = as_root("env", "tracing in the soak")?;
    command
        .arg(format!(
            "CARGO_TARGET_DIR={}",
            workspace::target().display()
        ))
        .arg(exe)
        .args(arguments);
    let status = command.status().context("cannot run as root")?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("the soak failed ({status})")).into())
    }
}
