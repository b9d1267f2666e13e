//! Outcomes of a hit. Exactly one is counted for each hit.

/// The plan is still running.
pub const RUNNING: u32 = 0;
/// The record was sent, or is to be sent.
pub const SENT: u32 = 1;
/// The condition was false.
pub const REJECTED: u32 = 2;
/// The condition could not be read.
pub const FAULTED: u32 = 3;
/// The hit is over the rate limit.
pub const LIMITED: u32 = 4;
/// The probe is disabled.
pub const SILENCED: u32 = 5;
/// The probe's time to live is over.
pub const EXPIRED: u32 = 6;
/// The probe's hit budget is used up.
pub const OVER_BUDGET: u32 = 7;
/// The ring has no room, or no scratch area is free.
pub const LOST: u32 = 8;
/// This does not count as a hit: a timing begins here, or ends without a known beginning.
pub const NO_HIT: u32 = 9;
/// The hit is counted, and there is nothing to send.
pub const COUNTED: u32 = 10;
/// The hit is added to the entry of a number.
pub const TALLIED: u32 = 11;
/// The hit is added to the entry of the record's bytes.
pub const TALLIED_RECORD: u32 = 12;
