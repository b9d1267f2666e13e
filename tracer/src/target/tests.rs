//! Tests of the readers of `/proc`, on real processes and on hostile text.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use super::*;

/// A copy of `cat` that waits on its standard input, killed when dropped.
pub(super) struct Waiting(pub(super) Child);

impl Waiting {
    pub(super) fn start(program: &Path) -> Self {
        Self::spawn(&mut Command::new(program))
    }

    /// Starts a command that becomes `cat`.
    pub(super) fn spawn(command: &mut Command) -> Self {
        let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        // The kernel reports exec before the program is mapped, but an answer comes from the
        // program itself.
        child.stdin.as_mut().unwrap().write_all(b"?").unwrap();
        let mut answer = [0];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut answer)
            .unwrap();
        Self(child)
    }
}

/// Starts a program that was just written.
pub(super) fn start(command: &mut Command) -> Child {
    loop {
        match command.spawn() {
            // A child of another test, which has not executed its program yet, still has it open.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::yield_now();
            }
            started => return started.unwrap(),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn process_that_waits_is_alive_until_killed() {
    let mut child = Waiting::start(Path::new("/bin/cat"));
    let process = Process::open(child.0.id()).unwrap();
    assert!(process.is_alive());
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    assert!(!process.is_alive());
}

#[test]
fn modules_of_cat_begin_with_its_executable() {
    let child = Waiting::start(Path::new("/bin/cat"));
    let process = Process::open(child.0.id()).unwrap();
    let modules = loop {
        let modules = process.modules().unwrap();
        if modules.iter().any(|module| module.name.starts_with("libc")) {
            break modules;
        }
    };
    assert!(modules[0].main && modules[0].name == "cat");
    assert!(modules.iter().skip(1).all(|module| !module.main));
    assert!(modules.iter().all(|module| !module.replaced));
    let opened = fs::metadata(&modules[0].open_path).unwrap().ino();
    assert_eq!(opened, fs::metadata("/bin/cat").unwrap().ino());
}

#[test]
fn executable_replaced_on_disk_is_told_and_the_running_one_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    fs::copy("/bin/cat", &program).unwrap();
    let child = Waiting::start(&program);
    let before = Process::open(child.0.id()).unwrap();
    assert!(!before.exe_replaced());
    fs::remove_file(&program).unwrap();
    fs::write(&program, "another file").unwrap();
    let process = Process::open(child.0.id()).unwrap();
    assert!(process.exe_replaced());
    assert_eq!(process.exe(), program);
    let main = &process.modules().unwrap()[0];
    assert!(main.main && main.replaced);
    assert_eq!(
        fs::read(&main.open_path).unwrap(),
        fs::read("/bin/cat").unwrap()
    );
}

#[test]
fn kernel_thread_is_refused_by_its_name() {
    let error = Process::open(2).unwrap_err();
    assert!(
        matches!(error, TargetError::KernelThread { pid: 2, .. }),
        "{error}"
    );
}

#[test]
fn pid_without_a_process_is_refused() {
    let error = Process::open(u32::MAX >> 2).unwrap_err();
    assert!(
        matches!(error, TargetError::NoSuchProcess { .. }),
        "{error}"
    );
}

#[test]
fn exited_child_that_nobody_waited_for_is_refused() {
    let mut child = Waiting::start(Path::new("/bin/cat"));
    let process = Process::open(child.0.id()).unwrap();
    child.0.kill().unwrap();
    while process.is_alive() {
        std::thread::yield_now();
    }
    let error = Process::open(child.0.id()).unwrap_err();
    assert!(matches!(error, TargetError::Exited { .. }), "{error}");
}

#[test]
fn thread_id_is_refused_with_its_process() {
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let link = fs::read_link("/proc/thread-self").unwrap();
        let tid: u32 = link.file_name().unwrap().to_str().unwrap().parse().unwrap();
        tell.send(tid).unwrap();
        let _ = receive.recv();
    });
    let error = Process::open(told.recv().unwrap()).unwrap_err();
    let ours = std::process::id();
    assert!(
        matches!(error, TargetError::Thread { process, .. } if process == ours),
        "{error}"
    );
    drop(send);
    thread.join().unwrap();
}

#[test]
fn name_of_no_process_is_refused() {
    let error = process_by_name("no process has this name").unwrap_err();
    assert!(matches!(error, TargetError::NoSuchName { .. }), "{error}");
}

#[test]
fn maps_line_with_spaces_and_newline_in_its_path_is_read_whole() {
    let text = b"7f00-8f00 r-xp 00001000 fd:01 42                  /a b\\012c (deleted)\n";
    let mappings = parse_maps(text);
    assert_eq!(mappings.len(), 1);
    let first = &mappings[0];
    assert_eq!(first.path.as_deref(), Some(Path::new("/a b\nc (deleted)")));
    assert_eq!(
        (first.start, first.end, first.offset),
        (0x7f00, 0x8f00, 0x1000)
    );
    assert!(first.execute && !first.write);
}

#[test]
fn maps_of_nonsense_are_empty() {
    for text in [
        &b""[..],
        b"\n\n",
        b"x-y r 0 0 0",
        b"1-2",
        b"\xff\xff-\xff r-xp 0 0:0 1 /x",
    ] {
        assert_eq!(parse_maps(text), Vec::new());
    }
}

#[test]
fn has_debug_info_of_this_test_is_known_and_of_cat_is_not_there() {
    assert_eq!(has_debug_info(std::process::id()), Some(true));
    let child = Waiting::start(Path::new("/bin/cat"));
    assert_eq!(has_debug_info(child.0.id()), Some(false));
    assert_eq!(has_debug_info(u32::MAX >> 2), None);
}
