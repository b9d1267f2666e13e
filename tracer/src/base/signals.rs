//! Signals that ask us to end.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::thread;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Signals that end the process are meant for a program that it has started.
static DIVERTED: AtomicBool = AtomicBool::new(false);

/// Has listeners ignore the signals that end the process, or not any more: they are meant for a
/// program that this process has started.
pub(crate) fn divert(diverted: bool) {
    DIVERTED.store(diverted, Ordering::Relaxed);
}

/// Returns true if signals are meant for a program that this process has started.
pub(crate) fn are_diverted() -> bool {
    DIVERTED.load(Ordering::Relaxed)
}

/// The keys of the terminal are another program's for now.
static LENT: AtomicBool = AtomicBool::new(false);

/// Has listeners ignore SIGINT, or not any more: Ctrl-C is meant for a program that has the terminal for
/// now.
pub(crate) fn lend_keys(lent: bool) {
    LENT.store(lent, Ordering::Relaxed);
}

/// Listens for signals as long as it lives.
pub(crate) struct Signals {
    /// Dropping it ends the thread that waits for the signals.
    _stop: oneshot::Sender<()>,
}

impl Signals {
    /// Calls `on` at each SIGUSR1 from now on, on a thread of its own, until `on` returns false.
    pub(crate) fn listen_silence(
        mut on: impl FnMut() -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let mut silence = {
            let _guard = runtime.enter();
            signal(SignalKind::user_defined1())?
        };
        let run = async move {
            let wait = async { while silence.recv().await.is_some() && on() {} };
            tokio::select! {
                () = wait => {}
                _ = stopped => {}
            }
        };
        thread::Builder::new()
            .name("silence".into())
            .spawn(move || runtime.block_on(run))?;
        Ok(Self { _stop: stop })
    }

    /// Calls `on` with the number of each SIGINT, SIGTERM and SIGHUP from now on, on a thread of
    /// its own, until `on` returns false.
    pub(crate) fn listen(on: impl FnMut(i32) -> bool + Send + 'static) -> io::Result<Self> {
        let streams = SignalStreams::of(&[libc::SIGTERM, libc::SIGHUP, libc::SIGINT])?;
        Self::listen_to(streams, on)
    }

    /// As [`Self::listen`], with SIGQUIT, and with the sender. Call it before there are other threads: a
    /// signal that one of them gets meanwhile may be lost.
    pub(crate) fn listen_with_sender(
        mut on: impl FnMut(ReceivedSignal) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let kinds = [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT];
        // The sender is noted before the signal is read, so that comes first. A signal in between would be
        // noted and not read.
        let held = HeldSignals::new();
        for signal in OF_TERMINALS {
            note_terminals(signal)?;
        }
        let streams = SignalStreams::of(&kinds)?;
        drop(held);
        Self::listen_to(streams, move |number| {
            let bit = 1 << number;
            let by_terminal = BY_TERMINAL.fetch_and(!bit, Ordering::Relaxed) & bit != 0;
            on(ReceivedSignal {
                number,
                by_terminal,
            })
        })
    }

    fn listen_to(
        streams: SignalStreams,
        mut on: impl FnMut(i32) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let SignalStreams {
            runtime,
            mut streams,
        } = streams;
        let run = async move {
            let wait = async {
                loop {
                    let next = std::future::poll_fn(|context| {
                        let mut all = streams.iter_mut();
                        let ready = all.find_map(|(kind, one)| {
                            one.poll_recv(context).is_ready().then_some(*kind)
                        });
                        ready.map_or(Poll::Pending, Poll::Ready)
                    });
                    let signal = next.await;
                    let is_for_other = signal == libc::SIGINT && LENT.load(Ordering::Relaxed);
                    if !is_for_other && !on(signal) {
                        return;
                    }
                }
            };
            tokio::select! {
                () = wait => {}
                _ = stopped => {}
            }
        };
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(run))?;
        Ok(Self { _stop: stop })
    }
}

/// Streams of signals, which come from now on.
struct SignalStreams {
    runtime: Runtime,
    streams: Vec<(i32, Signal)>,
}

impl SignalStreams {
    fn of(kinds: &[i32]) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let guard = runtime.enter();
        let stream = |&kind: &i32| Ok((kind, signal(SignalKind::from_raw(kind))?));
        let streams = kinds.iter().map(stream).collect::<io::Result<Vec<_>>>()?;
        drop(guard);
        Ok(Self { runtime, streams })
    }
}

/// Holds all signals of this thread back as long as it lives.
struct HeldSignals {
    before: libc::sigset_t,
}

impl HeldSignals {
    fn new() -> Self {
        #[expect(unsafe_code, reason = "std has no masks of signals")]
        // SAFETY: both sets are local values, which zeros are valid for, and one is filled before it is
        // read.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
            Self { before }
        }
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "std has no masks of signals")]
        // SAFETY: the set is one that the C library has written.
        unsafe {
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.before,
                std::ptr::null_mut(),
            );
        }
    }
}

/// A signal that this process was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceivedSignal {
    pub(crate) number: i32,
    /// A key of the terminal was pressed: each process of its foreground group was sent the signal.
    pub(crate) by_terminal: bool,
}

/// Signals that keys of a terminal send.
const OF_TERMINALS: [i32; 2] = [libc::SIGINT, libc::SIGQUIT];

/// The sender is the kernel (`SI_KERNEL`).
const BY_KERNEL: i32 = 0x80;

/// Bit `n` is set if the kernel has sent signal `n` since it was taken last.
static BY_TERMINAL: AtomicU32 = AtomicU32::new(0);

/// Notes from now on whether a signal comes from a terminal.
fn note_terminals(signal: i32) -> io::Result<()> {
    let note = move |info: &libc::siginfo_t| {
        if info.si_code == BY_KERNEL {
            BY_TERMINAL.fetch_or(1 << signal, Ordering::Relaxed);
        }
    };
    #[expect(unsafe_code, reason = "tokio does not say who has sent a signal")]
    // SAFETY: the action only changes an atomic number, which a handler of a signal may do.
    unsafe {
        signal_hook_registry::register_sigaction(signal, note)?;
    }
    Ok(())
}
