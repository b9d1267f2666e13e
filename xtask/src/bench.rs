//! `cargo xtask bench`: measures the cost of a hit, and how fast a trace starts and ends.
//!
//! Everything is measured from outside: the target reports the time of its calls, the kernel the
//! run time of eBPF programs, and the observers' output the delivered events. Every time is
//! compared with an eBPF program that does nothing, in the same run. See docs/performance.md.

mod code;
mod hits;
mod lookup;
mod observed;
mod observer;
mod otlp;
mod page;
mod peers;
mod placement;
mod programs;
mod real;
mod recording;
mod report;
mod sites;
mod start;
mod statistics;
mod table;
mod target;
mod targets;
mod ui;

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::setup::machine::Need;
use crate::support::command::{as_root, is_root};
use crate::support::failure::Failure;
use crate::{build, setup, support::workspace};
use report::{BenchReport, Host};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Fewer and shorter runs, with one hitting thread
    #[arg(long)]
    quick: bool,
    /// Measure other tracers too: bpftrace, perf, gdb
    #[arg(long)]
    peers: bool,
    /// Write the result to docs/performance.md
    #[arg(long)]
    write_docs: bool,
    /// Run only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Measure only the placement part, on this program alone
    #[arg(long, value_name = "FILE")]
    program: Option<std::path::PathBuf>,
    /// Everything is built; the bench passes this to itself when it restarts as root
    #[arg(long, hide = true)]
    built: bool,
}

impl Args {
    fn wants(&self, part: Part) -> bool {
        match (&self.program, self.only.as_slice()) {
            (Some(_), _) => part == Part::Placement,
            (None, []) => true,
            (None, only) => only.contains(&part),
        }
    }
}

/// One part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The cost of a hit
    Hits,
    /// Time from the start to the first event, and to the end
    Start,
    /// A line with many sites
    Sites,
    /// Slowdown of a real program
    Real,
    /// Time to look up a line of a large binary
    Lookup,
    /// Many processes of one program
    Targets,
    /// Share of lines with a cheap site
    Placement,
    /// Events to an OpenTelemetry collector
    Otlp,
    /// Recordings: written, and opened
    Recording,
    /// Answers of the terminal UI under load
    Ui,
    /// Calls that are recorded line by line
    Traces,
    /// Values that are watched
    Watches,
}

/// The amount of measuring.
#[derive(Clone, Copy, Debug)]
struct Extent {
    repeats: u32,
    milliseconds: u64,
    threads: &'static [u32],
    peers: bool,
}

impl Extent {
    fn of(args: &Args) -> Self {
        if args.quick {
            Self {
                repeats: 3,
                milliseconds: 200,
                threads: &[1],
                peers: args.peers,
            }
        } else {
            // A tight loop at the cheapest kind of site makes a million hits.
            Self {
                repeats: 5,
                milliseconds: 800,
                threads: &[1, 2],
                peers: args.peers,
            }
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let out = quiet_stdout()?;
    if !args.built {
        prepare(args)?;
    }
    if !is_root() {
        return go_on_as_root(&out);
    }
    let mut report = BenchReport {
        host: host(&Extent::of(args))?,
        ..BenchReport::default()
    };
    measure(args, &mut report)?;
    report.host.load = std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| load(&text));
    if args.write_docs {
        page::write(&report)?;
    }
    let text = if args.json {
        serde_json::to_string(&report)? + "\n"
    } else {
        table::text(&report)
    };
    let mut out = out;
    out.write_all(text.as_bytes())
        .context("cannot write the result")
}

/// Reserves stdout for the result. All other output goes to stderr.
fn quiet_stdout() -> Result<File> {
    let out = rustix::io::dup(rustix::stdio::stdout()).context("there is no stdout")?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr()).context("there is no stderr")?;
    Ok(File::from(out))
}

