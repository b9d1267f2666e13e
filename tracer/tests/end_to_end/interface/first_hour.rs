//! The jobs of a first hour with the terminal UI, typed at once and as fast as the terminal takes it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use portable_pty::CommandBuilder;
use tracer::debuginfo::DebugOptions;
use tracer::session::{Catalog, VariableInfo};

use super::events::wait_copies;
use super::terminal::{ENTER, SIZES, SOURCE, go_to, pacing, pick_file, start};
use crate::support::build::{c, fixture, probe_line, rust};
use crate::support::needs;
use crate::support::pty::Terminal;
use crate::support::text::Text;
use crate::support::tracer::{TRACER, tracer};

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
            !screen.contains("1 Source") && (1..=20).all(|n| screen.contains(&format!(" n{n} ")))
        });
        let row = |number: u32| screen.find(&format!(" n{number} ")).unwrap_or_default();
        assert!(
            (1..20).all(|number| row(number) < row(number + 1)),
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

#[test]
fn first_hour_typed_as_fast_as_it_goes_loses_nothing() {
    if !needs::kernel() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name).display().to_string();
    let program = pacing("first-hour");
    // Find a process, a file, a line.
    let mut terminal = start(&[], SIZES[1]);
    terminal.wait("the list of processes", |screen| {
        screen.contains("Which processes?") && !screen.contains("reading…")
    });
    terminal.keys("first-hour");
    terminal.wait_text(&program.pid().to_string());
    // The file is chosen before the list of files is there.
    terminal.keys(&format!("{ENTER}e2eloop{ENTER}"));
    terminal.wait_text("second_step(struct pair *pair)");
    let line = probe_line(SOURCE, "work");
    let place = format!("{SOURCE}:{line}");
    let probes = [
        // Its events are there before those that pass the filter.
        format!("log {place} \"unwanted {{number}}\""),
        format!("log {place} \"dxcqn {{number}}\" if number % 2 == 0"),
        format!("count {place} by number % 3"),
        format!("hist {place} number"),
        "time second_step".to_owned(),
        format!("snapshot {place} as once"),
    ];
    // All at once: the line, six probes, a search in the source, a filter, the pause, and both files.
    let (written, table) = (file("probes"), file("events.csv"));
    let mut typed = format!("g{line}{ENTER}");
    for probe in &probes {
        typed.push_str(&format!(":{probe}{ENTER}"));
    }
    typed.push_str(&format!(
        "1/second_step{ENTER}:w {written}{ENTER}3/dxcqn{ENTER}"
    ));
    terminal.keys(&typed);
    terminal.wait_text("6 probes");
    terminal.wait_text(&format!("6 probes written to `{written}`"));
    terminal.wait("the events of the filter alone", |screen| {
        has_event(screen, "dxcqn ") && !has_event(screen, "unwanted ")
    });
    // The search has gone to its line, which is copied.
    terminal.keys("1y");
    let copies = wait_copies(&terminal, 1);
    assert!(copies[0].contains("second_step(&pair)"), "{copies:?}");
    terminal.keys(&format!("p:export {table}{ENTER}"));
    terminal.wait_text("PAUSED");
    terminal.wait_text(&format!("written to `{table}`"));
    terminal.wait_text("(those that pass `dxcqn`");
    let text = std::fs::read_to_string(&written).expect("the probes are written");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, probes);
    let rows = std::fs::read_to_string(&table).expect("the events are written");
    assert!(rows.lines().skip(1).count() > 0);
    assert!(
        rows.lines().skip(1).all(|row| row.contains("dxcqn ")),
        "{rows}"
    );
    // The stack of the snapshot.
    terminal.keys("p/");
    terminal.keys(&format!("\x15@once{ENTER}"));
    terminal.wait("the snapshot alone", |screen| {
        screen.contains("show events") || screen.contains("@once")
    });
    // A note on its end stands behind it.
    terminal.keys("3\x1b[H");
    terminal.wait_text("1 newer; F follows");
    terminal.keys(ENTER);
    terminal.wait("its stack", |screen| {
        screen.contains("Esc back") && screen.to_lowercase().contains("stack")
    });
    terminal.keys("\x1b");
    terminal.wait("the panes", |screen| !screen.contains("Esc back"));
    // A removed probe comes back by the same name.
    terminal.keys("2\x1b[H");
    terminal.keys("d");
    terminal.wait_text("p1 removed: ");
    terminal.keys("u");
    terminal.wait_text("6 probes");
    terminal.wait_text("p1 is on ");
    // The file gives the same probes again.
    terminal.keys("q");
    assert_eq!(terminal.wait_end(), 0);
    let said = terminal.wait("the end", |screen| screen.contains("not kept:"));
    for table in ["p3 count by number % 3", "p4 hist number", "p5 time", "p99"] {
        assert!(said.contains(table), "{table}: {said}");
    }
    let pid = program.pid().to_string();
    let args = ["attach", "--pid", &pid, "-f", &written, "--events", "3"];
    tracer(&[&args[..], &["--output", "text"]].concat()).assert_code(0);
}

