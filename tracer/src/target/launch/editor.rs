//! A process that runs the user's editor later, as the user.
//!
//! The terminal UI gives up privileges, and with them the right to become another user. So a process is
//! forked before that. It becomes the user who called `sudo` at once, and then waits for a file and a
//! line. It runs no command but the editor that the environment named at the start.

mod command;

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Gid, Pid, PidfdFlags, Signal, Uid, pidfd_open, pidfd_send_signal};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::user::LaunchUser;
use crate::base::diagnostic::Diagnostic;
use crate::base::signals::Signals;
use command::EditorCommand;

/// Bytes of a message at most: a path, or words about a failure.
const MESSAGE: u32 = 1 << 16;
/// A message is preceded by its length.
const LENGTH: usize = size_of::<u32>();

/// The editor of this process, or the reason why there is none.
static EDITOR: OnceLock<Result<UserEditor, Diagnostic>> = OnceLock::new();

/// Prepares the user's editor. To be called while this process has one thread and all its privileges.
pub fn prepare_editor() {
    EDITOR.get_or_init(UserEditor::fork);
}

/// Opens a file at a line in the user's editor, and returns when that has ended. The terminal must be as
/// the user left it.
///
/// # Errors
/// No editor is named, the editor cannot be run, or the user may not read the file.
pub fn edit(file: &Path, line: u64) -> Result<(), Diagnostic> {
    match editor()? {
        Ok(editor) => editor.edit(file, line),
        Err(why) => Err(why.clone()),
    }
}

/// Returns why [`edit`] cannot work, if that is known.
///
/// # Errors
/// No editor is named.
pub fn check_editor() -> Result<(), Diagnostic> {
    match editor()? {
        Ok(_) => Ok(()),
        Err(why) => Err(why.clone()),
    }
}

fn editor() -> Result<&'static Result<UserEditor, Diagnostic>, Diagnostic> {
    let none = || Diagnostic::new("this session cannot start an editor");
    EDITOR.get().ok_or_else(none)
}

/// The process that runs the editor.
struct UserEditor {
    socket: Mutex<UnixStream>,
}

impl UserEditor {
    fn fork() -> Result<Self, Diagnostic> {
        let command = EditorCommand::of_environment()?;
        let user = LaunchUser::of_invoker().map_err(|error| Diagnostic::new(error.to_string()))?;
        let failed = |error: io::Error| Diagnostic::new(format!("no editor can be run: {error}"));
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        #[expect(unsafe_code, reason = "std has no fork")]
        // SAFETY: this process has one thread, so the child may do everything.
        match unsafe { libc::fork() } {
            -1 => Err(failed(io::Error::last_os_error())),
            0 => {
                drop(ours);
                // The end of the socket tells of a failure.
                let served = serve(theirs, &command, user.as_ref());
                std::process::exit(i32::from(served.is_err()));
            }
            _ => Ok(Self {
                socket: Mutex::new(ours),
            }),
        }
    }

    fn edit(&self, file: &Path, line: u64) -> Result<(), Diagnostic> {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let mut request = line.to_le_bytes().to_vec();
        request.extend_from_slice(file.as_os_str().as_bytes());
        let said = send(&mut *socket, &request).and_then(|()| receive(&mut *socket));
        match said {
            Ok(Some(said)) if said.is_empty() => Ok(()),
            Ok(Some(said)) => Err(Diagnostic::new(String::from_utf8_lossy(&said).into_owned())),
            Ok(None) => Err(Diagnostic::new(
                "the process that runs the editor has ended",
            )),
            Err(error) => Err(Diagnostic::new(format!("no editor can be run: {error}"))),
        }
    }
}

/// Runs the editor for each request, until the other side is gone.
fn serve(
    mut socket: UnixStream,
    command: &EditorCommand,
    user: Option<&LaunchUser>,
) -> io::Result<()> {
    let mut environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    if let Some(user) = user {
        user.change(&mut environment);
        let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
    }
    // Keys of the terminal send signals to the editor and to this process. The end of the tracer ends
    // it, and nothing else.
    let _ignored = Signals::listen(|_| true)?;
    while let Some(request) = receive(&mut socket)? {
        let (line, path) = request
            .split_at_checked(size_of::<u64>())
            .unwrap_or_default();
        let line = line.try_into().map_or(1, u64::from_le_bytes);
        let path = Path::new(OsStr::from_bytes(path));
        let said = match run(command, path, line, &environment, &socket) {
            Ok(()) => String::new(),
            Err(why) => why,
        };
        send(&mut socket, said.as_bytes())?;
    }
    Ok(())
}

