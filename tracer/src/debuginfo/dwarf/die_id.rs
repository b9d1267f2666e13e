//! Numbers that identify entries, files and sections of a module's DWARF.

use crate::debuginfo::model::types::TypeId;

/// Identifies one entry of a module.
///
/// Bit 63 means no entry, see [`TypeId`]. Bit 62 means the supplementary file, bit 61
/// `.debug_types`. Bits 40 to 60 are the number of the split file, or 0 for none. The low 40 bits
/// are the offset in the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::debuginfo) struct DieId(pub(in crate::debuginfo) u64);

impl DieId {
    const SUPPLEMENTARY: u64 = 1 << 62;
    const TYPES: u64 = 1 << 61;
    const OFFSET: u64 = (1 << 40) - 1;

    /// Returns the id of the entry at `offset` of a section.
    pub(in crate::debuginfo) const fn new(section: SectionKey, offset: u64) -> Self {
        let file = match section.file {
            FileNumber::Main => 0,
            FileNumber::Supplementary => Self::SUPPLEMENTARY,
            FileNumber::Split(number) => ((number as u64 & 0xf_ffff) + 1) << 40,
        };
        let types = if section.types { Self::TYPES } else { 0 };
        Self(file | types | (offset & Self::OFFSET))
    }

    /// Returns the section that the entry is in.
    pub(in crate::debuginfo) const fn section(self) -> SectionKey {
        let number = (self.0 >> 40) & 0x1f_ffff;
        let file = if self.0 & Self::SUPPLEMENTARY != 0 {
            FileNumber::Supplementary
        } else if number == 0 {
            FileNumber::Main
        } else {
            FileNumber::Split((number - 1) as u32)
        };
        SectionKey {
            file,
            types: self.0 & Self::TYPES != 0,
        }
    }

    /// Returns the offset in the section.
    pub(in crate::debuginfo) const fn offset(self) -> u64 {
        self.0 & Self::OFFSET
    }

    /// Returns the id of the entry as a type.
    pub(in crate::debuginfo) const fn as_type(self) -> TypeId {
        TypeId(self.0)
    }
}

/// One of the files with a module's DWARF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::debuginfo) enum FileNumber {
    /// The module's own debug file.
    Main,
    /// The file that `.gnu_debugaltlink` or `.debug_sup` names.
    Supplementary,
    /// A `.dwo` file, or one unit's part of a `.dwp` file.
    Split(u32),
}

/// A section with units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::debuginfo) struct SectionKey {
    /// The file that has the section.
    pub(in crate::debuginfo) file: FileNumber,
    /// True for `.debug_types`, false for `.debug_info`.
    pub(in crate::debuginfo) types: bool,
}

/// `.debug_info` of the module's own debug file.
pub(in crate::debuginfo) const MAIN: SectionKey = SectionKey {
    file: FileNumber::Main,
    types: false,
};
