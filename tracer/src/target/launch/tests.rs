//! Tests of launched programs. Most start this test program again as a launcher, because terminal,
//! signals and descriptors belong to a whole process.

mod terminal;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use super::*;
use crate::base::diagnostic::Diagnostic;
use crate::base::signals::Signals;
use crate::target::select::{ProcessFacts, Selector, SelectorKind};

/// Variables of the launcher: the command as JSON, the user, and whether it is to wait forever.
const COMMAND: &str = "TRACER_TEST_LAUNCH";
const USER: &str = "TRACER_TEST_LAUNCH_USER";
const HOLD: &str = "TRACER_TEST_LAUNCH_HOLD";

/// The name of [`launcher`] as the harness knows it.
const LAUNCHER: [&str; 3] = ["--exact", "target::launch::tests::launcher", "--nocapture"];

/// The launcher. Does nothing unless another test started it.
#[test]
fn launcher() {
    let Ok(command) = std::env::var(COMMAND) else {
        return;
    };
    // What the tracer changes for itself is not for the program.
    let limits = rustix::process::Rlimit {
        current: Some(200),
        maximum: rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limits).unwrap();
    if rustix::process::geteuid().is_root() {
        // A group of ours that no other user may inherit.
        let own = [rustix::process::Gid::from_raw(12)];
        rustix::thread::set_thread_groups(&own).unwrap();
    }
    let command: Vec<String> = serde_json::from_str(&command).unwrap();
    let command = command.into_iter().map(Into::into).collect();
    let user = std::env::var(USER).ok();
    std::process::exit(match launch(command, user.as_deref()) {
        Ok(outcome) => i32::from(outcome.exit_code()),
        Err(error) => {
            eprint!("{}", Diagnostic::from(&error).render(None, false));
            i32::from(error.exit_code())
        }
    });
}

fn launch(
    command: Vec<std::ffi::OsString>,
    user: Option<&str>,
) -> Result<LaunchOutcome, LaunchError> {
    let running: Arc<Mutex<Option<RunningProgram>>> = Arc::default();
    let taken = Arc::clone(&running);
    let _signals = Signals::listen_with_sender(move |signal| {
        let mut running = taken.lock().unwrap();
        let running = running.as_mut().expect("signals come to a program");
        let taken = running.take_signal(signal.number, signal.by_terminal);
        taken.unwrap()
    });
    let waiting = LaunchSpec::new(command, user)?.launch()?;
    if std::env::var_os(HOLD).is_some() {
        println!("waiting {}", waiting.pid());
        loop {
            std::thread::park();
        }
    }
    let pidfd = {
        // A signal may come as soon as the program runs, and waits here until it is known.
        let mut running = running.lock().unwrap();
        let program = running.insert(waiting.run()?);
        program.pidfd().try_clone_to_owned().unwrap()
    };
    let mut ended = [rustix::event::PollFd::new(
        &pidfd,
        rustix::event::PollFlags::IN,
    )];
    while rustix::event::poll(&mut ended, None).is_err() {}
    let mut running = running.lock().unwrap();
    Ok(running.as_mut().expect("it was set").wait().unwrap())
}

/// The launcher of a command, to be run.
fn launching(command: &[&str]) -> Command {
    let mut launcher = Command::new(std::env::current_exe().unwrap());
    launcher
        .args(LAUNCHER)
        .env(COMMAND, serde_json::to_string(command).unwrap())
        .env_remove("SUDO_UID");
    launcher
}

fn launched(command: &[&str]) -> Output {
    launching(command).stdin(Stdio::null()).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines of stdout, without what the harness writes first.
fn stdout(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let own = |line: &&str| line.is_empty() || line.starts_with("running 1 test");
    text.lines().skip_while(own).map(str::to_owned).collect()
}

#[test]
fn exit_code_and_signal_are_those_of_the_program() {
    for (script, expected) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -SEGV $$", 139),
        ("kill -KILL $$", 137),
    ] {
        assert_eq!(code(&launched(&["sh", "-c", script])), expected, "{script}");
    }
}

