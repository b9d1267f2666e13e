//! Sites of a trace: every line of a function, and of the functions that it calls, with the places where calls begin
//! and end.

mod calls;
mod code_modules;
mod follow;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracer_common::trace::{
    ANNOUNCES_CALLS, CALLS_COMPUTED, FOLLOWS_CALLS, NEEDS_ANNOUNCEMENT, RETURNS_FROM_CALLS,
    TAKES_CALLS, TraceControl,
};

use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::KnownExits;
use crate::debuginfo::Module as DebugModule;
use crate::debuginfo::function_code::{FunctionCode, Statement};
use crate::debuginfo::place::LocationExpr;
use crate::debuginfo::site::{Exit, Site, SourceLine};
use crate::kernel::TraceRequest;
use crate::lang::ast::{Action, LineRange, LocationKind, ProbeSpec, TraceAction};
use crate::plan::timing::Frame;
use crate::plan::tracing::StepSite;
use crate::session::sites::modules::{Modules, TargetModule};
use crate::session::sites::resolve::{Resolved, resolve};
use crate::session::sites::traced::calls::FollowedCode;
use crate::session::sites::traced::code_modules::{CodeModule, CodeModules};
use crate::sources::is_own_source;

pub(in crate::session) use code_modules::TraceAddr;

/// Bytes from the stack pointer to the frame address where the return address is on top.
const RETURN_ADDRESS: u64 = 8;
/// Steps of one call that are recorded. A loop of a million turns has its last ones recorded as well.
const MAX_STEPS: u64 = 20_000_000;

/// A site of a trace.
#[derive(Clone, Debug)]
pub(in crate::session) struct TracedSite {
    pub(in crate::session) site: Site,
    pub(in crate::session) step: StepSite,
}

/// The sites of a trace.
#[derive(Clone)]
pub(in crate::session) struct Traced {
    /// The module with the traced function.
    pub(in crate::session) module: Arc<TargetModule>,
    /// Its sites.
    pub(in crate::session) sites: Vec<TracedSite>,
    /// The sites in other modules, each with its own.
    pub(in crate::session) elsewhere: Vec<(Arc<TargetModule>, Vec<TracedSite>)>,
    /// The limits and the callers, for the kernel side.
    pub(in crate::session) request: TraceRequest,
    /// The code that has the sites, so that more can be added.
    pub(in crate::session) code: Arc<TracedCode>,
    /// Notes for the user.
    pub(in crate::session) notes: Vec<String>,
}

/// The code of a trace that has sites.
#[derive(Clone)]
pub(in crate::session) struct TracedCode {
    /// The modules with its functions.
    pub(in crate::session) modules: CodeModules,
    /// The file of the traced function, whose lines are always shown.
    of: Option<Arc<PathBuf>>,
    /// Numbers of lines, from 1.
    lines: HashMap<(Arc<PathBuf>, u64), u32>,
    /// Number of its sites.
    sites: u32,
    /// The functions and their calls.
    followed: FollowedCode,
}

/// An address to which a call or a jump to a computed address was seen to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct SeenCall {
    /// Address of the call or the jump.
    pub(in crate::session) from: TraceAddr,
    /// The address.
    pub(in crate::session) target: TraceAddr,
}

