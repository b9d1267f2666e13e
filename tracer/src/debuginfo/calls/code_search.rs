//! Calls and jumps that are found in the bytes of a module's code, without debug information.

use crate::arch::{self, NEAR_TRANSFER_BYTES, TransferKind, TransferTarget};
use crate::base::address::LinkAddr;
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::files::Files;

/// Bytes of a module's code that are searched.
pub(in crate::debuginfo) const MAX_CODE: u64 = 256 << 20;
/// Bytes of code above which memory is given back after a search.
const KEPT_CODE: u64 = 4 << 20;

/// A search for calls or jumps.
#[derive(Clone, Copy)]
pub(in crate::debuginfo) struct TransferSearch {
    /// The kind of transfer: calls or jumps.
    pub(in crate::debuginfo) kind: TransferKind,
    /// The target of the transfers.
    pub(in crate::debuginfo) to: LinkAddr,
    /// Maximum number of results.
    pub(in crate::debuginfo) most: usize,
}

/// Returns the addresses after direct calls of a function, or after direct jumps to it, for which
/// `wanted` returns true. Only the code is searched, so the result can include bytes that merely
/// look like a call or jump.
pub(in crate::debuginfo) fn direct_transfers(
    files: &Files,
    search: TransferSearch,
    wanted: impl Fn(u64) -> bool,
) -> Vec<u64> {
    let ranges = &files.code_ranges;
    let total: u64 = ranges.iter().map(|(begin, end)| end - begin).sum();
    if total > MAX_CODE || !files.budget.spend(ReaderKind::Code, total / 2, total) {
        return Vec::new();
    }
    let to = TransferTarget::Address(search.to.0);
    let mut found = Vec::new();
    for &(begin, end) in ranges {
        let length = usize::try_from(end - begin).unwrap_or(0);
        let code = files.initial_bytes(LinkAddr(begin), length);
        for transfer in arch::near_transfers(code.unwrap_or_default(), begin, search.kind) {
            if transfer.to == to && wanted(transfer.behind) {
                found.push(transfer.behind);
                if found.len() >= search.most {
                    return found;
                }
            }
        }
    }
    release_code(files, total);
    found
}

/// Gives back the memory of this many searched bytes of code, if there are enough of them.
pub(in crate::debuginfo) fn release_code(files: &Files, total: u64) {
    if total > KEPT_CODE {
        files.release();
    }
}

/// Returns the target of the direct call before an address.
pub(in crate::debuginfo) fn direct_target_before(files: &Files, returns_to: u64) -> Option<u64> {
    let call = LinkAddr(returns_to.checked_sub(NEAR_TRANSFER_BYTES)?);
    if !files.is_code(call) {
        return None;
    }
    let bytes = files.initial_bytes(call, NEAR_TRANSFER_BYTES as usize)?;
    arch::call_target(bytes, returns_to)
}
