//! `tracer attach`: probes on a running process, shown in the terminal UI or
//! written as lines.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use jiff::tz::TimeZone;

use super::args::{Attach, Output, SiteArg};
use super::check;
use super::failure::Failure;
use super::output::{Colours, say, tell};
use super::probes::{self, Written};
use super::reload::{self, OfFile};
use super::stream::{self, Ends, Style, Until, now_ns};
use super::summary_file::SummaryFile;
use super::watchdog::{Progress, Watchdog, unwritten};
use super::{BAD_INPUT, DONE, INTERRUPTED, MISSING, NOTHING_CAPTURED};
use crate::cancel;
use crate::event::grouped;
use crate::lang::ast::{Action, ProbeSpec};
use crate::redact::Redactor;
use crate::session::{Control as _, Options, ProbeStatus, Session, SiteChoice};
use crate::signals::Signals;
use crate::sink::summary::Summary;
use crate::sink::{Begin, Clock};
use crate::target::{has_debug_info, list_processes, process_by_name};
use crate::tui;
use crate::visible::Visible;

/// Runs the command.
pub(super) fn run(args: Attach, colours: Colours) -> Result<u8, Failure> {
    if args.check {
        return check::run(&args, colours);
    }
    let how = output(&args)?;
    let written = match probes::read(&args.probes, &args.files) {
        Ok(written) => written,
        Err(failures) => return Err(report_all(failures, colours)),
    };
    if written.is_empty() && how != Output::Tui {
        return Err(Failure::new("text and JSON output need a probe").hint(
            "name one with `-e`, as in `-e 'log main.rs:57'`, or leave `--output` away for the terminal UI"
                .to_owned(),
        ));
    }
    let mut summary = args
        .summary
        .as_deref()
        .map(SummaryFile::create)
        .transpose()?;
    let Some(pid) = pid(&args, how, colours)? else {
        return Ok(DONE);
    };
    let options = Options {
        patient: how != Output::Tui,
        more_probes: how == Output::Tui
            || !args.files.is_empty()
            || !written.iter().all(|written| is_plain(&written.spec)),
        ..options(&args)
    };
    // Before anything is attached: what comes meanwhile counts, too.
    let ends = match how {
        Output::Tui => None,
        Output::Text | Output::Json => Some(Ends::listen()?),
    };
    let silencer = Silencer::listen()?;
    let watchdog = Watchdog::listen()?;
    let session = Session::attach(pid, &options)?;
    if how != Output::Tui && args.files.is_empty() {
        // Nothing can be added later.
        session.announce(written.iter().map(|written| &written.spec));
    }
    // Before the first probe is there: no event is older.
    let time_ns = now_ns();
    let installed = install(&session, &written, colours);
    if installed.probes.is_empty() && cancel::is_cancelled() {
        say!("interrupted before anything was traced");
        return Ok(INTERRUPTED);
    }
    if let Some(failure) = installed.refused_all(&written) {
        return Err(failure);
    }
    silencer.over(&session);
    watchdog.over(&session, how == Output::Tui);
    if how == Output::Tui && cancel::is_cancelled() {
        return Ok(INTERRUPTED);
    }
    let watches = watch_files(&session, &args.files, &installed)?;
    announce(&session, &installed.probes, how);
    let begin = begin(&session, &installed, time_ns);
    if let Some(summary) = &mut summary {
        summary.begin(&begin)?;
    }
    let clock = Clock::new(args.time_style.into(), TimeZone::system(), begin.time_ns);
    let last = LastWords {
        clock: clock.clone(),
        file: summary,
    };
    let until = Until {
        time: args.time,
        events: args.events,
        // Files that are watched may bring probes.
        done: !watches,
    };
    let code = match ends {
        None => in_terminal(
            &session,
            tui_options(&args, colours),
            &installed,
            &watchdog.progress,
            last,
        )?,
        Some(ends) => {
            let style = Style {
                how,
                colours,
                every: args.every,
                processes: args.forks().are_told(),
                clock,
                begin,
            };
            let shown = stream::run(&session, style, until, ends, &watchdog.progress)?;
            lines(&session, &shown, last)?
        }
    };
    Ok(if installed.failures.is_empty() {
        code
    } else {
        BAD_INPUT
    })
}

/// What is traced.
fn begin(session: &Session, installed: &Installed, time_ns: u64) -> Begin {
    Begin {
        pid: session.process().pid(),
        exe: session.process().exe().to_owned(),
        time_ns,
        probes: installed.probes.clone(),
    }
}

