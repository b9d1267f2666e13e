//! The `tracer` command.

use std::process::ExitCode;

/// All threads parse debug information at once, and musl's allocator has one lock for them.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tracer::cli::run(std::env::args_os())
}
