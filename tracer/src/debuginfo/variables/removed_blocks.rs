//! Variables of blocks that the optimiser removed: those that are in scope at an address, and
//! those that may be.
//!
//! A copy of a function often lacks blocks of the source, because compilers leave out blocks
//! without variables. A name must not mean the outer variable if the source has an inner one in
//! scope there.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::function_frame::{DeclaredVariable, DoubtfulVariable, FunctionFrame, ScopeBlock};
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::{Die, Dies};

/// Entries of one function that are read.
const MAX_ENTRIES: usize = 1 << 14;
/// Variables of removed blocks that are kept.
const MAX_DOUBTFUL: usize = 1 << 12;
/// Levels of blocks.
const MAX_DEPTH: usize = 256;

/// A block of the abstract function.
struct AbstractBlock<'a> {
    id: DieId,
    parent: Option<usize>,
    /// Number after the last block inside it.
    end: usize,
    variables: Vec<Die<'a>>,
    /// True if the copy has the block, at any address.
    present: bool,
    /// True if the block or a block inside it is around the address.
    around: bool,
}

/// Adds the blocks around the address that a copy lacks, and returns the variables that may be in
/// scope.
pub(in crate::debuginfo) fn add_lost<'a>(
    dies: &Dies<'a>,
    frame: &mut FunctionFrame<'a>,
    known: &HashSet<DieId>,
) -> Vec<DoubtfulVariable<'a>> {
    let mut doubtful = empty_blocks(dies, frame);
    let origin = dies.reference(&frame.function, gimli::DW_AT_abstract_origin);
    let Some(origin) = origin.and_then(|id| dies.die(id)) else {
        return doubtful;
    };
    let mut blocks = Vec::new();
    let mut budget = MAX_ENTRIES;
    read(dies, &origin, None, 0, &mut budget, &mut blocks);
    for block in &mut blocks {
        let variables = block.variables.iter().map(Die::id);
        block.present = variables.chain([block.id]).any(|id| known.contains(&id));
    }
    let levels = levels(dies, frame, &blocks);
    // Every block that contains a block around the address is around it too.
    for &level in levels.iter().flatten() {
        let mut next = Some(level);
        while let Some(block) = next.and_then(|at| blocks.get_mut(at)) {
            block.around = true;
            next = block.parent;
        }
    }
    insert_certain(frame, &levels, &blocks);
    doubtful.extend(possible(&blocks));
    doubtful
}

/// Returns the variables of blocks without any address in the innermost block around the address.
fn empty_blocks<'a>(dies: &Dies<'a>, frame: &FunctionFrame<'a>) -> Vec<DoubtfulVariable<'a>> {
    let mut found = Vec::new();
    let mut budget = MAX_ENTRIES;
    for empty in &frame.empty {
        let Some(block) = dies.die(*empty) else {
            continue;
        };
        let mut blocks = Vec::new();
        read(dies, &block, None, 0, &mut budget, &mut blocks);
        let lines: Rc<[(usize, u64)]> = Rc::default();
        let variables = blocks.into_iter().flat_map(|block| block.variables);
        found.extend(variables.map(|die| DoubtfulVariable {
            die,
            within: 0..0,
            lines: Rc::clone(&lines),
        }));
    }
    found
}

/// Adds a function or block and all blocks inside it to `into`, outer ones first.
fn read<'a>(
    dies: &Dies<'a>,
    die: &Die<'a>,
    parent: Option<usize>,
    depth: usize,
    budget: &mut usize,
    into: &mut Vec<AbstractBlock<'a>>,
) {
    let number = into.len();
    into.push(AbstractBlock {
        id: die.id(),
        parent,
        end: number + 1,
        variables: Vec::new(),
        present: false,
        around: false,
    });
    if depth >= MAX_DEPTH {
        return;
    }
    for child in dies.children(die) {
        if *budget == 0 {
            break;
        }
        *budget -= 1;
        match child.tag() {
            gimli::DW_TAG_formal_parameter | gimli::DW_TAG_variable => {
                if let Some(block) = into.get_mut(number) {
                    block.variables.push(child);
                }
            }
            gimli::DW_TAG_lexical_block | gimli::DW_TAG_try_block | gimli::DW_TAG_catch_block => {
                read(dies, &child, Some(number), depth + 1, budget, into);
            }
            _ => {}
        }
    }
    let end = into.len();
    if let Some(block) = into.get_mut(number) {
        block.end = end;
    }
}

