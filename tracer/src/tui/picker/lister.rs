//! The thread that lists processes, and asks which of them a selector matches.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::super::Error;
use super::selectors::KnownValues;
use crate::base::diagnostic::Diagnostic;
use crate::target::select::Selector;

/// Interval at which the list is made again.
const REFRESH: Duration = Duration::from_secs(2);

/// A process that could be the target.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessEntry {
    /// Its number.
    pub pid: u32,
    /// Short name.
    pub name: String,
    /// Command line.
    pub command: String,
    /// Name of the user who runs it.
    pub user: String,
    /// True if its executable has debug information. `None` if that was not checked.
    pub debug_info: Option<bool>,
    /// The share of one CPU that it has used lately. `None` if it was not seen before.
    pub cpu: Option<f64>,
    /// Time since its start.
    pub age: Duration,
    /// Its threads.
    pub threads: u32,
    /// Its container, or its unit.
    pub place: String,
}

/// The processes of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matching {
    /// Pids of those that match now.
    Now(Vec<u32>),
    /// None matches yet, and one can be waited for. The reason why none does.
    Later(Diagnostic),
}

/// Knows the processes of the machine.
pub trait ProcessLister: Send {
    /// All processes, and the values by which selectors can name them.
    fn list(&mut self) -> (Vec<ProcessEntry>, KnownValues);

    /// The processes that match.
    ///
    /// # Errors
    /// None does, and none can come to.
    fn matching(&mut self, selector: &Selector) -> Result<Matching, Diagnostic>;
}

/// A finding of the thread.
#[derive(Debug)]
pub(super) enum Found {
    Processes(Vec<ProcessEntry>, KnownValues),
    /// The processes that match this selector.
    Matching(Selector, Result<Matching, Diagnostic>),
}

/// The thread. It ends when this is dropped.
pub(super) struct ListerThread {
    found: Receiver<Found>,
    /// Found while it was waited for.
    waited: Option<Found>,
    wanted: Sender<Option<Selector>>,
}

impl ListerThread {
    pub(super) fn start(mut lister: impl ProcessLister + 'static) -> Result<Self, Error> {
        let (sender, found) = channel();
        let (wanted, wishes) = channel::<Option<Selector>>();
        thread::Builder::new()
            .name("tui-processes".into())
            .spawn(move || serve(&mut lister, &sender, &wishes))?;
        Ok(Self {
            found,
            waited: None,
            wanted,
        })
    }

    /// From now on this selector's processes are looked for, or none's.
    pub(super) fn want(&self, selector: Option<Selector>) {
        // The thread is gone only after a panic, which ends the screen.
        let _ = self.wanted.send(selector);
    }

    /// Something that was found.
    pub(super) fn take(&mut self) -> Option<Found> {
        let waited = self.waited.take();
        waited.or_else(|| self.found.try_recv().ok())
    }

    /// Waits until something is found, at most this long.
    pub(super) fn wait(&mut self, time: Duration) {
        if self.waited.is_none() {
            self.waited = self.found.recv_timeout(time).ok();
        }
    }
}

fn serve(
    lister: &mut impl ProcessLister,
    sender: &Sender<Found>,
    wishes: &Receiver<Option<Selector>>,
) {
    let mut wanted: Option<Selector> = None;
    let mut is_due = true;
    loop {
        if is_due {
            let (entries, known) = lister.list();
            if sender.send(Found::Processes(entries, known)).is_err() {
                return;
            }
        }
        if let Some(selector) = &wanted {
            let matching = lister.matching(selector);
            if sender
                .send(Found::Matching(selector.clone(), matching))
                .is_err()
            {
                return;
            }
        }
        is_due = match wishes.recv_timeout(REFRESH) {
            Ok(wish) => {
                // Only the newest wish is of use.
                wanted = wishes.try_iter().last().unwrap_or(wish);
                false
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => return,
        };
    }
}
