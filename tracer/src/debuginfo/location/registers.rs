//! Registers that locations name.

use crate::arch::{REGISTERS, any_register_name};
use crate::base::unavailable::Unavailable;
use crate::debuginfo::model::place::Register;

/// Returns the register if the kernel passes it to eBPF.
pub(in crate::debuginfo) fn visible(register: gimli::Register) -> Result<Register, Unavailable> {
    if usize::from(register.0) < REGISTERS {
        return Ok(Register(register.0 as u8));
    }
    let name = any_register_name(register.0);
    let name = name.map_or_else(|| format!("number {}", register.0), str::to_owned);
    Err(Unavailable::Register(name))
}
