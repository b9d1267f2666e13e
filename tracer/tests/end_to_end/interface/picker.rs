//! The list of processes, through a pseudo-terminal: a search, marks and selectors.

use std::path::Path;

use portable_pty::CommandBuilder;

use super::terminal::{ENTER, SIZES, SOURCE, go_to, pacing, pick_file, start};
use crate::support::build::{c, probe_line};
use crate::support::cgroups::Cgroup;
use crate::support::containers::{Container, Runtime, StateFiles, container_id, inner};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::pty::Terminal;
use crate::support::text::Text;
use crate::support::tracer::TRACER;

/// A program that calls a function when it is told to.
const WORKER: &str = "e2e_worker.c";
/// Deletes a typed word.
const CLEAR: &str = "\x17";

#[test]
fn opens_without_a_process() {
    if !needs::kernel() {
        return;
    }
    let program = pacing("pickme-e2e");
    let mut terminal = start(&[], SIZES[0]);
    terminal.wait("a list of processes", |screen| {
        screen.to_lowercase().contains("process")
    });
    terminal.keys("pickme-e2e");
    terminal.wait_text(&program.pid().to_string());
    terminal.keys(ENTER);
    pick_file(&mut terminal);
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn name_selects_these_and_later_processes() {
    if !needs::kernel() {
        return;
    }
    for size in SIZES {
        let _two = [pacing("selected-e2e"), pacing("selected-e2e")];
        let mut terminal = start(&[], size);
        terminal.wait("the list", |screen| {
            screen.contains("Which processes?") && !screen.contains("reading…")
        });
        // The kind and the name are completed.
        terminal.keys("na\t");
        terminal.wait_text("name:");
        terminal.keys("selected-e\t");
        terminal.wait_text("2 processes match now, and each later one");
        terminal.wait_text("$ tracer attach --name selected-e2e");
        terminal.keys(ENTER);
        terminal.wait_text("--name selected-e2e  2 processes");
        pick_file(&mut terminal);
        go_to(&mut terminal, probe_line(SOURCE, "work"));
        terminal.keys(ENTER);
        terminal.wait_text("1 probe");
        let _later = pacing("selected-e2e");
        terminal.wait_text("--name selected-e2e  3 processes");
        terminal.keys("q");
        assert_eq!(terminal.assert_restored(), 0);
    }
}

#[test]
fn marked_processes_are_attached() {
    if !needs::kernel() {
        return;
    }
    let programs = [(); 3].map(|()| pacing("marked-e2e"));
    let texts = programs.each_ref().map(|one| Text::of_exe(one.pid()));
    let mut terminal = start(&[], SIZES[1]);
    for program in &programs {
        terminal.wait_text(&program.pid().to_string());
    }
    let [first, other, second] = programs.each_ref().map(Program::pid);
    // The others of that name are in the list, too.
    for pid in [first, second] {
        terminal.keys(&format!("{pid} "));
        terminal.keys(CLEAR);
    }
    terminal.wait_text("2 processes are marked");
    let (least, most) = (first.min(second), first.max(second));
    terminal.wait_text(&format!("$ tracer attach --pid {least} --pid {most}"));
    terminal.keys(ENTER);
    terminal.wait_text(&format!("--pid {least} --pid {most}  2 processes"));
    pick_file(&mut terminal);
    go_to(&mut terminal, probe_line(SOURCE, "work"));
    terminal.keys(ENTER);
    terminal.wait("events of both processes and of no other", |screen| {
        let shows = |pid: u32| screen.contains(&format!("/{pid}/"));
        shows(first) && shows(second) && !shows(other)
    });
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    texts.iter().for_each(Text::wait_restored);
}

#[test]
fn mistakes_are_told_in_place() {
    if !needs::kernel() {
        return;
    }
    let _program = pacing("mistaken-e2e");
    let mut terminal = start(&[], SIZES[0]);
    terminal.wait_text("Which processes?");
    terminal.keys("name:mistaken-e2e user:nosuchuser");
    terminal.wait_text("! no user is named `nosuchuser`");
    terminal.wait_text("hint: names come from `/etc/passwd`");
    // It cannot be taken.
    terminal.keys(ENTER);
    terminal.keys("\x17");
    terminal.wait_text("$ tracer attach --name mistaken-e2e");
    terminal.wait_text("1 process matches now");
    terminal.keys("unit:x.target");
    terminal.wait_text("! `x.target` has no processes");
    terminal.keys("\x03");
    assert_eq!(terminal.assert_restored(), 0);
}

#[test]
fn unit_is_completed_and_its_later_processes_are_attached() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    let path = c("picked-unit", WORKER, &["-O0"]);
    let unit = Cgroup::make(&root, "/system.slice/e2e-picked.service");
    let mut inside = worker(&path, Some(&unit));
    let mut outside = worker(&path, None);
    for size in SIZES {
        let mut terminal = start(&[], size);
        terminal.wait_text("Which processes?");
        terminal.keys("unit:e2e-pick");
        terminal.wait_text("Tab: unit:e2e-picked.service");
        terminal.keys("\t");
        terminal.wait_text("1 process matches now, and each later one");
        terminal.wait_text("$ tracer attach --unit e2e-picked.service");
        terminal.keys(ENTER);
        terminal.wait_text("--unit e2e-picked.service  1 process");
        probe_work(&mut terminal);
        outside.call(1);
        inside.call(1);
        let mut later = worker(&path, Some(&unit));
        terminal.wait("both processes", |screen| {
            let hit = |pid| screen.contains(&format!("/{pid} "));
            hit(inside.pid()) && hit(later.pid()) && !hit(outside.pid())
        });
        terminal.keys("q");
        assert_eq!(terminal.assert_restored(), 0);
        later.close_input();
        later.wait();
    }
    for program in [&mut inside, &mut outside] {
        program.close_input();
        program.wait();
    }
}