/// Returns the abstract block of each block around the address, as far as it is known.
fn levels<'a>(
    dies: &Dies<'a>,
    frame: &FunctionFrame<'a>,
    blocks: &[AbstractBlock<'a>],
) -> Vec<Option<usize>> {
    let mut numbers = HashMap::new();
    for (number, block) in blocks.iter().enumerate() {
        let variables = block.variables.iter().map(Die::id);
        numbers.extend(variables.chain([block.id]).map(|id| (id, number)));
    }
    let number_of = |id: DieId| numbers.get(&id).copied();
    let origin = |die: &Die<'a>| dies.reference(die, gimli::DW_AT_abstract_origin);
    let level = |(number, block): (usize, &ScopeBlock<'a>)| {
        // The first block is the function itself.
        if number == 0 {
            return Some(0);
        }
        let own = block.die.and_then(|id| dies.die(id));
        let own = own.and_then(|die| origin(&die)).and_then(number_of);
        let variables = block.variables.iter().map(|declared| &declared.die);
        own.or_else(|| variables.filter_map(origin).find_map(number_of))
    };
    frame.blocks.iter().enumerate().map(level).collect()
}

/// Inserts the removed blocks that contain a block around the address into the frame.
fn insert_certain<'a>(
    frame: &mut FunctionFrame<'a>,
    levels: &[Option<usize>],
    blocks: &[AbstractBlock<'a>],
) {
    let lost = blocks.iter().enumerate();
    let lost = lost.filter(|(number, block)| *number != 0 && block.around && !block.present);
    // Inner blocks are inserted first, so that the positions of the outer ones stay valid.
    for (number, block) in lost.rev() {
        let at = levels
            .iter()
            .position(|level| level.is_some_and(|level| (number..block.end).contains(&level)));
        let declared = |die: &Die<'a>| DeclaredVariable {
            die: die.clone(),
            dropped: true,
        };
        let variables = block.variables.iter().map(declared).collect();
        let at = at.unwrap_or(frame.blocks.len()).min(frame.blocks.len());
        frame.blocks.insert(
            at,
            ScopeBlock {
                die: None,
                variables,
            },
        );
    }
}

/// Returns the variables of blocks that may be around the address. These are the blocks inside
/// the innermost block that is known to be around it, if the copy lacks them and all blocks in
/// between.
fn possible<'a>(blocks: &[AbstractBlock<'a>]) -> Vec<DoubtfulVariable<'a>> {
    let Some(innermost) = blocks.iter().rposition(|block| block.around) else {
        return Vec::new();
    };
    let is_possible = |number: usize| {
        let mut next = Some(number);
        while let Some((at, block)) = next.and_then(|at| Some((at, blocks.get(at)?))) {
            if at == innermost {
                return at != number;
            }
            if block.present || block.around {
                return false;
            }
            next = block.parent;
        }
        false
    };
    let lines = blocks.iter().enumerate().flat_map(|(number, block)| {
        let line = |die: &Die<'a>| die.unsigned(gimli::DW_AT_decl_line);
        let lines = block.variables.iter().filter_map(line);
        lines.map(move |line| (number, line))
    });
    let lines: Rc<[(usize, u64)]> = lines.collect();
    let possible = blocks.iter().enumerate();
    let possible = possible.filter(|(number, _)| is_possible(*number));
    let variables = possible.flat_map(|(number, block)| {
        let lines = &lines;
        block.variables.iter().map(move |die| DoubtfulVariable {
            die: die.clone(),
            within: number..block.end,
            lines: Rc::clone(lines),
        })
    });
    variables.take(MAX_DOUBTFUL).collect()
}
