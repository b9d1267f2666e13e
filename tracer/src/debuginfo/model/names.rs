//! Function names: demangling, and matching what the user types.

use std::fmt::Write as _;

/// Bytes of a mangled name that are read.
const MAX_MANGLED_BYTES: usize = 16 << 10;

/// Bytes of a demangled name; the rest is cut. C++ names can grow without bound when demangled.
const MAX_DEMANGLED_BYTES: usize = 4096;

/// Text that stops growing at its limit.
struct Bounded(String);

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() + text.len() > MAX_DEMANGLED_BYTES {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Returns the name that a linker symbol stands for: Rust (both manglings, without the hash), C++
/// (without parameters), or itself.
#[must_use]
pub fn demangle(symbol: &[u8]) -> String {
    let symbol = symbol.get(..MAX_MANGLED_BYTES).unwrap_or(symbol);
    let name = String::from_utf8_lossy(symbol).into_owned();
    if let Ok(rust) = rustc_demangle::try_demangle(&name) {
        let mut text = Bounded(String::new());
        if write!(text, "{rust:#}").is_ok() {
            return text.0;
        }
        return name;
    }
    if name.starts_with("_Z") || name.starts_with("__Z") {
        let options = cpp_demangle::DemangleOptions::new()
            .no_params()
            .no_return_type();
        let parsed = cpp_demangle::Symbol::new(name.as_bytes());
        let mut text = Bounded(String::new());
        if let Ok(symbol) = parsed
            && symbol.structured_demangle(&mut text, &options).is_ok()
        {
            return text.0;
        }
    }
    name
}

/// Returns a name without its generic arguments: `foo<T>::bar<U>` is `foo::bar`.
///
/// `operator<` and `<A as B>::f` are left unchanged.
#[must_use]
pub fn without_generics(name: &str) -> &str {
    if name.starts_with('<') || name.starts_with("operator") {
        return name;
    }
    match name.split_once('<') {
        Some((before, _)) => before.trim_end_matches("::"),
        None => name,
    }
}

/// Returns the part after the last `::` that is not within `<>`, `()` or `[]`.
pub(crate) fn last_segment(name: &str) -> &str {
    let bytes = name.as_bytes();
    let mut depth = 0_usize;
    for at in (1..bytes.len()).rev() {
        match (bytes.get(at - 1), bytes.get(at)) {
            (Some(b'-'), Some(b'>')) => {}
            (_, Some(b'>' | b')' | b']' | b'}')) => depth += 1,
            (_, Some(b'<' | b'(' | b'[' | b'{')) => depth = depth.saturating_sub(1),
            (Some(b':'), Some(b':')) if depth == 0 => return name.get(at + 1..).unwrap_or(name),
            _ => {}
        }
    }
    name
}

/// Maximum length of a generic argument that is shown.
const MAX_ARGUMENT: usize = 24;

/// Returns a name with its generic arguments shortened. Paths in them are left out, and `…`
/// stands for long arguments. `map::get<alloc::string::String, Handle<Node<A, B>,
/// marker::Internal>>` becomes `map::get<String, …>`.
#[must_use]
pub fn short_generics(name: &str) -> String {
    // `operator<` and `operator->` have unpaired brackets.
    if name.contains("operator") {
        return name.to_owned();
    }
    shortened(name, 0).unwrap_or_else(|| name.to_owned())
}

/// Returns [`short_generics`] of a part of a name, or `None` if its brackets are not paired.
fn shortened(text: &str, depth: usize) -> Option<String> {
    /// Levels of `<A as B>` that are shortened.
    const MAX_DEPTH: usize = 16;
    if depth > MAX_DEPTH {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        let (before, bracket) = rest.split_at_checked(open)?;
        let length = bracket_length(bracket)?;
        let inside = bracket.get(1..length - 1)?;
        out.push_str(before);
        out.push('<');
        if before.is_empty() || before.ends_with("::") && top_level_as(inside).is_some() {
            // The type of a method: `<Type as Trait>::method`.
            out.push_str(&shortened(inside, depth + 1)?);
        } else {
            let arguments: Vec<String> = split_arguments(inside).map(short_argument).collect();
            out.push_str(&arguments.join(", "));
        }
        out.push('>');
        rest = bracket.get(length..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// Returns the number of bytes from a `<` to its closing `>`, both included.
fn bracket_length(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => open += 1,
            '>' if before != '-' => {
                open -= 1;
                if open == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// Returns the parts of a list of generic arguments, at its commas outside brackets.
fn split_arguments(text: &str) -> impl Iterator<Item = &str> {
    let mut open = 0_i32;
    text.split(move |c: char| {
        match c {
            '<' | '(' | '[' | '{' => open += 1,
            '>' | ')' | ']' | '}' => open -= 1,
            _ => {}
        }
        c == ',' && open == 0
    })
}

/// Returns one generic argument without paths, or `…` for a long one.
fn short_argument(text: &str) -> String {
    let argument = without_paths(text.trim());
    match argument.chars().count() > MAX_ARGUMENT {
        true => "…".to_owned(),
        false => argument,
    }
}

/// Returns a name without the paths in it: `Vec<Point>` for `a::Vec<b::Point>`.
pub(crate) fn without_paths(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut word = String::new();
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else if c == ':' && rest.next_if_eq(&':').is_some() {
            word.clear();
        } else {
            out.push_str(&word);
            word.clear();
            out.push(c);
        }
    }
    out.push_str(&word);
    out
}

/// A pattern for names of functions: the end of a path, as typed by the user.
#[derive(Clone, Debug)]
pub struct NamePattern {
    parts: Vec<String>,
}

impl NamePattern {
    /// Parses `function`, `module::function` or `Type::function`, with or without generic
    /// arguments. Spaces do not matter.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let parts = split_path(text.trim()).map(tidy).collect();
        Self { parts }
    }

    /// Returns the last part of the path, without generic arguments.
    #[must_use]
    pub fn last(&self) -> &str {
        self.parts.last().map_or("", |part| without_generics(part))
    }

    /// Returns true if the path of `name` ends with the pattern. Generic arguments are compared
    /// only if the pattern has them.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let path: Vec<&str> = split_path(name).collect();
        if self.matches_path(&path) {
            return true;
        }
        // `<Type as Trait>::function` matches `Type::function` and `Trait::function`.
        let Some((first, rest)) = path.split_first() else {
            return false;
        };
        let Some(inner) = first.strip_prefix('<').and_then(|f| f.strip_suffix('>')) else {
            return false;
        };
        let sides = [Some(inner), None];
        let split = top_level_as(inner);
        let sides = split.map_or(sides, |(ty, of)| [Some(ty), Some(of)]);
        sides.into_iter().flatten().any(|side| {
            let mut path: Vec<&str> = split_path(side).collect();
            path.extend(rest);
            self.matches_path(&path)
        })
    }

    fn matches_path(&self, path: &[&str]) -> bool {
        let Some(skipped) = path.len().checked_sub(self.parts.len()) else {
            return false;
        };
        !self.parts.is_empty()
            && path
                .iter()
                .skip(skipped)
                .zip(&self.parts)
                .all(|(part, wanted)| {
                    if without_generics(wanted).len() == wanted.len() {
                        without_generics(part) == wanted || *part == wanted
                    } else {
                        tidy(part) == *wanted
                    }
                })
    }
}

fn tidy(part: &str) -> String {
    part.split_whitespace().collect()
}

/// Returns the parts of a path between `::` that are not inside brackets.
fn split_path(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(name);
    std::iter::from_fn(move || {
        let text = rest?;
        let bytes = text.as_bytes();
        let mut depth = 0_i32;
        let operator = text.starts_with("operator");
        for (index, byte) in bytes.iter().enumerate() {
            let arrow = index > 0 && bytes.get(index - 1) == Some(&b'-');
            match byte {
                b'<' | b'(' | b'[' | b'{' if !operator => depth += 1,
                b'>' if arrow => {}
                b'>' | b')' | b']' | b'}' if !operator => depth -= 1,
                b':' if depth <= 0 && bytes.get(index + 1) == Some(&b':') => {
                    rest = text.get(index + 2..);
                    // `foo::<T>` is one part, like `foo<T>`.
                    return text.get(..index);
                }
                _ => {}
            }
        }
        rest = None;
        Some(text)
    })
}

/// Splits `A as B` at an `as` that is not inside brackets.
fn top_level_as(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_i32;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' | b')' | b']' => depth -= 1,
            b' ' if depth == 0 => {
                if let Some(of) = text.get(index..).and_then(|rest| rest.strip_prefix(" as ")) {
                    return Some((text.get(..index)?, of));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_segment_paths_and_generics_gives_what_is_behind_the_path() {
        assert_eq!(last_segment("COUNT"), "COUNT");
        assert_eq!(last_segment("a::b::COUNT"), "COUNT");
        assert_eq!(last_segment("a::Vec<b::C, d::E>"), "Vec<b::C, d::E>");
        assert_eq!(
            last_segment("a::F<fn(b::C) -> d::E>"),
            "F<fn(b::C) -> d::E>"
        );
        assert_eq!(
            last_segment("a::{closure_env#0}<b::C>"),
            "{closure_env#0}<b::C>"
        );
    }

    #[test]
    fn short_generics_leave_out_paths_and_long_arguments() {
        for (name, short) in [
            ("main", "main"),
            (
                "a::b<alloc::string::String, u64>::c",
                "a::b<String, u64>::c",
            ),
            (
                "map::get<alloc::string::String, btree::node::Handle<Node<A, B>, marker::Internal>>",
                "map::get<String, …>",
            ),
            (
                "<btree::node::Handle<a::NodeRef<M, K, V, T>, Kv> as core::fmt::Debug>::fmt",
                "<btree::node::Handle<NodeRef<M, K, V, T>, Kv> as core::fmt::Debug>::fmt",
            ),
            ("call<fn(a::B) -> c::D>", "call<fn(B) -> D>"),
            ("ns::operator<<<char>", "ns::operator<<<char>"),
            ("broken<a, b", "broken<a, b"),
        ] {
            assert_eq!(short_generics(name), short);
        }
    }

    #[test]
    fn demangle_rust_and_cpp_names_are_read() {
        let legacy = b"_ZN10target_app21report_mouse_movement17h0123456789abcdefE";
        assert_eq!(demangle(legacy), "target_app::report_mouse_movement");
        assert_eq!(demangle(b"_RNvC6_123foo3bar"), "123foo::bar");
        assert_eq!(demangle(b"_ZN2ns5Shape4areaEi"), "ns::Shape::area");
        assert_eq!(demangle(b"main"), "main");
        assert_eq!(demangle(b"_Zgarbage"), "_Zgarbage");
    }

    #[test]
    fn pattern_end_of_path_matches_by_whole_parts() {
        let matches = |pattern: &str, name: &str| NamePattern::new(pattern).matches(name);
        assert!(matches("report", "target_app::report"));
        assert!(matches("target_app::report", "target_app::report"));
        assert!(!matches("port", "target_app::report"));
        assert!(!matches("other::report", "target_app::report"));
        assert!(matches("push", "alloc::vec::Vec<T, A>::push"));
        assert!(matches("Vec::push", "alloc::vec::Vec<T, A>::push"));
        assert!(matches("largest", "app::largest<i32>"));
        assert!(matches("largest<i32>", "app::largest<i32>"));
        assert!(!matches("largest<u8>", "app::largest<i32>"));
        assert!(matches("map<int,foo>::at", "std::map<int, foo>::at"));
        assert!(matches("fmt", "<app::P as core::fmt::Debug>::fmt"));
        assert!(matches("P::fmt", "<app::P as core::fmt::Debug>::fmt"));
        assert!(matches("Debug::fmt", "<app::P as core::fmt::Debug>::fmt"));
        assert!(matches("main::{closure#0}", "app::main::{closure#0}"));
        assert!(!matches("", "app"));
    }
}
