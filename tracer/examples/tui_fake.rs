//! The terminal frontend over a made-up session: for looking at it without a target or privileges.
//!
//!     cargo run -p tracer --example tui_fake -- [EVENTS_A_SECOND [SECONDS_UNTIL_THE_TARGET_EXITS [FILES]]]
//!
//! With no argument that is a number, the choice of a process comes first.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracer::base::diagnostic::Diagnostic;
use tracer::session::Control;
use tracer::session::Notice;
use tracer::target::select::Selector;
use tracer::tui::{
    Error, KnownValues, Matching, ProcessEntry, ProcessLister, UiOptions, pick_processes, run,
};
// The fake names them as its own crate's.
use tracer::{base, event, lang, session, sources, value};

#[path = "../src/tui/fake.rs"]
#[expect(dead_code, reason = "tests use other parts of it")]
mod fake;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<u64>().ok());
    let rate = arguments.next().flatten();
    let exit = arguments.next().flatten();
    let files = arguments.next().flatten().unwrap_or(40);
    let options = UiOptions::default();
    if rate.is_none() && pick_processes(FakeProcesses, &options)?.is_none() {
        return Ok(());
    }
    let control = Arc::new(fake::Fake::new(usize::try_from(files).unwrap_or(0)));
    let (stop, stopped) = channel::<()>();
    let target = control.clone();
    let hits = std::thread::spawn(move || {
        let (start, mut hit) = (Instant::now(), 0u64);
        let gap = Duration::from_nanos(1_000_000_000 / rate.unwrap_or(4).max(1));
        let pause = gap.max(Duration::from_millis(5));
        let per_turn = (pause.as_nanos() / gap.as_nanos().max(1)).max(1);
        let (mut over, mut told) = (false, Instant::now());
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            if exit.is_some_and(|seconds| start.elapsed().as_secs() >= seconds) {
                if !over {
                    target.send(Notice::TargetExited(Some(0)));
                }
                over = true;
                continue;
            }
            if told.elapsed() >= BETWEEN_LISTS {
                told = Instant::now();
                target.send(Notice::Probes(target.probes()));
            }
            let awake: Vec<_> = target
                .probes()
                .into_iter()
                .filter(|probe| probe.enabled)
                .collect();
            for _ in 0..per_turn {
                for probe in &awake {
                    hit += 1;
                    let mut event = fake::full_event(probe.id.0, hit, probe.line);
                    event.time_ns = now();
                    target.send(Notice::Event(Arc::new(event)));
                }
            }
        }
    });
    let outcome = run(control, None, &options)?;
    drop(stop);
    if hits.join().is_err() {
        return Err(Error::Thread);
    }
    println!("{outcome:?}");
    Ok(())
}

/// Between two lists of all probes.
const BETWEEN_LISTS: Duration = Duration::from_millis(250);

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(0))
}

/// Made-up processes. Every selector matches the first two.
struct FakeProcesses;

impl ProcessLister for FakeProcesses {
    fn list(&mut self) -> (Vec<ProcessEntry>, KnownValues) {
        let entries = processes();
        let known = KnownValues {
            names: entries.iter().map(|entry| entry.name.clone()).collect(),
            ..KnownValues::default()
        };
        (entries, known)
    }

    fn matching(&mut self, _: &Selector) -> Result<Matching, Diagnostic> {
        Ok(Matching::Now(vec![1, 4242]))
    }
}

fn processes() -> Vec<ProcessEntry> {
    let entry = |pid: u32, name: &str, command: &str, debug_info| ProcessEntry {
        pid,
        name: name.into(),
        command: command.into(),
        user: "dev".into(),
        debug_info,
        cpu: Some(f64::from(pid % 100) / 50.0),
        age: std::time::Duration::from_secs(u64::from(pid) * 7),
        threads: pid % 20 + 1,
        place: if pid == 1 { "init.scope" } else { "" }.into(),
    };
    vec![
        entry(
            4242,
            "target-app",
            "target/debug/target-app --seconds 60",
            Some(true),
        ),
        entry(1, "systemd", "/sbin/init splash", Some(false)),
        entry(1207, "Xvfb", "Xvfb :99 -screen 0 1280x1024x24", None),
        entry(
            31337,
            "ev\x1b[31mil",
            "a name with \u{202e} tricks and 日本語",
            Some(false),
        ),
    ]
}
