//! Removes source lines from an object's BTF.
//!
//! LLVM copies the text of source lines into BTF, for the verifier's log, if it finds the files.
//! The compiler's library is on some machines and missing on others. The loader needs only the
//! types and the functions' types. Layouts are those of the kernel's `include/uapi/linux/btf.h` and
//! libbpf's `btf_ext_header`.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

/// First bytes of both sections.
const MAGIC: u32 = 0xEB9F;
/// Size of a type in bytes, without the part that depends on its kind.
const TYPE: usize = 12;
/// Position in `.BTF.ext`'s header of each table's offset and length.
const FUNCTIONS: usize = 8;
const LINES: usize = 16;
const RELOCATIONS: usize = 24;

/// Both sections, without source lines.
pub(super) struct WithoutLines {
    pub(super) btf: Vec<u8>,
    pub(super) ext: Vec<u8>,
    /// Bytes at the start of `ext` that stay in place.
    pub(super) kept: usize,
}

/// Removes the lines from `.BTF.ext`, and their texts from `.BTF`.
///
/// # Errors
/// The sections are damaged, or have unknown tables.
pub(super) fn without_lines(btf: &[u8], ext: &[u8]) -> Result<WithoutLines> {
    let mut table = TypeTable::of(btf)?;
    let mut types = table.types.to_vec();
    let mut at = 0;
    while at < types.len() {
        at = take_type(&mut types, at, &mut table)?;
    }
    let (mut ext, kept) = functions_only(ext)?;
    take_sections(&mut ext, &mut table)?;
    let header = number(btf, 4)?;
    let mut out = btf.get(..header).context("BTF ends early")?.to_vec();
    put(&mut out, 12, types.len())?;
    put(&mut out, 16, types.len())?;
    put(&mut out, 20, table.kept.len())?;
    out.extend_from_slice(&types);
    out.extend_from_slice(&table.kept);
    Ok(WithoutLines {
        btf: out,
        ext,
        kept,
    })
}

/// The types, and the strings of their names.
struct TypeTable<'b> {
    types: &'b [u8],
    strings: &'b [u8],
    kept: Vec<u8>,
    /// New offsets of strings, by their old ones.
    moved: HashMap<usize, usize>,
}

impl<'b> TypeTable<'b> {
    fn of(btf: &'b [u8]) -> Result<Self> {
        ensure!(
            number(btf, 0)? & 0xFFFF == MAGIC as usize,
            "BTF begins with other bytes"
        );
        let header = number(btf, 4)?;
        let part = |offset: usize, length: usize| {
            btf.get(header + offset..header + offset + length)
                .context("BTF ends early")
        };
        ensure!(number(btf, 8)? == 0, "BTF has a gap before its types");
        Ok(Self {
            types: part(0, number(btf, 12)?)?,
            strings: part(number(btf, 16)?, number(btf, 20)?)?,
            kept: vec![0],
            moved: HashMap::from([(0, 0)]),
        })
    }

    /// Keeps the string whose offset is at a position of `bytes`, and writes its new offset there.
    fn keep(&mut self, bytes: &mut [u8], at: usize) -> Result<()> {
        let from = number(bytes, at)?;
        let to = match self.moved.get(&from) {
            Some(to) => *to,
            None => {
                let rest = self
                    .strings
                    .get(from..)
                    .context("a name is outside of BTF")?;
                let length = rest.iter().position(|&byte| byte == 0);
                let name = &rest[..=length.context("a name of BTF does not end")?];
                let to = self.kept.len();
                self.kept.extend_from_slice(name);
                self.moved.insert(from, to);
                to
            }
        };
        put(bytes, at, to)
    }
}

/// Keeps the names of the type at `at`. Returns the position of the next type.
fn take_type(types: &mut [u8], at: usize, table: &mut TypeTable<'_>) -> Result<usize> {
    table.keep(types, at)?;
    let info = number(types, at + 4)?;
    let count = info & 0xFFFF;
    // Size of each part of the type, and whether the part starts with a name.
    let (parts, size, named) = match info >> 24 & 0x1F {
        1 | 14 | 17 => (1, 4, false), // integer, variable, tag of a declaration
        2 | 7..=12 | 16 | 18 => (0, 0, false), // pointer, forward, typedef, qualifiers, function, float, tag
        3 => (1, 12, false),                   // array
        4 | 5 | 19 => (count, 12, true),       // struct, union, enum of 64 bits
        6 | 13 => (count, 8, true),            // enum, prototype
        15 => (count, 12, false),              // section
        kind => bail!("BTF has a type of the unknown kind {kind}"),
    };
    let first = at + TYPE;
    if named {
        for part in 0..parts {
            table.keep(types, first + part * size)?;
        }
    }
    Ok(first + parts * size)
}

