//! Calls that a trace follows: by call instructions of its functions, by jumps in place of calls, and by the functions
//! that calls of computed addresses were seen to call.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use tracer_common::op::TARGET_REGISTERS;
use tracer_common::trace::{CallerFrame, FOLLOWS_CALLS, HEADS_LOOP};

use super::calls::{FollowedCall, FollowedFunction};
use super::code_modules::{CodeModule, TraceAddr};
use super::{ComputedCall, RETURN_ADDRESS, SeenCall, StepSearch, UnseenReturns, cfa, own_file};
use crate::base::address::LinkAddr;
use crate::debuginfo::Module as DebugModule;
use crate::debuginfo::control_flow::{CallInstruction, Destination};
use crate::debuginfo::function_code::FunctionCode;
use crate::debuginfo::place::{Binary, LocationExpr, Register, Term};

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

/// The state of a search for functions to follow.
#[derive(Default)]
struct FollowQueue {
    /// First instructions of the functions whose calls are to be looked at.
    left: VecDeque<TraceAddr>,
    /// Names of functions that are followed now.
    new: Vec<String>,
    /// Names of functions that there is no room for.
    left_out: Vec<String>,
}

/// A function that is followed, with its name.
struct Callee {
    module: Arc<CodeModule>,
    code: FunctionCode,
    name: String,
}

