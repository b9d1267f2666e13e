//! Signals that ask us to end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};
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
    pub(crate) fn listen(mut on: impl FnMut(i32) -> bool + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let (mut terminate, mut hangup, mut interrupt) = {
            let _guard = runtime.enter();
            (
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::interrupt())?,
            )
        };
        let run = async move {
            let wait = async {
                loop {
                    let kind = tokio::select! {
                        _ = terminate.recv() => SignalKind::terminate(),
                        _ = hangup.recv() => SignalKind::hangup(),
                        _ = interrupt.recv() => SignalKind::interrupt(),
                    };
                    if !on(kind.as_raw_value()) {
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
