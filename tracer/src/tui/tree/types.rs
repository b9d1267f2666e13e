//! Types as the debug information writes them: shortened for display, and taken apart.
//!
//! Values below the first level have no type of their own. The type of a container names those of its
//! elements. An empty text is an unknown type.

use crate::debuginfo::names::without_paths;

/// Allocators and hashers that are the default, and say nothing.
const DEFAULTS: [&str; 4] = [
    "Global",
    "RandomState",
    "BuildHasherDefault<DefaultHasher>",
    "DefaultHasher",
];
/// Types that are shown as what they hold.
const WRAPPERS: [&str; 14] = [
    "Box",
    "Rc",
    "Arc",
    "Ref",
    "RefMut",
    "Cow",
    "Pin",
    "Reverse",
    "Wrapping",
    "ManuallyDrop",
    "MaybeUninit",
    "NonNull",
    "unique_ptr",
    "shared_ptr",
];

/// `HashMap<u64, Vec<u8>>` of the full type: without paths, and without default arguments.
pub(in crate::tui) fn short(ty: &str) -> String {
    let mut short = without_paths(ty);
    for default in DEFAULTS {
        while let Some(at) = short.find(&format!(", {default}>")) {
            short.replace_range(at..at + default.len() + 2, "");
        }
    }
    // C++ spells its defaults out.
    for name in ["allocator", "less", "hash", "equal_to", "char_traits"] {
        let start = format!(", {name}<");
        while let Some(at) = short.find(&start) {
            let open = at + start.len();
            let Some(end) = closing(&short, open) else {
                break;
            };
            short.replace_range(at..end, "");
        }
    }
    while short.contains(" >") {
        short = short.replace(" >", ">");
    }
    short
}

/// The offset behind the bracket that closes one whose inside begins at `open`.
fn closing(text: &str, open: usize) -> Option<usize> {
    let mut depth = 1_usize;
    for (at, c) in text.get(open..)?.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(open + at + 1);
        }
    }
    None
}

/// The type of a sequence's elements.
pub(in crate::tui) fn of_items(ty: &str) -> &str {
    let ty = held(ty);
    if let Some(inside) = ty.strip_prefix('[') {
        let end = outside(inside, |c| matches!(c, ';' | ']')).unwrap_or(inside.len());
        return inside.get(..end).unwrap_or("").trim();
    }
    if ty.ends_with(']') {
        return ty.split('[').next().unwrap_or("").trim();
    }
    argument(ty, 0)
}

/// The types of a map's keys and values.
pub(in crate::tui) fn of_entries(ty: &str) -> (&str, &str) {
    let ty = held(ty);
    (argument(ty, 0), argument(ty, 1))
}

/// The type that a reference or a pointer refers to.
pub(in crate::tui) fn of_target(ty: &str) -> &str {
    let ty = unqualified(ty);
    for start in ["&mut ", "&", "*const ", "*mut "] {
        if let Some(target) = ty.strip_prefix(start) {
            return unqualified(target);
        }
    }
    if let Some(target) = ty.strip_suffix('*').or_else(|| ty.strip_suffix('&')) {
        return unqualified(target);
    }
    if is_wrapper(ty) { argument(ty, 0) } else { ty }
}

/// The type of the only field of a variant of `Option` or `Result`.
pub(in crate::tui) fn of_variant<'t>(ty: &'t str, variant: &str) -> &'t str {
    let ty = held(ty);
    match (name(ty), variant) {
        ("Option", "Some") | ("Result", "Ok") => argument(ty, 0),
        ("Result", "Err") => argument(ty, 1),
        _ => "",
    }
}

/// Returns true if the type is that of bytes.
pub(in crate::tui) fn is_byte(ty: &str) -> bool {
    matches!(
        unqualified(ty),
        "u8" | "unsigned char" | "uint8_t" | "std::byte" | "byte"
    )
}

/// The type behind references and smart pointers.
fn held(ty: &str) -> &str {
    let mut ty = unqualified(ty);
    // The text gets shorter each time.
    loop {
        let inner = of_target(ty);
        if inner.is_empty() || inner.len() >= ty.len() {
            return ty;
        }
        ty = inner;
    }
}

