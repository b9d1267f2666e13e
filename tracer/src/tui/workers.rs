//! Threads for work that may take long, so that keys never wait.
//!
//! There is one thread for each kind of work: attaching a probe delays neither the counters nor the
//! colours of the text.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::Error;
use super::action::{
    AddRequest, EditorPlace, KnownNames, LoadedWindow, NamesRequest, UiEffect, WorkerReply,
};
use super::document::{self, Document};
use super::program::ProgramControl;
use crate::actions::parse_probe;
use crate::base::diagnostic::Diagnostic;
use crate::base::user_thread::UserThread;
use crate::event::ProbeId;
use crate::session::playback::Playback;
use crate::session::{Control, ProbeStatus};
use crate::target::launch::{check_editor, edit};

mod calls;
pub(super) mod saving;

/// The threads' mailboxes, and their results.
pub(super) struct Workers {
    lanes: [Sender<UiEffect>; 11],
    replies: Receiver<WorkerReply>,
    /// Number of the newest open file; work for older ones is dropped.
    generation: Arc<AtomicU64>,
}

/// The context of a thread.
#[derive(Clone)]
struct Worker {
    control: Arc<dyn Control>,
    program: Option<Arc<dyn ProgramControl>>,
    /// Writes files, if not this process's user does.
    user: Option<Arc<UserThread>>,
    replies: Sender<WorkerReply>,
    generation: Arc<AtomicU64>,
}

/// The thread for an effect.
fn lane(effect: &UiEffect) -> usize {
    match effect {
        UiEffect::Add(_) | UiEffect::Remove(_) | UiEffect::LoadWindow { .. } => 0,
        UiEffect::SetEnabled(..) | UiEffect::RefreshAggregates => 1,
        UiEffect::LoadFiles | UiEffect::LoadSource { .. } | UiEffect::Variables { .. } => 2,
        UiEffect::EditSource { .. } => 2,
        UiEffect::Highlight { .. } | UiEffect::Copy(_) => 3,
        // As long as the program runs, and as long as it reads nothing.
        UiEffect::StartProgram => 4,
        UiEffect::TypeBytes(_) => 5,
        UiEffect::ResizeProgram(_) => 6,
        // As long as the user edits.
        UiEffect::OpenEditor(_) => 7,
        UiEffect::WriteFile(_) => 8,
        UiEffect::Names(_) => 9,
        // As long as a recording is searched.
        UiEffect::LoadCall(_) => 10,
    }
}

/// Installs a probe.
pub(super) fn add(control: &dyn Control, request: &AddRequest) -> Result<ProbeStatus, Diagnostic> {
    let Some(name) = &request.name else {
        return control.add(&request.text);
    };
    let mut spec = parse_probe(&request.text)?;
    spec.options.name.get_or_insert_with(|| name.clone());
    control.add_spec(&spec)
}

/// Names for completion.
pub(super) fn names(control: &dyn Control, request: &NamesRequest) -> KnownNames {
    match request {
        NamesRequest::Values { location, owner } => {
            KnownNames::Values(control.names_at(location, owner))
        }
        NamesRequest::Functions(front) => KnownNames::Functions(control.function_names(front)),
    }
}

/// Removes a probe, and keeps its totals.
pub(super) fn remove(control: &dyn Control, id: ProbeId) -> WorkerReply {
    let mut aggregates = control.aggregates().into_iter();
    let aggregate = aggregates.find(|one| one.probe == id).map(Box::new);
    WorkerReply::Removed(id, control.remove(id).map(Box::new), aggregate)
}

impl Workers {
    /// Starts the threads. They end when this is dropped and their work is done.
    pub(super) fn start(
        control: Arc<dyn Control>,
        program: Option<Arc<dyn ProgramControl>>,
        user: Option<Arc<UserThread>>,
    ) -> Result<Self, Error> {
        let (sender, replies) = channel();
        let generation = Arc::new(AtomicU64::new(0));
        let worker = Worker {
            control,
            program,
            user,
            replies: sender,
            generation: generation.clone(),
        };
        let start = |name: &str| -> Result<Sender<UiEffect>, Error> {
            let (mailbox, work) = channel();
            let worker = worker.clone();
            thread::Builder::new()
                .name(name.into())
                .spawn(move || worker.serve(&work))?;
            Ok(mailbox)
        };
        let lanes = [
            start("tui-probes")?,
            start("tui-counters")?,
            start("tui-source")?,
            start("tui-syntax")?,
            start("tui-program")?,
            start("tui-typing")?,
            start("tui-size")?,
            start("tui-editor")?,
            start("tui-files")?,
            start("tui-names")?,
            start("tui-calls")?,
        ];
        Ok(Self {
            lanes,
            replies,
            generation,
        })
    }

    /// Has something done.
    pub(super) fn run(&self, effect: UiEffect) -> Result<(), Error> {
        if let UiEffect::LoadSource { generation, .. } = &effect {
            self.generation.store(*generation, Ordering::Relaxed);
        }
        self.lanes[lane(&effect)]
            .send(effect)
            .map_err(|_| Error::Thread)
    }

    /// Waits for something that is done.
    pub(super) fn wait(&self, patience: Duration) -> Option<WorkerReply> {
        self.replies.recv_timeout(patience).ok()
    }

