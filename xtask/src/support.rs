//! Parts that all commands share: paths, child processes, errors and progress.

pub(crate) mod command;
pub(crate) mod failure;
pub(crate) mod steps;
pub(crate) mod workspace;
