//! Calls between functions, within a module and across modules.

pub(super) mod call_sites;
pub(super) mod call_table;
pub(super) mod code_search;
pub(super) mod imports;
pub(super) mod indirect;
pub(super) mod jumps;
pub(super) mod linked_names;
pub(super) mod neighbours;
pub(super) mod tail_call_cache;
pub(super) mod tail_calls;
