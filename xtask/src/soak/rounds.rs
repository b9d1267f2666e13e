//! The kinds of rounds.

pub(super) mod accounts;
pub(super) mod deaths;
pub(super) mod execs;
pub(super) mod forks;
pub(super) mod hostile;
pub(super) mod kills;
pub(super) mod loads;
pub(super) mod pipes;
pub(super) mod reload;
