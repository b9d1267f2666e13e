//! Selectors as they are typed into the list of processes: `name:nginx user:www-data`.

use crate::base::diagnostic::Diagnostic;
use crate::base::visible::is_hostile;
use crate::target::select::{Selector, SelectorKind};

/// Words before the colon, with the kinds of selectors.
const WORDS: [(&str, SelectorKind); 8] = [
    ("name:", SelectorKind::Name),
    ("exe:", SelectorKind::Exe),
    ("unit:", SelectorKind::Unit),
    ("cgroup:", SelectorKind::Cgroup),
    ("container:", SelectorKind::Container),
    ("pod:", SelectorKind::Container),
    ("user:", SelectorKind::User),
    ("pid:", SelectorKind::Pid),
];

/// Values that exist on this machine, for completion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownValues {
    /// Names of processes.
    pub names: Vec<String>,
    /// Paths of executables.
    pub exes: Vec<String>,
    /// Units of systemd that have processes.
    pub units: Vec<String>,
    /// Cgroups that have processes.
    pub cgroups: Vec<String>,
    /// Containers that have processes, by name or by the first digits of the id.
    pub containers: Vec<String>,
    /// Pods of Kubernetes.
    pub pods: Vec<String>,
    /// Users who run processes.
    pub users: Vec<String>,
}

impl KnownValues {
    fn of(&self, word: &str) -> &[String] {
        match word {
            "name:" => &self.names,
            "exe:" => &self.exes,
            "unit:" => &self.units,
            "cgroup:" => &self.cgroups,
            "container:" => &self.containers,
            "pod:" => &self.pods,
            "user:" => &self.users,
            _ => &[],
        }
    }
}

/// The selector of a typed line. `None` if the line is no selector, but letters to search for.
///
/// The last word may not be finished: without its value it selects nothing yet.
///
/// # Errors
/// A word is malformed, or has no kind.
pub(in crate::tui) fn typed_selector(line: &str) -> Option<Result<Selector, Diagnostic>> {
    if !is_selector(line) {
        return None;
    }
    let Some(mut words) = shlex::split(line) else {
        // While a quote is open.
        return Some(Err(Diagnostic::new("a quote is not closed")));
    };
    let is_begun = |word: &String| {
        WORDS
            .iter()
            .any(|(front, _)| front.starts_with(word.as_str()))
    };
    if !line.ends_with(char::is_whitespace) && words.last().is_some_and(is_begun) {
        words.pop();
    }
    let mut selector = Selector::default();
    for word in words {
        if let Err(error) = add(&mut selector, &word) {
            return Some(Err(error));
        }
    }
    Some(Ok(selector))
}

/// Returns true if a word of the line has a kind.
fn is_selector(line: &str) -> bool {
    line.split_whitespace()
        .any(|word| WORDS.iter().any(|(front, _)| word.starts_with(front)))
}

fn add(selector: &mut Selector, word: &str) -> Result<(), Diagnostic> {
    let found = WORDS
        .iter()
        .find_map(|(front, kind)| Some((*front, *kind, word.strip_prefix(front)?)));
    let Some((front, kind, value)) = found else {
        return Err(Diagnostic::new(format!("`{word}` has no kind"))
            .hint(format!("write `name:{word}`, or another kind before it")));
    };
    if front == "pod:" && !value.is_empty() {
        return selector.add(kind, word);
    }
    selector.add(kind, value)
}

/// The words that the last word of a line can become, in order.
pub(in crate::tui) fn completions(line: &str, known: &KnownValues) -> Vec<String> {
    let stem = last_word(line);
    let kind = WORDS.iter().find(|(front, _)| stem.starts_with(front));
    let Some((front, _)) = kind else {
        let fits = WORDS.iter().filter(|(front, _)| front.starts_with(stem));
        return fits.map(|(front, _)| (*front).to_owned()).collect();
    };
    let begun = stem.get(front.len()..).unwrap_or_default();
    let begun = begun.trim_start_matches('\'');
    let values = known.of(front).iter();
    let fits = values.filter(|value| value.starts_with(begun) && !value.chars().any(is_hostile));
    let words = fits.filter_map(|value| Some(format!("{front}{}", shlex::try_quote(value).ok()?)));
    words.filter(|word| word != stem).collect()
}

