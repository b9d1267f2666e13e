//! Sessions: limits, losses, sums, times and outputs.

mod aggregates;
mod budget;
mod done;
mod gaps;
mod load;
mod recording;
mod records;
mod reload;
mod slow_output;
mod spans;
mod tee;
mod timing;
mod trace;
mod trace_calls;
mod watch;
