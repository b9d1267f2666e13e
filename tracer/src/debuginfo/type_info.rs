//! Reads DWARF types into [`super::model::types`], and finds the classes that tables of a program
//! name.

pub(super) mod class_index;
pub(super) mod classes;
pub(super) mod type_attributes;
pub(super) mod type_cache;
pub(super) mod type_members;
pub(super) mod type_names;
pub(super) mod type_reader;
pub(super) mod vtables;
