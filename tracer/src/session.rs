//! The live set of probes over one target; commands in, events out.
//!
//! One thread owns a session ([`actor`]): its probes, the kernel's side, the targets. All methods of
//! [`Session`] take `&self` and may be called from any thread. Those that read debug information or attach
//! probes may take tens of milliseconds, so a frontend with a screen calls them from a worker.

mod actor;
mod control;
mod error;
mod feed;
mod followed;
mod handle;
mod known_labels;
mod live;
mod locks;
mod notice;
pub mod playback;
mod prepare;
mod probes;
mod reader;
mod shared;
mod sites;
mod start;
mod subscription;
mod targets;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use control::{Control, TargetName};
pub use error::AttachError;
pub use followed::{FollowedProcesses, Unseen};
pub use handle::Session;
pub use live::Removed;
pub(crate) use live::percent;
pub use live::trap_cost::{expected_trap_cost, trap_ns};
pub use notice::Notice;
pub use prepare::check::{Checked, CheckedSite};
pub use prepare::placing::SiteCost;
pub use sites::catalog::{Catalog, FoundFunction, FoundUsdtProbe, LocatedSites, ModuleInfo};
pub use start::Aim;
pub use subscription::{Subscriber, Subscription};

pub use crate::kernel::Forks;

use crate::base::path_text;
use crate::debuginfo::DebugOptions;
use crate::event::{Counters, Done, PlacementId, ProbeId, ProcessHits};
use crate::placement::SiteKind;
use crate::plan;
use crate::value::redact::Redactor;

/// Options of a session.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// Bytes of waiting events and records. Above it the oldest are dropped, and counted as lost. 0
    /// for [`crate::base::limits::BUFFER_BYTES`].
    pub buffer_bytes: usize,
    /// Size in bytes of the ring between kernel and tracer; 0 for the default.
    pub ring_bytes: u32,
    /// Attach by perf events even where the kernel has multi-uprobe links.
    pub perf_events: bool,
    /// Handling of the processes that the target forks.
    pub forks: Forks,
    /// Probes are added later, too.
    pub more_probes: bool,
    /// The instruction of a line to probe.
    pub site: SiteChoice,
    /// Places to look for debug information.
    pub debug: DebugOptions,
    /// Limits on how much of a value is read.
    pub limits: plan::Limits,
    /// Hides the values of sensitive names from every output.
    pub redactor: Redactor,
    /// The `tracer` program, which fetches missing pages in a process of its own. If `None`, such
    /// pages stay away until the target touches them.
    pub pager: Option<PathBuf>,
    /// The semaphores of USDT probes are raised, which is a write into the target. If false, probes
    /// with a semaphore are refused.
    pub usdt_semaphores: bool,
    /// CPUs that all probes together may cost the target, traps included. `None` for no limit.
    pub max_cpu: Option<f64>,
}

/// The choice of the instruction that a probe of a line uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SiteChoice {
    /// The cheapest one that is proven to give the same hits and values.
    #[default]
    Cheapest,
    /// The first one.
    First,
}

/// A source file that the debug information of a module names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Path in the debug information.
    #[serde(with = "path_text")]
    pub path: Arc<PathBuf>,
    /// File name of the module that has code from it.
    pub module: Arc<str>,
    /// It is there and may be shown ([`crate::sources`]).
    pub on_disk: bool,
    /// True for the program's own code, false for that of a library, a package or the compiler.
    pub own: bool,
}

/// One line of a source file that has code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineInfo {
    /// From 1.
    pub line: u64,
    /// Addresses where it begins.
    pub sites: u32,
}

/// A function of a source file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlineEntry {
    /// Line of its declaration, from 1.
    pub line: u64,
    /// Name of the function with its path.
    pub function: String,
}

/// A variable in scope at a line, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableInfo {
    /// Name as the user would write it (`name#2` for a shadowed one).
    pub name: String,
    /// Type, as the source writes it.
    pub ty: String,
    /// `parameter`, `local`, `captured`, `static`.
    pub kind: &'static str,
    /// Its storage in words: `rbp-24`, `register rdi`, `pieces: …`.
    pub place: String,
    /// Why it cannot be read. `None` if it can.
    pub unavailable: Option<String>,
}

