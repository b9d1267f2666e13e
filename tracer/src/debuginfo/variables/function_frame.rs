//! A function or inlined copy at an address: its blocks, and the entries of their variables.

use std::ops::Range;
use std::rc::Rc;

use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::Die;

/// A function or inlined copy that contains an address.
pub(in crate::debuginfo) struct FunctionFrame<'a> {
    /// `DW_TAG_subprogram` or `DW_TAG_inlined_subroutine`.
    pub(in crate::debuginfo) function: Die<'a>,
    /// Blocks around the address, outermost first; the first is the function itself.
    pub(in crate::debuginfo) blocks: Vec<ScopeBlock<'a>>,
    /// Blocks without any address in the innermost of the blocks.
    pub(in crate::debuginfo) empty: Vec<DieId>,
    /// Variables of removed blocks, which may or may not be in scope.
    pub(in crate::debuginfo) doubtful: Vec<DoubtfulVariable<'a>>,
}

/// The variables that one block declares, in the source's order.
#[derive(Default)]
pub(in crate::debuginfo) struct ScopeBlock<'a> {
    /// Entry of the block; `None` if the copy lacks it.
    pub(in crate::debuginfo) die: Option<DieId>,
    /// `DW_TAG_formal_parameter` and `DW_TAG_variable`.
    pub(in crate::debuginfo) variables: Vec<DeclaredVariable<'a>>,
}

/// The entry of a variable.
pub(in crate::debuginfo) struct DeclaredVariable<'a> {
    /// Entry in the copy at the address if there is one, else in the abstract function.
    pub(in crate::debuginfo) die: Die<'a>,
    /// True if the optimiser left no trace of it in this copy.
    pub(in crate::debuginfo) dropped: bool,
}

/// A variable of a removed block. It may or may not be in scope at the address.
pub(in crate::debuginfo) struct DoubtfulVariable<'a> {
    /// Entry of the variable.
    pub(in crate::debuginfo) die: Die<'a>,
    /// Numbers of its block and of the blocks inside it.
    pub(super) within: Range<usize>,
    /// Lines of all declarations of the function, each with the number of its block.
    pub(super) lines: Rc<[(usize, u64)]>,
}

impl DoubtfulVariable<'_> {
    /// Returns true if the variable's block ends before `line`: a declaration outside of the
    /// block is between the variable's own line and `line`.
    pub(in crate::debuginfo) fn ends_before(&self, line: u64, own: u64) -> bool {
        self.lines
            .iter()
            .any(|(block, other)| !self.within.contains(block) && *other > own && *other < line)
    }
}
