//! The command line: commands, options, their help.

mod config;
mod export;
mod limit_options;
mod mcp;
mod selectors;
mod settings;
mod telemetry;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::failure::CommandFailure;
use crate::actions;
use crate::debuginfo::{DebugOptions, Servers};
use crate::lang::parse_duration;
use crate::sink::TimeStyle;
use crate::sources::{SourceMap, SourcePlaces};
use crate::target::select::{Selector, SelectorKind};

pub(super) use config::{ConfigReport, ConfigState};
pub(super) use export::{ExportArgs, ExportTo, LiveExport};
pub(super) use limit_options::LimitArgs;
pub(super) use mcp::McpArgs;
pub(super) use selectors::{SelectorArgs, TargetArgs, parse_target_line};
pub(super) use settings::SettingsArgs;
pub(super) use telemetry::TelemetryArgs;

/// Dynamic logpoints for running native programs, from outside
#[derive(Parser, Debug)]
#[command(name = "tracer", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: TracerCommand,
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
    /// Write the tracer's own log to a file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        long_help = "Write the tracer's own log to a file; RUST_LOG filters it (default: debug)"
    )]
    pub(super) log_file: Option<PathBuf>,
    /// Also log the kernel side
    #[arg(
        long,
        global = true,
        requires = "log_file",
        long_help = "Also log the kernel side: each lost hit, each unreadable condition, how each plan ends. This slows every hit down; RUST_LOG=tracer_ebpf=debug logs only problems"
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
pub(super) enum TracerCommand {
    /// Put logpoints on a running process and show their values
    #[command(after_help = ATTACH_EXAMPLES)]
    Attach(Box<Attach>),
    /// Start a program with logpoints in it, from its first instruction
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// Record a session in a file, and write nothing else: `tracer view` shows it, on any machine
    #[command(after_help = RECORD_EXAMPLES)]
    Record(Box<RecordArgs>),
    /// Look at a recording in the terminal UI; needs no privileges
    #[command(after_help = VIEW_EXAMPLES)]
    View(ViewArgs),
    /// Convert a recording for other tools
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// List source files, their lines that can be probed, or the sites of one line
    #[command(after_help = LINES_EXAMPLES)]
    Lines(Lines),
    /// List the variables in scope at a location: type, place, readable or why not
    #[command(after_help = VARS_EXAMPLES)]
    Vars(Vars),
    /// List functions, with where they are declared and their inlined copies
    Funcs(Funcs),
    /// Serve an assistant over the Model Context Protocol, within limits that it cannot change
    #[command(after_help = mcp::EXAMPLES)]
    Mcp(Box<McpArgs>),
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

impl TracerCommand {
    /// Takes the settings of the configuration file over, where the command line has none.
    ///
    /// # Errors
    /// The file has a mistake.
    pub(super) fn configure(&mut self) -> Result<(), CommandFailure> {
        match self {
            Self::Attach(attach) => attach.trace.configure(),
            Self::Record(record) => record.trace.configure(),
            Self::Run(run) => run.trace.configure(),
            Self::Mcp(mcp) => mcp.configure(),
            Self::View(view) => view.settings.configure().map(drop),
            _ => Ok(()),
        }
    }
}

const ATTACH_EXAMPLES: &str = "\
Examples:
  sudo tracer attach                                   pick a process, a file and a line
  sudo tracer attach --pid 4242                        pick a file and a line
  sudo tracer attach --pid myservice -e 'log src/main.rs:57 \"x {last.x} -> {current.x}\"'
  sudo tracer attach --unit nginx.service --user www-data -f probes.txt
  sudo tracer attach --wait --exe ./app -e 'log app.c:12'
  tracer attach --check --exe ./app -f probes.txt       what these probes would be; attaches nothing
  sudo tracer attach --pid 4242 -e 'log worker.rs:88 if job.retries > 3' --output json --for 1m
  sudo tracer attach --pid 4242 -e 'watch stats.served if new < old depth 2'

The same probes can be typed in the terminal UI, behind `:`.";

const RUN_EXAMPLES: &str = "\
Examples:
  sudo tracer run -- ./app --flag                      pick lines, then start it; its output is in a pane
  sudo tracer run -e 'log app.c:12 \"{x}\"' -- ./app --flag
  sudo tracer run -f probes.txt --tee events.json -- ./app > output-of-app
  sudo tracer run --user www-data -e 'count handle_request' -- ./server

With probes, events are written to stderr, so the program's stdout stays its own. Signals go to the
program, and its exit code is that of `tracer`. Without a probe, on a terminal, the terminal UI opens
and waits with the program's start until `r` is pressed.";

const RECORD_EXAMPLES: &str = "\
Examples:
  sudo tracer record session.trz --pid 4242 -e 'log main.rs:57 \"{x}\"' --for 1m
  sudo tracer record session.trz --unit nginx.service -f probes.txt
  tracer view session.trz                               look at it, later and elsewhere
  zstdcat session.trz | jq -c 'select(.type == \"event\") | .message'

Ctrl-C ends the recording. `--record FILE` of `attach` and `run` records beside any other output.";

const VIEW_EXAMPLES: &str = "\
Examples:
  tracer view session.trz

`g` goes to a time or an event: #1000, 50%, +90s, 12:04:31. `?` shows all keys.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  tracer export events.trz --to perfetto --output trace.pftrace     open it at https://ui.perfetto.dev
  tracer export events.trz --to parquet -o events.parquet
  tracer export events.trz --to csv | column -s, -t
  tracer export events.trz --to pprof -o hits.pb.gz && go tool pprof -top hits.pb.gz
  tracer export events.trz --to otlp --otlp http://localhost:4317";

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
    #[command(flatten)]
    target: TargetArgs,
    /// Short for `--pid`
    #[arg(value_name = "PID", num_args = 0.., hide_short_help = true)]
    process: Vec<String>,
    /// Say what the probes would be (sites, values, cost) and attach nothing
    #[arg(
        long,
        long_help = "Say what the probes would be (sites, values, cost) and attach nothing. With `--exe PATH`, the program or library need not run"
    )]
    pub(super) check: bool,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

