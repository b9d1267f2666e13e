//! Keys and what they do: one table that dispatches and that the help is made from.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What the keys go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The panes.
    Main,
    /// A list with a line to search in it.
    Picker,
    /// A line to type.
    Prompt,
    /// One event, or one probe, in full.
    Detail,
    /// The help.
    Help,
}

impl Mode {
    /// All, in the order of the help.
    pub(super) const ALL: [Self; 5] = [
        Self::Main,
        Self::Picker,
        Self::Prompt,
        Self::Detail,
        Self::Help,
    ];

    /// Heading in the help.
    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Main => "Everywhere",
            Self::Picker => "In a list to pick from",
            Self::Prompt => "While typing a line",
            Self::Detail => "In the full view of an event or a probe",
            Self::Help => "In this help",
        }
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Left,
    Right,
    Activate,
    Template,
    Remove,
    Toggle,
    Edit,
    SilenceAll,
    Inspect,
    Only,
    Files,
    AllFiles,
    GoTo,
    Search,
    NextMatch,
    PreviousMatch,
    NextCode,
    PreviousCode,
    AnyProbe,
    Pause,
    Follow,
    Clear,
    NextPane,
    PreviousPane,
    SourcePane,
    ProbesPane,
    EventsPane,
    Zoom,
    Help,
    Back,
    Quit,
    Complete,
}

/// A key with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(KeyCode, KeyModifiers);

/// One line of the table.
pub(super) struct Binding {
    /// Where it holds.
    pub(super) mode: Mode,
    /// Any of these.
    pub(super) keys: &'static [Key],
    /// What they ask for.
    pub(super) command: Command,
    /// In the help.
    pub(super) help: &'static str,
}

const fn key(code: KeyCode) -> Key {
    Key(code, KeyModifiers::NONE)
}

const fn ch(c: char) -> Key {
    Key(KeyCode::Char(c), KeyModifiers::NONE)
}

const fn ctrl(c: char) -> Key {
    Key(KeyCode::Char(c), KeyModifiers::CONTROL)
}

const fn bind(mode: Mode, keys: &'static [Key], command: Command, help: &'static str) -> Binding {
    Binding {
        mode,
        keys,
        command,
        help,
    }
}

const UP: &[Key] = &[key(KeyCode::Up), ch('k')];
const DOWN: &[Key] = &[key(KeyCode::Down), ch('j')];
const PAGE_UP: &[Key] = &[key(KeyCode::PageUp), ctrl('u')];
const PAGE_DOWN: &[Key] = &[key(KeyCode::PageDown), ctrl('d')];
const TOP: &[Key] = &[key(KeyCode::Home)];
const BOTTOM: &[Key] = &[key(KeyCode::End), ch('G')];
const LEFT: &[Key] = &[key(KeyCode::Left), ch('h')];
const RIGHT: &[Key] = &[key(KeyCode::Right), ch('l')];
const ENTER: &[Key] = &[key(KeyCode::Enter)];
const ESCAPE: &[Key] = &[key(KeyCode::Esc)];

