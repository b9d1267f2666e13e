//! Scopes at an address: the function there, the inlined copies and blocks around the address,
//! and the entries of their variables.
//!
//! [`super::variable_reader`] finds the places of the variables.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use super::block_cache::{BlockList, NestedBlock};
use super::function_frame::{DeclaredVariable, FunctionFrame, ScopeBlock};
use super::removed_blocks::add_lost;
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::{Die, Dies, ParsedUnit};
use crate::debuginfo::dwarf::unit_index_reader::index_of;

/// Maximum number of blocks and inlined copies around one address.
const MAX_DEPTH: usize = 256;
/// Maximum number of variables of one function at one address.
const MAX_VARIABLES: usize = 1 << 14;

/// Returns the frames at `address` in a unit: inlined copies innermost first, then the function
/// with code of its own. The list is empty if no function is there. If a linker folded several
/// functions into one, `meant` selects one.
pub(in crate::debuginfo) fn frames<'a>(
    dies: &Dies<'a>,
    unit: &Rc<ParsedUnit<'a>>,
    address: u64,
    meant: Option<DieId>,
) -> Vec<FunctionFrame<'a>> {
    let contains = |die: &Die<'a>| {
        let ranges = dies.ranges(die).unwrap_or_default();
        let mut ranges = ranges.iter();
        ranges.any(|(begin, end)| (*begin..*end).contains(&address))
    };
    let meant = meant.and_then(|id| dies.die(id)).filter(contains);
    let found = || index_of(dies, unit).function(address);
    let function = meant.or_else(|| dies.die(unit.id(found()?)));
    let Some(function) = function else {
        return Vec::new();
    };
    let mut walk = ScopeWalk {
        dies,
        address,
        frames: Vec::new(),
        variables: 0,
    };
    walk.open(&function);
    walk.block(&function, 0);
    let mut frames = walk.frames;
    for frame in &mut frames {
        let known = origins(dies, &frame.function);
        dropped(dies, frame, &known);
        frame.doubtful = add_lost(dies, frame, &known);
    }
    frames.reverse();
    frames
}

struct ScopeWalk<'w, 'a> {
    dies: &'w Dies<'a>,
    address: u64,
    /// Frames, outermost first.
    frames: Vec<FunctionFrame<'a>>,
    variables: usize,
}

impl<'a> ScopeWalk<'_, 'a> {
    fn open(&mut self, function: &Die<'a>) {
        self.frames.push(FunctionFrame {
            function: function.clone(),
            blocks: vec![ScopeBlock {
                die: Some(function.id()),
                variables: Vec::new(),
            }],
            empty: Vec::new(),
            doubtful: Vec::new(),
        });
    }

    /// Adds the variables of `parent`, then enters the block around the address. Returns true if
    /// there is such a block.
    fn block(&mut self, parent: &Die<'a>, depth: usize) -> bool {
        if depth >= MAX_DEPTH {
            return false;
        }
        let dies = self.dies;
        let blocks = dies.caches.blocks.get(parent.id(), || blocks(dies, parent));
        for &variable in &blocks.variables {
            if let Some(die) = dies.die(variable) {
                self.declare(die);
            }
        }
        for NestedBlock {
            die,
            inlined,
            ranges,
        } in &blocks.inside
        {
            match ranges {
                // A block without addresses exists only in the source, so the blocks inside it
                // are searched.
                None if !inlined && self.block_of(*die, depth) => return true,
                Some(ranges) if self.contains(ranges) => {
                    let Some(child) = dies.die(*die) else {
                        return true;
                    };
                    if *inlined {
                        self.open(&child);
                    } else if let Some(frame) = self.frames.last_mut() {
                        frame.empty.clear();
                        frame.blocks.push(ScopeBlock {
                            die: Some(*die),
                            variables: Vec::new(),
                        });
                    }
                    self.block(&child, depth + 1);
                    // Two siblings around one address would contradict each other, so the first
                    // one is used.
                    return true;
                }
                _ => {}
            }
        }
        let no_code = |inside: &&NestedBlock| {
            !inside.inlined && inside.ranges.as_ref().is_some_and(Vec::is_empty)
        };
        let empty = blocks
            .inside
            .iter()
            .filter(no_code)
            .map(|inside| inside.die);
        if let Some(frame) = self.frames.last_mut() {
            frame.empty.extend(empty.take(MAX_DEPTH));
        }
        false
    }

    /// Enters a block. Returns true if a block inside it is around the address.
    fn block_of(&mut self, die: DieId, depth: usize) -> bool {
        self.dies
            .die(die)
            .is_some_and(|block| self.block(&block, depth + 1))
    }

    fn contains(&self, ranges: &[(u64, u64)]) -> bool {
        let address = self.address;
        ranges
            .iter()
            .any(|(begin, end)| (*begin..*end).contains(&address))
    }

    fn declare(&mut self, die: Die<'a>) {
        self.variables += 1;
        if self.variables > MAX_VARIABLES {
            return;
        }
        let block = self
            .frames
            .last_mut()
            .and_then(|frame| frame.blocks.last_mut());
        if let Some(block) = block {
            block.variables.push(DeclaredVariable {
                die,
                dropped: false,
            });
        }
    }
}

