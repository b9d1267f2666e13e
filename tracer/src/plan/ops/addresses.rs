//! Addresses of a module's code and data at a hit.
//!
//! A plan has no run address of its own module. It adds a distance to the address of the site, which
//! the machine knows at each hit. So one plan serves every process that maps the file, and every
//! place at which a process maps it. Of another module it has the address in the one process that it is
//! for, or the number of the module, whose place the kernel side knows in each process.

use tracer_common::op::INSTRUCTION_POINTER;

use crate::base::address::{Bias, LinkAddr, ModuleNumber, ModulePlace};
use crate::plan::ops::ir::Ir;

/// The known address of a module from which a plan counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressBase {
    /// The site, which has this link address. The module is that of the site.
    Site(LinkAddr),
    /// The load bias that the module had when the plan was made.
    Bias(Bias),
    /// The load bias that this module has in the process of the hit.
    Module(ModuleNumber),
}

impl From<ModulePlace> for AddressBase {
    fn from(place: ModulePlace) -> Self {
        match place {
            ModulePlace::At(bias) => Self::Bias(bias),
            ModulePlace::Numbered(module) => Self::Module(module),
        }
    }
}

impl AddressBase {
    /// The run address of a link address.
    pub(in crate::plan) fn run(self, address: LinkAddr) -> Ir {
        self.origin().plus(self.distance(address))
    }

    /// The run address of the base.
    pub(in crate::plan) fn origin(self) -> Ir {
        match self {
            Self::Site(_) => Ir::Register(INSTRUCTION_POINTER),
            Self::Bias(bias) => Ir::Const(bias.0),
            Self::Module(module) => Ir::Module {
                module,
                must_be_loaded: true,
            },
        }
    }

    /// The distance from the base to a link address. It wraps.
    pub(in crate::plan) const fn distance(self, address: LinkAddr) -> u64 {
        match self {
            Self::Site(site) => address.0.wrapping_sub(site.0),
            Self::Bias(_) | Self::Module(_) => address.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_distances_from_the_site_or_known() {
        let site = AddressBase::Site(LinkAddr(0x1400));
        assert_eq!(
            site.run(LinkAddr(0x1400)),
            Ir::Register(INSTRUCTION_POINTER)
        );
        let before = site.run(LinkAddr(0x1000));
        assert_eq!(before.simple_address(), Some((INSTRUCTION_POINTER, -0x400)));
        let known = AddressBase::Bias(Bias(0x7000_0000));
        assert_eq!(known.run(LinkAddr(0x1000)), Ir::Const(0x7000_1000));
        let numbered = AddressBase::from(ModulePlace::Numbered(ModuleNumber(3)));
        let bias = Ir::Module {
            module: ModuleNumber(3),
            must_be_loaded: true,
        };
        assert_eq!(numbered.run(LinkAddr(0x1000)), bias.plus(0x1000));
    }
}
