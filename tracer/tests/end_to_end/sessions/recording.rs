//! `--record`, `tracer record` and `tracer view`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use portable_pty::CommandBuilder;
use rustix::process::Signal;
use serde_json::Value;
use tracer::event::Event;
use tracer::sink::recording::reader::{OpenError, RecordedEntry, Recording};

use crate::support::build::{c, probe_line};
use crate::support::program::{Program, send};
use crate::support::pty::Terminal;
use crate::support::random::Random;
use crate::support::tracer::{TRACER, Tracer, attach_args, copy_for_everyone, counter, tracer};
use crate::support::{needs, wait_for};

const SOURCE: &str = "e2e_loop.c";

/// One thread that calls each `micros` microseconds.
fn calling(micros: &str) -> Program {
    let mut program = Program::ready(&c("loop", SOURCE, &["-O0"]), &["1", "0", micros]);
    program.say("go");
    program
}

fn log(rest: &str) -> String {
    let line = probe_line(SOURCE, "work");
    format!(r#"log {SOURCE}:{line} "{{number}}" {rest}"#)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// All that a recording has.
fn entries(recording: &Recording) -> Vec<RecordedEntry> {
    let blocks = 0..recording.index().blocks.len();
    let read = |number| recording.block(number).expect("a whole block");
    blocks.flat_map(read).collect()
}

fn hits(entries: &[RecordedEntry]) -> Vec<u64> {
    let hit = |entry: &RecordedEntry| match entry {
        RecordedEntry::Event(event) => Some(event.hit),
        _ => None,
    };
    entries.iter().filter_map(hit).collect()
}

/// The lines of a recording, as `zstdcat` and `jq` show them.
fn lines_of_others(file: &Path, filter: &str) -> Vec<Value> {
    let mut zstdcat = Command::new("zstdcat")
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .expect("zstd is installed");
    let out = zstdcat.stdout.take().expect("a pipe");
    let jq = Command::new("jq")
        .args(["-c", filter])
        .stdin(out)
        .output()
        .expect("jq is installed");
    assert!(jq.status.success(), "{jq:?}");
    assert!(zstdcat.wait().expect("our child").success());
    let text = String::from_utf8(jq.stdout).expect("UTF-8");
    let parse = |line: &str| serde_json::from_str(line).expect("JSON");
    text.lines().map(parse).collect()
}

/// Compares recorded events with those of the JSON output.
#[track_caller]
fn assert_same_events(events: &[&Arc<Event>], shown: &[Value]) {
    for (recorded, shown) in events.iter().zip(shown) {
        assert_eq!(shown["message"], recorded.message);
        assert_eq!(shown["hit"], recorded.hit);
        assert_eq!(shown["thread"], recorded.thread);
        assert_eq!(shown["function"], recorded.origin.function);
        let values = serde_json::to_value(
            recorded
                .values
                .iter()
                .map(|named| (&named.expr, &named.value))
                .collect::<Vec<_>>(),
        );
        let expected: Vec<Value> = shown["values"]
            .as_array()
            .expect("values")
            .iter()
            .map(|one| serde_json::json!([one["expr"], one["value"]]))
            .collect();
        assert_eq!(values.expect("values"), Value::from(expected));
        let frames = shown["stack"].as_array().map_or(0, Vec::len);
        assert_eq!(recorded.stack.frames.len(), frames);
    }
}

#[test]
fn recording_has_all_that_the_output_has() {
    if !needs::kernel() {
        return;
    }
    let program = calling("1000");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("session.trz");
    let line = probe_line(SOURCE, "work");
    let probes = [
        log("hits 50"),
        format!("snapshot {SOURCE}:{line} hits 2 depth 3"),
        format!("count {SOURCE}:{line} by number % 3 as thirds hits 60"),
    ];
    let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
    let more = ["--record", text(&file), "--redact", "twice"];
    let finished = Tracer::attach(program.pid(), "json", &probes, &more).finish();
    finished
        .assert_code(0)
        .assert_says(&["recorded 52 events in", "tracer view"]);
    let recording = Recording::open(&file).expect("a recording");
    assert_eq!(recording.problems(), Vec::<String>::new());
    let session = recording.session();
    assert_eq!(session.pid, Some(program.pid()));
    assert!(session.redacted.contains(&"twice".to_owned()));
    let entries = entries(&recording);
    let events: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            RecordedEntry::Event(event) => Some(event),
            _ => None,
        })
        .collect();
    let shown = finished.events();
    assert_eq!(events.len(), shown.len());
    assert_same_events(&events, &shown);
    // The values of a redacted name are nowhere in the file.
    let snapshot = events
        .iter()
        .find(|event| event.origin.action == "snapshot");
    let snapshot = snapshot.expect("a snapshot");
    assert!(
        snapshot.message.contains("twice = <redacted>"),
        "{}",
        snapshot.message
    );
    let source = entries.iter().find_map(|entry| match entry {
        RecordedEntry::Source(source) => Some(source),
        _ => None,
    });
    let source = source.expect("the source of the probes");
    assert!(
        source
            .text
            .as_deref()
            .expect("its text")
            .contains("int main")
    );
    assert!(source.lines.iter().any(|known| known.line == line));
    let variables = entries.iter().find_map(|entry| match entry {
        RecordedEntry::Variables(variables) => Some(variables),
        _ => None,
    });
    assert_eq!(variables.expect("variables").line, line);
    let states = entries.iter().rev().find_map(|entry| match entry {
        RecordedEntry::Probes(_, probes, _) => Some(probes),
        _ => None,
    });
    for (state, probe) in states.expect("states").iter().zip(["p1", "p2", "thirds"]) {
        assert_eq!(state.name, probe);
        let summary = finished.summary(probe);
        assert_eq!(state.counters.hits, counter(&summary, "hits"));
        assert_eq!(state.counters.events, counter(&summary, "events"));
        assert!(state.done.is_some());
    }
    let aggregate = entries.iter().rev().find_map(|entry| match entry {
        RecordedEntry::Aggregate(_, aggregate) => Some(aggregate),
        _ => None,
    });
    assert_eq!(aggregate.expect("an aggregate").total, 60);
    let done = entries
        .iter()
        .filter(|entry| matches!(entry, RecordedEntry::Done(_)));
    assert_eq!(done.count(), 3);
    // Without our reader.
    let messages = lines_of_others(
        &file,
        r#"select(.type == "event" and .site == 1) | .message"#,
    );
    assert_eq!(messages.len(), 50);
    assert_eq!(messages[0], shown[0]["message"]);
}

