//! The computations of a plan, and their ops for the kernel side.

pub(super) mod addresses;
pub(super) mod asm;
pub(super) mod fast;
pub(super) mod ir;
mod ir_size;
pub(super) mod spots;
mod thread_local;

pub use addresses::AddressBase;
pub use thread_local::{TlsBlock, TlsTables};