/// Installs and builds the measured programs.
fn prepare(args: &Args) -> Result<()> {
    setup::ensure(&[Need::Build, Need::Ebpf])?;
    if args.wants(Part::Otlp) {
        setup::ensure(&[Need::Telemetry])?;
    }
    if args.peers
        && let Err(error) = setup::ensure(&[Need::Peers])
    {
        eprintln!("bench: {error:#}; going on with the peers that there are");
    }
    build::programs(true)?;
    build::programs(false)?;
    if args.wants(Part::Placement) {
        build::example(placement::EXAMPLE)?;
    }
    Ok(())
}

/// Runs the command again as root, because it loads eBPF programs.
fn go_on_as_root(out: &File) -> Result<()> {
    let exe = workspace::this_program().context("cannot find this program")?;
    let mut command: Command = as_root("env", "measuring eBPF")?;
    command
        .arg(format!(
            "CARGO_TARGET_DIR={}",
            workspace::target().display()
        ))
        .arg(exe)
        .args(std::env::args_os().skip(1))
        .arg("--built")
        .stdout(out.try_clone().context("there is no stdout")?);
    let status = command.status().context("cannot run as root")?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("the bench failed ({status})")).into())
    }
}

fn measure(args: &Args, report: &mut BenchReport) -> Result<()> {
    let extent = Extent::of(args);
    let wanted = |part| args.wants(part);
    if wanted(Part::Hits) {
        hits::measure(report, &extent)?;
    }
    if wanted(Part::Start) {
        start::measure(report, &extent);
    }
    if wanted(Part::Sites)
        && let Err(error) = sites::measure(report, &extent)
    {
        report.note("many sites", &error);
    }
    if wanted(Part::Real)
        && let Err(error) = real::measure(report, &extent)
    {
        report.note("a real program", &error);
    }
    if wanted(Part::Lookup)
        && let Err(error) = lookup::measure(report, &extent)
    {
        report.note("looking up a line", &error);
    }
    if wanted(Part::Targets)
        && let Err(error) = targets::measure(report, &extent, args.quick)
    {
        report.note("many processes", &error);
    }
    if wanted(Part::Placement)
        && let Err(error) = placement::measure(report, args.quick, args.program.as_deref())
    {
        report.note("lines with a cheap site", &error);
    }
    if wanted(Part::Recording)
        && let Err(error) = recording::measure(report, &extent)
    {
        report.note("recordings", &error);
    }
    if wanted(Part::Ui)
        && let Err(error) = ui::measure(report, args.quick)
    {
        report.note("answers of the terminal UI", &error);
    }
    if wanted(Part::Traces)
        && let Err(error) = sites::traces::measure(report, &extent)
    {
        report.note("recorded calls", &error);
    }
    if wanted(Part::Watches)
        && let Err(error) = sites::watches::measure(report, &extent)
    {
        report.note("watched values", &error);
    }
    if wanted(Part::Otlp)
        && let Err(error) = otlp::measure(report, &extent, args.quick)
    {
        report.note("events to a collector", &error);
    }
    Ok(())
}

fn host(extent: &Extent) -> Result<Host> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    Ok(Host {
        kernel: rustix::system::uname().release().to_string_lossy().into(),
        cpus: std::thread::available_parallelism()?.get(),
        date: date(now.as_secs() / 86_400),
        repeats: extent.repeats,
        milliseconds: extent.milliseconds,
        load: None,
    })
}

/// The load average over five minutes, which is the second number of `/proc/loadavg`.
fn load(text: &str) -> Option<f64> {
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Year, month and day from the days since 1970-01-01, by Howard Hinnant's `civil_from_days`.
fn date(days: u64) -> String {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months are counted from March, so that a leap day comes last.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::{date, load};

    #[test]
    fn load_is_that_of_five_minutes() {
        assert_eq!(load("8.06 8.34 8.68 3/217 2001"), Some(8.34));
        assert_eq!(load(""), None);
    }

    #[test]
    fn days_have_their_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_781), "2026-11-24");
    }
}