/// Finds the sites of a trace.
///
/// # Errors
/// No function has the name, or its calls cannot be told apart.
pub(in crate::session) fn resolve_traced(
    modules: &Modules,
    spec: &ProbeSpec,
) -> Result<Traced, Diagnostic> {
    let location = &spec.location;
    let (LocationKind::Function(_), Action::Trace(action)) = (&location.kind, &spec.action) else {
        return Err(Diagnostic::at(&location.span, "`trace` needs a function"));
    };
    let Resolved {
        module,
        sites: starts,
        mut notes,
    } = resolve(modules, location)?;
    let traced_modules = CodeModules::of(module, action.into_all)
        .map_err(|error| Diagnostic::at(&location.span, error.to_string()))?;
    let first = Arc::clone(&traced_modules.first);
    let refused = |error: Diagnostic| match error.span {
        Some(_) => error,
        None => Diagnostic {
            span: Some(location.span.clone()),
            ..error
        },
    };
    let name = location_name(spec);
    let own = with_code(spec, starts, &mut notes)?;
    for site in &own {
        // An `async fn` itself only makes the future, which has the lines.
        let body = format!("{}::{{async_fn#0}}", site.function);
        if first.debug.function_sites(&body).is_ok() {
            notes.push(format!(
                "`{name}` only makes its future; `trace {body}` records the lines of one poll"
            ));
        }
    }
    let of = own.first().and_then(own_file);
    let code = TracedCode {
        modules: traced_modules,
        of,
        lines: HashMap::new(),
        sites: 0,
        followed: FollowedCode::default(),
    };
    let mut search = StepSearch::of(modules, action, code);
    let mut roots = Vec::new();
    for start in &own {
        let code = first.debug.function_code_at(start.address).ok_or_else(|| {
            Diagnostic::at(
                &location.span,
                "its code is not known to the debug information",
            )
        })?;
        search.traced(&first, &code, start).map_err(refused)?;
        roots.push(first.trace(code.entry));
    }
    if let Some(range) = &action.lines
        && !search
            .points
            .values()
            .any(|point| point.line != 0 && search.is_shown(&point.site))
    {
        let message = format!("`{name}` has no code on these lines");
        return Err(Diagnostic::at(&range.span, message));
    }
    let depth = spec.options.depth.unwrap_or(0);
    search.follow_from(roots, depth, &mut notes);
    search.finish(depth, notes)
}

/// Finds the sites that a trace lacks in functions that calls of computed addresses were seen to call.
///
/// # Errors
/// The debug information is not read any further, or too many calls would be followed.
pub(in crate::session) fn resolve_more(
    modules: &Modules,
    spec: &ProbeSpec,
    code: &TracedCode,
    seen: &[SeenCall],
) -> Result<Traced, Diagnostic> {
    let Action::Trace(action) = &spec.action else {
        return Err(Diagnostic::new("`trace` needs a function"));
    };
    let depth = spec.options.depth.unwrap_or(0);
    let mut search = StepSearch::of(modules, action, code.clone());
    let mut notes = Vec::new();
    search.follow_seen(seen, depth, &mut notes);
    search.finish(depth, notes)
}

/// The beginnings of the functions with code of their own among those of a name.
fn with_code(
    spec: &ProbeSpec,
    starts: Vec<Site>,
    notes: &mut Vec<String>,
) -> Result<Vec<Site>, Diagnostic> {
    let location = &spec.location;
    let (own, copies): (Vec<Site>, Vec<Site>) = starts
        .into_iter()
        .partition(|site| site.inlined_into.is_empty());
    let name = location_name(spec);
    if !copies.is_empty() {
        let count = copies.len();
        let of = if count == 1 { "copy of" } else { "copies of" };
        let are = if count == 1 { "is" } else { "are" };
        notes.push(format!("{count} inlined {of} `{name}` {are} not traced"));
    }
    let Some(first) = own.first() else {
        let error = Diagnostic::at(
            &location.span,
            format!("`{name}` has only inlined copies, which have no calls to trace"),
        );
        return Err(error.hint("trace the function that it is inlined into"));
    };
    if first.is_bare() {
        let message = format!("`{name}` has no debug information, so its lines are not known");
        return Err(Diagnostic::at(&location.span, message));
    }
    Ok(own)
}

/// The function as the user names it.
fn location_name(spec: &ProbeSpec) -> &str {
    let text = spec.text.get(spec.location.span.clone());
    text.unwrap_or_default()
}

/// The source file of a site.
fn own_file(site: &Site) -> Option<Arc<PathBuf>> {
    site.source.as_ref().map(|source| Arc::clone(&source.file))
}

/// One address with its roles.
struct Point {
    site: Site,
    frame: Frame,
    roles: u32,
    line: u32,
}

/// A call or a jump to a computed address.
struct ComputedCall {
    site: Site,
    frame: Frame,
    target: LocationExpr,
}

