//! The DWARF sections of one file: found by name, unpacked where they are packed.

use std::ops::Range;

use gimli::{DwarfPackageSections, DwarfSections, LittleEndian, SectionId};
use object::{CompressedData, CompressionFormat};
use rayon::prelude::*;

use super::Slice;
use super::budget::Reader;
use super::error::DebugInfoError;
use super::object::{Compression, ObjectFile, Section};

/// Unpacked bytes of one file's sections, together. Above it, the rest of its
/// sections stay unread, and the file has no debug information.
const MAX_UNPACKED_BYTES: u64 = 2 << 30;

/// How many times bigger than packed a section may become. Real ones grow
/// three to ten times; a bomb of zeros, a thousand times.
const MAX_GROWTH: u64 = 64;

/// What even a tiny section may grow to.
const MAX_SMALL_BYTES: u64 = 1 << 20;

/// All DWARF sections of one file.
pub(super) struct Sections {
    plain: DwarfSections<Loaded>,
    frame: Loaded,
    package: Option<DwarfPackageSections<Loaded>>,
}

/// The bytes of one section.
#[derive(Clone, Debug)]
enum Loaded {
    InFile(Range<usize>),
    Unpacked(std::sync::Arc<[u8]>),
}

impl Loaded {
    fn slice<'a>(&'a self, image: &'a [u8]) -> Slice<'a> {
        let bytes = match self {
            Self::InFile(range) => image.get(range.clone()).unwrap_or_default(),
            Self::Unpacked(bytes) => bytes,
        };
        Slice::new(bytes, LittleEndian)
    }
}

impl ObjectFile {
    /// Its DWARF sections, unpacked on first use; empty ones where it has none.
    ///
    /// # Errors
    /// What is wrong with a packed section.
    pub(super) fn dwarf_sections(&self) -> Result<&Sections, DebugInfoError> {
        self.dwarf
            .get_or_init(|| Sections::load(self))
            .as_ref()
            .map_err(|what| DebugInfoError::Compressed {
                path: self.path().to_owned(),
                what: what.clone(),
            })
    }

    /// Its DWARF, without any that other files add; empty where it has none.
    pub(super) fn dwarf(&self) -> gimli::Dwarf<Slice<'_>> {
        match self.dwarf_sections() {
            Ok(sections) => sections.plain.borrow(|section| section.slice(self.bytes())),
            Err(_) => gimli::Dwarf::default(),
        }
    }

    /// Its `.debug_frame`, unpacked.
    pub(super) fn debug_frame(&self) -> Option<&[u8]> {
        let sections = self.dwarf_sections().ok()?;
        Some(sections.frame.slice(self.bytes()).slice())
    }

    /// Its units, when it is a `.dwp` file.
    pub(super) fn package(&self) -> Option<gimli::DwarfPackage<Slice<'_>>> {
        let sections = self.dwarf_sections().ok()?.package.as_ref()?;
        sections
            .borrow(
                |section| section.slice(self.bytes()),
                Slice::new(&[], LittleEndian),
            )
            .ok()
    }
}

impl Sections {
    fn load(file: &ObjectFile) -> Result<Self, String> {
        let packed: Vec<(usize, &Section)> = file
            .sections()
            .iter()
            .enumerate()
            .filter(|(_, section)| {
                section.compression != Compression::None
                    && (section.name.starts_with(".debug_") || section.name.starts_with(".zdebug_"))
            })
            .collect();
        let mut total = 0_u64;
        for (_, section) in &packed {
            total = total.saturating_add(section.size);
        }
        if total > MAX_UNPACKED_BYTES {
            return Err(format!(
                "its debug sections unpack to {total} bytes, over the limit of {MAX_UNPACKED_BYTES}"
            ));
        }
        // Unpacking takes about two nanoseconds a byte.
        let fits = file.budget.hold(Reader::Sections, total)
            && file.budget.spend(
                Reader::Sections,
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
        let load = |index: usize, section: &Section| {
            unpacked.get(&index).map_or_else(
                || Loaded::InFile(section.file.clone()),
                |bytes| Loaded::Unpacked(bytes.clone()),
            )
        };
        let find = |name: &str| -> Loaded {
            let plain = |section: &Section| {
                section.name == name || section.name.strip_prefix(".z") == name.strip_prefix('.')
            };
            // A stripped file keeps the headers of sections that went elsewhere.
            let mut found = file
                .sections()
                .iter()
                .enumerate()
                .filter(|(_, section)| plain(section) && !section.file.is_empty())
                .map(|(index, section)| load(index, section));
            let Some(first) = found.next() else {
                return Loaded::InFile(0..0);
            };
            let more: Vec<Loaded> = found.collect();
            if more.is_empty() || !name.ends_with(".dwo") {
                return first;
            }
            // A compiler's own output has each type unit in a section of its own.
            let mut all = Vec::new();
            for part in std::iter::once(&first).chain(&more) {
                let bytes = part.slice(file.bytes()).slice();
                let is_small = (all.len() + bytes.len()) as u64 <= MAX_UNPACKED_BYTES;
                if !is_small || !file.budget.hold(Reader::Sections, bytes.len() as u64) {
                    break;
                }
                all.extend_from_slice(bytes);
            }
            Loaded::Unpacked(all.into())
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
        Ok(Self {
            plain,
            frame: find(".debug_frame"),
            package,
        })
    }
}

fn unpack(file: &ObjectFile, section: &Section) -> Result<std::sync::Arc<[u8]>, String> {
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
