//! Automata against the search of the library that made them, and their sizes.

use proptest::prelude::*;
use regex_automata::dfa::{Automaton as _, dense};

use super::{Automaton, Next, automaton, of_text, syntax};

/// Runs the automaton on a text: the verdict, and the number of bytes that it looked at.
fn run(automaton: &Automaton, text: &[u8]) -> (bool, usize) {
    let mut at = automaton.start;
    for (looked, byte) in text.iter().enumerate() {
        let Next::State(state) = at else {
            return (at == Next::Match, looked);
        };
        let state = &automaton.states[state];
        let range = state
            .ranges
            .iter()
            .find(|range| (range.first..=range.last).contains(byte));
        at = range.map_or(state.other, |range| range.to);
    }
    let accepts = match at {
        Next::State(state) => automaton.states[state].ends,
        decided => decided == Next::Match,
    };
    (accepts, text.len())
}

fn accepts(pattern: &str, text: &[u8]) -> bool {
    let automaton = automaton(pattern).unwrap_or_else(|error| panic!("{pattern}: {error:?}"));
    run(&automaton, text).0
}

#[test]
fn patterns_match_anywhere_unless_they_are_anchored() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("", "x", true),
        ("GET", "a GET b", true),
        ("^GET", "a GET b", false),
        ("^GET", "GET b", true),
        ("b$", "GET b", true),
        ("b$", "GET b\n", false),
        ("^$", "", true),
        ("^$", "x", false),
        (r"^/api/v\d+/", "/api/v12/users", true),
        (r"^/api/v\d+/", "/api/v/users", false),
        ("timeout|refused", "connection refused", true),
        ("timeout|refused", "connection reset", false),
        ("(?i)timeout", "TimeOut", true),
        (r"\bid=\d{3}\b", "x id=123;", true),
        (r"\bid=\d{3}\b", "x id=1234", false),
        (r"\bid=\d{3}\b", "xid=123", false),
        ("a.c", "a\nc", false),
        ("(?s)a.c", "a\nc", true),
        ("grün", "sehr grün", true),
        ("(?m)^b$", "a\nb\nc", true),
        ("^(a|b)*$", "abba", true),
        ("^(a|b)*$", "abca", false),
    ] {
        assert_eq!(
            accepts(pattern, text.as_bytes()),
            expected,
            "{pattern} in {text:?}"
        );
    }
}

#[test]
fn no_more_is_read_than_decides() {
    let looked = |pattern: &str, text: &str| {
        let automaton = automaton(pattern).expect("small");
        run(&automaton, text.as_bytes()).1
    };
    assert_eq!(looked("^GET", "GET /index"), 3);
    assert_eq!(looked("^GET", "POST /index"), 1);
    assert_eq!(looked("b", "abc"), 2);
    assert_eq!(looked("", "abc"), 0);
    assert_eq!(looked("[^\\s\\S]", "abc"), 0, "nothing matches");
}

#[test]
fn text_is_itself_and_not_a_pattern() {
    let found = |text: &str, ends, within: &str| {
        run(&of_text(text, ends).expect("small"), within.as_bytes()).0
    };
    assert!(found("a.b", false, "xa.by"));
    assert!(!found("a.b", false, "xaxby"));
    assert!(found("(b)", true, "a(b)"));
    assert!(!found("(b)", true, "a(b)c"));
}

#[test]
fn refused_patterns_say_why() {
    let refused = |pattern: &str| automaton(pattern).expect_err("refused").0;
    assert_eq!(
        refused("a(b"),
        "not a regular expression at `(`: unclosed group"
    );
    assert!(refused("[z-a]").starts_with("not a regular expression at `z-a`: invalid"));
    assert!(refused("(a{100}){100}").contains("too many states"));
    assert!(
        refused(r"(?u:\w{1,40})x(?u:\w)").contains("too many states"),
        "Unicode"
    );
    assert!(refused(&"a".repeat(2000)).contains("2000 bytes"));
    let (error, hint) = automaton(r"\pL").expect_err("Unicode is not on");
    assert!(error.contains("Unicode"), "{error}");
    assert!(hint.is_some_and(|hint| hint.contains("(?u:")));
}

proptest! {
    /// The library's own search is the truth.
    #[test]
    fn random_patterns_match_as_the_library_matches(
        pattern in r"(\^)?([a-c.]|\[[a-b]-c\]|\[\^a\]|\\b|\(a\|b[a-c]\)|[a-c][*+?]|[a-c]\{1,3\}|\$){0,6}",
        text in "[a-c\n]{0,12}",
    ) {
        let Ok(ours) = automaton(&pattern) else {
            // Patterns like `^*` are not patterns.
            return Ok(());
        };
        let theirs = dense::Builder::new()
            .syntax(syntax())
            .build(&pattern)
            .expect("it was built before");
        let input = regex_automata::Input::new(text.as_bytes());
        let expected = theirs.try_search_fwd(&input).expect("decides").is_some();
        prop_assert_eq!(run(&ours, text.as_bytes()).0, expected, "{} in {:?}", pattern, text);
    }
}
