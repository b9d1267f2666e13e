//! Names of types and statics, as written in the source.
//!
//! Rust names are those from rustc, after the path of their namespaces. Names of derived types in
//! C and C++ are built like declarations (`int (*)[4]`).

use super::type_attributes::is_alias;
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::{Die, Dies};
use crate::debuginfo::dwarf::unit_index_reader::index_of;
use crate::debuginfo::model::types::Language;

/// Nested types that a name spells out.
const MAX_DEPTH: usize = 16;
/// Total types that one name spells out.
const MAX_PARTS: u32 = 512;
/// Enclosing entries that a path names.
const MAX_PATH: usize = 64;
/// Bytes of a name.
const MAX_NAME: usize = 4096;
/// Parameters of a function type, or arguments of a template, that a name spells out.
const MAX_PARAMETERS: usize = 64;
/// Stands for the part of a name that is too deep or too long.
const MORE: &str = "...";

/// Returns the full name of a type; `None` is `void`.
pub(in crate::debuginfo) fn type_name(dies: &Dies<'_>, id: Option<DieId>) -> String {
    dies.name_parts.set(MAX_PARTS);
    let mut name = declare(dies, id, String::new(), 0);
    if name.len() > MAX_NAME {
        let end = (0..=MAX_NAME).rev().find(|end| name.is_char_boundary(*end));
        name.truncate(end.unwrap_or(0));
        name.push_str(MORE);
    }
    name
}

/// Returns the name of an entry with the path of its enclosing entries: `a::b::NAME`.
pub(in crate::debuginfo) fn path_name<'a>(dies: &Dies<'a>, die: &Die<'a>) -> String {
    dies.name_parts.set(MAX_PARTS);
    qualified(dies, die, 0)
}

/// Returns the declaration of `inner` as an entity of type `id`.
fn declare(dies: &Dies<'_>, id: Option<DieId>, inner: String, depth: usize) -> String {
    let left = dies.name_parts.get();
    dies.name_parts.set(left.saturating_sub(1));
    if depth >= MAX_DEPTH || inner.len() > MAX_NAME || left == 0 {
        return join(MORE, &inner);
    }
    let Some(id) = id else {
        return join("void", &inner);
    };
    let Some(die) = dies.die(id) else {
        return join("<unreadable>", &inner);
    };
    let target = || dies.type_of(&die);
    let rust = die.unit.language == Language::Rust;
    match die.tag() {
        gimli::DW_TAG_pointer_type if rust => match dies.name(&die) {
            Some(name) => join(&name, &inner),
            None => join(
                &format!("*mut {}", declare(dies, target(), String::new(), depth + 1)),
                &inner,
            ),
        },
        gimli::DW_TAG_pointer_type => derived(dies, &die, "*", &inner, depth),
        gimli::DW_TAG_reference_type => derived(dies, &die, "&", &inner, depth),
        gimli::DW_TAG_rvalue_reference_type => derived(dies, &die, "&&", &inner, depth),
        gimli::DW_TAG_ptr_to_member_type => {
            let class = dies.reference(&die, gimli::DW_AT_containing_type);
            let class = declare(dies, class, String::new(), depth + 1);
            derived(dies, &die, &format!("{class}::*"), &inner, depth)
        }
        gimli::DW_TAG_array_type if rust => {
            let element = declare(dies, target(), String::new(), depth + 1);
            let name =
                bounds(dies, &die)
                    .into_iter()
                    .rev()
                    .fold(element, |name, count| match count {
                        Some(count) => format!("[{name}; {count}]"),
                        None => format!("[{name}]"),
                    });
            join(&name, &inner)
        }
        gimli::DW_TAG_array_type => {
            let mut inner = inner;
            for count in bounds(dies, &die) {
                inner += &count.map_or_else(|| "[]".to_owned(), |count| format!("[{count}]"));
            }
            declare(dies, target(), inner, depth + 1)
        }
        gimli::DW_TAG_subroutine_type => {
            let parameters = parameters(dies, &die, depth);
            declare(dies, target(), format!("{inner}({parameters})"), depth + 1)
        }
        gimli::DW_TAG_const_type | gimli::DW_TAG_volatile_type => {
            constness(dies, &die, inner, depth)
        }
        gimli::DW_TAG_restrict_type => qualifier(dies, &die, "restrict", inner, depth),
        gimli::DW_TAG_atomic_type => qualifier(dies, &die, "_Atomic", inner, depth),
        tag if is_alias(tag) && dies.name(&die).is_none() => {
            declare(dies, target(), inner, depth + 1)
        }
        _ => join(&qualified(dies, &die, depth), &inner),
    }
}

