//! Variables of Rust's coroutines (`async fn`, `async` blocks) that have a place on the stack: between two
//! polls nobody keeps it, so that it holds what was there before the await.
//!
//! The compiler moves what is used after an await into the coroutine itself; the debug information of all
//! else names the same stack slot before and after it.

use std::collections::{HashMap, HashSet};

use gimli::AttributeValue;
use iced_x86::{Decoder, DecoderOptions, FlowControl, OpKind};

use super::dies::{Die, Dies};
use super::place::{Place, Source, Term};
use super::scope::Frame;
use super::types::Language;
use crate::address::LinkAddr;

/// Bytes of the code of one block that are decoded; of more, nothing is known.
const MAX_BYTES: u64 = 1 << 20;
/// Entries that are looked at for awaits.
const MAX_ENTRIES: usize = 1 << 14;
/// What the compiler names the future that an `await` waits for.
const AWAITED: &str = "__awaitee";

/// The frame of a coroutine at an address.
pub(super) struct Coroutine<'c, 'a> {
    dies: &'c Dies<'a>,
    frame: &'c Frame<'a>,
    address: u64,
    /// It waits otherwise than by `await`.
    yields: bool,
}

impl<'c, 'a> Coroutine<'c, 'a> {
    /// `None`: the function is none.
    pub(super) fn of(dies: &'c Dies<'a>, frame: &'c Frame<'a>, address: u64) -> Option<Self> {
        let function = dies.root_origin(&frame.function);
        if function.unit.language != Language::Rust {
            return None;
        }
        let name = dies.name(&function)?;
        let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
        let yields = begins(&["{gen", "{coroutine", "{async_gen"]);
        (yields || begins(&["{async"])).then_some(Self {
            dies,
            frame,
            address,
            yields,
        })
    }

    /// Whether a variable of the block `level` may still have its place from before an await.
    pub(super) fn may_be_stale(&self, die: &Die<'a>, place: &Place, level: usize) -> bool {
        // What the function itself declares is set at the beginning of each poll.
        if level == 0 || !is_on_stack(place) {
            return false;
        }
        // Lists of locations are of what the compiler has followed through the code.
        if !matches!(self.location(die), Some(AttributeValue::Exprloc(_))) {
            return false;
        }
        if self.yields {
            return true;
        }
        let block = self.frame.blocks.get(level).and_then(|block| block.die);
        let Some(block) = block.and_then(|id| self.dies.die(id)) else {
            return true;
        };
        let mut awaits = Vec::new();
        let mut budget = MAX_ENTRIES;
        if !self.awaits(&block, &mut awaits, &mut budget) {
            return true;
        }
        let origin = self
            .dies
            .reference(&self.frame.function, gimli::DW_AT_abstract_origin);
        if let Some(origin) = origin.and_then(|id| self.dies.die(id)) {
            // Optimised: the copy may lack blocks, and code may have left its own.
            let line = self.dies.inherited(die, gimli::DW_AT_decl_line);
            let line = line.and_then(|(_, line)| line.udata_value()).unwrap_or(0);
            return !awaits.is_empty() || self.awaits_behind(&origin, line);
        }
        if awaits.is_empty() {
            return false;
        }
        let code = self.dies.ranges(&block).unwrap_or_default();
        is_reached(self, &code, &awaits).unwrap_or(true)
    }

