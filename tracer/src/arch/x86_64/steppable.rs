//! Instructions that must not be probed, because the kernel refuses them or steps them wrongly.
//!
//! A uprobe replaces the first byte of an instruction by a breakpoint. At a hit the kernel
//! emulates the instruction, or executes a copy of it elsewhere ("out of line") with the trap
//! flag set and then corrects registers. Both go wrong for some instructions. Each entry of
//! [`Unprobeable`] names the place in the kernel's sources that decides (Linux 6.1 to 6.18 unless
//! a version is given). `tracer/tests/kernel/instructions.rs` executes some 470 forms with a
//! probe on them and compares.
//!
//! An instruction may be probed only if it is known. [`KNOWN`] lists the processor features whose
//! instructions the decoders of all supported kernels know too.

use iced_x86::{
    CpuidFeature, Formatter, Instruction as Decoded, IntelFormatter, Mnemonic, Register,
};

use super::instruction::Instruction;
use crate::base::visible::Visible;

/// Bytes of the longest instruction.
pub const MAX_INSTRUCTION: usize = 15;

/// The reason why an instruction must not be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unprobeable {
    /// `syscall`, `sysenter`.
    ///
    /// `good_insns_64` has a 1 for the escape byte `0f`, so `uprobe_init_insn` accepts them, though
    /// `good_2byte_insns` has a 0. The copy returns to an address that `default_post_xol_op` then
    /// corrects once more, and leaves the address and the trap flag of the copy in `rcx` and `r11`.
    #[error("the kernel loses its place when it steps a system call")]
    SystemCall,
    /// `int`, `int3`, `int1`.
    ///
    /// `good_insns_64` has a 0 for `cc`, `cd` and `f1`; `is_trap_insn` in `prepare_uprobe`
    /// (kernel/events/uprobes.c) refuses `int3`.
    #[error("it is an interrupt, which the kernel refuses to step")]
    Interrupt,
    /// `ud0`, `ud1`, `ud2`.
    ///
    /// They end in a signal, whose address would be that of the copy. `good_2byte_insns` has a 0.
    #[error("it always raises an exception")]
    Invalid,
    /// Input and output, `hlt`, `cli`, `lgdt`, `mov` to control registers and the like.
    ///
    /// `good_insns_64` has a 0 for those of one byte. The others fault in a process, or are
    /// emulated by `fixup_umip_exception`, which does not know about the copy.
    #[error("it is reserved for the operating system")]
    Privileged,
    /// A `lock` prefix.
    ///
    /// `is_prefix_bad`.
    #[error("the kernel refuses instructions with a `lock` prefix")]
    Locked,
    /// A prefix of the segments `es`, `cs`, `ss`, `ds`, among them `notrack` and branch hints.
    ///
    /// `is_prefix_bad`.
    #[error("the kernel refuses instructions with a prefix of a segment other than `fs` and `gs`")]
    SegmentPrefix,
    /// A string instruction with `rep`.
    ///
    /// The trap flag stops it after each element, and `default_post_xol_op` then leads back to the
    /// breakpoint.
    #[error("each repetition would count as a hit")]
    Repeated,
    /// A load of `ss`.
    ///
    /// `insn_masking_exception`: the trap after it is held back.
    #[error("the processor delays the trap after a load of `ss`")]
    StackSegment,
    /// Calls, jumps and returns to another code segment.
    ///
    /// `good_insns_64` has a 0 for `9a`, `ea` and `cf`. For the others the segment is ignored.
    #[error("the kernel does not follow jumps to another code segment")]
    Far,
    /// Instructions of transactional memory.
    ///
    /// `xbegin` gives an address relative to itself, which no correction of the copy covers, and
    /// a breakpoint ends any transaction.
    #[error("a breakpoint aborts every transaction")]
    Transaction,
    /// `pushf`.
    ///
    /// `arch_uprobe_pre_xol` sets the trap flag, and the copy pushes it.
    #[error("the program would see the trap flag by which the kernel steps it")]
    Flags,
    /// Instructions that change the shadow stack.
    ///
    /// `arch_uprobe_post_xol` ignores the shadow stack.
    #[error("it changes the shadow stack, which the kernel's stepping ignores")]
    ShadowStack,
    /// A call in a thread with a shadow stack.
    ///
    /// `emulate_push_stack` writes the return address only to the stack.
    #[error("the thread has a shadow stack, which the kernel does not update for emulated calls")]
    ShadowedCall,
    /// A branch with an operand size prefix.
    ///
    /// `branch_setup_xol_ops`: processors interpret it differently.
    #[error("the kernel refuses branches with an operand size prefix")]
    NarrowBranch,
    /// A vector instruction whose opcode is mistaken for another instruction's.
    ///
    /// `OPCODE1` is the opcode after a VEX or EVEX prefix, and is looked up as if there were
    /// none: in `good_insns_64`, where some have a 0, in `branch_setup_xol_ops`, which would jump
    /// instead, and in `arch_uprobe_analyze_insn`, which would not correct the address.
    #[error("the kernel mistakes it for another instruction")]
    VectorOpcode,
    /// `xchg` of `rax` with `r8` in its short form.
    ///
    /// `branch_setup_xol_ops` takes any `90` for a nop (before Linux 6.19).
    #[error("the kernel mistakes it for a nop")]
    Exchange,
    /// An instruction that the decoders of this program and of all supported kernels do not know,
    /// or in an unusual encoding.
    #[error("it is not known whether the kernel steps it correctly")]
    Unknown,
    /// The program's file has no complete instruction at the address.
    ///
    /// `__copy_insn` reads the file, not the memory that is mapped after the file's part.
    #[error("the file has no whole instruction there")]
    NotInFile,
}

