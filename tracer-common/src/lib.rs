//! The contract between both sides of the kernel border: capture ops, the record layout, and the
//! limits that the eBPF verifier sees.
//!
//! The userspace side writes [`op::EncodedOp`]s and [`control`] blocks into eBPF maps. The kernel
//! side writes [`record::RecordHeader`]s and [`record::ChunkHeader`]s into the ring buffer. All of
//! these types are `#[repr(C)]`, contain only numbers and explicit padding, and assert their layout
//! at compile time.
#![no_std]

pub mod account;
pub mod aggregate;
pub mod arch;
pub mod control;
pub mod fetch;
pub mod float;
pub mod forks;
pub mod limits;
pub mod op;
pub mod places;
#[cfg(test)]
mod random;
pub mod record;
pub mod selection;
pub mod timing;
pub mod trace;
pub mod watch;
pub mod wide;
