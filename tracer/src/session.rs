//! The live set of probes over one target; commands in, events out.
//!
//! All methods take `&self` and may be called from any thread; those that read
//! debug information or attach probes may take tens of milliseconds, so a
//! frontend with a screen calls them from a worker.

mod aggregates;
mod backlog;
mod budget;
mod callers;
mod catalog;
mod check;
mod clock;
mod copies;
mod cost;
mod done;
mod error;
mod family;
mod following;
mod frames;
mod keeper;
mod linker;
mod live;
mod looks;
mod modules;
mod own;
mod patched;
mod placing;
mod prepare;
mod queue;
mod reader;
mod refused;
mod removed;
mod resolve;
mod shared;
mod spending;
mod switch;
mod symbols;
mod timing;
mod variants;
mod wait;
mod warm;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use budget::percent;
pub use catalog::{Catalog, FoundFunction, Located, ModuleInfo};
pub use check::{Checked, CheckedSite};
pub use cost::{expected_trap_cost, trap_ns};
pub use error::AttachError;
pub use family::{Followed, Unseen};
pub use live::Session;
pub use placing::SiteCost;
pub use removed::Removed;

pub use crate::kernel::Forks;

use crate::debuginfo::DebugOptions;
use crate::event::{Aggregate, Counters, Done, Notice, ProbeId};
use crate::plan;
use crate::plan::placement::SiteKind;
use crate::redact::Redactor;
use crate::sources::SourceText;

/// How a session is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Events that may wait for a slow frontend; the oldest is dropped, and
    /// counted as lost, beyond. 0 is the default.
    pub queue: usize,
    /// Bytes of events and records that may wait; the oldest are dropped, and counted as lost,
    /// beyond. 0 is [`crate::limits::BUFFER_BYTES`].
    pub buffer_bytes: usize,
    /// The frontend wants every event and takes its time: what finds no room waits as a record
    /// first.
    pub patient: bool,
    /// Bytes of the ring between kernel and tracer; 0 is the default.
    pub ring_bytes: u32,
    /// Attach by perf events even where the kernel has multi-uprobe links.
    pub perf_events: bool,
    /// What becomes of the processes that the target forks.
    pub forks: Forks,
    /// Probes are added later, too.
    pub more_probes: bool,
    /// Which instruction of a line is probed.
    pub site: SiteChoice,
    /// Where to look for debug information.
    pub debug: DebugOptions,
    /// How much of a value is read.
    pub limits: plan::Limits,
    /// Names whose values no output gets.
    pub redactor: Redactor,
    /// The `tracer` program, which brings pages in that hits have missed, as a process of its own; `None`:
    /// they stay away until the target touches them.
    pub pager: Option<PathBuf>,
    /// CPUs that all probes together may cost the target, the traps included; `None`: any.
    pub max_cpu: Option<f64>,
}

/// Which instruction of a line is probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SiteChoice {
    /// The cheapest one at which hits and values are proven to be the same.
    #[default]
    Cheapest,
    /// The first one.
    First,
}

/// A source file that the debug information of a module names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Path as the debug information gives it.
    pub path: Arc<PathBuf>,
    /// File name of the module that has code from it.
    pub module: Arc<str>,
    /// It is there and may be shown ([`crate::sources`]).
    pub on_disk: bool,
    /// It is the program's own: not a library's, a package's, or the compiler's.
    pub own: bool,
}

/// One line of a source file that has code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// From 1.
    pub line: u64,
    /// Addresses where it begins.
    pub sites: u32,
}

/// A function of a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineEntry {
    /// Where it is declared, from 1.
    pub line: u64,
    /// With the path that leads to it.
    pub function: String,
}

/// A variable in scope at a line, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableInfo {
    /// As the user would write it (`name#2` for a shadowed one).
    pub name: String,
    /// Type, as the source writes it.
    pub ty: String,
    /// `parameter`, `local`, `captured`, `static`.
    pub kind: &'static str,
    /// Where it lives, in words: `rbp-24`, `register rdi`, `pieces: …`.
    pub place: String,
    /// `None`: readable; else why not.
    pub unavailable: Option<String>,
}

