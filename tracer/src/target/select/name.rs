//! Patterns of names, as a shell writes them.

use std::fmt;

use super::limits::SELECTOR_BYTES;
use crate::base::diagnostic::Diagnostic;

/// A name, or a pattern of names with `*`, `?` and `[a-z]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameGlob {
    text: String,
    parts: Vec<GlobPart>,
}

/// A part of a pattern. Each but `Any` stands for one character.
#[derive(Clone, Debug, PartialEq, Eq)]
enum GlobPart {
    Literal(char),
    /// `?`
    One,
    /// `*`
    Any,
    /// `[a-z]`, or `[!a-z]`
    Set {
        ranges: Vec<(char, char)>,
        excluded: bool,
    },
}

impl GlobPart {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == c,
            Self::One => true,
            Self::Any => false,
            Self::Set { ranges, excluded } => {
                let within = ranges.iter().any(|&(from, to)| (from..=to).contains(&c));
                within != *excluded
            }
        }
    }
}

impl NameGlob {
    /// Parses a pattern.
    ///
    /// # Errors
    /// It is empty, too long, or has a character that no name has.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        check_length("name", text)?;
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let behind = rest.get(c.len_utf8()..).unwrap_or_default();
            let (part, behind) = match c {
                '*' => (GlobPart::Any, behind),
                '?' => (GlobPart::One, behind),
                // As in a shell, a bracket that is never closed stands for itself.
                '[' => parse_set(behind).unwrap_or((GlobPart::Literal('['), behind)),
                c => (GlobPart::Literal(c), behind),
            };
            rest = behind;
            if part != GlobPart::Any || parts.last() != Some(&GlobPart::Any) {
                parts.push(part);
            }
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// Returns the pattern as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if the pattern stands for one name only.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        let literal = |part: &GlobPart| matches!(part, GlobPart::Literal(_));
        self.parts.iter().all(literal)
    }

    /// Returns true if the whole name matches.
    ///
    /// Takes time proportional to the lengths of both.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0, 0);
        // The last `*`, and the place in the name from which its rest is matched. If the rest fails,
        // the `*` takes one character more. An earlier `*` never needs to take more.
        let mut star: Option<(usize, usize)> = None;
        while let Some(&c) = name.get(at) {
            match self.parts.get(part) {
                Some(GlobPart::Any) => {
                    star = Some((part, at));
                    part += 1;
                }
                Some(one) if one.takes(c) => {
                    part += 1;
                    at += 1;
                }
                _ => {
                    let Some((of, from)) = &mut star else {
                        return false;
                    };
                    *from += 1;
                    (part, at) = (*of + 1, *from);
                }
            }
        }
        let rest = self.parts.get(part..).unwrap_or_default();
        rest.iter().all(|part| *part == GlobPart::Any)
    }
}

impl fmt::Display for NameGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Parses a set behind its `[`. Returns the text behind the `]`, or `None` if there is none.
fn parse_set(text: &str) -> Option<(GlobPart, &str)> {
    let inner = text.strip_prefix(['!', '^']);
    let (excluded, inner) = (inner.is_some(), inner.unwrap_or(text));
    // A `]` at the front is a member.
    let first = inner.chars().next()?.len_utf8();
    let end = first + inner.get(first..)?.find(']')?;
    let members: Vec<char> = inner.get(..end)?.chars().collect();
    let mut ranges = Vec::new();
    let mut members = members.as_slice();
    loop {
        members = match members {
            [from, '-', to, rest @ ..] => {
                ranges.push((*from, *to));
                rest
            }
            [one, rest @ ..] => {
                ranges.push((*one, *one));
                rest
            }
            [] => break,
        };
    }
    Some((GlobPart::Set { ranges, excluded }, inner.get(end + 1..)?))
}

/// Checks the length and the characters of a text in a selector.
pub(super) fn check_length(what: &str, text: &str) -> Result<(), Diagnostic> {
    if text.is_empty() {
        return Err(Diagnostic::new(format!("the {what} is empty")));
    }
    if text.len() > SELECTOR_BYTES {
        let bytes = text.len();
        let why = format!("the {what} has {bytes} bytes; the limit is {SELECTOR_BYTES}");
        return Err(Diagnostic::new(why));
    }
    if text.contains(['\0', '\n']) {
        let why = format!("the {what} `{text}` contains a line feed or a zero byte");
        return Err(Diagnostic::new(why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        NameGlob::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn name_without_wildcards_matches_itself_only() {
        assert!(matches("nginx", "nginx"));
        assert!(!matches("nginx", "nginx2"));
        assert!(!matches("nginx", "ngin"));
        assert!(!matches("nginx", ""));
    }

    #[test]
    fn wildcards_match_as_in_a_shell() {
        for (pattern, name) in [
            ("*", ""),
            ("**", "x"),
            ("ng*", "nginx"),
            ("*x", "nginx"),
            ("n*i*x", "nginx"),
            ("*a*ab", "aaab"),
            ("php?.?", "php8.2"),
            ("worker-[0-9]", "worker-7"),
            ("worker-[!0-9]", "worker-x"),
            ("[]x]", "]"),
            ("[-a]", "-"),
            ("a[", "a["),
            ("gr?n", "grün"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("?", ""),
            ("ng*y", "nginx"),
            ("worker-[0-9]", "worker-x"),
            ("worker-[!0-9]", "worker-7"),
            ("*a*ab", "aaaba"),
            ("[!a]", ""),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn literal_patterns_are_told_apart() {
        assert!(NameGlob::parse("a[").unwrap().is_literal());
        assert!(!NameGlob::parse("a*").unwrap().is_literal());
        assert!(!NameGlob::parse("[a]").unwrap().is_literal());
    }

    #[test]
    fn empty_long_and_unprintable_patterns_are_refused() {
        let long = "x".repeat(SELECTOR_BYTES + 1);
        for text in ["", "a\nb", "a\0", &long] {
            assert!(NameGlob::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = "*a".repeat(1000);
        let start = std::time::Instant::now();
        assert!(!matches(&pattern, &format!("{}b", "a".repeat(4000))));
        assert!(start.elapsed().as_secs() < 5);
    }

    /// The definition: a pattern by recursion.
    fn defined(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=name.len()).any(|taken| defined(rest, &name[taken..])),
            (['?', rest @ ..], [_, others @ ..]) => defined(rest, others),
            ([one, rest @ ..], [other, others @ ..]) => one == other && defined(rest, others),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matches_agrees_with_its_definition(pattern in "[ab*?]{1,8}", name in "[ab]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            prop_assert_eq!(matches(&pattern, &name), defined(&chars(&pattern), &chars(&name)));
        }

        #[test]
        fn any_text_can_be_parsed(pattern in ".{1,40}", name in ".{0,40}") {
            if let Ok(glob) = NameGlob::parse(&pattern) {
                let _ = glob.matches(&name);
            }
        }
    }
}
