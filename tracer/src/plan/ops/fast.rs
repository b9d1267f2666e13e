//! Numbers and bytes that the kernel side reads without the machine.
//!
//! A guard is a comparison that decides a hit before any op runs. A fetch is a chunk that is
//! written in the ring directly. Both give the same result as the ops, in less time.

use tracer_common::control::{
    GENERAL_INSTRUCTION_POINTER, GUARD_MEMORY, GUARD_REGISTER, GUARD_SIGNED, Guard,
};
use tracer_common::fetch::{FETCH_BEHIND, FETCH_BYTES, FETCH_MEMORY, FETCH_REGISTER, Fetch};
use tracer_common::op::{INSTRUCTION_POINTER, TARGET_REGISTERS, alu};

use crate::plan::ops::ir::Ir;
use crate::plan::shape::Slot;

/// General registers of the target. Guards and fetches can read them.
const GENERAL: u8 = 16;

/// The guard that rejects a hit if `number` compares with a constant as `rejects` says. `None` if
/// the number is neither a register of the target nor memory relative to one, or to the site.
pub(in crate::plan) fn guard(number: &Ir, rejects: u8, value: u64) -> Option<Guard> {
    let read = match number {
        // The variable's bytes are read first and then extended by its type.
        Ir::Extend { of, size, signed } if is_direct(of) => {
            let bytes = direct(of)?;
            // A read must cover all bytes of the variable, since an unreadable byte must not reject
            // the hit.
            let is_narrowed = match bytes.kind {
                GUARD_REGISTER => *size <= bytes.size,
                _ => *size == bytes.size,
            };
            let typed = GuardedNumber {
                size: *size,
                signed: *signed,
                ..bytes
            };
            is_narrowed.then_some(typed)?
        }
        number => direct(number)?,
    };
    matches!(read.size, 1 | 2 | 4 | 8).then_some(Guard {
        kind: read.kind | if read.signed { GUARD_SIGNED } else { 0 },
        register: read.register,
        size: read.size,
        rejects,
        offset: read.offset,
        value,
    })
}

/// A number of the target that a single op reads.
#[derive(Clone, Copy)]
struct GuardedNumber {
    /// `GUARD_REGISTER` or `GUARD_MEMORY`.
    kind: u8,
    register: u8,
    offset: i32,
    size: u8,
    signed: bool,
}

fn is_direct(number: &Ir) -> bool {
    matches!(number, Ir::Load { .. } | Ir::Extend { .. })
}

fn direct(number: &Ir) -> Option<GuardedNumber> {
    let (kind, base, size, signed) = match number {
        Ir::Extend { of, size, signed } => match **of {
            Ir::Register(register) => {
                let (register, offset) = (general(register)?, 0);
                let base = FetchBase { register, offset };
                (GUARD_REGISTER, base, *size, *signed)
            }
            _ => return None,
        },
        Ir::Load {
            address,
            size,
            signed,
        } => (GUARD_MEMORY, simple_base(address)?, *size, *signed),
        _ => return None,
    };
    matches!(size, 1 | 2 | 4 | 8).then_some(GuardedNumber {
        kind,
        register: base.register,
        offset: base.offset,
        size,
        signed,
    })
}

/// The fetch of `length` bytes of memory. `None` if the address is neither relative to a register
/// of the target or to the site, nor to a pointer there.
pub(in crate::plan) fn fetch_memory(slot: Slot, address: &Ir, length: u64) -> Option<Fetch> {
    let length = fetched_length(length)?;
    if let Some(base) = checked_base(address) {
        return Some(Fetch {
            kind: FETCH_MEMORY,
            register: base.register,
            length,
            slot,
            offset: base.offset,
            ..Fetch::default()
        });
    }
    let (pointer, behind) = with_offset(address);
    let pointer = match pointer {
        Ir::NonNull(pointer) => pointer,
        pointer => pointer,
    };
    let Ir::Load {
        address, size: 8, ..
    } = pointer
    else {
        return None;
    };
    let base = checked_base(address)?;
    Some(Fetch {
        kind: FETCH_BEHIND,
        register: base.register,
        length,
        slot,
        offset: base.offset,
        behind,
        ..Fetch::default()
    })
}

/// The fetch of a number's low bytes. `None` if it is not in a register of the target.
pub(in crate::plan) fn fetch_number(slot: Slot, number: &Ir, size: u8) -> Option<Fetch> {
    let Ir::Register(register) = number else {
        return None;
    };
    (1..=8).contains(&size).then_some(Fetch {
        kind: FETCH_REGISTER,
        register: general(*register)?,
        length: size,
        slot,
        ..Fetch::default()
    })
}

fn fetched_length(length: u64) -> Option<u8> {
    let length = u8::try_from(length).ok()?;
    (length > 0 && u32::from(length) <= FETCH_BYTES).then_some(length)
}

/// A general register of the target, or the instruction pointer, and an offset from it.
struct FetchBase {
    /// Its DWARF number.
    register: u8,
    offset: i32,
}

/// The base of an address that is the sum of a register and an offset.
fn simple_base(address: &Ir) -> Option<FetchBase> {
    let (register, offset) = address.simple_address()?;
    let register = match register {
        INSTRUCTION_POINTER => GENERAL_INSTRUCTION_POINTER,
        register => general(register)?,
    };
    Some(FetchBase { register, offset })
}

/// The base of an address. The address may include a null check of the register, which the kernel
/// side also makes.
fn checked_base(address: &Ir) -> Option<FetchBase> {
    simple_base(address).or_else(|| {
        let (base, offset) = with_offset(address);
        match base {
            Ir::NonNull(of) => match **of {
                Ir::Register(register) => Some(FetchBase {
                    register: general(register)?,
                    offset,
                }),
                _ => None,
            },
            _ => None,
        }
    })
}

/// Splits an address as [`Asm::address`](super::asm::Asm::address) does: a computed part, and an
/// offset in the op.
fn with_offset(address: &Ir) -> (&Ir, i32) {
    if let Ir::Alu(alu::ADD, base, offset) = address
        && let Ir::Const(offset) = **offset
        && let Ok(offset) = i32::try_from(offset.cast_signed())
    {
        return (base, offset);
    }
    (address, 0)
}

fn general(register: u8) -> Option<u8> {
    register
        .checked_sub(TARGET_REGISTERS)
        .filter(|number| *number < GENERAL)
}
