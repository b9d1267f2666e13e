//! Where a struct of the kernel has a member, by the kernel's own BTF.

use std::fs::{self, File};
use std::io;
use std::ops::Deref;

use memmap2::{Mmap, MmapOptions};

use super::features::KERNEL_BTF;

const MAGIC: u16 = 0xEB9F;
const STRUCT: u32 = 4;

/// The running kernel's BTF: some megabytes.
pub(super) enum KernelBtf {
    /// As the kernel has it (Linux 6.16).
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
        // SAFETY: the kernel's own, of which neither bytes nor length ever change.
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

/// The same for several members; `None` when one is not there.
pub(super) fn member_offsets<const N: usize>(
    btf: &[u8],
    name: &str,
    members: [&str; N],
) -> Option<[u32; N]> {
    if u16::from_le_bytes(btf.get(..2)?.try_into().ok()?) != MAGIC {
        return None;
    }
    let header = word(btf, 4)?;
    let types = area(btf, header, word(btf, 8)?, word(btf, 12)?)?;
    let strings = area(btf, header, word(btf, 16)?, word(btf, 20)?)?;
    let mut at = 0;
    while let (Some(name_at), Some(info)) = (word(types, at), word(types, at + 4)) {
        let (kind, count) = (info >> 24 & 0x1f, info & 0xffff);
        let body = at + 12;
        if kind == STRUCT && text(strings, name_at) == Some(name.as_bytes()) {
            let mut offsets = [0; N];
            for (member, offset) in members.iter().zip(&mut offsets) {
                let found = (0..count).map(|index| body + index * 12).find(|&entry| {
                    word(types, entry).and_then(|at| text(strings, at)) == Some(member.as_bytes())
                })?;
                let bits = word(types, found + 8)?;
                // With the kind flag the high byte is the size of a bit field.
                let bits = if info >> 31 == 1 {
                    bits & 0x00ff_ffff
                } else {
                    bits
                };
                *offset = bits / 8;
            }
            return Some(offsets);
        }
        at = body.checked_add(body_size(kind, count)?)?;
    }
    None
}

/// Bytes that stand behind a type's first 12 (Documentation/bpf/btf.rst).
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
