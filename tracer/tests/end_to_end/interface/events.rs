//! Events in full through a pseudo-terminal: the stack, copying, and the user's editor.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portable_pty::CommandBuilder;
use serde_json::Value;

use super::terminal::{ENTER, SIZES, SOURCE, Size, pacing, start};
use crate::support::PATIENCE;
use crate::support::build::{c, probe_line, scratch};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::pty::Terminal;
use crate::support::text::Text;
use crate::support::tracer::{TRACER, Tracer};

/// Calls with known frames.
const STACK: &str = "e2e_stack.c";
/// A user without rights: `nobody` of most systems.
const NOBODY: &str = "65534";

fn snapshot() -> String {
    format!("snapshot {STACK}:{}", probe_line(STACK, "middle"))
}

/// The texts that were copied by OSC 52, in order.
fn copied(terminal: &Terminal) -> Vec<String> {
    let raw = String::from_utf8_lossy(&terminal.raw()).into_owned();
    raw.split("\x1b]52;c;")
        .skip(1)
        .filter_map(|rest| {
            // The rest of the last one may be on its way.
            let (text, _) = rest.split_once('\x07')?;
            let bytes = STANDARD.decode(text).expect("it is base64");
            Some(String::from_utf8(bytes).expect("it is UTF-8"))
        })
        .collect()
}

/// Waits for this number of copied texts, and returns them.
pub(super) fn wait_copies(terminal: &Terminal, count: usize) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let texts = copied(terminal);
        if texts.len() >= count {
            return texts;
        }
        assert!(Instant::now() < end, "{texts:?}\n{}", terminal.text());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Goes through the stack of a snapshot that is in the list of events.
fn read_stack(terminal: &mut Terminal) {
    terminal.keys(ENTER);
    terminal.wait_text("number: int 7");
    terminal.keys("s");
    // The variables of the callers are there without another key.
    terminal.wait_text("◆ #1  recurse");
    terminal.wait_text("depth: int 0");
    terminal.keys(&format!("/two{ENTER}"));
    terminal.wait_text("two: int [2] [2, 1]");
    terminal.keys("y");
    terminal.wait_text("copied 5 bytes");
    assert_eq!(copied(terminal).last().map(String::as_str), Some("[2,1]"));
    // The frame that the variable is of.
    terminal.keys("ho");
    terminal.wait("its line in the source", |screen| {
        screen.contains("PROBE main") && !screen.contains("Event ━")
    });
}

#[test]
fn stack_of_a_snapshot_with_callers_variables_is_reached_by_keys() {
    if !needs::kernel() {
        return;
    }
    for size in SIZES {
        let program = Program::ready(&c("stack-keys", STACK, &["-O0"]), &[]);
        let text = Text::of_exe(program.pid());
        let pid = program.pid().to_string();
        let mut terminal = start(&["--pid", &pid, "-e", &snapshot()], size);
        // The event, and the note on its end.
        terminal.wait_text("2 kept");
        terminal.keys("3\x1b[H");
        read_stack(&mut terminal);
        terminal.keys("q");
        assert_eq!(terminal.assert_restored(), 0);
        text.wait_restored();
    }
}

#[test]
fn event_of_a_recording_is_read_and_copied_in_the_same_way() {
    if !needs::kernel() {
        return;
    }
    let program = Program::ready(&c("stack-keys", STACK, &["-O0"]), &[]);
    let file = scratch("events").join("snapshot.tracer");
    let path = file.to_str().expect("test paths are UTF-8");
    let args = ["--record", path, "--events", "1"];
    let tracer = Tracer::attach(program.pid(), "json", &[&snapshot()], &args);
    tracer.finish().assert_code(0);
    drop(program);
    let Size { rows, columns } = SIZES[0];
    let args = ["view".to_owned(), path.to_owned()];
    let mut terminal = Terminal::start(&args, rows, columns);
    terminal.wait_text("1 of 1");
    read_stack(&mut terminal);
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    std::fs::remove_file(file).expect("it is there");
}

