//! Choosing one or several of many.

pub(super) mod fuzzy;
pub(super) mod processes;
