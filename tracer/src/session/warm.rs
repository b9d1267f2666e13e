//! What the first hits of a probe will read, to be brought in before it is attached.
//!
//! A text of the program that it has not shown yet is in its file, and not in its memory: without this,
//! the first hit that reads it misses it, which may be the only one.

use tracer_common::op::CONST;

use super::modules::TargetModule;
use crate::kernel::SiteRequest;
use crate::paging::MemoryRange;

/// Sections of constants: texts and tables, and pointers to them.
const CONSTANTS: [&str; 2] = [".rodata", ".data.rel.ro"];
/// Below it there are no addresses.
const LOWEST: u64 = 1 << 16;
/// Bytes that are read at a constant address, for want of knowing better.
const WORD: u64 = 8;

/// The plans' own constants, which may be addresses of statics, and the constants of the module.
pub(super) fn ranges(module: &TargetModule, requests: &[SiteRequest]) -> Vec<MemoryRange> {
    let ops = requests.iter().flat_map(|request| &request.ops);
    let mut ranges: Vec<MemoryRange> = ops
        .filter(|op| op.code == CONST && op.wide() >= LOWEST)
        .map(|op| MemoryRange {
            address: op.wide(),
            length: WORD,
        })
        .collect();
    if let (Ok(debug), Some(bias)) = (module.debug(), module.bias()) {
        let constants = debug.sections().iter();
        let constants = constants.filter(|section| CONSTANTS.contains(&section.name.as_str()));
        let of_module = constants.map(|section| MemoryRange {
            address: bias.run(section.address).0,
            length: section.size,
        });
        // Few, and worth more than the others.
        ranges.splice(0..0, of_module);
    }
    ranges
}
