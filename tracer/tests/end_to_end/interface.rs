//! The interface: commands, messages, pages, sources and the terminal.

mod bad_input;
mod commands;
mod events;
mod config;
mod pages;
mod picker;
mod results;
mod sources;
mod story;
mod terminal;
