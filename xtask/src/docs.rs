//! Commands that write pages of the documentation.

pub(crate) mod limits;
pub(crate) mod pages;
pub(crate) mod pictures;