impl Unprobeable {
    /// Returns the reason why the first instruction in `bytes` must not be probed, or `None` if
    /// it can be probed.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match decode_first(bytes) {
            Some((instruction, bytes)) => Self::entry(&instruction, bytes),
            None => Some(Self::Unknown),
        }
    }

    /// Returns the reason why an instruction must not be probed; `bytes` are those of the file at
    /// its address.
    #[must_use]
    pub fn at(bytes: Option<&[u8]>) -> Option<Self> {
        let Some(bytes) = bytes else {
            return Some(Self::NotInFile);
        };
        let reaches_end = bytes.len() < MAX_INSTRUCTION;
        match Self::of(bytes) {
            Some(Self::Unknown) if reaches_end && decode_first(bytes).is_none() => {
                Some(Self::NotInFile)
            }
            other => other,
        }
    }

    /// Returns the reason for a decoded instruction of these bytes.
    pub fn entry(instruction: &Instruction, bytes: &[u8]) -> Option<Self> {
        let Some(encoding) = Encoding::of(bytes) else {
            return Some(Self::Unknown);
        };
        let instruction = &instruction.decoded;
        let by_name = Self::by_name(instruction);
        if by_name.is_some() {
            return by_name;
        }
        if encoding.has_prefix(&[0xf0]) {
            return Some(Self::Locked);
        }
        if encoding.has_prefix(&[0x26, 0x2e, 0x36, 0x3e]) {
            return Some(Self::SegmentPrefix);
        }
        let is_repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
        if instruction.is_string_instruction() && is_repeated {
            return Some(Self::Repeated);
        }
        match encoding.opcode {
            Opcode::Vector(opcode) if is_mistaken(opcode) => return Some(Self::VectorOpcode),
            Opcode::One(0x90) if encoding.rex & 1 != 0 => return Some(Self::Exchange),
            _ => {}
        }
        if encoding.has_prefix(&[0x66]) && is_narrow(instruction, &encoding) {
            return Some(Self::NarrowBranch);
        }
        let features = instruction.cpuid_features();
        let is_known = features.iter().all(|feature| KNOWN.contains(feature));
        (!is_known).then_some(Self::Unknown)
    }

    /// Returns the reason for an instruction that must not be probed in any encoding.
    fn by_name(instruction: &Decoded) -> Option<Self> {
        let loads_ss = instruction.op0_register() == Register::SS;
        Some(match instruction.mnemonic() {
            Mnemonic::Syscall | Mnemonic::Sysenter => Self::SystemCall,
            Mnemonic::Int | Mnemonic::Int1 | Mnemonic::Int3 | Mnemonic::Into => Self::Interrupt,
            Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2 => Self::Invalid,
            Mnemonic::Mov | Mnemonic::Pop if loads_ss => Self::StackSegment,
            Mnemonic::Lss => Self::StackSegment,
            Mnemonic::Iret | Mnemonic::Iretd | Mnemonic::Iretq | Mnemonic::Retf => Self::Far,
            Mnemonic::Call | Mnemonic::Jmp if is_far(instruction) => Self::Far,
            Mnemonic::Xbegin | Mnemonic::Xend | Mnemonic::Xabort | Mnemonic::Xtest => {
                Self::Transaction
            }
            Mnemonic::Pushf | Mnemonic::Pushfd | Mnemonic::Pushfq => Self::Flags,
            Mnemonic::Incsspd
            | Mnemonic::Incsspq
            | Mnemonic::Wrssd
            | Mnemonic::Wrssq
            | Mnemonic::Wrussd
            | Mnemonic::Wrussq
            | Mnemonic::Rstorssp
            | Mnemonic::Saveprevssp
            | Mnemonic::Setssbsy
            | Mnemonic::Clrssbsy => Self::ShadowStack,
            Mnemonic::In
            | Mnemonic::Out
            | Mnemonic::Insb
            | Mnemonic::Insw
            | Mnemonic::Insd
            | Mnemonic::Outsb
            | Mnemonic::Outsw
            | Mnemonic::Outsd
            | Mnemonic::Cli
            | Mnemonic::Sti
            | Mnemonic::Sgdt
            | Mnemonic::Sidt
            | Mnemonic::Sldt
            | Mnemonic::Str
            | Mnemonic::Smsw
            | Mnemonic::Vmcall
            | Mnemonic::Vmmcall
            | Mnemonic::Vmfunc => Self::Privileged,
            _ if instruction.is_privileged() => Self::Privileged,
            _ => return None,
        })
    }
}

