//! The DWARF sections of one file, decompressed if needed. [`super::sections`] loads them.

use std::ops::Range;
use std::sync::Arc;

use gimli::{DwarfPackageSections, DwarfSections, LittleEndian};

use crate::debuginfo::Slice;

/// All DWARF sections of one file.
pub(in crate::debuginfo) struct LoadedSections {
    pub(super) plain: DwarfSections<SectionBytes>,
    pub(super) frame: SectionBytes,
    pub(super) package: Option<DwarfPackageSections<SectionBytes>>,
}

/// The bytes of one section.
#[derive(Clone, Debug)]
pub(in crate::debuginfo) enum SectionBytes {
    InFile(Range<usize>),
    Unpacked(Arc<[u8]>),
}

impl SectionBytes {
    pub(super) fn slice<'a>(&'a self, image: &'a [u8]) -> Slice<'a> {
        let bytes = match self {
            Self::InFile(range) => image.get(range.clone()).unwrap_or_default(),
            Self::Unpacked(bytes) => bytes,
        };
        Slice::new(bytes, LittleEndian)
    }
}
