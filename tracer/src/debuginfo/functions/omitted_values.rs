//! Finds out if a function still returns the value that its source returns.
//!
//! If an optimiser knows all callers of a function, it may drop the returned value. It does so if
//! no caller reads the value (GCC's `.isra` copies; LLVM marks this only since version 17, see
//! [`Module::has_changed_calls`]), or if the callers know the value because it is always the same
//! (LLVM, without a mark). The return register then has an arbitrary value. If a caller reads the
//! register after its call, the value is really returned.

use std::collections::HashMap;

use crate::arch::{
    EffectReader, Flow, MAX_INSTRUCTION, RETURN_VALUE, RegisterUse, TransferKind, decode,
};
use crate::base::address::LinkAddr;
use crate::debuginfo::calls::code_search::{TransferSearch, direct_transfers};
use crate::debuginfo::dwarf::unit_parser::bounded_string;
use crate::debuginfo::limits::NAME_BYTES;
use crate::debuginfo::module::Module;

/// Calls of one function that are searched.
const MAX_CALLS: usize = 1 << 10;
/// Functions that pass the value on and whose callers are searched.
const MAX_FUNCTIONS: usize = 32;
/// Instructions after a call that are searched.
const MAX_INSTRUCTIONS: usize = 48;

/// The use that a caller makes of the register after a call.
enum RegisterFate {
    Read,
    /// The caller returns the value.
    PassedOn,
    Unread,
}

/// The return registers that a function may no longer write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OmittedValues {
    /// The first register of a returned value.
    pub first: bool,
    /// The second register of a returned value. The next call may take it as an argument, which
    /// does not count as a read.
    pub second: bool,
}

impl Module {
    /// Returns the parts of the returned value that the function with the code at `address` may
    /// omit: no other module can call the function, and no caller in this module reads the
    /// register.
    #[must_use]
    pub fn values_left_away(&self, address: LinkAddr) -> OmittedValues {
        let Some(entry) = self.function_code_at(address).map(|code| code.entry) else {
            return OmittedValues::default();
        };
        let symbol = self
            .symbol_at(entry)
            .filter(|symbol| symbol.address == entry);
        if symbol.is_some_and(|symbol| symbol.global) {
            return OmittedValues::default();
        }
        let is_changed = symbol.is_some_and(|symbol| {
            let mut parts = symbol.name.split(|&byte| byte == b'.');
            parts.any(|part| part == b"isra")
        });
        if !is_changed && self.is_of_gcc(entry) {
            return OmittedValues::default();
        }
        let [first, second] = RETURN_VALUE;
        let mut callers = Callers::new();
        OmittedValues {
            first: is_unread(self, entry, first, &mut callers),
            second: is_unread(self, entry, second, &mut callers),
        }
    }

    /// Returns true if GCC compiled the code at `address`, according to its unit.
    fn is_of_gcc(&self, address: LinkAddr) -> bool {
        let dies = self.dies();
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

/// Callers of functions by their entries: addresses after calls, and addresses after jumps.
type Callers = HashMap<LinkAddr, (Vec<u64>, Vec<u64>)>;

/// Returns true if calls of the function are known and no caller reads the returned register.
fn is_unread(module: &Module, entry: LinkAddr, register: u8, callers: &mut Callers) -> bool {
    let (mut asked, mut next) = (vec![entry], 0);
    while let Some(function) = asked.get(next).copied() {
        next += 1;
        let (calls, jumps) = callers.entry(function).or_insert_with(|| {
            let all = |kind| {
                let search = TransferSearch {
                    kind,
                    to: function,
                    most: MAX_CALLS,
                };
                direct_transfers(module, search, |_| true)
            };
            (all(TransferKind::Call), all(TransferKind::Jump))
        });
        if calls.is_empty() && jumps.is_empty() {
            // The function is called through pointers, or from an unknown place. Such callers may
            // read the register.
            return false;
        }
        let mut passing = jumps.clone();
        for &returns_to in calls.iter() {
            match fate(module, LinkAddr(returns_to), register) {
                RegisterFate::Read => return false,
                RegisterFate::PassedOn => passing.push(returns_to),
                RegisterFate::Unread => {}
            }
        }
        for behind in passing {
            // The instruction itself is in the caller, but the one after it may not be.
            let caller = module.function_code_at(LinkAddr(behind.saturating_sub(1)));
            match caller.map(|code| code.entry) {
                Some(caller) if asked.contains(&caller) => {}
                Some(caller) if asked.len() < MAX_FUNCTIONS => asked.push(caller),
                // An unknown caller is not assumed to read the register.
                _ => {}
            }
        }
    }
    true
}

/// Returns the use that the code at an address after a call makes of a register.
fn fate(module: &Module, from: LinkAddr, register: u8) -> RegisterFate {
    let mut effects = EffectReader::default();
    let (mut starts, mut next) = (vec![from.0], 0);
    let (mut left, mut passed_on) = (MAX_INSTRUCTIONS, false);
    while let Some(start) = starts.get(next).copied() {
        next += 1;
        let bytes = module.initial_bytes(LinkAddr(start), MAX_INSTRUCTIONS * MAX_INSTRUCTION);
        for instruction in decode(bytes.unwrap_or_default(), start) {
            if left == 0 || !instruction.is_valid() {
                break;
            }
            left -= 1;
            let flow = instruction.flow();
            if flow == Flow::Return {
                passed_on = true;
                break;
            }
            // A call overwrites the register.
            if flow.is_call() {
                break;
            }
            match effects.use_of(&instruction, register) {
                RegisterUse::Read => return RegisterFate::Read,
                RegisterUse::Written => break,
                RegisterUse::None => {}
            }
            let mut branch = || {
                let target = instruction.target().unwrap_or(0);
                if !starts.contains(&target) {
                    starts.push(target);
                }
            };
            match flow {
                Flow::Next => {}
                Flow::ConditionalJump => branch(),
                Flow::Jump => {
                    branch();
                    break;
                }
                _ => break,
            }
        }
    }
    if passed_on {
        RegisterFate::PassedOn
    } else {
        RegisterFate::Unread
    }
}
