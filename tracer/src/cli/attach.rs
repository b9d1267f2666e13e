//! `tracer attach`: probes on a running process, shown in the terminal UI or
//! written as lines.

pub(super) mod assistant;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use jiff::tz::TimeZone;

use super::args::{Attach, Output, TraceArgs};
use super::check;
use super::choose::choose;
use super::failure::CommandFailure;
use super::output::{Colours, say, tell};
use super::outputs::{OutputsPlan, StartedOutputs, SummaryFile, Telemetry, end_files};
use super::privileges::user_thread;
use super::probes::{self, WrittenProbe};
use super::reload::{self, KnownFiles, OfFile};
use super::run::launched::LaunchedRun;
use super::stream::{self, Ends, Style, Until};
use super::subject::{await_program, awaited, options, report_all, selector};
use super::watchdog::{Progress, Watchdog, unwritten};
use super::writer::now_ns;
use super::{BAD_INPUT, DONE, INTERRUPTED, MISSING, NOTHING_CAPTURED};
use crate::base::cancel;
use crate::base::signals::Signals;
use crate::base::visible::Visible;
use crate::event::{Aggregate, counted, grouped};
use crate::session::{Aim, Control, ProbeStatus, Removed, Session, SessionOptions, Subscriber};
use crate::sink::summary::{ProcessSummary, Summary};
use crate::sink::text::TextSink;
use crate::sink::{Begin, BeginTarget, Clock, Sink as _};
use crate::target::Process;
use crate::target::select::Selector;
use crate::tui::{self, UiEnd, UnsavedWork};

/// Runs the command.
pub(super) fn run(args: Attach, colours: Colours) -> Result<u8, CommandFailure> {
    if args.check {
        return check::run(&args, colours);
    }
    let how = output(&args.trace)?;
    let written = match probes::read(&args.trace.probes, &args.trace.files) {
        Ok(written) => written,
        Err(failures) => return Err(report_all(failures, colours)),
    };
    if written.probes.is_empty() && how != Output::Tui {
        return Err(CommandFailure::new("only the terminal UI starts without a probe").hint(
            "pass one with `-e`, as in `-e 'log main.rs:57'`, or omit `--output` for the terminal UI"
                .to_owned(),
        ));
    }
    let outputs = OutputsPlan::new(&args.trace)?;
    let is_of_files = args.selector()?.is_empty();
    let target = is_of_files.then(|| written.target.clone());
    let selector = selector(&args, &written.target)?;
    match aim(&args, &selector, how, colours)? {
        Some(aim) => {
            let traced = TracedSubject {
                aim,
                written: &written.probes,
                target,
                launched: None,
            };
            trace(&args.trace, how, colours, outputs, traced)
        }
        None => Ok(DONE),
    }
}

/// Traces a program that waits, which runs once its probes are in it.
pub(super) fn run_launched(
    args: &TraceArgs,
    launched: &LaunchedRun,
    colours: Colours,
) -> Result<u8, CommandFailure> {
    let written = match probes::read(&args.probes, &args.files) {
        Ok(written) => written,
        Err(failures) => return Err(report_all(failures, colours)),
    };
    let has_screen = launched.pane().is_some();
    if written.probes.is_empty() && !has_screen {
        return Err(CommandFailure::new("there is no probe").hint(
            "pass one with `-e`, as in `-e 'log main.rs:57'`, or a file of them with `-f`; on a terminal, \
             neither of them and no `--output` opens the terminal UI"
                .to_owned(),
        ));
    }
    // Without it, a signal has come already.
    let Some(aim) = launched.aim() else {
        return Err(CommandFailure::told(INTERRUPTED));
    };
    let outputs = OutputsPlan::new(args)?;
    let how = match has_screen {
        true => Output::Tui,
        false => args.output.unwrap_or(Output::Text),
    };
    let traced = TracedSubject {
        aim,
        written: &written.probes,
        target: None,
        launched: Some(launched),
    };
    trace(args, how, colours, outputs, traced)
}

/// The subject of a session.
struct TracedSubject<'t> {
    aim: Aim,
    written: &'t [WrittenProbe],
    /// The lines `target` of files, if they have chosen the processes.
    target: Option<Selector>,
    /// The program that waits for its probes.
    launched: Option<&'t LaunchedRun>,
}

