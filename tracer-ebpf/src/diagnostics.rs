//! Messages of the machine about itself, by aya-log, on request.
//!
//! The request is a constant for the verifier, so it removes the calls if there is none. Each
//! message has a function of its own that calls none of ours. The macros need much stack, and
//! inlined they would take it from our functions (see the crate's documentation).

use aya_log_ebpf::macro_support::{Level, level_enabled};
use aya_log_ebpf::{debug, trace};

use crate::outcome;

/// The cookie belongs to no site, or the site to no probe.
#[inline(always)]
pub fn no_site(cookie: u32) {
    if level_enabled(Level::Debug) {
        write_no_site(cookie);
    }
}

/// All scratch areas of this CPU are taken.
#[inline(always)]
pub fn no_scratch(site: u32) {
    if level_enabled(Level::Debug) {
        write_no_scratch(site);
    }
}

/// A plan has ended.
#[inline(always)]
pub fn ended(site: u32, ended: u32) {
    if level_enabled(Level::Debug) {
        if ended == outcome::LOST {
            write_no_room(site);
        } else if ended == outcome::FAULTED {
            write_fault(site);
        } else if level_enabled(Level::Trace) {
            write_ended(site, ended);
        }
    }
}

#[inline(never)]
fn write_no_site(cookie: u32) {
    debug!((), "a hit of site {}, which is not there", cookie);
}

#[inline(never)]
fn write_no_scratch(site: u32) {
    debug!(
        (),
        "a hit of site {} finds no scratch area and is lost", site
    );
}

#[inline(never)]
fn write_no_room(site: u32) {
    debug!(
        (),
        "a hit of site {} finds no room in the ring and is lost", site
    );
}

#[inline(never)]
fn write_fault(site: u32) {
    debug!((), "the condition of site {} cannot be read", site);
}

#[inline(never)]
fn write_ended(site: u32, outcome: u32) {
    trace!((), "a plan of site {} ends with outcome {}", site, outcome);
}
