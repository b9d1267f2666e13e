//! The caches of the passes over a module: one cache a pass.
//!
//! Each cache is a type of its pass, which knows its bounds. This file only holds them together.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, OnceLock};

use crate::base::pool_cell::PoolCell;
use crate::debuginfo::calls::call_table::CallCache;
use crate::debuginfo::calls::imports::ImportCache;
use crate::debuginfo::calls::linked_names::LinkedNames;
use crate::debuginfo::calls::tail_call_cache::TailCallCache;
use crate::debuginfo::dwarf::cache::Cache;
use crate::debuginfo::dwarf::name_index::NameIndex;
use crate::debuginfo::dwarf::unit_index::UnitIndexCache;
use crate::debuginfo::frames::cfi::FrameIndexes;
use crate::debuginfo::lines::source_index::SourceIndex;
use crate::debuginfo::lines::unit_cache::UnitCache;
use crate::debuginfo::model::site::FileId;
use crate::debuginfo::model::usdt::UsdtProbe;
use crate::debuginfo::type_info::class_index::ClassIndex;
use crate::debuginfo::type_info::type_cache::TypeCache;
use crate::debuginfo::variables::block_cache::{BlockCache, OriginCache};

/// The caches of one module.
#[derive(Default)]
pub(in crate::debuginfo) struct Caches {
    /// Code and line tables of the units that were used most recently.
    pub(in crate::debuginfo) units: UnitCache,
    /// The source files that the line tables name.
    pub(in crate::debuginfo) sources: PoolCell<SourceIndex>,
    /// Lines of a file that have sites, with the number of sites of each.
    pub(in crate::debuginfo) line_counts: Cache<FileId, Arc<BTreeMap<u64, usize>>>,
    /// Call frame information by address.
    pub(in crate::debuginfo) frames: FrameIndexes,
    /// Indexes of units, which tell which entry encloses another.
    pub(in crate::debuginfo) unit_indexes: UnitIndexCache,
    /// Names of types and statics of the whole module.
    pub(in crate::debuginfo) names: PoolCell<NameIndex>,
    /// Types.
    pub(in crate::debuginfo) types: TypeCache,
    /// Classes of C++ by their bases.
    pub(in crate::debuginfo) classes: PoolCell<ClassIndex>,
    /// Full names of the classes of C++ that the module exports or imports.
    pub(in crate::debuginfo) named_classes: OnceLock<HashSet<String>>,
    /// USDT probes, by provider, name and address.
    pub(in crate::debuginfo) static_probes: OnceLock<Vec<Arc<UsdtProbe>>>,
    /// Blocks of functions.
    pub(in crate::debuginfo) blocks: BlockCache,
    /// Entries whose copies are in a function.
    pub(in crate::debuginfo) origins: OriginCache,
    /// Calls within the module.
    pub(in crate::debuginfo) calls: CallCache,
    /// Calls of functions of other modules.
    pub(in crate::debuginfo) imports: ImportCache,
    /// Names by which the dynamic linker connects the module with others.
    pub(in crate::debuginfo) linked_names: LinkedNames,
    /// Jumps between a frame and its caller.
    pub(in crate::debuginfo) tail_calls: TailCallCache,
}
