//! Python programs as targets.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tracer_cpython::memory::LiveMemory;
use tracer_cpython::runtime::Interpreter;

/// An installed interpreter.
#[derive(Clone, Debug)]
pub(crate) struct Python {
    pub(crate) program: PathBuf,
    pub(crate) root: Option<PathBuf>,
    pub(crate) minor: u8,
}

/// All interpreters of this machine, of the versions that this crate reads.
pub(crate) fn all() -> Vec<Python> {
    let mut found = Vec::new();
    let root = std::env::var_os("TRACER_TEST_CPYTHON_ROOT").map(PathBuf::from);
    for minor in 8..=15 {
        let name = format!("/usr/bin/python3.{minor}");
        if Path::new(&name).exists() {
            found.push((PathBuf::from(&name), None, minor));
        }
        if let Some(root) = &root
            && root.join(name.trim_start_matches('/')).exists()
        {
            found.push((PathBuf::from(name), Some(root.clone()), minor));
        }
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let versions = home.unwrap_or_default().join(".pyenv/versions");
        for entry in fs::read_dir(versions).into_iter().flatten().flatten() {
            let version = entry.file_name().to_string_lossy().into_owned();
            let program = entry.path().join("bin/python3");
            if version.starts_with(&format!("3.{minor}.")) && program.exists() {
                found.push((program, None, minor));
            }
        }
    }
    let seen: Vec<String> = found
        .iter()
        .map(|(_, _, minor)| format!("3.{minor}"))
        .collect();
    println!("interpreters: {}", seen.join(", "));
    let required = std::env::var("REQUIRE_CPYTHON").unwrap_or_default();
    for version in required.split(',').filter(|version| !version.is_empty()) {
        assert!(
            seen.iter().any(|seen| seen == version),
            "no CPython {version} on this machine: {}",
            seen.join(", ")
        );
    }
    if found.is_empty() {
        println!("skipped: no CPython on this machine");
    }
    let python = |(program, root, minor)| Python {
        program,
        root,
        minor,
    };
    found.into_iter().map(python).collect()
}

impl Python {
    /// An interpreter that a variable of the environment names. `None`, with a message, without it.
    pub(crate) fn named_by(variable: &str) -> Option<Self> {
        let Some(program) = std::env::var_os(variable) else {
            println!("skipped: {variable} names no interpreter");
            return None;
        };
        Some(Self {
            program: program.into(),
            root: None,
            minor: 0,
        })
    }

    pub(crate) fn name(&self) -> String {
        let root = if self.root.is_some() { " (chroot)" } else { "" };
        format!("{}{root}", self.program.display())
    }

    /// Starts a program. It is to print `ready` once, and is ended when the target is dropped.
    pub(crate) fn start(&self, source: &str) -> Target {
        self.start_with(source, &[])
    }

    pub(crate) fn start_with(&self, source: &str, environment: &[(&str, &str)]) -> Target {
        let folder = match &self.root {
            Some(root) => tempfile::tempdir_in(root.join("tmp")),
            None => tempfile::tempdir(),
        }
        .unwrap();
        let file = folder.path().join("program.py");
        fs::write(&file, source).unwrap();
        let (mut command, seen) = match &self.root {
            Some(root) => {
                let mut command = Command::new("chroot");
                command.arg(root).arg(&self.program);
                (
                    command,
                    Path::new("/").join(file.strip_prefix(root).unwrap()),
                )
            }
            None => (Command::new(&self.program), file),
        };
        let mut child = command
            .arg("-B")
            .arg(&seen)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.take();
        let mut target = Target {
            child,
            input,
            output,
            file: seen.display().to_string(),
            _folder: folder,
        };
        assert_eq!(target.line(), "ready", "{}", self.name());
        target
    }
}

/// A running program.
pub(crate) struct Target {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Path of its source, as it knows it.
    pub(crate) file: String,
    _folder: tempfile::TempDir,
}

impl Target {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn memory(&self) -> LiveMemory {
        LiveMemory::open(self.pid()).unwrap()
    }

    pub(crate) fn interpreter(&self) -> Interpreter {
        Interpreter::find(self.pid()).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// The next line that the program prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Sends a line to the program.
    pub(crate) fn send(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it is open until the end");
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
