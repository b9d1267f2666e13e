//! Memory of a fictitious CPython: the same as in the tests of `tracer-cpython`.

#[path = "../../../cpython/tests/hostile/arena.rs"]
pub(super) mod arena;
#[path = "../../../cpython/tests/hostile/driver.rs"]
mod driver;
