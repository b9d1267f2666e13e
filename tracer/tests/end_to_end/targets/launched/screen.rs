//! Programs that the tracer starts in a pane of its terminal UI, on a terminal of their own.

use std::path::Path;

use portable_pty::CommandBuilder;
use rustix::process::Signal;

use crate::support::build::c;
use crate::support::needs;
use crate::support::program::send;
use crate::support::pty::Terminal;
use crate::support::tracer::{TRACER, tracer};

const SOURCE: &str = "e2e_terminal.c";
const SIZES: [TerminalCells; 3] = [
    TerminalCells {
        rows: 24,
        columns: 80,
    },
    TerminalCells {
        rows: 40,
        columns: 120,
    },
    TerminalCells {
        rows: 50,
        columns: 200,
    },
];

/// The size of a terminal.
#[derive(Clone, Copy)]
struct TerminalCells {
    rows: u16,
    columns: u16,
}

const ENTER: &str = "\r";
const ESCAPE: &str = "\x1b";
const CTRL_C: &str = "\x03";
/// Leads back from the program.
const CTRL_BRACKET: &str = "\x1d";

/// The tracer, with these arguments of `run`.
fn start(args: &[&str], size: TerminalCells) -> Terminal {
    let mut command = CommandBuilder::new(TRACER);
    command.arg("run");
    command.args(args);
    command.env_remove("SUDO_UID");
    Terminal::run(command, size.rows, size.columns)
}

/// Leaves the list of source files, which an escape and a letter at once would not.
fn leave_picker(terminal: &mut Terminal) {
    terminal.wait_text("Open a source file");
    terminal.keys(ESCAPE);
    terminal.wait("the panes", |screen| !screen.contains("Open a source file"));
}