/// Watches the files that the probes are from; true when there are any. A pipe has been read, and
/// is not written again.
fn watch_files(
    session: &Arc<Session>,
    files: &[PathBuf],
    installed: &Installed,
) -> Result<bool, Failure> {
    let is_file = |file: &&PathBuf| std::fs::metadata(file).is_ok_and(|file| file.is_file());
    let watched: Vec<PathBuf> = files.iter().filter(is_file).cloned().collect();
    reload::watch(session, &watched, installed.of_files.clone())
        .map_err(|error| Failure::new(format!("cannot watch the files of probes: {error}")))?;
    Ok(!watched.is_empty())
}

/// Whether a probe looks as if the least of the kernel's programs would do: a wrong guess costs
/// some milliseconds.
fn is_plain(spec: &ProbeSpec) -> bool {
    match &spec.action {
        Action::Log => spec.template.is_some(),
        Action::Count { by } => by.is_none(),
        Action::Snapshot | Action::Hist { .. } | Action::Time => false,
    }
}

pub(super) fn options(args: &Attach) -> Options {
    Options {
        // This program, whatever stands at its path by now.
        pager: Some(PathBuf::from("/proc/self/exe")),
        ring_bytes: args.ring_bytes.unwrap_or(0),
        buffer_bytes: args.buffer_size.unwrap_or(0),
        perf_events: args.perf_events,
        forks: args.forks(),
        site: match args.site {
            SiteArg::Cheapest => SiteChoice::Cheapest,
            SiteArg::First => SiteChoice::First,
        },
        debug: args.debug.options(),
        limits: args.limits(),
        max_cpu: args.max_cpu.0,
        redactor: if args.no_redact {
            Redactor::nothing()
        } else {
            Redactor::default().with(&args.redact)
        },
        ..Options::default()
    }
}

/// Silences every probe at once when SIGUSR1 comes, or wakes them when all are silent.
struct Silencer {
    asked: Arc<Mutex<Asked>>,
    _signals: Signals,
}

/// Whom SIGUSR1 is for.
enum Asked {
    /// The probes are not there yet; whether they are to be silent then.
    Before(bool),
    Of(Weak<Session>),
}

impl Silencer {
    /// From now on the signal does not end the process.
    fn listen() -> Result<Self, Failure> {
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
        .map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))?;
        Ok(Self {
            asked,
            _signals: signals,
        })
    }

    /// The signal is for this session's probes, which are installed.
    fn over(&self, session: &Arc<Session>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*asked, Asked::Before(true)) {
            silence(session);
        }
        *asked = Asked::Of(Arc::downgrade(session));
    }
}

fn silence(session: &Session) {
    let silenced = session.silence_all();
    let what = if silenced { "silenced" } else { "awake again" };
    session.warn(format!("SIGUSR1: all probes are {what}"));
}

/// How events are shown, and whether they can be.
fn output(args: &Attach) -> Result<Output, Failure> {
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    match args.output {
        Some(Output::Tui) if !terminal => Err(Failure::new("the terminal UI needs a terminal")
            .hint("`--output text` or `--output json` write lines".to_owned())),
        Some(how) => Ok(how),
        None if terminal => Ok(Output::Tui),
        None => Ok(Output::Text),
    }
}

/// The target; `None` when the user left the choice.
fn pid(args: &Attach, how: Output, colours: Colours) -> Result<Option<u32>, Failure> {
    match args.process()? {
        Some(named) => subject_pid(named).map(Some),
        None if how == Output::Tui => choose_process(args, colours),
        None => Err(Failure::new("the process is missing").hint(
            "write `tracer attach PID …`: a pid, or a name that just one process has".to_owned(),
        )),
    }
}

/// A pid, or the one process of that name.
pub(super) fn subject_pid(named: &str) -> Result<u32, Failure> {
    match named.parse() {
        Ok(pid) => Ok(pid),
        Err(_) => Ok(process_by_name(named)?),
    }
}

/// What became of the probes of the command line.
struct Installed {
    probes: Vec<ProbeStatus>,
    failures: Vec<Failure>,
    /// Those that stand in files.
    of_files: Vec<OfFile>,
}

impl Installed {
    /// When there were probes and none runs: the last failure, with the others told already.
    fn refused_all(&self, written: &[Written]) -> Option<Failure> {
        let missing = self
            .failures
            .iter()
            .all(|failure| failure.code() == MISSING);
        let code = if missing { MISSING } else { BAD_INPUT };
        (!written.is_empty() && self.probes.is_empty()).then(|| Failure::told(code))
    }
}