/// The line with its last word replaced.
pub(in crate::tui) fn with_last_word(line: &str, word: &str) -> String {
    let end = line.len() - last_word(line).len();
    format!("{}{word}", line.get(..end).unwrap_or_default())
}

/// The text that all words begin with.
pub(in crate::tui) fn common_front(words: &[String]) -> &str {
    let Some((first, others)) = words.split_first() else {
        return "";
    };
    let mut front = first.as_str();
    for word in others {
        while !word.starts_with(front) {
            let mut chars = front.chars();
            chars.next_back();
            front = chars.as_str();
        }
    }
    front
}

/// The word at the end of the line, which may have an open quote.
pub(in crate::tui) fn last_word(line: &str) -> &str {
    let mut quoted = false;
    let mut start = 0;
    for (at, c) in line.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => start = at + 1,
            _ => {}
        }
    }
    line.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &str) -> String {
        let selector = typed_selector(line).expect("it is a selector");
        selector.map_or_else(
            |error| format!("! {}", error.message),
            |all| all.to_string(),
        )
    }

    #[test]
    fn line_of_kinds_is_the_selector_of_the_command_line() {
        for (line, options) in [
            ("name:nginx", "--name nginx"),
            (
                "name:a name:b user:www-data",
                "--name a --name b --user www-data",
            ),
            (
                "exe:/usr/sbin/nginx unit:web",
                "--exe /usr/sbin/nginx --unit web.service",
            ),
            (
                "pod:shop-1 container:web-1",
                "--container pod:shop-1 --container web-1",
            ),
            ("cgroup:/a pid:1,2", "--pid 1 --pid 2 --cgroup /a"),
            ("name:'a b'", "--name 'a b'"),
            // The last word is not finished.
            ("name:nginx us", "--name nginx"),
            ("name:nginx user:", "--name nginx"),
            ("name:", ""),
        ] {
            assert_eq!(written(line), options, "{line}");
        }
    }

    #[test]
    fn other_lines_are_searches_and_mistakes_are_told() {
        for line in ["", "nginx", "http://x", "a:b"] {
            assert!(typed_selector(line).is_none(), "{line}");
        }
        for (line, message) in [
            ("name:nginx web ", "`web` has no kind"),
            ("name: ", "the name is empty"),
            (
                "unit:a.target",
                "`a.target` has no processes, because it is a target",
            ),
            ("name:'x", "a quote is not closed"),
        ] {
            assert_eq!(written(line), format!("! {message}"), "{line}");
        }
    }

    #[test]
    fn kinds_and_values_that_exist_complete_the_last_word() {
        let known = KnownValues {
            names: ["nginx", "node", "a b", "e\u{202e}vil"]
                .map(str::to_owned)
                .into(),
            users: vec!["www-data".to_owned()],
            ..KnownValues::default()
        };
        let of = |line: &str| completions(line, &known);
        assert_eq!(of("").len(), WORDS.len());
        assert_eq!(of("u"), ["unit:", "user:"]);
        assert_eq!(of("name:"), ["name:nginx", "name:node", "name:'a b'"]);
        assert_eq!(of("user:x name:no"), ["name:node"]);
        assert_eq!(of("name:'a"), ["name:'a b'"]);
        assert_eq!(of("name:node"), Vec::<String>::new());
        assert_eq!(common_front(&of("name:n")), "name:n");
        assert_eq!(common_front(&of("u")), "u");
        assert_eq!(
            with_last_word("user:x name:n", "name:node"),
            "user:x name:node"
        );
        assert_eq!(with_last_word("name:'a b", "name:'a b'"), "name:'a b'");
    }
}
