//! The clipboard of the user's terminal, wherever that is.
//!
//! The sequence OSC 52 carries the text in base64, so that nothing in the text reaches the terminal as
//! an escape. tmux passes it on if its option `set-clipboard` is `on`, and the same sequence in an
//! envelope if `allow-passthrough` is `on`. Both are off by default in some of its versions, so both
//! forms are sent.

use std::env;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The sequences that copy a text.
pub(in crate::tui) fn sequences(text: &str) -> String {
    let in_tmux = env::var_os("TMUX").is_some_and(|value| !value.is_empty());
    for_terminal(text, in_tmux)
}

fn for_terminal(text: &str, in_tmux: bool) -> String {
    let copy = format!("\x1b]52;c;{}\x07", STANDARD.encode(text));
    if in_tmux {
        let inside = copy.replace('\x1b', "\x1b\x1b");
        format!("{copy}\x1bPtmux;{inside}\x1b\\")
    } else {
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_with_escapes_is_only_base64_in_the_sequence() {
        assert_eq!(
            for_terminal("a\x1b]52;c;x\x07", false),
            "\x1b]52;c;YRtdNTI7Yzt4Bw==\x07"
        );
    }

    #[test]
    fn sequence_for_tmux_is_sent_in_an_envelope_too() {
        assert_eq!(
            for_terminal("hi", true),
            "\x1b]52;c;aGk=\x07\x1bPtmux;\x1b\x1b]52;c;aGk=\x07\x1b\\"
        );
    }
}
