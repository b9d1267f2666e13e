//! Reads the notes on USDT probes: the section `.note.stapsdt`, as `sys/sdt.h` writes it.
//!
//! A note has the addresses of the probe, of the section `.stapsdt.base` and of the semaphore, then
//! three texts: provider, name, arguments. Tools that move a file's code (`prelink`) know nothing of
//! the notes. The section's true address shows how far they have moved it.

use std::sync::Arc;

use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::NoteIterator;

use crate::base::address::LinkAddr;
use crate::debuginfo::budget::{KeptMemory, ReadBudget, ReaderKind};
use crate::debuginfo::file::object::text;
use crate::debuginfo::files::Files;
use crate::debuginfo::limits::{USDT_ARGUMENTS, USDT_ARGUMENTS_BYTES, USDT_NAME_BYTES};
use crate::debuginfo::model::usdt::{UsdtArgument, UsdtProbe, UsdtType};

/// The section, and the owner of its notes.
const SECTION: &str = ".note.stapsdt";
const OWNER: &[u8] = b"stapsdt";
/// Version of the format of a note.
const VERSION: u32 = 3;
/// Alignment of the parts of a note.
const ALIGN: u64 = 4;
/// Section whose address shows how far the file was moved.
const BASE: &str = ".stapsdt.base";

/// Steps to read one note, without its texts.
const NOTE_STEPS: u64 = 200;
/// Steps for each byte of texts, which are compared to sort the probes.
const BYTE_STEPS: u64 = 20;
/// Bytes that are kept of one probe, and of one argument, without texts.
const PROBE_BYTES: u64 = 160;
const ARGUMENT_BYTES: u64 = 48;

/// Returns the probes of a file, sorted by provider, name and address. Each place of a probe occurs
/// once.
pub(in crate::debuginfo) fn read(files: &Files) -> Vec<Arc<UsdtProbe>> {
    let Some(section) = files.loaded_section(SECTION) else {
        return Vec::new();
    };
    let base = files.main.section(BASE).map(|section| section.address);
    let probes = read_section(section, base, &files.budget);
    probes.into_iter().map(Arc::new).collect()
}

/// Reads the section. `base` is the address of the section [`BASE`].
fn read_section(
    section: &[u8],
    base: Option<LinkAddr>,
    budget: &Arc<ReadBudget>,
) -> Vec<UsdtProbe> {
    let notes = NoteIterator::<FileHeader64<LittleEndian>>::new(LittleEndian, ALIGN, section);
    let Ok(mut notes) = notes else {
        return Vec::new();
    };
    let mut meter = budget.meter(ReaderKind::StaticProbes);
    let mut kept = KeptMemory::none(budget);
    let mut probes = Vec::new();
    // A note that is cut off ends the section.
    while let Ok(Some(note)) = notes.next() {
        let bytes = note.desc().len() as u64;
        if !meter.take(NOTE_STEPS + bytes.saturating_mul(BYTE_STEPS)) {
            break;
        }
        if note.name() != OWNER || note.n_type(LittleEndian).0 != VERSION {
            continue;
        }
        let Some(probe) = probe(note.desc(), base) else {
            continue;
        };
        let arguments = probe.arguments.len() as u64 * ARGUMENT_BYTES;
        if !kept.grow(ReaderKind::StaticProbes, PROBE_BYTES + bytes + arguments) {
            break;
        }
        probes.push(probe);
    }
    drop(meter);
    if !budget.is_open() {
        return Vec::new();
    }
    // The notes of one file may be in any order, and a linker may keep two for one place.
    probes
        .sort_by(|a, b| (&a.provider, &a.name, a.address).cmp(&(&b.provider, &b.name, b.address)));
    probes.dedup_by(|again, first| {
        let is_same = (&again.provider, &again.name, again.address)
            == (&first.provider, &first.name, first.address);
        if is_same {
            merge(first, again);
        }
        is_same
    });
    probes
}

/// Reads the description of a note.
fn probe(description: &[u8], base: Option<LinkAddr>) -> Option<UsdtProbe> {
    let (address, rest) = word(description)?;
    let (noted_base, rest) = word(rest)?;
    let (semaphore, rest) = word(rest)?;
    let mut texts = rest.split(|byte| *byte == 0);
    let [provider, name, arguments] = [texts.next()?, texts.next()?, texts.next()?];
    let is_name = |name: &[u8]| (1..=USDT_NAME_BYTES).contains(&name.len());
    if !is_name(provider) || !is_name(name) || arguments.len() > USDT_ARGUMENTS_BYTES {
        return None;
    }
    let moved = match base {
        Some(base) if noted_base != 0 => base.0.wrapping_sub(noted_base),
        _ => 0,
    };
    Some(UsdtProbe {
        provider: text(provider),
        name: text(name),
        address: LinkAddr(address.wrapping_add(moved)),
        semaphore: (semaphore != 0).then(|| LinkAddr(semaphore.wrapping_add(moved))),
        arguments: arguments_of(&text(arguments)),
    })
}