impl StepSearch<'_> {
    /// Follows calls of the traced functions down to a depth.
    pub(super) fn follow_from(
        &mut self,
        roots: Vec<TraceAddr>,
        depth: u32,
        notes: &mut Vec<String>,
    ) {
        if depth == 0 {
            return;
        }
        let functions = &mut self.code.followed.functions;
        for &root in &roots {
            functions.insert(root, Some(FollowedFunction::at(0)));
        }
        // A traced function that calls itself is followed, too.
        let first = Arc::clone(&self.code.modules.first);
        for &root in &roots {
            self.follows_at(&first, first.link(root));
        }
        let mut queue = FollowQueue {
            left: roots.into(),
            ..FollowQueue::default()
        };
        self.follow(&mut queue, depth);
        notes.extend(queue.no_room());
    }

    /// Follows calls and jumps that were seen.
    pub(super) fn follow_seen(&mut self, seen: &[SeenCall], depth: u32, notes: &mut Vec<String>) {
        let mut queue = FollowQueue::default();
        for &SeenCall { from, target } in seen {
            let calls = &self.code.followed.calls;
            let call = calls.iter().find(|known| known.address == from);
            if let Some((function, called)) = call.map(|call| (call.function, call.target)) {
                queue.left.push_back(function);
                if let Some(stub) = called {
                    // The function was not loaded when the trace began. The first call may only lead to the linker.
                    let _known = self.leads_on(stub);
                }
                let followed = &mut self.code.followed;
                match called {
                    Some(stub) => followed.tails.entry(stub).or_default().insert(target),
                    None => followed.seen.entry(from).or_default().insert(target),
                };
            } else if let Some(&function) = self.code.followed.jumps.get(&from)
                && !self.is_inside(function, target)
            {
                let followed = &mut self.code.followed;
                followed.tails.entry(function).or_default().insert(target);
                queue.left.push_back(function);
            }
        }
        self.follow(&mut queue, depth);
        if !queue.new.is_empty() {
            let named = named(&queue.new);
            notes.push(match queue.new.len() {
                1 => format!("{named} is called through a pointer; it is followed from its next call on"),
                count => format!(
                    "{count} functions are called through pointers, such as {named}; they are followed from their next \
                     call on"
                ),
            });
        }
        notes.extend(queue.no_room());
    }

    /// Looks at the calls in functions of the trace, and in those that they call.
    fn follow(&mut self, queue: &mut FollowQueue, depth: u32) {
        while let Some(entry) = queue.left.pop_front() {
            let known = self.code.followed.functions.get(&entry).copied();
            let (Some(mut function), Some((module, code))) =
                (known.flatten(), self.function_at(entry))
            else {
                continue;
            };
            if function.level > 0 {
                // The caller of a traced function is not recorded, so nothing can return to it.
                if !function.has_jumps {
                    self.add_jumps(&module, &code);
                    function.has_jumps = true;
                }
                for target in self.code.followed.tails_of(entry) {
                    self.reach(target, function.level, queue);
                }
            }
            if function.level < depth {
                for call in module.debug.calls_in(&code).unwrap_or_default() {
                    if !function.has_calls {
                        self.add_call(&module, &call, entry);
                    }
                    for target in self.targets_of(&module, &call) {
                        self.reach(target, function.level + 1, queue);
                    }
                }
                function.has_calls = true;
            }
            let functions = &mut self.code.followed.functions;
            functions.insert(entry, Some(function));
        }
    }

    /// The function with the code at an address, and its module.
    fn function_at(&mut self, address: TraceAddr) -> Option<(Arc<CodeModule>, FunctionCode)> {
        let module = self.code.modules.at(address, self.modules)?;
        let code = module.debug.function_code_at(module.link(address))?;
        Some((module, code))
    }

    /// Returns true if an address is in the function that begins at another one.
    fn is_inside(&mut self, function: TraceAddr, address: TraceAddr) -> bool {
        self.function_at(address).is_some_and(|(module, code)| {
            module.trace(code.entry) == function && address != function
        })
    }

    /// Adds the jumps by which a function is left.
    fn add_jumps(&mut self, module: &CodeModule, code: &FunctionCode) {
        let entry = module.trace(code.entry);
        for jump in module.debug.leaving_jumps_in(code) {
            let targets = self.known_targets(module, &jump.to);
            let is_open = targets.is_none();
            let tails = self.code.followed.tails.entry(entry).or_default();
            tails.extend(targets.into_iter().flatten());
            if is_open && self.add_computed(module, jump.address, &jump.to) {
                let followed = &mut self.code.followed;
                followed.jumps.insert(module.trace(jump.address), entry);
            }
        }
    }

    /// Adds a call of a function.
    fn add_call(&mut self, module: &CodeModule, call: &CallInstruction, function: TraceAddr) {
        let Some(frame) = caller_frame(&module.debug, call.address) else {
            return;
        };
        let target = match call.to {
            Destination::Known(target) => Some(module.trace(target)),
            Destination::InWord(_) | Destination::Computed(_) => None,
        };
        let address = module.trace(call.address);
        self.code.followed.calls.push(FollowedCall {
            address,
            function,
            returns_to: module.trace(call.returns_to),
            target,
            frame,
        });
        match self.known_targets(module, &call.to) {
            Some(targets) if target.is_none() => {
                let seen = self.code.followed.seen.entry(address).or_default();
                seen.extend(targets);
            }
            Some(_) => {}
            None => {
                self.add_computed(module, call.address, &call.to);
            }
        }
    }

    /// Adds a site that notes the address to which a call or a jump leads. Returns false if it cannot be computed.
    fn add_computed(&mut self, module: &CodeModule, address: LinkAddr, to: &Destination) -> bool {
        let computation = match *to {
            // It can only be a stub.
            Destination::Known(stub) => module.debug.leads_on(stub).and_then(|to| to.computation()),
            ref to => to.computation(),
        };
        let (Some(target), Some(site), Some(frame)) = (
            computation,
            module.debug.site_at(address),
            cfa(&module.debug, address),
        ) else {
            return false;
        };
        let call = ComputedCall {
            site,
            frame,
            target,
        };
        self.computed.insert((module.number, address), call);
        true
    }

    /// The functions that a call can lead to, as far as it is known.
    fn targets_of(&self, module: &CodeModule, call: &CallInstruction) -> Vec<TraceAddr> {
        let followed = &self.code.followed;
        match call.to {
            Destination::Known(target) => vec![module.trace(target)],
            Destination::InWord(_) | Destination::Computed(_) => {
                let seen = followed.seen.get(&module.trace(call.address));
                seen.into_iter().flatten().copied().collect()
            }
        }
    }

    /// The addresses to which a call or a jump leads. `None` if only the process will show them.
    fn known_targets(&mut self, module: &CodeModule, to: &Destination) -> Option<Vec<TraceAddr>> {
        match *to {
            Destination::Known(target) => {
                let is_function = |code: FunctionCode| code.entry == target;
                let code = module.debug.function_code_at(target);
                if code.is_some_and(is_function) {
                    return Some(vec![module.trace(target)]);
                }
                // Notes where a stub or a thunk leads.
                self.leads_on(module.trace(target))
                    .map(|()| vec![module.trace(target)])
            }
            Destination::InWord(word) => self.imported(module, word),
            Destination::Computed(_) => None,
        }
    }

    /// The functions whose address the dynamic linker writes to a word. `None` if only the process will show them.
    fn imported(&mut self, module: &CodeModule, word: LinkAddr) -> Option<Vec<TraceAddr>> {
        let name = module.debug.name_in_word(word)?;
        self.code.modules.exported(name, self.modules)
    }

    /// Notes where code leads that is no function but a stub or a thunk. `None` if only the process will show it.
    fn leads_on(&mut self, address: TraceAddr) -> Option<()> {
        if self.code.followed.tails.contains_key(&address) {
            return Some(());
        }
        let Some(module) = self.code.modules.at(address, self.modules) else {
            return Some(());
        };
        let targets = match module.debug.leads_on(module.link(address)) {
            Some(Destination::Known(target)) => vec![module.trace(target)],
            Some(Destination::InWord(word)) => self.imported(&module, word)?,
            Some(Destination::Computed(_)) | None => Vec::new(),
        };
        let tails = &mut self.code.followed.tails;
        tails.insert(address, targets.into_iter().collect());
        Some(())
    }

    /// A function of the trace calls `target`, which is then at this level.
    fn reach(&mut self, target: TraceAddr, level: u32, queue: &mut FollowQueue) {
        let functions = &mut self.code.followed.functions;
        match functions.get_mut(&target) {
            Some(Some(known)) => {
                if level < known.level {
                    known.level = level;
                    queue.left.push_back(target);
                }
                return;
            }
            Some(None) => {
                self.reach_through(target, level, queue);
                return;
            }
            None => {}
        }
        let Some(callee) = self.callee(target) else {
            self.code.followed.functions.insert(target, None);
            self.reach_through(target, level, queue);
            return;
        };
        let sites = self.code.sites as usize + self.points.len();
        let is_full = sites >= MAX_SITES
            || self.code.followed.functions.values().flatten().count() >= MAX_FUNCTIONS;
        if is_full {
            queue.left_out.push(callee.name);
            self.code.followed.functions.insert(target, None);
            return;
        }
        self.followed(&callee);
        self.follows_at(&callee.module, callee.code.entry);
        let function = FollowedFunction::at(level);
        let functions = &mut self.code.followed.functions;
        functions.insert(target, Some(function));
        queue.new.push(callee.name);
        queue.left.push_back(target);
    }

    /// A function of the trace calls code at an address that is not followed. If it is a stub or a thunk, it only leads
    /// on to others.
    fn reach_through(&mut self, address: TraceAddr, level: u32, queue: &mut FollowQueue) {
        let is_function = self
            .function_at(address)
            .is_some_and(|(module, code)| !is_thunk(&module.debug, &code));
        if is_function || self.leads_on(address).is_none() {
            return;
        }
        for target in self.code.followed.tails_of(address) {
            // A chain of them may be a circle.
            if target != address && self.code.followed.functions.get(&target) != Some(&None) {
                self.reach(target, level, queue);
            }
        }
    }

    /// Adds the site at which calls of a function are followed.
    fn follows_at(&mut self, module: &CodeModule, entry: LinkAddr) {
        let turns = module.debug.turns(entry);
        let is_loop = turns.map_or(true, |turns| !turns.is_empty());
        let more = if is_loop { HEADS_LOOP } else { 0 };
        self.entry(module, entry, FOLLOWS_CALLS | more);
    }

    /// The function at the target of a call, if it is the program's own and can be followed.
    fn callee(&mut self, target: TraceAddr) -> Option<Callee> {
        let (module, code) = self.function_at(target)?;
        if module.trace(code.entry) != target || is_thunk(&module.debug, &code) {
            return None;
        }
        let site = module.debug.site_at(code.entry)?;
        let source = site.source.as_ref()?;
        // The outermost function has the code.
        let name = match site.inlined_into.last() {
            Some(outer) => outer.function.clone(),
            None => site.function.clone(),
        };
        let file = declared_in(&module.debug, &code).unwrap_or(Arc::clone(&source.file));
        let is_own = self.code.of.as_ref() == Some(&file) || self.is_own(&file);
        is_own.then_some(Callee { module, code, name })
    }

    /// Adds a function that is followed.
    fn followed(&mut self, callee: &Callee) {
        let Callee { module, code, name } = callee;
        let start = module.debug.start_of_function_at(code.entry);
        self.lines_of(module, code, start.unwrap_or(code.entry));
        // Without its returns, the next line of the caller tells that it has returned.
        if let Err(error) = self.returns(module, code, name) {
            self.unseen_returns.push(UnseenReturns {
                function: name.clone(),
                why: error.message,
            });
        }
    }
}

