//! The programs that sites run.
//!
//! The plain program suffices for most logs and counts. The kernel verifies it in a third of the
//! time of the whole program, which is loaded when a site needs it, or ahead if probes may come
//! later. The computing program is the whole program plus arithmetic of floats and of 128 bits,
//! which few sites need. If sites are also in processes outside the session, each kind has a
//! variant that first checks the process of a hit. The other sites do not pay for that check.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::object::Image;
use crate::kernel::bpf::ProgramKind;
use crate::kernel::error::KernelError;
use crate::kernel::features::release;
use crate::kernel::options::LoadOptions;
use crate::program::Runner;

/// Their names in the object: as they are, and for sites that are in processes of others, too.
const NAMES: [ProgramNames; 2] = [
    ProgramNames {
        plain: "plain",
        whole: "hit",
        computing: "computing",
    },
    ProgramNames {
        plain: "plain_of",
        whole: "hit_of",
        computing: "computing_of",
    },
];
#[derive(Clone, Copy)]
struct ProgramNames {
    plain: &'static str,
    whole: &'static str,
    computing: &'static str,
}

/// All of them.
pub(in crate::kernel) struct Programs {
    object: Arc<Image>,
    kind: ProgramKind,
    names: ProgramNames,
    plain: OwnedFd,
    whole: Later,
    computing: Later,
    watched: Later,
    watched_computing: Later,
}

/// The programs for accesses to watched values.
const WATCHED: &str = "watched";
const WATCHED_COMPUTING: &str = "watched_computing";

/// A program that is loaded when it is needed.
enum Later {
    No,
    Coming(JoinHandle<Result<OwnedFd, KernelError>>),
    Loaded(OwnedFd),
}

impl Later {
    /// Begins to load it, unless that is done.
    fn begin(&mut self, object: &Arc<Image>, name: &'static str, kind: ProgramKind) {
        if matches!(self, Self::No) {
            let object = Arc::clone(object);
            *self = Self::Coming(std::thread::spawn(move || object.load(name, kind)));
        }
    }

    /// Waits for it, if it has been begun.
    fn wait(&mut self, name: &'static str) -> Result<BorrowedFd<'_>, KernelError> {
        *self = match std::mem::replace(self, Self::No) {
            Self::Coming(thread) => {
                let loaded = thread.join();
                let loaded = loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                Self::Loaded(loaded?)
            }
            there => there,
        };
        let loaded = self.loaded();
        loaded.ok_or_else(|| KernelError::unexpected(name))
    }

    fn loaded(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Loaded(program) => Some(program.as_fd()),
            Self::No | Self::Coming(_) => None,
        }
    }
}

impl Programs {
    /// Loads the plain one.
    ///
    /// # Errors
    /// The kernel refused.
    pub(in crate::kernel) fn load(
        object: Image,
        options: &LoadOptions,
    ) -> Result<Self, KernelError> {
        // The filter by pid takes threads for processes before Linux 6.10.
        let may_be_multi =
            !options.perf_events && release::kernel_release() >= release::MULTI_LINKS;
        let [own, of_members] = NAMES;
        let names = if options.processes.are_checked() {
            of_members
        } else {
            own
        };
        let multi = may_be_multi.then(|| object.load(names.plain, ProgramKind::MultiUprobe));
        let (kind, plain) = match multi {
            Some(Ok(program)) => (ProgramKind::MultiUprobe, program),
            // A kernel built without them refuses the attach type.
            Some(Err(KernelError::Call { source, .. }))
                if source.raw_os_error() == Some(libc::EINVAL) =>
            {
                (
                    ProgramKind::Uprobe,
                    object.load(names.plain, ProgramKind::Uprobe)?,
                )
            }
            None => (
                ProgramKind::Uprobe,
                object.load(names.plain, ProgramKind::Uprobe)?,
            ),
            Some(Err(error)) => return Err(error),
        };
        let mut programs = Self {
            object: Arc::new(object),
            kind,
            names,
            plain,
            whole: Later::No,
            computing: Later::No,
            watched: Later::No,
            watched_computing: Later::No,
        };
        if options.more_probes {
            programs
                .whole
                .begin(&programs.object, programs.names.whole, kind);
        }
        Ok(programs)
    }

    /// One of them; waits for it.
    ///
    /// # Errors
    /// The kernel refused.
    pub(in crate::kernel) fn get(&mut self, runner: Runner) -> Result<BorrowedFd<'_>, KernelError> {
        let (later, name) = match runner {
            Runner::Plain => return Ok(self.plain.as_fd()),
            Runner::Whole => (&mut self.whole, self.names.whole),
            Runner::Computing => (&mut self.computing, self.names.computing),
        };
        later.begin(&self.object, name, self.kind);
        later.wait(name)
    }

    /// The program for accesses to watched values; waits for it.
    ///
    /// # Errors
    /// The kernel refused.
    pub(in crate::kernel) fn watched(
        &mut self,
        runner: Runner,
    ) -> Result<BorrowedFd<'_>, KernelError> {
        let (later, name) = match runner {
            Runner::Plain | Runner::Whole => (&mut self.watched, WATCHED),
            Runner::Computing => (&mut self.watched_computing, WATCHED_COMPUTING),
        };
        later.begin(&self.object, name, ProgramKind::PerfEvent);
        later.wait(name)
    }

    /// Sites are attached by multi-uprobe links.
    pub(in crate::kernel) fn has_multi_links(&self) -> bool {
        self.kind == ProgramKind::MultiUprobe
    }

    /// The loaded programs.
    pub(in crate::kernel) fn loaded(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let later = [
            &self.whole,
            &self.computing,
            &self.watched,
            &self.watched_computing,
        ]
        .map(Later::loaded);
        later.into_iter().flatten().chain([self.plain.as_fd()])
    }
}
