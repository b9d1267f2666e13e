//! Follows files of probes that change while the session runs. Added probes are installed, deleted
//! ones are removed, and the others go on unchanged.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::failure::CommandFailure;
use super::probes::{self, WrittenProbe};
use crate::event::ProbeId;
use crate::session::{Control, ProbeStatus};
use crate::target::select::Selector;

/// Bytes of events that are read at a time.
const BUFFER: usize = 4096;

/// A probe of a file, installed or refused.
#[derive(Clone, Debug)]
pub(super) struct OfFile {
    /// Its text, trimmed.
    pub(super) text: String,
    /// Its id in the session. `None` if it could not be installed.
    pub(super) probe: Option<ProbeId>,
}

/// The contents of the files, as the session has them.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownFiles {
    pub(super) probes: Vec<OfFile>,
    /// The lines `target`, if the session's targets are theirs.
    pub(super) target: Option<Selector>,
}

/// Watches `files`, whose contents are `known`, from now on. The thread keeps no session alive, and
/// ends with the process, or at the first change after the session.
///
/// # Errors
/// The kernel cannot watch the files.
pub(super) fn watch(
    session: &Arc<dyn Control>,
    files: &[PathBuf],
    known: KnownFiles,
) -> io::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let watch = Watch::new(files)?;
    let session = Arc::downgrade(session);
    let files = files.to_vec();
    thread::Builder::new()
        .name("probe-files".into())
        .spawn(move || run(&session, &watch, &files, known))?;
    Ok(())
}

fn run(session: &Weak<dyn Control>, watch: &Watch, files: &[PathBuf], mut known: KnownFiles) {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut events = inotify::Reader::new(&watch.inotify, &mut buffer);
    loop {
        // All events of one read are taken together, since one save makes several events.
        let mut changed = false;
        loop {
            match events.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_bytes().to_vec());
                    changed |= watch.is_meant(event.wd(), name);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    if let Some(session) = session.upgrade() {
                        session.warn(format!("files of probes are no longer watched: {error}"));
                    }
                    return;
                }
            }
            if events.is_buffer_empty() {
                break;
            }
        }
        let Some(session) = session.upgrade() else {
            return;
        };
        if changed {
            reload(&*session, files, &mut known);
        }
    }
}

/// Makes the session's probes those that the files have now.
fn reload(session: &dyn Control, files: &[PathBuf], known: &mut KnownFiles) {
    let written = match probes::read(&[], files) {
        Ok(written) => written,
        Err(failures) => {
            // Half a file is no reason to lose probes that run.
            for failure in failures {
                session.warn(plain(&failure));
            }
            session.warn("the probes are unchanged".into());
            return;
        }
    };
    if let Some(target) = &mut known.target
        && *target != written.target
    {
        *target = written.target;
        session.note(
            "the lines `target` have changed; the session keeps its targets, and the next one takes the new lines"
                .into(),
        );
    }
    let known = &mut known.probes;
    let Changes { gone, new } = changes(known, written.probes);
    for OfFile { text, probe } in gone {
        if let Some(removed) = probe.and_then(|probe| session.remove(probe)) {
            session.note(format!("{} is removed: `{text}`", removed.name));
        }
    }
    for WrittenProbe { spec, place } in new {
        let text = spec.text.trim().to_owned();
        let probe = match session.add_spec(&spec) {
            Ok(status) => {
                say_added(session, &status);
                Some(status.id)
            }
            Err(error) => {
                let failure = CommandFailure::of_text(error, &spec.text).at(place.as_deref());
                session.warn(plain(&failure));
                None
            }
        };
        known.push(OfFile { text, probe });
    }
}

fn say_added(session: &dyn Control, status: &ProbeStatus) {
    let name = &status.name;
    session.note(format!("{name} is added: `{}`", status.text.trim()));
    for note in &status.notes {
        session.note(format!("{name}: {note}"));
    }
}

/// A failure as one line: message and hint.
fn plain(failure: &CommandFailure) -> String {
    match failure.advice() {
        Some(hint) => format!("{} ({hint})", failure.message()),
        None => failure.message().to_owned(),
    }
}

