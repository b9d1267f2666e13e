//! The static that a name means at an address.
//!
//! Statics of the functions and namespaces around the address come first, then those of its own file, then
//! those that other files export. Where several are left, none is taken.

use std::collections::HashMap;

use super::dies::{Die, DieId, Dies};
use super::name_index::{MAX_FOUND, find_in_unit, find_named};
use super::place::Place;
use super::scope::Frame;
use super::type_names::path_name;
use super::types::Language;
use super::variable::Variable;
use super::variable_reader::VariableReader;
use crate::unavailable::Unavailable;

/// How compilers name what has no name.
const ANONYMOUS: &str = "(anonymous namespace)::";

/// A static of the name, and what ranks it.
struct Candidate<'a> {
    /// Its best entry: one with a place, where there is one.
    die: Die<'a>,
    /// Where it is declared first.
    root: Die<'a>,
    path: String,
    has_place: bool,
}

/// The static that `name` means in `frame`, or at no particular place.
pub(super) fn find<'a>(
    reader: &VariableReader<'_, 'a>,
    frame: Option<&Frame<'a>>,
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
    let is_known = |all: &[Candidate<'_>]| {
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
    let differs = |other: &Candidate<'a>| {
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

/// All statics of a name, each once.
pub(super) fn all<'a>(reader: &VariableReader<'_, 'a>, name: &str) -> Vec<Variable> {
    let dies = reader.dies;
    let found = merged(dies, find_named(dies, name, false, MAX_FOUND));
    let variable = |one: Candidate<'a>| reader.static_variable(&one.die, one.path);
    found.into_iter().map(variable).collect()
}

/// One candidate for each static, whatever the number of its entries.
fn merged<'a>(dies: &Dies<'a>, entries: Vec<Die<'a>>) -> Vec<Candidate<'a>> {
    let mut numbers: HashMap<DieId, usize> = HashMap::new();
    let mut all: Vec<Candidate<'a>> = Vec::new();
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
                all.push(Candidate {
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

/// Those of the best rank.
fn choose<'a>(
    all: Vec<Candidate<'a>>,
    name: &str,
    dies: &Dies<'a>,
    function: Option<&Die<'a>>,
) -> Vec<Candidate<'a>> {
    let around = function.map(|function| path_name(dies, function));
    let around = around.unwrap_or_default().replace(ANONYMOUS, "");
    let rank = |one: &Candidate<'a>| {
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

fn is_of_unit(one: &Candidate<'_>, function: Option<&Die<'_>>) -> bool {
    let unit = |die: &Die<'_>| (die.unit.section, die.unit.start);
    function.is_some_and(|function| unit(&one.root) == unit(function))
}

/// Whether `inner` is `outer` or something in it.
fn is_within(inner: &str, outer: &str) -> bool {
    let rest = inner.strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What tells a static from others of its name.
fn described<'a>(dies: &Dies<'a>, one: &Candidate<'a>) -> String {
    let line = dies.inherited(&one.root, gimli::DW_AT_decl_line);
    match line.and_then(|(_, line)| line.udata_value()) {
        Some(line) => format!("`{}` of line {line}", one.path),
        None => format!("`{}`", one.path),
    }
}
