//! Reads the lines of a running program as they come.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::PATIENCE;

#[derive(Default)]
struct Shared {
    lines: Vec<String>,
    closed: bool,
}

/// Lines read from one pipe so far, by a thread.
pub(crate) struct Output {
    name: &'static str,
    shared: Arc<(Mutex<Shared>, Condvar)>,
    beside: Option<Arc<(Mutex<Shared>, Condvar)>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    /// Reads `pipe` to its end.
    pub(crate) fn read(name: &'static str, pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Shared::default()), Condvar::new()));
        let writer = Arc::clone(&shared);
        let reader = std::thread::spawn(move || {
            let mut pipe = BufReader::with_capacity(1 << 16, pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end_matches(['\n', '\r']).to_owned();
                lock(&writer.0).lines.push(text);
                writer.1.notify_all();
                line.clear();
            }
            lock(&writer.0).closed = true;
            writer.1.notify_all();
        });
        Self {
            name,
            shared,
            beside: None,
            reader: Some(reader),
        }
    }

    /// Adds the end of `other` to the message if a wait fails.
    pub(crate) fn beside(mut self, other: &Self) -> Self {
        self.beside = Some(Arc::clone(&other.shared));
        self
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        lock(&self.shared.0).lines.clone()
    }

    /// The number of lines so far.
    pub(crate) fn count(&self) -> usize {
        lock(&self.shared.0).lines.len()
    }

    /// Waits until `find` returns a value for the lines so far.
    ///
    /// # Panics
    /// The pipe ended, or the time was up, before that.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, find: impl FnMut(&[String]) -> Option<T>) -> T {
        self.wait_within(PATIENCE, what, find)
    }

    /// Waits no longer than `patience` until `find` returns a value for the lines so far.
    #[track_caller]
    pub(crate) fn wait_within<T>(
        &self,
        patience: Duration,
        what: &str,
        mut find: impl FnMut(&[String]) -> Option<T>,
    ) -> T {
        let end = Instant::now() + patience;
        let mut shared = lock(&self.shared.0);
        loop {
            if let Some(found) = find(&shared.lines) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if shared.closed || left.is_zero() {
                let why = if shared.closed {
                    "it ended"
                } else {
                    "time is up"
                };
                let (name, tail) = (self.name, tail(&shared.lines));
                drop(shared);
                let beside = self.beside.as_ref();
                let beside = beside.map_or(String::new(), |other| lines_tail(&lock(&other.0)));
                panic!("waited for {what} on {name}, but {why}; last lines:\n{tail}\n{beside}");
            }
            shared = self
                .shared
                .1
                .wait_timeout(shared, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits for a line that satisfies `is`, from line `from` on. Returns its index.
    #[track_caller]
    pub(crate) fn wait_line(&self, what: &str, from: usize, is: impl Fn(&str) -> bool) -> usize {
        self.wait(what, |lines| {
            (from..lines.len()).find(|&index| is(&lines[index]))
        })
    }

    /// Waits for the pipe's end, and returns all of its lines.
    pub(crate) fn finish(mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
        self.lines()
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lines_tail(shared: &Shared) -> String {
    format!("stderr:\n{}", tail(&shared.lines))
}

/// The end of an output, for messages.
pub(crate) fn tail(lines: &[String]) -> String {
    lines[lines.len().saturating_sub(30)..].join("\n")
}