/// Returns true if a function has no line of the source, and only leads on to another one. Some compilers describe thunks
/// so.
fn is_thunk(debug: &DebugModule, code: &FunctionCode) -> bool {
    let line = debug.statement_at(code.entry).map_or(0, |row| row.line);
    line == 0 && matches!(debug.leads_on(code.entry), Some(Destination::Known(_)))
}

/// The file of a function's first line that is its own.
fn declared_in(debug: &DebugModule, code: &FunctionCode) -> Option<Arc<PathBuf>> {
    let last = code.ranges.iter().find(|range| range.0 == code.entry)?.1;
    let rows = debug.statements_between(code.entry, LinkAddr(last.0.saturating_sub(1)));
    let mut sites = rows.iter().filter_map(|row| debug.site_at(row.address));
    let own = sites.find(|site| site.inlined_into.is_empty())?;
    own_file(&own)
}

/// The rule that computes the frame of the code around a call, at the first instruction of the called function.
fn caller_frame(debug: &DebugModule, call: LinkAddr) -> Option<CallerFrame> {
    let cfa = debug.cfa_at(call).ok()?;
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

impl FollowQueue {
    /// The note on functions that there was no room for.
    fn no_room(&self) -> Option<String> {
        let count = self.left_out.len();
        (count > 0).then(|| {
            format!(
                "the trace would have too many lines: {count} functions are not followed, such as {}",
                named(&self.left_out)
            )
        })
    }
}

/// The first names of some functions.
fn named(functions: &[String]) -> String {
    let named = functions.iter().take(MAX_NAMED);
    let named: Vec<String> = named.map(|name| format!("`{name}`")).collect();
    named.join(", ")
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