    fn location(&self, die: &Die<'a>) -> Option<super::dies::Attr<'a>> {
        let (_, value) = self.dies.inherited(die, gimli::DW_AT_location)?;
        Some(value)
    }

    /// Adds the code of all awaits in a block; false when there is more than is looked at.
    fn awaits(&self, block: &Die<'a>, into: &mut Vec<(u64, u64)>, budget: &mut usize) -> bool {
        for child in self.dies.children(block) {
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            if child.tag() != gimli::DW_TAG_lexical_block {
                continue;
            }
            if self.declares_awaited(&child) {
                match self.dies.ranges(&child) {
                    Some(ranges) => into.extend(ranges),
                    None => return false,
                }
            } else if !self.awaits(&child, into, budget) {
                return false;
            }
        }
        true
    }

    fn declares_awaited(&self, block: &Die<'a>) -> bool {
        let children = self.dies.children(block);
        children.iter().any(|child| self.is_awaited(child))
    }

    fn is_awaited(&self, die: &Die<'a>) -> bool {
        die.tag() == gimli::DW_TAG_variable
            && self.dies.name(die).is_some_and(|name| name == AWAITED)
    }

    /// Whether the abstract function has an await on a line or behind it.
    fn awaits_behind(&self, function: &Die<'a>, line: u64) -> bool {
        let mut budget = MAX_ENTRIES;
        let mut open = vec![function.clone()];
        while let Some(block) = open.pop() {
            for child in self.dies.children(&block) {
                if budget == 0 {
                    return true;
                }
                budget -= 1;
                let at = child.unsigned(gimli::DW_AT_decl_line).unwrap_or(u64::MAX);
                if self.is_awaited(&child) && at >= line {
                    return true;
                }
                if child.tag() == gimli::DW_TAG_lexical_block {
                    open.push(child);
                }
            }
        }
        false
    }
}

/// Memory of the frame itself, not behind a pointer.
fn is_on_stack(place: &Place) -> bool {
    place.pieces.iter().any(|piece| match &piece.source {
        Source::Memory(expr) => {
            let has = |is: fn(&Term) -> bool| expr.0.iter().any(is);
            has(|term| matches!(term, Term::Register(_)))
                && !has(|term| matches!(term, Term::Deref(_)))
        }
        _ => false,
    })
}

/// Whether the address is one of the code in `from`, or comes behind it without leaving `code`; `None`: that
/// is not known.
fn is_reached(
    coroutine: &Coroutine<'_, '_>,
    code: &[(u64, u64)],
    from: &[(u64, u64)],
) -> Option<bool> {
    let next = followers(coroutine, code)?;
    let is_from = |address: &u64| {
        from.iter()
            .any(|(begin, end)| (begin..end).contains(&address))
    };
    let mut open: Vec<u64> = next.keys().copied().filter(is_from).collect();
    let mut seen: HashSet<u64> = open.iter().copied().collect();
    while let Some(address) = open.pop() {
        if address == coroutine.address {
            return Some(true);
        }
        // What leaves the block comes back through its beginning, where the variable is set.
        for follower in next.get(&address)?.iter().flatten() {
            if next.contains_key(follower) && seen.insert(*follower) {
                open.push(*follower);
            }
        }
    }
    Some(false)
}

/// What may be executed behind each instruction of some code; `None`: some of it jumps to where nobody knows.
fn followers(
    coroutine: &Coroutine<'_, '_>,
    code: &[(u64, u64)],
) -> Option<HashMap<u64, [Option<u64>; 2]>> {
    let mut left = MAX_BYTES;
    let mut next = HashMap::new();
    for (begin, end) in code {
        let length = end.checked_sub(*begin)?;
        left = left.checked_sub(length)?;
        let length = usize::try_from(length).ok()?;
        let bytes = coroutine
            .dies
            .module
            .initial_bytes(LinkAddr(*begin), length)?;
        let mut decoder = Decoder::with_ip(64, bytes, *begin, DecoderOptions::NONE);
        while decoder.can_decode() {
            let instruction = decoder.decode();
            if instruction.is_invalid() {
                return None;
            }
            let behind = Some(instruction.next_ip());
            let target = (instruction.op0_kind() == OpKind::NearBranch64)
                .then(|| instruction.near_branch_target());
            let followers = match instruction.flow_control() {
                FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => [behind, None],
                FlowControl::ConditionalBranch => [behind, Some(target?)],
                FlowControl::UnconditionalBranch => [Some(target?), None],
                FlowControl::Return | FlowControl::Exception => [None, None],
                _ => return None,
            };
            next.insert(instruction.ip(), followers);
        }
    }
    Some(next)
}
