//! The code of functions whose calls are spans, by which frames are recognised.

use std::ops::Range;
use std::sync::Arc;

use crate::base::address::LinkAddr;
use crate::debuginfo::Module;
use crate::stack::{PlacedModule, RawFrame};

/// The code of a function whose calls are spans.
#[derive(Clone)]
pub(in crate::session) struct SpanCode {
    module: Arc<Module>,
    /// Empty if only a symbol names the function. It begins at the site then.
    ranges: Vec<Range<LinkAddr>>,
    site: LinkAddr,
    /// The instructions at which the calls end.
    ends: Arc<[LinkAddr]>,
}

impl std::fmt::Debug for SpanCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SpanCode").field(&self.site).finish()
    }
}

impl SpanCode {
    /// The function around a site.
    pub(in crate::session) fn at(
        module: &Arc<Module>,
        site: LinkAddr,
        ends: &Arc<[LinkAddr]>,
    ) -> Self {
        let code = module.function_code_at(site);
        let ranges = code.map_or_else(Vec::new, |code| code.ranges);
        Self {
            module: Arc::clone(module),
            ranges: ranges.into_iter().map(|(begin, end)| begin..end).collect(),
            site,
            ends: Arc::clone(ends),
        }
    }

    /// Returns true if a frame is at the instruction at which the calls begin.
    pub(in crate::session) fn begins_at(&self, frame: &RawFrame) -> bool {
        frame.interrupted && frame.lookup == self.site
    }

    /// Returns true if a frame is at an instruction at which the calls end.
    pub(in crate::session) fn ends_at(&self, frame: &RawFrame) -> bool {
        frame.interrupted && self.ends.contains(&frame.lookup)
    }

    /// Returns true if the function has the code at an address of a module.
    pub(in crate::session) fn has(&self, placed: &PlacedModule, address: LinkAddr) -> bool {
        let is_inside = if self.ranges.is_empty() {
            let named = placed.module.name_at(address);
            named.is_some_and(|(_, offset)| address.0.wrapping_sub(offset) == self.site.0)
        } else {
            self.ranges.iter().any(|range| range.contains(&address))
        };
        let is_same_build = || {
            let build = self.module.build_id_word();
            build.is_some() && build == placed.module.build_id_word()
        };
        is_inside && (Arc::ptr_eq(&self.module, &placed.module) || is_same_build())
    }
}
