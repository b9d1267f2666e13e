//! What a uprobe on an instruction costs the kernel.
//!
//! Linux on x86-64 (`arch/x86/kernel/uprobes.c`) emulates in the breakpoint
//! trap, by opcode: `nop` (`90`, also with a `66` prefix), `jmp rel8/rel32`,
//! `jcc rel8/rel32` and `call rel32` without a `66` prefix (since 3.16), and
//! `push` of a general register in its shortest encoding (since 4.16). Of every
//! other instruction it steps a copy out of line, a second trap. From 6.18 on
//! it may rewrite the 5-byte nop to a call.

use iced_x86::{Code, Instruction};

/// What a hit at an instruction is for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SiteKind {
    /// Emulated in the breakpoint trap.
    OneTrap,
    /// Stepped out of line: a second trap.
    TwoTraps,
    /// A 5-byte nop: a call from Linux 6.18 on, one or two traps before.
    Nop5,
}

impl SiteKind {
    /// What a probe on `instruction` is, whose bytes are `bytes`.
    #[must_use]
    pub fn of(instruction: &Instruction, bytes: &[u8]) -> Self {
        match bytes {
            [0x90] | [0x66, 0x90] => return Self::OneTrap,
            [0x0f, 0x1f, 0x44, 0x00, 0x00] => return Self::Nop5,
            _ => {}
        }
        // Any prefix but the branch hints changes what the kernel makes of it.
        let first = bytes.first().copied().unwrap_or_default();
        let one_trap = match instruction.code() {
            Code::Jmp_rel8_64 => first == 0xeb,
            Code::Jmp_rel32_64 => first == 0xe9,
            Code::Call_rel32_64 => first == 0xe8,
            Code::Push_r64 => {
                matches!(bytes, [0x50..=0x57] | [0x41, 0x50..=0x57])
            }
            _ => matches!(bytes, [0x70..=0x7f, _] | [0x0f, 0x80..=0x8f, _, _, _, _]),
        };
        if one_trap {
            Self::OneTrap
        } else {
            Self::TwoTraps
        }
    }

    /// In words, for lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneTrap => "one trap",
            Self::TwoTraps => "two traps",
            Self::Nop5 => "5-byte nop",
        }
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    fn kind(bytes: &[u8]) -> SiteKind {
        let instruction = Decoder::with_ip(64, bytes, 0x1000, DecoderOptions::NONE).decode();
        assert_eq!(instruction.len(), bytes.len(), "{bytes:x?}");
        SiteKind::of(&instruction, bytes)
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
}
