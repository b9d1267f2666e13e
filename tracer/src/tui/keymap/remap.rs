//! The keys in use: the usual ones, and those that the user has chosen.

use std::sync::{LazyLock, OnceLock};

use crossterm::event::{KeyEvent, KeyModifiers};

use super::{Binding, KeyBinding, KeyCommand, Mode, ctrl};
use crate::base::suggestions::near_names;

/// The keys of the configuration, once the terminal UI is open.
static CHOSEN: OnceLock<Keymap> = OnceLock::new();
/// All lines of the table.
static TABLE: LazyLock<Vec<&Binding>> = LazyLock::new(|| super::bindings().collect());
static USUAL: LazyLock<Keymap> = LazyLock::new(Keymap::default);

/// The keys of each command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    /// Of each line of the table.
    keys: Vec<Vec<KeyBinding>>,
}

/// Other keys for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRemap {
    /// The mode in which they hold: `main`, `picker`, `prompt`, ….
    pub mode: String,
    /// The command, such as `next-pane`.
    pub command: String,
    /// All of its keys. None takes the command's keys away.
    pub keys: Vec<String>,
}

/// Why keys cannot be chosen so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemapError {
    /// The number of the entry, from 0.
    pub entry: usize,
    /// The part of the entry.
    pub part: RemapPart,
    /// Lower case, no full stop.
    pub message: String,
    /// Advice.
    pub hint: Option<String>,
}

/// A part of a [`KeyRemap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemapPart {
    /// The mode.
    Mode,
    /// The command.
    Command,
    /// One of the keys, from 0.
    Key(usize),
}

impl Default for Keymap {
    fn default() -> Self {
        let keys = TABLE.iter().map(|binding| binding.usual.to_vec());
        Self {
            keys: keys.collect(),
        }
    }
}

impl Keymap {
    /// The usual keys, with these changes.
    ///
    /// # Errors
    /// A name is unknown, a key has two commands, or there would be no way out.
    pub fn remapped(remaps: &[KeyRemap]) -> Result<Self, RemapError> {
        let mut keymap = Self::default();
        let mut places = Vec::new();
        for (entry, remap) in remaps.iter().enumerate() {
            let place = place(entry, remap)?;
            let keys = keys(entry, remap, TABLE[place])?;
            if let Some(slot) = keymap.keys.get_mut(place) {
                *slot = keys;
            }
            places.push(place);
        }
        for (entry, place) in places.into_iter().enumerate() {
            keymap.check_conflicts(entry, place)?;
        }
        Ok(keymap)
    }

    /// Checks that the keys of an entry have no other command.
    fn check_conflicts(&self, entry: usize, place: usize) -> Result<(), RemapError> {
        let mode = TABLE[place].mode;
        for (at, key) in self.keys[place].iter().enumerate() {
            let mut others = TABLE.iter().zip(&self.keys).enumerate();
            let other = others.find(|(other, (binding, keys))| {
                *other != place && binding.mode == mode && keys.contains(key)
            });
            if let Some((_, (other, _))) = other {
                let name = command_name(other.command);
                let part = RemapPart::Key(at);
                let message = match key.is_interrupt() {
                    true => format!("`{key}` always quits"),
                    false => format!("`{key}` is the key of `{name}` already"),
                };
                let hint = (!key.is_interrupt())
                    .then(|| format!("give `{name}` another key too, as in `{name} = \"F9\"`"));
                return Err(RemapError {
                    entry,
                    part,
                    message,
                    hint,
                });
            }
        }
        Ok(())
    }

    /// The keys of a command in a mode.
    pub(super) fn keys(&self, mode: Mode, command: KeyCommand) -> &[KeyBinding] {
        let mut bindings = TABLE.iter().zip(&self.keys);
        let found =
            bindings.find(|(binding, _)| binding.mode == mode && binding.command == command);
        found.map_or(&[], |(_, keys)| keys)
    }

    /// The command of a key in a mode.
    pub(super) fn command(&self, mode: Mode, event: KeyEvent) -> Option<KeyCommand> {
        // The character already shows whether Shift was down.
        let modifiers = event.modifiers.difference(KeyModifiers::SHIFT);
        let of = |pressed: KeyBinding| {
            let mut bindings = TABLE.iter().zip(&self.keys);
            let found =
                bindings.find(|(binding, keys)| binding.mode == mode && keys.contains(&pressed));
            found.map(|(binding, _)| binding.command)
        };
        of(KeyBinding(event.code, event.modifiers))
            .or_else(|| of(KeyBinding(event.code, modifiers)))
    }
}

