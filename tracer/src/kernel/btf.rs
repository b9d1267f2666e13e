//! Offsets of members of the kernel's structs, from the kernel's own BTF.

use std::fs::{self, File};
use std::io;
use std::ops::Deref;

use memmap2::{Mmap, MmapOptions};

/// The kernel's own BTF.
pub(super) const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xEB9F;
const STRUCT: u32 = 4;
const UNION: u32 = 5;

/// The running kernel's BTF: some megabytes.
pub(super) enum KernelBtf {
    /// The kernel's own memory (Linux 6.16).
    Mapped(Mmap),
    /// A copy, of a page at a time.
    Read(Vec<u8>),
}

impl KernelBtf {
    /// # Errors
    /// The kernel has none, or does not give it.
    pub(super) fn open() -> io::Result<Self> {
        let file = File::open(KERNEL_BTF)?;
        #[expect(unsafe_code, reason = "maps a file")]
        // SAFETY: the kernel's own BTF, whose bytes and length never change.
        let mapped = unsafe { MmapOptions::new().map_copy_read_only(&file) };
        match mapped {
            Ok(mapped) => Ok(Self::Mapped(mapped)),
            Err(_) => fs::read(KERNEL_BTF).map(Self::Read),
        }
    }
}

impl Deref for KernelBtf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(mapped) => mapped,
            Self::Read(read) => read,
        }
    }
}

/// Bytes from the start of struct `name` to its direct member `member`.
///
/// Source: the raw BTF that `/sys/kernel/btf/vmlinux` gives (Linux 5.4).
pub(super) fn member_offset(btf: &[u8], name: &str, member: &str) -> Option<u32> {
    member_offsets(btf, name, [member]).map(|[offset]| offset)
}

/// The offsets of several direct members of a struct. `None` if one is missing.
pub(super) fn member_offsets<const N: usize>(
    btf: &[u8],
    name: &str,
    members: [&str; N],
) -> Option<[u32; N]> {
    let tables = Tables::of(btf)?;
    let (_, of) = tables
        .all()
        .find(|(_, of)| of.kind == STRUCT && tables.name(of.name) == Some(name.as_bytes()))?;
    let mut offsets = [0; N];
    for (member, offset) in members.iter().zip(&mut offsets) {
        let found = (of.members(tables.types))
            .find(|found| tables.name(found.name) == Some(member.as_bytes()))?;
        *offset = found.bits / 8;
    }
    Some(offsets)
}

/// The offset of a member that may be in an unnamed struct or union of the struct.
pub(super) fn nested_offset(btf: &[u8], name: &str, member: &str) -> Option<u32> {
    let tables = Tables::of(btf)?;
    let (_, of) = tables
        .all()
        .find(|(_, of)| of.kind == STRUCT && tables.name(of.name) == Some(name.as_bytes()))?;
    let named = |of: BtfType| {
        (of.members(tables.types)).find(|found| tables.name(found.name) == Some(member.as_bytes()))
    };
    if let Some(found) = named(of) {
        return Some(found.bits / 8);
    }
    let unnamed: Vec<BtfMember> = (of.members(tables.types))
        .filter(|found| tables.name(found.name) == Some(b""))
        .collect();
    tables.all().find_map(|(id, of)| {
        let outer = unnamed.iter().find(|outer| outer.ty == id)?;
        let found = matches!(of.kind, STRUCT | UNION).then(|| named(of))??;
        Some(outer.bits.checked_add(found.bits)? / 8)
    })
}

/// Types and their names.
struct Tables<'b> {
    types: &'b [u8],
    strings: &'b [u8],
}

/// The head of a type.
#[derive(Clone, Copy)]
struct BtfType {
    name: u32,
    kind: u32,
    /// Flag of its info word: offsets include the size of a bit field.
    has_sizes: bool,
    count: u32,
    /// Offset of its members.
    body: u32,
}

/// A member of a struct or union.
struct BtfMember {
    name: u32,
    ty: u32,
    /// Offset in bits.
    bits: u32,
}

impl<'b> Tables<'b> {
    fn of(btf: &'b [u8]) -> Option<Self> {
        if u16::from_le_bytes(btf.get(..2)?.try_into().ok()?) != MAGIC {
            return None;
        }
        let header = word(btf, 4)?;
        Some(Self {
            types: area(btf, header, word(btf, 8)?, word(btf, 12)?)?,
            strings: area(btf, header, word(btf, 16)?, word(btf, 20)?)?,
        })
    }

