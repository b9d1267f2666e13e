//! A small program that processes of the tests execute, without a library or a compiler.
//!
//! Without arguments, or as an interpreter of a script, it passes its line once and ends. With `-`
//! as its first argument it reads commands from its input, one byte each. It writes a dot when it
//! has started, and after each command. Its further arguments are a program to execute, with that
//! program's arguments.

#![expect(unsafe_code, reason = "its instructions are written in assembly")]

use std::arch::global_asm;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tracer::base::address::FileOffset;

/// Passes the line.
pub(crate) const PASS: u8 = b'h';
/// Forks a process that passes the line and ends, and waits for it.
pub(crate) const FORK: u8 = b'f';
/// Starts it by `vfork`.
pub(crate) const VFORK: u8 = b'v';
/// Executes the program of the arguments.
pub(crate) const EXECUTE: u8 = b'e';
/// Changes its users to [`USER`].
pub(crate) const DROP_ROOT: u8 = b'u';
/// Changes its name to [`OTHER_NAME`].
pub(crate) const RENAME: u8 = b'n';

/// A user that no other process of the machine has.
pub(crate) const USER: u32 = 54_321;
/// See [`RENAME`].
pub(crate) const OTHER_NAME: &[u8] = b"tracer-renamed";

global_asm!(
    ".pushsection .rodata.tracer_short,\"a\",@progbits",
    ".globl tracer_short_start",
    ".globl tracer_short_line",
    ".globl tracer_short_end",
    "tracer_short_start:",
    "mov r12, rsp",
    "sub rsp, 64",
    "cmp qword ptr [r12], 1",
    "je 9f",
    "mov rax, [r12 + 16]",
    "cmp byte ptr [rax], 0x2d",
    "jne 9f",
    "jmp 10f",
    // Reads a command.
    "2:",
    "xor eax, eax",
    "xor edi, edi",
    "mov rsi, rsp",
    "mov edx, 1",
    "syscall",
    "cmp eax, 1",
    "jne 8f",
    "movzx eax, byte ptr [rsp]",
    "cmp al, 0x68", // PASS
    "je 3f",
    "cmp al, 0x66", // FORK
    "je 4f",
    "cmp al, 0x76", // VFORK
    "je 5f",
    "cmp al, 0x65", // EXECUTE
    "je 6f",
    "cmp al, 0x75", // DROP_ROOT
    "je 7f",
    "cmp al, 0x6e", // RENAME
    "je 20f",
    // Answers.
    "10:",
    "mov byte ptr [rsp], 0x2e",
    "mov eax, 1",
    "mov edi, 1",
    "mov rsi, rsp",
    "mov edx, 1",
    "syscall",
    "jmp 2b",
    "3:",
    "call tracer_short_line",
    "jmp 10b",
    "4:",
    "mov eax, 57", // fork
    "syscall",
    "test eax, eax",
    "jz 9f",
    "jmp 11f",
    "5:",
    "mov eax, 58", // vfork
    "syscall",
    "test eax, eax",
    "jz 9f",
    "11:",
    "mov edi, eax",
    "mov eax, 61", // wait4
    "xor esi, esi",
    "xor edx, edx",
    "xor r10d, r10d",
    "syscall",
    "jmp 10b",
    "6:",
    "mov eax, 59", // execve
    "mov rdi, [r12 + 24]",
    "lea rsi, [r12 + 24]",
    "xor edx, edx",
    "syscall",
    "jmp 8f",
    "7:",
    "mov eax, 117", // setresuid
    "mov edi, 54321",
    "mov esi, edi",
    "mov edx, edi",
    "syscall",
    "jmp 10b",
    "20:",
    "mov eax, 157", // prctl(PR_SET_NAME)
    "mov edi, 15",
    "lea rsi, [rip + 21f]",
    "syscall",
    "jmp 10b",
    "21:",
    ".asciz \"tracer-renamed\"",
    // Passes the line and ends.
    "9:",
    "call tracer_short_line",
    "8:",
    "mov eax, 231", // exit_group
    "xor edi, edi",
    "syscall",
    "tracer_short_line:",
    "push rbp",
    "pop rbp",
    "ret",
    "tracer_short_end:",
    ".popsection",
);

