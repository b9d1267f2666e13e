//! Caches of the entries in functions, so that each address does not read all of them again.

use std::collections::HashSet;
use std::sync::Arc;

use crate::debuginfo::dwarf::cache::Cache;
use crate::debuginfo::dwarf::die_id::DieId;

/// Entries whose list of blocks is kept. One more drops all of them.
const MAX_BLOCKS: usize = 512;
/// Most functions whose origins are kept. One more drops all of them.
const MAX_FUNCTIONS: usize = 256;
/// Most origins of a function that is kept.
const MAX_ORIGINS: usize = 1 << 12;

/// Lists of blocks by the entry of the function or block that they are in.
#[derive(Default)]
pub(in crate::debuginfo) struct BlockCache(Cache<DieId, Arc<BlockList>>);

/// The contents of a function or block: entries of variables, and blocks with their addresses.
#[derive(Debug, Default)]
pub(in crate::debuginfo) struct BlockList {
    /// Variables in the order of their entries.
    pub(in crate::debuginfo) variables: Vec<DieId>,
    /// Blocks and inlined copies in the order of their entries.
    pub(in crate::debuginfo) inside: Vec<NestedBlock>,
}

/// One block or inlined copy.
#[derive(Debug)]
pub(in crate::debuginfo) struct NestedBlock {
    /// Entry of the block.
    pub(in crate::debuginfo) die: DieId,
    /// True for an inlined copy, false for a block.
    pub(in crate::debuginfo) inlined: bool,
    /// Ranges of its code; `None` if the entry has none.
    pub(in crate::debuginfo) ranges: Option<Vec<(u64, u64)>>,
}

impl BlockList {
    /// Returns true if the list is worth keeping from one address to the next, and is not too
    /// large.
    ///
    /// Finding the end of a single nested block can require reading everything in it.
    fn is_kept(&self) -> bool {
        (1..1 << 12).contains(&self.inside.len()) && self.variables.len() < 1 << 12
    }
}

impl BlockCache {
    /// Returns the blocks of one entry. An entry without blocks is read each time.
    pub(in crate::debuginfo) fn get(
        &self,
        die: DieId,
        read: impl FnOnce() -> BlockList,
    ) -> Arc<BlockList> {
        if let Some(blocks) = self.0.get(&die) {
            return blocks;
        }
        let blocks = Arc::new(read());
        if blocks.is_kept() {
            return self.0.get_or_read(MAX_BLOCKS, die, || blocks);
        }
        blocks
    }
}

/// The entries whose copies are in a function, by the function.
#[derive(Default)]
pub(in crate::debuginfo) struct OriginCache(Cache<DieId, Arc<HashSet<DieId>>>);

impl OriginCache {
    /// The origins in one function. `read` finds them. Very many are found again each time.
    pub(in crate::debuginfo) fn get(
        &self,
        function: DieId,
        read: impl FnOnce() -> HashSet<DieId>,
    ) -> Arc<HashSet<DieId>> {
        if let Some(origins) = self.0.get(&function) {
            return origins;
        }
        let origins = Arc::new(read());
        if origins.len() > MAX_ORIGINS {
            return origins;
        }
        self.0.get_or_read(MAX_FUNCTIONS, function, || origins)
    }
}
