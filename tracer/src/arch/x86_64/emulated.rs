//! The way in which the kernel runs a probed instruction, which decides the cost of a hit.
//!
//! Linux on x86-64 (`arch/x86/kernel/uprobes.c`) emulates some instructions in the breakpoint
//! trap, by opcode: `nop` (`90`, also with a `66` prefix), `jmp rel8/rel32`, `jcc rel8/rel32` and
//! `call rel32` without a `66` prefix (since 3.16), and `push` of a general register in its
//! shortest encoding (since 4.16). From 6.18 on it also emulates the recommended nops of up to 8
//! bytes, which compilers put before loops. For every other instruction it steps a copy out of
//! line, which takes a second trap. From 6.18 on it rewrites any 5-byte nop to a call. (Each form
//! was measured on 6.18.44.)

use iced_x86::Code;

use super::instruction::Instruction;
use crate::arch::SiteKind;

/// Returns the way in which a kernel runs a probed instruction of these bytes. `emulates_nops` is
/// true if the kernel emulates nops of several bytes.
#[must_use]
pub fn site_kind(instruction: &Instruction, bytes: &[u8], emulates_nops: bool) -> SiteKind {
    match bytes {
        [0x90] | [0x66, 0x90] => return SiteKind::OneTrap,
        _ if bytes.len() == 5 && is_nop(bytes) => return SiteKind::Nop5,
        _ if emulates_nops && is_recommended_nop(bytes) => return SiteKind::OneTrap,
        _ => {}
    }
    // Any prefix but the branch hints changes the way in which the kernel treats the instruction.
    let first = bytes.first().copied().unwrap_or_default();
    let one_trap = match instruction.decoded.code() {
        Code::Jmp_rel8_64 => first == 0xeb,
        Code::Jmp_rel32_64 => first == 0xe9,
        Code::Call_rel32_64 => first == 0xe8,
        Code::Push_r64 => {
            matches!(bytes, [0x50..=0x57] | [0x41, 0x50..=0x57])
        }
        _ => matches!(bytes, [0x70..=0x7f, _] | [0x0f, 0x80..=0x8f, _, _, _, _]),
    };
    if one_trap {
        SiteKind::OneTrap
    } else {
        SiteKind::TwoTraps
    }
}

/// Returns true if the bytes are a nop without any prefix but `66`.
fn is_nop(bytes: &[u8]) -> bool {
    let prefixes = bytes.iter().take_while(|byte| **byte == 0x66).count();
    match bytes.get(prefixes..).unwrap_or_default() {
        [0x90] => true,
        [0x0f, 0x1f, operand, ..] => operand & 0x38 == 0,
        _ => false,
    }
}

/// Returns true if the bytes are a nop of several bytes that the processors' manuals recommend.
const fn is_recommended_nop(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x0f, 0x1f, 0x00]
            | [0x0f, 0x1f, 0x40, 0]
            | [0x66, 0x0f, 0x1f, 0x44, 0, 0]
            | [0x0f, 0x1f, 0x80, 0, 0, 0, 0]
            | [0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(bytes: &[u8]) -> SiteKind {
        on(bytes, false)
    }

    fn on(bytes: &[u8], emulates_nops: bool) -> SiteKind {
        let instruction = Instruction::first(bytes, 0x1000).expect("it is one");
        assert_eq!(instruction.length(), bytes.len(), "{bytes:x?}");
        site_kind(&instruction, bytes, emulates_nops)
    }

    #[test]
    fn instruction_that_the_kernel_emulates_is_one_trap() {
        for bytes in [
            &[0x90][..],
            &[0x66, 0x90],
            &[0xeb, 0x10],
            &[0xe9, 0, 0, 0, 0],
            &[0xe8, 0, 0, 0, 0],
            &[0x74, 0x10],
            &[0x0f, 0x85, 0, 0, 0, 0],
            &[0x55],
            &[0x41, 0x57],
        ] {
            assert_eq!(kind(bytes), SiteKind::OneTrap, "{bytes:x?}");
        }
    }

    #[test]
    fn instruction_that_the_kernel_steps_is_two_traps() {
        for bytes in [
            &[0xc3][..],
            &[0x48, 0x89, 0xe5],
            &[0xf3, 0x90],
            &[0xf3, 0x0f, 0x1e, 0xfa],
            &[0x0f, 0x1f, 0x00],
            &[0xff, 0xe0],
            &[0xff, 0xd0],
            &[0xff, 0x35, 0, 0, 0, 0],
            &[0x6a, 0x01],
            &[0x48, 0x55],
            &[0xe3, 0x10],
            &[0xe2, 0x10],
            &[0x41, 0x90],
        ] {
            assert_eq!(kind(bytes), SiteKind::TwoTraps, "{bytes:x?}");
        }
        assert_eq!(kind(&[0x0f, 0x1f, 0x44, 0, 0]), SiteKind::Nop5);
    }

    #[test]
    fn nop_of_several_bytes_is_one_trap_from_linux_6_18_on() {
        for bytes in [
            &[0x0f, 0x1f, 0x00][..],
            &[0x0f, 0x1f, 0x40, 0x00],
            &[0x66, 0x0f, 0x1f, 0x44, 0, 0],
            &[0x0f, 0x1f, 0x80, 0, 0, 0, 0],
            &[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(on(bytes, true), SiteKind::OneTrap, "{bytes:x?}");
            assert_eq!(on(bytes, false), SiteKind::TwoTraps, "{bytes:x?}");
        }
        // Measured: these are stepped. The one with a segment prefix is refused.
        for bytes in [
            &[0x66, 0x0f, 0x1f, 0x80, 0, 0, 0, 0][..],
            &[0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
            &[0x66, 0x0f, 0x1f, 0x00],
            &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
            &[0xf3, 0x90],
            &[0xf3, 0x0f, 0x1e, 0xfa],
        ] {
            assert_eq!(on(bytes, true), SiteKind::TwoTraps, "{bytes:x?}");
        }
        for bytes in [[0x66, 0x0f, 0x1f, 0x40, 0], [0x66, 0x66, 0x66, 0x66, 0x90]] {
            assert_eq!(on(&bytes, true), SiteKind::Nop5, "{bytes:x?}");
        }
    }
}
