//! What can be typed: commands, options, their help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::failure::Failure;
use crate::debuginfo::{DebugOptions, Servers};
use crate::lang::{parse_duration, parse_share};
use crate::limits::BUFFER_BYTES_LEAST;
use crate::sink::TimeStyle;
use crate::sources::{SourceMap, SourcePlaces};

/// Dynamic logpoints for running native programs, from outside
#[derive(Parser, Debug)]
#[command(name = "tracer", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Colour the output
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        long_help = "Colour the output: auto (on a terminal, unless NO_COLOR is set), always, never"
    )]
    pub(super) color: Colour,
    /// Write what the tracer does itself to a file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        long_help = "Write what the tracer does itself to a file; RUST_LOG filters it (default: debug)"
    )]
    pub(super) log_file: Option<PathBuf>,
    /// Have the kernel side write there too
    #[arg(
        long,
        global = true,
        requires = "log_file",
        long_help = "Have the kernel side write there too: each hit that is lost, each condition that cannot be read, how each plan ends. Costs each hit some time; RUST_LOG=tracer_ebpf=debug has only what is wrong"
    )]
    pub(super) log_kernel: bool,
}

/// When output is coloured.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Put logpoints on a running process and show their values
    #[command(after_help = ATTACH_EXAMPLES)]
    Attach(Box<Attach>),
    /// List source files, their lines that can be probed, or the sites of one line
    #[command(after_help = LINES_EXAMPLES)]
    Lines(Lines),
    /// List the variables in scope at a location: type, place, readable or why not
    #[command(after_help = VARS_EXAMPLES)]
    Vars(Vars),
    /// List functions, with where they are declared and their inlined copies
    Funcs(Funcs),
    /// Say what this machine and a process allow, and what to do about what is missing
    Doctor(Doctor),
    /// Print a shell's completions
    Completions {
        /// For this shell
        shell: Shell,
    },
    /// Print the manual page, of one command when it is named
    Man {
        /// The page of this command
        command: Option<String>,
    },
}

const ATTACH_EXAMPLES: &str = "\
Examples:
  sudo tracer attach                                   pick a process, a file and a line
  sudo tracer attach --pid 4242                        pick a file and a line
  sudo tracer attach --pid myservice -e 'log src/main.rs:57 \"x {last.x} -> {current.x}\"'
  tracer attach --check --exe ./app -f probes.txt       what these probes would be; attaches nothing
  sudo tracer attach --pid 4242 -e 'log worker.rs:88 if job.retries > 3' --output json --for 1m

The same probes can be typed in the terminal UI, behind `:`.";

const LINES_EXAMPLES: &str = "\
Examples:
  tracer lines --pid 4242                 source files
  tracer lines --exe ./app main.rs        lines of a file, with the number of sites
  tracer lines --exe ./app main.rs:57     sites of a line";

const VARS_EXAMPLES: &str = "\
Examples:
  tracer vars --pid 4242 main.rs:57
  tracer vars --exe ./app app::handle_request";

