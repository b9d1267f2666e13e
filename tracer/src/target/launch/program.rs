//! What a program is, before it is executed: an ELF file, or a script and its interpreter.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endianness, ReadCache, ReadRef as _};

use super::error::LaunchError;

/// Bytes at the front of a file that the kernel looks at.
const FRONT: usize = 256;

/// Interpreters of interpreters that the kernel follows.
const INTERPRETERS: usize = 5;

/// Program headers of an ELF file. The kernel refuses more.
const PROGRAM_HEADERS: u16 = 1170;

/// Bytes of the path of a loader. The kernel refuses more.
const LOADER_BYTES: u64 = 4096;

/// The shell that runs a text without `#!`, as `execvp` does.
pub(super) const SHELL: &str = "/bin/sh";

/// Directories that are searched if `PATH` is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A program that was found, and what the kernel will make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedProgram {
    /// Path of the program.
    pub path: PathBuf,
    /// Interpreters of a script, the first one first. Empty if the program is no script.
    pub interpreters: Vec<PathBuf>,
    /// The file that the process will run: the program, or the last of the interpreters.
    pub executable: PathBuf,
    /// The loader of the executable, if it is linked dynamically (`PT_INTERP`).
    pub loader: Option<PathBuf>,
    /// The program that the executable will execute in turn, if it is `env` in a script's first line.
    pub next: Option<PathBuf>,
    /// A text without `#!`, which only a shell can run.
    pub(super) is_bare_script: bool,
}

impl ResolvedProgram {
    /// Looks at the file `path`.
    ///
    /// # Errors
    /// An interpreter or the loader does not exist.
    pub(super) fn read(path: &Path) -> Result<Self, LaunchError> {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut program = Self {
            path: absolute.clone(),
            interpreters: Vec::new(),
            executable: absolute,
            loader: None,
            next: None,
            is_bare_script: false,
        };
        for _ in 0..INTERPRETERS {
            // The user that it runs as may execute it, and that may be all.
            let Ok(front) = front(&program.executable) else {
                return Ok(program);
            };
            if front.starts_with(b"\x7fELF") {
                program.loader = loader(&program.executable);
                return match &program.loader {
                    Some(loader) if is_absent(loader) => Err(program.lacks(loader)),
                    _ => Ok(program),
                };
            }
            let Some(line) = ScriptLine::parse(&front) else {
                program.is_bare_script = program.interpreters.is_empty() && !front.contains(&0);
                if program.is_bare_script {
                    program.interpret_by(Path::new(SHELL));
                    program.loader = loader(Path::new(SHELL));
                }
                return Ok(program);
            };
            if is_absent(&line.interpreter) {
                return Err(program.lacks(&line.interpreter));
            }
            program.next = line.next();
            program.interpret_by(&line.interpreter);
        }
        Ok(program)
    }

    fn interpret_by(&mut self, interpreter: &Path) {
        let absolute = std::path::absolute(interpreter);
        self.executable = absolute.unwrap_or_else(|_| interpreter.to_owned());
        self.interpreters.push(self.executable.clone());
    }

    fn lacks(&self, interpreter: &Path) -> LaunchError {
        LaunchError::NoInterpreter {
            program: self.executable.clone(),
            interpreter: interpreter.to_owned(),
        }
    }
}

/// The first line of a script.
struct ScriptLine {
    interpreter: PathBuf,
    argument: Option<OsString>,
}

impl ScriptLine {
    fn parse(front: &[u8]) -> Option<Self> {
        let line = front.strip_prefix(b"#!")?;
        let line = line.split(|&byte| byte == b'\n' || byte == 0).next()?;
        let line = line.trim_ascii();
        let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t'));
        let (interpreter, rest) = line.split_at(end.unwrap_or(line.len()));
        let text = |bytes: &[u8]| OsString::from_vec(bytes.trim_ascii().to_vec());
        (!interpreter.is_empty()).then(|| Self {
            interpreter: PathBuf::from(text(interpreter)),
            argument: Some(text(rest)).filter(|rest| !rest.is_empty()),
        })
    }

    /// The program that `env` executes.
    fn next(&self) -> Option<PathBuf> {
        let name = self.argument.as_deref()?;
        // Options and variables come before the program.
        let is_plain = !name
            .as_bytes()
            .iter()
            .any(|byte| matches!(byte, b'=' | b' ' | b'\t'))
            && !name.as_bytes().starts_with(b"-");
        let is_env = self.interpreter.file_name() == Some(OsStr::new("env"));
        let path = std::env::var_os("PATH");
        let found = candidates(name, path.as_deref())
            .into_iter()
            .find(|path| path.is_file());
        found.filter(|_| is_env && is_plain)
    }
}