/// A probe as the frontend shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeStatus {
    /// Its id.
    pub id: ProbeId,
    /// Name shown to the user: `p1`, or the name given by `as`.
    pub name: String,
    /// The probe's text, as typed.
    pub text: String,
    /// Source file and line of its first site. Empty if the debug information does not have them.
    #[serde(with = "path_text")]
    pub file: Arc<PathBuf>,
    /// Line number, from 1; 0 if the file is not known.
    pub line: u64,
    /// Function of its first site.
    pub function: String,
    /// Sites attached.
    pub sites: u32,
    /// The sites behind the counters. `None` if it has none yet.
    pub placement: Option<PlacementId>,
    /// Neither silenced nor done.
    pub enabled: bool,
    /// Set after its last event, once its breakpoints are out. `None` while more may come.
    pub done: Option<Done>,
    /// Now.
    pub counters: Counters,
    /// The cost of its hits to the target.
    pub cost: Cost,
    /// Notes for the user: moved line, omitted sites, limits reached.
    pub notes: Vec<String>,
    /// Its hits by process. Where it is only one that can hit, all are its own. Hits that are in
    /// [`Self::counters`] and not here are of processes beyond the limit.
    pub processes: Vec<ProcessHits>,
    /// Events that could not be delivered to an OpenTelemetry collector. Other outputs have them.
    pub undelivered: u64,
}

impl ProbeStatus {
    /// `main.rs:57`, or the function where no debug information says the line; `waits` before it
    /// has a site.
    #[must_use]
    pub fn place(&self) -> Cow<'_, str> {
        match self.sites {
            0 => "waits".into(),
            _ => crate::event::place(&self.file, self.line, &self.function),
        }
    }

    /// The time that the hits of one process took, in ns. A hit costs each process the same. `None` if
    /// the cost of the trap is not known.
    #[must_use]
    pub fn cost_of(&self, process: &ProcessHits) -> Option<u64> {
        let total = u128::from(self.cost.total_ns(&self.counters)?);
        let part = total * u128::from(process.hits) / u128::from(self.counters.hits.max(1));
        u64::try_from(part).ok()
    }

    /// CPUs that the hits of one process used while the breakpoints were in the target. `None` when that is
    /// not known.
    #[must_use]
    pub fn share_of(&self, process: &ProcessHits) -> Option<f64> {
        let share = self.cost.share(&self.counters)?;
        Some(share * process.hits as f64 / self.counters.hits.max(1) as f64)
    }

    /// Hits of processes that are not listed one by one.
    #[must_use]
    pub fn hits_of_others(&self) -> u64 {
        let listed = self.processes.iter().map(|process| process.hits).sum();
        self.counters.hits.saturating_sub(listed)
    }
}

/// The cost of a probe to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Kind of the probe's most expensive instruction to the kernel. `None` before it has a site.
    pub kind: Option<SiteKind>,
    /// Trap cost of one hit, in ns, at the probe's most expensive instruction. `None` if not
    /// measured.
    ///
    /// Source: [`crate::kernel::TrapCost`]. The time in eBPF is not in it.
    pub trap_ns: Option<u64>,
    /// CPUs that traps and eBPF program used over about the last second. `None` if not known yet.
    pub cpus: Option<f64>,
    /// Time that its breakpoints were in the target up to now.
    pub attached: Duration,
    /// CPUs that it may cost, alone or with all others. `None` for no limit.
    pub allowed: Option<f64>,
}

/// The cost of all probes of a session, with those that were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SessionSpending {
    /// Nanoseconds until now, as far as they are known.
    pub total_ns: u64,
    /// CPUs over about the last second.
    pub cpus: f64,
    /// Time until the probes have cost no more than the session's limit allows, if they cost nothing from now on.
    pub wait: Duration,
}

impl Cost {
    /// Total time of its hits up to now, in ns. `None` when the trap's cost is not known.
    #[must_use]
    pub fn total_ns(&self, counters: &Counters) -> Option<u64> {
        Some(self.traps_ns(counters)?.saturating_add(counters.bpf_ns))
    }

    /// CPUs that it used while its breakpoints were in the target. `None` when that is not known.
    #[must_use]
    pub fn share(&self, counters: &Counters) -> Option<f64> {
        if self.attached.is_zero() {
            return None;
        }
        Some(self.total_ns(counters)? as f64 / self.attached.as_nanos() as f64)
    }

    /// The probe's traps, including those where a timed span begins.
    #[must_use]
    pub fn traps_ns(&self, counters: &Counters) -> Option<u64> {
        let traps = counters.hits.saturating_add(counters.passed);
        Some(self.trap_ns?.saturating_mul(traps))
    }
}
