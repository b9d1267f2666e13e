//! Names of types and variables: shortened for display, compared for hints.

/// The path of a type name without its generic arguments:
/// `alloc::vec::Vec` of `alloc::vec::Vec<u8, alloc::alloc::Global>`.
pub(in crate::plan) fn path(name: &str) -> &str {
    let name = unqualified(name);
    match name.find('<') {
        Some(at) if at > 0 => name.get(..at).unwrap_or(name),
        _ => name,
    }
}

/// The arguments of a template or generic type as text. They are in the last pair of outermost
/// brackets.
pub(in crate::plan) fn arguments(name: &str) -> Vec<&str> {
    let Some(inner) = name.trim_end().strip_suffix('>') else {
        return Vec::new();
    };
    let Some((_, inner)) = inner.split_once('<') else {
        return Vec::new();
    };
    let (mut depth, mut from, mut found) = (0_usize, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' | ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.extend(inner.get(from..at).map(str::trim));
                from = at + 1;
            }
            _ => {}
        }
    }
    found.extend(inner.get(from..).map(str::trim));
    found
}

/// The last segment of a type's path: `Vec`.
pub(in crate::plan) fn short(name: &str) -> &str {
    if name.starts_with(['(', '&', '*', '[']) {
        return name;
    }
    let path = path(name);
    path.rsplit("::").next().unwrap_or(path)
}

/// The name without C's leading keywords.
pub(in crate::plan) fn unqualified(name: &str) -> &str {
    let mut name = name;
    for word in [
        "const ",
        "volatile ",
        "struct ",
        "union ",
        "enum ",
        "class ",
    ] {
        name = name.strip_prefix(word).unwrap_or(name);
    }
    name
}

/// A member's name as the source writes it: `0` of `__0`.
pub(in crate::plan) fn field(name: &str) -> &str {
    match name.strip_prefix("__") {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => digits,
        _ => name,
    }
}

/// A type's name without its paths and without default allocators: `Vec<Option<Point>>`.
pub(crate) fn without_paths(name: &str) -> String {
    crate::debuginfo::names::without_paths(name).replace(", Global>", ">")
}

/// The names most similar to `wanted`, at most three.
pub(in crate::plan) fn near<'n>(
    wanted: &str,
    names: impl Iterator<Item = &'n str>,
) -> Vec<&'n str> {
    let limit = (wanted.chars().count() / 3).max(1);
    let mut found: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let close = distance(wanted, name);
            let part = wanted.len() >= 3 && (name.contains(wanted) || wanted.contains(name));
            (close <= limit || (part && name.len() >= 2)).then_some((close, name))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(3);
    found.into_iter().map(|(_, name)| name).collect()
}

/// A hint: "did you mean …" for similar names, else the names that exist.
pub(in crate::plan) fn hint<'n>(
    wanted: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Option<String> {
    let near = near(wanted, names.clone());
    let quoted = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !near.is_empty() {
        return Some(format!("did you mean {}?", quoted(&near)));
    }
    let some: Vec<&str> = names.filter(|name| !name.is_empty()).take(12).collect();
    let verb = if some.len() == 1 { "is" } else { "are" };
    (!some.is_empty()).then(|| format!("there {verb} {}", quoted(&some)))
}

/// Levenshtein distance of two names, ignoring case, over their first 64 characters.
fn distance(a: &str, b: &str) -> usize {
    let fold = |name: &str| -> Vec<char> {
        name.chars()
            .take(64)
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    let (a, b) = (fold(a), fold(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let change = row.get(j).copied().unwrap_or(0) + usize::from(x != y);
            let delete = row.get(j + 1).copied().unwrap_or(0) + 1;
            let insert = next.last().copied().unwrap_or(0) + 1;
            next.push(change.min(delete).min(insert));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