/// Traces processes until something ends it.
fn trace(
    args: &TraceArgs,
    how: Output,
    colours: Colours,
    outputs: OutputsPlan,
    traced: TracedSubject<'_>,
) -> Result<u8, CommandFailure> {
    let TracedSubject {
        aim,
        written,
        target,
        launched,
    } = traced;
    let to_stderr = launched.is_some();
    say_settings(args, how);
    let options = session_options(args, how, written);
    // Listen before attaching, so that signals and exits in the meantime count, too.
    let ends = (how != Output::Tui).then(Ends::listen).transpose()?;
    let silencer = Silencer::listen()?;
    let watchdog = Watchdog::listen()?;
    let waiting = waited_for(&aim);
    let session = Session::begin(aim, &options)?;
    let control = subscribe(&session, how, args);
    let outputs = outputs.subscribe(&session);
    session.expect(written.iter().map(|written| &written.spec));
    if how != Output::Tui && args.files.is_empty() {
        // No probe can be added later.
        session.announce(written.iter().map(|written| &written.spec));
    }
    // Take the time before the first probe is attached, so that no event is older.
    let time_ns = now_ns();
    let advice = launched.and_then(|launched| launched.advice_on(&session));
    let installed = install(&*control, written, colours, advice.as_deref());
    if installed.probes.is_empty() && cancel::is_cancelled() {
        say!("interrupted before anything was traced");
        return Ok(INTERRUPTED);
    }
    if let Some(failure) = installed.refused_all(written) {
        return Err(failure);
    }
    session.installed();
    silencer.over(&control);
    watchdog.over(&control, how == Output::Tui);
    if how == Output::Tui && cancel::is_cancelled() {
        return Ok(INTERRUPTED);
    }
    if let Some(launched) = launched.filter(|launched| launched.pane().is_none()) {
        launched.release()?;
    }
    let known = KnownFiles {
        probes: installed.of_files.clone(),
        target,
    };
    let watches = watch_files(&control, &args.files, known)?;
    announce(&*control, &session, &installed.probes, how);
    tell_waiting(&*control, &session, waiting, how);
    let begin = begin(&session, &installed, time_ns);
    let StartedOutputs {
        summary,
        files,
        record,
        telemetry,
    } = outputs.start(&control, &begin, args)?;
    let until = Until {
        time: args.time,
        events: args.events,
        // Files that are watched may bring probes.
        done: !watches,
    };
    let style = Style {
        to_stderr,
        ..style(args, how, colours, begin)
    };
    let last = LastWords {
        clock: style.clock.clone(),
        file: summary,
        per_process: args.per_process,
    };
    let code = match ends {
        None => {
            let screen = ScreenOf::new(args, colours, launched);
            let progress = &watchdog.progress;
            in_terminal(&control, screen, &installed, progress, telemetry, last)?
        }
        Some(ends) => {
            let shown = stream::run(&control, style, until, ends, &watchdog.progress, telemetry)?;
            lines(&*control, &shown, how, last)?
        }
    };
    let written = end_files(files, &watchdog.progress);
    if let Some(record) = record {
        record.end()?;
    }
    written?;
    Ok(match installed.failures.is_empty() {
        true => code,
        false => BAD_INPUT,
    })
}

/// Writes the remarks on the configuration file. The terminal UI shows them itself.
fn say_settings(args: &TraceArgs, how: Output) {
    let notes = args.settings.notes().iter();
    for note in notes.filter(|_| how != Output::Tui) {
        say!("note: {}", Visible(note));
    }
}

/// The style of lines on stdout.
fn style(args: &TraceArgs, how: Output, colours: Colours, begin: Begin) -> Style {
    Style {
        how,
        colours,
        every: args.every,
        to_stderr: false,
        per_process: args.per_process,
        processes: args.forks().are_told() || begin.selectors.is_some(),
        clock: Clock::new(args.time_style.into(), TimeZone::system(), begin.time_ns),
        begin,
    }
}

/// The subscription of the terminal UI, or of text and JSON.
fn subscribe(session: &Arc<Session>, how: Output, args: &TraceArgs) -> Arc<dyn Control> {
    Arc::new(session.subscribe(Subscriber {
        capacity: 0,
        patient: how != Output::Tui,
        wants_probes: how == Output::Tui,
        // The recording has them. They are counted here if their number ends the session.
        skips_events: how == Output::Nothing && args.events.is_none(),
    }))
}

/// The options of the session.
fn session_options(args: &TraceArgs, how: Output, written: &[WrittenProbe]) -> SessionOptions {
    SessionOptions {
        more_probes: how == Output::Tui
            || !args.files.is_empty()
            || !written
                .iter()
                .all(|written| written.spec.action.kind().is_small(&written.spec)),
        ..options(args)
    }
}