fn word(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*word), rest))
}

/// Splits the text of the arguments: each begins with its size, `N@`.
///
/// A word that does not begin so belongs to the argument before: operands in Intel syntax have
/// spaces.
fn arguments_of(text: &str) -> Vec<UsdtArgument> {
    let mut arguments: Vec<UsdtArgument> = Vec::new();
    for word in text.split_ascii_whitespace() {
        let sized = word.split_once('@').filter(|(size, _)| is_size(size));
        match (sized, arguments.last_mut()) {
            (Some((size, operand)), _) => {
                if arguments.len() == USDT_ARGUMENTS {
                    break;
                }
                arguments.push(UsdtArgument {
                    ty: type_of(size),
                    operand: operand.to_owned(),
                });
            }
            (None, Some(last)) => {
                last.operand.push(' ');
                last.operand.push_str(word);
            }
            // Sizes are not known, so that neither is the number of arguments.
            (None, None) => arguments.push(UsdtArgument {
                ty: None,
                operand: word.to_owned(),
            }),
        }
    }
    arguments
}

/// Returns true for the front of an argument: `4`, `-8`, `8f`.
fn is_size(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let digits = digits.strip_suffix('f').unwrap_or(digits);
    (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn type_of(size: &str) -> Option<UsdtType> {
    let (digits, is_signed) = match size.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (size, false),
    };
    match digits.strip_suffix('f') {
        // The sign of a float means nothing.
        Some("4") => Some(UsdtType::Float(4)),
        Some("8") => Some(UsdtType::Float(8)),
        Some(_) => None,
        None => match digits.parse() {
            Ok(bytes @ (1 | 2 | 4 | 8 | 16)) if is_signed => Some(UsdtType::Signed(bytes)),
            Ok(bytes @ (1 | 2 | 4 | 8 | 16)) => Some(UsdtType::Unsigned(bytes)),
            _ => None,
        },
    }
}

/// Adds a second note for a place to the first. Arguments on which they disagree have no place.
fn merge(first: &mut UsdtProbe, again: &UsdtProbe) {
    first.semaphore = first.semaphore.or(again.semaphore);
    let count = first.arguments.len().max(again.arguments.len());
    let of = |probe: &UsdtProbe, index: usize| probe.arguments.get(index).cloned();
    let merged = (0..count).map(|index| match (of(first, index), of(again, index)) {
        (Some(one), Some(other)) if one == other => one,
        _ => UsdtArgument {
            ty: None,
            operand: String::new(),
        },
    });
    first.arguments = merged.collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<(String, String)> {
        let shown = |argument: UsdtArgument| {
            let ty = argument
                .ty
                .map_or_else(|| "?".to_owned(), |ty| ty.to_string());
            (ty, argument.operand)
        };
        arguments_of(text).into_iter().map(shown).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(ty, operand): &(&str, &str)| ((*ty).to_owned(), (*operand).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn arguments_are_split_at_their_sizes() {
        for (text, wanted) in [
            ("", &[][..]),
            ("8@%rdi", &[("u64", "%rdi")]),
            (
                "-4@-20(%rbp) 1@$5  2@x(%rip)",
                &[("i32", "-20(%rbp)"), ("u8", "$5"), ("u16", "x(%rip)")],
            ),
            (
                "8f@%xmm0 -4f@(%rax)",
                &[("f64", "%xmm0"), ("f32", "(%rax)")],
            ),
            (
                "16@(%rax) -16@(%rax)",
                &[("u128", "(%rax)"), ("i128", "(%rax)")],
            ),
            (
                "4@4(%rax, %rdx, 4) 8@%rcx",
                &[("u32", "4(%rax, %rdx, 4)"), ("u64", "%rcx")],
            ),
            (
                "8@QWORD PTR [rbp-8] 4@eax",
                &[("u64", "QWORD PTR [rbp-8]"), ("u32", "eax")],
            ),
            (
                "8@x@GOTPCREL(%rip) 4@%eax",
                &[("u64", "x@GOTPCREL(%rip)"), ("u32", "%eax")],
            ),
            (
                "3@%eax 10f@(%rax) 999@%eax",
                &[("?", "%eax"), ("?", "(%rax)"), ("?", "%eax")],
            ),
            ("%eax %ebx", &[("?", "%eax %ebx")]),
            ("@%eax -@%ebx", &[("?", "@%eax -@%ebx")]),
        ] {
            assert_eq!(arguments(text), owned(wanted), "{text}");
        }
        let many = "8@%rax ".repeat(USDT_ARGUMENTS + 5);
        assert_eq!(arguments(&many).len(), USDT_ARGUMENTS);
    }

    /// The description of a note.
    fn description(words: [u64; 3], texts: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in words {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(texts);
        bytes
    }

    #[test]
    fn addresses_are_moved_with_the_base_of_the_file() {
        let note = description([0x1100, 0x2000, 0x3000], b"p\0n\0\0");
        let moved = probe(&note, Some(LinkAddr(0x2500))).expect("a probe");
        assert_eq!(moved.address, LinkAddr(0x1600));
        assert_eq!(moved.semaphore, Some(LinkAddr(0x3500)));
        let alone = probe(&note, None).expect("a probe");
        assert_eq!(
            (alone.address, alone.semaphore),
            (LinkAddr(0x1100), Some(LinkAddr(0x3000)))
        );
        let note = description([0x1100, 0, 0], b"p\0n\0\0");
        let alone = probe(&note, Some(LinkAddr(0x2500))).expect("a probe");
        assert_eq!((alone.address, alone.semaphore), (LinkAddr(0x1100), None));
    }

    #[test]
    fn notes_without_all_parts_are_left_out() {
        let whole = description([1, 2, 3], b"provider\0name\x008@%rax\0");
        assert!(probe(&whole, None).is_some());
        for end in 0..whole.len() {
            let cut = whole.get(..end).expect("shorter");
            // The last text may lack its zero.
            assert_eq!(probe(cut, None).is_some(), end >= 24 + 14, "{end}");
        }
        for texts in [&b"\0n\0\0"[..], b"p\0\0\0", b"p"] {
            assert_eq!(
                probe(&description([1, 2, 3], texts), None),
                None,
                "{texts:?}"
            );
        }
        let long = [&vec![b'x'; USDT_NAME_BYTES + 1][..], b"\0n\0\0"].concat();
        assert_eq!(probe(&description([1, 2, 3], &long), None), None);
        let arguments = [&b"p\0n\0"[..], &vec![b'x'; USDT_ARGUMENTS_BYTES + 1]].concat();
        assert_eq!(probe(&description([1, 2, 3], &arguments), None), None);
    }

    /// A note with this description.
    fn note(description: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [8, u32::try_from(description.len()).expect("small"), VERSION] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(b"stapsdt\0");
        bytes.extend(description);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn read(section: &[u8]) -> Vec<UsdtProbe> {
        read_section(
            section,
            None,
            &Arc::new(ReadBudget::new(section.len() as u64)),
        )
    }

    /// Three notes: two places of one probe, and another probe before them.
    fn section() -> Vec<u8> {
        [
            note(&description([0x30, 0x99, 0], b"p\0b\0-4@%eax 8@$5\0")),
            note(&description(
                [0x20, 0x99, 0],
                b"p\0b\0-4@%ecx 8@x+4(%rip)\0",
            )),
            note(&description([0x40, 0x99, 0x70], b"p\0a\x008f@%xmm0\0")),
        ]
        .concat()
    }

    #[test]
    fn probes_are_sorted_by_name_and_address() {
        let found = read(&section());
        let keys: Vec<(&str, u64)> = found
            .iter()
            .map(|probe| (probe.name.as_str(), probe.address.0))
            .collect();
        assert_eq!(keys, [("a", 0x40), ("b", 0x20), ("b", 0x30)]);
    }

    #[test]
    fn notes_of_other_owners_and_versions_are_left_out() {
        for (at, byte) in [(8, 4), (12, b'x'), (0, 5)] {
            let mut bytes = section();
            bytes[at] = byte;
            let found = read(&bytes);
            assert!(found.len() < 3, "{at}: {found:?}");
            assert!(found.iter().all(|probe| probe.address.0 != 0x30), "{at}");
        }
    }

    #[test]
    fn damaged_notes_stay_within_their_bounds() {
        let whole = section();
        for end in 0..whole.len() {
            assert!(
                read(&whole[..end]).len() < 3 || end > whole.len() - 4,
                "{end}"
            );
        }
        for at in 0..whole.len() {
            for byte in [
                0,
                1,
                0x7f,
                0x80,
                0xff,
                whole[at] ^ 1,
                whole[at].wrapping_add(4),
                b' ',
                b'@',
            ] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                for probe in read(&damaged) {
                    assert!(
                        !probe.provider.is_empty() && !probe.name.is_empty(),
                        "{at} {byte}"
                    );
                    assert!(probe.name.len() <= whole.len() * 3, "{at} {byte}");
                    assert!(probe.arguments.len() <= USDT_ARGUMENTS, "{at} {byte}");
                    for argument in &probe.arguments {
                        // Any text is an operand or none.
                        let _ = crate::arch::parse_operand(&argument.operand);
                    }
                }
            }
        }
    }

    #[test]
    fn notes_that_disagree_on_a_place_give_no_argument_a_place() {
        let note = |arguments: &str| {
            let texts = format!("p\0n\0{arguments}\0");
            probe(&description([1, 2, 0], texts.as_bytes()), None).expect("a probe")
        };
        let mut first = note("8@%rax 4@%ebx");
        merge(&mut first, &note("8@%rax 4@%ecx 1@%dl"));
        let operands: Vec<&str> = first
            .arguments
            .iter()
            .map(|argument| argument.operand.as_str())
            .collect();
        assert_eq!(operands, ["%rax", "", ""]);
    }
}