/// Collects the sites of a trace.
struct StepSearch<'m> {
    modules: &'m Modules,
    action: &'m TraceAction,
    /// The code that has sites, with those of this search.
    code: TracedCode,
    /// By the number of the module and the address in it.
    points: BTreeMap<(usize, LinkAddr), Point>,
    /// They have sites of their own, so that lines need not compute the target.
    computed: BTreeMap<(usize, LinkAddr), ComputedCall>,
    /// Lines whose frame is not known.
    unknown_frames: usize,
    /// Followed functions whose returns cannot be observed, with the reason.
    unseen_returns: Vec<UnseenReturns>,
}

/// A function that may return where it is not observed.
struct UnseenReturns {
    function: String,
    why: String,
}

impl<'m> StepSearch<'m> {
    fn of(modules: &'m Modules, action: &'m TraceAction, code: TracedCode) -> Self {
        Self {
            modules,
            action,
            code,
            points: BTreeMap::new(),
            computed: BTreeMap::new(),
            unknown_frames: 0,
            unseen_returns: Vec::new(),
        }
    }

    /// Adds the traced function itself. Its calls begin at `start`, behind the prologue.
    fn traced(
        &mut self,
        module: &CodeModule,
        code: &FunctionCode,
        start: &Site,
    ) -> Result<(), Diagnostic> {
        let debug = &module.debug;
        let entry = code.entry;
        let turns = debug.turns(entry).map_err(|why| {
            Diagnostic::new(format!(
                "calls of `{}` cannot be told apart from turns of a loop: {why}",
                start.function
            ))
        })?;
        if !turns.is_empty() {
            return Err(Diagnostic::new(format!(
                "calls of `{}` cannot be told apart from turns of a loop that begins at its first instruction",
                start.function
            ))
            .hint("trace the function that calls it, with `depth 1`"));
        }
        self.lines_of(module, code, start.address);
        self.returns(module, code, &start.function)?;
        let frame = cfa(debug, start.address).ok_or_else(|| {
            Diagnostic::new(format!("the frame of `{}` is not known", start.function))
        })?;
        let comes_back = start.address != entry
            && debug.leads_back(entry, start.address, entry..=start.address) != Some(false);
        let roles = if comes_back {
            TAKES_CALLS | NEEDS_ANNOUNCEMENT
        } else {
            TAKES_CALLS
        };
        let line = self.number_of(start);
        let at = (module.number, start.address);
        match self.points.get(&at) {
            Some(point) if point.roles & RETURNS_FROM_CALLS != 0 => {
                let message = format!("`{}` returns at once: it has no lines", start.function);
                return Err(Diagnostic::new(message));
            }
            _ => {}
        }
        self.points.insert(
            at,
            Point {
                site: start.clone(),
                frame,
                roles,
                line,
            },
        );
        if comes_back {
            self.entry(module, entry, ANNOUNCES_CALLS);
        }
        Ok(())
    }

    /// Adds the lines of a function that are the program's own, from `start` on.
    fn lines_of(&mut self, module: &CodeModule, code: &FunctionCode, start: LinkAddr) {
        let debug = &module.debug;
        let rows = code.ranges.iter().flat_map(|&(begin, end)| {
            let last = LinkAddr(end.0.saturating_sub(1));
            debug.statements_between(begin, last)
        });
        // The prologue has not set the frame up yet.
        let mut rows: Vec<Statement> = rows
            .filter(|row| !(code.entry..start).contains(&row.address))
            .collect();
        rows.sort_by_key(|row| row.address);
        rows.dedup_by_key(|row| row.address);
        let targets = debug.jump_targets(code);
        let mut before: Option<Statement> = None;
        for row in rows {
            let address = row.address;
            // A row that only follows a row of its line is a part of that step.
            let goes_on = before
                .is_some_and(|before| (before.file, before.line) == (row.file, row.line))
                && targets
                    .as_ref()
                    .is_some_and(|targets| !targets.contains(&address));
            before = Some(row);
            if row.line == 0 || goes_on {
                continue;
            }
            let Some(site) = debug.site_at(address) else {
                continue;
            };
            if !self.is_shown(&site) {
                continue;
            }
            let Some(frame) = cfa(debug, address) else {
                self.unknown_frames += 1;
                continue;
            };
            let line = self.number_of(&site);
            let point = Point {
                site,
                frame,
                roles: 0,
                line,
            };
            let at = (module.number, address);
            self.points.entry(at).or_insert(point);
        }
    }

