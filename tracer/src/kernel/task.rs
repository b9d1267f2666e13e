//! Puts into the programs where the running kernel keeps ids and name of a thread.
//!
//! What libbpf does by CO-RE relocations, for which Rust has no syntax: the programs load these
//! members at offsets that stand for others (see `tracer_common::control`), and here the right
//! ones are written over them, before the verifier sees the programs and checks each.

use object::{Object as _, ObjectSection as _, SectionKind};
use tracer_common::control::{TASK_COMM, TASK_PID, TASK_TGID};

const INSTRUCTION: usize = 8;
/// `dst = *(u32 *)(src + off)`
const LOAD_WORD: u8 = 0x61;
/// `dst = *(u64 *)(src + off)`
const LOAD_DOUBLE: u8 = 0x79;

/// The object with the members of `task_struct` at these offsets: `tgid`, `pid`, `comm`.
///
/// `None` when an instruction has no room for one, or no instruction asks for one.
pub(super) fn with_members(elf: &[u8], [tgid, pid, comm]: [u32; 3]) -> Option<Vec<u8>> {
    let offset = |value: u32| i16::try_from(value).ok();
    let wanted = [
        (LOAD_WORD, TASK_TGID, offset(tgid)?),
        (LOAD_WORD, TASK_PID, offset(pid)?),
        (LOAD_DOUBLE, TASK_COMM, offset(comm)?),
        (LOAD_DOUBLE, TASK_COMM + 8, offset(comm.checked_add(8)?)?),
    ];
    let mut out = elf.to_vec();
    let mut found = [false; 4];
    for section in object::File::parse(elf).ok()?.sections() {
        if section.kind() != SectionKind::Text {
            continue;
        }
        let (start, len) = section.file_range()?;
        let start = usize::try_from(start).ok()?;
        let code = out.get_mut(start..start.checked_add(usize::try_from(len).ok()?)?)?;
        for instruction in code.chunks_exact_mut(INSTRUCTION) {
            let at = i16::from_le_bytes([instruction[2], instruction[3]]);
            for ((code, placeholder, offset), found) in wanted.iter().zip(&mut found) {
                if instruction[0] == *code && at == *placeholder {
                    instruction[2..4].copy_from_slice(&offset.to_le_bytes());
                    *found = true;
                }
            }
        }
    }
    found.iter().all(|&found| found).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::super::load::OBJECT;
    use super::*;

    fn loads(elf: &[u8], offset: i16) -> usize {
        let file = object::File::parse(elf).expect("an object");
        file.sections()
            .filter(|section| section.kind() == SectionKind::Text)
            .flat_map(|section| section.data().expect("bytes").chunks_exact(INSTRUCTION))
            .filter(|code| [LOAD_WORD, LOAD_DOUBLE].contains(&code[0]))
            .filter(|code| code[2..4] == offset.to_le_bytes())
            .count()
    }

    #[test]
    fn members_are_written_over_what_stands_for_them() {
        // No other load has these offsets.
        let offsets = [0x7e01, 0x7e11, 0x7e21];
        let changed = with_members(OBJECT, offsets).expect("all are there");
        assert_eq!(changed.len(), OBJECT.len());
        for (before, after) in [
            (TASK_TGID, 0x7e01),
            (TASK_PID, 0x7e11),
            (TASK_COMM, 0x7e21),
            (TASK_COMM + 8, 0x7e29),
        ] {
            assert!(loads(OBJECT, before) > 0);
            assert_eq!(loads(OBJECT, after), 0);
            assert_eq!(loads(&changed, before), 0);
            assert_eq!(loads(&changed, after), loads(OBJECT, before));
        }
    }

    #[test]
    fn member_beyond_an_instruction_and_an_object_without_loads_change_nothing() {
        assert_eq!(with_members(OBJECT, [0x8000, 8, 8]), None);
        assert_eq!(with_members(OBJECT, [8, 8, 0x7ffc]), None);
        assert_eq!(with_members(b"no object", [8, 8, 8]), None);
        let changed = with_members(OBJECT, [8, 8, 8]).expect("all are there");
        assert_eq!(with_members(&changed, [8, 8, 8]), None);
    }
}
