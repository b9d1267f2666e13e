//! The result pane of the terminal UI, on the program of the demo.

use super::story::{PATH, Stage, branch_line};
use crate::support::build::Profile;
use crate::support::needs;
use crate::support::pty::Terminal;
use crate::support::text::Text;
use crate::support::tracer::attach_args;

/// A character of a drawing.
fn is_dots(c: char) -> bool {
    ('\u{2801}'..='\u{28ff}').contains(&c)
}

/// The rows between the pane's rule and the next one.
fn results(screen: &str) -> Vec<&str> {
    let below = screen
        .lines()
        .skip_while(|line| !line.contains("4 Results of"));
    below
        .skip(1)
        .take_while(|line| !line.contains("3 Events"))
        .collect()
}

#[test]
fn path_of_the_pointer_is_drawn_and_its_moves_are_counted() {
    if !needs::kernel() || !needs::tools(&["Xvfb"]) {
        return;
    }
    let mut stage = Stage::set(Profile::Dev);
    let pid = stage.app.pid();
    let text = Text::of_exe(pid);
    let line = branch_line();
    let probes = [
        format!("log main.rs:{line} as moves"),
        format!("count main.rs:{line} by current.x as places"),
    ];
    let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
    let args = attach_args(pid, "tui", &probes, &[]);
    let mut terminal = Terminal::start(&args, 40, 120);
    terminal.wait_text("4 Results of moves");
    text.wait_probed(1);
    for to in PATH {
        stage.go(to);
    }
    terminal.wait("a table of values", |screen| {
        let rows = results(screen);
        let heading = rows.first().is_some_and(|row| row.contains("current"));
        heading && rows.iter().any(|row| row.contains("{x: 1279, y: 1023}"))
    });
    terminal.keys("vv");
    terminal.wait("the path", |screen| {
        let rows = results(screen);
        let drawn = rows.iter().filter(|row| row.contains(is_dots)).count();
        let names = "→ current.x 1279  ↑ current.y 1023  ● the last of 6 events, joined";
        rows.iter().any(|row| row.contains(names)) && drawn >= 4
    });
    terminal.keys("2j");
    terminal.wait("the counts", |screen| {
        let rows = results(screen);
        let heading = "6 hits by current.x: 6 values";
        let bars = rows
            .iter()
            .filter(|row| row.contains("16.7%") && row.contains('█'));
        rows.iter().any(|row| row.contains(heading)) && bars.count() >= 4
    });
    // The events of a probe that adds up are none; its results are shown instead.
    terminal.keys("o");
    terminal.wait_text("places has no events: its hits are added up");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    text.wait_restored();
}
