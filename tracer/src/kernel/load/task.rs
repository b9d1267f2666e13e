//! Patches the offsets of a thread's ids and name in the running kernel into the programs.
//!
//! libbpf does this with CO-RE relocations, for which Rust has no syntax. The programs load these
//! members at placeholder offsets (see `tracer_common::control`). This module replaces them by the
//! real offsets before the verifier sees and checks the programs.

use aya_obj::Object;
use tracer_common::control::{TASK_COMM, TASK_PID, TASK_TGID};

/// `dst = *(u32 *)(src + off)`
const LOAD_WORD: u8 = 0x61;
/// `dst = *(u64 *)(src + off)`
const LOAD_DOUBLE: u8 = 0x79;

/// Puts the members of `task_struct` at these offsets: `tgid`, `pid`, `comm`.
///
/// Returns false, and changes nothing, if an offset does not fit into an instruction, or if no
/// instruction has its placeholder.
pub(in crate::kernel) fn put_members(object: &mut Object, [tgid, pid, comm]: [u32; 3]) -> bool {
    let offset = |value: u32| i16::try_from(value).ok();
    let wanted = || {
        Some([
            (LOAD_WORD, TASK_TGID, offset(tgid)?),
            (LOAD_WORD, TASK_PID, offset(pid)?),
            (LOAD_DOUBLE, TASK_COMM, offset(comm)?),
            (LOAD_DOUBLE, TASK_COMM + 8, offset(comm.checked_add(8)?)?),
        ])
    };
    let Some(wanted) = wanted() else {
        return false;
    };
    let loads = |code: u8, at: i16| {
        let mut all = object.functions.values().flat_map(|of| &of.instructions);
        all.any(|instruction| instruction.code == code && instruction.off == at)
    };
    if !wanted
        .iter()
        .all(|&(code, placeholder, _)| loads(code, placeholder))
    {
        return false;
    }
    for function in object.functions.values_mut() {
        for instruction in &mut function.instructions {
            let of = |&&(code, placeholder, _): &&(u8, i16, i16)| {
                instruction.code == code && instruction.off == placeholder
            };
            if let Some(&(_, _, offset)) = wanted.iter().find(of) {
                instruction.off = offset;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::object::OBJECT;
    use super::*;

    fn loads(object: &Object, offset: i16) -> usize {
        let all = object.functions.values().flat_map(|of| &of.instructions);
        all.filter(|of| [LOAD_WORD, LOAD_DOUBLE].contains(&of.code) && of.off == offset)
            .count()
    }

    #[test]
    fn members_are_put_where_something_stands_for_them() {
        let before = Object::parse(OBJECT).expect("an object");
        let mut after = Object::parse(OBJECT).expect("an object");
        // Other loads do not have these offsets.
        assert!(put_members(&mut after, [0x7e01, 0x7e11, 0x7e21]));
        for (placeholder, put) in [
            (TASK_TGID, 0x7e01),
            (TASK_PID, 0x7e11),
            (TASK_COMM, 0x7e21),
            (TASK_COMM + 8, 0x7e29),
        ] {
            assert!(loads(&before, placeholder) > 0);
            assert_eq!(loads(&before, put), 0);
            assert_eq!(loads(&after, placeholder), 0);
            assert_eq!(loads(&after, put), loads(&before, placeholder));
        }
    }

    #[test]
    fn member_beyond_an_instruction_and_an_object_without_loads_change_nothing() {
        let mut object = Object::parse(OBJECT).expect("an object");
        assert!(!put_members(&mut object, [0x8000, 8, 8]));
        assert!(!put_members(&mut object, [8, 8, 0x7ffc]));
        assert!(loads(&object, TASK_COMM) > 0);
        assert!(put_members(&mut object, [8, 8, 8]));
        assert!(!put_members(&mut object, [8, 8, 8]));
    }
}
