//! Words of the grammar, and the characters of names.

/// Words that start an option.
pub(crate) const OPTIONS: [&str; 9] = [
    "hits",
    "rate",
    "every",
    "for",
    "depth",
    "cpu",
    "per",
    "trampoline",
    "as",
];

/// Returns true if a character may be part of a probe's name.
pub(super) fn is_probe_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Returns true if a character may start a name of the program.
pub(super) fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

/// Length in bytes of the name at the start of `text`.
pub(super) fn name_length(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_alphanumeric())
        .unwrap_or(text.len())
}
