//! One ELF file: its header, segments, sections, notes and symbols.
//!
//! [`super::sections`] reads DWARF. [`crate::debuginfo::module`] knows which files belong
//! together.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use object::elf;
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _, SectionHeader as _};
use object::{CompressionFormat, LittleEndian, Object as _, ObjectSection as _};

use super::image::FileImage;
use super::loaded_sections::LoadedSections;
use super::symbols::{RawSymbol, read_symbols};
use crate::arch::ELF_MACHINE;
use crate::base::address::{FileOffset, LinkAddr};
use crate::base::pool_cell::PoolCell;
use crate::debuginfo::budget::ReadBudget;
use crate::debuginfo::error::DebugInfoError;

/// Maximum number of sections that are read; programs have some dozens.
const MAX_SECTIONS: usize = 4096;

/// Maximum number of segments that are read; programs have a dozen.
const MAX_SEGMENTS: usize = 256;

/// Bytes of a section's name that are read; the names that matter have a dozen.
const MAX_NAME_BYTES: usize = 128;

/// Maximum bytes of a build id; linkers write 8, 16 or 20.
const MAX_BUILD_ID_BYTES: usize = 64;

const NT_GNU_BUILD_ID: usize = 3;

type Elf<'a> = ElfFile64<'a, LittleEndian>;

/// One ELF file, its tables checked and copied.
pub struct ObjectFile {
    path: PathBuf,
    image: FileImage,
    dynamic: bool,
    segments: Vec<ElfSegment>,
    sections: Vec<ElfSection>,
    build_id: Option<Vec<u8>>,
    debug_link: Option<(String, u32)>,
    alt_link: Option<(String, Vec<u8>)>,
    sup: Option<SupNote>,
    symbols: OnceLock<Vec<RawSymbol>>,
    pub(super) dwarf: PoolCell<Result<LoadedSections, String>>,
    /// Budget for reading the file: its own, until the file belongs to a module.
    pub(in crate::debuginfo) budget: Arc<ReadBudget>,
    /// Identity of the file if it was opened below a root.
    pub(in crate::debuginfo) identity: Option<FileIdentity>,
}

/// Identifies a file among all files of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::debuginfo) struct FileIdentity {
    pub(in crate::debuginfo) device: u64,
    pub(in crate::debuginfo) inode: u64,
}

/// The contents of `.debug_sup` (DWARF 5, 7.3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::debuginfo) struct SupNote {
    /// True if the file is a supplementary file itself.
    pub(in crate::debuginfo) is_supplementary: bool,
    /// The supplementary file that it needs.
    pub(in crate::debuginfo) name: String,
    /// The checksum that both files have.
    pub(in crate::debuginfo) checksum: Vec<u8>,
}

/// A part of the file that is mapped when the program runs, or describes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfSegment {
    /// `PT_LOAD`, `PT_TLS`, …
    pub kind: u32,
    /// `PF_R`, `PF_W`, `PF_X`.
    pub flags: u32,
    /// Offset of its bytes in the file.
    pub offset: FileOffset,
    /// Address that the linker gave it.
    pub address: LinkAddr,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Alignment in memory.
    pub align: u64,
}

impl ElfSegment {
    /// Returns true if the segment is mapped with execute permission.
    #[must_use]
    pub const fn executable(&self) -> bool {
        self.kind == elf::PT_LOAD.0 && self.flags & elf::PF_X.0 != 0
    }
}

/// A section, as described in the file's section table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfSection {
    /// Its name.
    pub name: String,
    /// Address in memory; 0 for sections that are not loaded.
    pub address: LinkAddr,
    /// Size in bytes, in memory or after decompression.
    pub size: u64,
    /// True if the section has code.
    pub executable: bool,
    /// Range of its bytes in the file; empty for `.bss` and for stripped sections.
    pub(in crate::debuginfo) file: Range<usize>,
    pub(in crate::debuginfo) compression: Compression,
}

/// The compression of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::debuginfo) enum Compression {
    None,
    Zlib,
    Zstd,
    Unknown,
}