/// Record a session, and write nothing else.
#[derive(ClapArgs, Debug)]
pub(super) struct RecordArgs {
    /// The recording. An existing file is replaced
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

impl RecordArgs {
    /// The session that is recorded.
    ///
    /// # Errors
    /// It has another output.
    pub(super) fn into_attach(self) -> Result<Attach, CommandFailure> {
        if self.trace.output.is_some() || self.trace.record.is_some() {
            return Err(
                CommandFailure::new("`tracer record` has no other output").hint(format!(
                    "`tracer attach --record {}` records beside any output",
                    self.file.display()
                )),
            );
        }
        Ok(Attach {
            target: self.target,
            process: Vec::new(),
            check: false,
            trace: TraceArgs {
                output: Some(Output::Nothing),
                record: Some(self.file),
                ..self.trace
            },
        })
    }
}

/// Look at a recording.
#[derive(ClapArgs, Debug)]
pub(super) struct ViewArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// Start a program with logpoints in it, from its first instruction.
#[derive(ClapArgs, Debug)]
pub(super) struct RunArgs {
    /// Run it as this user [default: the one who called sudo]
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
    /// The program and its arguments, behind `--`
    #[arg(value_name = "COMMAND", required = true, last = true)]
    pub(super) command: Vec<OsString>,
}

/// Probes, and how their events are shown.
#[derive(ClapArgs, Debug)]
pub(super) struct TraceArgs {
    /// A probe, as in `log main.rs:57 "x {x}" if x > 3`
    #[arg(long = "probe", short = 'e', value_name = "PROBE")]
    pub(super) probes: Vec<String>,
    /// A file of probes, one on each line; `#` begins a comment. Saved again, it changes the probes.
    /// `-` and pipes are read once, to their end
    #[arg(long = "file", short = 'f', value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// How to show events: tui (on a terminal), text, json, otel-console
    #[arg(long, short, value_name = "HOW", hide_possible_values = true)]
    pub(super) output: Option<Output>,
    /// Also probe the processes that the target forks: cheap, exact [default: cheap]
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "cheap",
        hide_possible_values = true,
        long_help = "Also probe the processes that the target forks, until they end or execute another program; the session ends with the last of them. cheap: children are probed a moment after their start, no other process is touched, and the delay is reported. exact: children are probed from their first instruction; the breakpoints are then in every process of the machine that runs the same file, and an unrelated process pays for a trap each time it passes one, which no counter and no --max-cpu includes [default, without a value: cheap]"
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
    /// List the hits of each process in the summary of each probe
    #[arg(long)]
    pub(super) per_process: bool,
    /// Write the JSON output to this file, too, beside the terminal UI, text or JSON
    #[arg(long, value_name = "FILE")]
    pub(super) tee: Option<PathBuf>,
    /// Record the session in this file, beside any output; `tracer view` shows it, on any machine
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Write the events to this file in another format, too: json, csv, parquet, chrome, perfetto,
    /// pprof. May be given more than once
    #[arg(
        long = "export",
        value_name = "FORMAT=PATH",
        value_parser = export::live_export,
        long_help = "Write the events to this file in another format, too, beside any output: json, csv, parquet, chrome, perfetto, pprof, as in `--export perfetto=trace.pftrace`. csv, parquet and pprof are written at the end. May be given more than once"
    )]
    pub(super) exports: Vec<LiveExport>,
    #[command(flatten)]
    pub(super) telemetry: TelemetryArgs,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) events: Option<u64>,
    #[command(flatten)]
    pub(super) debug: DebugArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    /// Redact the values of these names too, beside `password`, `token`, `secret`, …; `card*` is
    /// each that begins so
    #[arg(long, value_name = "NAME")]
    pub(super) redact: Vec<String>,
    /// Show the values of every name
    #[arg(long, conflicts_with = "redact")]
    pub(super) no_redact: bool,
    /// Raise the semaphores of USDT probes while they are attached: a write into the target
    #[arg(
        long,
        long_help = "Raise the semaphores of USDT probes while they are attached. A program prepares such a probe's arguments only while its semaphore is not 0. This is the one write into the target that tracer ever makes: the kernel adds 1 when the probe is attached, and subtracts it when the probe ends in any way, even if tracer is killed. Without this option, probes with a semaphore are refused"
    )]
    pub(super) usdt_semaphores: bool,
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

