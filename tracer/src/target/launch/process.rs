//! The forked process, until it executes the program.
//!
//! A fork in a process with threads copies the one thread, and all locks as they were: another thread
//! may have held that of the allocator. So everything is prepared before, and the child only makes
//! system calls. It allocates nothing, takes no lock, and never returns.

use std::ffi::{CStr, CString, OsString, c_char};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::error::LaunchError;
use super::inherited::{BlockedSignals, restore};
use super::program::SHELL;
use super::terminal::ChildTerminal;
use super::user::LaunchUser;

/// Exit code of a child that never executed its program. Nobody sees it but in lists of processes.
const UNSTARTED: i32 = 127;

/// Released: execute the program.
pub(super) const EXECUTE: u8 = b'x';
/// Released: execute the program, or have the shell run it if it is a text.
pub(super) const EXECUTE_TEXT: u8 = b't';

/// Told to end without executing anything.
pub(super) const NEVER: u8 = b'n';

/// What the child says: three numbers of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChildReport {
    pub(super) stage: u32,
    /// Number of a candidate.
    pub(super) index: u32,
    /// Number of an error.
    pub(super) errno: u32,
}

/// The candidate was found and may be executed. The child waits.
pub(super) const CHOSEN: u32 = 1;
/// No candidate exists.
pub(super) const NONE_FOUND: u32 = 2;
/// A candidate exists and may not be executed.
pub(super) const FORBIDDEN: u32 = 3;
/// The user's identity could not be taken.
pub(super) const NOT_USER: u32 = 4;
/// The program was not executed.
pub(super) const NOT_EXECUTED: u32 = 5;
/// The terminal could not be taken.
pub(super) const NO_TERMINAL: u32 = 6;

impl ChildReport {
    pub(super) const BYTES: usize = 12;

    pub(super) fn decode(bytes: [u8; Self::BYTES]) -> Self {
        let [stage, index, errno] = [0, 4, 8].map(|at| {
            let mut number = [0; 4];
            number.copy_from_slice(bytes.get(at..at + 4).unwrap_or(&[0; 4]));
            u32::from_le_bytes(number)
        });
        Self {
            stage,
            index,
            errno,
        }
    }

    fn new(stage: u32, index: usize, errno: Errno) -> Self {
        Self {
            stage,
            index: u32::try_from(index).unwrap_or(u32::MAX),
            errno: number(errno),
        }
    }

    fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (chunk, number) in bytes
            .chunks_exact_mut(4)
            .zip([self.stage, self.index, self.errno])
        {
            chunk.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

/// Everything that the child needs.
pub(super) struct ChildPlan {
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    shell: CString,
    /// The user to become, with all groups.
    user: Option<(Uid, Gid)>,
    groups: Vec<Gid>,
    /// The terminal that takes the place of ours.
    terminal: Option<ChildTerminal>,
}

impl ChildPlan {
    pub(super) fn new(
        candidates: &[PathBuf],
        arguments: &[OsString],
        environment: impl IntoIterator<Item = Vec<u8>>,
        user: Option<&LaunchUser>,
    ) -> Result<Self, LaunchError> {
        let path = |path: &PathBuf| text(path.as_os_str().as_bytes());
        let argument = |argument: &OsString| text(argument.as_bytes());
        let groups = user.map(|user| user.groups.iter().copied().map(Gid::from_raw).collect());
        Ok(Self {
            candidates: candidates.iter().map(path).collect::<Result<_, _>>()?,
            arguments: arguments.iter().map(argument).collect::<Result<_, _>>()?,
            environment: environment
                .into_iter()
                .map(|variable| text(&variable))
                .collect::<Result<_, _>>()?,
            shell: text(SHELL.as_bytes())?,
            user: user.map(|user| (Uid::from_raw(user.uid), Gid::from_raw(user.gid))),
            groups: groups.unwrap_or_default(),
            terminal: None,
        })
    }

    /// The same plan, with a terminal of the child's own.
    pub(super) fn on_terminal(self, terminal: Option<ChildTerminal>) -> Self {
        Self { terminal, ..self }
    }

    fn identity(&self) -> Option<ChildIdentity<'_>> {
        let (uid, gid) = self.user?;
        Some(ChildIdentity {
            uid,
            gid,
            groups: &self.groups,
        })
    }

    /// Forks.
    pub(super) fn fork(&self) -> io::Result<ForkedChild> {
        let (released, release) = pipe()?;
        let (report, reported) = pipe()?;
        let pointers = Pointers::of(self);
        wait_for_children();
        // A handler of ours must not run in the child, where it would act for this process.
        let signals = BlockedSignals::new();
        #[expect(
            unsafe_code,
            reason = "the child must wait before it executes, which std has no way to say"
        )]
        // SAFETY: the child only makes system calls, on memory that was prepared before.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            drop_of_parent(&[&release, &report]);
            child(self, pointers, &released, &reported);
        }
        drop(signals);
        let pid = u32::try_from(pid).map_err(|_| io::Error::last_os_error())?;
        Ok(ForkedChild {
            pid,
            release,
            report,
        })
    }
}

