//! docs/assistants.md: the session of a scripted assistant, which is made again and compared.

use std::fs;
use std::path::Path;

use crate::support::build::{Profile, source, target_app, workspace};
use crate::support::display::{Display, Point};
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::TRACER;

/// The marks around the session on the page.
const BEGIN: &str =
    "<!-- session: made by a test, see tracer/tests/end_to_end/assistants/pages.rs -->\n```text\n";
const END: &str = "```\n";

/// target-app on a screen, once it watches the pointer.
#[track_caller]
pub(super) fn target_on(display: &Display, program: &Path) -> Program {
    display.move_pointer(Point::at(640, 500));
    let target = Program::start_with(program, &["--seconds", "600"], |command| {
        command.env("DISPLAY", &display.name);
    });
    target
        .stdout
        .wait_line("its start", 0, |line| line.starts_with("The main thread"));
    target
}

#[test]
fn scripted_assistant_finds_the_bug_of_target_app_as_on_the_page() {
    let Some(tools) = needs::mcp_tools().filter(|_| needs::kernel() && needs::tools(&["Xvfb"]))
    else {
        return;
    };
    let display = Display::start();
    let target = target_on(&display, &target_app(Profile::Dev));
    let pid = target.pid().to_string();
    let script = source("mcp/assistant.py");
    let script = script.to_str().expect("test paths are UTF-8");
    let args = [script, TRACER, "mcp", "--pid", &pid];
    let mut assistant = Program::start(&tools.join("bin/python"), &args);
    // The user of the session does what the assistant asks for.
    let asked = assistant.stdout.wait_line("a question", 0, |line| {
        line.starts_with("assistant: Please move")
    });
    display.move_pointer(Point::at(840, 400));
    let status = assistant.wait();
    let said = assistant.stdout.lines();
    let errors = assistant.stderr.lines().join("\n");
    assert!(status.success() && asked > 0, "{said:?}\n{errors}");
    let session: String = said.iter().map(|line| format!("{line}\n")).collect();
    assert!(session.contains("the messages are swapped"), "{session}");

    let path = workspace().join("docs/assistants.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let (front, rest) = page.split_once(BEGIN).expect("the page has the session");
    let (shown, back) = rest.split_once(END).expect("the block ends");
    if shown == session {
        return;
    }
    if std::env::var_os("TRACER_REMAKE_PAGES").is_some_and(|value| value == "1") {
        fs::write(&path, format!("{front}{BEGIN}{session}{END}{back}"))
            .expect("the page is writable");
        return;
    }
    assert_eq!(shown, session, "`cargo xtask pages` writes the page anew");
}
