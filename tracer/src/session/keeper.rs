//! The thread that looks after a session: what its probes cost, and what they wait for.
//!
//! It holds no session alive: when the session goes, so does it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use super::Session;

/// Between two looks at the cost of probes, and at the program that the target executes.
const TICK: Duration = Duration::from_millis(250);

/// Wakes the thread; when the last one is dropped it ends.
#[derive(Clone, Debug)]
pub(super) struct Keeper(Sender<()>);

/// The end that the thread listens to.
pub(super) struct Told(Receiver<()>);

impl Keeper {
    /// One that has nobody to listen to it yet.
    pub(super) fn new() -> (Self, Told) {
        let (tell, told) = channel();
        (Self(tell), Told(told))
    }

    /// Has the thread look at the target's modules now.
    pub(super) fn wake(&self) {
        // Nobody listens any more when the session ends.
        let _ = self.0.send(());
    }
}

/// Starts the thread that looks after `session`.
pub(super) fn start(session: &Arc<Session>, told: Told) -> io::Result<()> {
    let session = Arc::downgrade(session);
    thread::Builder::new()
        .name("keeper".into())
        .spawn(move || run(&session, &told))?;
    Ok(())
}

fn run(session: &Weak<Session>, Told(told): &Told) {
    let mut last = Instant::now();
    loop {
        let woken = match told.recv_timeout(TICK.saturating_sub(last.elapsed())) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(session) = session.upgrade() else {
            return;
        };
        if woken {
            // One library makes several calls.
            while told.try_recv().is_ok() {}
            session.follow_modules();
            continue;
        }
        let now = Instant::now();
        session.keep(now - last);
        last = now;
    }
}