/// Installs probe by probe; what is impossible is told, and the others run.
fn install(session: &Session, written: &[Written], colours: Colours) -> Installed {
    let mut installed = Installed {
        probes: Vec::new(),
        failures: Vec::new(),
        of_files: Vec::new(),
    };
    for (number, Written { spec, place }) in written.iter().enumerate() {
        if cancel::is_cancelled() {
            if !installed.probes.is_empty() {
                let left = counted(written.len() - number, "more probe");
                say!("warning: interrupted before {left} could be attached");
            }
            break;
        }
        let result = session.install(spec);
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
                let failure = Failure::of_probe(error, &spec.text).at(place.as_deref());
                tell(&failure.render(colours.stderr));
                installed.failures.push(failure);
            }
        }
    }
    installed
}

/// Says what is traced, where, and what the user should know of it.
fn announce(session: &Session, probes: &[ProbeStatus], how: Output) {
    let mut said = Vec::new();
    if session.process().exe_replaced() {
        said.push(format!(
            "`{}` was replaced on disk since the process started; the program that runs is traced",
            session.process().exe().display()
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
        said.into_iter().for_each(|text| session.warn(text));
        return;
    }
    let (name, pid) = session.target();
    let sites: u32 = probes.iter().map(|probe| probe.sites).sum();
    say!(
        "tracing {} ({pid}): {} at {}",
        Visible(&name),
        counted(probes.len(), "probe"),
        counted(sites.try_into().unwrap_or(usize::MAX), "site"),
    );
    for text in said {
        say!("note: {}", Visible(&text));
    }
}

pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Says what there is to say behind the last line.
fn lines(session: &Session, shown: &stream::Shown, last: LastWords) -> Result<u8, Failure> {
    last.say(session, &shown.probes)?;
    if let Some(events) = shown.unwritten {
        tell(&unwritten(events));
    }
    if shown.beyond > 0 {
        let beyond = grouped(shown.beyond);
        let asked_for = match shown.events {
            1 => "the event that was asked for is".to_owned(),
            events => format!("all {} events that were asked for are", grouped(events)),
        };
        say!(
            "{asked_for} shown; {beyond} more came while the probes were taken out, and are counted as events"
        );
    }
    let added_up = session.aggregates().iter().any(|one| one.total > 0);
    Ok(if shown.events > 0 || added_up {
        DONE
    } else {
        NOTHING_CAPTURED
    })
}

/// Where the last states of probes go.
struct LastWords {
    clock: Clock,
    file: Option<SummaryFile>,
}

impl LastWords {
    fn say(self, session: &Session, probes: &[ProbeStatus]) -> Result<(), Failure> {
        for probe in probes {
            let clock = self.clock.clone();
            say!("{}", Summary { probe, clock });
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

fn tui_options(args: &Attach, colours: Colours) -> tui::Options {
    tui::Options {
        colours: colours.stdout,
        processes: args.forks().are_told(),
        ..tui::Options::default()
    }
}

fn in_terminal(
    session: &Arc<Session>,
    options: tui::Options,
    installed: &Installed,
    progress: &Progress,
    last: LastWords,
) -> Result<u8, Failure> {
    for failure in &installed.failures {
        session.warn(failure.message().to_owned());
    }
    let outcome = tui::run(Arc::clone(session) as Arc<_>, &options);
    progress.set_detaching(true);
    let probes = session.finish();
    progress.set_detaching(false);
    let removed = session.take_removed().into_iter().map(|gone| gone.status);
    let probes: Vec<ProbeStatus> = removed.chain(probes).collect();
    outcome.map_err(|error| Failure::new(crate::causes::chain(&error)))?;
    last.say(session, &probes)?;
    Ok(DONE)
}

/// Lets the user pick a process; `None` when they leave.
fn choose_process(args: &Attach, colours: Colours) -> Result<Option<u32>, Failure> {
    let users = users();
    let list = move || {
        let entry = |process: crate::target::ProcessEntry| tui::ProcessEntry {
            pid: process.pid,
            name: process.name,
            command: process.command,
            user: users
                .get(&process.uid)
                .cloned()
                .unwrap_or_else(|| process.uid.to_string()),
            debug_info: has_debug_info(process.pid),
        };
        let mut entries: Vec<tui::ProcessEntry> = list_processes().into_iter().map(entry).collect();
        // Those whose lines can be probed come first.
        entries.sort_by_key(|entry| entry.debug_info != Some(true));
        entries
    };
    tui::pick_process(list, &tui_options(args, colours))
        .map_err(|error| Failure::new(crate::causes::chain(&error)))
}

/// Names of users by their ids, as the machine's own list has them.
fn users() -> BTreeMap<u32, String> {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().filter_map(user).collect()
}

/// Reports all failures but the last, which is for the caller to report.
pub(super) fn report_all(mut failures: Vec<Failure>, colours: Colours) -> Failure {
    let last = failures.pop();
    for failure in failures {
        tell(&failure.render(colours.stderr));
    }
    last.unwrap_or_else(|| Failure::told(BAD_INPUT))
}