/// The target, the start time and the probes of the session.
fn begin(session: &Session, installed: &InstalledProbes, time_ns: u64) -> Begin {
    let targets = session.targets().into_iter().filter_map(|target| {
        let process = Process::open(target.pid).ok()?;
        Some(BeginTarget {
            pid: target.pid,
            exe: process.exe().to_owned(),
        })
    });
    Begin {
        targets: targets.collect(),
        selectors: session.selectors().map(str::to_owned),
        time_ns,
        probes: installed.probes.clone(),
    }
}

/// Watches the files of the probes. Returns true if there are any. A pipe has been read, and is not
/// written again.
fn watch_files(
    session: &Arc<dyn Control>,
    files: &[PathBuf],
    mut known: KnownFiles,
) -> Result<bool, CommandFailure> {
    let is_file = |file: &&PathBuf| std::fs::metadata(file).is_ok_and(|file| file.is_file());
    let watched: Vec<PathBuf> = files.iter().filter(is_file).cloned().collect();
    // The lines of a pipe are not read again.
    if watched.len() < files.len() {
        known.target = None;
    }
    reload::watch(session, &watched, known).map_err(|error| {
        CommandFailure::new(format!("cannot watch the files of probes: {error}"))
    })?;
    Ok(!watched.is_empty())
}

/// Silences every probe at once when SIGUSR1 comes, or wakes them when all are silent.
struct Silencer {
    asked: Arc<Mutex<Asked>>,
    _signals: Signals,
}

/// The receiver of SIGUSR1.
enum Asked {
    /// The probes are not installed yet. True if they are to be silenced then.
    Before(bool),
    Of(Weak<dyn Control>),
}

impl Silencer {
    /// From now on the signal does not end the process.
    fn listen() -> Result<Self, CommandFailure> {
        let asked = Arc::new(Mutex::new(Asked::Before(false)));
        let of_signal = Arc::clone(&asked);
        let signals = Signals::listen_silence(move || {
            let mut asked = of_signal.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *asked {
                Asked::Before(silent) => {
                    *silent = !*silent;
                    true
                }
                Asked::Of(session) => {
                    let session = session.upgrade();
                    session.as_deref().map(silence).is_some()
                }
            }
        })
        .map_err(|error| CommandFailure::new(format!("cannot wait for signals: {error}")))?;
        Ok(Self {
            asked,
            _signals: signals,
        })
    }

    /// The signal is for this session's probes, which are installed.
    fn over(&self, session: &Arc<dyn Control>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*asked, Asked::Before(true)) {
            silence(&**session);
        }
        *asked = Asked::Of(Arc::downgrade(session));
    }
}

fn silence(session: &dyn Control) {
    let silenced = session.silence_all();
    let state = if silenced { "silenced" } else { "awake again" };
    session.note(format!("SIGUSR1: all probes are {state}"));
}

/// The form in which events are shown, or the reason why they cannot be.
fn output(args: &TraceArgs) -> Result<Output, CommandFailure> {
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    match args.output {
        Some(Output::Tui) if !terminal => {
            Err(CommandFailure::new("the terminal UI needs a terminal")
                .hint("`--output text` or `--output json` write lines".to_owned()))
        }
        Some(how) => Ok(how),
        None if terminal => Ok(Output::Tui),
        None => Ok(Output::Text),
    }
}

/// The targets. `None` when the user left the choice.
fn aim(
    args: &Attach,
    selector: &Selector,
    how: Output,
    colours: Colours,
) -> Result<Option<Aim>, CommandFailure> {
    if selector.is_empty() {
        return match how {
            Output::Tui => match choose(&tui_options(&args.trace, colours))? {
                Some(chosen) => aim_at(&Selector {
                    now_only: selector.now_only,
                    wait: selector.wait || chosen.wait,
                    ..chosen
                })
                .map(Some),
                None => Ok(None),
            },
            _ => Err(CommandFailure::new("the process is missing").hint(
                "write `tracer attach PID …`, or select processes by `--name`, `--exe`, `--unit`, `--cgroup`, `--container` or `--user`"
                    .to_owned(),
            )),
        };
    }
    aim_at(selector).map(Some)
}

/// The targets of a selector, once there is one.
fn aim_at(selector: &Selector) -> Result<Aim, CommandFailure> {
    if let [pid] = *selector.pids
        && selector.is_one_pid()
    {
        return Ok(Aim::Process(pid));
    }
    let mut selection = selector.resolve()?;
    if selector.is_of_pids() {
        // A name that one process has is as good as its pid.
        let found = awaited(&mut selection)?;
        if let [one] = found.as_slice() {
            return Ok(Aim::Process(one.pid));
        }
    }
    await_program(&mut selection)?;
    // A program that is there has its probes before a process runs it. What is waited for is told then.
    let is_placed_before = selector.wait && !selection.files().is_empty();
    if !is_placed_before || !selection.look()?.is_empty() {
        let found = awaited(&mut selection)?;
        say!("{}", selection.report(&found));
        if let Some(note) = selection.note_on_scripts(&found) {
            say!("note: {note}");
        }
    }
    Ok(Aim::Selection(Box::new(selection)))
}

