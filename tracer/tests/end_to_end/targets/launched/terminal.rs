//! Programs that the tracer starts on a terminal: the terminal is theirs.

use std::path::Path;

use portable_pty::CommandBuilder;

use crate::support::build::{c, probe_line};
use crate::support::needs;
use crate::support::pty::Terminal;
use crate::support::tracer::TRACER;

const SOURCE: &str = "e2e_terminal.c";
const ROWS: u16 = 60;
/// No line is broken.
const COLUMNS: u16 = 500;

const ENTER: &str = "\r";
const BACKSPACE: &str = "\x7f";
const CTRL_C: &str = "\x03";
const CTRL_BACKSLASH: &str = "\x1c";
const CTRL_Z: &str = "\x1a";

fn probe() -> String {
    let line = probe_line(SOURCE, "answer");
    format!(r#"log {SOURCE}:{line} "asked for {{line}}""#)
}

/// Arguments of a run of the program.
fn run_args(program: &Path) -> Vec<String> {
    let program = program.to_str().expect("UTF-8");
    ["run", "-e", &probe(), "--", program]
        .map(str::to_owned)
        .into()
}

fn start(name: &str) -> Terminal {
    let program = c(name, SOURCE, &["-O0"]);
    let mut command = CommandBuilder::new(TRACER);
    command.args(run_args(&program));
    command.env_remove("SUDO_UID");
    let terminal = Terminal::run(command, ROWS, COLUMNS);
    terminal.wait_text("ready");
    terminal
}

#[test]
fn program_has_the_terminal_with_its_line_editing() {
    if !needs::kernel() {
        return;
    }
    let mut terminal = start("terminal-lines");
    terminal.wait_text("terminals 1 1 1");
    // The terminal shows what is typed, and takes a letter back.
    terminal.keys(&format!("onx{BACKSPACE}e"));
    terminal.wait_text("one");
    terminal.keys(ENTER);
    terminal.wait_text("got one");
    terminal.wait_text("asked for one");
    terminal.keys(&format!("exit 3{ENTER}"));
    terminal.wait_text("1 hit");
    assert_eq!(terminal.wait_end(), 3);
}

#[test]
fn keys_that_interrupt_reach_the_program_once_and_it_goes_on() {
    if !needs::kernel() {
        return;
    }
    let mut terminal = start("terminal-keys");
    terminal.keys(CTRL_C);
    terminal.wait_text("caught 02");
    terminal.keys(CTRL_BACKSLASH);
    terminal.wait_text("caught 03");
    terminal.keys(CTRL_C);
    terminal.wait("the third signal", |text| {
        text.matches("caught 02").count() == 2
    });
    terminal.keys(&format!("after{ENTER}"));
    terminal.wait_text("got after");
    terminal.wait_text("asked for after");
    terminal.keys(&format!("signals{ENTER}"));
    terminal.wait_text("signals int 2 quit 1 term 0 hup 0");
    terminal.keys(&format!("exit 0{ENTER}"));
    assert_eq!(terminal.wait_end(), 0);
}

#[test]
fn program_can_be_stopped_and_brought_back_by_the_shell() {
    if !needs::kernel() || !needs::tools(&["bash"]) {
        return;
    }
    let program = c("terminal-jobs", SOURCE, &["-O0"]);
    let quoted = run_args(&program)
        .iter()
        .map(|arg| format!("'{arg}'"))
        .collect::<Vec<_>>()
        .join(" ");
    let mut command = CommandBuilder::new("bash");
    command.args(["--norc", "--noprofile", "-i"]);
    command.env("PS1", "prompt> ");
    command.env_remove("SUDO_UID");
    let mut terminal = Terminal::run(command, ROWS, COLUMNS);
    terminal.wait_text("prompt>");
    terminal.keys(&format!("{TRACER} {quoted}{ENTER}"));
    terminal.wait_text("ready");
    for (turn, word) in ["first", "second"].into_iter().enumerate() {
        terminal.keys(CTRL_Z);
        // The shell takes no keys before its prompt.
        terminal.wait("the job to be stopped", |text| {
            text.matches("Stopped").count() == turn + 1
                && text.matches("prompt>").count() == turn + 2
        });
        terminal.keys(&format!("fg{ENTER}"));
        // The shell writes the command each time it is typed, stopped and brought back.
        terminal.wait("the job to be back", |text| {
            text.matches(TRACER).count() == 3 + 2 * turn
        });
        terminal.keys(&format!("{word}{ENTER}"));
        terminal.wait_text(&format!("got {word}"));
        terminal.wait_text(&format!("asked for {word}"));
    }
    terminal.keys(&format!("exit 5{ENTER}"));
    terminal.wait_text("2 hits");
    terminal.wait("the prompt", |text| text.matches("prompt>").count() == 4);
    terminal.keys(&format!("echo code=$?{ENTER}"));
    terminal.wait_text("code=5");
    terminal.keys(&format!("exit{ENTER}"));
    assert_eq!(terminal.wait_end(), 0);
}