    /// Adds the returns of a function.
    fn exits(&mut self, module: &CodeModule, exits: &[(LinkAddr, Exit)], function: &str) {
        for &(address, exit) in exits {
            let Some(mut site) = module.debug.site_at(address) else {
                continue;
            };
            // The function itself returns, even if the code was inlined from another one.
            function.clone_into(&mut site.function);
            site.inlined_into = Vec::new();
            site.exit = Some(exit);
            let at = (module.number, address);
            let roles = self.points.get(&at).map_or(0, |point| point.roles);
            let point = Point {
                site,
                frame: Frame::Above(RETURN_ADDRESS),
                roles: roles | RETURNS_FROM_CALLS,
                line: 0,
            };
            self.points.insert(at, point);
        }
    }

    /// Gives the first instruction of a function a role.
    fn entry(&mut self, module: &CodeModule, entry: LinkAddr, role: u32) {
        let at = (module.number, entry);
        if let Some(point) = self.points.get_mut(&at) {
            point.roles |= role;
            return;
        }
        if let Some(site) = module.debug.site_at(entry) {
            let point = Point {
                site,
                frame: Frame::Above(RETURN_ADDRESS),
                roles: role,
                line: 0,
            };
            self.points.insert(at, point);
        }
    }

    /// The number of a site's line.
    fn number_of(&mut self, site: &Site) -> u32 {
        let Some(SourceLine { file, line, .. }) = &site.source else {
            return 0;
        };
        let lines = &mut self.code.lines;
        let next = u32::try_from(lines.len()).unwrap_or(u32::MAX - 1) + 1;
        *lines.entry((Arc::clone(file), *line)).or_insert(next)
    }

    /// Returns true if a line is a step: it is in the program's own code, and within the lines that were asked for.
    fn is_shown(&self, site: &Site) -> bool {
        let Some(source) = &site.source else {
            return false;
        };
        let is_of_function = self.code.of.as_ref() == Some(&source.file);
        if !is_of_function && !self.is_own(&source.file) {
            return false;
        }
        self.action
            .lines
            .as_ref()
            .is_none_or(|range| is_within(range, source, is_of_function))
    }

    /// Returns true if a source file counts as the program's own.
    fn is_own(&self, file: &Path) -> bool {
        self.action.into_all || is_own_source(file)
    }

    /// Adds the returns of a function. Some of them may be unknown: a `switch` is a jump to an address in a register,
    /// and so is a call of another function in its place.
    fn returns(
        &mut self,
        module: &CodeModule,
        code: &FunctionCode,
        name: &str,
    ) -> Result<(), Diagnostic> {
        let found = module.debug.known_exits_at(code.entry);
        let KnownExits { exits, unknown } = found.map_err(|why| {
            Diagnostic::new(format!("the returns of `{name}` cannot be observed: {why}"))
        })?;
        // A function without any return is left by its thread's end.
        if exits.is_empty()
            && let Some(why) = &unknown
        {
            let message = format!("the returns of `{name}` cannot be observed: {why}");
            return Err(
                Diagnostic::new(message).hint("trace a function that calls it, with `depth 1`")
            );
        }
        if let Some(why) = unknown {
            self.unseen_returns.push(UnseenReturns {
                function: name.to_owned(),
                why,
            });
        }
        self.exits(module, &exits, name);
        Ok(())
    }