/// Put logpoints on a running process and show their values.
#[derive(ClapArgs, Debug)]
pub(super) struct Attach {
    /// The process: its pid, or its name when just one process has it
    #[arg(long, short, value_name = "PID", action = ArgAction::Append)]
    pid: Vec<String>,
    /// The same without `--pid`
    #[arg(value_name = "PID", num_args = 0.., conflicts_with = "exe", hide_short_help = true)]
    process: Vec<String>,
    /// A probe, as in `log main.rs:57 "x {x}" if x > 3`
    #[arg(long = "probe", short = 'e', value_name = "PROBE")]
    pub(super) probes: Vec<String>,
    /// A file of probes, one on each line; `#` begins a comment. Saved again, it changes the probes.
    /// `-` and pipes are read once, to their end
    #[arg(long = "file", short = 'f', value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Say what the probes would be (sites, values, cost) and attach nothing
    #[arg(long)]
    pub(super) check: bool,
    /// With --check: a program or library that need not run, instead of a process
    #[arg(long, value_name = "PATH", requires = "check", conflicts_with = "pid")]
    pub(super) exe: Option<PathBuf>,
    /// How to show events: tui (on a terminal), text, json
    #[arg(long, short, value_name = "HOW", hide_possible_values = true)]
    pub(super) output: Option<Output>,
    /// Probe the processes that the target forks from now on, too: cheap, exact [default: cheap]
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "cheap",
        hide_possible_values = true,
        long_help = "Probe the processes that the target forks from now on, too, until they end or execute another program; the session ends with the last of them. cheap: from some moments after their start, nobody else is touched, and what was not seen is told. exact: from their first instruction; the probes' instructions are breakpoints in every process of the machine that runs the same file, and each that is none of the family's pays a trap whenever it passes one, which no counter and no --max-cpu knows of [default, without a value: cheap]"
    )]
    pub(super) follow_fork: Option<FollowArg>,
    /// End after this time: `500ms`, `10s`, `5m`
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(super) time: Option<Duration>,
    /// Show what `count`, `hist` and `time` have so far each time this has passed, and at the end
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) every: Option<Duration>,
    /// How text writes times: local, date (with date and zone), utc, relative (since the start),
    /// delta (since the line before)
    #[arg(
        long = "time",
        value_name = "HOW",
        default_value = "local",
        hide_possible_values = true
    )]
    pub(super) time_style: TimeArg,
    /// Write what is traced, and at the end what became of it, to this file as JSON, too
    #[arg(long, value_name = "FILE")]
    pub(super) summary: Option<PathBuf>,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) events: Option<u64>,
    #[command(flatten)]
    pub(super) debug: DebugArgs,
    /// Levels that are followed from a variable's object on: a collection, a reference or a smart
    /// pointer is one, a raw pointer two [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=16))]
    max_depth: Option<u32>,
    /// Elements that are read of an array or collection [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4096))]
    max_elements: Option<u64>,
    /// Bytes that are read of a text [default: 256]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=4095))]
    max_string: Option<u64>,
    /// Bytes that are read of one value before its pointers are followed [default: 4096]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=16384))]
    max_value: Option<u64>,
    /// Redact the values of these names too, beside `password`, `token`, `secret`, …; `card*` is
    /// each that begins so
    #[arg(long, value_name = "NAME")]
    pub(super) redact: Vec<String>,
    /// Show the values of every name
    #[arg(long, conflicts_with = "redact")]
    pub(super) no_redact: bool,
    /// CPU time that all probes together may cost the target, traps included; `off`: any
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "25%",
        value_parser = max_cpu,
        long_help = "CPU time that all probes together may cost the target, their traps included, as a percentage of one CPU; `off`: any. Probes that cost more for some seconds are silenced and taken out, the dearest first, and you are told. `cpu N%` in a probe limits that probe alone"
    )]
    pub(super) max_cpu: MaxCpu,
    /// Bytes of events that may wait for the output: `64M`; beyond, the oldest are lost, and counted
    /// [default: 256M]
    #[arg(long, value_name = "SIZE", value_parser = buffer_size)]
    pub(super) buffer_size: Option<usize>,
    /// Bytes of the ring between kernel and tracer [default: 16 MiB]
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    pub(super) ring_bytes: Option<u32>,
    /// Attach by perf events even where the kernel has multi-uprobe links
    #[arg(long, hide_short_help = true)]
    pub(super) perf_events: bool,
    /// Which instruction of a line is probed: cheapest (where hits and values are proven to be
    /// the same as at the first), first
    #[arg(
        long,
        value_name = "WHICH",
        default_value = "cheapest",
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub(super) site: SiteArg,
}

/// Which instruction of a line is probed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SiteArg {
    /// The cheapest that is the same
    Cheapest,
    /// The first
    First,
}

