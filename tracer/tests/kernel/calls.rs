//! Calls: their times, and their steps.

mod timing;
mod trace;