#[test]
fn program_that_cannot_be_executed_has_the_code_and_message_of_a_shell() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8], mode: u32| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = file("plain", b"exit 3", 0o644);
    let script = file("script", b"#!/no/such/interpreter\n", 0o755);
    let foreign = file("foreign", b"\x7fELF\x02\x01\x01\0not a program", 0o755);
    let absent = format!("{plain}-absent");
    let folder = directory.path().to_str().unwrap();
    for (command, expected, message) in [
        (
            "no-such-program",
            127,
            "no program `no-such-program` is in `PATH`",
        ),
        (&*absent, 127, "does not exist"),
        (&*script, 127, "`/no/such/interpreter`, which runs"),
        (&*plain, 126, "cannot execute"),
        (folder, 126, "it is a directory"),
        (&*foreign, 126, "another kind of machine"),
        ("", 126, "the command is missing"),
    ] {
        let output = launched(&[command]);
        assert_eq!(code(&output), expected, "{command}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("hint: ") || expected == 127,
            "{}",
            stderr(&output)
        );
    }
    let bare = file("bare", b"echo \"$1 $0\"; exit 3", 0o755);
    let output = launched(&[&bare, "argument"]);
    assert_eq!(code(&output), 3);
    assert_eq!(stdout(&output), [format!("argument {bare}")]);
}

#[test]
fn program_behind_one_that_may_not_be_executed_is_found_in_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).join("the-program");
    for (name, mode) in [("a", 0o644), ("b", 0o755)] {
        let path = path(name);
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\nexit 5\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let folder = |name: &str| path(name).parent().unwrap().display().to_string();
    let run = |folders: &str| {
        let mut launcher = launching(&["the-program"]);
        launcher.env("PATH", folders).output().unwrap()
    };
    let both = format!("/no/such:{}:{}", folder("a"), folder("b"));
    assert_eq!(code(&run(&both)), 5);
    assert_eq!(code(&run(&folder("a"))), 126);
    assert_eq!(code(&run("/no/such")), 127);
}

#[test]
fn standard_input_environment_and_directory_reach_the_program() {
    let mut launcher = launching(&["sh", "-c", "cat; pwd; echo $GIVEN; echo bad >&2"]);
    let mut child = launcher
        .env("GIVEN", "a value")
        .current_dir("/usr")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"one\ntwo\n").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(stdout(&output), ["one", "two", "/usr", "a value"]);
    assert_eq!(stderr(&output), "bad\n");
}

/// What a command prints behind `env`, and behind the launcher, after a shell has prepared both.
fn compared(prepare: &str, command: &[&str]) -> [Vec<String>; 2] {
    let words: Vec<String> = command.iter().map(|word| format!("'{word}'")).collect();
    let run = |program: &str| {
        let script = format!("{prepare}; exec {program}");
        let mut shell = launching(command);
        shell.args(["-c", &script]);
        let mut fresh = Command::new("sh");
        fresh.args(["-c", &script]).stdin(Stdio::null());
        for (name, value) in shell.get_envs() {
            if let Some(value) = value {
                fresh.env(name, value);
            }
        }
        stdout(&fresh.output().unwrap())
    };
    let exe = std::env::current_exe().unwrap();
    let launcher = format!("'{}' {}", exe.display(), LAUNCHER.join(" "));
    [run(&format!("env {}", words.join(" "))), run(&launcher)]
}

#[test]
fn signals_limits_and_descriptors_are_those_behind_env() {
    let status = [
        "grep",
        "-E",
        "^(SigIgn|SigBlk|SigCgt|NoNewPrivs|CapEff)",
        "/proc/self/status",
    ];
    for prepare in ["true", "trap '' HUP PIPE USR1 INT CHLD"] {
        let [behind_env, behind_ours] = compared(prepare, &status);
        assert_eq!(behind_env.len(), 5);
        assert_eq!(behind_env, behind_ours, "{prepare}");
    }
    let ignored = |lines: &[String]| {
        lines
            .iter()
            .find(|line| line.starts_with("SigIgn"))
            .cloned()
    };
    let [nothing, _] = compared("true", &status);
    let [something, _] = compared("trap '' HUP PIPE", &status);
    assert_ne!(ignored(&nothing), ignored(&something));
    for prepare in ["true", "exec 7</dev/null 9>/dev/null", "exec 2>&-"] {
        let [behind_env, behind_ours] = compared(prepare, &["ls", "/proc/self/fd"]);
        assert!(!behind_env.is_empty());
        assert_eq!(behind_env, behind_ours, "{prepare}");
    }
    let [behind_env, behind_ours] = compared("ulimit -Sn 123", &["sh", "-c", "ulimit -Sn; umask"]);
    assert_eq!(behind_env.first().map(String::as_str), Some("123"));
    assert_eq!(behind_env, behind_ours);
}