fn unqualified(ty: &str) -> &str {
    let mut ty = ty.trim();
    for word in ["const ", "volatile ", "struct ", "class "] {
        ty = ty.strip_prefix(word).unwrap_or(ty);
    }
    ty.strip_suffix(" const").unwrap_or(ty).trim()
}

fn is_wrapper(ty: &str) -> bool {
    WRAPPERS.contains(&name(ty)) && ty.contains('<')
}

/// The last part of a type's path, without generic arguments.
fn name(ty: &str) -> &str {
    let path = ty.split('<').next().unwrap_or(ty);
    path.rsplit("::").next().unwrap_or(path)
}

/// A generic argument. Lifetimes do not count.
fn argument(ty: &str, number: usize) -> &str {
    let inside = ty
        .split_once('<')
        .and_then(|(_, rest)| rest.trim_end().strip_suffix('>'));
    let mut rest = inside.unwrap_or("");
    let mut left = number;
    while !rest.is_empty() {
        let end = outside(rest, |c| c == ',').unwrap_or(rest.len());
        let argument = rest.get(..end).unwrap_or("").trim();
        rest = rest.get(end + 1..).unwrap_or("");
        if argument.starts_with('\'') {
            continue;
        }
        if left == 0 {
            return argument;
        }
        left -= 1;
    }
    ""
}

/// The first of these characters outside of brackets.
fn outside(text: &str, is: impl Fn(char) -> bool) -> Option<usize> {
    let mut depth = 0_usize;
    text.char_indices().find_map(|(at, c)| {
        if depth == 0 && is(c) {
            return Some(at);
        }
        match c {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' | ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_type_has_no_paths_and_no_defaults() {
        for (long, wanted) in [
            ("alloc::vec::Vec<&str, alloc::alloc::Global>", "Vec<&str>"),
            (
                "std::collections::hash::map::HashMap<u64, alloc::vec::Vec<u8, alloc::alloc::Global>, \
                 std::hash::random::RandomState>",
                "HashMap<u64, Vec<u8>>",
            ),
            (
                "std::vector<std::pair<int, char>, std::allocator<std::pair<int, char> > >",
                "vector<pair<int, char>>",
            ),
            ("i16", "i16"),
            ("", ""),
        ] {
            assert_eq!(short(long), wanted);
        }
    }

    #[test]
    fn types_of_elements_are_taken_from_containers() {
        for (container, item) in [
            ("alloc::vec::Vec<u8, alloc::alloc::Global>", "u8"),
            ("&[u8]", "u8"),
            ("[[f64; 3]; 4]", "[f64; 3]"),
            ("alloc::boxed::Box<[u8], alloc::alloc::Global>", "u8"),
            ("alloc::sync::Arc<alloc::vec::Vec<(u8, u8)>>", "(u8, u8)"),
            ("unsigned char [16]", "unsigned char"),
            ("const std::vector<int>&", "int"),
            ("Mystery", ""),
            ("", ""),
        ] {
            assert_eq!(of_items(container), item, "{container}");
        }
        assert_eq!(
            of_entries("&HashMap<u64, alloc::vec::Vec<u8, Global>, RandomState>"),
            ("u64", "alloc::vec::Vec<u8, Global>")
        );
        assert_eq!(of_variant("core::option::Option<&[u8]>", "Some"), "&[u8]");
        assert_eq!(of_variant("Result<u8, Error>", "Err"), "Error");
        assert_eq!(
            of_target("alloc::boxed::Box<dyn Fn(u8) -> u8>"),
            "dyn Fn(u8) -> u8"
        );
    }

    #[test]
    fn types_that_are_no_types_do_no_harm() {
        for text in [
            "<",
            ">",
            "[",
            "]",
            "a<",
            "a<,",
            "&&&&",
            "a<b>>",
            "'a",
            "Cow<'_, [u8]>",
        ] {
            let parts = [of_items(text), of_entries(text).0, of_target(text)];
            assert!(
                parts.iter().all(|part| part.len() <= text.len())
                    && short(text).len() <= text.len()
            );
        }
        assert_eq!(of_items("Cow<'_, [u8]>"), "u8");
    }
}
