//! Assistants: `tracer mcp` with clients that others have written, and attempts to get past its limits.

mod client;
mod clients;
mod fuzzed;
mod http;
mod lifetime;
mod limits;
mod pages;
mod reused;
mod secrets;
mod ways;
