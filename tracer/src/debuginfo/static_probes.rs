//! USDT probes: the notes on them, their sites, and their arguments.

pub(super) mod arguments;
pub(super) mod c_types;
pub(super) mod notes;
pub(super) mod sites;