/// A child that was forked.
pub(super) struct ForkedChild {
    pub(super) pid: u32,
    /// One byte lets it execute its program. Closed before, it ends.
    pub(super) release: OwnedFd,
    /// Its reports. Ends when the program is executed.
    pub(super) report: OwnedFd,
}

/// A child whose end is ignored leaves no exit code. Some callers of ours ignore the end of theirs.
fn wait_for_children() {
    #[expect(unsafe_code, reason = "std has no signals")]
    // SAFETY: both pointers are null or to a local value of the right type, which zeros are valid
    // for: the default.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGCHLD, std::ptr::null(), &raw mut action);
        if action.sa_sigaction == libc::SIG_IGN {
            action = std::mem::zeroed();
            libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut());
        }
    }
}

fn text(bytes: &[u8]) -> Result<CString, LaunchError> {
    let lossy = || String::from_utf8_lossy(bytes).into_owned();
    CString::new(bytes).map_err(|_| LaunchError::ZeroByte(lossy()))
}

/// A pipe that no program inherits. Read end first.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}

/// The lists of pointers that `execve` takes, each with a null at its end.
struct Pointers {
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// Those of the shell: its name, the program in second place, and the program's arguments.
    shell: Vec<*const c_char>,
}

impl Pointers {
    fn of(plan: &ChildPlan) -> Self {
        let list = |texts: &[CString]| {
            let pointers = texts.iter().map(|text| text.as_ptr());
            pointers.chain([std::ptr::null()]).collect::<Vec<_>>()
        };
        let arguments = list(&plan.arguments);
        let mut shell = vec![plan.shell.as_ptr(), std::ptr::null()];
        shell.extend(arguments.iter().skip(1));
        Self {
            arguments,
            environment: list(&plan.environment),
            shell,
        }
    }
}

/// Closes the parent's ends of the pipes: while the child holds them, they never end.
fn drop_of_parent(ends: &[&OwnedFd]) {
    for end in ends {
        #[expect(
            unsafe_code,
            reason = "an owned descriptor is closed only once it is dropped"
        )]
        // SAFETY: the child never returns, so nothing uses or drops its copy of the descriptor.
        unsafe {
            libc::close(end.as_raw_fd());
        }
    }
}

/// The identity of a user, in the types of system calls.
#[derive(Clone, Copy)]
struct ChildIdentity<'g> {
    uid: Uid,
    gid: Gid,
    groups: &'g [Gid],
}