unsafe extern "C" {
    static tracer_short_start: u8;
    static tracer_short_line: u8;
    static tracer_short_end: u8;
}

/// Size of the headers of the file.
const HEADERS: u64 = 0x40 + 0x38;
/// Address of the file in the process.
const BASE: u64 = 0x40_0000;

fn code() -> &'static [u8] {
    let (start, end) = (&raw const tracer_short_start, &raw const tracer_short_end);
    // SAFETY: both are ends of the same instructions in our memory, which never change.
    unsafe { std::slice::from_raw_parts(start, end as usize - start as usize) }
}

/// Offset of the line in the file.
pub(crate) fn line() -> FileOffset {
    let (start, line) = (&raw const tracer_short_start, &raw const tracer_short_line);
    FileOffset(HEADERS + (line as u64 - start as u64))
}

/// The program as an ELF file: its headers, and one segment with the whole file.
fn elf() -> Vec<u8> {
    let code = code();
    let size = HEADERS + code.len() as u64;
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
    half(&mut file, 2); // executable
    half(&mut file, 62); // x86-64
    word(&mut file, 1);
    for value in [BASE + HEADERS, 0x40, 0] {
        long(&mut file, value);
    }
    word(&mut file, 0);
    for value in [0x40, 0x38, 1, 0x40, 0, 0] {
        half(&mut file, value);
    }
    word(&mut file, 1); // loaded
    word(&mut file, 5); // readable and executable
    for value in [0, BASE, BASE, size, size, 0x1000] {
        long(&mut file, value);
    }
    file.extend(code);
    file
}

/// Writes the program to a file that all users may execute.
pub(crate) fn write(path: &Path) -> PathBuf {
    write_file(path, &elf(), 0o755)
}

/// Writes a script for the program at `interpreter`.
pub(crate) fn write_script(path: &Path, interpreter: &Path) -> PathBuf {
    write_file(
        path,
        format!("#!{}\n", interpreter.display()).as_bytes(),
        0o755,
    )
}

fn write_file(path: &Path, bytes: &[u8], mode: u32) -> PathBuf {
    fs::write(path, bytes).expect("a writable folder");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our file");
    path.to_owned()
}

/// A folder that all users may read, for programs.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our folder");
    folder
}

/// A process that waits for commands.
pub(crate) struct Obedient(Child);

impl Obedient {
    /// Starts the program, which executes the program of `next` if it is told to.
    pub(crate) fn start(path: &Path, next: &[&Path]) -> Self {
        Self::start_by(Command::new(path).arg("-").args(next))
    }

    /// Starts the program by a command with the right arguments.
    pub(crate) fn start_by(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Self(piped.spawn().expect("the program starts"));
        process.await_answer();
        process
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Gives a command, and waits for the answer. A program that it executes has to answer, too.
    pub(crate) fn tell(&mut self, command: u8) {
        let input = self.0.stdin.as_mut().expect("a pipe");
        input.write_all(&[command]).expect("it reads");
        self.await_answer();
    }

    fn await_answer(&mut self) {
        let mut answer = [0];
        let output = self.0.stdout.as_mut().expect("a pipe");
        output.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer, *b".");
    }

    /// Lets it end, and waits for that.
    pub(crate) fn end(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("our child");
    }
}

impl Drop for Obedient {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Runs a command to its end. It is started by `vfork` unless it needs to be forked.
pub(crate) fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status();
    assert!(status.expect("the program starts").success());
}

/// Has a command fork rather than `vfork`.
pub(crate) fn forked(command: &mut Command) -> &mut Command {
    // SAFETY: the closure does nothing between fork and exec.
    unsafe { command.pre_exec(|| Ok(())) }
}
