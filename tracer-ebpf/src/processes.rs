//! The processes whose hits count.

mod forks;
mod members;
mod names;
pub mod places;
mod running;
mod selection;

pub use selection::is_member;
