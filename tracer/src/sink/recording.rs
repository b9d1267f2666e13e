//! Recordings of sessions: files that are looked at later, on any machine, without privileges.
//!
//! A recording is a sequence of zstd frames of JSON lines, so `zstdcat` shows it. docs/recording.md
//! describes the lines. [`container`] has the frames, [`lines`] the lines, [`writer`] writes and
//! [`reader`] reads.

pub mod container;
pub mod limits;
pub mod lines;
pub mod playback;
pub mod reader;
#[cfg(test)]
mod tests;
pub mod writer;
