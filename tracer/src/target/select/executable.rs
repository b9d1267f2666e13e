//! Executables: files that are selected by path and recognised by inode.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::facts::ProcessFacts;
use super::inode::InodeId;
use crate::base::diagnostic::Diagnostic;

/// A selected executable, with all files that were at its path since it was selected.
#[derive(Clone, Debug)]
pub(super) struct SelectedExecutable {
    /// Absolute path, with its links.
    path: PathBuf,
    /// Paths that it led to. A link may be turned to another version.
    resolved: Vec<PathBuf>,
    files: Vec<InodeId>,
}

impl SelectedExecutable {
    /// Looks at the file now.
    ///
    /// # Errors
    /// It is no program. With `wait`, it may be absent.
    pub(super) fn find(path: &Path, wait: bool) -> Result<Self, Diagnostic> {
        let shown = path.display();
        let absolute = std::path::absolute(path)
            .map_err(|error| Diagnostic::new(format!("cannot find `{shown}`: {error}")))?;
        let mut found = Self {
            path: absolute,
            resolved: Vec::new(),
            files: Vec::new(),
        };
        match found.look() {
            Ok(()) => Ok(found),
            Err(error) if wait && error.kind() == io::ErrorKind::NotFound => Ok(found),
            Err(error) => {
                let diagnostic = Diagnostic::new(format!("cannot read `{shown}`: {error}"));
                Err(match error.kind() {
                    io::ErrorKind::NotFound => {
                        diagnostic.hint("`--wait` waits for a program that is not there yet")
                    }
                    io::ErrorKind::PermissionDenied => Diagnostic {
                        needs_privilege: true,
                        ..diagnostic.hint("run it with sudo")
                    },
                    _ => diagnostic,
                })
            }
        }?
        .checked()
    }

    fn checked(self) -> Result<Self, Diagnostic> {
        let Some(resolved) = self.resolved.last() else {
            return Ok(self);
        };
        let shown = self.path.display();
        let cannot = |error: io::Error| Diagnostic::new(format!("cannot read `{shown}`: {error}"));
        let metadata = fs::metadata(resolved).map_err(cannot)?;
        if !metadata.is_file() {
            return Err(Diagnostic::new(format!("`{shown}` is not a program")));
        }
        match interpreter_of(resolved) {
            Ok(Some(interpreter)) => {
                let name = resolved.file_name().unwrap_or_default().to_string_lossy();
                Err(Diagnostic::new(format!(
                    "`{shown}` is a script: its processes run `{}`",
                    interpreter.display()
                ))
                .hint(format!("`--name {name}` finds them by the script's name")))
            }
            Ok(None) => Ok(self),
            // A program may be executable but not readable.
            Err(_) => Ok(self),
        }
    }

    /// Adds the file that is at the path now.
    fn look(&mut self) -> io::Result<()> {
        let resolved = fs::canonicalize(&self.path)?;
        let file = InodeId::from(&fs::metadata(&resolved)?);
        if !self.resolved.contains(&resolved) {
            self.resolved.push(resolved);
        }
        if !self.files.contains(&file) {
            self.files.push(file);
        }
        Ok(())
    }

    /// Adds the file that is at the path now. Returns true if it is another one. An absent file is no
    /// change, because it may be about to be replaced.
    pub(super) fn refresh(&mut self) -> bool {
        let before = self.files.len();
        let _ = self.look();
        self.files.len() > before
    }

    /// Returns true if there is a whole program at the path. One that is being written has no section headers yet.
    ///
    /// # Errors
    /// The file is not a program.
    pub(super) fn is_ready(&self) -> Result<bool, Diagnostic> {
        let Ok(file) = File::open(&self.path) else {
            return Ok(false);
        };
        self.clone().checked()?;
        Ok(object::File::parse(&object::ReadCache::new(file)).is_ok())
    }

    /// Returns the absolute path, with its links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the files that were at the path, in order.
    pub(super) fn files(&self) -> &[InodeId] {
        &self.files
    }

    /// Returns true if the process runs one of the files, or one that was at the path before.
    pub(super) fn matches(&self, process: &ProcessFacts) -> bool {
        let executable = &process.executable;
        if let Some(inode) = executable.inode {
            if self.files.contains(&inode) {
                return true;
            }
            // The file was replaced before it was selected. The path alone does not tell: another
            // container may have a file of its own at the same path.
            let is_here =
                process.shares_our_mounts || self.files.iter().any(|file| file.dev == inode.dev);
            return executable.deleted && is_here && self.resolved.contains(&executable.path);
        }
        false
    }
}

/// Returns the interpreter in the first line of a script, or `None` if the file is no script.
pub(super) fn interpreter_of(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut line = Vec::new();
    // The kernel reads as many bytes.
    File::open(path)?.take(256).read_to_end(&mut line)?;
    Ok(interpreter_in(&line))
}

fn interpreter_in(line: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;

    let rest = line.strip_prefix(b"#!")?;
    let line = rest.split(|&byte| byte == b'\n').next()?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | 0);
    let path = line.split(blank).find(|word| !word.is_empty())?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(path)))
}
