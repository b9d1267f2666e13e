//! Code objects: their search, their lines, and the places at which a line begins.
//!
//! CPython compiles each function, class body and module to a code object: instructions, and a
//! table of their lines. Code objects are found through the functions that the garbage collector
//! knows, the frames that run, and the modules.

mod identity;
mod lines;
mod ops;
mod search;
mod sites;

pub use self::identity::{CodeIdentity, IdentityCheck};
pub use self::lines::{LineEntry, line_at, line_table};
pub use self::search::{CodeIndex, CodeObject, LineSites};
pub use self::sites::{CodeSite, CodeSiteKind, sites};

use crate::heap::{Heap, PyMissing, Read};
use crate::limits::CODE_BYTES;

/// Address and length of a code object's instructions, in bytes.
pub(crate) fn instruction_bytes(heap: &Heap<'_>, code: u64) -> Read<(u64, usize)> {
    let offsets = heap.offsets();
    let damaged = PyMissing::Damaged {
        what: "code",
        address: code,
    };
    let (start, length) = if heap.python().version.minor >= 11 {
        let units = heap.size(code, "code")?;
        let start = code.wrapping_add(offsets.code_bytes);
        (start, units.checked_mul(2).ok_or(damaged.clone())?)
    } else {
        let bytes = heap.pointer(code, offsets.code_bytes)?;
        let length = heap.size(bytes, "bytes")?;
        (bytes.wrapping_add(offsets.bytes_value), length)
    };
    let length = usize::try_from(length).map_err(|_| damaged.clone())?;
    if length > CODE_BYTES {
        return Err(damaged);
    }
    Ok((start, length))
}
