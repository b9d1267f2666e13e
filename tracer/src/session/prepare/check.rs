//! Compiles probes without attaching them: for `attach --check`.

use std::sync::Arc;

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::site::Site;
use crate::event::noun;
use crate::lang::ast::ProbeSpec;
use crate::placement::ProbePlacement;
use crate::plan::PlannedValue;
use crate::session::SessionOptions;
use crate::session::prepare::placing::SitePlacer;
use crate::session::prepare::rate_limits::control;
use crate::session::prepare::runtime::{announced, runtime_of};
use crate::session::prepare::{PreparedProbe, ReadySite, Setting};
use crate::session::sites::catalog::Catalog;

/// A probe that could be attached.
#[derive(Debug)]
pub struct Checked {
    /// File name of the module that has its sites.
    pub module: Arc<str>,
    /// Never empty.
    pub sites: Vec<CheckedSite>,
    /// Most events that it may send. `None` for no limit.
    pub hits: Option<u64>,
    /// Most events per second that it may send. `None` for no limit.
    pub rate: Option<f64>,
    /// Notes for the user: omitted sites, unavailable values.
    pub notes: Vec<String>,
}

/// One site of it.
#[derive(Debug)]
pub struct CheckedSite {
    /// The start of the line.
    pub site: Site,
    /// The instruction that would be probed.
    pub place: ProbePlacement,
    /// Ops of its plan.
    pub ops: usize,
    /// The values of each event.
    pub values: Vec<PlannedValue>,
}

impl Catalog {
    /// Compiles probes as if they were attached together. Attaches nothing.
    ///
    /// `pid` is the process that has the modules mapped, if any. Each probe has its own answer: an
    /// error is the one that the session would report.
    #[must_use]
    pub fn check(
        &self,
        pid: Option<u32>,
        specs: &[&ProbeSpec],
        options: &SessionOptions,
    ) -> Vec<Result<Checked, Diagnostic>> {
        let mut placing = SitePlacer::new(pid, options.site);
        placing.announce(announced(self.modules_of(), specs.iter().copied()));
        let has_spans = specs.iter().any(|spec| spec.action.kind().makes_spans());
        let check = |spec: &&ProbeSpec| {
            let setting = Setting {
                modules: self.modules_of(),
                placing: &placing,
                options,
                numbers: None,
                has_spans,
            };
            check(spec, setting)
        };
        specs.iter().map(check).collect()
    }
}

fn check(spec: &ProbeSpec, setting: Setting<'_>) -> Result<Checked, Diagnostic> {
    let runtime = runtime_of(spec);
    let location = runtime.resolve(setting.modules, spec)?;
    let PreparedProbe {
        module,
        sites,
        mut notes,
        trace: _,
        elsewhere,
    } = runtime.plan(spec, location, setting)?;
    notes.extend(elsewhere.iter().map(|part| {
        let count = part.sites.len();
        let sites = noun(count as u64, "more site");
        format!("{count} {sites} in `{}`", part.module.file.name)
    }));
    let site = |ready: ReadySite| CheckedSite {
        values: ready.plan.layout.planned(),
        ops: ready.plan.program.ops.len(),
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