#[test]
fn killed_tracer_leaves_a_recording_that_opens() {
    if !needs::kernel() {
        return;
    }
    // The campaign of a hundred: TRACER_TEST_KILLS=100.
    let kills =
        std::env::var("TRACER_TEST_KILLS").map_or(6, |kills| kills.parse().expect("a number"));
    let program = calling("500");
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Random::new(18);
    for kill in 0..kills {
        let file = folder.path().join(format!("{kill}.trz"));
        let live = folder.path().join(format!("{kill}.json"));
        let more = ["--record", text(&file), "--tee", text(&live)];
        let args = attach_args(program.pid(), "json", &[&log("rate 100000/s")], &more);
        let mut traced = Command::new(TRACER)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut out = traced.stdout.take().expect("a pipe");
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut out, &mut bytes).expect("it is read");
            bytes
        });
        wait_for("the beginning", || {
            fs::metadata(&live).ok().filter(|file| file.len() > 0)
        });
        // A moment of the first two seconds.
        std::thread::sleep(Duration::from_micros(random.below(2_000_000)));
        let killed_ns = now_ns();
        send(traced.id(), Signal::KILL);
        traced.wait().expect("our child");
        let shown = String::from_utf8(reader.join().expect("it is read")).expect("UTF-8");
        let last = shown
            .lines()
            .filter(|line| line.contains(r#""type":"event""#));
        let shown = last.count() as u64;
        let recording = match Recording::open(&file) {
            Ok(recording) => recording,
            // Nothing of the first second was on disk.
            Err(OpenError::Empty(_) | OpenError::NotOne(_)) => {
                assert!(shown < 3000, "{shown} events were shown");
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        assert_eq!(recording.problems().len(), 1, "the loss is told");
        let entries = entries(&recording);
        let hits = hits(&entries);
        assert_eq!(hits, (1..=hits.len() as u64).collect::<Vec<_>>());
        let last_ns = recording
            .index()
            .blocks
            .last()
            .expect("a block")
            .header
            .last_ns;
        let missing = Duration::from_nanos(killed_ns.saturating_sub(last_ns));
        // A second, and the time that a loaded machine takes to write.
        assert!(
            missing < Duration::from_millis(1600),
            "{missing:?} are missing"
        );
    }
}

fn now_ns() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    u64::try_from(now.expect("after 1970").as_nanos()).expect("before 2554")
}

/// A recording of `events` hits and a snapshot.
fn recorded(folder: &Path, events: u32) -> PathBuf {
    let program = calling("200");
    let file = folder.join("session.trz");
    let line = probe_line(SOURCE, "work");
    let pid = program.pid().to_string();
    let probe = log(&format!("hits {events} rate 100000/s"));
    let snapshot = format!("snapshot {SOURCE}:{line} as shot hits 1 depth 3");
    let args = [
        "record",
        text(&file),
        "--pid",
        &pid,
        "-e",
        &probe,
        "-e",
        &snapshot,
    ];
    let finished = tracer(&args);
    finished.assert_code(0);
    assert_eq!(
        finished.stdout,
        Vec::<String>::new(),
        "it has no other output"
    );
    file
}

#[test]
fn recording_without_events_has_the_exit_code_of_none() {
    if !needs::kernel() {
        return;
    }
    let program = calling("1000");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("session.trz");
    let pid = program.pid().to_string();
    let probe = log("if number == -1");
    let args = ["record", text(&file), "--pid", &pid, "-e", &probe];
    tracer(&[&args[..], &["--for", "200ms"]].concat())
        .assert_code(1)
        .assert_says(&["recorded 0 events in"]);
    let probe = log("rate 100000/s");
    let args = ["record", text(&file), "--pid", &pid, "-e", &probe];
    tracer(&[&args[..], &["--events", "3"]].concat()).assert_code(0);
    let entries = entries(&Recording::open(&file).expect("a recording"));
    assert!(hits(&entries).len() >= 3);
}

#[test]
fn terminal_ui_shows_a_recording_to_everyone() {
    if !needs::kernel() {
        return;
    }
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    let everyone = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), everyone).expect("it is ours");
    let file = recorded(folder.path(), 12_000);
    let program = copy_for_everyone(folder.path());
    let mut command = CommandBuilder::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.args([text(&program), "view", text(&file)]);
    let mut terminal = Terminal::run(command, 40, 120);
    let line = probe_line(SOURCE, "work");
    terminal.wait("the first event", |screen| {
        screen.contains("recording of loop")
            && screen.contains("1 of 12,001")
            && screen.contains("pair.number + pair.twice")
            && screen.contains(&format!("{SOURCE}:{line}"))
    });
    terminal.keys("\x1b[F");
    terminal.wait_text("12,001 of 12,001");
    terminal.keys("g50%\r");
    terminal.wait_text(" 6,001 of 12,001");
    // Pages beyond the events that were read at first.
    for _ in 0..500 {
        terminal.keys("\x15");
    }
    terminal.wait("a place further up", |screen| {
        screen.contains(" of 12,001") && !screen.contains(" 6,001 of")
    });
    terminal.keys("\x1b[H");
    terminal.wait_text(" 1 of 12,001");
    terminal.keys("}}");
    terminal.wait_text(" 1,201 of 12,001");
    terminal.keys("g#9,000\r");
    terminal.wait_text(" 9,001 of 12,001");
    // The only event of the other probe is far away.
    terminal.keys("/@shot\r");
    terminal.wait("the snapshot", |screen| screen.contains("with `@shot`"));
    terminal.keys("\x1b[H\r");
    terminal.wait("the snapshot in full", |screen| {
        screen.contains("shot hit 1") && screen.contains("Stack 3")
    });
    terminal.keys("s");
    terminal.wait_text("#0  work");
    terminal.keys("qd");
    terminal.wait_text("this is a recording");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn sources_that_were_shown_are_recorded() {
    if !needs::kernel() {
        return;
    }
    let program = calling("1000");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("session.trz");
    let pid = program.pid().to_string();
    let args = ["attach", "--pid", &pid, "--record", text(&file)].map(str::to_owned);
    let mut terminal = Terminal::start(&args, 40, 120);
    terminal.wait_text(SOURCE);
    terminal.keys("e2eloop");
    terminal.wait_text(SOURCE);
    terminal.keys("\r");
    terminal.wait_text("second_step(struct pair *pair)");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    let entries = entries(&Recording::open(&file).expect("a recording"));
    let has_source = entries.iter().any(|entry| match entry {
        RecordedEntry::Source(source) => {
            source.file.path.ends_with(SOURCE) && source.text.is_some()
        }
        _ => false,
    });
    assert!(has_source);
}

