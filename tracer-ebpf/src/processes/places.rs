//! The places of modules in each process: see `tracer_common::places`.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use tracer_common::limits::{MAX_INHERITED, MAX_MODULES, MAX_PLACES};
use tracer_common::op::EncodedOp;
use tracer_common::places::{ModuleMark, NOWHERE, PLACED, PlaceKey};
use tracer_common::record::{CHUNK_FAULT, CHUNK_UNPLACED};

use super::running::current;
use crate::maps::ScratchArea;
use crate::memory::missed::missed;
use crate::memory::read_user;
use crate::numbers::{jump, register, set};

/// Insert only a key that is not in the map (`BPF_NOEXIST`).
const NEW_ONLY: u64 = 1;
/// Allocate memory when entries are inserted. Programs on uprobes can do that since Linux 6.1.
const BPF_F_NO_PREALLOC: u32 = 1;

/// Places by process and module.
#[map(name = "PLACES")]
static PLACES: HashMap<PlaceKey, u64> = HashMap::with_max_entries(MAX_PLACES, BPF_F_NO_PREALLOC);

/// Identities of modules, by number.
#[map(name = "MODULES")]
static MODULES: Array<ModuleMark> = Array::with_max_entries(MAX_MODULES, 0);

/// Numbers of the modules that plans need, each plus 1. 0 ends the list.
#[map(name = "NEEDED_MODULES")]
static NEEDED: Array<u32> = Array::with_max_entries(MAX_INHERITED, 0);

/// Runs `MODULE`.
///
/// Out of line, to keep its stack apart (see the crate's documentation).
#[inline(never)]
pub fn find(area: &mut ScratchArea, op: &EncodedOp) {
    let key = PlaceKey {
        process: current(),
        module: op.len,
    };
    // SAFETY: the value is read at once.
    let place = unsafe { PLACES.get(key) }.map_or(0, |place| *place);
    let mut is_unknown = false;
    if place & PLACED != 0
        && let Some(mark) = MODULES.get(op.len)
    {
        let bias = place & !PLACED;
        let at = bias.wrapping_add(mark.at);
        // SAFETY: the word has 8 bytes.
        if unsafe { read_user((&raw mut area.word).cast(), 8, at) } {
            if area.word == mark.is {
                set(area, op.dst, bias);
                return;
            }
        } else {
            // No part of a value has failed to be read.
            let flags = area.flags;
            let why = missed(area, at, 8);
            area.flags = flags;
            // Userspace has the page brought in. A new process has not touched it yet.
            is_unknown = why != u32::from(CHUNK_FAULT);
        }
    }
    if is_unknown || place == 0 || op.size == 1 {
        area.fault = u32::from(CHUNK_UNPLACED);
        jump(area, op.a);
    } else {
        set(area, op.dst, NOWHERE);
    }
}

/// Runs `PLACE`. Without room the place stays unknown.
#[inline(never)]
pub fn put(area: &mut ScratchArea, op: &EncodedOp) {
    let key = PlaceKey {
        process: current(),
        module: op.len,
    };
    let flags = if op.size == 1 { NEW_ONLY } else { 0 };
    let _put = PLACES.insert(key, register(area, op.src), flags);
}

/// A new process has its modules where its parent has them.
#[inline(never)]
pub fn inherit(parent: u32, child: u32) {
    for index in 0..MAX_INHERITED {
        let Some(module) = needed(index) else {
            return;
        };
        let of = |process| PlaceKey { process, module };
        // SAFETY: the value is read at once.
        match unsafe { PLACES.get(of(parent)) } {
            Some(place) => {
                let _put = PLACES.insert(of(child), *place, 0);
            }
            // An entry of that number belongs to a process that is gone.
            None => {
                let _gone = PLACES.remove(of(child));
            }
        }
    }
}

/// A process is gone.
#[inline(never)]
pub fn forget(process: u32) {
    for index in 0..MAX_INHERITED {
        let Some(module) = needed(index) else {
            return;
        };
        let _gone = PLACES.remove(PlaceKey { process, module });
    }
}

/// A module of the list of those that plans need. `None` after its end.
#[inline(always)]
fn needed(index: u32) -> Option<u32> {
    NEEDED.get(index)?.checked_sub(1)
}
