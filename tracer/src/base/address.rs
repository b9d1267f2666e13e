//! Addresses as types. There are three kinds, equal in simple binaries and different in all others.

use std::fmt;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The address `bytes` further on, wrapping at 64 bits.
            #[must_use]
            pub const fn add(self, bytes: u64) -> Self {
                Self(self.0.wrapping_add(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// Offset in bytes from the start of an ELF file. Uprobes need it.
    FileOffset
}
address! {
    /// Virtual address from the linker. ELF symbols and DWARF have it.
    LinkAddr
}
address! {
    /// Virtual address in a running process.
    RunAddr
}

/// Run address minus link address of a module in one process, wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Bias(pub u64);

/// Number of a module in a session of several processes. The kernel side knows by it where each process
/// has the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleNumber(pub u32);

/// Where a module is in the process of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModulePlace {
    /// There, in the one process that a plan is for.
    At(Bias),
    /// Where the process has it.
    Numbered(ModuleNumber),
}

impl Bias {
    /// The run address of a link address.
    #[must_use]
    pub const fn run(self, address: LinkAddr) -> RunAddr {
        RunAddr(address.0.wrapping_add(self.0))
    }

    /// The link address of a run address.
    #[must_use]
    pub const fn link(self, address: RunAddr) -> LinkAddr {
        LinkAddr(address.0.wrapping_sub(self.0))
    }
}
