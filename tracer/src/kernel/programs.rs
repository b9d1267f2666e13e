//! The programs that sites run.
//!
//! A plain one does all that most logs and counts need; the kernel has verified it in a third of
//! the time that the whole one takes, which is loaded when a site needs it, or ahead where
//! probes may come later. The computing one is the whole, and has the arithmetic of floats and of 128 bits
//! besides; few sites need it. Where sites are in processes that are none of the session's, all are others
//! that ask first whose hit it is: the check costs nobody else.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use tracer_common::control::{BEGINS, COUNTS, ENDS, FORGETS, NEEDS_FS_BASE, NEEDS_TASK, TURNS};
use tracer_common::op::{
    COPY, COUNT, EMIT, END, EXTEND, FLOAT, JUMP_IF_CONST, LOAD, Op, REJECT, WIDE,
};

use super::bpf::Kind;
use super::error::KernelError;
use super::features;
use super::load::{Forks, LoadOptions};
use super::machine::SiteRequest;
use super::object::Image;
use super::{fetch, guard};

/// Their names in the object: as they are, and for sites that are in processes of others, too.
const NAMES: [Names; 2] = [
    Names {
        plain: "plain",
        whole: "hit",
        computing: "computing",
    },
    Names {
        plain: "plain_of",
        whole: "hit_of",
        computing: "computing_of",
    },
];
/// Flags of what only the whole one does.
const NOT_PLAIN: u32 = NEEDS_FS_BASE | NEEDS_TASK | BEGINS | ENDS | FORGETS | TURNS;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Plain,
    Whole,
    Computing,
}

impl Which {
    /// The one that a site needs: the plain one counts, and makes records of fetches. What of these
    /// is unusual at a hit it does by the plan's ops, as far as it knows them.
    pub(super) fn of(site: &SiteRequest) -> Self {
        let is_common = |code: u8| {
            matches!(
                code,
                END | COPY | EMIT | EXTEND | JUMP_IF_CONST | LOAD | REJECT | COUNT
            )
        };
        let fetches = || {
            let (_, passes_to) = guard::of(&site.ops);
            let rest = site.ops.get(passes_to..).unwrap_or_default();
            fetch::of(rest, site.flags).words != 0
        };
        let is_plain = site.flags & NOT_PLAIN == 0
            && site.ops.iter().all(|op| is_common(op.code))
            && (site.flags & COUNTS != 0 || fetches());
        let computes = |op: &Op| matches!(op.code, FLOAT | WIDE);
        if is_plain {
            Self::Plain
        } else if site.ops.iter().any(computes) {
            Self::Computing
        } else {
            Self::Whole
        }
    }
}

#[derive(Clone, Copy)]
struct Names {
    plain: &'static str,
    whole: &'static str,
    computing: &'static str,
}

/// All of them.
pub(super) struct Programs {
    object: Arc<Image>,
    kind: Kind,
    names: Names,
    plain: OwnedFd,
    whole: Later,
    computing: Later,
}

/// One that is loaded when it is needed.
enum Later {
    No,
    Coming(JoinHandle<Result<OwnedFd, KernelError>>),
    Loaded(OwnedFd),
}

impl Later {
    /// Begins to load it, unless that is done.
    fn begin(&mut self, object: &Arc<Image>, name: &'static str, kind: Kind) {
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
        loaded.ok_or_else(|| super::load::unexpected(name))
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
    pub(super) fn load(object: Image, options: &LoadOptions) -> Result<Self, KernelError> {
        // The filter by pid takes threads for processes before Linux 6.10.
        let may_be_multi =
            !options.perf_events && features::kernel_release() >= features::MULTI_LINKS;
        let [own, of_family] = NAMES;
        let names = if options.forks == Forks::Exact {
            of_family
        } else {
            own
        };
        let multi = may_be_multi.then(|| object.load(names.plain, Kind::MultiUprobe));
        let (kind, plain) = match multi {
            Some(Ok(program)) => (Kind::MultiUprobe, program),
            // A kernel built without them refuses the attach type.
            Some(Err(KernelError::Call { source, .. }))
                if source.raw_os_error() == Some(libc::EINVAL) =>
            {
                (Kind::Uprobe, object.load(names.plain, Kind::Uprobe)?)
            }
            None => (Kind::Uprobe, object.load(names.plain, Kind::Uprobe)?),
            Some(Err(error)) => return Err(error),
        };
        let mut programs = Self {
            object: Arc::new(object),
            kind,
            names,
            plain,
            whole: Later::No,
            computing: Later::No,
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
    pub(super) fn get(&mut self, which: Which) -> Result<BorrowedFd<'_>, KernelError> {
        let (later, name) = match which {
            Which::Plain => return Ok(self.plain.as_fd()),
            Which::Whole => (&mut self.whole, self.names.whole),
            Which::Computing => (&mut self.computing, self.names.computing),
        };
        later.begin(&self.object, name, self.kind);
        later.wait(name)
    }

    /// Sites are attached by multi-uprobe links.
    pub(super) fn has_multi_links(&self) -> bool {
        self.kind == Kind::MultiUprobe
    }

    /// Those that are loaded.
    pub(super) fn loaded(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let later = [self.whole.loaded(), self.computing.loaded()];
        later.into_iter().flatten().chain([self.plain.as_fd()])
    }
}
