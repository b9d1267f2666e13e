//! What probes would be, without attaching them: for `attach --check`.

use std::sync::Arc;

use super::catalog::Catalog;
use super::modules::Modules;
use super::placing::{Placing, announced};
use super::prepare::{self, Prepared, ReadySite, Setting, control, locate};
use super::{Options, ProbeError};
use crate::debuginfo::site::Site;
use crate::lang::ast::ProbeSpec;
use crate::plan::PlannedValue;
use crate::plan::placement::Placed;

/// A probe that could be attached.
#[derive(Debug)]
pub struct Checked {
    /// File name of the module that has its sites.
    pub module: Arc<str>,
    /// At least one.
    pub sites: Vec<CheckedSite>,
    /// Events that it may send at most; `None`: any number.
    pub hits: Option<u64>,
    /// Events a second that it may send; `None`: any number.
    pub rate: Option<f64>,
    /// What the user should know: sites left out, values that are unavailable.
    pub notes: Vec<String>,
}

/// One site of it.
#[derive(Debug)]
pub struct CheckedSite {
    /// Where the line begins.
    pub site: Site,
    /// The instruction that would be probed.
    pub place: Placed,
    /// Ops of its plan.
    pub ops: usize,
    /// What each event would have.
    pub values: Vec<PlannedValue>,
}

impl Catalog {
    /// Compiles probes that would be attached together; nothing is attached.
    ///
    /// `pid` is the process that the modules are those of, if they are a process's. Each probe has its own
    /// answer: why it could not be attached, as the session would say it.
    #[must_use]
    pub fn check(
        &self,
        pid: Option<u32>,
        specs: &[&ProbeSpec],
        options: &Options,
    ) -> Vec<Result<Checked, ProbeError>> {
        let mut placing = Placing::new(pid, options.site);
        placing.announce(announced(self.modules_of(), specs.iter().copied()));
        let check = |spec: &&ProbeSpec| check(self.modules_of(), spec, &placing, options);
        specs.iter().map(check).collect()
    }
}

fn check(
    modules: &Modules,
    spec: &ProbeSpec,
    placing: &Placing,
    options: &Options,
) -> Result<Checked, ProbeError> {
    let located = locate(modules, spec)?;
    let Prepared {
        module,
        sites,
        notes,
        ..
    } = prepare::prepare(
        spec,
        located,
        Setting {
            modules,
            placing,
            options,
        },
    )?;
    let site = |ready: ReadySite| CheckedSite {
        values: ready.plan.layout.planned(),
        ops: ready.plan.ops.len(),
        site: ready.site,
        place: ready.place,
    };
    let control = control(spec);
    let (hits, interval_ns) = (control.hit_budget, control.interval_ns);
    Ok(Checked {
        module: module.file.name.as_str().into(),
        sites: sites.into_iter().map(site).collect(),
        hits: (hits > 0).then_some(hits),
        rate: (interval_ns > 0).then(|| 1e9 / interval_ns as f64),
        notes,
    })
}
