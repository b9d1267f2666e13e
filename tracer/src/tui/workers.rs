//! Threads that do what may take long, so that keys never wait.
//!
//! One for each kind of work: attaching a probe does not hold up the counters,
//! nor colours the text.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::Error;
use super::action::{Effect, Reply};
use super::document::{self, Document};
use crate::session::Control;

/// The threads' mailboxes, and what comes back.
pub(super) struct Workers {
    lanes: [Sender<Effect>; 4],
    replies: Receiver<Reply>,
    /// Number of the newest open file; work for older ones is dropped.
    generation: Arc<AtomicU64>,
}

/// What a thread needs.
#[derive(Clone)]
struct Worker {
    control: Arc<dyn Control>,
    replies: Sender<Reply>,
    generation: Arc<AtomicU64>,
}

/// Which thread does it.
fn lane(effect: &Effect) -> usize {
    match effect {
        Effect::Add(_) | Effect::Remove(_) => 0,
        Effect::SetEnabled(..) | Effect::RefreshProbes | Effect::RefreshAggregates => 1,
        Effect::LoadFiles | Effect::LoadSource { .. } | Effect::Variables { .. } => 2,
        Effect::Highlight { .. } => 3,
    }
}

impl Workers {
    /// Starts the threads; they end when this is dropped and their work is done.
    pub(super) fn start(control: Arc<dyn Control>) -> Result<Self, Error> {
        let (sender, replies) = channel();
        let generation = Arc::new(AtomicU64::new(0));
        let worker = Worker {
            control,
            replies: sender,
            generation: generation.clone(),
        };
        let start = |name: &str| -> Result<Sender<Effect>, Error> {
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
        ];
        Ok(Self {
            lanes,
            replies,
            generation,
        })
    }

    /// Has something done.
    pub(super) fn run(&self, effect: Effect) -> Result<(), Error> {
        if let Effect::LoadSource { generation, .. } = &effect {
            self.generation.store(*generation, Ordering::Relaxed);
        }
        self.lanes[lane(&effect)]
            .send(effect)
            .map_err(|_| Error::Thread)
    }

    /// Something that is done.
    pub(super) fn reply(&self) -> Option<Reply> {
        self.replies.try_recv().ok()
    }
}

impl Worker {
    fn serve(&self, work: &Receiver<Effect>) {
        while let Ok(first) = work.recv() {
            let mut queue: Vec<Effect> = std::iter::once(first).chain(work.try_iter()).collect();
            let last_variables = queue
                .iter()
                .rposition(|effect| matches!(effect, Effect::Variables { .. }));
            let mut index = 0;
            // Of several lines that the cursor came to, only the last is of use.
            queue.retain(|effect| {
                let stale =
                    matches!(effect, Effect::Variables { .. }) && Some(index) != last_variables;
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

    /// Does one thing; `false` when nobody listens any more.
    fn work(&self, effect: Effect) -> bool {
        let reply = match effect {
            Effect::LoadFiles => Reply::Files(self.control.source_files()),
            Effect::LoadSource { generation, file } => {
                if !self.is_current(generation) {
                    return true;
                }
                let text = self
                    .control
                    .source_text(&file)
                    .map(|text| Arc::new(Document::of_source(text)));
                let outline = text.is_err().then(|| self.control.outline(&file));
                if !self.send(Reply::Text { generation, text }) {
                    return false;
                }
                if let Some(outline) = outline
                    && !self.send(Reply::Outline {
                        generation,
                        outline,
                    })
                {
                    return false;
                }
                Reply::Lines {
                    generation,
                    lines: self.control.lines(&file),
                }
            }
            Effect::Highlight {
                generation,
                document,
                file,
            } => {
                document::highlight(&document, &file.path, |from, spans| {
                    self.is_current(generation)
                        && self.send(Reply::Highlighted {
                            generation,
                            from,
                            spans,
                        })
                });
                return true;
            }
            Effect::Variables {
                generation,
                file,
                line,
            } => Reply::Variables {
                generation,
                line,
                variables: self.control.variables(&file, line),
            },
            Effect::Add(request) => {
                let result = self.control.add(&request.text).map(Box::new);
                Reply::Added { request, result }
            }
            Effect::Remove(id) => Reply::Removed(id, self.control.remove(id).map(Box::new)),
            Effect::SetEnabled(ids, enabled) => {
                ids.into_iter()
                    .for_each(|id| self.control.set_enabled(id, enabled));
                return true;
            }
            Effect::RefreshProbes => Reply::Probes(self.control.probes()),
            Effect::RefreshAggregates => Reply::Aggregates(self.control.aggregates()),
        };
        self.send(reply)
    }

    fn is_current(&self, generation: u64) -> bool {
        self.generation.load(Ordering::Relaxed) == generation
    }

    fn send(&self, reply: Reply) -> bool {
        self.replies.send(reply).is_ok()
    }
}