#[test]
fn message_value_and_event_are_copied_exactly() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("copied");
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "call {{number}} \"é\"" hits 1"#);
    let pid = program.pid().to_string();
    let mut terminal = start(&["--pid", &pid, "-e", &probe], SIZES[0]);
    terminal.wait_text("2 kept");
    terminal.keys("3\x1b[Hy");
    terminal.wait_text("copied ");
    terminal.keys(ENTER);
    terminal.wait_text("number: int");
    terminal.keys("jy");
    wait_copies(&terminal, 2);
    terminal.keys("Y");
    let texts = wait_copies(&terminal, 3);
    let event: Value = serde_json::from_str(&texts[2]).expect("it is JSON");
    let number = event["values"][0]["value"].to_string();
    assert_eq!(texts[1], number);
    assert_eq!(texts[0], format!("call {number} \"é\""));
    assert_eq!(event["message"], *texts[0]);
    assert_eq!(event["hit"], 1);
    terminal.keys("\x1b");
    terminal.wait("the list", |screen| !screen.contains("Event ━"));
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}

/// Starts the UI as `sudo` would for a user without rights, with an editor.
fn start_with_editor(program: &Program, editor: &str) -> Terminal {
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "call {{number}}""#);
    let mut command = CommandBuilder::new(TRACER);
    command.args(["attach", "--pid", &program.pid().to_string(), "-e", &probe]);
    command.env_remove("VISUAL");
    command.env("EDITOR", editor);
    command.env("SUDO_UID", NOBODY);
    command.env("SUDO_GID", NOBODY);
    command.env("SUDO_USER", "nobody");
    command.env("HOME", "/root");
    let Size { rows, columns } = SIZES[0];
    let terminal = Terminal::run(command, rows, columns);
    terminal.wait_text("call ");
    terminal.wait_text("pair.number + pair.twice");
    terminal
}

#[test]
fn editor_has_the_terminal_and_runs_as_the_user_who_called_sudo() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("edited");
    let text = Text::of_exe(program.pid());
    let folder = tempfile::tempdir().expect("a folder can be had");
    let everyone = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everyone.clone()).expect("it is ours");
    let (script, out) = (folder.path().join("editor"), folder.path().join("out"));
    let body = format!(
        "#!/bin/sh\nexec 3>'{}'\necho \"$*\" >&3\nid -u >&3\nid -G >&3\necho \"$HOME\" >&3\ntty >&3\n\
         grep -E '^(CapEff|NoNewPrivs)' /proc/self/status >&3\n\
         echo 'now editing'\nread line\necho \"$line\" >&3\n",
        out.display()
    );
    std::fs::write(&script, body).expect("it is writable");
    std::fs::set_permissions(&script, everyone).expect("it is ours");
    let mut terminal = start_with_editor(&program, &format!("{} -x 'a b'", script.display()));
    terminal.keys("3\x1b[H");
    terminal.keys("E");
    let screen = terminal.wait_text("now editing");
    assert!(!screen.contains("Probes"), "{screen}");
    // The terminal reads whole lines again, and Ctrl-C is not the tracer's.
    terminal.keys("typed text\r");
    terminal.wait("the screen again", |screen| {
        screen.contains("Probes") && !screen.contains("now editing")
    });
    let said = std::fs::read_to_string(&out).expect("it was written");
    let said: Vec<&str> = said.lines().collect();
    let line = probe_line(SOURCE, "work");
    assert!(
        said[0].starts_with(&format!("-x a b +{line} /")),
        "{said:?}"
    );
    assert!(said[0].ends_with(SOURCE), "{said:?}");
    assert_eq!(said[1], NOBODY, "{said:?}");
    assert_eq!(said[2], NOBODY, "{said:?}");
    assert_ne!(said[3], "/root", "{said:?}");
    assert!(said[4].starts_with("/dev/pts/"), "{said:?}");
    assert_eq!(said[5], "CapEff:\t0000000000000000", "{said:?}");
    assert_eq!(said[6], "NoNewPrivs:\t0", "{said:?}");
    assert_eq!(said[7], "typed text", "{said:?}");
    // Ctrl-C ends this editor, and not the tracer.
    terminal.keys("E");
    // The terminal still has what the editor before has written.
    terminal.wait("the second editor", |screen| {
        screen.matches("now editing").count() == 2
    });
    terminal.keys("\x03");
    terminal.wait_text("ended by signal 2");
    // Events came meanwhile, and still come.
    terminal.keys("F");
    terminal.wait("more events", |screen| screen.contains(" kept"));
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    text.wait_restored();
}

#[test]
fn editor_that_is_missing_or_may_not_read_the_file_is_told() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("unedited");
    let mut terminal = start_with_editor(&program, "/no/such/editor");
    terminal.keys("E");
    terminal.wait_text("cannot run the editor `/no/such/editor`");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    let mut terminal = start_with_editor(&program, "");
    terminal.keys("E");
    terminal.wait_text("neither `$VISUAL` nor `$EDITOR` names an editor");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}
