//! The bytes that a terminal sends for a key, as xterm does.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The marks around a paste, for programs that ask for them.
const PASTE: (&str, &str) = ("\x1b[200~", "\x1b[201~");

/// The bytes of a key. `None` for a key that terminals do not send. With `application`, the program
/// has asked for the other form of the cursor keys.
pub(in crate::tui) fn bytes_of(key: KeyEvent, application: bool) -> Option<Vec<u8>> {
    let modifiers = key.modifiers;
    let bytes = match key.code {
        KeyCode::Char(c) => return character(c, modifiers),
        KeyCode::Enter => b"\r".to_vec(),
        KeyCode::Backspace if modifiers.contains(KeyModifiers::CONTROL) => vec![8],
        KeyCode::Backspace => vec![0x7f],
        KeyCode::Tab => b"\t".to_vec(),
        KeyCode::BackTab => b"\x1b[Z".to_vec(),
        KeyCode::Esc => vec![0x1b],
        KeyCode::Up => return Some(letter('A', modifiers, application)),
        KeyCode::Down => return Some(letter('B', modifiers, application)),
        KeyCode::Right => return Some(letter('C', modifiers, application)),
        KeyCode::Left => return Some(letter('D', modifiers, application)),
        KeyCode::Home => return Some(letter('H', modifiers, application)),
        KeyCode::End => return Some(letter('F', modifiers, application)),
        KeyCode::F(number @ 1..=4) => {
            let last = char::from(b'P' + number - 1);
            return Some(letter(last, modifiers, true));
        }
        KeyCode::Insert => return Some(number(2, modifiers)),
        KeyCode::Delete => return Some(number(3, modifiers)),
        KeyCode::PageUp => return Some(number(5, modifiers)),
        KeyCode::PageDown => return Some(number(6, modifiers)),
        KeyCode::F(key) => {
            // The numbers have gaps where a VT220 had other keys.
            let of_key = match key {
                5 => 15,
                6..=10 => key + 11,
                11 | 12 => key + 12,
                _ => return None,
            };
            return Some(number(of_key, modifiers));
        }
        _ => return None,
    };
    Some(with_alt(bytes, modifiers))
}

/// The bytes of a pasted text. Line ends are those of the key Enter, and no control character but tabs
/// and line ends is pasted.
pub(in crate::tui) fn pasted(text: &str, bracketed: bool) -> Vec<u8> {
    let text: String = text
        .replace("\r\n", "\r")
        .replace('\n', "\r")
        .chars()
        .filter(|c| matches!(c, '\t' | '\r') || !c.is_control())
        .collect();
    let (before, after) = if bracketed { PASTE } else { ("", "") };
    format!("{before}{text}{after}").into_bytes()
}

fn character(c: char, modifiers: KeyModifiers) -> Option<Vec<u8>> {
    if !modifiers.contains(KeyModifiers::CONTROL) {
        return Some(with_alt(c.to_string().into_bytes(), modifiers));
    }
    let byte = match c {
        ' ' | '@' | '2' => 0,
        'a'..='z' | 'A'..='Z' => u8::try_from(c).ok()? & 0x1f,
        '[' | '3' => 0x1b,
        '\\' | '4' => 0x1c,
        ']' | '5' => 0x1d,
        '^' | '6' => 0x1e,
        '_' | '/' | '7' => 0x1f,
        '?' | '8' => 0x7f,
        _ => return Some(with_alt(c.to_string().into_bytes(), modifiers)),
    };
    Some(with_alt(vec![byte], modifiers))
}

fn with_alt(mut bytes: Vec<u8>, modifiers: KeyModifiers) -> Vec<u8> {
    if modifiers.contains(KeyModifiers::ALT) {
        bytes.insert(0, 0x1b);
    }
    bytes
}

/// A key with a letter at its end: `ESC [ A`, `ESC O A`, or `ESC [ 1 ; 5 A` with modifiers.
fn letter(last: char, modifiers: KeyModifiers, application: bool) -> Vec<u8> {
    match modifier(modifiers) {
        Some(modifier) => format!("\x1b[1;{modifier}{last}"),
        None if application => format!("\x1bO{last}"),
        None => format!("\x1b[{last}"),
    }
    .into_bytes()
}

/// A key with a number: `ESC [ 3 ~`, or `ESC [ 3 ; 5 ~` with modifiers.
fn number(number: u8, modifiers: KeyModifiers) -> Vec<u8> {
    match modifier(modifiers) {
        Some(modifier) => format!("\x1b[{number};{modifier}~"),
        None => format!("\x1b[{number}~"),
    }
    .into_bytes()
}

/// The number of a set of modifiers. `None` for the empty set.
fn modifier(modifiers: KeyModifiers) -> Option<u8> {
    let bits = [
        (KeyModifiers::SHIFT, 1),
        (KeyModifiers::ALT, 2),
        (KeyModifiers::CONTROL, 4),
    ];
    let held = bits.iter().filter(|(one, _)| modifiers.contains(*one));
    let sum: u8 = held.map(|(_, bit)| bit).sum();
    (sum > 0).then_some(sum + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(code: KeyCode, modifiers: KeyModifiers) -> String {
        let bytes = bytes_of(KeyEvent::new(code, modifiers), false).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn keys_are_sent_as_xterm_sends_them() {
        let (none, control) = (KeyModifiers::NONE, KeyModifiers::CONTROL);
        for (code, modifiers, bytes) in [
            (KeyCode::Char('é'), none, "é"),
            (KeyCode::Char('A'), KeyModifiers::SHIFT, "A"),
            (KeyCode::Char('c'), control, "\x03"),
            (KeyCode::Char('d'), control, "\x04"),
            (KeyCode::Char('4'), control, "\x1c"),
            (KeyCode::Char(' '), control, "\0"),
            (KeyCode::Char('x'), KeyModifiers::ALT, "\x1bx"),
            (KeyCode::Enter, none, "\r"),
            (KeyCode::Backspace, none, "\x7f"),
            (KeyCode::Up, none, "\x1b[A"),
            (KeyCode::Left, control, "\x1b[1;5D"),
            (KeyCode::Delete, none, "\x1b[3~"),
            (KeyCode::F(1), none, "\x1bOP"),
            (KeyCode::F(5), none, "\x1b[15~"),
            (KeyCode::F(10), none, "\x1b[21~"),
            (KeyCode::F(12), none, "\x1b[24~"),
            (KeyCode::BackTab, KeyModifiers::SHIFT, "\x1b[Z"),
        ] {
            assert_eq!(sent(code, modifiers), bytes, "{code:?} {modifiers:?}");
        }
        let up = KeyEvent::new(KeyCode::Up, none);
        assert_eq!(bytes_of(up, true).unwrap(), b"\x1bOA");
        assert_eq!(bytes_of(KeyEvent::new(KeyCode::F(99), none), false), None);
    }

    #[test]
    fn paste_ends_lines_as_enter_does_and_cannot_leave_its_marks() {
        assert_eq!(pasted("a\r\nb\nc\x1b[201~\u{9b}", false), b"a\rb\rc[201~");
        assert_eq!(pasted("a\x1b[201~b", true), b"\x1b[200~a[201~b\x1b[201~");
    }
}
