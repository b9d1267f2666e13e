//! Sites of a trace: every line of a function, and of the functions that it calls, with the places where calls begin
//! and end.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracer_common::limits::MAX_CALLERS;
use tracer_common::op::TARGET_REGISTERS;
use tracer_common::trace::{
    ANNOUNCES_CALLS, CallerFrame, FOLLOWS_CALLS, HEADS_LOOP, NEEDS_ANNOUNCEMENT,
    RETURNS_FROM_CALLS, TAKES_CALLS, TraceControl,
};

use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::KnownExits;
use crate::debuginfo::Module as DebugModule;
use crate::debuginfo::function_code::{FunctionCode, Statement};
use crate::debuginfo::place::{Binary, LocationExpr, Register, Term};
use crate::debuginfo::site::{Exit, Site, SourceLine};
use crate::kernel::{TraceRequest, TracedCaller};
use crate::lang::ast::{Action, LineRange, LocationKind, ProbeSpec, TraceAction};
use crate::plan::timing::Frame;
use crate::plan::tracing::StepSite;
use crate::session::sites::modules::{Modules, TargetModule};
use crate::session::sites::resolve::{Resolved, resolve};
use crate::sources::is_own_source;

/// Bytes from the stack pointer to the frame address where the return address is on top.
const RETURN_ADDRESS: u64 = 8;
/// Steps of one call that are recorded. A loop of a million turns has its last ones recorded as well.
const MAX_STEPS: u64 = 20_000_000;
/// Sites of one trace. Functions that would have more are not followed.
const MAX_SITES: usize = 8_000;
/// Functions that one trace follows.
const MAX_FUNCTIONS: usize = 512;
/// Functions that a note names.
const MAX_NAMED: usize = 4;
/// DWARF number of the stack pointer.
const STACK_POINTER: u8 = 7;
/// DWARF numbers of the registers that a call preserves, which have their values when the called function begins.
const PRESERVED: [u8; 6] = [3, 6, 12, 13, 14, 15];

/// A site of a trace.
#[derive(Clone, Debug)]
pub(in crate::session) struct TracedSite {
    pub(in crate::session) site: Site,
    pub(in crate::session) step: StepSite,
}

