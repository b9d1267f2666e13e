//! A program on a terminal of its own, launched by a process on another one.

use super::*;

/// Set for the launcher of this file.
const OWN: &str = "TRACER_TEST_LAUNCH_OWN";

/// Reads the terminal until it shows `text`.
fn read_until(terminal: &ProgramTerminal, said: &mut String, text: &str) {
    let mut bytes = [0; 256];
    while !said.contains(text) {
        let count = terminal.read(&mut bytes).unwrap();
        assert!(count > 0, "no `{text}` in {said}");
        said.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

/// The launcher. Does nothing unless the test below started it.
#[test]
fn launcher_with_a_terminal() {
    if std::env::var_os(OWN).is_none() {
        return;
    }
    let script = "trap 'stty size' WINCH; trap 'echo interrupted; exit 7' INT; \
                  [ -t 0 ] || exec </dev/tty; tty; stty size; echo $TERM ${COLUMNS-none}; echo ready; \
                  while :; do read line && echo \"read $line\"; done";
    let command = ["sh", "-c", script].map(Into::into).to_vec();
    let mut spec = LaunchSpec::new(command, None).unwrap();
    spec.terminal = Some(TerminalSize {
        columns: 33,
        rows: 9,
    });
    let mut waiting = spec.launch().unwrap();
    let terminal = waiting.take_terminal().unwrap();
    let mut program = waiting.run().unwrap();
    let mut said = String::new();
    read_until(&terminal, &mut said, "ready");
    assert!(said.contains("/dev/pts/"), "{said}");
    assert!(said.contains("9 33\r\nxterm-256color none\r\n"), "{said}");
    terminal.write_all(b"hello\r").unwrap();
    read_until(&terminal, &mut said, "read hello");
    let smaller = TerminalSize {
        columns: 20,
        rows: 5,
    };
    terminal.resize(smaller).unwrap();
    read_until(&terminal, &mut said, "5 20");
    terminal.write_all(&[3]).unwrap();
    read_until(&terminal, &mut said, "interrupted");
    assert_eq!(program.wait().unwrap(), LaunchOutcome::Exited(7));
    while terminal.read(&mut [0; 64]).unwrap() > 0 {}
}

#[test]
fn program_has_a_terminal_of_its_own_with_size_keys_and_end() {
    let pair = native_pty_system().openpty(PtySize::default()).unwrap();
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "target::launch::tests::terminal::launcher_with_a_terminal",
    ]);
    command.args(["--nocapture"]);
    command.env(OWN, "1");
    command.env("COLUMNS", "999");
    command.env_remove("SUDO_UID");
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut screen = pair.master.try_clone_reader().unwrap();
    let mut said = Vec::new();
    // Ends with an error when the launcher has ended.
    let _ = screen.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    // Nothing of the program is on the launcher's terminal.
    assert!(!said.contains("hello"), "{said}");
}
