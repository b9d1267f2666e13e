//! A traced call, step by step, through a pseudo-terminal: as it was recorded, and in a recording.

use super::terminal::{ENTER, SIZES, start};
use crate::support::build::{c, probe_line, scratch};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::pty::Terminal;
use crate::support::text::Text;
use crate::support::tracer::Tracer;

const SOURCE: &str = "e2e_steps.c";
const TRACE: &str = "trace work hits 2 depth 1";
const LEFT: &str = "\x1b[D";
const RIGHT: &str = "\x1b[C";
const HOME: &str = "\x1b[H";
const DOWN: &str = "\x1b[B";

/// The selected row of the values.
fn selected(screen: &str) -> Option<String> {
    let row = screen.lines().find_map(|line| line.split_once('›'));
    row.map(|(_, row)| row.to_owned())
}

/// Selects a variable: goes down from the first one.
fn select(terminal: &mut Terminal, name: &str) {
    terminal.keys("\x1b[5~");
    loop {
        let before = selected(&terminal.text()).expect("a row is selected");
        if before.split_whitespace().any(|word| word == name) {
            return;
        }
        terminal.keys(DOWN);
        terminal.wait("the next row", |screen| {
            selected(screen).is_some_and(|now| now != before)
        });
    }
}

/// Goes through the first call, whose first step is selected in the list of events.
fn step_through(terminal: &mut Terminal) {
    terminal.keys(ENTER);
    terminal.wait_text("call 1 of work");
    terminal.keys(HOME);
    terminal.wait_text("step 1 of ");
    terminal.wait_text("enters");
    // Two steps forward: `sum` is assigned by the first line.
    terminal.keys(RIGHT);
    terminal.wait_text("step 2 of ");
    terminal.keys(RIGHT);
    terminal.wait_text("step 3 of ");
    terminal.keys(LEFT);
    terminal.wait_text("step 2 of ");
    // Into the call of `leaf`, and out of it: its result is there.
    terminal.keys("i");
    terminal.wait_text("leaf");
    terminal.wait("the arguments of `leaf`", |screen| {
        screen.contains("twice") && screen.contains("enters")
    });
    terminal.keys("o");
    terminal.wait("what `leaf` has returned", |screen| {
        screen.contains("leaf()") && screen.contains("part")
    });
    // The step at which the expression holds, and the line that changed `sum`.
    terminal.keys(&format!("/sum == 4 && p.x == 2{ENTER}"));
    terminal.wait_text("holds here");
    select(terminal, "sum");
    terminal.keys("C");
    terminal.wait_text(&format!(
        "`sum` changed by line {}",
        probe_line(SOURCE, "sum")
    ));
}

/// Compares the first call with the second one.
fn compare(terminal: &mut Terminal) {
    terminal.keys("=");
    terminal.wait_text("compare with call ");
    // The number of the nearest call is there already.
    terminal.keys(&format!("\x7f2{ENTER}"));
    terminal.wait_text("call 1 and call 2");
    terminal.keys(&format!("{HOME}d"));
    terminal.wait_text("values differ first at step");
    terminal.keys("\x1b");
    terminal.wait("one call", |screen| !screen.contains("call 1 and call 2"));
    terminal.keys("q");
    terminal.wait("the panes", |screen| screen.contains("Events"));
}

#[test]
fn call_is_stepped_through_forward_and_back_by_keys() {
    if !needs::kernel() {
        return;
    }
    for size in SIZES {
        let mut program = Program::ready(&c("stepping", SOURCE, &["-O0"]), &[]);
        let text = Text::of_exe(program.pid());
        let pid = program.pid().to_string();
        let mut terminal = start(&["--pid", &pid, "-e", TRACE], size);
        terminal.wait_text("waiting for the first hit");
        program.say("one");
        program.say("two");
        // Both calls are over, so the probe is done.
        text.wait_restored();
        terminal.wait_text("after 2 hits");
        terminal.keys(&format!("3{HOME}"));
        terminal.wait("the first step", |screen| screen.contains("→ work"));
        step_through(&mut terminal);
        compare(&mut terminal);
        terminal.keys("q");
        assert_eq!(terminal.assert_restored(), 0);
    }
}

#[test]
fn call_of_a_recording_is_stepped_through_in_the_same_way() {
    if !needs::kernel() {
        return;
    }
    let mut program = Program::ready(&c("stepping", SOURCE, &["-O0"]), &[]);
    let file = scratch("stepping").join("calls.trz");
    let path = file.to_str().expect("test paths are UTF-8");
    let tracer = Tracer::attach(program.pid(), "text", &[TRACE], &["--record", path]);
    tracer.wait_tracing();
    program.say("one");
    program.say("two");
    let finished = tracer.finish();
    finished.assert_code(0);
    let listing = finished.text();
    for part in [
        "p1#1 ",
        "call 1 of work",
        "enter leaf: k = 0",
        "return leaf: $return = 1 after ",
    ] {
        assert!(listing.contains(part), "{part}\n{listing}");
    }
    drop(program);
    let args = ["view".to_owned(), path.to_owned()];
    let mut terminal = Terminal::start(&args, SIZES[1].rows, SIZES[1].columns);
    terminal.wait_text("1 of ");
    step_through(&mut terminal);
    compare(&mut terminal);
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    std::fs::remove_file(file).expect("it is there");
}
