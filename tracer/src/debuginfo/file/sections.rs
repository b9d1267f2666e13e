//! The DWARF sections of one file, found by name and decompressed if needed.

use gimli::{DwarfPackageSections, DwarfSections, LittleEndian, SectionId};
use object::{CompressedData, CompressionFormat};
use rayon::prelude::*;

use super::loaded_sections::{LoadedSections, SectionBytes};
use super::object::{Compression, ElfSection, ObjectFile};
use crate::debuginfo::Slice;
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::error::DebugInfoError;

/// Maximum decompressed bytes of one file's sections in total. The sections beyond it stay
/// unread, and the file has no debug information.
const MAX_UNPACKED_BYTES: u64 = 2 << 30;

/// Maximum ratio of the decompressed to the compressed size of a section. Real sections grow
/// three to ten times, a bomb of zeros a thousand times.
const MAX_GROWTH: u64 = 64;

/// Bytes that every section may grow to, however small it is.
const MAX_SMALL_BYTES: u64 = 1 << 20;

impl ObjectFile {
    /// Returns the DWARF sections, decompressed on first use. They are empty if the file has
    /// none.
    ///
    /// # Errors
    /// Fails if a compressed section is damaged or too large.
    pub(in crate::debuginfo) fn dwarf_sections(&self) -> Result<&LoadedSections, DebugInfoError> {
        self.dwarf
            .get_or_init(|| load(self))
            .as_ref()
            .map_err(|what| DebugInfoError::Compressed {
                path: self.path().to_owned(),
                what: what.clone(),
            })
    }

    /// Returns the DWARF of this file, without the DWARF that other files add. It is empty if the
    /// file has none.
    pub(in crate::debuginfo) fn dwarf(&self) -> gimli::Dwarf<Slice<'_>> {
        match self.dwarf_sections() {
            Ok(sections) => sections.plain.borrow(|section| section.slice(self.bytes())),
            Err(_) => gimli::Dwarf::default(),
        }
    }

    /// Returns the decompressed `.debug_frame`.
    pub(in crate::debuginfo) fn debug_frame(&self) -> Option<&[u8]> {
        let sections = self.dwarf_sections().ok()?;
        Some(sections.frame.slice(self.bytes()).slice())
    }

    /// Returns the units of the file if it is a `.dwp` file.
    pub(in crate::debuginfo) fn package(&self) -> Option<gimli::DwarfPackage<Slice<'_>>> {
        let sections = self.dwarf_sections().ok()?.package.as_ref()?;
        sections
            .borrow(
                |section| section.slice(self.bytes()),
                Slice::new(&[], LittleEndian),
            )
            .ok()
    }
}

fn load(file: &ObjectFile) -> Result<LoadedSections, String> {
    let packed: Vec<(usize, &ElfSection)> = file
        .sections()
        .iter()
        .enumerate()
        .filter(|(_, section)| {
            section.compression != Compression::None
                && (section.name.starts_with(".debug_") || section.name.starts_with(".zdebug_"))
        })
        .collect();
    let sizes = packed.iter().map(|(_, section)| section.size);
    let total = sizes.fold(0_u64, u64::saturating_add);
    if total > MAX_UNPACKED_BYTES {
        return Err(format!(
            "its debug sections unpack to {total} bytes, over the limit of {MAX_UNPACKED_BYTES}"
        ));
    }
    // Decompression takes about two nanoseconds a byte.
    let fits = file.budget.hold(ReaderKind::Sections, total)
        && file.budget.spend(
            ReaderKind::Sections,
            total.saturating_mul(2),
            packed.len() as u64,
        );
    if !fits {
        return Err(format!(
            "they would unpack to {total} bytes, over the limit for a file of {}",
            file.bytes().len()
        ));
    }
    let unpacked = packed
        .par_iter()
        .map(|&(index, section)| Ok((index, unpack(file, section)?)))
        .collect::<Result<std::collections::HashMap<_, _>, String>>()?;
    let load = |index: usize, section: &ElfSection| {
        unpacked.get(&index).map_or_else(
            || SectionBytes::InFile(section.file.clone()),
            |bytes| SectionBytes::Unpacked(bytes.clone()),
        )
    };
    let find = |name: &str| -> SectionBytes {
        let plain = |section: &ElfSection| {
            section.name == name || section.name.strip_prefix(".z") == name.strip_prefix('.')
        };
        // A stripped file keeps the headers of sections that were moved to another file.
        let mut found = file
            .sections()
            .iter()
            .enumerate()
            .filter(|(_, section)| plain(section) && !section.file.is_empty())
            .map(|(index, section)| load(index, section));
        let Some(first) = found.next() else {
            return SectionBytes::InFile(0..0);
        };
        let more: Vec<SectionBytes> = found.collect();
        if more.is_empty() || !name.ends_with(".dwo") {
            return first;
        }
        // A compiler writes each type unit to a section of its own, before linking.
        let mut all = Vec::new();
        for part in std::iter::once(&first).chain(&more) {
            let bytes = part.slice(file.bytes()).slice();
            let is_small = (all.len() + bytes.len()) as u64 <= MAX_UNPACKED_BYTES;
            if !is_small || !file.budget.hold(ReaderKind::Sections, bytes.len() as u64) {
                break;
            }
            all.extend_from_slice(bytes);
        }
        SectionBytes::Unpacked(all.into())
    };
    let split = file
        .section(".debug_info")
        .is_none_or(|info| info.file.is_empty())
        && file.section(".debug_info.dwo").is_some();
    let name_of = |id: SectionId| {
        if split {
            id.dwo_name().unwrap_or_default()
        } else {
            id.name()
        }
    };
    let plain = DwarfSections::load(|id| Ok::<_, String>(find(name_of(id))))?;
    let is_package = [".debug_cu_index", ".debug_tu_index"]
        .iter()
        .any(|name| file.section(name).is_some());
    let package = is_package
        .then(|| {
            DwarfPackageSections::load(|id| {
                Ok::<_, gimli::Error>(find(id.dwo_name().unwrap_or_default()))
            })
        })
        .transpose()
        .map_err(|error| error.to_string())?;
    Ok(LoadedSections {
        plain,
        frame: find(".debug_frame"),
        package,
    })
}

fn unpack(file: &ObjectFile, section: &ElfSection) -> Result<std::sync::Arc<[u8]>, String> {
    let failed = |what: &str| format!("section `{}`: {what}", section.name);
    let data = file.section_bytes(section);
    let packed = u64::try_from(data.len()).map_err(|_| failed("too big"))?;
    let most = packed.saturating_mul(MAX_GROWTH).max(MAX_SMALL_BYTES);
    if section.size > most {
        return Err(failed(&format!(
            "unpacks from {packed} to {} bytes, over the limit of {most}",
            section.size
        )));
    }
    let format = match section.compression {
        Compression::Zlib => CompressionFormat::Zlib,
        Compression::Zstd => CompressionFormat::Zstandard,
        Compression::None | Compression::Unknown => return Err(failed("unknown compression")),
    };
    let bytes = CompressedData {
        format,
        data,
        uncompressed_size: section.size,
    }
    .decompress()
    .map_err(|error| failed(&error.to_string()))?;
    Ok(bytes.into_owned().into())
}
