//! The lines of lists: files, lines, sites with their variables, functions, and probes that are only checked.
//!
//! `tracer lines`, `vars`, `funcs` and `attach --check` write them with `--json`, and an assistant gets them.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::site::{InlinedInto, Site, SourceLine};
use crate::kernel::TrapCost;
use crate::lang::ast::ProbeSpec;
use crate::plan::PlannedValue;
use crate::session::{
    Checked, CheckedSite, FoundFunction, LineInfo, LocatedSites, SiteCost, SourceFile,
    VariableInfo, trap_ns,
};

/// The place of a site among those of its location, from 1.
#[derive(Clone, Copy)]
pub(crate) struct SiteNumber {
    pub(crate) number: usize,
    pub(crate) count: usize,
}

impl SiteNumber {
    pub(crate) const fn new(index: usize, count: usize) -> Self {
        Self {
            number: index + 1,
            count,
        }
    }
}

/// A source file of the program.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FileLine<'l> {
    r#type: &'static str,
    file: Cow<'l, str>,
    module: &'l str,
    on_disk: bool,
    own: bool,
}

/// A line that has code.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LineLine<'l> {
    r#type: &'static str,
    file: Cow<'l, str>,
    line: u64,
    sites: u32,
}

/// An address at which a location begins.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SiteLine<'l> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    site: usize,
    of: usize,
    address: String,
    module: &'l str,
    function: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trap_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cheapest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cheapest_cost: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cheapest_trap_ns: Option<u64>,
    /// Why its first instruction cannot be probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    obstacle: Option<&'l str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inlined_into: Vec<CallLine<'l>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'l [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<Vec<VariableLine<'l>>>,
}

/// A call that was inlined.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CallLine<'l> {
    function: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
}

/// A variable in scope.
#[derive(Serialize, JsonSchema)]
pub(crate) struct VariableLine<'l> {
    name: &'l str,
    r#type: &'l str,
    kind: &'static str,
    place: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<&'l str>,
}

impl<'l> SiteLine<'l> {
    pub(crate) fn new(
        site: &'l Site,
        SiteNumber { number, count }: SiteNumber,
        located: &'l LocatedSites,
        variables: Option<&'l Vec<VariableInfo>>,
    ) -> Self {
        let source = site.source.as_ref();
        Self {
            r#type: "site",
            file: source.map(|source| source.file.to_string_lossy().into_owned()),
            line: source.map(|source| source.line),
            site: number,
            of: count,
            address: site.address.to_string(),
            module: &located.module,
            function: &site.function,
            cost: None,
            trap_ns: None,
            cheapest: None,
            cheapest_cost: None,
            cheapest_trap_ns: None,
            obstacle: None,
            inlined_into: site.inlined_into.iter().map(CallLine::from).collect(),
            notes: &located.notes,
            variables: variables.map(|all| all.iter().map(VariableLine::from).collect()),
        }
    }
}

impl<'l> SiteLine<'l> {
    pub(crate) fn set_cost(&mut self, cost: Option<&'l SiteCost>, trap: Option<&TrapCost>) {
        let ns = |kind| trap.map(|trap| trap_ns(trap, kind));
        // A site that cannot be probed has no cost.
        let probed = cost.filter(|cost| cost.obstacle.is_none());
        self.cost = probed.map(|cost| cost.first.name());
        self.obstacle = cost.and_then(|cost| cost.obstacle.as_deref());
        let cheapest = cost.and_then(|cost| cost.cheapest);
        self.cheapest = cheapest.map(|(place, _)| place.to_string());
        self.cheapest_cost = cheapest.map(|(_, kind)| kind.name());
        self.trap_ns = probed.and_then(|cost| ns(cost.first));
        self.cheapest_trap_ns = cheapest.and_then(|(_, kind)| ns(kind));
    }
}

impl<'l> From<&'l InlinedInto> for CallLine<'l> {
    fn from(step: &'l InlinedInto) -> Self {
        let call = step.call.as_ref();
        Self {
            function: &step.function,
            file: call.map(|call| call.file.to_string_lossy().into_owned()),
            line: call.map(|call| call.line),
        }
    }
}

