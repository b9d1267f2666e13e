//! See `tracer_fuzz::TARGETS`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: tracer_fuzz::programs::prepare(), |bytes: &[u8]| tracer_fuzz::plan(bytes));