/// Processor features whose instructions Linux 6.1 decodes (arch/x86/lib/x86-opcode-map.txt) and
/// steps like all others: the last column of the opcode maps has no mark for them.
const KNOWN: &[CpuidFeature] = &[
    CpuidFeature::INTEL8086,
    CpuidFeature::INTEL186,
    CpuidFeature::INTEL286,
    CpuidFeature::INTEL386,
    CpuidFeature::INTEL486,
    CpuidFeature::X64,
    CpuidFeature::ADX,
    CpuidFeature::AES,
    CpuidFeature::AVX,
    CpuidFeature::AVX2,
    CpuidFeature::AVX512_BITALG,
    CpuidFeature::AVX512_IFMA,
    CpuidFeature::AVX512_VBMI,
    CpuidFeature::AVX512_VBMI2,
    CpuidFeature::AVX512_VNNI,
    CpuidFeature::AVX512_VPOPCNTDQ,
    CpuidFeature::AVX512BW,
    CpuidFeature::AVX512CD,
    CpuidFeature::AVX512DQ,
    CpuidFeature::AVX512F,
    CpuidFeature::AVX512VL,
    CpuidFeature::BMI1,
    CpuidFeature::BMI2,
    CpuidFeature::CET_IBT,
    CpuidFeature::CET_SS,
    CpuidFeature::CLFLUSHOPT,
    CpuidFeature::CLFSH,
    CpuidFeature::CLWB,
    CpuidFeature::CMOV,
    CpuidFeature::CMPXCHG16B,
    CpuidFeature::CPUID,
    CpuidFeature::CX8,
    CpuidFeature::F16C,
    CpuidFeature::FMA,
    CpuidFeature::FPU,
    CpuidFeature::FPU287,
    CpuidFeature::FPU387,
    CpuidFeature::FSGSBASE,
    CpuidFeature::FXSR,
    CpuidFeature::GFNI,
    CpuidFeature::HLE_or_RTM,
    CpuidFeature::LZCNT,
    CpuidFeature::MMX,
    CpuidFeature::MOVBE,
    CpuidFeature::MULTIBYTENOP,
    CpuidFeature::PAUSE,
    CpuidFeature::PCLMULQDQ,
    CpuidFeature::PKU,
    CpuidFeature::POPCNT,
    CpuidFeature::PREFETCHW,
    CpuidFeature::RDPID,
    CpuidFeature::RDRAND,
    CpuidFeature::RDSEED,
    CpuidFeature::RDTSCP,
    CpuidFeature::SHA,
    CpuidFeature::SSE,
    CpuidFeature::SSE2,
    CpuidFeature::SSE3,
    CpuidFeature::SSE4_1,
    CpuidFeature::SSE4_2,
    CpuidFeature::SSSE3,
    CpuidFeature::TSC,
    CpuidFeature::VAES,
    CpuidFeature::VPCLMULQDQ,
    CpuidFeature::XSAVE,
    CpuidFeature::XSAVEC,
    CpuidFeature::XSAVEOPT,
];