#[test]
fn recording_that_cannot_be_written_is_told() {
    if !needs::kernel() {
        return;
    }
    let program = calling("1000");
    let full = Tracer::attach(
        program.pid(),
        "json",
        &[&log("hits 5")],
        &["--record", "/dev/full"],
    );
    let finished = full.finish();
    finished.assert_code(2).assert_says(&[
        "warning: the recording is not complete: No space left on device",
        "cannot write `/dev/full`",
    ]);
    // The other output is whole.
    assert_eq!(finished.events().len(), 5, "{finished}");
}

#[test]
fn mistakes_with_recordings_have_hints() {
    let pid = std::process::id().to_string();
    let probe = log("");
    tracer(&["record", "/nowhere/x.trz", "--pid", &pid, "-e", &probe])
        .assert_code(2)
        .assert_says(&["cannot write `/nowhere/x.trz`"]);
    tracer(&["record", "x.trz", "--pid", &pid, "-e", &probe, "-o", "json"])
        .assert_code(2)
        .assert_says(&["`tracer record` has no other output", "--record x.trz"]);
    tracer(&["view", "/nowhere/x.trz"])
        .assert_code(2)
        .assert_says(&["cannot read `/nowhere/x.trz`", "No such file"]);
    tracer(&["view", "/etc/passwd"])
        .assert_code(2)
        .assert_says(&["`/etc/passwd` is not a recording", "--record FILE"]);
}
