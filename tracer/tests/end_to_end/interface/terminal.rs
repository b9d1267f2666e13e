//! The terminal UI through a pseudo-terminal: keys in, a screen out.

use portable_pty::CommandBuilder;
use rustix::process::Signal;

use crate::support::build::{c, probe_line, scratch};
use crate::support::needs;
use crate::support::program::{Program, send};
use crate::support::pty::Terminal;
use crate::support::text::Text;
use crate::support::tracer::{TRACER, tracer};

pub(super) const SOURCE: &str = "e2e_loop.c";
pub(super) const ENTER: &str = "\r";

/// Rows and columns of a terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) rows: u16,
    pub(super) columns: u16,
}

/// The sizes to test.
pub(super) const SIZES: [Size; 2] = [
    Size {
        rows: 24,
        columns: 80,
    },
    Size {
        rows: 60,
        columns: 200,
    },
];

/// The fixture, with a call every 10 ms.
pub(super) fn pacing(name: &str) -> Program {
    let path = c(name, SOURCE, &["-O0"]);
    let mut program = Program::ready(&path, &["1", "0", "10000"]);
    program.say("go");
    program
}

pub(super) fn start(args: &[&str], size: Size) -> Terminal {
    let mut all = vec!["attach".to_owned()];
    all.extend(args.iter().map(|&arg| arg.to_owned()));
    Terminal::start(&all, size.rows, size.columns)
}

/// Picks the fixture's source in the file picker.
pub(super) fn pick_file(terminal: &mut Terminal) {
    terminal.wait_text(SOURCE);
    terminal.keys("e2eloop");
    terminal.wait_text(SOURCE);
    terminal.keys(ENTER);
    // It opens at its first line with code.
    terminal.wait_text("second_step(struct pair *pair)");
}

/// Goes to a line of the open file.
pub(super) fn go_to(terminal: &mut Terminal, line: u64) {
    terminal.keys("g");
    terminal.keys(&format!("{line}{ENTER}"));
    terminal.wait_text("result = pair.number + pair.twice;");
}

#[test]
fn file_line_values_and_removal_by_keys() {
    if !needs::kernel() {
        return;
    }
    for size in SIZES {
        let program = pacing("keys");
        let text = Text::of_exe(program.pid());
        let mut terminal = start(&["--pid", &program.pid().to_string()], size);
        pick_file(&mut terminal);
        let line = probe_line(SOURCE, "work");
        go_to(&mut terminal, line);
        // Nothing is in the target before the user asks for it.
        assert!(text.changed().is_empty());
        terminal.keys(ENTER);
        text.wait_probed(1);
        terminal.wait("values", |screen| {
            screen.contains("number = ") || screen.contains("number: ")
        });
        // Source, probe and events are on the screen at once.
        let at = format!("{SOURCE}:{line}");
        terminal.wait("three panes", |screen| {
            screen.contains("pair.number + pair.twice")
                && screen.contains(&at)
                && screen.contains("keys/")
        });
        terminal.keys(ENTER);
        text.wait_restored();
        terminal.wait("no probe", |screen| !screen.contains(&format!("log {at}")));
        terminal.keys("q");
        assert_eq!(terminal.assert_restored(), 0);
    }
}

#[test]
fn probe_of_the_command_line_is_shown_at_once() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("given");
    let text = Text::of_exe(program.pid());
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "twice is {{twice}}""#);
    let pid = program.pid().to_string();
    let mut terminal = start(&["--pid", &pid, "-e", &probe], SIZES[1]);
    terminal.wait_text("twice is ");
    terminal.wait_text("pair.number + pair.twice");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    text.wait_restored();
}