    /// The sites that were found, with their notes.
    fn finish(mut self, depth: u32, mut notes: Vec<String>) -> Result<Traced, Diagnostic> {
        if self.unknown_frames > 0 {
            notes.push(format!(
                "left out {} lines whose frame is not known",
                self.unknown_frames
            ));
        }
        if let [UnseenReturns { function, why }, others @ ..] = self.unseen_returns.as_slice() {
            let more = match others.len() {
                0 => String::new(),
                more => format!("; and those of {more} other functions"),
            };
            notes.push(format!(
                "some returns of `{function}` may not be seen: {why}{more}"
            ));
        }
        let mut sites = self.sites();
        for module in self.code.modules.all() {
            let within = module.debug.require_budget();
            within.map_err(|error| Diagnostic::from(&error))?;
        }
        let request = TraceRequest {
            control: TraceControl {
                steps: MAX_STEPS,
                frames: depth + 1,
                reserved: 0,
            },
            callers: self.code.followed.callers()?,
        };
        let modules = &self.code.modules;
        let own = sites.remove(&modules.first.number).unwrap_or_default();
        let of_module =
            |one: &Arc<CodeModule>| Some((Arc::clone(&one.module), sites.remove(&one.number)?));
        Ok(Traced {
            module: Arc::clone(&modules.first.module),
            sites: own,
            elsewhere: modules.all().filter_map(of_module).collect(),
            request,
            code: Arc::new(self.code),
            notes,
        })
    }

    /// The sites of each module, in the order in which they are attached. They are numbered in the order of their
    /// addresses, behind those that are attached already.
    fn sites(&mut self) -> BTreeMap<usize, Vec<TracedSite>> {
        let points = std::mem::take(&mut self.points);
        let computed = std::mem::take(&mut self.computed);
        let mut sites: BTreeMap<usize, Vec<TracedSite>> = BTreeMap::new();
        for ((module, address), point) in points {
            let order = self.next_order();
            if point.roles & FOLLOWS_CALLS != 0
                && let Some(module) = self.code.modules.all().nth(module)
            {
                let entry = module.trace(address);
                self.code.followed.is_followed(entry, order);
            }
            let step = StepSite {
                frame: point.frame,
                roles: point.roles,
                order,
                line: point.line,
                target: None,
            };
            let of_module = sites.entry(module).or_default();
            of_module.push(TracedSite {
                site: point.site,
                step,
            });
        }
        for ((module, _), call) in computed {
            let step = StepSite {
                frame: call.frame,
                roles: CALLS_COMPUTED,
                order: self.next_order(),
                line: 0,
                target: Some(call.target),
            };
            let of_module = sites.entry(module).or_default();
            of_module.push(TracedSite {
                site: call.site,
                step,
            });
        }
        for of_module in sites.values_mut() {
            of_module.sort_by_key(|site| arming_order(site.step.roles));
        }
        sites
    }

    fn next_order(&mut self) -> u32 {
        let order = self.code.sites;
        self.code.sites += 1;
        order
    }
}

/// The canonical frame address at an address.
fn cfa(debug: &DebugModule, address: LinkAddr) -> Option<Frame> {
    debug.cfa_at(address).ok().map(Frame::Cfa)
}

/// The order in which sites are attached. A call that begins before its lines are attached would lose them, so sites
/// that begin calls come last, and before them those at which calls are followed.
const fn arming_order(roles: u32) -> u32 {
    if roles & (TAKES_CALLS | ANNOUNCES_CALLS) != 0 {
        2
    } else if roles & FOLLOWS_CALLS != 0 {
        1
    } else {
        0
    }
}

/// Returns true if a line is within the range that was asked for.
fn is_within(range: &LineRange, source: &SourceLine, is_of_function: bool) -> bool {
    let is_in_file = match &range.file {
        Some(file) => source.file.ends_with(file),
        None => is_of_function,
    };
    is_in_file && (range.first..=range.last).contains(&source.line)
}

#[cfg(test)]
mod tests {
    use tracer_common::trace::HEADS_LOOP;

    use super::*;

    #[test]
    fn sites_that_begin_calls_are_attached_last() {
        let roles = [
            TAKES_CALLS,
            FOLLOWS_CALLS | HEADS_LOOP,
            RETURNS_FROM_CALLS,
            ANNOUNCES_CALLS | FOLLOWS_CALLS,
            0,
            CALLS_COMPUTED,
            TAKES_CALLS | NEEDS_ANNOUNCEMENT,
        ];
        assert_eq!(roles.map(arming_order), [2, 1, 0, 2, 0, 0, 2]);
    }
}
