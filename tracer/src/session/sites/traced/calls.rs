//! The calls that a trace follows, as far as its functions are known.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tracer_common::limits::MAX_CALLERS;
use tracer_common::trace::CallerFrame;

use crate::base::diagnostic::Diagnostic;
use crate::kernel::TracedCaller;
use crate::session::sites::traced::code_modules::TraceAddr;

/// The functions of a trace, and the calls in them.
#[derive(Clone, Debug, Default)]
pub(super) struct FollowedCode {
    /// By first instruction. `None` if calls of the function are not followed.
    pub(super) functions: HashMap<TraceAddr, Option<FollowedFunction>>,
    pub(super) calls: Vec<FollowedCall>,
    /// Functions that return in place of the code that jumps to them, by its first instruction: a function, a stub or
    /// a thunk.
    pub(super) tails: HashMap<TraceAddr, BTreeSet<TraceAddr>>,
    /// Jumps to computed addresses that may be such ones, with the first instruction of their function.
    pub(super) jumps: BTreeMap<TraceAddr, TraceAddr>,
    /// Functions that calls of computed addresses were seen to call.
    pub(super) seen: BTreeMap<TraceAddr, BTreeSet<TraceAddr>>,
    /// Orders of the sites at the first instructions of followed functions.
    pub(super) entries: BTreeMap<TraceAddr, u32>,
}

/// A function of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FollowedFunction {
    /// Fewest calls between the traced function and this one.
    pub(super) level: u32,
    /// Its calls are in [`FollowedCode::calls`].
    pub(super) has_calls: bool,
    /// Its jumps are in [`FollowedCode::tails`] and [`FollowedCode::jumps`].
    pub(super) has_jumps: bool,
}

/// A call instruction in a function of a trace.
#[derive(Clone, Debug)]
pub(super) struct FollowedCall {
    pub(super) address: TraceAddr,
    /// First instruction of the function around it.
    pub(super) function: TraceAddr,
    /// Address behind it.
    pub(super) returns_to: TraceAddr,
    /// The called address. `None` if it is computed.
    pub(super) target: Option<TraceAddr>,
    /// The rule of the frame around it.
    pub(super) frame: CallerFrame,
}

impl FollowedCode {
    /// A followed function has a site with this order at its first instruction.
    pub(super) fn is_followed(&mut self, entry: TraceAddr, order: u32) {
        self.entries.insert(entry, order);
    }

    /// The calls as the kernel side wants them.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn callers(&self) -> Result<Vec<TracedCaller>, Diagnostic> {
        let mut callers = Vec::new();
        for (&entry, &order) in &self.entries {
            for call in &self.calls {
                if call
                    .target
                    .is_none_or(|target| self.leads_to(target, entry))
                {
                    callers.push(TracedCaller {
                        distance: call.returns_to.0.wrapping_sub(entry.0),
                        order,
                        frame: call.frame,
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

    /// The code that returns in place of the function, the stub or the thunk at an address.
    pub(super) fn tails_of(&self, address: TraceAddr) -> Vec<TraceAddr> {
        let tails = self.tails.get(&address);
        tails.into_iter().flatten().copied().collect()
    }

    /// Returns true if a call of `target` can become one of `entry`: it is the same function, or jumps to it.
    fn leads_to(&self, target: TraceAddr, entry: TraceAddr) -> bool {
        if target == entry {
            return true;
        }
        let mut passed = HashSet::from([target]);
        let mut left = vec![target];
        while let Some(function) = left.pop() {
            for &next in self.tails.get(&function).into_iter().flatten() {
                if next == entry {
                    return true;
                }
                if passed.insert(next) {
                    left.push(next);
                }
            }
        }
        false
    }
}

impl FollowedFunction {
    pub(super) const fn at(level: u32) -> Self {
        Self {
            level,
            has_calls: false,
            has_jumps: false,
        }
    }
}