impl ObjectFile {
    /// Opens and checks an ELF file; `display` is its name in messages.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not a 64-bit x86-64 ELF file, or has damaged tables.
    pub fn open(path: &Path, display: &Path) -> Result<Self, DebugInfoError> {
        let image = FileImage::open(path).map_err(|error| match error {
            DebugInfoError::Read { source, .. } => DebugInfoError::Read {
                path: display.to_owned(),
                source,
            },
            DebugInfoError::NotAFile { .. } => DebugInfoError::NotAFile {
                path: display.to_owned(),
            },
            other => other,
        })?;
        Self::of_image(image, display)
    }

    pub(in crate::debuginfo) fn of_image(
        image: FileImage,
        display: &Path,
    ) -> Result<Self, DebugInfoError> {
        check_header(&image, display)?;
        let damaged = |error: object::Error| DebugInfoError::BadElf {
            path: display.to_owned(),
            what: error.to_string(),
        };
        let parsed = Elf::parse(&*image).map_err(damaged)?;
        let mut file = Self {
            path: display.to_owned(),
            dynamic: parsed.elf_header().e_type(LittleEndian) == elf::ET_DYN,
            segments: segments_of(&parsed),
            sections: sections_of(&parsed, &image),
            build_id: None,
            debug_link: None,
            alt_link: None,
            sup: None,
            symbols: OnceLock::new(),
            dwarf: PoolCell::new(),
            budget: Arc::new(ReadBudget::new(image.len() as u64)),
            identity: None,
            image: FileImage::empty(),
        };
        file.image = image;
        file.read_notes();
        if !file.image.intact() {
            return Err(file.changed());
        }
        Ok(file)
    }

    fn read_notes(&mut self) {
        let named = |name| {
            self.section(name)
                .map(|section| self.section_bytes(section))
        };
        let debug_link = named(".gnu_debuglink").and_then(parse_debug_link);
        let alt_link = named(".gnu_debugaltlink").and_then(parse_alt_link);
        let sup = named(".debug_sup").and_then(parse_sup);
        let build_id = named(".note.gnu.build-id")
            .and_then(parse_build_id)
            .or_else(|| {
                let notes = |segment: &&ElfSegment| segment.kind == elf::PT_NOTE.0;
                self.segments.iter().filter(notes).find_map(|segment| {
                    let range =
                        range_within(segment.offset.0, segment.file_size, self.image.len())?;
                    parse_build_id(self.image.get(range)?)
                })
            });
        self.debug_link = debug_link;
        self.alt_link = alt_link;
        self.sup = sup;
        self.build_id = build_id;
    }

    /// Returns the name in messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns all bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.image
    }

    /// Returns true if all bytes that were read are the file's own; see [`FileImage::intact`].
    #[must_use]
    pub fn intact(&self) -> bool {
        self.image.intact()
    }

    /// Drops the pages that were read from memory; see [`FileImage::release`].
    pub(in crate::debuginfo) fn release(&self) {
        self.image.release();
    }

    /// Returns true if the kernel chooses the load address (position-independent executable,
    /// shared library).
    #[must_use]
    pub const fn position_independent(&self) -> bool {
        self.dynamic
    }

    /// Returns the program headers in file order.
    #[must_use]
    pub fn segments(&self) -> &[ElfSegment] {
        &self.segments
    }

    /// Returns the sections in file order.
    #[must_use]
    pub fn sections(&self) -> &[ElfSection] {
        &self.sections
    }

    /// Returns the first section with this name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&ElfSection> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Returns a section's bytes as they are in the file, without decompression.
    #[must_use]
    pub fn section_bytes(&self, section: &ElfSection) -> &[u8] {
        self.image.get(section.file.clone()).unwrap_or_default()
    }

    /// Returns the build id note, if there is one.
    #[must_use]
    pub fn build_id(&self) -> Option<&[u8]> {
        self.build_id.as_deref()
    }

    /// Returns the contents of `.gnu_debuglink`: file name and checksum of the separate debug
    /// file.
    #[must_use]
    pub fn debug_link(&self) -> Option<(&str, u32)> {
        self.debug_link
            .as_ref()
            .map(|(name, crc)| (name.as_str(), *crc))
    }

    /// Returns the contents of `.gnu_debugaltlink`: file name and build id of the supplementary
    /// file.
    #[must_use]
    pub fn alt_link(&self) -> Option<(&str, &[u8])> {
        self.alt_link
            .as_ref()
            .map(|(name, id)| (name.as_str(), id.as_slice()))
    }

    /// Returns the contents of `.debug_sup`, which names the supplementary file that the file
    /// needs or is.
    pub(in crate::debuginfo) const fn sup(&self) -> Option<&SupNote> {
        self.sup.as_ref()
    }

    /// Returns true if the file has DWARF of its own.
    #[must_use]
    pub fn has_dwarf(&self) -> bool {
        ["", ".dwo"].iter().any(|suffix| {
            [".debug_info", ".zdebug_info"].iter().any(|name| {
                self.section(&format!("{name}{suffix}"))
                    .is_some_and(|section| !section.file.is_empty())
            })
        })
    }

    /// Returns the symbols of functions, objects and thread-locals, by address.
    pub(in crate::debuginfo) fn symbols(&self) -> &[RawSymbol] {
        self.symbols.get_or_init(|| {
            let symbols = read_symbols(&self.image, &self.budget);
            self.release();
            symbols
        })
    }

    pub(in crate::debuginfo) fn changed(&self) -> DebugInfoError {
        DebugInfoError::Changed {
            path: self.path.clone(),
        }
    }
}