/// Returns true if an opcode after a VEX or EVEX prefix means something else without one, which
/// the kernel refuses, emulates, or corrects in another way.
const fn is_mistaken(opcode: u8) -> bool {
    let is_refused = matches!(
        opcode,
        0x06 | 0x07 | 0x0e | 0x16 | 0x17 | 0x1e | 0x1f | 0x27 | 0x2f | 0x37 | 0x3f
            | 0x60..=0x62
            | 0x6c..=0x6f
            | 0x82
            | 0x9a
            | 0xcc..=0xcf
            | 0xd4..=0xd6
            | 0xe4..=0xe7
            | 0xea
            | 0xec..=0xef
            | 0xf1
            | 0xf4
            | 0xfa
            | 0xfb
    );
    let is_emulated = matches!(opcode, 0x70..=0x7f | 0x90 | 0xe8 | 0xe9 | 0xeb);
    let is_corrected = matches!(opcode, 0x9d | 0xc2 | 0xc3 | 0xca | 0xcb | 0xff);
    // `8e` is a load of `ss` for `insn_masking_exception`.
    is_refused || is_emulated || is_corrected || opcode == 0x8e
}

/// Returns true if the kernel refuses a branch with an operand size prefix, or if the branch has
/// an operand of 16 bits on some processors.
fn is_narrow(instruction: &Decoded, encoding: &Encoding<'_>) -> bool {
    match encoding.opcode {
        Opcode::One(0x70..=0x7f | 0xc2 | 0xc3 | 0xe0..=0xe3 | 0xe8 | 0xe9 | 0xeb)
        | Opcode::Two(0x80..=0x8f) => true,
        // After `rex.w` the prefix has no effect.
        Opcode::One(0xff) => {
            encoding.rex & 8 == 0
                && (instruction.is_call_near_indirect() || instruction.is_jmp_near_indirect())
        }
        _ => false,
    }
}

fn is_far(instruction: &Decoded) -> bool {
    instruction.is_call_far_indirect()
        || instruction.is_jmp_far_indirect()
        || instruction.is_call_far()
        || instruction.is_jmp_far()
}

/// An opcode, by the map that it is in.
#[derive(Clone, Copy)]
enum Opcode {
    One(u8),
    /// After `0f`.
    Two(u8),
    /// After `0f 38` or `0f 3a`.
    Three,
    /// After a VEX or EVEX prefix.
    Vector(u8),
}

/// The parts of an instruction by which the kernel decides.
struct Encoding<'b> {
    prefixes: &'b [u8],
    /// The `rex` prefix; 0 for none.
    rex: u8,
    opcode: Opcode,
}