    fn name(&self, at: u32) -> Option<&'b [u8]> {
        text(self.strings, at)
    }

    /// All types with their ids, which count from 1.
    fn all(&self) -> impl Iterator<Item = (u32, BtfType)> + use<'b> {
        let types = self.types;
        let mut at = Some(0_u32);
        (1..).map_while(move |id| {
            let start = at?;
            let (name, info) = (word(types, start)?, word(types, start.checked_add(4)?)?);
            let of = BtfType {
                name,
                kind: info >> 24 & 0x1f,
                has_sizes: info >> 31 == 1,
                count: info & 0xffff,
                body: start.checked_add(12)?,
            };
            at = body_size(of.kind, of.count).and_then(|size| of.body.checked_add(size));
            Some((id, of))
        })
    }
}

impl BtfType {
    fn members(self, types: &[u8]) -> impl Iterator<Item = BtfMember> + use<'_> {
        (0..self.count).map_while(move |index| {
            let entry = self.body.checked_add(index * 12)?;
            let bits = word(types, entry.checked_add(8)?)?;
            Some(BtfMember {
                name: word(types, entry)?,
                ty: word(types, entry.checked_add(4)?)?,
                // With the kind flag, the high byte is the size of a bit field.
                bits: if self.has_sizes {
                    bits & 0x00ff_ffff
                } else {
                    bits
                },
            })
        })
    }
}

/// Size in bytes of the data after a type's first 12 bytes (Documentation/bpf/btf.rst).
fn body_size(kind: u32, count: u32) -> Option<u32> {
    Some(match kind {
        // Int, var, declaration tag.
        1 | 14 | 17 => 4,
        // Array.
        3 => 12,
        // Struct, union, data section, 64-bit enum.
        4 | 5 | 15 | 19 => count * 12,
        // Enum, function prototype.
        6 | 13 => count * 8,
        // Pointer, forward, typedef, qualifiers, function, float, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        _ => return None,
    })
}

fn word(bytes: &[u8], at: u32) -> Option<u32> {
    let at = at as usize;
    Some(u32::from_le_bytes(
        bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}

fn area(bytes: &[u8], header: u32, offset: u32, length: u32) -> Option<&[u8]> {
    let start = header.checked_add(offset)?;
    bytes.get(start as usize..start.checked_add(length)? as usize)
}

fn text(strings: &[u8], at: u32) -> Option<&[u8]> {
    strings.get(at as usize..)?.split(|&byte| byte == 0).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_of_a_member_of_task_struct_is_found_in_this_kernel() {
        let btf = KernelBtf::open().unwrap();
        assert_eq!(*btf, fs::read(KERNEL_BTF).unwrap());
        let thread = member_offset(&btf, "task_struct", "thread").unwrap();
        assert!(thread > 0);
        assert!(member_offset(&btf, "thread_struct", "fsbase").is_some());
        assert_eq!(
            member_offsets(&btf, "task_struct", ["pid", "thread"]).map(|[_, thread]| thread),
            Some(thread)
        );
        assert_eq!(
            member_offsets(&btf, "task_struct", ["thread", "no such member"]),
            None
        );
        assert_eq!(member_offset(&btf, "no such struct", "thread"), None);
    }

    #[test]
    fn member_of_an_unnamed_union_is_found() {
        let btf = KernelBtf::open().unwrap();
        // Linux 6.3 put the flags into a union.
        assert!(nested_offset(&btf, "vm_area_struct", "vm_flags").is_some_and(|at| at > 0));
        assert_eq!(
            nested_offset(&btf, "task_struct", "pid"),
            member_offset(&btf, "task_struct", "pid")
        );
        assert_eq!(
            nested_offset(&btf, "vm_area_struct", "no such member"),
            None
        );
        assert_eq!(nested_offset(b"\x9f\xeb", "a", "b"), None);
    }

    #[test]
    fn btf_of_nonsense_has_no_members() {
        for bytes in [
            &b""[..],
            b"\x9f\xeb",
            b"\x9f\xeb\x01\x00\xff\xff\xff\xff",
            &[0xff; 64],
        ] {
            assert_eq!(member_offset(bytes, "a", "b"), None);
        }
    }
}
