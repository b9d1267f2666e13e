//! The programs that the bench observes: compiled from C, started, and controlled by lines.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

use super::code::{Code, file_offset};
use super::report::{Pace, SiteKind};
use crate::pointer::Running;
use crate::support::command::run as run_command;
use crate::support::failure::Failure;
use crate::support::workspace;

/// Folder of the sources, from the workspace's root.
const SOURCES: &str = "xtask/bench";
/// The hitting program.
pub(super) const HITTER: &str = "target.c";

/// Folder for the bench's files.
///
/// # Errors
/// The folder cannot be created.
pub(super) fn directory() -> Result<PathBuf> {
    let directory = workspace::target().join("bench");
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// Compiles a source of the bench, optimised and with debug information.
///
/// # Errors
/// The compiler failed.
pub(super) fn compile(source: &str) -> Result<PathBuf> {
    compile_with(source, "-O2")
}

/// Compiles a source of the bench without optimisation, with debug information.
///
/// # Errors
/// The compiler failed.
pub(super) fn compile_plain(source: &str) -> Result<PathBuf> {
    compile_with(source, "-O0")
}

fn compile_with(source: &str, optimisation: &str) -> Result<PathBuf> {
    let from = workspace::root().join(SOURCES).join(source);
    let to = directory()?.join(source.trim_end_matches(".c"));
    let mut compiler = Command::new("cc");
    // Landing pads for indirect branches would be the first instruction.
    compiler
        .args([optimisation, "-g", "-fcf-protection=none", "-pthread", "-o"])
        .args([&to, &from]);
    run_command(&mut compiler)?;
    Ok(to)
}

/// The line of a source with the mark `PROBE name`, from 1.
///
/// # Errors
/// There is no such mark.
pub(super) fn marked_line(source: &str, name: &str) -> Result<usize> {
    let path = workspace::root().join(SOURCES).join(source);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    line_of(&text, &format!("/* PROBE {name} */"))
        .ok_or_else(|| Failure::new(format!("no line of {source} is marked `{name}`")).into())
}

/// The first line that contains a text, from 1.
pub(super) fn line_of(source: &str, text: &str) -> Option<usize> {
    let index = source.lines().position(|line| line.contains(text))?;
    Some(index + 1)
}

/// A program that answers each line of input with a line of output.
pub(super) struct Answering {
    process: Running,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Answering {
    /// Starts the program.
    ///
    /// # Errors
    /// The program is missing.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a program of the bench")?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let process = Running(process);
        let (Some(input), Some(output)) = (input, output) else {
            return Err(Failure::new("a program of the bench has no input or output").into());
        };
        Ok(Self {
            process,
            input,
            output: BufReader::new(output),
        })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// The words of its next line, which must start with `first`.
    ///
    /// # Errors
    /// The program ended, or printed something else.
    pub(super) fn answer(&mut self, first: &str) -> Result<Vec<String>> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .context("cannot read what a program of the bench says")?;
        let mut words = line.split_whitespace();
        if words.next() != Some(first) {
            let said = line.trim();
            return Err(Failure::new(format!("a program of the bench said `{said}`")).into());
        }
        Ok(words.map(str::to_owned).collect())
    }

    /// Sends the program a line.
    ///
    /// # Errors
    /// The program has ended.
    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        writeln!(self.input, "{line}").context("a program of the bench has ended")
    }
}

/// The running hitting program.
pub(super) struct Hitter {
    program: Answering,
    path: PathBuf,
    one_trap: u64,
    two_trap: u64,
}

/// The result of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hits {
    pub(super) count: u64,
    pub(super) ns: f64,
}

impl Hitter {
    /// Starts the program.
    ///
    /// # Errors
    /// The program does not start.
    pub(super) fn start(path: &Path) -> Result<Self> {
        let mut program = Answering::start(&mut Command::new(path))?;
        let words = program.answer("ready")?;
        let address = |index: usize| {
            let word = words.get(index).and_then(|word| word.strip_prefix("0x"));
            word.and_then(|hex| u64::from_str_radix(hex, 16).ok())
                .ok_or_else(|| Failure::new("the hitting program names no address"))
        };
        Ok(Self {
            one_trap: address(0)?,
            two_trap: address(1)?,
            path: path.to_owned(),
            program,
        })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Path of its file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The address of the probed instruction.
    pub(super) fn address(&self, site: SiteKind) -> u64 {
        match site {
            SiteKind::OneTrap => self.one_trap,
            SiteKind::TwoTrap => self.two_trap,
        }
    }

    /// File offset of the probed instruction.
    ///
    /// # Errors
    /// The process is gone.
    pub(super) fn offset(&self, site: SiteKind) -> Result<u64> {
        file_offset(self.pid(), self.address(site))
    }

    /// The code of the probed instruction.
    ///
    /// # Errors
    /// The process is gone.
    pub(super) fn code(&self, site: SiteKind) -> Result<Code> {
        Code::at(self.pid(), self.address(site), 1)
    }

    /// Lets the program hit.
    ///
    /// # Errors
    /// The program has ended.
    pub(super) fn run(
        &mut self,
        site: SiteKind,
        pace: Pace,
        threads: u32,
        milliseconds: u64,
    ) -> Result<Hits> {
        self.begin(site, pace, threads, milliseconds)?;
        self.end()
    }

    /// Lets the program hit, without waiting for the end.
    ///
    /// # Errors
    /// The program has ended.
    pub(super) fn begin(
        &mut self,
        site: SiteKind,
        pace: Pace,
        threads: u32,
        milliseconds: u64,
    ) -> Result<()> {
        let site = function(site);
        let pace = match pace {
            Pace::Tight => "tight",
            Pace::FourThousand => "4k",
            Pace::TwentyThousand => "20k",
            Pace::HundredThousand => "100k",
        };
        self.program
            .say(&format!("run {site} {pace} {threads} {milliseconds}"))
    }

    /// Waits until the program has hit for the requested time.
    ///
    /// # Errors
    /// The program has ended.
    pub(super) fn end(&mut self) -> Result<Hits> {
        parse_hits(&self.program.answer("done")?)
            .ok_or_else(|| Failure::new("the hitting program says no numbers").into())
    }
}

/// The probed function.
pub(super) fn function(site: SiteKind) -> &'static str {
    match site {
        SiteKind::OneTrap => "one_trap",
        SiteKind::TwoTrap => "two_trap",
    }
}

fn parse_hits(words: &[String]) -> Option<Hits> {
    Some(Hits {
        count: words.first()?.parse().ok()?,
        ns: words.get(1)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_gives_hits_and_time() {
        let words = ["520".to_owned(), "15.53".to_owned()];
        let hits = parse_hits(&words).unwrap();
        assert_eq!((hits.count, hits.ns), (520, 15.53));
        assert!(parse_hits(&words[..1]).is_none());
    }

    #[test]
    fn both_probed_lines_are_marked() {
        assert!(
            marked_line(HITTER, "one_trap").unwrap() < marked_line(HITTER, "two_trap").unwrap()
        );
        assert!(marked_line(HITTER, "three_trap").is_err());
    }
}
