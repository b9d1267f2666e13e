//! The processes whose hits count.

mod forks;
mod members;
mod names;
mod running;
mod selection;

pub use selection::is_member;
