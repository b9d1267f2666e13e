//! USDT probes: places that a program's author has marked, with their arguments.

use std::fmt;

use crate::base::address::LinkAddr;

/// One place of a USDT probe. A probe whose code was inlined or copied has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsdtProbe {
    /// Its provider.
    pub provider: String,
    /// Its name.
    pub name: String,
    /// Address of its nop.
    pub address: LinkAddr,
    /// Address of the number of its observers, two bytes. The program prepares the arguments, or
    /// comes to the place, only while it is not 0. `None` if the probe is always on.
    pub semaphore: Option<LinkAddr>,
    /// Its arguments, in order.
    pub arguments: Vec<UsdtArgument>,
}

impl UsdtProbe {
    /// Returns the name that a location gives it.
    #[must_use]
    pub fn location(&self) -> String {
        format!("usdt:{}:{}", self.provider, self.name)
    }
}

/// An argument of a USDT probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsdtArgument {
    /// Its type. `None` if the note does not say it in a known way.
    pub ty: Option<UsdtType>,
    /// Its place, in assembler syntax.
    pub operand: String,
}

/// The type of an argument: a number of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsdtType {
    /// A signed integer.
    Signed(u8),
    /// An unsigned integer, or a pointer.
    Unsigned(u8),
    /// A float.
    Float(u8),
}

impl UsdtType {
    /// Returns the number of bytes.
    #[must_use]
    pub const fn size(self) -> u8 {
        let (Self::Signed(size) | Self::Unsigned(size) | Self::Float(size)) = self;
        size
    }
}

impl fmt::Display for UsdtType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Signed(_) => 'i',
            Self::Unsigned(_) => 'u',
            Self::Float(_) => 'f',
        };
        write!(f, "{kind}{}", u32::from(self.size()) * 8)
    }
}
