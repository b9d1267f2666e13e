//! Telling a code object from another one that was made at the same address.

use crate::heap::{Heap, Read};
use crate::memory::{Numbers as _, TargetMemory};

/// A field of a code object that must have this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdentityCheck {
    /// Offset of the field in the code object.
    pub offset: u64,
    /// Size of the field in bytes: 4 or 8.
    pub size: u8,
    /// Its value.
    pub value: u64,
}

/// The identity of a code object, as fields to compare.
///
/// From 3.12 on, this is `co_version`, which no other code object ever has. Versions run out after
/// 2^32 code objects: a code object without one, and all before 3.12, are recognized by their
/// fields. Then a code object that was made at the same address from the same file, line, names
/// and constants may be taken for the first one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodeIdentity {
    /// The fields.
    pub checks: Vec<IdentityCheck>,
    /// Set if no other code object can pass the checks.
    pub is_unique: bool,
}

impl CodeIdentity {
    /// The identity of the code object at this address.
    pub(crate) fn of(heap: &Heap<'_>, code: u64) -> Read<Self> {
        let offsets = heap.offsets();
        if let Some(offset) = offsets.code_version {
            let value = u64::from(heap.number(code, offset)?);
            if value != 0 {
                return Ok(Self {
                    checks: vec![IdentityCheck {
                        offset,
                        size: 4,
                        value,
                    }],
                    is_unique: true,
                });
            }
        }
        let mut checks = vec![IdentityCheck {
            offset: offsets.code_first_line,
            size: 4,
            value: u64::from(heap.number(code, offsets.code_first_line)?),
        }];
        let pointers = [
            offsets.code_filename,
            offsets.code_name,
            offsets.code_consts,
            offsets.code_names,
            offsets.code_line_table,
        ];
        for offset in pointers.into_iter().chain(offsets.code_qualname) {
            checks.push(IdentityCheck {
                offset,
                size: 8,
                value: heap.word(code.wrapping_add(offset))?,
            });
        }
        Ok(Self {
            checks,
            is_unique: false,
        })
    }

    /// Returns true if the code object at this address still is the same one.
    #[must_use]
    pub fn holds(&self, memory: &dyn TargetMemory, code: u64) -> bool {
        self.checks.iter().all(|check| {
            let address = code.wrapping_add(check.offset);
            let value = match check.size {
                4 => memory.half(address).map(u64::from),
                _ => memory.word(address),
            };
            value == Ok(check.value)
        })
    }
}