#[test]
fn program_runs_as_the_user_who_called_sudo_unless_told() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: it needs root");
        return;
    }
    let tell = "id -u; id -g; id -G; echo \"$HOME $USER $LOGNAME ${SUDO_UID-none}\"";
    let run = |change: &dyn Fn(&mut Command)| {
        let mut launcher = launching(&["sh", "-c", tell]);
        launcher
            .current_dir("/")
            .env("HOME", "/root")
            .env("USER", "root");
        change(&mut launcher);
        launcher.output().unwrap()
    };
    let sudo = |launcher: &mut Command| {
        launcher.envs([
            ("SUDO_UID", "65534"),
            ("SUDO_GID", "65534"),
            ("SUDO_USER", "nobody"),
        ]);
    };
    let home = crate::base::users::home_of(65534).unwrap();
    let of_nobody = [
        "65534".to_owned(),
        "65534".to_owned(),
        "65534".to_owned(),
        format!("{} nobody nobody none", home.display()),
    ];
    assert_eq!(stdout(&run(&sudo)), of_nobody);
    let told = run(&|launcher| {
        sudo(launcher);
        launcher.env(USER, "root");
    });
    assert_eq!(stdout(&told)[0], "0");
    assert_eq!(stdout(&told)[3], "/root root root none");
    let by_number = run(&|launcher| {
        launcher.env(USER, "65534");
    });
    assert_eq!(stdout(&by_number), of_nobody);
    let plain = run(&|_| {});
    assert_eq!(stdout(&plain)[0], "0");
    let unknown = run(&|launcher| {
        launcher.env(USER, "no-such-user");
    });
    assert_eq!(code(&unknown), 126);
    assert!(stderr(&unknown).contains("no user is named `no-such-user`"));
    let broken = run(&|launcher| {
        launcher.env("SUDO_UID", "someone");
    });
    assert_eq!(code(&broken), 126);
    assert!(
        stderr(&broken).contains("`SUDO_UID` is `someone`"),
        "{}",
        stderr(&broken)
    );
}

