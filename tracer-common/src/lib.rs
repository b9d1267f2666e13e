//! What both sides of the kernel border share: capture ops, the record layout
//! and the limits that the eBPF verifier is shown.
//!
//! Everything here is `#[repr(C)]`, numbers only, with explicit padding, and
//! its layout is asserted at compile time: the userspace side writes [`op::Op`]s
//! and [`control`] blocks into eBPF maps, the kernel side writes
//! [`record::RecordHeader`]s and [`record::ChunkHeader`]s into the ring buffer.
//! [`float`] and [`wide`] compute what eBPF has no instructions for.
//! No types of the target, no DWARF, no policy.
#![no_std]

pub mod aggregate;
pub mod control;
pub mod fetch;
pub mod float;
pub mod forks;
pub mod limits;
pub mod op;
#[cfg(test)]
mod random;
pub mod record;
pub mod timing;
pub mod wide;
