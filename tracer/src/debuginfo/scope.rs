//! What is in scope at an address: the function there, the inlined copies and
//! blocks around the address, and the entries of their variables.
//!
//! Says nothing of where variables are: see [`super::variable_reader`].

use std::collections::HashSet;
use std::rc::Rc;

use super::die_cache::{Blocks, Inside};
use super::dies::{Die, DieId, Dies, UnitAt};
use super::lost::{Doubtful, add_lost};
use super::unit_index::index_of;

/// Blocks and inlined copies that one address may be in.
const MAX_DEPTH: usize = 256;
/// Entries of variables of one function at one address.
const MAX_VARIABLES: usize = 1 << 14;

/// A function, or an inlined copy of one, that an address is in.
pub(super) struct Frame<'a> {
    /// `DW_TAG_subprogram` or `DW_TAG_inlined_subroutine`.
    pub(super) function: Die<'a>,
    /// Blocks around the address, outermost first; the first is the function itself.
    pub(super) blocks: Vec<Block<'a>>,
    /// Blocks without a single address in the innermost of them.
    pub(super) empty: Vec<DieId>,
    /// Variables of blocks that are gone, of which nobody knows whether they are in force.
    pub(super) doubtful: Vec<Doubtful<'a>>,
}

/// The variables that one block declares, in the source's order.
#[derive(Default)]
pub(super) struct Block<'a> {
    /// Its own entry; `None`: the copy has none.
    pub(super) die: Option<DieId>,
    /// `DW_TAG_formal_parameter` and `DW_TAG_variable`.
    pub(super) variables: Vec<Declared<'a>>,
}

/// The entry of a variable.
pub(super) struct Declared<'a> {
    /// Of the copy at the address where there is one, else of the abstract function.
    pub(super) die: Die<'a>,
    /// The optimiser left no trace of it in this copy.
    pub(super) dropped: bool,
}

/// The frames at `address` in a unit: inlined copies innermost first, then the
/// function with code of its own. Empty when no function is there. Of functions that a linker
/// folded into one, `meant` is the one that is asked about.
pub(super) fn frames<'a>(
    dies: &Dies<'a>,
    unit: &Rc<UnitAt<'a>>,
    address: u64,
    meant: Option<DieId>,
) -> Vec<Frame<'a>> {
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
    let mut walk = Walk {
        dies,
        address,
        frames: Vec::new(),
        variables: 0,
    };
    walk.open(&function);
    walk.block(&function, 0);
    let mut frames = walk.frames;
    for frame in &mut frames {
        let known = origins_within(dies, &frame.function);
        dropped(dies, frame, &known);
        frame.doubtful = add_lost(dies, frame, &known);
    }
    frames.reverse();
    frames
}

struct Walk<'w, 'a> {
    dies: &'w Dies<'a>,
    address: u64,
    /// Outermost first.
    frames: Vec<Frame<'a>>,
    variables: usize,
}

impl<'a> Walk<'_, 'a> {
    fn open(&mut self, function: &Die<'a>) {
        self.frames.push(Frame {
            function: function.clone(),
            blocks: vec![Block {
                die: Some(function.id()),
                variables: Vec::new(),
            }],
            empty: Vec::new(),
            doubtful: Vec::new(),
        });
    }

    /// Takes the variables of `parent`, then goes into what is around the
    /// address; true when there was such a block.
    fn block(&mut self, parent: &Die<'a>, depth: usize) -> bool {
        if depth >= MAX_DEPTH {
            return false;
        }
        let dies = self.dies;
        let blocks = dies.cache.blocks(parent.id(), || blocks(dies, parent));
        for &variable in &blocks.variables {
            if let Some(die) = dies.die(variable) {
                self.declare(die);
            }
        }
        for Inside {
            die,
            inlined,
            ranges,
        } in &blocks.inside
        {
            match ranges {
                // A block without addresses is only there in the source.
                None if !inlined && self.block_of(*die, depth) => return true,
                Some(ranges) if self.contains(ranges) => {
                    let Some(child) = dies.die(*die) else {
                        return true;
                    };
                    if *inlined {
                        self.open(&child);
                    } else if let Some(frame) = self.frames.last_mut() {
                        frame.empty.clear();
                        frame.blocks.push(Block {
                            die: Some(*die),
                            variables: Vec::new(),
                        });
                    }
                    self.block(&child, depth + 1);
                    // Siblings around one address contradict each other.
                    return true;
                }
                _ => {}
            }
        }
        let no_code =
            |inside: &&Inside| !inside.inlined && inside.ranges.as_ref().is_some_and(Vec::is_empty);
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

    /// Goes into a block; true when there is one around the address.
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
            block.variables.push(Declared {
                die,
                dropped: false,
            });
        }
    }
}

/// What stands in a function or block.
fn blocks<'a>(dies: &Dies<'a>, parent: &Die<'a>) -> Blocks {
    let mut blocks = Blocks::default();
    for child in dies.children(parent) {
        match child.tag() {
            gimli::DW_TAG_formal_parameter | gimli::DW_TAG_variable => {
                blocks.variables.push(child.id());
            }
            tag @ (gimli::DW_TAG_lexical_block
            | gimli::DW_TAG_try_block
            | gimli::DW_TAG_catch_block
            | gimli::DW_TAG_inlined_subroutine) => blocks.inside.push(Inside {
                die: child.id(),
                inlined: tag == gimli::DW_TAG_inlined_subroutine,
                ranges: dies.ranges(&child),
            }),
            _ => {}
        }
    }
    blocks
}

/// Adds the variables of the abstract function that this copy has no entry for.
///
/// Only those of the function's own block; [`super::lost`] has those of other blocks.
fn dropped<'a>(dies: &Dies<'a>, frame: &mut Frame<'a>, known: &HashSet<DieId>) {
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
            block.variables.push(Declared { die, dropped: true });
        }
    }
    // The entries of a copy may stand in any order; those of the source do not.
    for block in &mut frame.blocks {
        block.variables.sort_by_cached_key(|declared| {
            let own = declared.die.id();
            let origin = dies.reference(&declared.die, gimli::DW_AT_abstract_origin);
            origin.unwrap_or(own)
        });
    }
}

/// All entries that something below `die` is a copy of.
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
