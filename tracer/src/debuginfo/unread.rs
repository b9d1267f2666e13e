//! Whether a function still returns what its source says.
//!
//! Of a function whose callers it knows, an optimiser may leave the returned value away: when
//! nobody reads it (GCC's `.isra` copies; LLVM says so only since version 17, see
//! [`Module::has_changed_calls`]), or when the callers know it already, since it is always the same
//! (LLVM, without a word). The register has then what it happens to have. Where a caller reads the
//! register behind its call, the value is there.

use std::collections::HashMap;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, Register,
};

use super::calls::{CALL, direct_calls};
use super::dies::Dies;
use super::limits::NAME_BYTES;
use super::module::Module;
use super::unit_parser::bounded_string;
use crate::address::LinkAddr;

/// First byte of `jmp rel32`.
const JUMP: u8 = 0xe9;
/// Calls of one function that are looked at.
const MAX_CALLS: usize = 1 << 10;
/// Functions that pass the value on, which are looked at.
const MAX_FUNCTIONS: usize = 32;
/// Instructions behind a call that are looked at.
const MAX_INSTRUCTIONS: usize = 48;

/// What becomes of the register behind a call.
enum Fate {
    Read,
    /// The caller returns with it.
    PassedOn,
    Unread,
}

/// The registers that a function returns its value in, and that it may not write any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftAway {
    /// `rax`.
    pub first: bool,
    /// `rdx`. A call behind the function's may take it as an argument, which does not count as read.
    pub second: bool,
}

impl Module {
    /// The parts of the value that the function with the code at `address` returns which may have been
    /// left away: no other module can call it, and no caller in this one reads the register.
    #[must_use]
    pub fn values_left_away(&self, address: LinkAddr) -> LeftAway {
        let Some(entry) = self.function_code_at(address).map(|code| code.entry) else {
            return LeftAway::default();
        };
        let symbol = self
            .symbol_at(entry)
            .filter(|symbol| symbol.address == entry);
        if symbol.is_some_and(|symbol| symbol.global) {
            return LeftAway::default();
        }
        let is_changed = symbol.is_some_and(|symbol| {
            let mut parts = symbol.name.split(|&byte| byte == b'.');
            parts.any(|part| part == b"isra")
        });
        if !is_changed && self.is_of_gcc(entry) {
            return LeftAway::default();
        }
        let mut callers = Callers::new();
        LeftAway {
            first: is_unread(self, entry, Register::RAX, &mut callers),
            second: is_unread(self, entry, Register::RDX, &mut callers),
        }
    }

    /// Whether GCC made the code at `address`, as its unit says.
    fn is_of_gcc(&self, address: LinkAddr) -> bool {
        let dies = Dies::new(self);
        let producer = || {
            let unit = dies.unit_at(address)?;
            let root = unit.unit.entry(unit.unit.header.root_offset()).ok()?;
            let producer = root.attr_value(gimli::DW_AT_producer)?;
            let dwarf = dies.dwarf(unit.section.file)?;
            bounded_string(&dwarf, &unit.unit, producer, NAME_BYTES)
        };
        producer().is_some_and(|producer| producer.slice().starts_with(b"GNU "))
    }
}

/// Where functions are called, by their entries: behind the calls, and behind the jumps.
type Callers = HashMap<LinkAddr, (Vec<u64>, Vec<u64>)>;

/// Whether the function is called, and nobody reads what it returns in a register.
fn is_unread(module: &Module, entry: LinkAddr, register: Register, callers: &mut Callers) -> bool {
    let (mut asked, mut next) = (vec![entry], 0);
    while let Some(function) = asked.get(next).copied() {
        next += 1;
        let (calls, jumps) = callers.entry(function).or_insert_with(|| {
            let all = |first| direct_calls(module, (first, function), MAX_CALLS, |_| true);
            (all(CALL), all(JUMP))
        });
        if calls.is_empty() && jumps.is_empty() {
            // By pointers only, or from somewhere that is not known: they may read it.
            return false;
        }
        let mut passing = jumps.clone();
        for &returns_to in calls.iter() {
            match fate(module, LinkAddr(returns_to), register) {
                Fate::Read => return false,
                Fate::PassedOn => passing.push(returns_to),
                Fate::Unread => {}
            }
        }
        for behind in passing {
            // The instruction itself is in the caller; what is behind it need not be.
            let caller = module.function_code_at(LinkAddr(behind.saturating_sub(1)));
            match caller.map(|code| code.entry) {
                Some(caller) if asked.contains(&caller) => {}
                Some(caller) if asked.len() < MAX_FUNCTIONS => asked.push(caller),
                // Not known, so not to be relied on.
                _ => {}
            }
        }
    }
    true
}

/// What becomes of a register from an address on, behind a call.
fn fate(module: &Module, from: LinkAddr, register: Register) -> Fate {
    let mut factory = InstructionInfoFactory::new();
    let (mut starts, mut next) = (vec![from.0], 0);
    let (mut left, mut passed_on) = (MAX_INSTRUCTIONS, false);
    while let Some(start) = starts.get(next).copied() {
        next += 1;
        let bytes = module.initial_bytes(LinkAddr(start), MAX_INSTRUCTIONS * 15);
        let mut decoder =
            Decoder::with_ip(64, bytes.unwrap_or_default(), start, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        while decoder.can_decode() && left > 0 {
            left -= 1;
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                break;
            }
            let flow = instruction.flow_control();
            if flow == FlowControl::Return {
                passed_on = true;
                break;
            }
            // A call writes it, whatever else it does.
            if matches!(flow, FlowControl::Call | FlowControl::IndirectCall) {
                break;
            }
            let info = factory.info(&instruction);
            let mut used = info
                .used_registers()
                .iter()
                .filter(|used| used.register().full_register() == register);
            let reads = |access| {
                matches!(
                    access,
                    OpAccess::Read
                        | OpAccess::CondRead
                        | OpAccess::ReadWrite
                        | OpAccess::ReadCondWrite
                )
            };
            if used.clone().any(|used| reads(used.access())) {
                return Fate::Read;
            }
            if used.next().is_some() {
                break;
            }
            let mut branch = || {
                let target = instruction.near_branch_target();
                if !starts.contains(&target) {
                    starts.push(target);
                }
            };
            match flow {
                FlowControl::Next => {}
                FlowControl::ConditionalBranch => branch(),
                FlowControl::UnconditionalBranch => {
                    branch();
                    break;
                }
                _ => break,
            }
        }
    }
    if passed_on {
        Fate::PassedOn
    } else {
        Fate::Unread
    }
}
