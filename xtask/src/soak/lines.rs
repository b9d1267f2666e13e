//! Reads the lines that a process writes, as they come, within a bound.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::findings::Hang;

/// Bytes that are kept of one pipe. The rest is read and dropped.
const MOST_BYTES: usize = 256 << 20;

#[derive(Default)]
struct LineBuffer {
    lines: Vec<String>,
    bytes: usize,
    /// Lines beyond the bound.
    dropped: u64,
    closed: bool,
}

/// Lines read from one pipe so far, by a thread.
pub(super) struct Lines {
    shared: Arc<(Mutex<LineBuffer>, Condvar)>,
    reader: JoinHandle<()>,
}

impl Lines {
    /// Reads `pipe` to its end.
    pub(super) fn read(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(LineBuffer::default()), Condvar::new()));
        let writer = Arc::clone(&shared);
        let reader = std::thread::spawn(move || {
            let mut pipe = BufReader::with_capacity(1 << 16, pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
                let mut shared = lock(&writer.0);
                shared.bytes += line.len();
                if shared.bytes <= MOST_BYTES {
                    let text = String::from_utf8_lossy(&line);
                    shared.lines.push(text.trim_end_matches('\n').to_owned());
                } else {
                    shared.dropped += 1;
                }
                drop(shared);
                writer.1.notify_all();
                line.clear();
            }
            lock(&writer.0).closed = true;
            writer.1.notify_all();
        });
        Self { shared, reader }
    }

    /// Returns the lines so far.
    pub(super) fn all(&self) -> Vec<String> {
        lock(&self.shared.0).lines.clone()
    }

    /// Returns the number of lines so far.
    pub(super) fn count(&self) -> usize {
        lock(&self.shared.0).lines.len()
    }

    /// Returns the number of lines beyond the bound.
    pub(super) fn dropped(&self) -> u64 {
        lock(&self.shared.0).dropped
    }

    /// Waits for a line from index `from` on. Returns its index, or `None` if the pipe ended
    /// without it.
    ///
    /// # Errors
    /// Fails if the time is up.
    pub(super) fn wait(
        &self,
        patience: Duration,
        from: usize,
        what: &str,
        is: impl Fn(&str) -> bool,
    ) -> Result<Option<usize>, Hang> {
        let end = Instant::now() + patience;
        let mut shared = lock(&self.shared.0);
        let mut looked = from;
        loop {
            let new = shared.lines.get(looked..).unwrap_or_default();
            if let Some(index) = new.iter().position(|line| is(line)) {
                return Ok(Some(looked + index));
            }
            looked = shared.lines.len().max(from);
            if shared.closed {
                return Ok(None);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Hang::new(format!("no {what} within {patience:?}")));
            }
            let waited = self.shared.1.wait_timeout(shared, left);
            shared = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the pipe. The writing process has ended, or was killed.
    ///
    /// # Errors
    /// Fails if another process holds the pipe.
    pub(super) fn finish(self, patience: Duration) -> Result<Vec<String>, Hang> {
        self.wait(patience, usize::MAX, "end of a pipe", |_| false)?;
        let shared = Arc::clone(&self.shared);
        // The thread has reported the end.
        let _ = self.reader.join();
        Ok(std::mem::take(&mut lock(&shared.0).lines))
    }
}

fn lock(shared: &Mutex<LineBuffer>) -> MutexGuard<'_, LineBuffer> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
