//! How a hit ended: exactly one of these is counted for each.

/// The plan is still running.
pub const RUNNING: u32 = 0;
/// The record is to be sent, or was.
pub const SENT: u32 = 1;
/// The condition was false.
pub const REJECTED: u32 = 2;
/// The condition could not be read.
pub const FAULTED: u32 = 3;
/// Over the rate limit.
pub const LIMITED: u32 = 4;
/// The probe is disabled.
pub const SILENCED: u32 = 5;
/// The probe's time to live is over.
pub const EXPIRED: u32 = 6;
/// The probe's hit budget is used.
pub const OVER_BUDGET: u32 = 7;
/// No room in the ring, or no scratch area free.
pub const LOST: u32 = 8;
/// It is no hit of the probe: something that is timed begins, or ends without a beginning.
pub const NO_HIT: u32 = 9;
/// To be counted; there is nothing to send.
pub const COUNTED: u32 = 10;
/// To be added to the entry of a number.
pub const TALLIED: u32 = 11;
/// To be added to the entry of the record's bytes.
pub const TALLIED_RECORD: u32 = 12;
