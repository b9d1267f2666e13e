//! One ELF file: its bytes, sections and symbols, and the search for its debug files.

pub mod find;
pub mod image;
pub(super) mod loaded_sections;
pub mod object;
pub(super) mod relocated;
pub(super) mod sections;
pub mod symbols;