/// The child: takes its terminal and the user's identity, finds the program, waits, executes.
fn child(plan: &ChildPlan, mut pointers: Pointers, released: &OwnedFd, reported: &OwnedFd) -> ! {
    // The parent is gone if it cannot be told, and then nobody waits for it.
    let say = |report: ChildReport| {
        let _ = rustix::io::write(reported, &report.encode());
    };
    restore();
    // Before it is another user, who may not open the terminal.
    if let Some(terminal) = &plan.terminal
        && let Err(errno) = terminal.take()
    {
        say(ChildReport::new(NO_TERMINAL, 0, errno));
        exit();
    }
    if let Some(user) = plan.identity()
        && let Err(errno) = become_user(user)
    {
        say(ChildReport::new(NOT_USER, 0, errno));
        exit();
    }
    let index = match choose(&plan.candidates) {
        Ok(index) => index,
        Err(failed) => {
            say(failed);
            exit();
        }
    };
    say(ChildReport {
        stage: CHOSEN,
        index: u32::try_from(index).unwrap_or(u32::MAX),
        errno: 0,
    });
    let as_text = match wait(released) {
        Some(EXECUTE) => false,
        Some(EXECUTE_TEXT) => true,
        // The parent has gone, or wants no program.
        _ => exit(),
    };
    let Some(path) = plan.candidates.get(index) else {
        exit();
    };
    let environment = pointers.environment.as_ptr();
    let mut errno = execute(path.as_ptr(), pointers.arguments.as_ptr(), environment);
    if errno == Errno::NOEXEC && as_text {
        if let Some(program) = pointers.shell.get_mut(1) {
            *program = path.as_ptr();
        }
        errno = execute(plan.shell.as_ptr(), pointers.shell.as_ptr(), environment);
    }
    say(ChildReport::new(NOT_EXECUTED, index, errno));
    exit();
}

/// Ends the child without anything that a process does at its end.
fn exit() -> ! {
    #[expect(
        unsafe_code,
        reason = "std runs what is registered for the end of a process"
    )]
    // SAFETY: the call takes a number and never returns.
    unsafe {
        libc::_exit(UNSTARTED)
    }
}

/// Takes the identity of a user, or returns the error.
///
/// The C library's functions do so for all threads of a process, with locks. These are the plain
/// system calls, and a child has one thread.
fn become_user(user: ChildIdentity<'_>) -> Result<(), Errno> {
    set_thread_groups(user.groups)?;
    set_thread_res_gid(user.gid, user.gid, user.gid)?;
    set_thread_res_uid(user.uid, user.uid, user.uid)
}

/// Finds the first candidate that this user may execute, as a shell does.
fn choose(candidates: &[CString]) -> Result<usize, ChildReport> {
    let mut failed = ChildReport {
        stage: NONE_FOUND,
        index: 0,
        errno: 0,
    };
    for (index, path) in (0..).zip(candidates) {
        let errno = match may_execute(path) {
            Ok(()) => return Ok(index as usize),
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(errno) => errno,
        };
        if failed.stage == NONE_FOUND {
            failed = ChildReport {
                stage: FORBIDDEN,
                index,
                errno: number(errno),
            };
        }
    }
    Err(failed)
}

fn may_execute(path: &CStr) -> Result<(), Errno> {
    let file = stat(path)?;
    if FileType::from_raw_mode(file.st_mode) != FileType::RegularFile {
        return Err(Errno::ACCESS);
    }
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

/// Waits for the byte of the parent. `None` if the parent has gone.
fn wait(released: &OwnedFd) -> Option<u8> {
    let mut byte = [0];
    loop {
        match rustix::io::read(released, &mut byte) {
            Err(Errno::INTR) => {}
            Ok(1) => {
                let [byte] = byte;
                return Some(byte);
            }
            _ => return None,
        }
    }
}

/// Executes a program. Returns only if that fails, with the error.
fn execute(
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> Errno {
    #[expect(unsafe_code, reason = "std executes only with lists that it allocates")]
    // SAFETY: the path ends with a zero, as does each text of the lists, and the lists end with a
    // null.
    unsafe {
        libc::execve(path, arguments, environment);
    }
    let error = io::Error::last_os_error().raw_os_error();
    Errno::from_raw_os_error(error.unwrap_or(libc::EINVAL))
}

fn number(errno: Errno) -> u32 {
    u32::try_from(errno.raw_os_error()).unwrap_or_default()
}