/// Returns true if a row of the screen has this text with a number behind it: the table of probes has no number there.
fn has_event(screen: &str, text: &str) -> bool {
    let mut after = screen.split(text).skip(1);
    after.any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[test]
fn fields_of_values_are_listed_for_each_language() {
    let names = |path: &std::path::Path, location: &str, owner: &str| -> Vec<String> {
        let catalog = Catalog::of_file(path, &DebugOptions::default()).expect("it opens");
        let found = catalog.names_at(location, owner).expect("it is there");
        let written = |one: VariableInfo| format!("{}: {}", one.name, one.ty);
        found.into_iter().map(written).collect()
    };
    let path = c("names-c", SOURCE, &["-O0"]);
    let at = |fixture: &str, mark: &str| format!("{fixture}:{}", probe_line(fixture, mark));
    // Behind a pointer.
    assert_eq!(
        names(&path, &at(SOURCE, "second"), "pair"),
        [
            "number: int",
            "twice: int",
            "thread: long int",
            "is_null(): bool"
        ]
    );
    assert_eq!(names(&path, "second_step", ""), ["pair: pair *"]);
    assert!(names(&path, &at(SOURCE, "work"), "pair.number").is_empty());

    let source = "e2e_values.rs";
    let path = rust("names-rs", source, &[]);
    let look = at(source, "look");
    let request = names(&path, &look, "request");
    assert!(
        request.starts_with(&["name: String".into(), "tags: Vec<String>".into()]),
        "{request:?}"
    );
    let circle = names(&path, &look, "request.shape");
    for name in ["Circle: variant", "radius: f64", "Named: variant"] {
        assert!(circle.contains(&name.to_owned()), "{circle:?}");
    }
    assert!(names(&path, &look, "words").contains(&"len(): usize".to_owned()));
    assert!(names(&path, &look, "some").contains(&"is_some(): bool".to_owned()));

    let source = "e2e_values.cpp";
    let path = fixture("c++", "names-cpp", source, &["-g", "-O0", "-std=c++17"]);
    // Of the base class, too.
    let object = names(&path, &at(source, "look"), "object");
    for name in ["high: long", "low: int", "bits: unsigned int"] {
        assert!(
            object.iter().any(|one| one.starts_with(name)),
            "{name}: {object:?}"
        );
    }
    let server = names(&path, &at(source, "serve"), "this.shared");
    assert!(server.contains(&"low: int".to_owned()), "{server:?}");
}

#[test]
fn fields_are_completed_by_tab() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("completed");
    let pid = program.pid().to_string();
    let mut terminal = start(&["--pid", &pid], SIZES[0]);
    pick_file(&mut terminal);
    let line = probe_line(SOURCE, "second");
    terminal.keys(&format!(":log {SOURCE}:{line} \"twice {{pair.tw"));
    terminal.wait("the field and its type", |screen| {
        screen.contains("│ twice  int")
    });
    terminal.keys("\t");
    terminal.wait_text("{pair.twice");
    terminal.keys(&format!("}}\"{ENTER}"));
    terminal.wait_text("twice 2");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn files_belong_to_the_user_who_called_sudo() {
    if !needs::kernel() {
        return;
    }
    const NOBODY: u32 = 65_534;
    let directory = tempfile::tempdir().expect("a directory");
    let everyone = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(directory.path(), everyone).expect("it is ours");
    let own = directory.path().join("probes");
    let roots = tempfile::tempdir().expect("a directory");
    let others = roots.path().join("probes");
    let program = pacing("sudo");
    let line = probe_line(SOURCE, "work");
    let mut command = CommandBuilder::new(TRACER);
    let pid = program.pid().to_string();
    command.args([
        "attach",
        "--pid",
        &pid,
        "-e",
        &format!("log {SOURCE}:{line}"),
    ]);
    for variable in ["SUDO_UID", "SUDO_GID"] {
        command.env(variable, NOBODY.to_string());
    }
    let mut terminal = Terminal::run(command, SIZES[1].rows, SIZES[1].columns);
    terminal.wait_text("number");
    terminal.keys(&format!(":w {}{ENTER}", own.display()));
    terminal.wait_text("1 probe written to");
    assert_eq!(std::fs::metadata(&own).expect("it is there").uid(), NOBODY);
    // The user may not write there, and so nobody does.
    terminal.keys(&format!(":w {}{ENTER}", others.display()));
    terminal.wait_text("Permission denied");
    assert!(!others.exists());
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}