/// The paths that a name may mean, in the order in which a shell tries them.
pub(super) fn candidates(name: &OsStr, path: Option<&OsStr>) -> Vec<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(name)];
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    // An empty directory is the working directory.
    std::env::split_paths(path)
        .map(|directory| directory.join(name))
        .collect()
}

fn front(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FRONT as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_absent(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The path of the loader in an ELF file.
fn loader(path: &Path) -> Option<PathBuf> {
    let cache = ReadCache::new(File::open(path).ok()?);
    let header = object::elf::FileHeader64::<Endianness>::parse(&cache).ok()?;
    let endian = header.endian().ok()?;
    if header.e_phnum(endian) > PROGRAM_HEADERS {
        return None;
    }
    let headers = header.program_headers(endian, &cache).ok()?;
    let loader = headers
        .iter()
        .find(|one| one.p_type(endian) == object::elf::PT_INTERP)?;
    let bytes = loader.p_filesz(endian);
    if bytes > LOADER_BYTES {
        return None;
    }
    let text = (&cache)
        .read_bytes_at(loader.p_offset(endian), bytes)
        .ok()?;
    let text = text.split(|&byte| byte == 0).next()?;
    Some(PathBuf::from(OsStr::from_bytes(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_line_is_split_as_the_kernel_does() {
        let parsed = |text: &str| {
            let line = ScriptLine::parse(text.as_bytes())?;
            Some((line.interpreter, line.argument))
        };
        let line = |interpreter: &str, argument: Option<&str>| {
            Some((PathBuf::from(interpreter), argument.map(OsString::from)))
        };
        assert_eq!(parsed("#!/bin/sh\necho"), line("/bin/sh", None));
        assert_eq!(
            parsed("#! /usr/bin/env  python3 -u \n"),
            line("/usr/bin/env", Some("python3 -u"))
        );
        assert_eq!(parsed("#!/bin/sh"), line("/bin/sh", None));
        assert_eq!(parsed("#!\n/bin/sh"), None);
        assert_eq!(parsed("# /bin/sh"), None);
    }

    #[test]
    fn candidates_are_those_of_a_shell() {
        let of =
            |name: &str, path: Option<&str>| candidates(OsStr::new(name), path.map(OsStr::new));
        assert_eq!(of("./a", Some("/bin")), [PathBuf::from("./a")]);
        assert_eq!(
            of("a", Some("/x::/y")),
            ["/x/a", "a", "/y/a"].map(PathBuf::from)
        );
        assert_eq!(of("a", None), ["/bin/a", "/usr/bin/a"].map(PathBuf::from));
    }

    #[test]
    fn program_is_told_by_its_interpreters_executable_and_loader() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let cat = ResolvedProgram::read(Path::new("/bin/cat")).unwrap();
        assert_eq!(cat.executable, Path::new("/bin/cat"));
        assert!(cat.interpreters.is_empty() && cat.loader.is_some());
        let inner = write("inner", "#!/bin/cat\n");
        let outer = write("outer", &format!("#!{} x\n", inner.display()));
        let nested = ResolvedProgram::read(&outer).unwrap();
        assert_eq!(nested.interpreters, [inner, PathBuf::from("/bin/cat")]);
        assert_eq!((nested.path, nested.executable), (outer, cat.executable));
        let env = ResolvedProgram::read(&write("env", "#!/usr/bin/env sh\n")).unwrap();
        assert_eq!(env.executable, Path::new("/usr/bin/env"));
        assert!(env.next.unwrap().ends_with("sh"));
        let bare = ResolvedProgram::read(&write("bare", "exit 3\n")).unwrap();
        assert!(bare.is_bare_script);
        assert_eq!(bare.executable, Path::new(SHELL));
        let binary = ResolvedProgram::read(&write("binary", "\0\u{1}")).unwrap();
        assert!(!binary.is_bare_script && binary.interpreters.is_empty());
        let missing = ResolvedProgram::read(&write("missing", "#!/no/such -x\n"));
        assert!(matches!(missing, Err(LaunchError::NoInterpreter { .. })));
        let endless = write("endless", "");
        std::fs::write(&endless, format!("#!{}\n", endless.display())).unwrap();
        assert!(ResolvedProgram::read(&endless).is_ok());
    }

    #[test]
    fn hostile_elf_files_have_no_loader() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("elf");
        let good = std::fs::read("/bin/cat").unwrap();
        assert!(loader(Path::new("/bin/cat")).is_some());
        for (at, value) in [(56, 0xff), (57, 0xff), (32, 0xff), (39, 0x7f), (4, 1)] {
            let mut bytes = good.clone();
            bytes[at] = value;
            std::fs::write(&path, &bytes).unwrap();
            let _ = loader(&path);
        }
        std::fs::write(&path, &good[..80]).unwrap();
        assert_eq!(loader(&path), None);
    }
}
