//! Dynamic logpoints for running native programs, from outside.
//!
//! One direction only: text -> [`lang`] -> [`actions`] -> [`plan`] -> [`kernel`] -> (hit) ->
//! record -> [`value`] -> [`event`] -> frontend ([`sink`], [`tui`]).
//! [`lang`] knows no DWARF, [`debuginfo`] knows no process, [`kernel`] knows no
//! types, and frontends know only the [`session`].

pub mod actions;
pub mod arch;
pub mod base;
pub mod cli;
pub mod debuginfo;
pub mod event;
pub mod kernel;
pub mod lang;
pub mod mcp;
pub mod placement;
pub mod plan;
pub mod program;
pub mod session;
pub mod sink;
pub mod sources;
pub mod stack;
pub mod target;
pub mod tui;
pub mod value;
