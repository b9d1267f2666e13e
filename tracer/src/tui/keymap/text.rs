//! Keys as text: in the help, in hints, and in the configuration file.

use std::fmt;

use crossterm::event::{KeyCode, KeyModifiers};

use super::KeyBinding;

/// Keys without a character, by their names in the configuration file. The first name of a key is
/// the usual one.
const NAMED: [(&str, KeyCode); 21] = [
    ("Space", KeyCode::Char(' ')),
    ("Enter", KeyCode::Enter),
    ("Return", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Escape", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("Shift-Tab", KeyCode::BackTab),
    ("Backspace", KeyCode::Backspace),
    ("Del", KeyCode::Delete),
    ("Delete", KeyCode::Delete),
    ("Ins", KeyCode::Insert),
    ("Insert", KeyCode::Insert),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("PgUp", KeyCode::PageUp),
    ("PageUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("PageDown", KeyCode::PageDown),
    ("Home", KeyCode::Home),
];

/// The last key of the list, which has no other name.
const END: (&str, KeyCode) = ("End", KeyCode::End);

/// Keys that a terminal sends as another one.
const SAME: [(char, &str); 3] = [('i', "Tab"), ('m', "Enter"), ('[', "Esc")];

impl KeyBinding {
    /// A key by its name: `x`, `Ctrl-X`, `Alt-x`, `F5`, `PgUp`.
    ///
    /// # Errors
    /// There is no such key, or terminals do not send it.
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let (mut modifiers, mut rest) = (KeyModifiers::NONE, name);
        loop {
            let prefixes = [
                ("ctrl-", KeyModifiers::CONTROL),
                ("c-", KeyModifiers::CONTROL),
                ("alt-", KeyModifiers::ALT),
                ("a-", KeyModifiers::ALT),
                ("shift-", KeyModifiers::SHIFT),
            ];
            let found = prefixes.into_iter().find_map(|(prefix, modifier)| {
                let head = rest.get(..prefix.len())?;
                let tail = rest.get(prefix.len()..).filter(|tail| !tail.is_empty())?;
                head.eq_ignore_ascii_case(prefix)
                    .then_some((tail, modifier))
            });
            let Some((tail, modifier)) = found else { break };
            // The character of a letter shows that Shift is down, and so does the name of Shift-Tab.
            let is_shift = modifier == KeyModifiers::SHIFT;
            if is_shift && (tail.chars().count() == 1 && !is_arrow(tail) || is_tab(tail)) {
                break;
            }
            modifiers |= modifier;
            rest = tail;
        }
        let code = code(rest).ok_or_else(|| unknown(name, rest))?;
        let code = match code {
            KeyCode::Char(c) if modifiers.contains(KeyModifiers::CONTROL) => {
                let c = c.to_ascii_lowercase();
                if let Some((_, same)) = SAME.iter().find(|(same, _)| *same == c) {
                    return Err(format!(
                        "a terminal sends `{same}` for `{name}`; write `{same}`"
                    ));
                }
                KeyCode::Char(c)
            }
            code => code,
        };
        Ok(Self(code, modifiers))
    }

    /// Returns true for a character that is typed where text is.
    pub(super) fn is_typed(self) -> bool {
        let with = KeyModifiers::CONTROL | KeyModifiers::ALT;
        matches!(self.0, KeyCode::Char(_) | KeyCode::Backspace) && !self.1.intersects(with)
    }

    /// Returns true for Ctrl-C.
    pub(super) fn is_interrupt(self) -> bool {
        self == Self(KeyCode::Char('c'), KeyModifiers::CONTROL)
    }
}

fn is_arrow(name: &str) -> bool {
    matches!(name, "↑" | "↓" | "←" | "→")
}

fn is_tab(name: &str) -> bool {
    name.eq_ignore_ascii_case("tab")
}

fn code(name: &str) -> Option<KeyCode> {
    let mut chars = name.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        let arrow = match c {
            '↑' => KeyCode::Up,
            '↓' => KeyCode::Down,
            '←' => KeyCode::Left,
            '→' => KeyCode::Right,
            c => return (!c.is_control() && c != ' ').then_some(KeyCode::Char(c)),
        };
        return Some(arrow);
    }
    let mut named = NAMED.into_iter().chain([END]);
    if let Some((_, code)) = named.find(|(other, _)| other.eq_ignore_ascii_case(name)) {
        return Some(code);
    }
    let number = name.strip_prefix(['F', 'f'])?.parse().ok()?;
    (1..=24).contains(&number).then_some(KeyCode::F(number))
}

