//! `tracer export`: a recording in the format of another tool.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::base::signals::Signals;
use crate::base::visible::Visible;
use crate::cli::args::{ExportArgs, ExportTo};
use crate::cli::failure::CommandFailure;
use crate::cli::output::say;
use crate::cli::recordings::view::open;
use crate::cli::{BAD_INPUT, DONE, INTERRUPTED, NOTHING_CAPTURED};
use crate::event::grouped;
use crate::sink::export::replay::{self, Replayed};
use crate::sink::export::{ExportFormat, ExportLooks, ExportOut};
use crate::sink::otel::exporter::ExportPlan;
use crate::sink::otel::replay::OtlpReplay;
use crate::sink::recording::reader::Recording;

/// Bytes written at a time.
const BUFFER: usize = 1 << 16;

/// Runs the command.
pub(in crate::cli) fn run(args: &ExportArgs) -> Result<u8, CommandFailure> {
    let misplaced = match args.to {
        ExportTo::Otlp if args.output.is_some() => Some("`--to otlp` writes no file"),
        ExportTo::File(_) if args.otlp.is_some() => Some("`--otlp` is for `--to otlp`"),
        _ => None,
    };
    if let Some(misplaced) = misplaced {
        return Err(CommandFailure::new(misplaced));
    }
    let recording = open(&args.recording)?;
    for problem in recording.problems() {
        say!("warning: {}", Visible(&problem));
    }
    match args.to {
        ExportTo::Otlp => to_collector(args, &recording),
        ExportTo::File(format) => to_file(args, &recording, format),
    }
}

/// Tells what was left out. Returns the exit code.
fn outcome(recording: &Recording, replayed: &Replayed) -> u8 {
    for damaged in &replayed.damaged {
        say!("warning: {}", Visible(damaged));
    }
    if !replayed.damaged.is_empty() || recording.index().damaged > 0 {
        return BAD_INPUT;
    }
    if replayed.events == 0 && !replayed.added_up {
        say!("the recording has no events");
        return NOTHING_CAPTURED;
    }
    DONE
}

fn to_file(
    args: &ExportArgs,
    recording: &Recording,
    format: ExportFormat,
) -> Result<u8, CommandFailure> {
    let Some(path) = &args.output else {
        return to_stdout(recording, format);
    };
    let failed = |error: &io::Error| CommandFailure::cannot_write(path, error);
    let output = OutputFile::create(path).map_err(|error| failed(&error))?;
    let out = output.writes().map_err(|error| failed(&error))?;
    let looks = ExportLooks::default();
    let written = replay::export(recording, format, looks, out);
    let replayed = written.map_err(|error| failed(&error))?;
    output.keep().map_err(|error| failed(&error))?;
    Ok(outcome(recording, &replayed))
}

fn to_stdout(recording: &Recording, format: ExportFormat) -> Result<u8, CommandFailure> {
    let for_terminal = io::stdout().is_terminal();
    if for_terminal && format.is_binary() {
        return Err(CommandFailure::new("a terminal cannot show this format")
            .hint("name a file with `--output`".to_owned()));
    }
    let out: ExportOut = Box::new(BufWriter::with_capacity(BUFFER, io::stdout()));
    let looks = ExportLooks {
        for_terminal,
        ..ExportLooks::default()
    };
    match replay::export(recording, format, looks, out) {
        Ok(replayed) => Ok(outcome(recording, &replayed)),
        // Its reader has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(DONE),
        Err(error) => Err(CommandFailure::new(format!(
            "cannot write to stdout: {error}"
        ))),
    }
}

fn to_collector(args: &ExportArgs, recording: &Recording) -> Result<u8, CommandFailure> {
    let plan = ExportPlan::new(args.otlp.as_deref(), None)?;
    let tell = Box::new(|text: String| say!("{}", Visible(&text)));
    let mut sink = OtlpReplay::start(plan, recording.session(), args.otlp_timeout, tell)?;
    let replayed = replay::replay(recording, &mut sink);
    let undelivered = sink.end();
    for text in &undelivered.said {
        say!("warning: {}", Visible(text));
    }
    let lost: u64 = undelivered.events.values().sum();
    match replayed {
        Ok(replayed) if lost == 0 && undelivered.said.is_empty() => {
            Ok(outcome(recording, &replayed))
        }
        Ok(replayed) => {
            outcome(recording, &replayed);
            say!(
                "{} of {} events were not delivered",
                grouped(lost),
                grouped(replayed.events)
            );
            Ok(BAD_INPUT)
        }
        Err(error) => {
            let all = grouped(recording.index().events());
            let message = format!("not all of the {all} events were delivered: {error}");
            Err(CommandFailure::new(message))
        }
    }
}

/// The file of `--output`. It is not there until it is complete, and a file of its name stays until then.
enum OutputFile {
    New {
        file: NamedTempFile,
        path: PathBuf,
        /// Removes the file at a signal.
        _signals: Signals,
    },
    /// A pipe or a device.
    Special(File),
}

impl OutputFile {
    fn create(path: &Path) -> io::Result<Self> {
        // A link stays a link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Ok(Self::Special(OpenOptions::new().write(true).open(&path)?));
        }
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .prefix(".tracer-export-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(parent.unwrap_or(Path::new(".")))?;
        let unfinished = file.path().to_owned();
        let signals = Signals::listen(move |_| {
            let _ = fs::remove_file(&unfinished);
            std::process::exit(INTERRUPTED.into());
        })?;
        Ok(Self::New {
            file,
            path,
            _signals: signals,
        })
    }

    fn writes(&self) -> io::Result<ExportOut> {
        let file = match self {
            Self::New { file, .. } => file.as_file().try_clone()?,
            Self::Special(file) => file.try_clone()?,
        };
        let out: Box<dyn Write + Send> = Box::new(BufWriter::with_capacity(BUFFER, file));
        Ok(out)
    }

    /// Gives the file its name.
    fn keep(self) -> io::Result<()> {
        match self {
            Self::New { file, path, .. } => {
                file.persist(path)?;
            }
            Self::Special(_) => {}
        }
        Ok(())
    }
}
