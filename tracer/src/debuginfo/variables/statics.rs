//! Finds the static that a name means at an address.
//!
//! Statics of the functions and namespaces around the address come first, then those of its own
//! file, then those that other files export. If several remain, none is chosen.

use std::collections::HashMap;

use super::function_frame::FunctionFrame;
use super::variable_reader::VariableReader;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::{Die, Dies};
use crate::debuginfo::dwarf::name_lookup::{MAX_FOUND, find_in_unit, find_named};
use crate::debuginfo::model::place::Place;
use crate::debuginfo::model::types::Language;
use crate::debuginfo::model::variable::Variable;
use crate::debuginfo::type_info::type_names::path_name;

/// Prefix that compilers write for anonymous namespaces.
const ANONYMOUS: &str = "(anonymous namespace)::";

/// A static with the wanted name, and the facts that rank it.
struct StaticCandidate<'a> {
    /// Its best entry: one with a place, if there is one.
    die: Die<'a>,
    /// The entry of its first declaration.
    root: Die<'a>,
    path: String,
    has_place: bool,
}

/// Returns the static that `name` means in `frame`, or without a frame at no particular place.
pub(in crate::debuginfo) fn find<'a>(
    reader: &VariableReader<'_, 'a>,
    frame: Option<&FunctionFrame<'a>>,
    name: &str,
) -> Option<Variable> {
    let dies = reader.dies;
    let function = frame.map(|frame| dies.root_origin(&frame.function));
    let mut near = Vec::new();
    for die in frame
        .map(|frame| &frame.function)
        .into_iter()
        .chain(&function)
    {
        near.extend(find_in_unit(dies, &die.unit, name, false));
    }
    let mut all = merged(dies, near);
    let is_known = |all: &[StaticCandidate<'_>]| {
        let own = all.iter().any(|one| is_of_unit(one, function.as_ref()));
        own && all.iter().all(|one| one.has_place)
    };
    if !is_known(&all) {
        let entries = all.into_iter().map(|one| one.die);
        let everywhere = find_named(dies, name, false, MAX_FOUND);
        all = merged(dies, entries.chain(everywhere).collect());
    }
    let chosen = choose(all, name, dies, function.as_ref());
    let [first, others @ ..] = chosen.as_slice() else {
        return None;
    };
    let mut variable = reader.static_variable(&first.die, first.path.clone());
    let differs = |other: &StaticCandidate<'a>| {
        reader.static_variable(&other.die, other.path.clone()).place != variable.place
    };
    if others.iter().any(differs) {
        let paths = chosen.iter().map(|one| described(dies, one));
        let mut paths: Vec<String> = paths.take(3).collect();
        paths.dedup();
        variable.place = Place::unavailable(Unavailable::Several(paths.join(", ")));
    }
    Some(variable)
}

/// Returns all statics with a name, each once.
pub(in crate::debuginfo) fn all<'a>(reader: &VariableReader<'_, 'a>, name: &str) -> Vec<Variable> {
    let dies = reader.dies;
    let found = merged(dies, find_named(dies, name, false, MAX_FOUND));
    let variable = |one: StaticCandidate<'a>| reader.static_variable(&one.die, one.path);
    found.into_iter().map(variable).collect()
}

/// Returns one candidate for each static, however many entries it has.
fn merged<'a>(dies: &Dies<'a>, entries: Vec<Die<'a>>) -> Vec<StaticCandidate<'a>> {
    let mut numbers: HashMap<DieId, usize> = HashMap::new();
    let mut all: Vec<StaticCandidate<'a>> = Vec::new();
    for die in entries {
        let root = dies.root_origin(&die);
        let has = |name| dies.inherited(&die, name).is_some();
        let has_place = has(gimli::DW_AT_location) || has(gimli::DW_AT_const_value);
        match numbers.get(&root.id()).and_then(|at| all.get_mut(*at)) {
            Some(known) if known.has_place || !has_place => {}
            Some(known) => {
                known.has_place = true;
                known.die = die;
            }
            None => {
                numbers.insert(root.id(), all.len());
                all.push(StaticCandidate {
                    path: path_name(dies, &die),
                    die,
                    root,
                    has_place,
                });
            }
        }
    }
    all
}

/// Returns the candidates of the best rank.
fn choose<'a>(
    all: Vec<StaticCandidate<'a>>,
    name: &str,
    dies: &Dies<'a>,
    function: Option<&Die<'a>>,
) -> Vec<StaticCandidate<'a>> {
    let around = function.map(|function| path_name(dies, function));
    let around = around.unwrap_or_default().replace(ANONYMOUS, "");
    let rank = |one: &StaticCandidate<'a>| {
        let path = one.path.replace(ANONYMOUS, "");
        let outside = path
            .strip_suffix(name)
            .map(|path| path.trim_end_matches("::"));
        let scope = match outside {
            Some("") => 0,
            // Deeper scopes are nearer.
            Some(outside) if is_within(&around, outside) => outside.len(),
            _ => return (2, 0, 0),
        };
        let is_rust = one.root.unit.language == Language::Rust;
        let own = is_rust || is_of_unit(one, function);
        let exported = dies.inherited(&one.root, gimli::DW_AT_external).is_some();
        let distance = match (own, exported) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        (u8::from(!own && !exported), usize::MAX - scope, distance)
    };
    let ranked: Vec<_> = all.into_iter().map(|one| (rank(&one), one)).collect();
    let best = ranked.iter().map(|(rank, _)| *rank).min();
    let best = ranked
        .into_iter()
        .filter(|(rank, _)| Some(*rank) == best)
        .map(|(_, one)| one);
    best.collect()
}

fn is_of_unit(one: &StaticCandidate<'_>, function: Option<&Die<'_>>) -> bool {
    let unit = |die: &Die<'_>| (die.unit.section, die.unit.start);
    function.is_some_and(|function| unit(&one.root) == unit(function))
}

/// Returns true if `inner` is `outer` or is inside it.
fn is_within(inner: &str, outer: &str) -> bool {
    let rest = inner.strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Returns the path and the line that distinguish a static from others with its name.
fn described<'a>(dies: &Dies<'a>, one: &StaticCandidate<'a>) -> String {
    let line = dies.inherited(&one.root, gimli::DW_AT_decl_line);
    match line.and_then(|(_, line)| line.udata_value()) {
        Some(line) => format!("`{}` of line {line}", one.path),
        None => format!("`{}`", one.path),
    }
}