fn bounds<'a>(dies: &Dies<'a>, die: &Die<'a>) -> Vec<Option<u64>> {
    super::type_attributes::dimensions(dies, die)
}

fn join(name: &str, inner: &str) -> String {
    if inner.is_empty() {
        return name.to_owned();
    }
    format!("{name} {inner}")
}

/// Returns the declaration of a pointer or reference, in parentheses if its target is written on
/// its right.
fn derived<'a>(dies: &Dies<'a>, die: &Die<'a>, sign: &str, inner: &str, depth: usize) -> String {
    let target = dies.type_of(die);
    let mut tag = target.and_then(|id| dies.die(id));
    for _ in 0..MAX_DEPTH {
        match tag {
            Some(die) if is_alias(die.tag()) && dies.name(&die).is_none() => {
                tag = dies.type_of(&die).and_then(|id| dies.die(id));
            }
            other => {
                tag = other;
                break;
            }
        }
    }
    let space = if inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
        " "
    } else {
        ""
    };
    let inner = match tag.map(|die| die.tag()) {
        Some(gimli::DW_TAG_array_type | gimli::DW_TAG_subroutine_type) => {
            format!("({sign}{space}{inner})")
        }
        _ => format!("{sign}{space}{inner}"),
    };
    declare(dies, target, inner, depth + 1)
}

/// Returns the declaration with `const` and `volatile`, in that order however the entries are
/// nested.
fn constness<'a>(dies: &Dies<'a>, die: &Die<'a>, inner: String, depth: usize) -> String {
    let word = |tag| match tag {
        gimli::DW_TAG_const_type => Some("const"),
        gimli::DW_TAG_volatile_type => Some("volatile"),
        _ => None,
    };
    let below = dies.type_of(die).and_then(|id| dies.die(id));
    match (
        word(die.tag()),
        below.as_ref().and_then(|below| word(below.tag())),
    ) {
        (Some(own), Some(other)) if own != other => qualifier(
            dies,
            below.as_ref().unwrap_or(die),
            "const volatile",
            inner,
            depth,
        ),
        (own, _) => qualifier(dies, die, own.unwrap_or("const"), inner, depth),
    }
}

/// Adds a qualifier such as `const`: before the type that it qualifies, or after the star of a
/// pointer.
fn qualifier<'a>(
    dies: &Dies<'a>,
    die: &Die<'a>,
    word: &str,
    inner: String,
    depth: usize,
) -> String {
    let target = dies.type_of(die);
    let tag = target.and_then(|id| dies.die(id)).map(|die| die.tag());
    if matches!(tag, Some(gimli::DW_TAG_pointer_type)) {
        return declare(dies, target, join(word, &inner), depth + 1);
    }
    format!("{word} {}", declare(dies, target, inner, depth + 1))
}

fn parameters<'a>(dies: &Dies<'a>, die: &Die<'a>, depth: usize) -> String {
    let mut words = Vec::new();
    for child in dies.children(die).into_iter().take(MAX_PARAMETERS) {
        match child.tag() {
            gimli::DW_TAG_formal_parameter => {
                words.push(declare(
                    dies,
                    dies.type_of(&child),
                    String::new(),
                    depth + 2,
                ));
            }
            gimli::DW_TAG_unspecified_parameters => words.push("...".to_owned()),
            _ => {}
        }
    }
    words.join(", ")
}

