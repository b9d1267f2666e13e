//! Functions that have left the stack by a jump to another one, between a frame and its caller.
//!
//! The call before the return address names the function that was entered. Where that is another
//! one than the frame's, jumps led from the one to the other. The ways are known when the code of
//! each function on them shows all of its jumps. Of several ways, both ends that they have in common
//! are certain, and no more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::calls::{direct_target_before, jumps_out};
use super::imports::{defined_as, name_in_word, stub_at, word_before};
use super::module::Module;
use crate::address::LinkAddr;

/// Frames whose answers are kept.
const MAX_KNOWN: usize = 1 << 14;
/// Functions that are looked through for one frame.
const MAX_FUNCTIONS: usize = 64;
/// Jumps of one way.
const MAX_JUMPS: usize = 16;
/// Ways from one function to another.
const MAX_WAYS: usize = 32;

/// Where a jump leads that leaves its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JumpTarget {
    /// An address of the module.
    Address(u64),
    /// What a word of the module holds.
    Word(LinkAddr),
}

/// A jump that leaves its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JumpOut {
    pub(super) from: LinkAddr,
    pub(super) to: JumpTarget,
}

/// The two modules of a frame and its caller; one module twice where both are in it.
#[derive(Clone, Copy)]
pub struct TailCallSearch<'m> {
    /// The frame's module.
    pub callee: &'m Module,
    /// The caller's module.
    pub caller: &'m Module,
}

/// The last act of a function that left the stack: its jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailCall {
    /// The jump is in the frame's module; else it is in the caller's.
    pub in_callee: bool,
    /// The jump.
    pub jump: LinkAddr,
}

/// A frame's code and where it returns to, in the module that has the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct TailCallKey {
    /// [`Module::number`] of the frame's module.
    callee: u64,
    inside: LinkAddr,
    returns_to: LinkAddr,
}

/// What was found for frames whose callers are in one module.
#[derive(Debug, Default)]
pub(super) struct TailCallCache(Mutex<HashMap<TailCallKey, Vec<TailCall>>>);

impl TailCallCache {
    fn get(&self, key: TailCallKey, look: impl FnOnce() -> Vec<TailCall>) -> Vec<TailCall> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(calls) = known().get(&key) {
            return calls.clone();
        }
        let calls = look();
        let mut known = known();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key, calls.clone());
        calls
    }
}

/// A function in one of the two modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    in_callee: bool,
    entry: LinkAddr,
}

/// Ways from one function to another, as far as they were followed.
#[derive(Default)]
struct Ways {
    found: Vec<Vec<TailCall>>,
    looked: usize,
}

/// There is a way that cannot be followed, or there are too many.
struct Unknown;

impl TailCallSearch<'_> {
    /// The jumps between a frame, whose code is at `inside`, and its caller, to which it will return
    /// at `returns_to`; innermost first. None where the frame's function was called itself, and
    /// where the way is not certain.
    #[must_use]
    pub fn between(&self, inside: LinkAddr, returns_to: LinkAddr) -> Vec<TailCall> {
        // The same callers come again with each hit.
        let key = TailCallKey {
            callee: self.callee.number(),
            inside,
            returns_to,
        };
        let look = || self.ways(inside, returns_to).unwrap_or_default();
        self.caller.tail_calls_cache().get(key, look)
    }

    fn ways(&self, inside: LinkAddr, returns_to: LinkAddr) -> Option<Vec<TailCall>> {
        let goal = Node {
            in_callee: true,
            entry: self.callee.function_code_at(inside)?.entry,
        };
        let called = match direct_target_before(self.caller, returns_to.0) {
            Some(target) => JumpTarget::Address(target),
            None => JumpTarget::Word(word_before(self.caller, returns_to.0)?),
        };
        let first = self.node(false, called)?;
        if first == goal {
            return None;
        }
        let mut ways = Ways::default();
        let mut path = Vec::new();
        self.follow(first, goal, &mut path, &mut ways).ok()?;
        let mut certain = common_ends(&ways.found);
        certain.reverse();
        Some(certain)
    }

    /// Follows all ways from `node`; those that come back to a function of their own do not count.
    fn follow(
        &self,
        node: Node,
        goal: Node,
        path: &mut Vec<(Node, TailCall)>,
        ways: &mut Ways,
    ) -> Result<(), Unknown> {
        ways.looked += 1;
        if ways.looked > MAX_FUNCTIONS || path.len() >= MAX_JUMPS {
            return Err(Unknown);
        }
        let module = self.module(node.in_callee);
        let jumps = jumps_out(module, node.entry).ok_or(Unknown)?;
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

    /// The function that a call or jump of one of the modules leads to.
    fn node(&self, in_callee: bool, to: JumpTarget) -> Option<Node> {
        let module = self.module(in_callee);
        let name = match to {
            JumpTarget::Address(target) => match stub_at(module, LinkAddr(target)) {
                Some((_, name)) => name,
                None => {
                    return Some(Node {
                        in_callee: in_callee || self.is_one_module(),
                        entry: LinkAddr(target),
                    });
                }
            },
            JumpTarget::Word(word) => name_in_word(module, word)?,
        };
        let entry = defined_as(self.callee, &name)?;
        Some(Node {
            in_callee: true,
            entry,
        })
    }
}

/// The first and the last calls that all ways have in common.
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
