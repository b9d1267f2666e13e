//! Files that the user asks for: probes, and events in the formats of other tools.

use std::fs::{self, Permissions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::diagnostic::Diagnostic;
use crate::base::user_thread::UserThread;
use crate::event::{Event, counted};
use crate::session::Control;
use crate::sink::export::{ExportFormat, ExportLooks, ExportOut, write_events};
use crate::sink::{Begin, BeginTarget};

/// Bytes written at a time.
const BUFFER: usize = 1 << 16;

/// A file to be written.
#[derive(Clone, Debug)]
pub(in crate::tui) struct FileRequest {
    /// The command, as typed.
    pub(in crate::tui) command: String,
    /// The path, as typed.
    pub(in crate::tui) path: String,
    /// A file of this name may be replaced.
    pub(in crate::tui) replaces: bool,
    /// The contents.
    pub(in crate::tui) contents: FileContents,
    /// All events before this number are in it.
    pub(in crate::tui) saves_to: Option<u64>,
}

/// The contents of a file.
#[derive(Clone, Debug)]
pub(in crate::tui) enum FileContents {
    /// Probes, one a line: the texts of as many.
    Probes(String, Vec<String>),
    /// Events in a format.
    Events(ExportFormat, Vec<Arc<Event>>),
}

/// Writes a file. Returns the words for it.
///
/// # Errors
/// The file is there already, or cannot be written.
pub(in crate::tui) fn write(
    request: &FileRequest,
    control: &Arc<dyn Control>,
    user: Option<&UserThread>,
) -> Result<String, Diagnostic> {
    let path = expanded(&request.path, user);
    let shown = path.display().to_string();
    let replaces = request.replaces;
    let contents = request.contents.clone();
    let control = Arc::clone(control);
    let job = move || {
        in_place(&path, replaces, |out| {
            write_contents(contents, &*control, out)
        })
    };
    let written = match user {
        Some(user) => user.run(job).and_then(|written| written),
        None => job(),
    };
    let done = match &request.contents {
        FileContents::Probes(_, probes) => counted(probes.len(), "probe"),
        FileContents::Events(_, events) => counted(events.len(), "event"),
    };
    match written {
        Ok(()) => Ok(format!("{done} written to `{shown}`")),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let (word, rest) = request.command.split_once(' ').unwrap_or_default();
            Err(Diagnostic::new(format!("`{shown}` is there already"))
                .hint(format!("`:{word}! {rest}` replaces it")))
        }
        Err(error) => Err(Diagnostic::new(format!("cannot write `{shown}`: {error}"))),
    }
}

/// The path with the home directory in place of `~`.
fn expanded(path: &str, user: Option<&UserThread>) -> PathBuf {
    let home = match user {
        Some(user) => user.home().map(Path::to_owned),
        None => std::env::var_os("HOME").map(PathBuf::from),
    };
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

/// Writes a file beside its place, and gives it its name once it is complete.
fn in_place(
    path: &Path,
    replaces: bool,
    write: impl FnOnce(ExportOut) -> io::Result<()>,
) -> io::Result<()> {
    // A link stays a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let there = fs::symlink_metadata(&path).ok();
    if there.as_ref().is_some_and(|there| !there.is_file()) {
        return Err(io::Error::other("it is not a regular file"));
    }
    if there.is_some() && !replaces {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let file = tempfile::Builder::new()
        .prefix(".tracer-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(parent)?;
    if let Some(there) = &there {
        file.as_file().set_permissions(there.permissions())?;
    }
    write(Box::new(BufWriter::with_capacity(
        BUFFER,
        file.as_file().try_clone()?,
    )))?;
    file.as_file().sync_all()?;
    match replaces {
        true => file.persist(&path)?,
        false => file.persist_noclobber(&path)?,
    };
    Ok(())
}

fn write_contents(
    contents: FileContents,
    control: &dyn Control,
    mut out: ExportOut,
) -> io::Result<()> {
    let (format, events) = match contents {
        FileContents::Probes(text, _) => {
            out.write_all(text.as_bytes())?;
            return out.flush();
        }
        FileContents::Events(format, events) => (format, events),
    };
    let target = |target: crate::event::TargetStatus| BeginTarget {
        pid: target.pid,
        exe: PathBuf::from(&*target.program),
    };
    let begin = Begin {
        targets: control.targets().into_iter().map(target).collect(),
        selectors: None,
        time_ns: events.first().map_or(0, |event| event.time_ns),
        probes: control.probes(),
    };
    let last_ns = events.last().map_or(0, |event| event.time_ns);
    write_events(
        format,
        ExportLooks::default(),
        out,
        &begin,
        &events,
        |sink| {
            for aggregate in control.aggregates() {
                sink.aggregate(&aggregate, last_ns)?;
            }
            for probe in control.probes() {
                sink.summary(&probe)?;
            }
            Ok(())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::{Fake, full_event};
    use super::*;

    fn request(path: &Path, command: &str, contents: FileContents) -> FileRequest {
        FileRequest {
            command: format!("{command} {}", path.display()),
            path: path.to_str().unwrap().to_owned(),
            replaces: command.ends_with('!'),
            contents,
            saves_to: None,
        }
    }

    fn written(request: &FileRequest) -> Result<String, Diagnostic> {
        let control: Arc<dyn Control> = Arc::new(Fake::new(0));
        write(request, &control, None)
    }

    #[test]
    fn file_that_is_there_is_replaced_only_if_that_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("probes");
        let probes = |text: &str| FileContents::Probes(text.into(), vec![text.into()]);
        let done = written(&request(&path, "w", probes("one\n"))).unwrap();
        assert_eq!(done, format!("1 probe written to `{}`", path.display()));
        let error = written(&request(&path, "w", probes("two\n"))).unwrap_err();
        assert!(error.message.ends_with("is there already"), "{error:?}");
        let hint = format!("`:w! {}` replaces it", path.display());
        assert_eq!(error.hint, Some(hint));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        written(&request(&path, "w!", probes("two\n"))).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        // Nothing else is left there.
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn file_that_cannot_be_written_says_why() {
        for (path, why) in [
            ("/", "it is not a regular file"),
            ("/dev/null", "it is not a regular file"),
            ("/no/such", "No such file"),
        ] {
            let error = written(&request(
                Path::new(path),
                "w!",
                FileContents::Probes(String::new(), Vec::new()),
            ));
            let message = error.unwrap_err().message;
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn events_are_written_in_each_format() {
        let directory = tempfile::tempdir().unwrap();
        let events: Vec<Arc<Event>> = (1..=3)
            .map(|hit| Arc::new(full_event(1, hit, 18)))
            .collect();
        for (name, format) in crate::sink::export::FORMATS {
            let path = directory.path().join(name);
            let contents = FileContents::Events(format, events.clone());
            let done = written(&request(&path, "export", contents)).unwrap();
            assert!(done.starts_with("3 events written"), "{done}");
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.is_empty(), "{name}");
            if name == "csv" {
                assert_eq!(String::from_utf8(bytes).unwrap().lines().count(), 4);
            }
        }
    }
}