#[test]
fn probe_that_times_is_edited_silenced_and_removed_by_keys() {
    if !needs::kernel() {
        return;
    }
    for size in SIZES {
        let program = pacing("times");
        let text = Text::of_exe(program.pid());
        let mut terminal = start(
            &[
                "--pid",
                &program.pid().to_string(),
                "-e",
                "time second_step",
            ],
            size,
        );
        // The start and the return.
        text.wait_probed(2);
        terminal.wait_text("e2e_loop.c:26");
        terminal.keys("2i");
        terminal.wait_text("Esc back");
        for latencies in ["mean ", "p99 ", "|@"] {
            terminal.wait_text(latencies);
        }
        terminal.keys("\x1b");
        terminal.wait("the view to close", |text| !text.contains("Esc back"));
        if size.columns >= 200 {
            // The totals are shown beside the source too.
            terminal.wait_text("p99 ");
        }
        // Each call is slower than that, so it is an event with its arguments and result.
        terminal.keys("e");
        terminal.wait_text("edit probe");
        terminal.keys(&format!(" if $elapsed > 1ns{ENTER}"));
        terminal.wait("the line to close", |text| !text.contains("edit probe"));
        terminal.wait_text("$elapsed=");
        terminal.keys("2 ");
        text.wait_restored();
        terminal.keys(" ");
        text.wait_probed(2);
        terminal.keys("d");
        text.wait_restored();
        terminal.wait_text("none yet");
        terminal.keys("q");
        assert_eq!(terminal.assert_restored(), 0);
    }
}

#[test]
fn mistake_on_the_command_line_of_the_screen_is_shown() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("mistake");
    let mut terminal = start(&["--pid", &program.pid().to_string()], SIZES[0]);
    pick_file(&mut terminal);
    let line = probe_line(SOURCE, "work");
    terminal.keys(&format!(":log {SOURCE}:{line} \"{{numbre}}\"{ENTER}"));
    terminal.wait("the near name", |screen| {
        screen.contains("numbre") && screen.contains("`number`")
    });
    terminal.keys("\x03");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn resizing_while_events_flow_keeps_the_screen_whole() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("resized");
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "call {{number}}""#);
    let pid = program.pid().to_string();
    let mut terminal = start(&["--pid", &pid, "-e", &probe], SIZES[0]);
    terminal.wait_text("call ");
    for (rows, columns) in [
        (60, 200),
        (10, 40),
        (2, 5),
        (1, 1),
        (24, 80),
        (50, 132),
        (24, 80),
    ] {
        terminal.resize(rows, columns);
    }
    terminal.wait("all of it again", |screen| {
        screen.contains("call ") && screen.contains("pair.number + pair.twice")
    });
    // The UI still responds.
    terminal.keys("?");
    terminal.wait("the help", |screen| screen.to_lowercase().contains("help"));
    terminal.keys("\x1b");
    // An escape and a letter at once would mean Alt and the letter.
    terminal.wait("no help", |screen| !screen.contains("Help"));
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn signal_restores_the_terminal() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("signalled");
    let text = Text::of_exe(program.pid());
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "call {{number}}""#);
    let pid = program.pid().to_string();
    for signal in [Signal::TERM, Signal::HUP] {
        let terminal = start(&["--pid", &pid, "-e", &probe], SIZES[0]);
        terminal.wait_text("call ");
        send(terminal.pid(), signal);
        terminal.assert_restored();
        text.wait_restored();
    }
}

#[test]
fn closed_terminal_ends_the_tracer() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("hung-up");
    let text = Text::of_exe(program.pid());
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "call {{number}}""#);
    let pid = program.pid().to_string();
    let args = ["attach", "--pid", &pid, "-e", &probe];
    Terminal::close_once_shown(&args, "call ");
    text.wait_restored();
}