fn fixture(name: &str) -> String {
    let path = c(name, SOURCE, &["-O0"]);
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn program_waits_until_it_is_started_and_has_probes_keys_and_an_exit_code() {
    if !needs::kernel() {
        return;
    }
    let program = fixture("screen-whole");
    for size in SIZES {
        let mut terminal = start(&["--", &program], size);
        terminal.wait_text("screen-whole has not started: choose a line, r (or :start) starts it");
        leave_picker(&mut terminal);
        terminal.wait_text("not started");
        terminal.keys(&format!(":log main \"begins\"{ENTER}"));
        terminal.wait_text("p1 is on");
        assert!(!terminal.text().contains("ready"), "it runs already");
        terminal.keys("r");
        terminal.wait_text("terminals 1 1 1");
        terminal.wait("the hit of the first line", |screen| {
            screen.contains("begins") && screen.contains("1 hit")
        });
        terminal.keys(">");
        terminal.wait_text("Ctrl-] leads back");
        terminal.keys(&format!("one{ENTER}"));
        terminal.wait_text("got one");
        terminal.keys(CTRL_C);
        terminal.wait_text("caught 02");
        // A letter that is a command elsewhere.
        terminal.keys(&format!("q{ENTER}"));
        terminal.wait_text("got q");
        terminal.keys(CTRL_BRACKET);
        terminal.wait_text("> types into it");
        terminal.keys(&format!(">exit 3{ENTER}"));
        terminal.wait_text("screen-whole exited with code 3; all events stay readable");
        terminal.wait_text("begins");
        terminal.keys("q");
        assert_eq!(terminal.assert_restored(), 3);
    }
}

#[test]
fn probes_of_the_command_line_are_in_the_program_that_the_screen_starts() {
    if !needs::kernel() {
        return;
    }
    let program = fixture("screen-given");
    let args = ["--output", "tui", "-e", "log main", "--", &program];
    let mut terminal = start(&args, SIZES[1]);
    terminal.wait_text("log main");
    terminal.wait_text("screen-given has not started");
    terminal.keys(&format!(":start{ENTER}"));
    terminal.wait("the hit and the output", |screen| {
        screen.contains("1 hit") && screen.contains("terminals 1 1 1")
    });
    terminal.keys(&format!(">exit 0{ENTER}"));
    terminal.wait_text("exited with code 0");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn terminal_of_the_program_has_the_size_of_its_pane_and_follows_it() {
    if !needs::kernel() {
        return;
    }
    let script = "trap 'echo now $(stty size)' WINCH; echo at $(stty size); \
                  while :; do read line; done";
    let mut terminal = start(&["--", "sh", "-c", script], SIZES[0]);
    leave_picker(&mut terminal);
    terminal.keys("r");
    terminal.wait_text("at 5 80");
    terminal.resize(40, 100);
    terminal.wait_text("now 10 100");
    terminal.keys("5z");
    terminal.wait_text("now 37 100");
    terminal.keys("q");
    terminal.wait_text("still runs");
    terminal.keys("e");
    assert_eq!(terminal.assert_restored(), 128 + 15);
}

#[test]
fn pipe_stays_the_input_of_the_program_while_keys_come_from_the_terminal() {
    if !needs::kernel() || !needs::tools(&["bash"]) {
        return;
    }
    let program = fixture("screen-pipe");
    let mut command = CommandBuilder::new("bash");
    let line = format!("printf 'one\\nexit 4\\n' | {TRACER} run -- {program}");
    command.args(["-c", &line]);
    command.env_remove("SUDO_UID");
    let mut terminal = Terminal::run(command, 40, 120);
    leave_picker(&mut terminal);
    terminal.keys("r");
    terminal.wait_text("terminals 0 1 1");
    terminal.wait_text("got one");
    terminal.wait_text("exited with code 4");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 4);
}

#[test]
fn program_goes_on_as_plain_text_when_the_screen_is_left() {
    if !needs::kernel() {
        return;
    }
    let program = fixture("screen-left");
    let mut terminal = start(&["--", &program], SIZES[1]);
    leave_picker(&mut terminal);
    terminal.keys("r");
    terminal.wait_text("ready");
    let running = terminal.wait_text("types into it");
    let pid = running.split("pid ").nth(1).expect("its pid");
    let pid: u32 = pid
        .split_whitespace()
        .next()
        .and_then(|pid| pid.parse().ok())
        .expect("a number");
    terminal.keys("q");
    terminal.wait_text("the program goes on");
    terminal.keys(ENTER);
    terminal.wait_text("goes on without probes");
    terminal.keys(CTRL_C);
    terminal.wait_text("caught 02");
    send(pid, Signal::KILL);
    assert_eq!(terminal.assert_restored(), 128 + 9);
}

#[test]
fn program_that_is_not_started_never_runs() {
    if !needs::kernel() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let marker = folder.path().join("marker");
    let path = marker.to_str().expect("UTF-8");
    let mut terminal = start(&["--", "touch", path], SIZES[0]);
    leave_picker(&mut terminal);
    terminal.keys("q");
    terminal.wait_text("`touch` was not started");
    assert_eq!(terminal.assert_restored(), 0);
    assert!(!Path::new(path).exists());
}

#[test]
fn control_bytes_of_the_program_do_not_reach_the_terminal() {
    if !needs::kernel() {
        return;
    }
    let script = r"printf '\033]0;a title\007\033]52;c;ZXZpbA==\007\033[?1049l\033[38;5;99mshown\n'; \
                   read line";
    let mut terminal = start(&["--", "sh", "-c", script], SIZES[1]);
    leave_picker(&mut terminal);
    terminal.keys("r");
    terminal.wait("the text", |screen| {
        screen.lines().any(|line| line.trim() == "shown")
    });
    let raw = terminal.raw();
    for sent in [&b"\x1b]"[..], b"\x1b[?1049l"] {
        let is_sent = raw.windows(sent.len()).any(|bytes| bytes == sent);
        assert!(!is_sent, "{}", String::from_utf8_lossy(sent));
    }
    terminal.keys(&format!(">{ENTER}"));
    terminal.wait_text("exited with code 0");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn screen_without_a_terminal_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let marker = folder.path().join("marker");
    let path = marker.to_str().expect("UTF-8");
    tracer(&["run", "--output", "tui", "--", "touch", path])
        .assert_code(2)
        .assert_says(&["the terminal UI needs a terminal", "--output text"]);
    tracer(&["run", "--", "touch", path])
        .assert_code(2)
        .assert_says(&["there is no probe", "-e"]);
    assert!(!marker.exists());
}
