//! Ends the process soon after the first signal, whatever it is waiting for.
//!
//! A signal asks for an orderly end: remove the probes, write the waiting events, write a summary.
//! That can take long if debug information is being read, or if nobody reads stdout or stderr. The
//! kernel removes the probes of an ended process, so after a while the watchdog ends it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::failure::CommandFailure;
use super::{DONE, INTERRUPTED, NOTHING_CAPTURED};
use crate::base::cancel;
use crate::base::limits::LAST_WRITES;
use crate::base::signals::{self, Signals};
use crate::session::Control;
use crate::tui;

/// Looks before the process goes, one after the other: on a machine that is too busy to wake this
/// thread in time the orderly end has as much more time.
const LOOKS: u32 = 80;
/// Time that the removal of probes may take before looks count: ending the process would take as
/// long.
const DETACHING: Duration = Duration::from_secs(25);
/// A write that takes longer is not going to end.
const STUCK: Duration = Duration::from_millis(150);

/// The progress of the output.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Events that were written.
    written: AtomicU64,
    /// Events that were taken to be written, and are not yet.
    in_hand: AtomicU64,
    /// Since when a write has been going on.
    writing: Mutex<Option<Instant>>,
    detaching: AtomicBool,
    exporting: AtomicBool,
}

impl Progress {
    /// Takes this number of events to be written next.
    pub(super) fn take(&self, events: usize) {
        self.in_hand.store(events as u64, Ordering::Relaxed);
    }

    /// One of them was written, or not.
    pub(super) fn done(&self, written: bool) {
        self.written
            .fetch_add(u64::from(written), Ordering::Relaxed);
        self.in_hand.fetch_sub(1, Ordering::Relaxed);
    }

    /// Events that were written.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Events that were taken, and are not written.
    pub(super) fn in_hand(&self) -> u64 {
        self.in_hand.load(Ordering::Relaxed)
    }

    /// Probes are being taken out, or not any more.
    pub(super) fn set_detaching(&self, detaching: bool) {
        self.detaching.store(detaching, Ordering::Relaxed);
    }

    /// The last telemetry is being sent, or not any more. That has a limit of its own.
    pub(super) fn set_exporting(&self, exporting: bool) {
        self.exporting.store(exporting, Ordering::Relaxed);
    }

    /// A signal has come, and a write does not end.
    pub(super) fn is_stuck(&self) -> bool {
        let since = *self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        cancel::writing_since().is_some_and(|asked| asked > LAST_WRITES)
            && since.is_some_and(|since| since.elapsed() > STUCK)
    }

    fn set_writing(&self, since: Option<Instant>) {
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// Reports the progress of each write.
pub(super) struct WatchedWrites<W> {
    pub(super) to: W,
    pub(super) progress: Arc<Progress>,
}

impl<W: io::Write> io::Write for WatchedWrites<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.progress.set_writing(Some(Instant::now()));
        let written = self.to.write(bytes);
        self.progress.set_writing(None);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.progress.set_writing(Some(Instant::now()));
        let flushed = self.to.flush();
        self.progress.set_writing(None);
        flushed
    }
}

/// Waits for signals until the process ends.
pub(super) struct Watchdog {
    pub(super) progress: Arc<Progress>,
    traced: Arc<Mutex<Option<Traced>>>,
    _signals: Signals,
}

struct Traced {
    session: Weak<dyn Control>,
    /// The terminal UI is up.
    screen: bool,
}

impl Watchdog {
    /// From now on the first SIGINT, SIGTERM or SIGHUP ends the process within a second.
    pub(super) fn listen() -> Result<Self, CommandFailure> {
        let progress = Arc::<Progress>::default();
        let traced = Arc::<Mutex<Option<Traced>>>::default();
        let of_signal = (Arc::clone(&progress), Arc::clone(&traced));
        let mut is_first = true;
        let signals = Signals::listen(move |_| {
            if signals::are_diverted() {
                return true;
            }
            if std::mem::take(&mut is_first) {
                cancel::cancel();
                let (progress, traced) = of_signal.clone();
                // Without a new thread there is no watchdog, so the process ends at once.
                let started = thread::Builder::new()
                    .name("watchdog".into())
                    .spawn(move || watch(&progress, &traced));
                if started.is_err() {
                    go(INTERRUPTED);
                }
            }
            true
        })
        .map_err(|error| CommandFailure::new(format!("cannot wait for signals: {error}")))?;
        Ok(Self {
            progress,
            traced,
            _signals: signals,
        })
    }

    /// Probes of this session are installed.
    pub(super) fn over(&self, session: &Arc<dyn Control>, screen: bool) {
        let traced = Traced {
            session: Arc::downgrade(session),
            screen,
        };
        *self.traced.lock().unwrap_or_else(PoisonError::into_inner) = Some(traced);
    }
}

fn watch(progress: &Progress, traced: &Mutex<Option<Traced>>) {
    let began = Instant::now();
    let mut looks = 0;
    while looks < LOOKS {
        thread::sleep(cancel::LOOK);
        cancel::looked();
        let detaching = progress.detaching.load(Ordering::Relaxed);
        let exporting = progress.exporting.load(Ordering::Relaxed);
        if !exporting && (!detaching || began.elapsed() > DETACHING) {
            looks += 1;
        }
    }
    tui::abandon();
    let traced = traced.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(Traced { session, screen }) = traced else {
        last_words("tracer: interrupted before anything was traced\n");
        go(INTERRUPTED)
    };
    let waiting = session.upgrade().map_or(0, |session| {
        let waiting = session.waiting_events() as u64;
        // Dropping the session would wait for a thread that does not end.
        std::mem::forget(session);
        waiting
    });
    if screen {
        last_words("tracer: the terminal accepts no more output\n");
        go(DONE);
    }
    last_words(&unwritten(waiting + progress.in_hand()));
    go(match progress.written() {
        0 => NOTHING_CAPTURED,
        _ => DONE,
    })
}

/// The note on events that could not be written.
pub(super) fn unwritten(events: u64) -> String {
    format!("tracer: at least {events} events were not written: the output accepts no more\n")
}

/// Writes to stderr if that works at once.
fn last_words(text: &str) {
    let stderr = io::stderr();
    cancel::write_at_once(&stderr, text.as_bytes());
}

/// Ends the process now.
fn go(code: u8) -> ! {
    #[expect(
        unsafe_code,
        reason = "`exit` would wait for locks of threads that are stuck"
    )]
    // SAFETY: `_exit` takes a number, touches no memory of ours and does not return.
    unsafe {
        libc::_exit(i32::from(code))
    }
}