/// A probe as the frontend shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeStatus {
    /// Its id.
    pub id: ProbeId,
    /// Name shown to the user: `p1` or what `as` says.
    pub name: String,
    /// The probe's text, as typed.
    pub text: String,
    /// Source file and line of its first site; empty where no debug information says them.
    pub file: Arc<PathBuf>,
    /// From 1; 0 where the file is not known.
    pub line: u64,
    /// Function of its first site.
    pub function: String,
    /// Sites attached.
    pub sites: u32,
    /// Neither silenced nor done.
    pub enabled: bool,
    /// It has had its last event, and its breakpoints are out; `None`: more may come.
    pub done: Option<Done>,
    /// Now.
    pub counters: Counters,
    /// What its hits cost the target.
    pub cost: Cost,
    /// What the user should know of it: moved line, sites left out, limits reached.
    pub notes: Vec<String>,
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
}

/// What a probe costs the target.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// What the dearest of the probe's instructions is for the kernel; `None`: no site yet.
    pub kind: Option<SiteKind>,
    /// The trap of one hit, in ns, at the dearest of the probe's instructions; `None`: not measured.
    ///
    /// Source: [`crate::kernel::TrapCost`]. The time in eBPF is not in it.
    pub trap_ns: Option<u64>,
    /// CPUs that traps and eBPF program took over about the last second; `None`: not known yet.
    pub cpus: Option<f64>,
    /// For how long its breakpoints were in the target so far.
    pub attached: Duration,
    /// CPUs that it may cost, alone or with all others; `None`: any.
    pub allowed: Option<f64>,
}

impl Cost {
    /// Everything that the hits took so far, in ns; `None` when the trap's cost is not known.
    #[must_use]
    pub fn total_ns(&self, counters: &Counters) -> Option<u64> {
        Some(self.traps_ns(counters)?.saturating_add(counters.bpf_ns))
    }

    /// The CPUs that it took while its breakpoints were in the target; `None` when that is not known.
    #[must_use]
    pub fn share(&self, counters: &Counters) -> Option<f64> {
        if self.attached.is_zero() {
            return None;
        }
        Some(self.total_ns(counters)? as f64 / self.attached.as_nanos() as f64)
    }

    /// The traps of it; those at which something begins that is timed are among them.
    #[must_use]
    pub fn traps_ns(&self, counters: &Counters) -> Option<u64> {
        let traps = counters.hits.saturating_add(counters.passed);
        Some(self.trap_ns?.saturating_mul(traps))
    }
}

/// A mistake in a probe, or why it could not be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeError {
    /// Lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where in the probe's text.
    pub span: Option<std::ops::Range<usize>>,
    /// A privilege is missing, so no other probe would help.
    pub missing: bool,
}

/// What a frontend asks of a session: the whole of what it may know.
pub trait Control: Send + Sync {
    /// Name of the target's executable and its pid.
    fn target(&self) -> (String, u32);
    /// Every source file of every module, sorted by path; those on disk first.
    fn source_files(&self) -> Vec<SourceFile>;
    /// A source file, at most [`crate::limits::SOURCE_BYTES`].
    ///
    /// # Errors
    /// Says why it could not be read.
    fn source_text(&self, file: &SourceFile) -> Result<SourceText, ProbeError>;
    /// The functions that are declared in a source file, by line: they stand for a text that is not
    /// there.
    fn outline(&self, file: &SourceFile) -> Vec<OutlineEntry>;
    /// The lines of a file that have code, by line.
    ///
    /// # Errors
    /// The debug information could not be read.
    fn lines(&self, file: &SourceFile) -> Result<Vec<LineInfo>, ProbeError>;
    /// The variables in scope at a line (at its first site).
    ///
    /// # Errors
    /// The line has no code, or the debug information could not be read.
    fn variables(&self, file: &SourceFile, line: u64) -> Result<Vec<VariableInfo>, ProbeError>;
    /// Parses, plans and attaches a probe.
    ///
    /// # Errors
    /// See [`ProbeError`]; nothing is left attached.
    fn add(&self, text: &str) -> Result<ProbeStatus, ProbeError>;
    /// Silences a probe at once, detaches it, and gives its last state.
    fn remove(&self, probe: ProbeId) -> Option<ProbeStatus>;
    /// Silences or wakes a probe. One that is done begins anew when it is woken, with as many hits
    /// and as much time as at first.
    fn set_enabled(&self, probe: ProbeId, enabled: bool);
    /// All probes, by id, with counters of now.
    fn probes(&self) -> Vec<ProbeStatus>;
    /// What probes that add hits up have so far, by probe.
    fn aggregates(&self) -> Vec<Aggregate>;
    /// Up to `max` notices that wait, oldest first; returns at once.
    fn take_notices(&self, max: usize) -> Vec<Notice>;
}
