//! Memory of a fictitious target.

use tracer::program::reference::Memory;

/// Repeats the same bytes at every address that a process could have.
pub struct Made<'a>(pub &'a [u8]);

/// The last address of user space, and the first that programs use.
const READABLE: std::ops::Range<u64> = 0x1000..0x7fff_ffff_f000;

impl Made<'_> {
    fn byte(&self, address: u64) -> u8 {
        let length = self.0.len().max(1) as u64;
        let at = usize::try_from(address % length).unwrap_or(0);
        self.0.get(at).copied().unwrap_or(0)
    }

    /// Eight bytes.
    pub fn word(&self, address: u64) -> u64 {
        let bytes = std::array::from_fn(|at| self.byte(address.wrapping_add(at as u64)));
        u64::from_le_bytes(bytes)
    }
}

impl Memory for Made<'_> {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        if !READABLE.contains(&address) {
            return false;
        }
        for (at, byte) in (address..).zip(bytes) {
            *byte = self.byte(at);
        }
        true
    }
}
