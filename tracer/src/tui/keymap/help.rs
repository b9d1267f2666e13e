//! The help, made from the key bindings.

use std::sync::LazyLock;

use super::{MOUSE, Mode, bindings, label};

/// The lines of the help: a heading, or keys and their effect.
pub(in crate::tui) static HELP: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let mut lines = vec![(
        String::new(),
        "In the source: · can be probed  ● probed  ○ silenced  ✓ done  ◌ attaching  ◂ latest value"
            .to_owned(),
    )];
    for mode in Mode::ALL {
        lines.push((String::new(), String::new()));
        lines.push((String::new(), mode.heading().to_owned()));
        let bindings = bindings().filter(|binding| binding.mode == mode);
        lines.extend(bindings.map(|binding| (label(binding.keys()), binding.help.to_owned())));
        if mode == Mode::Main {
            lines.extend(
                MOUSE
                    .iter()
                    .map(|(what, does)| ((*what).to_owned(), (*does).to_owned())),
            );
        }
    }
    lines
});

/// Number of lines of the help.
pub(in crate::tui) fn help_len() -> usize {
    HELP.len()
}
