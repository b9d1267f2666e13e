//! Watches a process during a test. It must never be stopped or ptraced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::program::{start_time, status_field};

/// The observations of a watcher.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Number of checks.
    pub(crate) looks: u64,
    /// Values of `TracerPid` other than 0.
    pub(crate) tracers: Vec<String>,
    /// States of a stopped or ptraced process.
    pub(crate) stops: Vec<String>,
}

/// A thread that checks a process every 2 ms.
pub(crate) struct Watch {
    pid: u32,
    started: u64,
    exe: Vec<u8>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<Seen>>,
}

impl Watch {
    /// Watches `pid` from now on.
    #[track_caller]
    pub(crate) fn start(pid: u32) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !ended.load(Ordering::Relaxed) {
                look(pid, &mut seen);
                std::thread::sleep(Duration::from_millis(2));
            }
            seen
        });
        Self {
            pid,
            started: start_time(pid),
            exe: exe_bytes(pid),
            end,
            thread: Some(thread),
        }
    }

    /// Ends the watch. Checks that the process is the same, runs the same file, and was never
    /// stopped.
    #[track_caller]
    pub(crate) fn assert_untouched(mut self) {
        self.end.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("ended once");
        let seen = thread.join().expect("the watcher does not panic");
        assert!(seen.looks > 10, "only {} looks at the target", seen.looks);
        assert_eq!(seen.tracers, Vec::<String>::new(), "it was ptraced");
        assert_eq!(seen.stops, Vec::<String>::new(), "it was stopped");
        assert_eq!(start_time(self.pid), self.started, "it was restarted");
        assert!(exe_bytes(self.pid) == self.exe, "its binary was changed");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

fn look(pid: u32, seen: &mut Seen) {
    seen.looks += 1;
    if let Some(tracer) = status_field(pid, "TracerPid").filter(|tracer| tracer != "0") {
        seen.tracers.push(tracer);
    }
    if let Some(state) = status_field(pid, "State").filter(|state| state.starts_with(['T', 't'])) {
        seen.stops.push(state);
    }
}

fn exe_bytes(pid: u32) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/exe")).expect("the process runs")
}
