//! The files of an installation below a prefix such as `/usr/local`.
//!
//! The tracer prints its manual pages and completions itself. The documents are those of the
//! repository. `install`, the tarball and the packages have the same files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::support::command::output;
use crate::support::failure::Failure;
use crate::support::workspace;

/// Folder of the binary, below the prefix.
pub(crate) const BINARY: &str = "bin/tracer";
/// Folder of the manual pages.
pub(crate) const PAGES: &str = "share/man/man1";
/// Folder of the documents.
pub(crate) const DOCUMENTS: &str = "share/doc/tracer";

/// Completions: the shell, and the file from which it loads them.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "share/bash-completion/completions/tracer"),
    ("zsh", "share/zsh/site-functions/_tracer"),
    ("fish", "share/fish/vendor_completions.d/tracer.fish"),
];

/// Documents of the repository. A directory stands for its Markdown files and their programs.
const SOURCES: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "docs",
];

/// Writes all files of an installation into an empty directory, with their modes.
///
/// # Errors
/// The tracer does not run, or a file cannot be read or written.
pub(crate) fn stage(tracer: &Path, prefix: &Path) -> Result<()> {
    empty(prefix)?;
    let binary = prefix.join(BINARY);
    make_parent(&binary)?;
    copy(tracer, &binary)?;
    set_mode(&binary, 0o755)?;

    let main_page = output(Command::new(tracer).arg("man"))?;
    let commands = commands_in(&String::from_utf8_lossy(&main_page));
    if commands.is_empty() {
        return Err(Failure::new("the manual page names no commands").into());
    }
    write(&prefix.join(PAGES).join("tracer.1"), &main_page)?;
    for command in commands {
        let page = output(Command::new(tracer).args(["man", &command]))?;
        write(
            &prefix.join(PAGES).join(format!("tracer-{command}.1")),
            &page,
        )?;
    }
    for (shell, file) in COMPLETIONS {
        let printed = output(Command::new(tracer).args(["completions", shell]))?;
        write(&prefix.join(file), &printed)?;
    }
    for source in SOURCES {
        document(source, &prefix.join(DOCUMENTS))?;
    }
    Ok(())
}

/// All files and links below a directory, sorted, relative to it.
///
/// # Errors
/// A directory cannot be read.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", directory.display()))?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(root)?.to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Writes a file that everybody may read, and creates its directories.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    make_parent(file)?;
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    set_mode(file, 0o644)
}

/// Creates an empty directory, and removes an old one.
///
/// # Errors
/// The directory cannot be removed or created.
pub(crate) fn empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}

/// Copies a file, and its mode.
///
/// # Errors
/// The file cannot be read or written.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Commands whose pages the main page refers to.
fn commands_in(page: &str) -> Vec<String> {
    page.lines()
        .filter_map(|line| line.trim().strip_prefix("tracer\\-")?.strip_suffix("(1)"))
        .map(|name| name.replace("\\-", "-"))
        .filter(|name| name != "help")
        .collect()
}

/// Copies a document, or the Markdown files and programs of a directory.
fn document(source: &str, to: &Path) -> Result<()> {
    let from = workspace::root().join(source);
    let put = |file: &Path, name: &Path| -> Result<()> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        write(&to.join(name), &bytes)
    };
    if !from.is_dir() {
        return put(&from, Path::new(source));
    }
    for file in files(&from)? {
        let extension = file.extension();
        if extension.is_some_and(|extension| extension == "md" || extension == "rs") {
            put(&from.join(&file), &Path::new(source).join(&file))?;
        }
    }
    Ok(())
}

fn make_parent(file: &Path) -> Result<()> {
    let Some(parent) = file.parent() else {
        return Ok(());
    };
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))
}

fn set_mode(file: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(file, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::commands_in;

    #[test]
    fn main_page_names_commands_without_help() {
        let page = ".TP\ntracer\\-attach(1)\nPut logpoints\n.TP\ntracer\\-help(1)\nSee tracer(1)\n";
        assert_eq!(commands_in(page), ["attach"]);
    }
}