/// The instruction of a line to probe.
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
    /// The selected processes. Empty if none are.
    ///
    /// # Errors
    /// A selector is empty or malformed, or a probe is where a process should be.
    pub(super) fn selector(&self) -> Result<Selector, CommandFailure> {
        let named = self.target.selectors.pid.iter().chain(&self.process);
        if let Some(probe) = named.into_iter().find(|one| is_probe(one)) {
            return Err(CommandFailure::new(format!("`{probe}` is not a process"))
                .hint(format!("give a probe with `-e`: `-e '{probe}'`")));
        }
        let mut selector = self.target.selector()?;
        for process in &self.process {
            selector.add(SelectorKind::Pid, process)?;
        }
        Ok(selector)
    }
}

impl TraceArgs {
    fn configure(&mut self) -> Result<(), CommandFailure> {
        let (limits, redact) = self.settings.configure()?;
        self.limits = std::mem::take(&mut self.limits).or(limits);
        self.redact.extend(redact);
        Ok(())
    }

    /// Handling of the processes that the target forks.
    pub(super) fn forks(&self) -> crate::session::Forks {
        use crate::session::Forks;
        match self.follow_fork {
            None => Forks::Left,
            Some(FollowArg::Cheap) => Forks::Told,
            Some(FollowArg::Exact) => Forks::Exact,
        }
    }
}

/// True for a probe that lacks its `-e`.
fn is_probe(argument: &str) -> bool {
    let action = argument.split_whitespace().next().unwrap_or_default();
    actions::names().any(|name| name == action) && action.len() < argument.trim().len()
}

/// Style of times in text.
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

/// The form in which events are shown.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Terminal UI
    Tui,
    /// One line an event
    Text,
    /// One JSON object an event
    Json,
    /// OpenTelemetry's records, as its SDKs print them
    OtelConsole,
    /// No lines: the session is recorded
    #[value(skip)]
    Nothing,
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
        long_help = "Keep files of debuginfod servers in this directory, which may belong to the user who called sudo [default: `$DEBUGINFOD_CACHE_PATH`, `debuginfod_client` of `$XDG_CACHE_HOME` or of `~/.cache`; with sudo root's own]"
    )]
    pub(super) debuginfod_cache: Option<PathBuf>,
    /// Look for sources below this directory; may be given more than once
    #[arg(
        long = "source-dir",
        value_name = "DIR",
        value_parser = source_dir,
        long_help = "Look below this directory for sources that are not at their path, by the longest end of the path that exists. May be given more than once"
    )]
    pub(super) source_dirs: Vec<PathBuf>,
    /// Sources below FROM are below TO here; may be given more than once
    #[arg(
        long = "map-source",
        value_name = "FROM=TO",
        value_parser = source_map,
        long_help = "Look for sources below FROM in TO first, such as `--map-source /build/app=.`. May be given more than once"
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

