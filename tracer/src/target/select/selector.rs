//! Selectors as users write them.

use std::fmt;
use std::path::{Path, PathBuf};

use super::cgroup::check_cgroup;
use super::container::check_container;
use super::limits::SELECTORS;
use super::name::{NameGlob, check_length};
use super::unit::unit_name;
use crate::base::diagnostic::Diagnostic;
use crate::base::visible::Visible;

/// A kind of selector. Several of one kind add up, and different kinds narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SelectorKind {
    /// `--pid`: one process
    Pid,
    /// `--name`: processes of this name, or of an executable with this name
    Name,
    /// `--exe`: processes that run this file
    Exe,
    /// `--unit`: processes of this unit of systemd
    Unit,
    /// `--cgroup`: processes in this cgroup, or below it
    Cgroup,
    /// `--container`: processes of this container, or pod
    Container,
    /// `--user`: processes of this user
    User,
}

impl SelectorKind {
    /// All kinds, in the order in which messages have them.
    pub const ALL: [Self; 7] = [
        Self::Pid,
        Self::Name,
        Self::Exe,
        Self::Unit,
        Self::Cgroup,
        Self::Container,
        Self::User,
    ];

    /// Returns the option, with its dashes.
    #[must_use]
    pub const fn option(self) -> &'static str {
        match self {
            Self::Pid => "--pid",
            Self::Name => "--name",
            Self::Exe => "--exe",
            Self::Unit => "--unit",
            Self::Cgroup => "--cgroup",
            Self::Container => "--container",
            Self::User => "--user",
        }
    }
}

/// The processes that a user wants, as they wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Pids.
    pub pids: Vec<u32>,
    /// Names that were given as pids: they stand for the processes that have them at the start.
    pub pid_names: Vec<NameGlob>,
    /// Names, or patterns of names.
    pub names: Vec<NameGlob>,
    /// Paths of executables.
    pub exes: Vec<PathBuf>,
    /// Units of systemd, with or without their ending.
    pub units: Vec<String>,
    /// Paths of cgroups, or their directories.
    pub cgroups: Vec<String>,
    /// Ids or names of containers, and `pod:NAME`.
    pub containers: Vec<String>,
    /// Names or numbers of users.
    pub users: Vec<String>,
    /// Only the processes that match at the start.
    pub now_only: bool,
    /// Wait for the first process if none matches.
    pub wait: bool,
}

impl Selector {
    /// Adds one selector, and checks how it is written.
    ///
    /// # Errors
    /// It is empty or malformed, or there are too many.
    pub fn add(&mut self, kind: SelectorKind, text: &str) -> Result<(), Diagnostic> {
        self.check_room()?;
        let what = format!("{} `{text}`", kind.option());
        match kind {
            SelectorKind::Pid => self.add_pid(text)?,
            SelectorKind::Name => {
                let glob = NameGlob::parse(text)?;
                if ["/", "./", "../"]
                    .iter()
                    .any(|front| text.starts_with(front))
                {
                    return Err(Diagnostic::new(format!("{what} is a path"))
                        .hint("`--exe` selects processes by the path of their executable"));
                }
                self.names.push(glob);
            }
            SelectorKind::Exe => self.add_exe(Path::new(text))?,
            SelectorKind::Unit => self.units.push(unit_name(text)?),
            SelectorKind::Cgroup => {
                check_cgroup(text)?;
                self.cgroups.push(text.to_owned());
            }
            SelectorKind::Container => {
                check_container(text)?;
                self.containers.push(text.to_owned());
            }
            SelectorKind::User => {
                check_length("user", text)?;
                self.users.push(text.to_owned());
            }
        }
        Ok(())
    }

    /// Adds a pid, several with commas between, or the name of processes that run now.
    fn add_pid(&mut self, text: &str) -> Result<(), Diagnostic> {
        check_length("pid", text)?;
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        if !words.clone().all(is_number) {
            self.pid_names.push(NameGlob::parse(text)?);
            return Ok(());
        }
        for word in words {
            let pid = word.parse().ok().filter(|&pid| pid > 0);
            let pid = pid.ok_or_else(|| Diagnostic::new(format!("`{word}` is not a pid")))?;
            self.pids.push(pid);
        }
        Ok(())
    }

