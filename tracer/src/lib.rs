//! Dynamic logpoints for running native programs, from outside.
//!
//! One direction only: text -> [`lang`] -> [`plan`] -> [`kernel`] -> (hit) ->
//! record -> [`value`] -> [`event`] -> frontend ([`sink`], [`tui`]).
//! [`lang`] knows no DWARF, [`debuginfo`] knows no process, [`kernel`] knows no
//! types, and frontends know only the [`session`].

pub mod address;
pub mod cancel;
pub mod causes;
pub mod cli;
pub mod debuginfo;
pub mod event;
pub mod kernel;
pub mod lang;
pub mod limits;
mod paging;
pub mod plan;
mod private;
pub mod redact;
#[doc(hidden)]
pub mod reference;
pub mod session;
mod signals;
pub mod sink;
pub mod sources;
pub mod stack;
pub mod suggestions;
pub mod target;
pub mod tui;
pub mod unavailable;
mod users;
pub mod value;
pub mod visible;
