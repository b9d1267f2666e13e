//! Calls that a trace follows: by call instructions of its functions, by jumps in place of calls, and by the functions
//! that calls of computed addresses were seen to call.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use tracer_common::op::TARGET_REGISTERS;
use tracer_common::trace::{CallerFrame, FOLLOWS_CALLS, HEADS_LOOP};

use super::calls::{FollowedCall, FollowedFunction};
use super::{ComputedCall, RETURN_ADDRESS, SeenCall, StepSearch, UnseenReturns, own_file};
use crate::base::address::LinkAddr;
use crate::debuginfo::control_flow::CallInstruction;
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
    /// Functions whose calls are to be looked at.
    left: VecDeque<FunctionCode>,
    /// Names of functions that are followed now.
    new: Vec<String>,
    /// Names of functions that there is no room for.
    left_out: Vec<String>,
}

impl StepSearch<'_> {
    /// Follows calls of the traced functions down to a depth.
    pub(super) fn follow_from(
        &mut self,
        roots: Vec<FunctionCode>,
        depth: u32,
        notes: &mut Vec<String>,
    ) {
        if depth == 0 {
            return;
        }
        let functions = &mut self.code.followed.functions;
        for root in &roots {
            functions.insert(root.entry, Some(FollowedFunction::at(0)));
        }
        // A traced function that calls itself is followed, too.
        for root in &roots {
            self.follows_at(root.entry);
        }
        let mut queue = FollowQueue {
            left: roots.into(),
            ..FollowQueue::default()
        };
        self.follow(&mut queue, depth);
        notes.extend(queue.no_room());
    }

    /// Follows calls that were seen.
    pub(super) fn follow_seen(&mut self, seen: &[SeenCall], depth: u32, notes: &mut Vec<String>) {
        let mut queue = FollowQueue::default();
        for &SeenCall { call, target } in seen {
            let followed = &mut self.code.followed;
            let of_call = followed.calls.iter().find(|known| known.address == call);
            let Some(function) = of_call.map(|call| call.function) else {
                continue;
            };
            followed.seen.entry(call).or_default().insert(target);
            queue.left.extend(self.debug.function_code_at(function));
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
        while let Some(code) = queue.left.pop_front() {
            let known = self.code.followed.functions.get(&code.entry).copied();
            let Some(FollowedFunction { level, has_calls }) = known.flatten() else {
                continue;
            };
            if level > 0 {
                // The caller of a traced function is not recorded, so nothing can return to it.
                for target in self.tails_of(&code) {
                    self.reach(target, level, queue);
                }
            }
            if level >= depth {
                continue;
            }
            for call in self.debug.calls_in(&code).unwrap_or_default() {
                if !has_calls {
                    self.add_call(&call, code.entry);
                }
                let targets: Vec<LinkAddr> = match call.target {
                    Some(target) => vec![target],
                    None => {
                        let seen = self.code.followed.seen.get(&call.address);
                        seen.into_iter().flatten().copied().collect()
                    }
                };
                for target in targets {
                    self.reach(target, level + 1, queue);
                }
            }
            let function = FollowedFunction {
                level,
                has_calls: true,
            };
            let functions = &mut self.code.followed.functions;
            functions.insert(code.entry, Some(function));
        }
    }

    /// The functions that a function jumps to in its end.
    fn tails_of(&mut self, code: &FunctionCode) -> Vec<LinkAddr> {
        let tails = &mut self.code.followed.tails;
        let of_function = tails.entry(code.entry);
        of_function
            .or_insert_with(|| self.debug.tail_calls_in(code))
            .clone()
    }

    /// Adds a call of a function.
    fn add_call(&mut self, call: &CallInstruction, function: LinkAddr) {
        let Some(frame) = self.caller_frame(call.address) else {
            return;
        };
        self.code.followed.calls.push(FollowedCall {
            address: call.address,
            function,
            returns_to: call.returns_to,
            target: call.target,
            frame,
        });
        if let Some(target) = &call.computed
            && let Some(site) = self.debug.site_at(call.address)
            && let Some(frame) = self.frame(call.address)
        {
            let target = target.clone();
            let computed = ComputedCall {
                site,
                frame,
                target,
            };
            self.computed.insert(call.address, computed);
        }
    }

    /// A function of the trace calls `target`, which is then at this level.
    fn reach(&mut self, target: LinkAddr, level: u32, queue: &mut FollowQueue) {
        let functions = &mut self.code.followed.functions;
        match functions.get_mut(&target) {
            Some(None) => return,
            Some(Some(known)) => {
                if level < known.level {
                    known.level = level;
                    queue.left.extend(self.debug.function_code_at(target));
                }
                return;
            }
            None => {}
        }
        let Some((code, name)) = self.callee(target) else {
            self.code.followed.functions.insert(target, None);
            return;
        };
        let sites = self.code.sites as usize + self.points.len();
        let is_full = sites >= MAX_SITES
            || self.code.followed.functions.values().flatten().count() >= MAX_FUNCTIONS;
        if is_full {
            queue.left_out.push(name);
            self.code.followed.functions.insert(target, None);
            return;
        }
        self.followed(&code, &name);
        self.follows_at(target);
        let function = FollowedFunction::at(level);
        let functions = &mut self.code.followed.functions;
        functions.insert(target, Some(function));
        queue.new.push(name);
        queue.left.push_back(code);
    }

    /// Adds the site at which calls of a function are followed.
    fn follows_at(&mut self, entry: LinkAddr) {
        let turns = self.debug.turns(entry);
        let is_loop = turns.map_or(true, |turns| !turns.is_empty());
        let more = if is_loop { HEADS_LOOP } else { 0 };
        self.entry(entry, FOLLOWS_CALLS | more);
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
        let is_own = self.code.of.as_ref() == Some(&file) || self.is_own(&file);
        is_own.then_some((code, name))
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
