//! Finds out if a function returns its first argument. A function does so if it returns a value
//! in memory of its caller.

use crate::arch::{Instruction, decode, hands_back_first_argument};
use crate::base::address::LinkAddr;
use crate::debuginfo::files::Files;
use crate::debuginfo::module::Module;

/// Bytes of one function that are searched.
const MAX_BYTES: u64 = 1 << 18;

impl Module {
    /// Returns true if the function with the code at `address` has its first argument in the
    /// return register at each `ret` instruction, and no jump leaves the function.
    #[must_use]
    pub fn hands_back_first_argument(&self, address: LinkAddr) -> bool {
        let Some(function) = self.function_code_at(address) else {
            return false;
        };
        let code = instructions(self, &function.ranges);
        code.is_some_and(|code| hands_back_first_argument(&code, function.entry.0))
    }
}

/// Returns the instructions of a function, or `None` if they cannot all be read.
fn instructions(files: &Files, ranges: &[(LinkAddr, LinkAddr)]) -> Option<Vec<Instruction>> {
    let mut found = Vec::new();
    let mut left = MAX_BYTES;
    for (begin, end) in ranges {
        let length = end.0.checked_sub(begin.0)?;
        left = left.checked_sub(length)?;
        let bytes = files
            .initial_bytes(*begin, usize::try_from(length).ok()?)
            .filter(|bytes| bytes.len() as u64 == length)?;
        for instruction in decode(bytes, begin.0) {
            found.push(Some(instruction).filter(Instruction::is_valid)?);
        }
    }
    Some(found)
}