    /// Adds the path of an executable, which need not be UTF-8.
    ///
    /// # Errors
    /// It is empty or too long, or there are too many selectors.
    pub fn add_exe(&mut self, path: &Path) -> Result<(), Diagnostic> {
        self.check_room()?;
        check_length("path", &path.to_string_lossy())?;
        self.exes.push(path.to_owned());
        Ok(())
    }

    /// Adds all selectors of another one.
    ///
    /// # Errors
    /// There are too many.
    pub fn add_all(&mut self, other: &Self) -> Result<(), Diagnostic> {
        self.pids.extend(&other.pids);
        self.pid_names.extend_from_slice(&other.pid_names);
        self.names.extend_from_slice(&other.names);
        self.exes.extend_from_slice(&other.exes);
        self.units.extend_from_slice(&other.units);
        self.cgroups.extend_from_slice(&other.cgroups);
        self.containers.extend_from_slice(&other.containers);
        self.users.extend_from_slice(&other.users);
        self.now_only |= other.now_only;
        self.wait |= other.wait;
        Self::check_count(self.count())
    }

    fn check_room(&self) -> Result<(), Diagnostic> {
        Self::check_count(self.count() + 1)
    }

    fn check_count(count: usize) -> Result<(), Diagnostic> {
        if count <= SELECTORS {
            return Ok(());
        }
        let why = format!("{count} selectors are too many; the limit is {SELECTORS}");
        Err(Diagnostic::new(why))
    }

    /// Returns true if nothing is selected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Returns true if the selector stands for one pid only.
    #[must_use]
    pub fn is_one_pid(&self) -> bool {
        self.pids.len() == 1 && self.count() == 1
    }

    /// Returns true if the selector stands for one executable only.
    #[must_use]
    pub fn is_one_exe(&self) -> bool {
        self.exes.len() == 1 && self.count() == 1
    }

    /// Returns true if the selector has only pids, and names given as pids.
    #[must_use]
    pub fn is_of_pids(&self) -> bool {
        self.count() == self.pids.len() + self.pid_names.len()
    }

    /// Returns the selectors of one kind, as the user wrote them.
    #[must_use]
    pub fn texts(&self, kind: SelectorKind) -> Vec<String> {
        match kind {
            SelectorKind::Pid => {
                let pids = self.pids.iter().map(u32::to_string);
                let names = self.pid_names.iter().map(NameGlob::to_string);
                pids.chain(names).collect()
            }
            SelectorKind::Name => self.names.iter().map(NameGlob::to_string).collect(),
            SelectorKind::Exe => {
                let text = |path: &PathBuf| path.to_string_lossy().into_owned();
                self.exes.iter().map(text).collect()
            }
            SelectorKind::Unit => self.units.clone(),
            SelectorKind::Cgroup => self.cgroups.clone(),
            SelectorKind::Container => self.containers.clone(),
            SelectorKind::User => self.users.clone(),
        }
    }

    fn count(&self) -> usize {
        self.pids.len()
            + self.pid_names.len()
            + self.names.len()
            + self.exes.len()
            + self.units.len()
            + self.cgroups.len()
            + self.containers.len()
            + self.users.len()
    }
}

impl fmt::Display for Selector {
    /// Writes the options, as a shell would read them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for kind in SelectorKind::ALL {
            for text in self.texts(kind) {
                write!(f, "{between}{} {}", kind.option(), quoted(&text))?;
                between = " ";
            }
        }
        Ok(())
    }
}

/// The text as a word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+,=".contains(c);
    let visible = Visible(text).to_string();
    if !visible.is_empty() && visible.chars().all(plain) {
        visible
    } else {
        format!("'{}'", visible.replace('\'', "'\\''"))
    }
}
