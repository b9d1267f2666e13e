//! Variables of Rust's coroutines (`async fn`, `async` blocks) that have a place on the stack.
//! Nothing preserves this place between two polls, so after an await it may hold anything.
//!
//! The compiler moves variables that are used after an await into the coroutine itself. For all
//! other variables, the debug information names the same stack slot before and after the await.

use std::collections::{HashMap, HashSet};

use gimli::AttributeValue;

use super::function_frame::FunctionFrame;
use crate::arch::{Flow, decode};
use crate::base::address::LinkAddr;
use crate::debuginfo::dwarf::dies::{Die, Dies};
use crate::debuginfo::model::place::{PieceSource, Place, Term};
use crate::debuginfo::model::types::Language;

/// Bytes of one block's code that are decoded; a larger block is not analysed.
const MAX_BYTES: u64 = 1 << 20;
/// Entries that are searched for awaits.
const MAX_ENTRIES: usize = 1 << 14;
/// The compiler's name for the future that an `await` waits for.
const AWAITED: &str = "__awaitee";

/// The frame of a coroutine at an address.
pub(in crate::debuginfo) struct Coroutine<'c, 'a> {
    dies: &'c Dies<'a>,
    frame: &'c FunctionFrame<'a>,
    address: u64,
    /// True if the coroutine can suspend in other ways than by `await`.
    yields: bool,
}

impl<'c, 'a> Coroutine<'c, 'a> {
    /// Returns the coroutine of a frame, or `None` if its function is not a coroutine.
    pub(in crate::debuginfo) fn of(
        dies: &'c Dies<'a>,
        frame: &'c FunctionFrame<'a>,
        address: u64,
    ) -> Option<Self> {
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

    /// Returns true if a variable of block `level` may have a place that was last set before an
    /// await.
    pub(in crate::debuginfo) fn may_be_stale(
        &self,
        die: &Die<'a>,
        place: &Place,
        level: usize,
    ) -> bool {
        // Variables of the function itself are set at the start of each poll.
        if level == 0 || !is_on_stack(place) {
            return false;
        }
        // The compiler has tracked a variable with a location list through the code.
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
            // In optimised code the copy may lack blocks, and code may have moved out of its
            // block.
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

    fn location(&self, die: &Die<'a>) -> Option<crate::debuginfo::dwarf::dies::Attr<'a>> {
        let (_, value) = self.dies.inherited(die, gimli::DW_AT_location)?;
        Some(value)
    }

    /// Adds the code ranges of all awaits in a block. Returns false if the limit is reached.
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

    /// Returns true if the abstract function has an await on `line` or after it.
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

/// Returns true if a place is memory of the frame itself, and not behind a pointer.
fn is_on_stack(place: &Place) -> bool {
    place.pieces.iter().any(|piece| match &piece.source {
        PieceSource::Memory(expr) => {
            let has = |is: fn(&Term) -> bool| expr.0.iter().any(is);
            has(|term| matches!(term, Term::Register(_)))
                && !has(|term| matches!(term, Term::Deref(_)))
        }
        _ => false,
    })
}

/// Returns true if the address is in the code `from`, or is reached from there without leaving
/// `code`. Returns `None` if that is not known.
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
        // A path that leaves the block re-enters it at its start, where the variable is set.
        for follower in next.get(&address)?.iter().flatten() {
            if next.contains_key(follower) && seen.insert(*follower) {
                open.push(*follower);
            }
        }
    }
    Some(false)
}

/// Returns the possible next instructions of each instruction, or `None` if a jump has an unknown
/// target.
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
            .files
            .initial_bytes(LinkAddr(*begin), length)?;
        for instruction in decode(bytes, *begin) {
            if !instruction.is_valid() {
                return None;
            }
            let behind = Some(instruction.next_address());
            let target = instruction.target();
            let followers = match instruction.flow() {
                Flow::Next | Flow::Call | Flow::IndirectCall => [behind, None],
                Flow::ConditionalJump => [behind, Some(target?)],
                Flow::Jump => [Some(target?), None],
                Flow::Return | Flow::Exception => [None, None],
                _ => return None,
            };
            next.insert(instruction.address(), followers);
        }
    }
    Some(next)
}