#[test]
fn target_exit_is_shown_and_the_screen_stays() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("leaving");
    let line = probe_line(SOURCE, "work");
    let probe = format!(r#"log {SOURCE}:{line} "call {{number}}""#);
    let pid = program.pid().to_string();
    let mut terminal = start(&["--pid", &pid, "-e", &probe], SIZES[0]);
    terminal.wait_text("call ");
    program.signal(Signal::KILL);
    terminal.wait("word of the exit", |screen| screen.contains("exited"));
    // Its events can still be read.
    terminal.wait_text("call ");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn escape_sequences_of_the_target_do_not_reach_the_terminal() {
    if !needs::kernel() {
        return;
    }
    let source = "e2e_values.c";
    let path = c("values-O0", source, &["-O0"]);
    let program = Program::ready(&path, &[]);
    let line = probe_line(source, "look");
    let probe = format!(r#"log {source}:{line} "text {{escape}} end""#);
    let pid = program.pid().to_string();
    let mut terminal = start(&["--pid", &pid, "-e", &probe], SIZES[1]);
    terminal.wait("the text, harmless", |screen| screen.contains("[31mred"));
    terminal.keys("q");
    let raw = terminal.raw();
    let sent = b"\x1b[31mred";
    assert!(
        !raw.windows(sent.len()).any(|bytes| bytes == sent),
        "it was sent as it is"
    );
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn end_restores_the_terminal_and_prints_tables_and_the_rest_that_is_not_kept() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("ending");
    let line = probe_line(SOURCE, "work");
    let pid = program.pid().to_string();
    let probes = [
        format!("count {SOURCE}:{line} by number % 3"),
        format!("hist {SOURCE}:{line} number"),
        "time second_step".to_owned(),
        format!(r#"log {SOURCE}:{line} "call {{number}}""#),
    ];
    let file = scratch("ending").join("kept.trz");
    for record in [None, Some(&file)] {
        let mut command = CommandBuilder::new("sh");
        // The shell's own text is on the screen before.
        command.args(["-c", r#"echo "typed before"; exec "$0" "$@""#, TRACER]);
        command.args(["attach", "--pid", &pid]);
        command.args(probes.iter().flat_map(|probe| ["-e", probe]));
        if let Some(file) = record {
            command.arg("--record");
            command.arg(file);
        }
        let Size { rows, columns } = SIZES[1];
        let mut terminal = Terminal::run(command, rows, columns);
        let screen = terminal.wait_text("call ");
        assert!(!screen.contains("typed before"), "{screen}");
        // A probe that is typed is kept by no file.
        terminal.keys(&format!(":log {SOURCE}:{line} as typed{ENTER}"));
        terminal.wait_text("5 probes");
        terminal.keys("q");
        assert_eq!(terminal.wait_end(), 0);
        let said = terminal.wait("the end", |screen| screen.contains("not kept: "));
        let rows: Vec<&str> = said.lines().map(str::trim_end).collect();
        assert_eq!(rows[0], "typed before", "{said}");
        for table in ["p1 count by number % 3", "p2 hist number", "p3 time"] {
            assert!(said.contains(table), "{table}: {said}");
        }
        // One line for each probe.
        for name in ["p1", "p2", "p3", "p4", "typed"] {
            let told = rows
                .iter()
                .filter(|row| row.starts_with(&format!("{name} e2e_loop.c:")));
            assert_eq!(told.count(), 1, "{name}: {said}");
        }
        let lost: Vec<&&str> = rows
            .iter()
            .filter(|row| row.contains("not kept: "))
            .collect();
        assert_eq!(lost.len(), 1, "{said}");
        assert!(lost[0].contains("1 probe ("), "{said}");
        assert_eq!(lost[0].contains("events ("), record.is_none(), "{said}");
        // Nothing of the screen is left.
        assert!(
            !said.contains("Source") && !said.contains("call "),
            "{said}"
        );
        assert_eq!(terminal.assert_restored(), 0);
    }
    let path = file.to_str().expect("test paths are UTF-8");
    let exported = tracer(&["export", path, "--to", "json"]);
    exported.assert_code(0);
    assert!(exported.text().contains("call "), "{exported}");
    std::fs::remove_file(file).expect("it is there");
}