impl<'b> Encoding<'b> {
    /// Parses the prefixes and the opcode. Returns `None` if prefixes are in an order that
    /// compilers never write and not every decoder follows.
    fn of(bytes: &'b [u8]) -> Option<Self> {
        let is_prefix = |byte: &u8| {
            matches!(
                byte,
                0x66 | 0x67 | 0xf2 | 0xf3 | 0xf0 | 0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65
            )
        };
        let count = bytes.iter().take_while(|byte| is_prefix(byte)).count();
        let (prefixes, rest) = bytes.split_at_checked(count)?;
        let (rex, rest) = match rest {
            [rex @ 0x40..=0x4f, rest @ ..] => (*rex, rest),
            _ => (0, rest),
        };
        if matches!(rest, [0x40..=0x4f, ..]) || rest.first().is_some_and(is_prefix) {
            return None;
        }
        let opcode = match rest {
            [0xc5, _, opcode, ..] | [0xc4, _, _, opcode, ..] | [0x62, _, _, _, opcode, ..] => {
                Opcode::Vector(*opcode)
            }
            [0x0f, 0x38 | 0x3a, ..] => Opcode::Three,
            [0x0f, opcode, ..] => Opcode::Two(*opcode),
            [opcode, ..] => Opcode::One(*opcode),
            [] => return None,
        };
        Some(Self {
            prefixes,
            rex,
            opcode,
        })
    }

    fn has_prefix(&self, wanted: &[u8]) -> bool {
        self.prefixes.iter().any(|prefix| wanted.contains(prefix))
    }
}

/// Returns the first instruction and its bytes, or `None` if there is none.
fn decode_first(bytes: &[u8]) -> Option<(Instruction, &[u8])> {
    let instruction = Instruction::first(bytes, 0)?;
    let bytes = bytes.get(..instruction.length())?;
    Some((instruction, bytes))
}

impl Instruction {
    /// Returns the instruction in assembler syntax.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut formatter = IntelFormatter::new();
        formatter
            .options_mut()
            .set_space_after_operand_separator(true);
        formatter.options_mut().set_hex_prefix("0x");
        formatter.options_mut().set_hex_suffix("");
        formatter.options_mut().set_rip_relative_addresses(true);
        formatter.format(&self.decoded, &mut text);
        Visible(&text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruction_at_the_end_of_the_bytes_is_whole_or_refused() {
        assert_eq!(Unprobeable::of(&[0xc3]), None);
        assert_eq!(Unprobeable::of(&[0x48, 0x89, 0xe5]), None);
        assert_eq!(Unprobeable::of(&[0x48, 0x89]), Some(Unprobeable::Unknown));
        assert_eq!(Unprobeable::of(&[]), Some(Unprobeable::Unknown));
    }

    #[test]
    fn opcode_behind_a_vector_prefix_is_looked_up() {
        // vzeroupper, vcmpps, vmovdqu to memory, vpor; also with a prefix of three bytes.
        for bytes in [
            &[0xc5, 0xf8, 0x77][..],
            &[0xc5, 0xec, 0xc2, 0xd9, 0x01],
            &[0xc5, 0xfe, 0x7f, 0x0b],
            &[0xc4, 0xe1, 0x69, 0xeb, 0xd9],
        ] {
            let entry = Unprobeable::of(bytes);
            assert_eq!(entry, Some(Unprobeable::VectorOpcode), "{bytes:x?}");
        }
        // vaddps
        assert_eq!(Unprobeable::of(&[0xc5, 0xec, 0x58, 0xd9]), None);
    }

    #[test]
    fn entry_does_not_depend_on_harmless_prefixes() {
        for bytes in [
            &[0x0f, 0x05][..],
            &[0x48, 0x0f, 0x05],
            &[0x66, 0x0f, 0x05],
            &[0xf3, 0x0f, 0x05],
        ] {
            let entry = Unprobeable::of(bytes);
            assert_eq!(entry, Some(Unprobeable::SystemCall), "{bytes:x?}");
        }
        let add_fs = [0x64, 0x48, 0x03, 0x04, 0x25, 0, 0, 0, 0];
        assert_eq!(Unprobeable::of(&add_fs), None);
    }
}