/// Every key.
pub(super) static BINDINGS: &[Binding] = &[
    bind(
        Mode::Main,
        ENTER,
        Command::Activate,
        "source: logpoint; probes: go to; events: show in full",
    ),
    bind(
        Mode::Main,
        &[ch('t')],
        Command::Template,
        "logpoint on this line with a message of your own",
    ),
    bind(
        Mode::Main,
        &[ch(':')],
        Command::AnyProbe,
        "type any probe (log, count, … if …), or a line number",
    ),
    bind(Mode::Main, &[ch('e')], Command::Edit, "edit the probe"),
    bind(
        Mode::Main,
        &[ch(' ')],
        Command::Toggle,
        "silence or wake the probe",
    ),
    bind(
        Mode::Main,
        &[ch('d'), key(KeyCode::Delete)],
        Command::Remove,
        "remove the probe",
    ),
    bind(
        Mode::Main,
        &[ch('x')],
        Command::SilenceAll,
        "silence all probes at once, or wake them",
    ),
    bind(
        Mode::Main,
        &[ch('i')],
        Command::Inspect,
        "everything about the probe, with its last values",
    ),
    bind(
        Mode::Main,
        &[ch('o')],
        Command::Only,
        "show only this probe's events, or all again",
    ),
    bind(
        Mode::Main,
        &[ch('f'), ctrl('p')],
        Command::Files,
        "open a source file",
    ),
    bind(Mode::Main, &[ch('g')], Command::GoTo, "go to a line"),
    bind(
        Mode::Main,
        &[ch('/')],
        Command::Search,
        "source: search; events: filter (words, @probe)",
    ),
    bind(Mode::Main, &[ch('n')], Command::NextMatch, "next match"),
    bind(
        Mode::Main,
        &[ch('N')],
        Command::PreviousMatch,
        "previous match",
    ),
    bind(
        Mode::Main,
        &[ch(']')],
        Command::NextCode,
        "next line that can be probed",
    ),
    bind(
        Mode::Main,
        &[ch('[')],
        Command::PreviousCode,
        "previous line that can be probed",
    ),
    bind(
        Mode::Main,
        &[ch('p')],
        Command::Pause,
        "hold the events still, or let them go on",
    ),
    bind(
        Mode::Main,
        &[ch('F')],
        Command::Follow,
        "follow the newest event",
    ),
    bind(Mode::Main, &[ch('c')], Command::Clear, "clear the events"),
    bind(Mode::Main, UP, Command::Up, "up"),
    bind(Mode::Main, DOWN, Command::Down, "down"),
    bind(Mode::Main, PAGE_UP, Command::PageUp, "a page up"),
    bind(Mode::Main, PAGE_DOWN, Command::PageDown, "a page down"),
    bind(Mode::Main, TOP, Command::Home, "to the top"),
    bind(Mode::Main, BOTTOM, Command::End, "to the bottom"),
    bind(Mode::Main, LEFT, Command::Left, "scroll left"),
    bind(Mode::Main, RIGHT, Command::Right, "scroll right"),
    bind(
        Mode::Main,
        &[key(KeyCode::Tab)],
        Command::NextPane,
        "next pane",
    ),
    bind(
        Mode::Main,
        &[key(KeyCode::BackTab)],
        Command::PreviousPane,
        "previous pane",
    ),
    bind(Mode::Main, &[ch('1')], Command::SourcePane, "to the source"),
    bind(Mode::Main, &[ch('2')], Command::ProbesPane, "to the probes"),
    bind(Mode::Main, &[ch('3')], Command::EventsPane, "to the events"),
    bind(
        Mode::Main,
        &[ch('z')],
        Command::Zoom,
        "this pane on the whole screen, or all of them",
    ),
    bind(
        Mode::Main,
        ESCAPE,
        Command::Back,
        "drop search, filter and zoom",
    ),
    bind(
        Mode::Main,
        &[ch('?'), key(KeyCode::F(1))],
        Command::Help,
        "this help",
    ),
    bind(
        Mode::Main,
        &[ch('q'), ctrl('c')],
        Command::Quit,
        "quit; nothing stays in the target",
    ),
    bind(
        Mode::Picker,
        &[key(KeyCode::Up), ctrl('p'), ctrl('k')],
        Command::Up,
        "up",
    ),
    bind(
        Mode::Picker,
        &[key(KeyCode::Down), ctrl('n'), ctrl('j')],
        Command::Down,
        "down",
    ),
    bind(
        Mode::Picker,
        &[key(KeyCode::PageUp)],
        Command::PageUp,
        "a page up",
    ),
    bind(
        Mode::Picker,
        &[key(KeyCode::PageDown)],
        Command::PageDown,
        "a page down",
    ),
    bind(
        Mode::Picker,
        &[ctrl('a')],
        Command::AllFiles,
        "files of libraries and packages, too",
    ),
    bind(Mode::Picker, ENTER, Command::Activate, "take it"),
    bind(Mode::Picker, ESCAPE, Command::Back, "leave it"),
    bind(Mode::Picker, &[ctrl('c')], Command::Quit, "quit"),
    bind(Mode::Prompt, ENTER, Command::Activate, "do it"),
    bind(
        Mode::Prompt,
        &[key(KeyCode::Tab)],
        Command::Complete,
        "complete the variable's or the probe's word",
    ),
    bind(
        Mode::Prompt,
        &[key(KeyCode::Up)],
        Command::Up,
        "what was typed before",
    ),
    bind(
        Mode::Prompt,
        &[key(KeyCode::Down)],
        Command::Down,
        "what was typed after",
    ),
    bind(Mode::Prompt, ESCAPE, Command::Back, "leave it"),
    bind(Mode::Prompt, &[ctrl('c')], Command::Quit, "quit"),
    bind(Mode::Detail, UP, Command::Up, "up"),
    bind(Mode::Detail, DOWN, Command::Down, "down"),
    bind(Mode::Detail, PAGE_UP, Command::PageUp, "a page up"),
    bind(
        Mode::Detail,
        &[key(KeyCode::PageDown), ctrl('d'), ch(' ')],
        Command::PageDown,
        "a page down",
    ),
    bind(Mode::Detail, TOP, Command::Home, "to the top"),
    bind(Mode::Detail, BOTTOM, Command::End, "to the bottom"),
    bind(Mode::Detail, LEFT, Command::Left, "the event before"),
    bind(Mode::Detail, RIGHT, Command::Right, "the event after"),
    bind(
        Mode::Detail,
        &[key(KeyCode::Esc), key(KeyCode::Enter), ch('q'), ch('i')],
        Command::Back,
        "back",
    ),
    bind(Mode::Detail, &[ctrl('c')], Command::Quit, "quit"),
    bind(Mode::Help, UP, Command::Up, "up"),
    bind(Mode::Help, DOWN, Command::Down, "down"),
    bind(Mode::Help, PAGE_UP, Command::PageUp, "a page up"),
    bind(
        Mode::Help,
        &[key(KeyCode::PageDown), ctrl('d'), ch(' ')],
        Command::PageDown,
        "a page down",
    ),
    bind(Mode::Help, TOP, Command::Home, "to the top"),
    bind(Mode::Help, BOTTOM, Command::End, "to the bottom"),
    bind(
        Mode::Help,
        &[
            key(KeyCode::Esc),
            key(KeyCode::Enter),
            ch('q'),
            ch('?'),
            key(KeyCode::F(1)),
        ],
        Command::Back,
        "back",
    ),
    bind(Mode::Help, &[ctrl('c')], Command::Quit, "quit"),
];