#[test]
fn container_and_pod_are_completed_and_attached() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    if !needs::tools(&["unshare"]) {
        return;
    }
    let id = container_id(5);
    let state = StateFiles {
        runtime: Runtime::Containerd,
        id: &id,
        name: "picked-web",
        pod: "picked-pod",
    };
    let container = Container::new(&root, &state.cgroup());
    container.copy(&c("picked-container", WORKER, &["-O0", "-static"]));
    let mut inside = container.ready();
    for (typed, completed) in [
        ("container:picked-w", "picked-web"),
        ("pod:picked-p", "pod:picked-pod"),
    ] {
        let mut command = CommandBuilder::new("unshare");
        command.args(state.unshare());
        command.args([TRACER, "attach"]);
        let mut terminal = Terminal::run(command, 24, 80);
        terminal.wait("the list", |screen| {
            screen.contains("Which processes?") && !screen.contains("reading…")
        });
        terminal.keys(&format!("{typed}\t"));
        // `unshare` waits for the program, in the same cgroup.
        terminal.wait_text("2 processes match now, and each later one");
        terminal.wait_text(&format!("$ tracer attach --container {completed}"));
        terminal.keys(ENTER);
        terminal.wait_text(&format!("--container {completed}  2 processes"));
        probe_work(&mut terminal);
        inside.call(2);
        terminal.wait_text(&format!("/{} ", inner(&inside)));
        terminal.keys("q");
        assert_eq!(terminal.assert_restored(), 0);
    }
    inside.close_input();
    inside.wait();
}

#[test]
fn unit_without_a_process_is_waited_for() {
    let Some(root) = needs::kernel().then(needs::cgroups).flatten() else {
        return;
    };
    let path = c("picked-later", WORKER, &["-O0"]);
    let mut terminal = start(&[], SIZES[0]);
    terminal.wait_text("Which processes?");
    terminal.keys("unit:e2e-later");
    terminal.wait_text("no process matches `--unit e2e-later.service`; Enter waits");
    terminal.wait_text("$ tracer attach --wait --unit e2e-later");
    terminal.keys(ENTER);
    terminal.wait("the wait, without the list", |screen| {
        screen.contains("waiting for a process in unit e2e-later.service")
            && !screen.contains("Which processes?")
    });
    let unit = Cgroup::make(&root, "/system.slice/e2e-later.service");
    let mut first = worker(&path, Some(&unit));
    terminal.wait_text("--unit e2e-later.service  1 process");
    probe_work(&mut terminal);
    first.call(1);
    terminal.wait_text("number = 1");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    first.close_input();
    first.wait();
}

#[test]
fn program_that_nobody_runs_is_waited_for_on_the_screen() {
    if !needs::kernel() {
        return;
    }
    let path = c("picked-awaited", WORKER, &["-O0"]);
    let exe = path.to_str().expect("UTF-8");
    let mut terminal = start(&[], SIZES[1]);
    terminal.wait_text("Which processes?");
    terminal.keys(&format!("exe:{exe}"));
    terminal.wait_text(&format!("$ tracer attach --wait --exe {exe} "));
    terminal.wait_text("; Enter waits");
    terminal.keys(ENTER);
    terminal.wait_text("0 processes");
    // It can be probed before, and then is from its first instruction on.
    probe_work(&mut terminal);
    terminal.wait_text("waiting for a process that runs ");
    let mut first = worker(&path, None);
    terminal.wait_text("number = 1001");
    terminal.wait_text("1 process");
    terminal.keys("q");
    assert_eq!(terminal.assert_restored(), 0);
    first.close_input();
    first.wait();
}

#[test]
fn wait_is_left_by_an_interrupt() {
    let mut terminal = start(&[], SIZES[0]);
    terminal.wait_text("Which processes?");
    terminal.keys("name:tracer-e2e-nobody");
    terminal.wait_text("; Enter waits");
    terminal.keys(ENTER);
    terminal.wait_text("waiting for a process named tracer-e2e-nobody");
    terminal.keys("\x03");
    assert_eq!(terminal.assert_restored(), 130);
}

/// A worker that waits for its input, in a cgroup or beside it.
#[track_caller]
fn worker(path: &Path, cgroup: Option<&Cgroup>) -> Program {
    let program = Program::start_with(path, &["1", "stay"], |command| {
        if let Some(cgroup) = cgroup {
            cgroup.enter(command);
        }
    });
    program
        .stdout
        .wait_line("`ready`", 0, |line| line == "ready");
    program
}

/// Picks the source of the worker, and adds a probe to its line.
fn probe_work(terminal: &mut Terminal) {
    terminal.wait_text(&format!("fixtures/{WORKER}"));
    terminal.keys(&format!("e2eworker{ENTER}"));
    // It opens at its first line with code. A container has no source files, so there is no text.
    terminal.wait("the source", |screen| {
        screen.contains("▶ 30") && !screen.contains("Open a source")
    });
    let line = probe_line(WORKER, "work");
    terminal.keys(&format!("g{line}{ENTER}"));
    terminal.wait_text(&format!("▶ {line}"));
    terminal.keys(ENTER);
    terminal.wait_text("1 probe");
}