/// From when on processes that are forked have the probes.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FollowArg {
    /// From some moments after their start
    Cheap,
    /// From their first instruction
    Exact,
}

impl Attach {
    /// The process as it was named, with `--pid` or without.
    ///
    /// # Errors
    /// More than one is named, or something that names none.
    pub(super) fn process(&self) -> Result<Option<&str>, Failure> {
        let named: Vec<&str> = self
            .pid
            .iter()
            .chain(&self.process)
            .map(String::as_str)
            .collect();
        if let Some(probe) = named.iter().find(|one| is_probe(one)) {
            return Err(Failure::new(format!("`{probe}` is not a process"))
                .hint(format!("give a probe with `-e`: `-e '{probe}'`")));
        }
        let several = |one: &&str| {
            let pids = one.split([',', ' ']).filter(|part| !part.is_empty());
            one.contains([',', ' ']) && pids.clone().all(|part| part.parse::<u32>().is_ok())
        };
        if named.len() > 1 || named.iter().any(several) {
            return Err(Failure::new("one process at a time can be traced").hint(
                "start a `tracer` for each; `--follow-fork` has the processes that one forks from now on"
                    .to_owned(),
            ));
        }
        Ok(named.first().copied())
    }

    /// What becomes of processes that are forked.
    pub(super) fn forks(&self) -> crate::session::Forks {
        use crate::session::Forks;
        match self.follow_fork {
            None => Forks::Left,
            Some(FollowArg::Cheap) => Forks::Told,
            Some(FollowArg::Exact) => Forks::Exact,
        }
    }

    /// How much of a value is read.
    pub(super) fn limits(&self) -> crate::plan::Limits {
        let default = crate::plan::Limits::default();
        crate::plan::Limits {
            depth: self.max_depth.unwrap_or(default.depth),
            elements: self.max_elements.unwrap_or(default.elements),
            string_bytes: self.max_string.unwrap_or(default.string_bytes),
            value_bytes: self.max_value.unwrap_or(default.value_bytes),
            ..default
        }
    }
}

/// True for a probe that lacks its `-e`.
fn is_probe(argument: &str) -> bool {
    let action = argument.split_whitespace().next().unwrap_or_default();
    crate::lang::ACTIONS.contains(&action) && action.len() < argument.trim().len()
}

/// How text writes times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TimeArg {
    /// Local time
    Local,
    /// Local time with its date and zone
    Date,
    /// UTC with its date
    Utc,
    /// Seconds since the session began
    Relative,
    /// Seconds since the line before
    Delta,
}

impl From<TimeArg> for TimeStyle {
    fn from(arg: TimeArg) -> Self {
        match arg {
            TimeArg::Local => Self::Local,
            TimeArg::Date => Self::Date,
            TimeArg::Utc => Self::Utc,
            TimeArg::Relative => Self::Relative,
            TimeArg::Delta => Self::Delta,
        }
    }
}

/// How events are shown.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Terminal UI
    Tui,
    /// One line an event
    Text,
    /// One JSON object an event
    Json,
}

/// Where debug information is that is not in the program's file.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Debug information")]
pub(super) struct DebugArgs {
    /// The program's debug information is in this file
    #[arg(long, value_name = "FILE")]
    pub(super) debug_file: Option<PathBuf>,
    /// Look for debug files in this directory first; may be given more than once
    #[arg(long = "debug-dir", value_name = "DIR")]
    pub(super) debug_dirs: Vec<PathBuf>,
    /// Take a debug file of another build too: values may be wrong
    #[arg(long)]
    pub(super) ignore_build_id: bool,
    /// Keep files of debuginfod servers in this directory
    #[arg(
        long,
        value_name = "DIR",
        hide_short_help = true,
        long_help = "Keep files of debuginfod servers in this directory, which may be of the user who called sudo [default: `$DEBUGINFOD_CACHE_PATH`, `debuginfod_client` of `$XDG_CACHE_HOME` or of `~/.cache`; with sudo root's own]"
    )]
    pub(super) debuginfod_cache: Option<PathBuf>,
    /// Look for sources in this directory; may be given more than once
    #[arg(
        long = "source-dir",
        value_name = "DIR",
        value_parser = source_dir,
        long_help = "Look for sources in this directory, when they are not where debug information says: by the end of their path, the longest that is there. May be given more than once"
    )]
    pub(super) source_dirs: Vec<PathBuf>,
    /// Sources below FROM are below TO here; may be given more than once
    #[arg(
        long = "map-source",
        value_name = "FROM=TO",
        value_parser = source_map,
        long_help = "Sources that debug information has below FROM are below TO here, such as `--map-source /build/app=.`; looked at before all other places. May be given more than once"
    )]
    pub(super) source_maps: Vec<SourceMap>,
}