/// Copies bytes, then converts the copy to text. The bytes of a mapped file can change, so they
/// must never be a `str`.
pub(in crate::debuginfo) fn text(bytes: &[u8]) -> String {
    match String::from_utf8(bytes.to_vec()) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// Checks the ELF header before any parsing. Each check has its own message.
fn check_header(bytes: &[u8], display: &Path) -> Result<(), DebugInfoError> {
    let path = || display.to_owned();
    if bytes.get(..4) != Some(&[0x7f, b'E', b'L', b'F']) {
        return Err(DebugInfoError::NotElf { path: path() });
    }
    let class = bytes.get(4).copied();
    if class == Some(elf::ELFCLASS32.0) {
        return Err(DebugInfoError::Class32 { path: path() });
    }
    if class != Some(elf::ELFCLASS64.0) {
        return Err(DebugInfoError::BadElf {
            path: path(),
            what: "unknown class".to_owned(),
        });
    }
    let machine = match (bytes.get(5).copied(), bytes.get(18..20)) {
        (Some(data), Some(&[low, high])) if data == elf::ELFDATA2LSB.0 => {
            u16::from_le_bytes([low, high])
        }
        (Some(data), Some(&[high, low])) if data == elf::ELFDATA2MSB.0 => {
            u16::from_be_bytes([high, low])
        }
        _ => {
            return Err(DebugInfoError::BadElf {
                path: path(),
                what: "unknown byte order or no header".to_owned(),
            });
        }
    };
    if machine != ELF_MACHINE || bytes.get(5) != Some(&elf::ELFDATA2LSB.0) {
        return Err(DebugInfoError::Machine {
            path: path(),
            machine: machine_name(machine),
        });
    }
    Ok(())
}

fn machine_name(machine: u16) -> String {
    match elf::Machine(machine) {
        elf::EM_AARCH64 => "aarch64".to_owned(),
        elf::EM_RISCV => "riscv".to_owned(),
        elf::EM_PPC64 => "ppc64".to_owned(),
        elf::EM_S390 => "s390".to_owned(),
        elf::EM_BPF => "eBPF".to_owned(),
        _ => format!("machine {machine}"),
    }
}

fn segments_of(parsed: &Elf<'_>) -> Vec<ElfSegment> {
    parsed
        .elf_program_headers()
        .iter()
        .take(MAX_SEGMENTS)
        .map(|header| ElfSegment {
            kind: header.p_type(LittleEndian).0,
            flags: header.p_flags(LittleEndian).0,
            offset: FileOffset(header.p_offset(LittleEndian)),
            address: LinkAddr(header.p_vaddr(LittleEndian)),
            file_size: header.p_filesz(LittleEndian),
            memory_size: header.p_memsz(LittleEndian),
            align: header.p_align(LittleEndian),
        })
        .collect()
}

fn sections_of(parsed: &Elf<'_>, image: &[u8]) -> Vec<ElfSection> {
    let names = name_table(parsed, image);
    parsed
        .sections()
        .take(MAX_SECTIONS)
        .map(|section| {
            let header = section.elf_section_header();
            let (file, compression, size) = match section.compressed_file_range() {
                Ok(packed) => {
                    let compression = match packed.format {
                        CompressionFormat::None => Compression::None,
                        CompressionFormat::Zlib => Compression::Zlib,
                        CompressionFormat::Zstandard => Compression::Zstd,
                        _ => Compression::Unknown,
                    };
                    let size = match compression {
                        Compression::None => section.size(),
                        _ => packed.uncompressed_size,
                    };
                    let file = range_within(packed.offset, packed.compressed_size, image.len());
                    (file.unwrap_or_default(), compression, size)
                }
                Err(_) => (0..0, Compression::Unknown, section.size()),
            };
            ElfSection {
                name: text(bounded_name(names, header.sh_name(LittleEndian).into())),
                address: LinkAddr(section.address()),
                size,
                executable: header.sh_flags(LittleEndian).0 & elf::SHF_EXECINSTR.0 != 0,
                file,
                compression,
            }
        })
        .collect()
}

fn name_table<'a>(parsed: &Elf<'_>, image: &'a [u8]) -> &'a [u8] {
    let table = parsed.elf_section_table();
    parsed
        .elf_header()
        .section_strings_index(LittleEndian, image)
        .ok()
        .and_then(|index| table.section(index).ok())
        .and_then(|section| section.file_range(LittleEndian))
        .and_then(|(offset, size)| range_within(offset, size, image.len()))
        .and_then(|range| image.get(range))
        .unwrap_or_default()
}

/// Returns the name at `offset`, up to its terminating zero or the maximum length.
fn bounded_name(names: &[u8], offset: u64) -> &[u8] {
    let name = usize::try_from(offset)
        .ok()
        .and_then(|offset| names.get(offset..))
        .unwrap_or_default();
    let name = name.get(..MAX_NAME_BYTES).unwrap_or(name);
    name.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn range_within(offset: u64, size: u64, length: usize) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(size)?).ok()?;
    (end <= length).then_some(start..end)
}

