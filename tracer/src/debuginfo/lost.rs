//! Variables of blocks that the optimiser removed: which of them are in scope at an address, and which may be.
//!
//! A copy of a function often lacks blocks that the source has, since compilers leave out blocks of which no
//! variable is left. A name must not mean the outer variable there where the source has an inner one in force.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use super::dies::{Die, DieId, Dies};
use super::scope::{Block, Declared, Frame};

/// Entries of one function that are looked at.
const MAX_ENTRIES: usize = 1 << 14;
/// Variables of blocks that are gone.
const MAX_DOUBTFUL: usize = 1 << 12;
/// Levels of blocks.
const MAX_DEPTH: usize = 256;

/// A variable of a block that is gone: it may be in force at the address, or not.
pub(super) struct Doubtful<'a> {
    /// Its entry.
    pub(super) die: Die<'a>,
    /// Numbers of its block and the blocks in it.
    within: Range<usize>,
    /// Lines of all declarations of the function, each with the number of its block.
    lines: Rc<[(usize, u64)]>,
}

impl Doubtful<'_> {
    /// Whether its block ends before a line: a declaration that is not in the block stands between the
    /// variable's own and that line.
    pub(super) fn ends_before(&self, line: u64, own: u64) -> bool {
        self.lines
            .iter()
            .any(|(block, other)| !self.within.contains(block) && *other > own && *other < line)
    }
}

/// A block of the abstract function.
struct Abstract<'a> {
    id: DieId,
    parent: Option<usize>,
    /// Number behind the last block in it.
    end: usize,
    variables: Vec<Die<'a>>,
    /// Whether the copy has it at all.
    present: bool,
    /// Whether it, or a block in it, is one of those around the address.
    around: bool,
}

/// Adds to a copy the blocks that it lacks and that are around the address, and gives the variables of which
/// that is not known.
pub(super) fn add_lost<'a>(
    dies: &Dies<'a>,
    frame: &mut Frame<'a>,
    known: &HashSet<DieId>,
) -> Vec<Doubtful<'a>> {
    let mut doubtful = empty_blocks(dies, frame);
    let origin = dies.reference(&frame.function, gimli::DW_AT_abstract_origin);
    let Some(origin) = origin.and_then(|id| dies.die(id)) else {
        return doubtful;
    };
    let mut blocks = Vec::new();
    let mut budget = MAX_ENTRIES;
    read(dies, &origin, (None, 0), &mut budget, &mut blocks);
    for block in &mut blocks {
        let variables = block.variables.iter().map(Die::id);
        block.present = variables.chain([block.id]).any(|id| known.contains(&id));
    }
    let levels = levels(dies, frame, &blocks);
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

/// Variables of blocks without a single address, in the innermost block around the address.
fn empty_blocks<'a>(dies: &Dies<'a>, frame: &Frame<'a>) -> Vec<Doubtful<'a>> {
    let mut found = Vec::new();
    let mut budget = MAX_ENTRIES;
    for empty in &frame.empty {
        let Some(block) = dies.die(*empty) else {
            continue;
        };
        let mut blocks = Vec::new();
        read(dies, &block, (None, 0), &mut budget, &mut blocks);
        let lines: Rc<[(usize, u64)]> = Rc::default();
        let variables = blocks.into_iter().flat_map(|block| block.variables);
        found.extend(variables.map(|die| Doubtful {
            die,
            within: 0..0,
            lines: Rc::clone(&lines),
        }));
    }
    found
}

/// The blocks of a function or block, itself first.
fn read<'a>(
    dies: &Dies<'a>,
    die: &Die<'a>,
    (parent, depth): (Option<usize>, usize),
    budget: &mut usize,
    into: &mut Vec<Abstract<'a>>,
) {
    let number = into.len();
    into.push(Abstract {
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
                read(dies, &child, (Some(number), depth + 1), budget, into);
            }
            _ => {}
        }
    }
    let end = into.len();
    if let Some(block) = into.get_mut(number) {
        block.end = end;
    }
}

/// The abstract block of each block around the address, as far as it is known.
fn levels<'a>(dies: &Dies<'a>, frame: &Frame<'a>, blocks: &[Abstract<'a>]) -> Vec<Option<usize>> {
    let mut numbers = HashMap::new();
    for (number, block) in blocks.iter().enumerate() {
        let variables = block.variables.iter().map(Die::id);
        numbers.extend(variables.chain([block.id]).map(|id| (id, number)));
    }
    let number_of = |id: DieId| numbers.get(&id).copied();
    let origin = |die: &Die<'a>| dies.reference(die, gimli::DW_AT_abstract_origin);
    let level = |(number, block): (usize, &Block<'a>)| {
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

/// Puts the blocks between those around the address into the frame.
fn insert_certain<'a>(frame: &mut Frame<'a>, levels: &[Option<usize>], blocks: &[Abstract<'a>]) {
    let lost = blocks.iter().enumerate();
    let lost = lost.filter(|(number, block)| *number != 0 && block.around && !block.present);
    // Innermost first, so that the numbers of the outer ones stay.
    for (number, block) in lost.rev() {
        let at = levels
            .iter()
            .position(|level| level.is_some_and(|level| (number..block.end).contains(&level)));
        let declared = |die: &Die<'a>| Declared {
            die: die.clone(),
            dropped: true,
        };
        let variables = block.variables.iter().map(declared).collect();
        let at = at.unwrap_or(frame.blocks.len()).min(frame.blocks.len());
        frame.blocks.insert(
            at,
            Block {
                die: None,
                variables,
            },
        );
    }
}

/// The variables of blocks that may be around the address: all that is around them is, down to the innermost
/// block that is known to be, and the copy has none of those in between.
fn possible<'a>(blocks: &[Abstract<'a>]) -> Vec<Doubtful<'a>> {
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
        block.variables.iter().map(move |die| Doubtful {
            die: die.clone(),
            within: number..block.end,
            lines: Rc::clone(lines),
        })
    });
    variables.take(MAX_DOUBTFUL).collect()
}