#[test]
fn user_without_the_right_may_not_execute_the_program() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: it needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("of-root");
    fs::copy("/bin/true", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let mut launcher = launching(&[program.to_str().unwrap()]);
    assert_eq!(code(&launcher.output().unwrap()), 0);
    let output = launcher.env(USER, "65534").output().unwrap();
    assert_eq!(code(&output), 126);
    assert!(
        stderr(&output).contains("needs the right to execute it"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn termination_of_the_launcher_is_passed_on() {
    // It ends even if nobody tells it to.
    let script = "trap 'echo terminated; exit 9' TERM; echo ready; \
                  for n in $(seq 2000); do sleep 0.01; done";
    let mut launcher = launching(&["sh", "-c", script]);
    let mut child = launcher.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stdout = child.stdout.take().unwrap();
    let mut read = |until: &str| {
        let mut bytes = [0; 256];
        while !said.contains(until) {
            let count = stdout.read(&mut bytes).unwrap();
            assert!(count > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    read("ready");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    read("terminated");
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[test]
fn interactive_program_keeps_its_terminal_and_ctrl_c() {
    let pair = native_pty_system().openpty(PtySize::default()).unwrap();
    // Reading from a terminal stops a program that is not in its foreground.
    let script = "trap 'echo interrupted; exit 7' INT; tty; echo ready; \
                  while :; do read line < /dev/tty && echo \"read $line\"; done";
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(LAUNCHER);
    command.env(
        COMMAND,
        serde_json::to_string(&["sh", "-c", script]).unwrap(),
    );
    command.env_remove("SUDO_UID");
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut screen = pair.master.try_clone_reader().unwrap();
    let mut keys = pair.master.take_writer().unwrap();
    let mut said = String::new();
    let mut read = |until: &str| {
        let mut bytes = [0; 256];
        while !said.contains(until) {
            let count = screen.read(&mut bytes).unwrap();
            assert!(count > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    read("ready");
    keys.write_all(b"hello\n").unwrap();
    read("read hello");
    // Ctrl-C reaches the whole foreground group; the launcher leaves it to the program.
    keys.write_all(&[3]).unwrap();
    read("interrupted");
    assert_eq!(child.wait().unwrap().exit_code(), 7);
    assert!(said.contains("/dev/pts/"), "{said}");
}

/// Waits until a process that this one does not wait for is gone.
fn wait_gone(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let pidfd = match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        Err(_) => return,
        Ok(pidfd) => pidfd,
    };
    let mut ended = [rustix::event::PollFd::new(
        &pidfd,
        rustix::event::PollFlags::IN,
    )];
    let patience = rustix::event::Timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    assert_eq!(rustix::event::poll(&mut ended, Some(&patience)).unwrap(), 1);
}

#[test]
fn waiting_program_ends_with_a_launcher_that_is_killed() {
    let mut launcher = launching(&["/bin/cat"]);
    let mut child = launcher
        .env(HOLD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stdout = child.stdout.take().unwrap();
    let pid: u32 = loop {
        let mut bytes = [0; 64];
        let count = stdout.read(&mut bytes).unwrap();
        said.push_str(&String::from_utf8_lossy(&bytes[..count]));
        let line = said.lines().find_map(|line| line.strip_prefix("waiting "));
        if let Some(pid) = line.filter(|_| said.ends_with('\n')) {
            break pid.parse().unwrap();
        }
    };
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_gone(pid);
}

#[test]
fn waiting_program_is_known_and_runs_only_when_it_is_let() {
    let directory = tempfile::tempdir().unwrap();
    let marker = directory.path().join("marker");
    let script = directory.path().join("the-script");
    fs::write(
        &script,
        format!("#!/bin/sh\ntouch {}\nexit 4\n", marker.display()),
    )
    .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let spec = LaunchSpec {
        command: vec![script.clone().into()],
        user: None,
        ..LaunchSpec::default()
    };
    let waiting = spec.launch().unwrap();
    let program = waiting.program();
    assert_eq!(program.path, script);
    assert_eq!(program.executable, Path::new("/bin/sh"));
    assert!(program.loader.is_some());
    let own = fs::metadata("/proc/self/exe").unwrap();
    let facts = ProcessFacts::read(waiting.pid()).unwrap();
    assert_eq!(facts.executable.inode, Some((&own).into()));
    // It is no process of the user's yet.
    let mut selector = Selector::default();
    let pid = waiting.pid();
    selector.add(SelectorKind::Name, "*").unwrap();
    let listed = selector.resolve().unwrap().scan().unwrap();
    assert!(listed.iter().all(|process| process.pid != pid));
    assert!(!marker.exists());
    let mut running = waiting.run().unwrap();
    assert_eq!(running.pid(), pid);
    assert_eq!(running.wait().unwrap(), LaunchOutcome::Exited(4));
    assert!(marker.exists());
    assert!(!running.take_signal(libc::SIGINT, true).unwrap());
}

#[test]
fn dropped_waiting_program_never_runs() {
    let directory = tempfile::tempdir().unwrap();
    let marker = directory.path().join("marker");
    let spec = LaunchSpec {
        command: vec!["touch".into(), marker.clone().into()],
        user: None,
        ..LaunchSpec::default()
    };
    // The second child holds a copy of all that the first one waits for.
    let (first, second) = (spec.launch().unwrap(), spec.launch().unwrap());
    let pids = [first.pid(), second.pid()];
    drop(first);
    drop(second);
    for pid in pids {
        assert_eq!(ProcessFacts::read(pid), None);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
    assert!(!marker.exists());
}

#[test]
fn program_that_is_gone_when_it_may_run_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("gone");
    fs::copy("/bin/true", &program).unwrap();
    let spec = LaunchSpec {
        command: vec![program.clone().into()],
        user: None,
        ..LaunchSpec::default()
    };
    let waiting = spec.launch().unwrap();
    fs::remove_file(&program).unwrap();
    let error = waiting.run().unwrap_err();
    assert!(
        matches!(&error, LaunchError::NotFound(path) if *path == program),
        "{error}"
    );
}
