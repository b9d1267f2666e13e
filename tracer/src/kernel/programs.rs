//! The two programs that sites run.
//!
//! A plain one does all that most logs and counts need; the kernel has verified it in a third of
//! the time that the whole one takes, which is loaded when a site needs it, or ahead where
//! probes may come later. Where sites are in processes that are none of the session's, both are others
//! that ask first whose hit it is: the check costs nobody else.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use tracer_common::control::{BEGINS, COUNTS, ENDS, FORGETS, NEEDS_FS_BASE, NEEDS_TASK, TURNS};
use tracer_common::op::{COPY, COUNT, EMIT, END, EXTEND, JUMP_IF_CONST, LOAD, REJECT};

use super::bpf::Kind;
use super::error::KernelError;
use super::features;
use super::load::{Forks, LoadOptions};
use super::machine::SiteRequest;
use super::object::Image;
use super::{fetch, guard};

/// Their names in the object: as they are, and for sites that are in processes of others, too.
const NAMES: [(&str, &str); 2] = [("plain", "hit"), ("plain_of", "hit_of")];
/// Flags of what only the whole one does.
const NOT_PLAIN: u32 = NEEDS_FS_BASE | NEEDS_TASK | BEGINS | ENDS | FORGETS | TURNS;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Plain,
    Whole,
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
        if is_plain { Self::Plain } else { Self::Whole }
    }
}

/// Both.
pub(super) struct Programs {
    object: Arc<Image>,
    kind: Kind,
    /// Name of the whole one.
    name: &'static str,
    plain: OwnedFd,
    whole: Whole,
}

enum Whole {
    No,
    Coming(JoinHandle<Result<OwnedFd, KernelError>>),
    Loaded(OwnedFd),
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
        let (small, name) = if options.forks == Forks::Exact {
            of_family
        } else {
            own
        };
        let multi = may_be_multi.then(|| object.load(small, Kind::MultiUprobe));
        let (kind, plain) = match multi {
            Some(Ok(program)) => (Kind::MultiUprobe, program),
            // A kernel built without them refuses the attach type.
            Some(Err(KernelError::Call { source, .. }))
                if source.raw_os_error() == Some(libc::EINVAL) =>
            {
                (Kind::Uprobe, object.load(small, Kind::Uprobe)?)
            }
            None => (Kind::Uprobe, object.load(small, Kind::Uprobe)?),
            Some(Err(error)) => return Err(error),
        };
        let mut programs = Self {
            object: Arc::new(object),
            kind,
            name,
            plain,
            whole: Whole::No,
        };
        if options.more_probes {
            programs.begin();
        }
        Ok(programs)
    }

    /// Begins to load the whole one, unless that is done.
    fn begin(&mut self) {
        if matches!(self.whole, Whole::No) {
            let (object, name, kind) = (Arc::clone(&self.object), self.name, self.kind);
            let load = move || object.load(name, kind);
            self.whole = Whole::Coming(std::thread::spawn(load));
        }
    }

    /// One of them; waits for it.
    ///
    /// # Errors
    /// The kernel refused.
    pub(super) fn get(&mut self, which: Which) -> Result<BorrowedFd<'_>, KernelError> {
        if which == Which::Plain {
            return Ok(self.plain.as_fd());
        }
        self.begin();
        self.whole = match std::mem::replace(&mut self.whole, Whole::No) {
            Whole::Coming(thread) => {
                let loaded = thread.join();
                let loaded = loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                Whole::Loaded(loaded?)
            }
            there => there,
        };
        match &self.whole {
            Whole::Loaded(program) => Ok(program.as_fd()),
            _ => Err(super::load::unexpected(self.name)),
        }
    }

    /// Sites are attached by multi-uprobe links.
    pub(super) fn has_multi_links(&self) -> bool {
        self.kind == Kind::MultiUprobe
    }

    /// Those that are loaded.
    pub(super) fn loaded(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let whole = match &self.whole {
            Whole::Loaded(program) => Some(program.as_fd()),
            _ => None,
        };
        whole.into_iter().chain([self.plain.as_fd()])
    }
}