    /// Something that is done.
    pub(super) fn reply(&self) -> Option<WorkerReply> {
        self.replies.try_recv().ok()
    }
}

impl Worker {
    fn serve(&self, work: &Receiver<UiEffect>) {
        while let Ok(first) = work.recv() {
            let mut queue: Vec<UiEffect> = std::iter::once(first).chain(work.try_iter()).collect();
            // Only the last place of those that the cursor came to is of use.
            let is_of_cursor = |effect: &UiEffect| {
                matches!(effect, UiEffect::Variables { .. } | UiEffect::Names(_))
            };
            let last = queue.iter().rposition(is_of_cursor);
            let mut index = 0;
            queue.retain(|effect| {
                let stale = is_of_cursor(effect) && Some(index) != last;
                index += 1;
                !stale
            });
            for effect in queue {
                if !self.work(effect) {
                    return;
                }
            }
        }
    }

    /// Carries out one effect. Returns false if the receiver is gone.
    fn work(&self, effect: UiEffect) -> bool {
        let reply = match effect {
            UiEffect::LoadFiles => WorkerReply::Files(self.control.source_files()),
            UiEffect::LoadSource { generation, file } => {
                if !self.is_current(generation) {
                    return true;
                }
                let text = self
                    .control
                    .source_text(&file)
                    .map(|text| Arc::new(Document::of_source(text)));
                let outline = text.is_err().then(|| self.control.outline(&file));
                if !self.send(WorkerReply::Text { generation, text }) {
                    return false;
                }
                if let Some(outline) = outline
                    && !self.send(WorkerReply::Outline {
                        generation,
                        outline,
                    })
                {
                    return false;
                }
                WorkerReply::Lines {
                    generation,
                    lines: self.control.lines(&file),
                }
            }
            UiEffect::Highlight {
                generation,
                document,
                file,
            } => {
                document::highlight(&document, &file.path, |from, spans| {
                    self.is_current(generation)
                        && self.send(WorkerReply::Highlighted {
                            generation,
                            from,
                            spans,
                        })
                });
                return true;
            }
            UiEffect::Variables {
                generation,
                file,
                line,
            } => WorkerReply::Variables {
                generation,
                line,
                variables: self.control.variables(&file, line),
            },
            UiEffect::Add(request) => {
                let result = add(&*self.control, &request).map(Box::new);
                WorkerReply::Added { request, result }
            }
            UiEffect::Remove(id) => remove(&*self.control, id),
            UiEffect::SetEnabled(ids, enabled) => {
                ids.into_iter()
                    .for_each(|id| self.control.set_enabled(id, enabled));
                WorkerReply::Switched
            }
            UiEffect::LoadWindow { .. } | UiEffect::LoadCall(_) => {
                let playback = self.control.playback();
                return playback.is_none_or(|playback| self.read_recording(playback, effect));
            }
            UiEffect::Names(request) => {
                let names = names(&*self.control, &request);
                WorkerReply::Names(request, names)
            }
            UiEffect::WriteFile(request) => {
                let written = saving::write(&request, &self.control, self.user.as_deref());
                WorkerReply::Written(Box::new(request), written)
            }
            UiEffect::RefreshAggregates => WorkerReply::Aggregates(self.control.aggregates()),
            UiEffect::EditSource { file, line } => {
                let path = check_editor().and_then(|()| self.control.source_path(&file));
                WorkerReply::EditorPlace(path.map(|path| EditorPlace { path, line }))
            }
            UiEffect::OpenEditor(place) => WorkerReply::Edited(edit(&place.path, place.line)),
            // The loop has the terminal.
            UiEffect::Copy(_) => return true,
            UiEffect::StartProgram | UiEffect::TypeBytes(_) | UiEffect::ResizeProgram(_) => {
                let program = self.program.as_deref();
                return program.is_none_or(|program| self.work_on_program(program, effect));
            }
        };
        self.send(reply)
    }

    fn read_recording(&self, playback: &dyn Playback, effect: UiEffect) -> bool {
        match effect {
            UiEffect::LoadWindow {
                place,
                filter,
                is_jump,
            } => {
                let window = playback.window(place, &|event| filter.passes_event(event));
                self.send(WorkerReply::Window(LoadedWindow {
                    window: Box::new(window),
                    filter,
                    is_jump,
                }))
            }
            UiEffect::LoadCall(wish) => self.send(WorkerReply::Call(calls::load(playback, wish))),
            _ => true,
        }
    }

    fn work_on_program(&self, program: &dyn ProgramControl, effect: UiEffect) -> bool {
        match effect {
            UiEffect::StartProgram => {
                let started = program.start();
                let runs = started.is_ok();
                self.send(WorkerReply::Started(started))
                    && (!runs || self.send(WorkerReply::Ended(program.wait())))
            }
            UiEffect::TypeBytes(bytes) => {
                // A terminal that nobody has any more takes no keys.
                let _ = program.write_all(&bytes);
                self.send(WorkerReply::Typed(bytes.len()))
            }
            UiEffect::ResizeProgram(size) => {
                program.resize(size);
                true
            }
            _ => true,
        }
    }

    fn is_current(&self, generation: u64) -> bool {
        self.generation.load(Ordering::Relaxed) == generation
    }

    fn send(&self, reply: WorkerReply) -> bool {
        self.replies.send(reply).is_ok()
    }
}
