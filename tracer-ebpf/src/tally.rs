//! Hits that are added up instead of sent: one counter for each key.

use aya_ebpf::maps::HashMap;
use tracer_common::aggregate::{BytesKey, KEY_BYTES, NumberKey};
use tracer_common::control::{ProbeCounters, ProbeState};
use tracer_common::limits::MAX_KEYS;
use tracer_common::record::RecordHeader;

use crate::atomic;
use crate::maps::{NUMBERS, PROBE_STATE, ScratchArea, VALUES};
use crate::outcome;

const BPF_NOEXIST: u64 = 1;
/// Offset of the key of a record's bytes. The key's first word replaces the last of the header.
const KEY_AT: usize = size_of::<RecordHeader>() - 8;

/// Adds the hit to the entry of its key.
#[inline(never)]
pub fn add(area: &mut ScratchArea, counters: &ProbeCounters) {
    let (site, probe) = (area.header().site, u32::from(area.header().probe));
    let Some(state) = PROBE_STATE.get(probe) else {
        return;
    };
    if area.ended == outcome::TALLIED {
        let key = NumberKey {
            site,
            status: area.status,
            value: area.number,
        };
        add_to(&NUMBERS, &key, state, counters);
    } else if area.ended == outcome::TALLIED_RECORD {
        let length = area.length.wrapping_sub(size_of::<RecordHeader>() as u32);
        if length > KEY_BYTES as u32 {
            atomic::add(&counters.other, 1);
            return;
        }
        // SAFETY: the record has room for a key after its header, and the header is not written yet.
        let key = unsafe { &mut *area.record.as_mut_ptr().add(KEY_AT).cast::<BytesKey>() };
        key.site = site;
        key.length = length;
        clear(key, length);
        add_to(&VALUES, key, state, counters);
    }
}

/// Adds a hit to the entry of a number.
#[inline(never)]
pub fn add_number(site: u32, value: u64, state: &ProbeState, counters: &ProbeCounters) {
    let key = NumberKey {
        site,
        status: 0,
        value,
    };
    add_to(&NUMBERS, &key, state, counters);
}

/// Zeroes the words of a key after its bytes.
#[inline(always)]
fn clear(key: &mut BytesKey, length: u32) {
    for (index, word) in key.words.iter_mut().enumerate() {
        if index as u32 * 8 >= length {
            *word = 0;
        }
    }
}

/// Adds a hit to the entry of a key, or to the counter of hits without an entry.
#[inline(always)]
fn add_to<K>(map: &'static HashMap<K, u64>, key: &K, state: &ProbeState, counters: &ProbeCounters) {
    if !add_there(map, key) && !insert(map, key, state) && !add_there(map, key) {
        atomic::add(&counters.other, 1);
    }
}

/// Adds to an existing entry. Returns false if there is none.
#[inline(always)]
fn add_there<K>(map: &'static HashMap<K, u64>, key: &K) -> bool {
    match map.get_ptr(key) {
        Some(count) => {
            // SAFETY: a map value. All changes to it are atomic additions.
            atomic::add(unsafe { &*count }, 1);
            true
        }
        None => false,
    }
}

/// Makes the entry. Returns false if another hit was faster, or if there is no room.
#[inline(always)]
fn insert<K>(map: &'static HashMap<K, u64>, key: &K, state: &ProbeState) -> bool {
    state.keys < MAX_KEYS
        && atomic::fetch_add(&state.keys, 1) < MAX_KEYS
        && map.insert(key, 1, BPF_NOEXIST).is_ok()
}
