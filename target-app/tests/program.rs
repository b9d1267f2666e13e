//! Output and exit of `target-app`, on real X servers.
//!
//! The intentional bug is tested here too, because the demo and the tracer's tests rely on it.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed step fails the test"
)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use x11rb::connection::Connection;
use x11rb::protocol::xproto::MOTION_NOTIFY_EVENT;
use x11rb::protocol::xtest::ConnectionExt;
use x11rb::rust_connection::RustConnection;

/// Far longer than any step, so that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kills its process at the end of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A private X server and its display.
fn start_server() -> (Running, String) {
    let mut server = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "1280x800x24"])
        .args(["-nolisten", "tcp"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("these tests need `Xvfb` (run `cargo xtask setup`): {error}")
        });
    let mut number = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut number)
        .unwrap();
    assert!(!number.is_empty(), "Xvfb found no free display");
    (Running(server), format!(":{}", number.trim()))
}

fn command(display: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_target-app"));
    match display {
        Some(display) => command.env("DISPLAY", display),
        None => command.env_remove("DISPLAY"),
    };
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts the program. Its output arrives line by line.
fn start(display: &str, arguments: &[&str]) -> (Running, Receiver<String>) {
    let mut child = command(Some(display)).args(arguments).spawn().unwrap();
    let (sender, lines) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    (Running(child), lines)
}

/// Runs the program to its end. Returns exit status and stderr.
fn fail(display: Option<&str>) -> (ExitStatus, String) {
    let output = command(display).output().unwrap();
    (
        output.status,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn move_pointer(connection: &RustConnection, x: i16, y: i16) {
    let root = connection.setup().roots[0].root;
    connection
        .xtest_fake_input(MOTION_NOTIFY_EVENT, 0, 0, root, x, y, 0)
        .unwrap()
        .check()
        .unwrap();
}

#[test]
fn display_unset_says_so_and_exits_1() {
    let (status, stderr) = fail(None);
    assert_eq!(status.code(), Some(1));
    assert_eq!(
        stderr,
        "target-app: no X server to ask: `DISPLAY` is not set\n"
    );
}

#[test]
fn display_without_server_says_so_and_exits_1() {
    let (status, stderr) = fail(Some(":9999"));
    assert_eq!(status.code(), Some(1));
    assert!(
        stderr.starts_with("target-app: cannot connect to the X server `:9999`: "),
        "{stderr}"
    );
}

#[test]
fn server_killed_while_watching_says_so_and_exits_1() {
    let (server, display) = start_server();
    let mut child = command(Some(&display)).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(server);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.starts_with("target-app: ") && stderr.contains("X server"),
        "{stderr}"
    );
}

#[test]
fn time_over_ends_with_exit_0() {
    let (_server, display) = start_server();
    let (mut child, lines) = start(&display, &["--seconds", "1"]);
    let printed: Vec<String> = lines.iter().collect();
    assert_eq!(
        printed,
        [
            "Starting a background task that monitors the mouse position",
            "The main thread monitors mouse movement for 1 seconds",
            "Exiting",
        ]
    );
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

#[test]
fn move_right_and_down_prints_left_and_up() {
    let (_server, display) = start_server();
    let (_child, lines) = start(&display, &[]);
    let (connection, _) = x11rb::connect(Some(&display)).unwrap();
    for _ in 0..2 {
        lines.recv_timeout(PATIENCE).unwrap();
    }
    // The program may look for the first time only after a few moves. Each move goes right and
    // down, so the output is the same for all.
    let (mut x, mut y) = (650, 410);
    let change = loop {
        move_pointer(&connection, x, y);
        if let Ok(line) = lines.recv_timeout(Duration::from_millis(600)) {
            break line;
        }
        (x, y) = (x + 20, y + 10);
        assert!(x < 1280, "the program never saw the pointer move");
    };
    assert_eq!(
        change,
        format!("Mouse Pointer Location Change: X: {x}, Y: {y}")
    );
    assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), "Mouse moved left");
    assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), "Mouse moved up");
}
