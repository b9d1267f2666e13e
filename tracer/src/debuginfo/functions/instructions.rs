//! The instructions of a function up to an address, for addresses that come from elsewhere.

use crate::arch::{Instruction, decode};
use crate::base::address::LinkAddr;
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::module::Module;

/// Bytes of one function that are read to find the beginnings of its instructions.
const MAX_FUNCTION: u64 = 1 << 20;

impl Module {
    /// Returns true if an instruction surely begins at an address: the instructions of its function lead there. A byte
    /// of a constant may look like an instruction.
    pub(in crate::debuginfo) fn begins_instruction(&self, address: LinkAddr) -> bool {
        let Some(begin) = self.code_begin(address) else {
            return false;
        };
        begin == address || self.leads_to(begin, address).is_some()
    }

    /// Returns the instruction directly before an address, if the instructions of the function lead from one to the
    /// other. `None` at the beginning of a function.
    #[must_use]
    pub fn instruction_before(&self, address: LinkAddr) -> Option<Instruction> {
        self.leads_to(self.code_begin(address)?, address)
    }

    /// The beginning of the function around an address, by the frame information, the debug information or a symbol.
    fn code_begin(&self, address: LinkAddr) -> Option<LinkAddr> {
        let begins = [
            self.frame_sections().begin_of_entry(address.0),
            self.function_code_at(address).and_then(|code| {
                let mut ranges = code.ranges.into_iter();
                let range = ranges.find(|(begin, end)| (*begin..*end).contains(&address));
                range.map(|(begin, _)| begin.0)
            }),
            self.name_at(address)
                .and_then(|(_, distance)| address.0.checked_sub(distance)),
        ];
        let mut begins = begins.into_iter().flatten();
        begins.find(|begin| *begin <= address.0).map(LinkAddr)
    }

    /// The last instruction of the code from `begin` on that ends at an address.
    fn leads_to(&self, begin: LinkAddr, address: LinkAddr) -> Option<Instruction> {
        let length = address.0 - begin.0;
        if length > MAX_FUNCTION || !self.budget.spend(ReaderKind::Code, length, 0) {
            return None;
        }
        let bytes = self.initial_bytes(begin, usize::try_from(length).ok()?)?;
        let mut last = None;
        let mut at = begin.0;
        for instruction in decode(bytes, begin.0) {
            if !instruction.is_valid() || instruction.address() != at {
                return None;
            }
            at = instruction.next_address();
            last = Some(instruction);
        }
        last.filter(|_| at == address.0 && bytes.len() as u64 == length)
    }
}