/// The necessary changes.
struct Changes {
    gone: Vec<OfFile>,
    new: Vec<WrittenProbe>,
}

/// Takes deleted probes from `known`. A text that occurs several times is as many probes.
fn changes(known: &mut Vec<OfFile>, written: Vec<WrittenProbe>) -> Changes {
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for written in &written {
        *wanted
            .entry(written.spec.text.trim().to_owned())
            .or_default() += 1;
    }
    let mut stays = |of_file: &OfFile| match wanted.get_mut(&of_file.text) {
        // A refused probe is tried again: the reason may be gone.
        Some(count) if *count > 0 && of_file.probe.is_some() => {
            *count -= 1;
            true
        }
        _ => false,
    };
    let (kept, gone) = known.drain(..).partition(|of_file| stays(of_file));
    *known = kept;
    let mut new = written;
    new.retain(|written| match wanted.get_mut(written.spec.text.trim()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    });
    Changes { gone, new }
}

/// The folders of the files: an editor may put another file at the place of the old one.
struct Watch {
    inotify: OwnedFd,
    /// Folder and name of each file.
    names: Vec<(i32, OsString)>,
}

impl Watch {
    fn new(files: &[PathBuf]) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC)?;
        let mut names = Vec::new();
        for file in files {
            let folder = match file.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            let Some(name) = file.file_name() else {
                continue;
            };
            let flags = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO;
            let folder = inotify::add_watch(&inotify, folder, flags)?;
            names.push((folder, name.to_owned()));
        }
        Ok(Self { inotify, names })
    }

    fn is_meant(&self, folder: i32, name: Option<Vec<u8>>) -> bool {
        let Some(name) = name.map(OsString::from_vec) else {
            return false;
        };
        self.names
            .iter()
            .any(|meant| meant.0 == folder && meant.1 == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::parse_probe;

    fn known(texts: &[(&str, Option<u32>)]) -> Vec<OfFile> {
        let of_file = |&(text, probe): &(&str, Option<u32>)| OfFile {
            text: text.into(),
            probe: probe.map(ProbeId),
        };
        texts.iter().map(of_file).collect()
    }

    fn written(texts: &[&str]) -> Vec<WrittenProbe> {
        let written = |text: &&str| WrittenProbe {
            spec: parse_probe(text).unwrap(),
            place: None,
        };
        texts.iter().map(written).collect()
    }

    fn shown(changes: &Changes) -> (Vec<&str>, Vec<&str>) {
        (
            changes.gone.iter().map(|gone| &*gone.text).collect(),
            changes.new.iter().map(|new| &*new.spec.text).collect(),
        )
    }

    #[test]
    fn changes_are_what_came_and_what_went() {
        let mut before = known(&[("log a.c:1", Some(1)), ("log a.c:2", Some(2))]);
        let changes = changes(&mut before, written(&["log a.c:3", "log a.c:2"]));
        assert_eq!(shown(&changes), (vec!["log a.c:1"], vec!["log a.c:3"]));
        assert_eq!(before.len(), 1);
    }

    #[test]
    fn changes_count_equal_texts() {
        let mut before = known(&[("log a.c:1", Some(1)), ("log a.c:1", Some(2))]);
        let more = changes(&mut before, written(&["log a.c:1"; 3]));
        assert_eq!(shown(&more), (vec![], vec!["log a.c:1"]));
        let mut before = known(&[("log a.c:1", Some(1)), ("log a.c:1", Some(2))]);
        let fewer = changes(&mut before, written(&["log a.c:1"]));
        assert_eq!(shown(&fewer), (vec!["log a.c:1"], vec![]));
    }

    #[test]
    fn changes_try_again_what_was_refused() {
        let mut before = known(&[("log a.c:1", None)]);
        let again = changes(&mut before, written(&["log a.c:1"]));
        assert_eq!(shown(&again), (vec!["log a.c:1"], vec!["log a.c:1"]));
    }
}
