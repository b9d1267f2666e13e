//! Cache of the jumps between frames and their callers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::address::LinkAddr;

/// Frames whose answers are kept. One more drops all of them.
const MAX_KNOWN: usize = 1 << 14;

/// The jump by which a function left the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailCall {
    /// True if the jump is in the frame's module; else it is in the caller's.
    pub in_callee: bool,
    /// Address of the jump.
    pub jump: LinkAddr,
}

/// A frame's code and its return address, in the module that has the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TailCallKey {
    /// [`Files::number`](crate::debuginfo::files::Files::number) of the frame's module.
    pub(super) callee: u64,
    pub(super) inside: LinkAddr,
    pub(super) returns_to: LinkAddr,
}

/// The jumps below callers of one module.
#[derive(Debug, Default)]
pub(in crate::debuginfo) struct TailCallCache(Mutex<HashMap<TailCallKey, Vec<TailCall>>>);

impl TailCallCache {
    pub(super) fn get(
        &self,
        key: TailCallKey,
        look: impl FnOnce() -> Vec<TailCall>,
    ) -> Vec<TailCall> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(calls) = known().get(&key) {
            return calls.clone();
        }
        let calls = look();
        let mut known = known();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key, calls.clone());
        calls
    }
}
