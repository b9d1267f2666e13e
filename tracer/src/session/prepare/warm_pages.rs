//! Memory that the first hits of a probe will read, fetched before the probe is attached.
//!
//! A string of the program that it has not used yet is in its file but not in its memory. Without
//! this, the first hit that reads it misses it, and that may be the only hit.

use crate::base::address::{Bias, LinkAddr};
use crate::kernel::SiteRequest;
use crate::program::Read;
use crate::session::prepare::refusal::SitePlace;
use crate::session::sites::modules::TargetModule;
use crate::target::paging::MemoryRange;

/// Sections of constants: texts and tables, and pointers to them.
const CONSTANTS: [&str; 2] = [".rodata", ".data.rel.ro"];
/// The statics that the plans of these sites read, and the constants of the module.
pub(in crate::session) fn ranges(
    module: &TargetModule,
    requests: &[SiteRequest],
    places: &[SitePlace],
) -> Vec<MemoryRange> {
    let bias = module.bias();
    let mut ranges: Vec<MemoryRange> = requests
        .iter()
        .zip(places)
        .flat_map(|(request, place)| statics(request, place.site, bias))
        .collect();
    if let (Ok(debug), Some(bias)) = (module.debug(), bias) {
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

/// The memory at fixed addresses that the plan of a site reads.
fn statics(
    request: &SiteRequest,
    site: LinkAddr,
    bias: Option<Bias>,
) -> impl Iterator<Item = MemoryRange> + use<'_> {
    let reads = request.program.reads.reads.iter();
    reads.filter_map(move |read| match *read {
        Read::Site(offset, length) => Some(MemoryRange {
            address: bias?.run(site).0.wrapping_add_signed(offset),
            length,
        }),
        Read::Absolute(address, length) => Some(MemoryRange { address, length }),
        Read::Register(..) | Read::Anywhere => None,
    })
}