/// The sites of a trace, by address.
#[derive(Clone)]
pub(in crate::session) struct Traced {
    /// The module that has them.
    pub(in crate::session) module: Arc<TargetModule>,
    pub(in crate::session) sites: Vec<TracedSite>,
    /// The limits and the callers, for the kernel side.
    pub(in crate::session) request: TraceRequest,
    /// Notes for the user.
    pub(in crate::session) notes: Vec<String>,
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
    let debug = module
        .debug()
        .map_err(|error| Diagnostic::at(&location.span, error.to_string()))?;
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
        if debug.function_sites(&body).is_ok() {
            notes.push(format!(
                "`{name}` only makes its future; `trace {body}` records the lines of one poll"
            ));
        }
    }
    let mut search = StepSearch {
        debug,
        action,
        of: own.first().and_then(own_file),
        points: BTreeMap::new(),
        lines: HashMap::new(),
        unknown_frames: 0,
        unseen_returns: Vec::new(),
    };
    let mut roots = Vec::new();
    for start in &own {
        let code = debug.function_code_at(start.address).ok_or_else(|| {
            Diagnostic::at(
                &location.span,
                "its code is not known to the debug information",
            )
        })?;
        search.traced(&code, start).map_err(refused)?;
        roots.push(code);
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
    let followed = search.follow(roots, depth, &mut notes);
    if search.unknown_frames > 0 {
        notes.push(format!(
            "left out {} lines whose frame is not known",
            search.unknown_frames
        ));
    }
    if let [UnseenReturns { function, why }, others @ ..] = search.unseen_returns.as_slice() {
        let more = match others.len() {
            0 => String::new(),
            more => format!("; and those of {more} other functions"),
        };
        notes.push(format!(
            "some returns of `{function}` may not be seen: {why}{more}"
        ));
    }
    let sites = search.sites();
    let request = TraceRequest {
        control: TraceControl {
            steps: MAX_STEPS,
            frames: depth + 1,
            reserved: 0,
        },
        callers: followed.callers(debug, &sites)?,
    };
    Ok(Traced {
        sites,
        request,
        notes,
        module: Arc::clone(&module),
    })
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

/// Collects the sites of a trace.
struct StepSearch<'m> {
    debug: &'m DebugModule,
    action: &'m TraceAction,
    /// The file of the traced function, whose lines are always shown.
    of: Option<Arc<PathBuf>>,
    points: BTreeMap<LinkAddr, Point>,
    /// Numbers of lines, from 1.
    lines: HashMap<(Arc<PathBuf>, u64), u32>,
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

impl StepSearch<'_> {
    /// Adds the traced function itself. Its calls begin at `start`, behind the prologue.
    fn traced(&mut self, code: &FunctionCode, start: &Site) -> Result<(), Diagnostic> {
        let entry = code.entry;
        let turns = self.debug.turns(entry).map_err(|why| {
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
        self.lines_of(code, start.address);
        self.returns(code, &start.function)?;
        let frame = self.frame(start.address).ok_or_else(|| {
            Diagnostic::new(format!("the frame of `{}` is not known", start.function))
        })?;
        let comes_back = start.address != entry
            && self
                .debug
                .leads_back(entry, start.address, entry..=start.address)
                != Some(false);
        let roles = if comes_back {
            TAKES_CALLS | NEEDS_ANNOUNCEMENT
        } else {
            TAKES_CALLS
        };
        let line = self.number_of(start);
        match self.points.get(&start.address) {
            Some(point) if point.roles & RETURNS_FROM_CALLS != 0 => {
                let message = format!("`{}` returns at once: it has no lines", start.function);
                return Err(Diagnostic::new(message));
            }
            _ => {}
        }
        self.points.insert(
            start.address,
            Point {
                site: start.clone(),
                frame,
                roles,
                line,
            },
        );
        if comes_back {
            self.entry(entry, ANNOUNCES_CALLS);
        }
        Ok(())
    }

    /// Adds the lines of a function that are the program's own, from `start` on.
    fn lines_of(&mut self, code: &FunctionCode, start: LinkAddr) {
        let debug = self.debug;
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
            let Some(frame) = self.frame(address) else {
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
            self.points.entry(address).or_insert(point);
        }
    }

    /// Adds the returns of a function.
    fn exits(&mut self, exits: &[(LinkAddr, Exit)], function: &str) {
        for &(address, exit) in exits {
            let Some(mut site) = self.debug.site_at(address) else {
                continue;
            };
            // The function itself returns, even if the code was inlined from another one.
            function.clone_into(&mut site.function);
            site.inlined_into = Vec::new();
            site.exit = Some(exit);
            let roles = self.points.get(&address).map_or(0, |point| point.roles);
            let point = Point {
                site,
                frame: Frame::Above(RETURN_ADDRESS),
                roles: roles | RETURNS_FROM_CALLS,
                line: 0,
            };
            self.points.insert(address, point);
        }
    }

    /// Gives the first instruction of a function a role.
    fn entry(&mut self, entry: LinkAddr, role: u32) {
        if let Some(point) = self.points.get_mut(&entry) {
            point.roles |= role;
            return;
        }
        if let Some(site) = self.debug.site_at(entry) {
            let point = Point {
                site,
                frame: Frame::Above(RETURN_ADDRESS),
                roles: role,
                line: 0,
            };
            self.points.insert(entry, point);
        }
    }

    /// The canonical frame address at a site.
    fn frame(&self, address: LinkAddr) -> Option<Frame> {
        self.debug.cfa_at(address).ok().map(Frame::Cfa)
    }

    /// The number of a site's line.
    fn number_of(&mut self, site: &Site) -> u32 {
        let Some(SourceLine { file, line, .. }) = &site.source else {
            return 0;
        };
        let next = u32::try_from(self.lines.len()).unwrap_or(u32::MAX - 1) + 1;
        *self.lines.entry((Arc::clone(file), *line)).or_insert(next)
    }

    /// Returns true if a line is a step: it is in the program's own code, and within the lines that were asked for.
    fn is_shown(&self, site: &Site) -> bool {
        let Some(source) = &site.source else {
            return false;
        };
        let is_of_function = self.of.as_ref() == Some(&source.file);
        if !is_of_function && !self.is_own(&source.file) {
            return false;
        }
        self.action
            .lines
            .as_ref()
            .is_none_or(|range| is_within(range, source, is_of_function))
    }

    /// Follows calls down to a depth.
    fn follow(
        &mut self,
        roots: Vec<FunctionCode>,
        depth: u32,
        notes: &mut Vec<String>,
    ) -> FollowedCalls {
        let mut followed = FollowedCalls::default();
        if depth == 0 {
            return followed;
        }
        let mut left_out: Vec<String> = Vec::new();
        let mut seen: HashMap<LinkAddr, bool> =
            roots.iter().map(|code| (code.entry, true)).collect();
        let mut queue: VecDeque<(FunctionCode, u32)> =
            roots.into_iter().map(|code| (code, 0)).collect();
        while let Some((code, level)) = queue.pop_front() {
            if level >= depth {
                continue;
            }
            for call in self.debug.calls_in(&code).unwrap_or_default() {
                let Some(rule) = self.caller_frame(call.address) else {
                    continue;
                };
                let target = call.target;
                followed.calls.push(FollowedCall {
                    returns_to: call.returns_to,
                    target,
                    frame: rule,
                });
                let Some(target) = target.filter(|target| !seen.contains_key(target)) else {
                    continue;
                };
                let callee = self.callee(target);
                seen.insert(target, callee.is_some());
                let Some((code, name)) = callee else {
                    continue;
                };
                if self.points.len() >= MAX_SITES || followed.entries.len() >= MAX_FUNCTIONS {
                    left_out.push(name);
                    seen.insert(target, false);
                    continue;
                }
                self.followed(&code, &name);
                followed.entries.push(target);
                queue.push_back((code, level + 1));
            }
        }
        // A traced function that calls itself is followed, too.
        let entries: Vec<LinkAddr> = seen
            .into_iter()
            .filter_map(|(entry, is_followed)| is_followed.then_some(entry))
            .collect();
        for &entry in &entries {
            let is_loop = self
                .debug
                .turns(entry)
                .map_or(true, |turns| !turns.is_empty());
            let more = if is_loop { HEADS_LOOP } else { 0 };
            self.entry(entry, FOLLOWS_CALLS | more);
        }
        followed.entries = entries;
        if !left_out.is_empty() {
            let named: Vec<String> = left_out
                .iter()
                .take(MAX_NAMED)
                .map(|name| format!("`{name}`"))
                .collect();
            notes.push(format!(
                "the trace would have too many lines: {} functions are not followed, such as {}",
                left_out.len(),
                named.join(", ")
            ));
        }
        followed
    }

    /// The function at the target of a call, if it is the program's own and can be followed, and its name.
    fn callee(&self, target: LinkAddr) -> Option<(FunctionCode, String)> {
        let code = self.debug.function_code_at(target)?;
        if code.entry != target {
            return None;
        }
        let site = self.debug.site_at(target)?;
        let source = site.source.as_ref()?;
        // The outermost function has the code.
        let name = match site.inlined_into.last() {
            Some(outer) => outer.function.clone(),
            None => site.function.clone(),
        };
        let file = self.declared_in(&code).unwrap_or(Arc::clone(&source.file));
        let is_own = self.of.as_ref() == Some(&file) || self.is_own(&file);
        is_own.then_some((code, name))
    }

    /// Returns true if a source file counts as the program's own.
    fn is_own(&self, file: &Path) -> bool {
        self.action.into_all || is_own_source(file)
    }

    /// The file of a function's first line that is its own.
    fn declared_in(&self, code: &FunctionCode) -> Option<Arc<PathBuf>> {
        let last = code.ranges.iter().find(|range| range.0 == code.entry)?.1;
        let rows = self
            .debug
            .statements_between(code.entry, LinkAddr(last.0.saturating_sub(1)));
        let mut sites = rows
            .iter()
            .filter_map(|row| self.debug.site_at(row.address));
        let own = sites.find(|site| site.inlined_into.is_empty())?;
        own_file(&own)
    }

    /// Adds a function that is followed.
    fn followed(&mut self, code: &FunctionCode, name: &str) {
        let start = self.debug.start_of_function_at(code.entry);
        self.lines_of(code, start.unwrap_or(code.entry));
        // Without its returns, the next line of the caller tells that it has returned.
        if let Err(error) = self.returns(code, name) {
            self.unseen_returns.push(UnseenReturns {
                function: name.to_owned(),
                why: error.message,
            });
        }
    }

    /// Adds the returns of a function. Some of them may be unknown: a `switch` is a jump to an address in a register,
    /// and so is a call of another function in its place.
    fn returns(&mut self, code: &FunctionCode, name: &str) -> Result<(), Diagnostic> {
        let found = self.debug.known_exits_at(code.entry);
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
        self.exits(&exits, name);
        Ok(())
    }

    /// The rule that computes the frame of the code around a call, at the first instruction of the called function.
    fn caller_frame(&self, call: LinkAddr) -> Option<CallerFrame> {
        let cfa = self.debug.cfa_at(call).ok()?;
        let (Register(register), offset) = simple(&cfa)?;
        let pushed = match register {
            STACK_POINTER => RETURN_ADDRESS as i64,
            register if PRESERVED.contains(&register) => 0,
            _ => return None,
        };
        Some(CallerFrame {
            offset: i32::try_from(offset.checked_add(pushed)?).ok()?,
            register: u32::from(TARGET_REGISTERS + register),
        })
    }

    /// The sites, numbered in the order of their addresses. Those that begin calls come last: a call that begins
    /// before its lines are attached would lose them.
    fn sites(self) -> Vec<TracedSite> {
        let numbered = (0_u32..).zip(self.points.into_values());
        let mut sites: Vec<TracedSite> = numbered
            .map(|(order, point)| TracedSite {
                site: point.site,
                step: StepSite {
                    frame: point.frame,
                    roles: point.roles,
                    order,
                    line: point.line,
                },
            })
            .collect();
        sites.sort_by_key(|site| site.step.roles & (TAKES_CALLS | ANNOUNCES_CALLS));
        sites
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

/// Register and offset of an expression that has only them.
fn simple(expr: &LocationExpr) -> Option<(Register, i64)> {
    match expr.0.as_slice() {
        [Term::Register(register)] => Some((*register, 0)),
        [
            Term::Register(register),
            Term::Const(offset),
            Term::Binary(Binary::Add),
        ] => Some((*register, offset.cast_signed())),
        _ => None,
    }
}

/// A call instruction in a function of the trace.
struct FollowedCall {
    /// Address behind it.
    returns_to: LinkAddr,
    /// The called address. `None` if it is computed.
    target: Option<LinkAddr>,
    /// The rule of the frame around it.
    frame: CallerFrame,
}

/// The calls that a trace follows.
#[derive(Default)]
struct FollowedCalls {
    calls: Vec<FollowedCall>,
    /// First instructions of the followed functions.
    entries: Vec<LinkAddr>,
}

impl FollowedCalls {
    /// The calls as the kernel side wants them.
    fn callers(
        &self,
        debug: &DebugModule,
        sites: &[TracedSite],
    ) -> Result<Vec<TracedCaller>, Diagnostic> {
        debug
            .require_budget()
            .map_err(|error| Diagnostic::from(&error))?;
        let mut callers = Vec::new();
        for &entry in &self.entries {
            let of_entry = sites.iter().find(|site| site.site.address == entry);
            let Some(site) = of_entry else {
                continue;
            };
            for call in &self.calls {
                let FollowedCall {
                    returns_to,
                    target,
                    frame,
                } = *call;
                if target.is_none_or(|target| target == entry) {
                    callers.push(TracedCaller {
                        distance: returns_to.0.wrapping_sub(entry.0),
                        order: site.step.order,
                        frame,
                    });
                }
            }
        }
        if callers.len() > MAX_CALLERS as usize / 2 {
            let message = format!("the trace would follow too many calls: {}", callers.len());
            return Err(Diagnostic::new(message).hint("use a smaller `depth`"));
        }
        Ok(callers)
    }
}
