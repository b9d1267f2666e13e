//! Reads real interpreters, and compares with what they say of themselves.
//!
//! The interpreters are Debian's `/usr/bin/python3.*`, those of pyenv, and `/usr/bin/python3.*` in
//! the directory that `TRACER_TEST_CPYTHON_ROOT` names: a Debian that `debootstrap` has made, whose
//! programs are run by chroot, which needs root. Each test says which versions it has seen. With
//! `REQUIRE_CPYTHON=3.11,3.14` it fails if one of these is not there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod code;
mod damaged;
mod frames;
mod programs;
mod runtime;
mod tables;
mod values;
