//! The thread that looks after a session: what its probes cost, and what they wait for.
//!
//! It holds no session alive: when the session goes, so does it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use super::Session;

/// Between two looks at the cost of probes.
const TICK: Duration = Duration::from_millis(250);

/// Ends the thread when it is dropped.
#[derive(Debug)]
pub(super) struct Keeper(#[expect(dead_code, reason = "held to be dropped")] Sender<()>);

/// The end of a keeper that its thread listens to.
pub(super) struct Told(Receiver<()>);

impl Keeper {
    /// One that has nobody to listen to it yet.
    pub(super) fn new() -> (Self, Told) {
        let (tell, told) = channel();
        (Self(tell), Told(told))
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
    while told.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        let Some(session) = session.upgrade() else {
            return;
        };
        let now = Instant::now();
        session.keep(now - last);
        last = now;
    }
}