impl<'l> From<&'l VariableInfo> for VariableLine<'l> {
    fn from(variable: &'l VariableInfo) -> Self {
        Self {
            name: &variable.name,
            r#type: &variable.ty,
            kind: variable.kind,
            place: &variable.place,
            unavailable: variable.unavailable.as_deref(),
        }
    }
}

/// A function.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FunctionLine<'l> {
    r#type: &'static str,
    name: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    addresses: Vec<String>,
    inlined: Vec<String>,
    own: bool,
}

impl<'l> From<&'l FoundFunction> for FunctionLine<'l> {
    fn from(found: &'l FoundFunction) -> Self {
        let function = &found.info;
        let declared = function.declared.as_ref();
        Self {
            r#type: "function",
            name: &function.name,
            file: declared.map(|line| line.file.to_string_lossy().into_owned()),
            line: declared.map(|line| line.line),
            addresses: function.addresses.iter().map(ToString::to_string).collect(),
            inlined: function.inlined.iter().map(ToString::to_string).collect(),
            own: found.own,
        }
    }
}

/// A probe that could be attached.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CheckedProbeLine<'l> {
    r#type: &'static str,
    text: &'l str,
    module: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hits: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    per_process: bool,
    sites: Vec<CheckedSiteLine<'l>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'l [String],
}

/// A site of a checked probe.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CheckedSiteLine<'l> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    function: &'l str,
    address: String,
    probed: String,
    cost: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trap_ns: Option<u64>,
    ops: usize,
    values: Vec<CheckedValueLine<'l>>,
}

/// A value of its events.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CheckedValueLine<'l> {
    expr: &'l str,
    r#type: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<String>,
}

/// A probe that is refused.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RefusedLine<'l> {
    r#type: &'static str,
    text: &'l str,
    message: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'l str>,
    /// Bytes from the start of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<[usize; 2]>,
}

impl<'l> RefusedLine<'l> {
    pub(crate) fn new(text: &'l str, error: &'l Diagnostic) -> Self {
        Self {
            r#type: "refused",
            text,
            message: &error.message,
            hint: error.hint.as_deref(),
            span: error.span.as_ref().map(|span| [span.start, span.end]),
        }
    }
}

impl<'l> CheckedProbeLine<'l> {
    pub(crate) fn new(spec: &'l ProbeSpec, probe: &'l Checked, trap: Option<&TrapCost>) -> Self {
        let site = |site| CheckedSiteLine::new(site, trap);
        Self {
            r#type: "probe",
            text: &spec.text,
            module: &probe.module,
            hits: probe.hits,
            rate: probe.rate,
            per_process: spec.options.per_process,
            sites: probe.sites.iter().map(site).collect(),
            notes: &probe.notes,
        }
    }
}

impl<'l> CheckedSiteLine<'l> {
    fn new(checked: &'l CheckedSite, trap: Option<&TrapCost>) -> Self {
        let source = checked.site.source.as_ref();
        let file = |source: &SourceLine| source.file.to_string_lossy().into_owned();
        Self {
            file: source.map(file),
            line: source.map(|source| source.line),
            function: &checked.site.function,
            address: checked.site.address.to_string(),
            probed: checked.place.address.to_string(),
            cost: checked.place.kind.name(),
            trap_ns: trap.map(|trap| trap_ns(trap, checked.place.kind)),
            ops: checked.ops,
            values: checked.values.iter().map(CheckedValueLine::from).collect(),
        }
    }
}

impl<'l> From<&'l PlannedValue> for CheckedValueLine<'l> {
    fn from(planned: &'l PlannedValue) -> Self {
        Self {
            expr: &planned.expr,
            r#type: &planned.ty,
            unavailable: planned.unavailable.as_ref().map(ToString::to_string),
        }
    }
}

impl<'l> From<&'l SourceFile> for FileLine<'l> {
    fn from(file: &'l SourceFile) -> Self {
        Self {
            r#type: "file",
            file: file.path.to_string_lossy(),
            module: &file.module,
            on_disk: file.on_disk,
            own: file.own,
        }
    }
}

impl<'l> LineLine<'l> {
    pub(crate) fn new(file: &'l SourceFile, line: &LineInfo) -> Self {
        Self {
            r#type: "line",
            file: file.path.to_string_lossy(),
            line: line.line,
            sites: line.sites,
        }
    }
}