/// Reads the contents of a function or block.
fn blocks<'a>(dies: &Dies<'a>, parent: &Die<'a>) -> BlockList {
    let mut blocks = BlockList::default();
    for child in dies.children(parent) {
        match child.tag() {
            gimli::DW_TAG_formal_parameter | gimli::DW_TAG_variable => {
                blocks.variables.push(child.id());
            }
            tag @ (gimli::DW_TAG_lexical_block
            | gimli::DW_TAG_try_block
            | gimli::DW_TAG_catch_block
            | gimli::DW_TAG_inlined_subroutine) => blocks.inside.push(NestedBlock {
                die: child.id(),
                inlined: tag == gimli::DW_TAG_inlined_subroutine,
                ranges: dies.ranges(&child),
            }),
            _ => {}
        }
    }
    blocks
}

/// Adds the variables of the abstract function for which this copy has no entry.
///
/// It adds only variables of the function's own block; [`super::removed_blocks`] handles other
/// blocks.
fn dropped<'a>(dies: &Dies<'a>, frame: &mut FunctionFrame<'a>, known: &HashSet<DieId>) {
    let Some(id) = dies.reference(&frame.function, gimli::DW_AT_abstract_origin) else {
        return;
    };
    let Some(origin) = dies.die(id) else {
        return;
    };
    let Some(block) = frame.blocks.first_mut() else {
        return;
    };
    for die in dies.children(&origin) {
        let variable = matches!(
            die.tag(),
            gimli::DW_TAG_formal_parameter | gimli::DW_TAG_variable
        );
        if variable && !known.contains(&die.id()) && block.variables.len() < MAX_VARIABLES {
            block
                .variables
                .push(DeclaredVariable { die, dropped: true });
        }
    }
    // The entries of a copy may be in any order, but those of the source are in source order.
    for block in &mut frame.blocks {
        block.variables.sort_by_cached_key(|declared| {
            let own = declared.die.id();
            let origin = dies.reference(&declared.die, gimli::DW_AT_abstract_origin);
            origin.unwrap_or(own)
        });
    }
}

/// Returns the entries that have a copy in a function. Empty if the function is not a copy itself.
fn origins<'a>(dies: &Dies<'a>, function: &Die<'a>) -> Arc<HashSet<DieId>> {
    if function.attr(gimli::DW_AT_abstract_origin).is_none() {
        return Arc::default();
    }
    let read = || origins_within(dies, function);
    dies.caches.origins.get(function.id(), read)
}

/// Returns all entries that have a copy below `die`.
fn origins_within<'a>(dies: &Dies<'a>, die: &Die<'a>) -> HashSet<DieId> {
    let mut found = HashSet::new();
    let Ok(mut cursor) = die.unit.unit.entries_at_offset(die.entry.offset()) else {
        return found;
    };
    let mut root = true;
    while let Ok(Some(entry)) = cursor.next_dfs() {
        if !root && entry.depth() <= 0 {
            break;
        }
        root = false;
        if !dies.count_entry(entry) {
            break;
        }
        let origin = entry.attr_value(gimli::DW_AT_abstract_origin);
        found.extend(origin.and_then(|origin| dies.resolve(&die.unit, origin)));
        if found.len() >= MAX_VARIABLES {
            break;
        }
    }
    found
}
