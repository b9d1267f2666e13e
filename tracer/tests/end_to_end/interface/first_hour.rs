//! The jobs of a first hour with the terminal UI, typed at once and as fast as the terminal takes it.

use super::terminal::{ENTER, SIZES, SOURCE, go_to, pacing, pick_file, start};
use crate::support::build::probe_line;
use crate::support::needs;
use crate::support::text::Text;

#[test]
fn commands_typed_at_once_are_all_carried_out_in_order() {
    if !needs::kernel() {
        return;
    }
    for size in SIZES {
        let program = pacing("typed");
        let text = Text::of_exe(program.pid());
        let mut terminal = start(&["--pid", &program.pid().to_string()], size);
        pick_file(&mut terminal);
        let line = probe_line(SOURCE, "work");
        go_to(&mut terminal, line);
        // Letters that are commands of the panes: a lost character would remove, silence or quit.
        let mut typed = String::new();
        for number in 1..=20 {
            typed.push_str(&format!(
                ":log {SOURCE}:{line} \"dxcq {{number}}\" if number % 20 == {} as n{number}{ENTER}",
                number - 1
            ));
        }
        terminal.keys(&typed);
        text.wait_probed(1);
        terminal.wait_text("20 probes");
        // They have been attached in the order in which they were typed.
        terminal.keys("2z");
        let screen = terminal.wait("all rows", |screen| {
            (1..=18).all(|number| screen.contains(&format!("n{number} ")))
        });
        let row = |number: u32| screen.find(&format!(" n{number} ")).unwrap_or_default();
        assert!(
            (2..18).all(|number| row(number) < row(number + 1)),
            "{screen}"
        );
        terminal.wait("no prompt", |screen| !screen.contains("attaching"));
        terminal.keys("q");
        assert_eq!(terminal.assert_restored(), 0);
        text.wait_restored();
    }
}

#[test]
fn refused_probe_among_others_is_mended_and_loses_nothing() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("refused");
    let mut terminal = start(&["--pid", &program.pid().to_string()], SIZES[0]);
    pick_file(&mut terminal);
    let line = probe_line(SOURCE, "work");
    let log = |message: &str| format!(":log {SOURCE}:{line} \"{message}\"{ENTER}");
    terminal.keys(
        &[
            log("one {number}"),
            log("two {numbre}"),
            log("three {twice}"),
        ]
        .concat(),
    );
    terminal.wait("the mistake", |screen| {
        screen.contains("Refused") && screen.contains("two {numbre}") && screen.contains("2 probes")
    });
    // The keys go on to the panes. `m` opens the line with the text and the mistake.
    terminal.keys("m");
    terminal.wait_text("new probe ");
    // Back over `bre}"`, and the letter away.
    terminal.keys("\x7f\x7f\x7f\x7f\x7fber}\"\r");
    terminal.wait_text("3 probes");
    terminal.wait_text("two ");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn pasted_probes_wait_for_enter_and_are_no_keys() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("pasted");
    let mut terminal = start(&["--pid", &program.pid().to_string()], SIZES[1]);
    pick_file(&mut terminal);
    let line = probe_line(SOURCE, "work");
    let lines = format!(
        "# two probes\nlog {SOURCE}:{line} \"dxq {{number}}\"\nlog {SOURCE}:{line} \"cq {{twice}}\"\n"
    );
    terminal.keys(&format!("\x1b[200~{lines}\x1b[201~{ENTER}{ENTER}"));
    terminal.wait_text("2 probes");
    terminal.wait("events of both", |screen| {
        screen.contains("dxq ") && screen.contains("cq ")
    });
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}
