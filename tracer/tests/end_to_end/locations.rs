//! From a location to its instructions, frames and names.

mod bare;
mod copies;
mod frames;
mod instructions;
mod linkers;
mod many_sites;
mod module_copies;
mod moved_lines;
mod places;
mod placing;
mod stacks;
mod usdt;
