//! A variable is watched by keys, and its accesses are on the screen.

use super::terminal::{ENTER, SIZES, SOURCE, go_to, pacing, pick_file, start};
use crate::support::build::probe_line;
use crate::support::needs;
use crate::support::pty::Terminal;
use crate::support::text::Text;

/// Presses Tab until the line has a text.
fn tab_to(terminal: &mut Terminal, text: &str) {
    let mut line = typed(terminal);
    let first = line.clone();
    while !line.contains(text) {
        terminal.keys("\t");
        let before = line.clone();
        terminal.wait("the next completion", |screen| typed_on(screen) != before);
        line = typed(terminal);
        assert_ne!(line, first, "no completion has `{text}`");
    }
}

fn typed(terminal: &Terminal) -> String {
    typed_on(&terminal.text())
}

/// The line that is typed.
fn typed_on(screen: &str) -> String {
    let line = screen.lines().find(|line| line.contains("new probe "));
    line.unwrap_or_default().trim_end().to_owned()
}

#[test]
fn static_is_watched_by_keys_and_its_event_leads_to_the_writer() {
    if !needs::kernel() {
        return;
    }
    for size in SIZES {
        let program = pacing("watched");
        let text = Text::of_exe(program.pid());
        let mut terminal = start(&["--pid", &program.pid().to_string()], size);
        pick_file(&mut terminal);
        // The line that writes to the static.
        let writer = probe_line(SOURCE, "work") + 2;
        go_to(&mut terminal, writer);
        terminal.keys("a");
        terminal.wait("the completions", |screen| {
            screen.contains("new probe watch ") && screen.contains("named on this line")
        });
        tab_to(&mut terminal, "watch sum");
        terminal.keys(" if old != new\r");
        terminal.wait_text(" by work");
        // Watchpoints leave the code as it is.
        assert!(text.changed().is_empty());
        terminal.keys("3");
        terminal.keys(ENTER);
        terminal.wait("the access in full", |screen| {
            screen.contains("access: write by `mov ") && screen.contains("old: ")
        });
        terminal.keys("o");
        let writer = format!("▶ {writer}");
        terminal.wait("the line of the writer", |screen| {
            screen.contains(&writer) && screen.contains("◂ sum: ")
        });
        terminal.keys("q");
        assert_eq!(terminal.assert_restored(), 0);
    }
}