/// A process or a file, to look at.
#[derive(ClapArgs, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct Subject {
    /// The process: its pid, or its name when just one process has it
    #[arg(long, short, value_name = "PID")]
    pub(super) pid: Option<String>,
    /// A program or library that need not run
    #[arg(long, value_name = "PATH")]
    pub(super) exe: Option<PathBuf>,
}

/// List lines.
#[derive(ClapArgs, Debug)]
pub(super) struct Lines {
    #[command(flatten)]
    pub(super) subject: Subject,
    #[command(flatten)]
    pub(super) debug: DebugArgs,
    /// List the files of libraries, packages and the compiler too
    #[arg(long)]
    pub(super) all: bool,
    /// Source files by the end of their paths, and maybe a line of each
    #[arg(value_name = "FILE[:LINE]")]
    pub(super) locations: Vec<String>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// List variables.
#[derive(ClapArgs, Debug)]
pub(super) struct Vars {
    #[command(flatten)]
    pub(super) subject: Subject,
    #[command(flatten)]
    pub(super) debug: DebugArgs,
    /// FILE:LINE, a function, or an address
    #[arg(value_name = "LOCATION")]
    pub(super) location: String,
    /// One JSON object a site
    #[arg(long)]
    pub(super) json: bool,
}

/// List functions.
#[derive(ClapArgs, Debug)]
pub(super) struct Funcs {
    #[command(flatten)]
    pub(super) subject: Subject,
    #[command(flatten)]
    pub(super) debug: DebugArgs,
    /// List the functions of libraries, packages and the compiler too
    #[arg(long)]
    pub(super) all: bool,
    /// Write generic arguments in full
    #[arg(long)]
    pub(super) full_names: bool,
    /// A part of the function's name: `report`, `app::report`
    #[arg(value_name = "PATTERN")]
    pub(super) pattern: Option<String>,
    /// One JSON object a function
    #[arg(long)]
    pub(super) json: bool,
}

/// Look at machine and process.
#[derive(ClapArgs, Debug)]
pub(super) struct Doctor {
    /// Look at this process too: its pid, or its name
    #[arg(long, short, value_name = "PID")]
    pub(super) pid: Option<String>,
    #[command(flatten)]
    pub(super) debug: DebugArgs,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl DebugArgs {
    /// Where debug information is looked for.
    pub(super) fn options(&self) -> DebugOptions {
        DebugOptions {
            debug_file: self.debug_file.clone(),
            debug_dirs: self.debug_dirs.clone(),
            root: None,
            ignore_build_id: self.ignore_build_id,
            debuginfod: Servers::of_environment(self.debuginfod_cache.as_deref()),
            sources: SourcePlaces {
                maps: self.source_maps.clone(),
                directories: self.source_dirs.clone(),
                rustup: Vec::new(),
            }
            .with_rustup(),
        }
    }
}

fn source_dir(text: &str) -> Result<PathBuf, String> {
    let path = std::path::absolute(text).map_err(|error| error.to_string())?;
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Ok(path),
        Ok(_) => Err("it is not a directory".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn source_map(text: &str) -> Result<SourceMap, String> {
    let Some((from, to)) = text.split_once('=') else {
        return Err("write `FROM=TO`, such as `/build/app=/home/me/app`".to_owned());
    };
    if from.is_empty() {
        return Err("the path before `=` is missing".to_owned());
    }
    Ok(SourceMap {
        from: PathBuf::from(from),
        to: source_dir(to).map_err(|error| format!("`{to}`: {error}"))?,
    })
}

/// CPUs that all probes may cost; `None`: any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MaxCpu(pub(super) Option<f64>);

fn max_cpu(text: &str) -> Result<MaxCpu, String> {
    if text == "off" {
        return Ok(MaxCpu(None));
    }
    let percent = format!("{}%", text.trim_end_matches('%'));
    parse_share(&percent)
        .map(|share| MaxCpu(Some(share)))
        .ok_or_else(|| "write a percentage of one CPU, as in `25%`, or `off`".into())
}

fn buffer_size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit {
        "" => Some(0),
        "K" | "KiB" => Some(10),
        "M" | "MiB" => Some(20),
        "G" | "GiB" => Some(30),
        _ => None,
    };
    let bytes = shift.and_then(|shift| digits.parse::<usize>().ok()?.checked_mul(1 << shift));
    match bytes {
        Some(bytes) if bytes >= BUFFER_BYTES_LEAST => Ok(bytes),
        Some(_) => Err(format!("{} MiB are the least", BUFFER_BYTES_LEAST >> 20)),
        None => Err("write a number of bytes, with K, M or G behind it, as in `64M`".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .ok_or_else(|| "write a number and ns, us, ms, s, m or h, as in `500ms`".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn process_is_named_with_pid_or_without() {
        for args in [&["attach", "-p", "801"][..], &["attach", "801"]] {
            let args = Args::try_parse_from(["tracer"].iter().chain(args)).unwrap();
            let Command::Attach(attach) = args.command else {
                unreachable!("attach was typed");
            };
            assert_eq!(attach.process().unwrap(), Some("801"));
        }
    }

    #[test]
    fn more_than_one_process_and_a_bare_probe_are_told() {
        for (args, message) in [
            (
                &["attach", "-p", "801", "-p", "823"][..],
                "one process at a time",
            ),
            (&["attach", "-p", "801,823"], "one process at a time"),
            (&["attach", "801", "823"], "one process at a time"),
            (&["attach", "801", "-p", "801"], "one process at a time"),
            (
                &["attach", "801", "log f.c:7"],
                "`log f.c:7` is not a process",
            ),
        ] {
            let parsed = Args::try_parse_from(["tracer"].iter().chain(args)).unwrap();
            let Command::Attach(attach) = parsed.command else {
                unreachable!("attach was typed");
            };
            let failure = attach.process().unwrap_err();
            assert!(
                failure.message().contains(message),
                "{args:?}: {}",
                failure.message()
            );
            assert!(failure.advice().is_some(), "{args:?}");
        }
    }

    #[test]
    fn buffer_size_has_units_and_a_least() {
        assert_eq!(buffer_size("64M"), Ok(64 << 20));
        assert_eq!(buffer_size("8192KiB"), Ok(8 << 20));
        assert_eq!(buffer_size("1G"), Ok(1 << 30));
        assert_eq!(buffer_size("8000000"), Ok(8_000_000));
        for text in [
            "",
            "M",
            "64X",
            "-1",
            "1M",
            "99999999999999999999",
            "99999999999G",
        ] {
            assert!(buffer_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn probes_keep_their_order() {
        let args =
            Args::try_parse_from(["tracer", "attach", "-p", "1", "-e", "log a", "-e", "log b"])
                .unwrap();
        let Command::Attach(attach) = args.command else {
            unreachable!("attach was typed");
        };
        assert_eq!(attach.probes, ["log a", "log b"]);
    }
}
