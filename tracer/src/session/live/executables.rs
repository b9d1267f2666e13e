//! The programs that targets run: one entry for each version of an executable file.
//!
//! Debug information, plans and places belong to a file, so they are made once for all processes
//! that run it. One of these processes stands for all: its mappings say where the file's modules
//! are, and its memory whether their code is as in their files.

use std::path::PathBuf;
use std::sync::Arc;

use super::arrival::NewMember;
use crate::session::SessionOptions;
use crate::session::prepare::placing::SitePlacer;
use crate::session::sites::modules::Modules;
use crate::session::sites::process_modules::ProcessModules;
use crate::target::ExecutableFile;

/// Names an executable of a session; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExecutableId(u32);

impl ExecutableId {
    /// The one that a session begins with.
    pub(crate) const FIRST: Self = Self(0);
}

/// A version of a program file that targets run.
pub(super) struct Executable {
    pub(super) id: ExecutableId,
    file: ExecutableFile,
    pub(super) modules: Arc<ProcessModules>,
    /// The places of the sites in its modules.
    pub(super) placing: Arc<SitePlacer>,
    /// The modules that probes were compared with last.
    pub(super) seen: Arc<Modules>,
    /// How far the probes are in it.
    pub(super) progress: ProbeProgress,
    /// Some probe has or had a place in it.
    pub(super) has_place: bool,
}

/// How far the probes are in an executable that has come to a running session.
pub(super) enum ProbeProgress {
    /// They are yet to be attached.
    Coming(Coming),
    /// They were attached at this time, in ns of `CLOCK_MONOTONIC`. 0 if they were in it before the
    /// session had a target.
    Attached { since_ns: u64 },
}

/// Reports that wait until the probes are in an executable.
#[derive(Default)]
pub(super) struct Coming {
    /// Path of the file, if it has replaced another one.
    pub(super) replaced: Option<PathBuf>,
    /// Processes that run it already.
    pub(super) joined: Vec<JoinedProcess>,
}

/// A process that has joined the session.
pub(super) struct JoinedProcess {
    pub(super) member: NewMember,
    /// Path of its program.
    pub(super) program: PathBuf,
    pub(super) executable: ExecutableId,
}

/// A process that joined before the first probes were in, to be reported then.
pub(super) struct EarlyProcess {
    pub(super) joined: JoinedProcess,
    /// Its program has been ready for probes since, as of [`ProbeProgress::Attached`].
    pub(super) since_ns: u64,
}

impl Executable {
    fn new(
        id: ExecutableId,
        file: ExecutableFile,
        modules: Arc<ProcessModules>,
        options: &SessionOptions,
        progress: ProbeProgress,
    ) -> Self {
        let pid = modules.process().map(|process| process.pid());
        Self {
            id,
            file,
            placing: Arc::new(SitePlacer::new(pid, options.site)),
            seen: modules.now(),
            modules,
            progress,
            has_place: false,
        }
    }

    /// Its file name.
    pub(super) fn name(&self) -> String {
        let modules = self.modules.now();
        let main = modules.all().first();
        main.map(|main| main.file.name.clone()).unwrap_or_default()
    }

    /// The process that stands for all that run it. `None` while none does.
    pub(super) fn pid(&self) -> Option<u32> {
        self.modules.process().map(|process| process.pid())
    }
}

/// The executables of a session. There is always a first one.
pub(super) struct Executables {
    first: Executable,
    others: Vec<Executable>,
    next: u32,
}

impl Executables {
    pub(super) fn new(
        file: ExecutableFile,
        first: Arc<ProcessModules>,
        options: &SessionOptions,
    ) -> Self {
        Self {
            first: Executable::new(
                ExecutableId::FIRST,
                file,
                first,
                options,
                ProbeProgress::Attached { since_ns: 0 },
            ),
            others: Vec::new(),
            next: 1,
        }
    }

    /// The one that the session began with.
    pub(super) fn first(&self) -> &Executable {
        &self.first
    }

    pub(super) fn first_mut(&mut self) -> &mut Executable {
        &mut self.first
    }

    pub(super) fn get(&self, id: ExecutableId) -> Option<&Executable> {
        self.iter().find(|one| one.id == id)
    }

    pub(super) fn get_mut(&mut self, id: ExecutableId) -> Option<&mut Executable> {
        self.iter_mut().find(|one| one.id == id)
    }

    pub(super) fn count(&self) -> usize {
        1 + self.others.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Executable> {
        std::iter::once(&self.first).chain(&self.others)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Executable> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    /// The one with this file.
    pub(super) fn of_file(&self, file: ExecutableFile) -> Option<&Executable> {
        self.iter().find(|one| one.file == file)
    }

    /// Adds one that no target ran before.
    pub(super) fn add(
        &mut self,
        file: ExecutableFile,
        modules: Arc<ProcessModules>,
        options: &SessionOptions,
        progress: ProbeProgress,
    ) -> ExecutableId {
        let id = ExecutableId(self.next);
        self.next += 1;
        self.others
            .push(Executable::new(id, file, modules, options, progress));
        id
    }
}