/// The keys that are in use.
pub(super) fn active() -> &'static Keymap {
    CHOSEN.get().unwrap_or(&USUAL)
}

pub(super) fn activate(keymap: Keymap) {
    // The choice of processes comes before the session, with the same keys.
    let _ = CHOSEN.set(keymap);
}

/// The line of the table that an entry is about.
fn place(entry: usize, remap: &KeyRemap) -> Result<usize, RemapError> {
    let error = |part, message: String, hint: Option<String>| RemapError {
        entry,
        part,
        message,
        hint,
    };
    let modes = Mode::ALL.map(mode_name);
    let mode = Mode::ALL
        .into_iter()
        .find(|mode| mode_name(*mode) == remap.mode);
    let Some(mode) = mode else {
        let message = format!("there are no keys of `{}`", remap.mode);
        return Err(error(RemapPart::Mode, message, near(&remap.mode, &modes)));
    };
    let of_mode = TABLE.iter().enumerate();
    let of_mode: Vec<(usize, String)> = of_mode
        .filter(|(_, binding)| binding.mode == mode)
        .map(|(place, binding)| (place, command_name(binding.command)))
        .collect();
    let found = of_mode.iter().find(|(_, name)| *name == remap.command);
    found.map(|(place, _)| *place).ok_or_else(|| {
        let names: Vec<String> = of_mode.into_iter().map(|(_, name)| name).collect();
        let message = format!("there is no command `{}`", remap.command);
        error(RemapPart::Command, message, near(&remap.command, &names))
    })
}

/// The keys of an entry.
fn keys(entry: usize, remap: &KeyRemap, binding: &Binding) -> Result<Vec<KeyBinding>, RemapError> {
    let error = |part, message: String| RemapError {
        entry,
        part,
        message,
        hint: None,
    };
    // Without these there is no way out, or none to use the list or the line.
    let is_needed = matches!(
        binding.command,
        KeyCommand::Back | KeyCommand::LeaveProgram | KeyCommand::Activate
    );
    if remap.keys.is_empty() && is_needed {
        let message = format!("`{}` needs a key", remap.command);
        return Err(error(RemapPart::Command, message));
    }
    let mut keys = Vec::new();
    for (at, name) in remap.keys.iter().enumerate() {
        let key = KeyBinding::parse(name).map_err(|why| error(RemapPart::Key(at), why))?;
        let why = match binding.mode {
            mode if mode.takes_text() && key.is_typed() => Some("is text there"),
            Mode::Program if key.is_typed() || key.is_interrupt() => Some("is for the program"),
            _ => None,
        };
        if let Some(why) = why {
            return Err(error(RemapPart::Key(at), format!("`{key}` {why}")));
        }
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    // Ctrl-C quits, whatever else does.
    if binding.command == KeyCommand::Quit && !keys.contains(&ctrl('c')) {
        keys.push(ctrl('c'));
    }
    Ok(keys)
}

/// The nearest name, or all of them.
fn near(name: &str, names: &[String]) -> Option<String> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Some(match near_names(name, names.iter().copied()).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", names.join(", ")),
    })
}

/// The name of a command in the configuration file: `next-pane`.
pub(super) fn command_name(command: KeyCommand) -> String {
    kebab(&format!("{command:?}"))
}

/// The name of a mode in the configuration file: `picker`.
pub(super) fn mode_name(mode: Mode) -> String {
    kebab(&format!("{mode:?}"))
}

fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(c.to_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyCode;

    use super::*;

    fn remap(mode: &str, command: &str, keys: &[&str]) -> KeyRemap {
        KeyRemap {
            mode: mode.into(),
            command: command.into(),
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
        }
    }

    fn pressed(keymap: &Keymap, mode: Mode, key: &str) -> Option<KeyCommand> {
        let KeyBinding(code, modifiers) = KeyBinding::parse(key).expect("a key");
        keymap.command(mode, KeyEvent::new(code, modifiers))
    }

    #[test]
    fn command_has_its_new_keys_and_not_its_usual_ones() {
        let keymap = Keymap::remapped(&[
            remap("main", "remove", &["X", "Ctrl-X"]),
            remap("main", "next-pane", &["b"]),
        ])
        .expect("they are free");
        for (key, command) in [
            ("X", Some(KeyCommand::Remove)),
            ("Ctrl-X", Some(KeyCommand::Remove)),
            ("d", None),
            ("b", Some(KeyCommand::NextPane)),
            ("Tab", None),
            ("x", Some(KeyCommand::SilenceAll)),
        ] {
            assert_eq!(pressed(&keymap, Mode::Main, key), command, "{key}");
        }
        // Other modes keep theirs.
        assert_eq!(
            pressed(&keymap, Mode::Prompt, "Tab"),
            Some(KeyCommand::Complete)
        );
        assert_eq!(
            keymap.keys(Mode::Main, KeyCommand::Remove)[0],
            super::super::ch('X')
        );
    }

    #[test]
    fn two_commands_can_exchange_their_keys() {
        let keymap = Keymap::remapped(&[
            remap("main", "pause", &["c"]),
            remap("main", "clear", &["p"]),
        ])
        .expect("each key has one command");
        assert_eq!(pressed(&keymap, Mode::Main, "c"), Some(KeyCommand::Pause));
        assert_eq!(pressed(&keymap, Mode::Main, "p"), Some(KeyCommand::Clear));
    }

    #[test]
    fn control_c_quits_whatever_else_does() {
        let keymap = Keymap::remapped(&[remap("main", "quit", &["Q"])]).expect("it is free");
        for key in ["Q", "Ctrl-C"] {
            assert_eq!(pressed(&keymap, Mode::Main, key), Some(KeyCommand::Quit));
        }
        assert_eq!(pressed(&keymap, Mode::Main, "q"), None);
        let none = Keymap::remapped(&[remap("main", "quit", &[])]).expect("Ctrl-C is left");
        assert_eq!(pressed(&none, Mode::Main, "Ctrl-C"), Some(KeyCommand::Quit));
    }

    #[test]
    fn mistakes_name_the_entry_and_what_is_near() {
        let hint = Some("give `clear` another key too, as in `clear = \"F9\"`");
        for (remaps, part, message, hint) in [
            (
                &[remap("main", "pause", &["F5", "c"])][..],
                RemapPart::Key(1),
                "`c` is the key of `clear` already",
                hint,
            ),
            (
                &[remap("main", "pause", &["Ctrl-C"])],
                RemapPart::Key(0),
                "`Ctrl-C` always quits",
                None,
            ),
            (
                &[remap("main", "puase", &["P"])],
                RemapPart::Command,
                "there is no command `puase`",
                Some("did you mean `pause`?"),
            ),
            (
                &[remap("pickr", "up", &["P"])],
                RemapPart::Mode,
                "there are no keys of `pickr`",
                Some("did you mean `picker`?"),
            ),
            (
                &[remap("leave", "up", &["P"])],
                RemapPart::Command,
                "there is no command `up`",
                Some("there are activate, end-program, back"),
            ),
            (
                &[remap("picker", "up", &["k"])],
                RemapPart::Key(0),
                "`k` is text there",
                None,
            ),
            (
                &[remap("program", "leave-program", &["q"])],
                RemapPart::Key(0),
                "`q` is for the program",
                None,
            ),
            (
                &[remap("targets", "back", &[])],
                RemapPart::Command,
                "`back` needs a key",
                None,
            ),
        ] {
            let error = Keymap::remapped(remaps).expect_err(message);
            assert_eq!((error.entry, error.part), (0, part), "{message}");
            assert_eq!(error.message, message);
            assert_eq!(error.hint.as_deref(), hint);
        }
    }

    #[test]
    fn command_of_a_mode_has_one_line_in_the_table() {
        for (at, one) in TABLE.iter().enumerate() {
            let same = |other: &&&Binding| (other.mode, other.command) == (one.mode, one.command);
            assert!(
                !TABLE[at + 1..].iter().any(|other| same(&other)),
                "{}",
                one.help
            );
        }
    }

    #[test]
    fn page_on_the_terminal_ui_lists_every_command_that_can_have_other_keys() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/terminal-ui.md");
        let page = std::fs::read_to_string(page).expect("the page");
        for binding in TABLE.iter() {
            let name = format!("`{}`", command_name(binding.command));
            assert!(page.contains(&name), "docs/terminal-ui.md lacks {name}");
        }
        for mode in Mode::ALL {
            let name = format!("keys.{}]`", mode_name(mode));
            assert!(page.contains(&name), "docs/terminal-ui.md lacks {name}");
        }
    }

    #[test]
    fn usual_keys_are_those_of_the_table() {
        let usual = Keymap::default();
        assert_eq!(Keymap::remapped(&[]), Ok(usual.clone()));
        let escape = KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE);
        assert_eq!(usual.command(Mode::Help, escape), Some(KeyCommand::Back));
    }
}