/// Look at machine and processes.
#[derive(ClapArgs, Debug)]
pub(super) struct Doctor {
    #[command(flatten)]
    selectors: SelectorArgs,
    /// Short for `--pid`
    #[arg(value_name = "PID", num_args = 0.., hide_short_help = true)]
    process: Vec<String>,
    #[command(flatten)]
    pub(super) debug: DebugArgs,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Doctor {
    /// The selected processes. Empty if none are.
    ///
    /// # Errors
    /// A selector is empty or malformed.
    pub(super) fn selector(&self) -> Result<Selector, CommandFailure> {
        let mut selector = self.selectors.selector()?;
        for process in &self.process {
            selector.add(SelectorKind::Pid, process)?;
        }
        Ok(selector)
    }
}

impl DebugArgs {
    /// Places to look for debug information.
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

pub(super) fn duration(text: &str) -> Result<Duration, String> {
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

    /// The selector of `tracer attach` with these arguments.
    fn selected(args: &[&str]) -> Result<Selector, CommandFailure> {
        let args = ["tracer", "attach"].iter().chain(args);
        let TracerCommand::Attach(attach) = Args::try_parse_from(args).unwrap().command else {
            unreachable!("attach was typed");
        };
        attach.selector()
    }

    #[test]
    fn process_is_named_with_pid_or_without() {
        for args in [&["-p", "801"][..], &["801"], &["--pid", "801"]] {
            let selector = selected(args).unwrap();
            assert!(selector.is_one_pid());
            assert_eq!(selector.pids, [801]);
        }
        assert_eq!(selected(&["801", "-p", "802,803"]).unwrap().pids.len(), 3);
        assert!(selected(&[]).unwrap().is_empty());
    }

    #[test]
    fn doctor_takes_a_process_without_its_option() {
        let args = Args::try_parse_from(["tracer", "doctor", "801", "shop"]).unwrap();
        let TracerCommand::Doctor(doctor) = args.command else {
            unreachable!("doctor was typed");
        };
        let selector = doctor.selector().unwrap();
        assert_eq!(selector.to_string(), "--pid 801 --pid shop");
    }

    #[test]
    fn selectors_of_each_kind_are_kept_as_written() {
        let selector = selected(&[
            "--name",
            "nginx",
            "--name",
            "worker-*",
            "--exe",
            "./app",
            "--unit",
            "web",
            "--cgroup",
            "/a",
            "--container",
            "pod:shop",
            "--user",
            "www-data",
            "shop",
            "--now-only",
        ]);
        let selector = selector.unwrap();
        assert_eq!(
            selector.to_string(),
            "--pid shop --name nginx --name 'worker-*' --exe ./app --unit web.service --cgroup /a \
             --container pod:shop --user www-data"
        );
        assert!(selector.now_only && !selector.wait);
        let both = ["tracer", "attach", "--now-only", "--wait", "1"];
        assert!(Args::try_parse_from(both).is_err());
    }

    #[test]
    fn bare_probe_and_malformed_selectors_are_refused() {
        for (args, message) in [
            (&["801", "log f.c:7"][..], "`log f.c:7` is not a process"),
            (&["-p", "count f.c:7"], "`count f.c:7` is not a process"),
            (&["--name", ""], "the name is empty"),
            (
                &["--cgroup", "/a/../b"],
                "the cgroup `/a/../b` has a component",
            ),
        ] {
            let failure = selected(args).unwrap_err();
            assert!(
                failure.message().starts_with(message),
                "{}",
                failure.message()
            );
        }
    }

    #[test]
    fn probes_keep_their_order() {
        let args =
            Args::try_parse_from(["tracer", "attach", "-p", "1", "-e", "log a", "-e", "log b"])
                .unwrap();
        let TracerCommand::Attach(attach) = args.command else {
            unreachable!("attach was typed");
        };
        assert_eq!(attach.trace.probes, ["log a", "log b"]);
    }
}