/// Splits `NAME\0rest`.
fn split_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().take(4096).position(|&byte| byte == 0)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

fn parse_debug_link(bytes: &[u8]) -> Option<(String, u32)> {
    let (name, _) = split_name(bytes)?;
    // The checksum is at the next multiple of four.
    let at = (name.len() + 1).next_multiple_of(4);
    let crc = bytes.get(at..at + 4)?.try_into().ok()?;
    Some((text(name), u32::from_le_bytes(crc)))
}

fn parse_alt_link(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let (name, id) = split_name(bytes)?;
    Some((
        text(name),
        id.get(..MAX_BUILD_ID_BYTES).unwrap_or(id).to_vec(),
    ))
}

fn parse_sup(bytes: &[u8]) -> Option<SupNote> {
    let (&[low, high, is_supplementary], rest) = bytes.split_first_chunk::<3>()?;
    if u16::from_le_bytes([low, high]) != 5 {
        return None;
    }
    let (name, rest) = split_name(rest)?;
    // A length below 128 is one byte of LEB128; checksums are shorter.
    let (&length, rest) = rest.split_first()?;
    let length = usize::from(length);
    if length > MAX_BUILD_ID_BYTES {
        return None;
    }
    Some(SupNote {
        is_supplementary: is_supplementary != 0,
        name: text(name),
        checksum: rest.get(..length)?.to_vec(),
    })
}

/// Returns the description of the first `NT_GNU_BUILD_ID` note in a note section.
fn parse_build_id(mut notes: &[u8]) -> Option<Vec<u8>> {
    loop {
        let word = |at: usize| -> Option<usize> {
            let bytes = notes.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let (name_size, size, kind) = (word(0)?, word(4)?, word(8)?);
        let name_end = 12_usize.checked_add(name_size)?;
        let start = name_end.checked_next_multiple_of(4)?;
        let end = start.checked_add(size)?;
        if kind == NT_GNU_BUILD_ID && notes.get(12..name_end) == Some(b"GNU\0") {
            let id = notes.get(start..end)?;
            let fits = (1..=MAX_BUILD_ID_BYTES).contains(&id.len());
            return fits.then(|| id.to_vec());
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
}