/// Returns the entry's own name after the names of its enclosing entries.
fn qualified<'a>(dies: &Dies<'a>, die: &Die<'a>, depth: usize) -> String {
    let die = dies.root_origin(die);
    let own = own_name(dies, &die, depth);
    let top = matches!(
        die.tag(),
        gimli::DW_TAG_base_type | gimli::DW_TAG_unspecified_type
    );
    if top || matches!(die.unit.language, Language::C) {
        return own;
    }
    let mut path = vec![own];
    let index = index_of(dies, &die.unit);
    let mut at = index.parent(die.entry.offset());
    while let Some(offset) = at
        && path.len() < MAX_PATH
        && let Some(parent) = dies.die(die.unit.id(offset))
    {
        let parent_is_function = parent.tag() == gimli::DW_TAG_subprogram;
        let origin = dies.root_origin(&parent);
        let name = own_name(dies, &origin, depth);
        // C++ writes the parameters of a function in a path. The debug information of the two
        // compilers differs there, so only the name is used.
        path.push(name);
        if parent_is_function && origin.id() != parent.id() {
            let outer = qualified_outer(dies, &origin, depth);
            path.extend(outer);
            break;
        }
        at = index.parent(offset);
    }
    path.reverse();
    path.join("::")
}

/// Returns the names of the entries around the declaration of a function that is defined
/// elsewhere, innermost first.
fn qualified_outer<'a>(dies: &Dies<'a>, die: &Die<'a>, depth: usize) -> Vec<String> {
    let index = index_of(dies, &die.unit);
    let mut path = Vec::new();
    let mut at = index.parent(die.entry.offset());
    while let Some(offset) = at
        && path.len() < MAX_PATH
        && let Some(parent) = dies.die(die.unit.id(offset))
    {
        path.push(own_name(dies, &parent, depth));
        at = index.parent(offset);
    }
    path
}

fn own_name<'a>(dies: &Dies<'a>, die: &Die<'a>, depth: usize) -> String {
    let Some(name) = dies.name(die) else {
        return nameless(die);
    };
    let class = matches!(
        die.tag(),
        gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type | gimli::DW_TAG_union_type
    );
    if class && die.unit.language == Language::Cpp && !name.contains('<') {
        let arguments = template_arguments(dies, die, depth);
        if !arguments.is_empty() {
            return format!("{name}<{}>", arguments.join(", "));
        }
    }
    name
}

/// Returns the arguments of a template whose entry omits them from its name.
fn template_arguments<'a>(dies: &Dies<'a>, die: &Die<'a>, depth: usize) -> Vec<String> {
    let mut words = Vec::new();
    if depth >= MAX_DEPTH {
        return words;
    }
    for child in dies.children(die) {
        match child.tag() {
            gimli::DW_TAG_template_type_parameter if words.len() < MAX_PARAMETERS => {
                words.push(declare(
                    dies,
                    dies.type_of(&child),
                    String::new(),
                    depth + 1,
                ));
            }
            gimli::DW_TAG_template_value_parameter if words.len() < MAX_PARAMETERS => {
                let value = child.attr(gimli::DW_AT_const_value);
                let value = value.and_then(super::type_attributes::number);
                words.push(value.map_or_else(|| "?".to_owned(), |value| value.to_string()));
            }
            _ => {}
        }
    }
    words
}

fn nameless(die: &Die<'_>) -> String {
    match die.tag() {
        gimli::DW_TAG_namespace => "(anonymous namespace)",
        gimli::DW_TAG_structure_type => "struct {...}",
        gimli::DW_TAG_class_type => "class {...}",
        gimli::DW_TAG_union_type => "union {...}",
        gimli::DW_TAG_enumeration_type => "enum {...}",
        _ => "<nameless>",
    }
    .to_owned()
}