/// Runs the editor. Returns what went wrong, in words.
fn run(
    command: &EditorCommand,
    path: &Path,
    line: u64,
    environment: &[(OsString, OsString)],
    socket: &UnixStream,
) -> Result<(), String> {
    readable(path)?;
    let (program, arguments) = command.with(path, line);
    let shown = program.to_string_lossy().into_owned();
    let mut child = Command::new(&program)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .spawn()
        .map_err(|error| format!("cannot run the editor `{shown}`: {error}"))?;
    let waited = wait(&mut child, socket);
    let status = waited.map_err(|error| format!("cannot wait for `{shown}`: {error}"))?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("`{shown}` ended with code {code}")),
        (None, signal) => Err(format!(
            "`{shown}` was ended by signal {}",
            signal.unwrap_or_default()
        )),
    }
}

/// Checks that this user may read the file.
fn readable(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let user = rustix::process::geteuid().as_raw();
            format!("user {user}, who would edit it, may not read `{shown}`")
        }
        _ => format!("cannot open `{shown}`: {error}"),
    };
    let file = OpenOptions::new()
        .read(true)
        // The file may have been replaced by a pipe, which would not open.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() {
        Ok(())
    } else {
        Err(format!("`{shown}` is not a regular file"))
    }
}

/// Waits for the editor. It is told to end, as by the end of its terminal, when the tracer is gone.
fn wait(child: &mut Child, socket: &UnixStream) -> io::Result<std::process::ExitStatus> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the kernel gave no pid"))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let mut fds = [
        PollFd::new(&pidfd, PollFlags::IN),
        PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::RDHUP),
    ];
    while poll(&mut fds, None) == Err(rustix::io::Errno::INTR) {}
    let [ended, gone] = fds;
    if ended.revents().is_empty() && !gone.revents().is_empty() {
        pidfd_send_signal(&pidfd, Signal::HUP)?;
    }
    child.wait()
}

fn send(socket: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len())
        .ok()
        .filter(|length| *length <= MESSAGE);
    let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
    let mut framed = length.to_le_bytes().to_vec();
    framed.extend_from_slice(message);
    socket.write_all(&framed)
}

/// The next message. `None` at the end.
fn receive(socket: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; LENGTH];
    match socket.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let length = u32::from_le_bytes(length);
    if length > MESSAGE {
        return Err(io::Error::other("the message is too long"));
    }
    let mut message = vec![0; length as usize];
    socket.read_exact(&mut message)?;
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(editor: &str, requests: &[(&Path, u64)]) -> Vec<Result<(), String>> {
        let (ours, theirs) = UnixStream::pair().expect("sockets can be had");
        let command = EditorCommand::parse(OsStr::new(editor)).expect("it is a command");
        let server = std::thread::spawn(move || serve(theirs, &command, None));
        let editor = UserEditor {
            socket: Mutex::new(ours),
        };
        let said = requests
            .iter()
            .map(|(file, line)| editor.edit(file, *line).map_err(|error| error.message))
            .collect();
        drop(editor);
        server
            .join()
            .expect("it does not panic")
            .expect("no failure of the socket");
        said
    }

    #[test]
    fn editor_is_run_for_each_request_and_its_end_is_told() {
        let folder = tempfile::tempdir().expect("a folder can be had");
        let file = folder.path().join("a file.c");
        std::fs::write(&file, "text").expect("it is writable");
        let said = served("test", &[(&file, 7)]);
        assert_eq!(said, [Err("`test` ended with code 2".to_owned())]);
        let gone = folder.path().join("gone");
        let (pipe, script) = (
            folder.path().join("pipe"),
            "sh -c 'test \"$1\" = +7 && test -f \"$2\"' sh",
        );
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .expect("a pipe can be made");
        let said = served(
            script,
            &[(&file, 7), (&gone, 1), (&pipe, 1), (&file, 7), (&file, 8)],
        );
        assert_eq!(said[0], Ok(()));
        let missing = said[1].clone().expect_err("it does not exist");
        assert!(missing.contains("No such file"), "{missing}");
        let pipe = said[2].clone().expect_err("it is a pipe");
        assert!(pipe.contains("is not a regular file"), "{pipe}");
        assert_eq!(said[3], Ok(()));
        assert_eq!(said[4], Err("`sh` ended with code 1".to_owned()));
    }
}
