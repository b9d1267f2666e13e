//! Functions between a frame and its caller that left the stack by a tail call.
//!
//! The call before the return address names the function that was entered. If that is not the
//! frame's function, a chain of jumps led from the one to the other. The chains are known only if
//! the code of each function on them shows all of its jumps. If several chains are possible, only
//! the jumps that all of them begin with or end with are certain.

use super::code_search::direct_target_before;
use super::imports::word_before;
use super::jumps::jumps_out;
use super::linked_names::ExportedFunction;
use super::tail_call_cache::{TailCall, TailCallKey};
use crate::arch::TransferTarget;
use crate::base::address::LinkAddr;
use crate::debuginfo::module::Module;

/// Functions that are searched for one frame.
const MAX_FUNCTIONS: usize = 64;
/// Jumps of one chain.
const MAX_JUMPS: usize = 16;
/// Chains from one function to another.
const MAX_WAYS: usize = 32;

/// The two modules of a frame and its caller. Both fields have the same module if both are in it.
#[derive(Clone, Copy)]
pub struct TailCallSearch<'m> {
    /// The frame's module.
    pub callee: &'m Module,
    /// The caller's module.
    pub caller: &'m Module,
}

/// A function in one of the two modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TailCallNode {
    in_callee: bool,
    entry: LinkAddr,
}

/// Chains from one function to another that were found so far.
#[derive(Default)]
struct TailCallPaths {
    found: Vec<Vec<TailCall>>,
    looked: usize,
}

/// A chain cannot be followed, or there are too many.
struct Unknown;

impl TailCallSearch<'_> {
    /// Returns the jumps between a frame, whose code is at `inside`, and its caller, to which it
    /// returns at `returns_to`, innermost first. The list is empty if the frame's function was
    /// called directly, or if the chain of jumps is not certain.
    #[must_use]
    pub fn between(&self, inside: LinkAddr, returns_to: LinkAddr) -> Vec<TailCall> {
        // Callers repeat from hit to hit, so the answers are cached.
        let key = TailCallKey {
            callee: self.callee.number(),
            inside,
            returns_to,
        };
        let look = || self.ways(inside, returns_to).unwrap_or_default();
        self.caller.caches.tail_calls.get(key, look)
    }

    fn ways(&self, inside: LinkAddr, returns_to: LinkAddr) -> Option<Vec<TailCall>> {
        let goal = TailCallNode {
            in_callee: true,
            entry: self.callee.function_code_at(inside)?.entry,
        };
        let called = match direct_target_before(self.caller, returns_to.0) {
            Some(target) => TransferTarget::Address(target),
            None => TransferTarget::Word(word_before(self.caller, returns_to.0)?),
        };
        let first = self.node(false, called)?;
        // The frame's function was called directly, so no function between has left the stack.
        if first == goal {
            return None;
        }
        let mut ways = TailCallPaths::default();
        let mut path = Vec::new();
        self.follow(first, goal, &mut path, &mut ways).ok()?;
        let mut certain = common_ends(&ways.found);
        certain.reverse();
        Some(certain)
    }

    /// Follows all chains from `node`. Chains that come back to one of their own functions do not
    /// count.
    fn follow(
        &self,
        node: TailCallNode,
        goal: TailCallNode,
        path: &mut Vec<(TailCallNode, TailCall)>,
        ways: &mut TailCallPaths,
    ) -> Result<(), Unknown> {
        ways.looked += 1;
        if ways.looked > MAX_FUNCTIONS || path.len() >= MAX_JUMPS {
            return Err(Unknown);
        }
        let module = self.module(node.in_callee);
        let jumps = jumps_out(module.code(), node.entry).ok_or(Unknown)?;
        for jump in jumps {
            let Some(next) = self.node(node.in_callee, jump.to) else {
                continue;
            };
            let call = TailCall {
                in_callee: node.in_callee,
                jump: jump.from,
            };
            if next == goal {
                if ways.found.len() >= MAX_WAYS {
                    return Err(Unknown);
                }
                let calls = path.iter().map(|(_, call)| *call);
                ways.found.push(calls.chain([call]).collect());
            } else if next != node && path.iter().all(|(passed, _)| *passed != next) {
                path.push((node, call));
                self.follow(next, goal, path, ways)?;
                path.pop();
            }
        }
        Ok(())
    }

    fn module(&self, in_callee: bool) -> &Module {
        if in_callee { self.callee } else { self.caller }
    }

    fn is_one_module(&self) -> bool {
        std::ptr::eq(self.callee, self.caller)
    }

    /// Returns the function that a call or jump of one of the modules leads to.
    fn node(&self, in_callee: bool, to: TransferTarget) -> Option<TailCallNode> {
        let module = self.module(in_callee);
        let name = match to {
            TransferTarget::Address(target) => match module.stub_at(LinkAddr(target)) {
                Some(name) => name,
                None => {
                    return Some(TailCallNode {
                        in_callee: in_callee || self.is_one_module(),
                        entry: LinkAddr(target),
                    });
                }
            },
            TransferTarget::Word(word) => module.name_in_word(word)?,
        };
        // Only functions that the frame's module exports are followed through the dynamic linker.
        let ExportedFunction::At(entry) = self.callee.exported_as(name)? else {
            return None;
        };
        Some(TailCallNode {
            in_callee: true,
            entry,
        })
    }
}

/// Returns the first and the last jumps that all chains have in common.
fn common_ends(ways: &[Vec<TailCall>]) -> Vec<TailCall> {
    let Some((first, others)) = ways.split_first() else {
        return Vec::new();
    };
    let (mut begin, mut end, mut shortest) = (first.len(), first.len(), first.len());
    for way in others {
        let same = |(a, b): &(&TailCall, &TailCall)| a == b;
        begin = begin.min(first.iter().zip(way).take_while(same).count());
        let backwards = first.iter().rev().zip(way.iter().rev());
        end = end.min(backwards.take_while(same).count());
        shortest = shortest.min(way.len());
    }
    // The two ends must not overlap in the shortest chain, so the beginning takes precedence.
    let end = end.min(shortest - begin);
    let last = first.iter().skip(first.len() - end);
    first.iter().take(begin).chain(last).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(texts: &[&str]) -> String {
        let call = |jump: u8| TailCall {
            in_callee: true,
            jump: LinkAddr(jump.into()),
        };
        let ways: Vec<Vec<TailCall>> = texts
            .iter()
            .map(|text| text.bytes().map(call).collect())
            .collect();
        let common = common_ends(&ways);
        common
            .iter()
            .map(|call| char::from(call.jump.0 as u8))
            .collect()
    }

    #[test]
    fn ends_that_all_ways_have_are_certain() {
        assert_eq!(ways(&[]), "");
        assert_eq!(ways(&["abc"]), "abc");
        assert_eq!(ways(&["abcd", "axyd"]), "ad");
        assert_eq!(ways(&["abc", "bc"]), "bc");
        assert_eq!(ways(&["abc", "c", "xc"]), "c");
        assert_eq!(ways(&["ab", "cd"]), "");
        assert_eq!(ways(&["aa", "a"]), "a");
    }
}