/// The result of installing the probes of the command line.
struct InstalledProbes {
    probes: Vec<ProbeStatus>,
    failures: Vec<CommandFailure>,
    /// The probes from files.
    of_files: Vec<OfFile>,
}

impl InstalledProbes {
    /// The last failure, if there were probes and none runs. The others are reported already.
    fn refused_all(&self, written: &[WrittenProbe]) -> Option<CommandFailure> {
        let missing = self
            .failures
            .iter()
            .all(|failure| failure.code() == MISSING);
        let code = if missing { MISSING } else { BAD_INPUT };
        (!written.is_empty() && self.probes.is_empty()).then(|| CommandFailure::told(code))
    }
}

/// Installs probe by probe. An impossible probe is reported, and the others run.
/// `advice` takes the place of other advice on these.
fn install(
    session: &dyn Control,
    written: &[WrittenProbe],
    colours: Colours,
    advice: Option<&str>,
) -> InstalledProbes {
    let mut installed = InstalledProbes {
        probes: Vec::new(),
        failures: Vec::new(),
        of_files: Vec::new(),
    };
    for (number, WrittenProbe { spec, place }) in written.iter().enumerate() {
        if cancel::is_cancelled() {
            if !installed.probes.is_empty() {
                let left = counted(written.len() - number, "more probe");
                say!("warning: interrupted before {left} could be attached");
            }
            break;
        }
        let result = session.add_spec(spec);
        if place.is_some() {
            installed.of_files.push(OfFile {
                text: spec.text.trim().to_owned(),
                probe: result.as_ref().ok().map(|probe| probe.id),
            });
        }
        match result {
            Ok(probe) => installed.probes.push(probe),
            Err(error) => {
                session.skip_number();
                let error = match advice {
                    Some(advice) => error.hint(advice),
                    None => error,
                };
                let failure = CommandFailure::of_text(error, &spec.text).at(place.as_deref());
                tell(&failure.render(colours.stderr));
                installed.failures.push(failure);
            }
        }
    }
    installed
}

/// Announces the target, the sites, and the notes for the user.
fn announce(control: &dyn Control, session: &Session, probes: &[ProbeStatus], how: Output) {
    let mut said = Vec::new();
    if let Some(process) = session.process()
        && process.exe_replaced()
    {
        said.push(format!(
            "`{}` was replaced on disk since the process started; tracing the program that runs",
            process.exe().display()
        ));
    }
    for probe in probes {
        said.extend(
            probe
                .notes
                .iter()
                .map(|note| format!("{}: {note}", probe.name)),
        );
    }
    if how == Output::Tui {
        said.into_iter().for_each(|text| control.note(text));
        return;
    }
    let sites: u32 = probes.iter().map(|probe| probe.sites).sum();
    say!(
        "tracing {}: {} at {}",
        control.target(),
        counted(probes.len(), "probe"),
        counted(sites, "site"),
    );
    for text in said {
        say!("note: {}", Visible(&text));
    }
}

/// The line on the process that is waited for, if a session can be.
fn waited_for(aim: &Aim) -> Option<String> {
    match aim {
        Aim::Selection(selection) if selection.selector().wait => {
            Some(selection.waiting().to_string())
        }
        _ => None,
    }
}

/// Tells that a process is waited for, once its program has the probes.
fn tell_waiting(control: &dyn Control, session: &Session, waiting: Option<String>, how: Output) {
    match waiting.filter(|_| session.targets().is_empty()) {
        None => {}
        Some(waiting) if how == Output::Tui => control.note(waiting),
        Some(waiting) => say!("{waiting}"),
    }
}