/// `.BTF.ext` with only its functions, and the end of these.
fn functions_only(ext: &[u8]) -> Result<(Vec<u8>, usize)> {
    ensure!(
        number(ext, 0)? & 0xFFFF == MAGIC as usize,
        "BTF.ext begins with other bytes"
    );
    ensure!(
        number(ext, RELOCATIONS + 4)? == 0,
        "BTF.ext has relocations, which are not known here"
    );
    ensure!(
        number(ext, FUNCTIONS)? == 0,
        "BTF.ext has a gap before its functions"
    );
    let kept = number(ext, 4)? + number(ext, FUNCTIONS + 4)?;
    let mut functions = ext.get(..kept).context("BTF.ext ends early")?.to_vec();
    let length = number(ext, FUNCTIONS + 4)?;
    for table in [LINES, RELOCATIONS] {
        put(&mut functions, table, length)?;
        put(&mut functions, table + 4, 0)?;
    }
    Ok((functions, kept))
}

/// Keeps the names of the sections with functions in `.BTF.ext`.
fn take_sections(ext: &mut [u8], table: &mut TypeTable<'_>) -> Result<()> {
    let header = number(ext, 4)?;
    let size = number(ext, header)?;
    let mut at = header + 4;
    while at < ext.len() {
        table.keep(ext, at)?;
        at += 8 + number(ext, at + 4)? * size;
    }
    Ok(())
}

/// The 32-bit number at a position.
fn number(bytes: &[u8], at: usize) -> Result<usize> {
    let four = bytes.get(at..at + 4).context("BTF ends early")?;
    Ok(u32::from_le_bytes(four.try_into()?) as usize)
}

fn put(bytes: &mut [u8], at: usize, value: usize) -> Result<()> {
    let four = bytes.get_mut(at..at + 4).context("BTF ends early")?;
    four.copy_from_slice(&u32::try_from(value)?.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// An integer `int`, then a struct `pair` with the member `x`. The text of a line is before
    /// them.
    fn example(line: &str) -> (Vec<u8>, Vec<u8>) {
        let strings = format!("\0{line}\0int\0pair\0x\0uprobe\0");
        let place =
            |name: &str| u32::try_from(strings.find(&format!("\0{name}\0")).map_or(0, |at| at + 1));
        let place = |name: &str| place(name).unwrap_or_default();
        let types = words(&[
            place("int"),
            1 << 24,
            4,
            32,
            place("pair"),
            4 << 24 | 1,
            4,
            place("x"),
            1,
            0,
        ]);
        let lengths = [types.len(), types.len(), strings.len()].map(|length| length as u32);
        let mut btf = words(&[0x1_EB9F, 24, 0, lengths[0], lengths[1], lengths[2]]);
        btf.extend_from_slice(&types);
        btf.extend_from_slice(strings.as_bytes());
        let ext = words(&[
            0x1_EB9F,
            32,
            0,
            20,
            20,
            28,
            48,
            0,
            8,
            place("uprobe"),
            1,
            0,
            1,
            16,
            place("uprobe"),
            1,
            0,
            place(line),
            place(line),
            5 << 10,
        ]);
        (btf, ext)
    }

    #[test]
    fn texts_of_lines_leave_no_trace() {
        let [here, there] = ["let x = 1;", "a longer line"].map(|line| {
            let (btf, ext) = example(line);
            without_lines(&btf, &ext).map(|stripped| (stripped.btf, stripped.ext))
        });
        let (here, there) = (here.expect("it is whole"), there.expect("it is whole"));
        assert_eq!(here, there);
        assert!(here.0.ends_with(b"\0int\0pair\0x\0uprobe\0"));
        assert_eq!(here.1[8..32], words(&[0, 20, 20, 0, 20, 0]));
    }

    #[test]
    fn damaged_sections_are_refused() {
        let (btf, ext) = example("let x = 1;");
        for length in 0..btf.len() - 1 {
            assert!(
                without_lines(&btf[..length], &ext).is_err(),
                "{length} bytes"
            );
        }
    }
}