fn unknown(name: &str, rest: &str) -> String {
    if let Some(letter) = rest
        .get(..6)
        .filter(|head| head.eq_ignore_ascii_case("shift-"))
        .and_then(|_| rest.get(6..))
        .filter(|letter| letter.chars().count() == 1)
    {
        return format!("write `{}` for `{name}`", letter.to_uppercase());
    }
    format!(
        "there is no key `{name}`; keys are such as `x`, `Ctrl-X`, `Alt-x`, `F5`, `Space`, `PgUp`"
    )
}

impl fmt::Display for KeyBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1.contains(KeyModifiers::CONTROL) {
            f.write_str("Ctrl-")?;
        }
        if self.1.contains(KeyModifiers::ALT) {
            f.write_str("Alt-")?;
        }
        if self.1.contains(KeyModifiers::SHIFT) {
            f.write_str("Shift-")?;
        }
        match self.0 {
            KeyCode::Char(' ') => f.write_str("Space"),
            KeyCode::Char(c) if self.1.contains(KeyModifiers::CONTROL) => {
                write!(f, "{}", c.to_ascii_uppercase())
            }
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::Up => f.write_str("↑"),
            KeyCode::Down => f.write_str("↓"),
            KeyCode::Left => f.write_str("←"),
            KeyCode::Right => f.write_str("→"),
            KeyCode::F(n) => write!(f, "F{n}"),
            code => {
                let mut named = NAMED.into_iter().chain([END]);
                match named.find(|(_, other)| *other == code) {
                    Some((name, _)) => f.write_str(name),
                    None => write!(f, "{code:?}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bindings;
    use super::*;

    #[test]
    fn name_of_each_usual_key_leads_back_to_it() {
        for key in bindings().flat_map(|binding| binding.usual) {
            assert_eq!(KeyBinding::parse(&key.to_string()), Ok(*key));
        }
    }

    #[test]
    fn keys_are_read_as_people_write_them() {
        for (name, shown) in [
            ("x", "x"),
            ("X", "X"),
            ("-", "-"),
            ("ctrl-x", "Ctrl-X"),
            ("C-x", "Ctrl-X"),
            ("Ctrl--", "Ctrl--"),
            ("alt-x", "Alt-x"),
            ("Ctrl-Alt-x", "Ctrl-Alt-X"),
            ("space", "Space"),
            ("pagedown", "PgDn"),
            ("f12", "F12"),
            ("Ctrl-Up", "Ctrl-↑"),
            ("shift-tab", "Shift-Tab"),
            ("shift-left", "Shift-←"),
            ("Ctrl-Shift-Up", "Ctrl-Shift-↑"),
            ("ä", "ä"),
        ] {
            let key = KeyBinding::parse(name).map(|key| key.to_string());
            assert_eq!(key.as_deref(), Ok(shown), "{name}");
        }
    }

    #[test]
    fn keys_that_do_not_exist_are_refused_with_advice() {
        for (name, why) in [
            ("", "there is no key ``"),
            ("xy", "there is no key `xy`"),
            ("F99", "there is no key `F99`"),
            ("Ctrl-", "there is no key `Ctrl-`"),
            ("\u{1b}", "there is no key"),
            ("Shift-a", "write `A` for `Shift-a`"),
            ("Ctrl-i", "a terminal sends `Tab` for `Ctrl-i`; write `Tab`"),
            ("C-M", "a terminal sends `Enter` for `C-M`; write `Enter`"),
        ] {
            let error = KeyBinding::parse(name).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }
}