/// Writes the notes after the last line.
fn lines(
    session: &dyn Control,
    shown: &stream::ShownEvents,
    how: Output,
    last: LastWords,
) -> Result<u8, CommandFailure> {
    last.say(session, &shown.probes)?;
    if let Some(events) = shown.unwritten {
        tell(&unwritten(events));
    }
    if shown.beyond > 0 {
        let beyond = grouped(shown.beyond);
        let asked_for = match shown.events {
            1 => "the requested event is".to_owned(),
            events => format!("all {} requested events are", grouped(events)),
        };
        say!(
            "{asked_for} shown; {beyond} more came while the probes were being removed, and are counted as events"
        );
    }
    let added_up = session.aggregates().iter().any(|one| one.total > 0);
    let mut probes = shown.probes.iter();
    let is_recorded = how == Output::Nothing && probes.any(|probe| probe.counters.events > 0);
    Ok(if shown.events > 0 || added_up || is_recorded {
        DONE
    } else {
        NOTHING_CAPTURED
    })
}

/// The destinations of the probes' final states.
struct LastWords {
    clock: Clock,
    file: Option<SummaryFile>,
    /// List the processes.
    per_process: bool,
}

impl LastWords {
    fn say(self, session: &dyn Control, probes: &[ProbeStatus]) -> Result<(), CommandFailure> {
        for probe in probes {
            let clock = self.clock.clone();
            say!("{}", Summary { probe, clock });
            if self.per_process {
                ProcessSummary::all(probe).for_each(|line| say!("{line}"));
            }
        }
        if let Some(followed) = session.followed() {
            say!("{followed}");
        }
        match self.file {
            Some(file) => file.end(session, probes),
            None => Ok(()),
        }
    }
}

fn tui_options(args: &TraceArgs, colours: Colours) -> tui::UiOptions {
    tui::UiOptions {
        processes: args.forks().are_told(),
        user: user_thread(),
        ..args.settings.screen(colours)
    }
}

/// A file or a collector gets the events, too.
fn keeps_events(args: &TraceArgs) -> bool {
    let is_file = args.record.is_some() || args.tee.is_some() || !args.exports.is_empty();
    is_file || args.telemetry.otlp.is_some()
}

/// The options of the terminal UI, and the program that it starts.
struct ScreenOf<'t> {
    options: tui::UiOptions,
    /// The totals at the end have colours.
    colours: bool,
    launched: Option<&'t LaunchedRun>,
    /// A file or a collector gets the events, too.
    keeps_events: bool,
}

impl<'t> ScreenOf<'t> {
    fn new(args: &TraceArgs, colours: Colours, launched: Option<&'t LaunchedRun>) -> Self {
        Self {
            options: tui_options(args, colours),
            colours: colours.stdout,
            launched,
            keeps_events: keeps_events(args),
        }
    }
}

fn in_terminal(
    session: &Arc<dyn Control>,
    screen: ScreenOf<'_>,
    installed: &InstalledProbes,
    progress: &Progress,
    telemetry: Telemetry,
    last: LastWords,
) -> Result<u8, CommandFailure> {
    for failure in &installed.failures {
        session.warn(failure.message().to_owned());
    }
    let keeps_events = screen.keeps_events;
    let pane = screen.launched.and_then(LaunchedRun::pane);
    let program = pane.map(|pane| Arc::clone(pane) as Arc<dyn tui::ProgramControl>);
    let ended = tui::run(Arc::clone(session), program, &screen.options);
    progress.set_detaching(true);
    session.finish();
    progress.set_detaching(false);
    telemetry.end(progress);
    let mut totals = Vec::new();
    let mut probes = Vec::new();
    for Removed { status, aggregate } in session.take_removed() {
        totals.extend(aggregate);
        probes.push(status);
    }
    totals.extend(session.aggregates());
    probes.extend(session.probes());
    let UiEnd {
        outcome,
        mut unsaved,
    } = ended.map_err(|error| CommandFailure::new(crate::base::causes::chain(&error)))?;
    match (pane, outcome) {
        (Some(pane), tui::UiOutcome::EndProgram) => pane.terminate(),
        // The program's terminal goes with this process.
        (Some(pane), tui::UiOutcome::Interrupted(_)) => pane.hang_up(),
        _ => {}
    }
    totals.retain(|one| one.total > 0);
    write_totals(&totals, last.clock.clone(), screen.colours);
    last.say(&**session, &probes)?;
    if keeps_events {
        unsaved.events = 0;
    }
    if unsaved != UnsavedWork::default() {
        say!("{unsaved}");
    }
    Ok(DONE)
}

/// Writes what probes have added up, as the text output does at its end.
fn write_totals(totals: &[Aggregate], clock: Clock, colour: bool) {
    let mut sink = TextSink::new(io::stdout(), clock, colour);
    let now = now_ns();
    let written = totals
        .iter()
        .try_for_each(|one| sink.aggregate(one, now))
        .and_then(|()| sink.flush());
    if let Err(error) = written {
        say!("cannot write to stdout: {error}");
    }
}
