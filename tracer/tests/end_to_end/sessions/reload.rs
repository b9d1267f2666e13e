//! Files of probes that change while their probes run.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::text::Text;
use crate::support::tracer::{Finished, TRACER, Tracer, assert_adds_up, counter};

const SOURCE: &str = "e2e_loop.c";

/// Removes probes from a function that is called all the time. The kernel closes their links later.
#[test]
fn hits_after_a_removal_or_the_end_are_none() {
    if !needs::kernel() {
        return;
    }
    let program_path = c("loop", SOURCE, &["-O0"]);
    let mut program = Program::ready(&program_path, &["1", "0", "0"]);
    let text = Text::of_exe(program.pid());
    program.say("go");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("probes");
    let counts = format!("count {SOURCE}:{} as counts", probe_line(SOURCE, "second"));
    let stays = "count work as stays\ntime work as timed";
    fs::write(&file, format!("{stays}\n{counts}\ntime work as times\n"))
        .expect("the folder is ours");
    let file_name = file.to_str().expect("test paths are UTF-8");
    let tracer = Tracer::attach(
        program.pid(),
        "json",
        &[],
        &["-f", file_name, "--max-cpu", "off"],
    );
    tracer.wait_tracing();
    save(&file, &format!("{stays}\n"));
    for removed in ["counts is removed", "times is removed"] {
        let is = |line: &str| line.contains(removed);
        tracer.stderr.wait_line(removed, 0, is);
    }
    text.wait_probed(1);
    let finished = tracer.interrupt();
    text.wait_restored();
    finished.assert_code(0);
    for name in ["counts", "times", "stays", "timed"] {
        let summary = finished.summary(name);
        assert_adds_up(&summary);
        assert_eq!(counter(&summary, "silenced"), 0, "{finished}");
    }
    let lines = finished.stdout.iter();
    let times = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let times: Vec<_> = times.filter(|line| line["type"] == "time").collect();
    assert_eq!(times.len(), 2, "{finished}");
    for times in &times {
        assert_eq!(counter(times, "off"), 0, "{finished}");
    }
}

/// The function's entry is the first instruction of its unit, so no instruction before it has a
/// line.
#[test]
fn probes_of_a_file_leave_the_first_instruction_of_a_unit_to_others() {
    if !needs::kernel() {
        return;
    }
    let mut program = Program::ready(&c("loop", SOURCE, &["-O0"]), &["1", "0", "0"]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("probes");
    save(
        &file,
        "count second_step as counts\ntime second_step as times\n",
    );
    let file_name = file.to_str().expect("test paths are UTF-8");
    let tracer = Tracer::attach(program.pid(), "json", &[], &["-f", file_name]);
    tracer.wait_tracing();
    program.say("go");
    let finished = tracer.interrupt();
    for name in ["counts", "times"] {
        assert_adds_up(&finished.summary(name));
    }
}

/// Saves like an editor: another file is moved to the place of the old one.
fn save(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("the folder is ours");
    fs::rename(&new, path).expect("the folder is ours");
}

#[test]
fn changed_file_changes_its_probes_and_no_others() {
    if !needs::kernel() {
        return;
    }
    let program_path = c("loop", SOURCE, &["-O0"]);
    let mut program = Program::ready(&program_path, &["1", "0", "500"]);
    let text = Text::of_exe(program.pid());
    program.say("go");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("probes");
    let at = |action: &str, mark: &str, rest: &str| {
        format!("{action} {SOURCE}:{} {rest}", probe_line(SOURCE, mark))
    };
    let stays = at("log", "work", r#""{number}" as stays"#);
    let goes = at("count", "second", "by pair->thread as goes");
    fs::write(&file, format!("{stays}\n{goes}\n")).expect("the folder is ours");
    let file_name = file.to_str().expect("test paths are UTF-8");
    let tracer = Tracer::attach(program.pid(), "json", &[], &["-f", file_name]);
    text.wait_probed(2);
    tracer.wait_events(3);

    // An incomplete edit changes nothing.
    save(&file, "log \n");
    let left = |line: &str| line.contains("probes are unchanged");
    let said = tracer.stderr.wait_line("an error", 0, left);
    assert_eq!(text.changed().len(), 2);

    let comes = at("log", "second", r#""{pair->number}" as comes"#);
    save(&file, &format!("{stays}\n# {goes}\n{comes}\n"));
    tracer.stderr.wait_line("the new probe", said, |line| {
        line.contains("comes is added")
    });
    tracer.stdout.wait("events of the new probe", |lines| {
        let mine = |line: &&String| line.contains(r#""probe":"comes""#);
        (lines.iter().filter(mine).count() >= 3).then_some(())
    });
    let finished = tracer.interrupt();
    text.wait_restored();
    finished.assert_code(0).assert_says(&["goes is removed"]);
    for name in ["stays", "goes", "comes"] {
        let summary = finished.summary(name);
        assert_adds_up(&summary);
        assert!(counter(&summary, "hits") > 0, "{finished}");
        let events = finished.events();
        let mine = events.iter().filter(|event| event["probe"] == name).count();
        let sent = if name == "goes" {
            0
        } else {
            counter(&summary, "events")
        };
        assert_eq!(mine as u64, sent, "{name}: {finished}");
    }
    // The unchanged probe has missed no hit: its numbers are consecutive.
    let hits: Vec<u64> = finished
        .events()
        .iter()
        .filter(|event| event["probe"] == "stays")
        .map(|event| counter(event, "hit"))
        .collect();
    assert!(
        hits.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "{hits:?}"
    );
    // The count of the removed probe is reported.
    let counted = finished
        .stdout
        .iter()
        .find(|line| line.contains(r#""type":"count""#));
    let counted: serde_json::Value =
        serde_json::from_str(counted.expect("what was counted")).expect("JSON");
    assert_eq!(
        counter(&counted, "total"),
        counter(&finished.summary("goes"), "events")
    );
}

/// Runs a line of bash in which `$TRACER` checks probes of a program.
#[track_caller]
fn check_by(line: &str) -> Finished {
    let program = c("loop", SOURCE, &["-O0"]);
    let mut command = Command::new("bash");
    let start = "check() { \"$TRACER\" attach --check --exe \"$PROGRAM\" \"$@\"; }";
    command.args(["-c", &format!("{start}; {line}")]);
    command.env("TRACER", TRACER).env("PROGRAM", program);
    Tracer::spawn(command).finish()
}

#[test]
fn pipes_of_probes_are_read_to_their_end() {
    let line = probe_line(SOURCE, "work");
    let probe = format!("log {SOURCE}:{line} \"{{number}}\"");
    for by in [
        format!("check -f <(echo '{probe}')"),
        format!("echo '{probe}' | check -f -"),
        format!("echo '{probe}' | check -f /dev/stdin"),
    ] {
        let finished = check_by(&by);
        finished.assert_code(0);
        assert!(finished.text().contains("number"), "{finished}");
    }
}

#[test]
fn probe_files_without_end_or_measure_are_refused() {
    for (by, why) in [
        ("check -f /dev/zero", "neither a regular file nor a pipe"),
        ("check -f <(yes)", "the limit is"),
        (
            "check -f <(yes 'log e2e_loop.c:1' | head -n 2000)",
            "2000 probes are too many",
        ),
    ] {
        let finished = check_by(by);
        finished.assert_code(2).assert_says(&[why]);
        assert_eq!(finished.stderr.len(), 1, "{finished}");
    }
}