/// The mouse, for the help.
pub(super) const MOUSE: &[(&str, &str)] = &[
    ("wheel", "scroll what is under the pointer"),
    ("click", "select a line, a probe, an event"),
    (
        "double click",
        "logpoint on or off; silence or wake; show in full",
    ),
];

/// What a key means, if anything.
pub(super) fn command(mode: Mode, event: KeyEvent) -> Option<Command> {
    // The character says already whether Shift was down.
    let modifiers = event.modifiers.difference(KeyModifiers::SHIFT);
    let pressed = Key(event.code, modifiers);
    BINDINGS
        .iter()
        .find(|binding| binding.mode == mode && binding.keys.contains(&pressed))
        .map(|binding| binding.command)
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.1.contains(KeyModifiers::CONTROL) {
            f.write_str("Ctrl-")?;
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
            KeyCode::PageUp => f.write_str("PgUp"),
            KeyCode::PageDown => f.write_str("PgDn"),
            KeyCode::BackTab => f.write_str("Shift-Tab"),
            KeyCode::Delete => f.write_str("Del"),
            KeyCode::F(n) => write!(f, "F{n}"),
            code => write!(f, "{code:?}"),
        }
    }
}

/// The keys of a binding as the help shows them.
pub(super) fn label(keys: &[Key]) -> String {
    keys.iter()
        .map(Key::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// First key of a command in a mode, for hints.
pub(super) fn hint(mode: Mode, command: Command) -> String {
    BINDINGS
        .iter()
        .find(|binding| binding.mode == mode && binding.command == command)
        .and_then(|binding| binding.keys.first())
        .map(Key::to_string)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_of_one_mode_never_share_a_key() {
        for mode in Mode::ALL {
            let mut seen: Vec<Key> = Vec::new();
            for key in BINDINGS
                .iter()
                .filter(|binding| binding.mode == mode)
                .flat_map(|binding| binding.keys)
            {
                assert!(!seen.contains(key), "{mode:?} {key}");
                seen.push(*key);
            }
        }
    }

    #[test]
    fn help_of_every_binding_fits_80_columns() {
        for binding in BINDINGS {
            assert!(
                label(binding.keys).chars().count() <= 17,
                "{}",
                binding.help
            );
            assert!(binding.help.chars().count() <= 53, "{}", binding.help);
        }
    }

    #[test]
    fn command_with_shift_in_the_modifiers_is_the_capital_letter() {
        let shifted = KeyEvent::new(KeyCode::Char('N'), KeyModifiers::SHIFT);
        assert_eq!(command(Mode::Main, shifted), Some(Command::PreviousMatch));
        let back = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(command(Mode::Main, back), Some(Command::PreviousPane));
    }

    #[test]
    fn command_in_the_prompt_leaves_letters_to_the_editor() {
        for c in ('a'..='z').chain('A'..='Z') {
            let event = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
            assert_eq!(command(Mode::Prompt, event), None);
            assert_eq!(command(Mode::Picker, event), None);
        }
    }
}
