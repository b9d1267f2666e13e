//! The interface: commands, messages, pages, sources and the terminal.

mod bad_input;
mod commands;
mod config;
mod events;
mod first_hour;
mod pages;
mod picker;
mod pictures;
mod results;
mod sources;
mod stepping;
mod story;
mod terminal;
mod watching;
