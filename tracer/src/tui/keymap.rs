//! Keys and their commands, in one table for both dispatch and help.
//!
//! The table has the usual keys. The user's configuration may give commands other keys
//! ([`Keymap::remapped`]).

mod event;
mod help;
mod remap;
mod stepping;
#[cfg(test)]
mod tests;
mod text;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub(super) use help::{HelpPlace, help};
pub use remap::{KeyRemap, Keymap, RemapError, RemapPart};

/// The part of the screen that receives the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The panes.
    Main,
    /// A list with a line to search in it.
    Picker,
    /// A line to type.
    Prompt,
    /// The list of targets.
    Targets,
    /// One event in full.
    Event,
    /// A text to search for in an event.
    EventSearch,
    /// A traced call, step by step.
    Steps,
    /// A line to type in it.
    StepsPrompt,
    /// One probe in full.
    Detail,
    /// Keys go to the program.
    Program,
    /// The program runs, and the user wants to quit.
    Leave,
    /// The help.
    Help,
}

impl Mode {
    /// All, in the order of the help.
    pub(super) const ALL: [Self; 12] = [
        Self::Main,
        Self::Picker,
        Self::Prompt,
        Self::Targets,
        Self::Event,
        Self::EventSearch,
        Self::Steps,
        Self::StepsPrompt,
        Self::Detail,
        Self::Program,
        Self::Leave,
        Self::Help,
    ];

    /// Returns true if keys with a character are text.
    pub(super) const fn takes_text(self) -> bool {
        matches!(
            self,
            Self::Picker | Self::Prompt | Self::EventSearch | Self::StepsPrompt
        )
    }

    /// Heading in the help.
    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Main => "Everywhere",
            Self::Picker => "In a list",
            Self::Prompt => "While typing",
            Self::Targets => "In the list of targets",
            Self::Event => "In an event",
            Self::EventSearch => "While searching in an event",
            Self::Steps => "In the steps of a traced call",
            Self::StepsPrompt => "While typing in the steps",
            Self::Detail => "In the details of a probe",
            Self::Program => "While keys go to the program",
            Self::Leave => "At the end, while the program runs",
            Self::Help => "In this help",
        }
    }
}

/// The command of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyCommand {
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
    Watch,
    Remove,
    Toggle,
    Edit,
    SilenceAll,
    Inspect,
    Only,
    Files,
    Targets,
    AllFiles,
    Sort,
    GoTo,
    Search,
    NextMatch,
    PreviousMatch,
    NextCode,
    PreviousCode,
    AnyProbe,
    Mend,
    WriteProbes,
    ExportEvents,
    Undo,
    Pause,
    Follow,
    Clear,
    Earlier,
    Later,
    NextPane,
    PreviousPane,
    SourcePane,
    ProbesPane,
    EventsPane,
    ResultsPane,
    ProgramPane,
    NextView,
    PreviousView,
    Compare,
    LogScale,
    Shorter,
    Longer,
    StartProgram,
    TypeToProgram,
    LeaveProgram,
    EndProgram,
    Zoom,
    Help,
    Back,
    Quit,
    Complete,
    UnfoldAll,
    FoldAll,
    PreviousEvent,
    NextEvent,
    ValuesTab,
    StackTab,
    RawTab,
    Hex,
    Types,
    Copy,
    CopyAll,
    OpenSource,
    EditSource,
    CompleteBack,
    StepOver,
    StepOverBack,
    StepInto,
    StepIntoBack,
    StepOut,
    StepOutBack,
    NextPass,
    PreviousPass,
    NextPassAnywhere,
    PreviousPassAnywhere,
    NextChange,
    PreviousChange,
    NextDifference,
    PreviousDifference,
    NextCall,
    PreviousCall,
}

/// A key with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyBinding(KeyCode, KeyModifiers);

/// One line of the table.
pub(super) struct Binding {
    /// The mode in which it holds.
    pub(super) mode: Mode,
    /// Any of these, unless the user has chosen others: [`Binding::keys`].
    usual: &'static [KeyBinding],
    /// Their command.
    pub(super) command: KeyCommand,
    /// In the help.
    pub(super) help: &'static str,
}

const fn key(code: KeyCode) -> KeyBinding {
    KeyBinding(code, KeyModifiers::NONE)
}

const fn ch(c: char) -> KeyBinding {
    KeyBinding(KeyCode::Char(c), KeyModifiers::NONE)
}

const fn ctrl(c: char) -> KeyBinding {
    KeyBinding(KeyCode::Char(c), KeyModifiers::CONTROL)
}

const fn bind(
    mode: Mode,
    keys: &'static [KeyBinding],
    command: KeyCommand,
    help: &'static str,
) -> Binding {
    Binding {
        mode,
        usual: keys,
        command,
        help,
    }
}

const UP: &[KeyBinding] = &[key(KeyCode::Up), ch('k')];
const DOWN: &[KeyBinding] = &[key(KeyCode::Down), ch('j')];
const PAGE_UP: &[KeyBinding] = &[key(KeyCode::PageUp), ctrl('u')];
const PAGE_DOWN: &[KeyBinding] = &[key(KeyCode::PageDown), ctrl('d')];
const TOP: &[KeyBinding] = &[key(KeyCode::Home)];
const BOTTOM: &[KeyBinding] = &[key(KeyCode::End), ch('G')];
const LEFT: &[KeyBinding] = &[key(KeyCode::Left), ch('h')];
const RIGHT: &[KeyBinding] = &[key(KeyCode::Right), ch('l')];
const ENTER: &[KeyBinding] = &[key(KeyCode::Enter)];
const ESCAPE: &[KeyBinding] = &[key(KeyCode::Esc)];

/// The keys of all modes but those of an event and of a traced call.
static BINDINGS: &[Binding] = &[
    bind(
        Mode::Main,
        ENTER,
        KeyCommand::Activate,
        "source: logpoint; probes: go to; events: show in full",
    ),
    bind(
        Mode::Main,
        &[ch('t')],
        KeyCommand::Template,
        "logpoint on this line with your own message",
    ),
    bind(
        Mode::Main,
        &[ch('a')],
        KeyCommand::Watch,
        "watch a variable: who accesses it",
    ),
    bind(
        Mode::Main,
        &[ch(':')],
        KeyCommand::AnyProbe,
        "type any probe (log, count, … if …), or a line number",
    ),
    bind(Mode::Main, &[ch('e')], KeyCommand::Edit, "edit the probe"),
    bind(
        Mode::Main,
        &[ch('m')],
        KeyCommand::Mend,
        "mend the text of a probe that was refused",
    ),
    bind(
        Mode::Main,
        &[ch(' ')],
        KeyCommand::Toggle,
        "silence or wake the probe",
    ),
    bind(
        Mode::Main,
        &[ch('d'), key(KeyCode::Delete)],
        KeyCommand::Remove,
        "remove the probe",
    ),
    bind(
        Mode::Main,
        &[ch('x')],
        KeyCommand::SilenceAll,
        "silence all probes at once, or wake them",
    ),
    bind(
        Mode::Main,
        &[ch('u'), ctrl('z')],
        KeyCommand::Undo,
        "undo what removed, changed or cleared something",
    ),
    bind(
        Mode::Main,
        &[ch('w')],
        KeyCommand::WriteProbes,
        "write the probes to a file, for -f",
    ),
    bind(
        Mode::Main,
        &[ch('W')],
        KeyCommand::ExportEvents,
        "export the events that are shown: json, csv, …",
    ),
    bind(
        Mode::Main,
        &[ch('i')],
        KeyCommand::Inspect,
        "details of the probe, with its last values",
    ),
    bind(
        Mode::Main,
        &[ch('o')],
        KeyCommand::Only,
        "show only this probe's events, or all again",
    ),
    bind(
        Mode::Main,
        &[ch('f'), ctrl('p')],
        KeyCommand::Files,
        "open a source file",
    ),
    bind(
        Mode::Main,
        &[ch('T')],
        KeyCommand::Targets,
        "the processes that are probed",
    ),
    bind(
        Mode::Main,
        &[ch('g')],
        KeyCommand::GoTo,
        "go to a line; tracer view: to a time or an event",
    ),
    bind(
        Mode::Main,
        &[ch('/')],
        KeyCommand::Search,
        "source: search; events: filter (words, @probe, pid:N)",
    ),
    bind(Mode::Main, &[ch('n')], KeyCommand::NextMatch, "next match"),
    bind(
        Mode::Main,
        &[ch('N')],
        KeyCommand::PreviousMatch,
        "previous match",
    ),
    bind(
        Mode::Main,
        &[ch(']')],
        KeyCommand::NextCode,
        "next line that can be probed",
    ),
    bind(
        Mode::Main,
        &[ch('[')],
        KeyCommand::PreviousCode,
        "previous line that can be probed",
    ),
    bind(
        Mode::Main,
        &[ch('p')],
        KeyCommand::Pause,
        "pause or resume the events",
    ),
    bind(
        Mode::Main,
        &[ch('F')],
        KeyCommand::Follow,
        "follow the newest event",
    ),
    bind(
        Mode::Main,
        &[ch('c')],
        KeyCommand::Clear,
        "clear the events",
    ),
    bind(
        Mode::Main,
        &[ch('y')],
        KeyCommand::Copy,
        "copy the message of the event, or the line",
    ),
    bind(
        Mode::Main,
        &[ch('Y')],
        KeyCommand::CopyAll,
        "copy the event as JSON",
    ),
    bind(
        Mode::Main,
        &[ch('E')],
        KeyCommand::EditSource,
        "open the line in $VISUAL or $EDITOR",
    ),
    bind(
        Mode::Main,
        &[ch('{')],
        KeyCommand::Earlier,
        "tracer view: a twentieth of the recording back",
    ),
    bind(
        Mode::Main,
        &[ch('}')],
        KeyCommand::Later,
        "tracer view: a twentieth of the recording on",
    ),
    bind(Mode::Main, UP, KeyCommand::Up, "up"),
    bind(Mode::Main, DOWN, KeyCommand::Down, "down"),
    bind(Mode::Main, PAGE_UP, KeyCommand::PageUp, "a page up"),
    bind(Mode::Main, PAGE_DOWN, KeyCommand::PageDown, "a page down"),
    bind(Mode::Main, TOP, KeyCommand::Home, "to the top"),
    bind(Mode::Main, BOTTOM, KeyCommand::End, "to the bottom"),
    bind(Mode::Main, LEFT, KeyCommand::Left, "scroll left"),
    bind(Mode::Main, RIGHT, KeyCommand::Right, "scroll right"),
    bind(
        Mode::Main,
        &[key(KeyCode::Tab)],
        KeyCommand::NextPane,
        "next pane",
    ),
    bind(
        Mode::Main,
        &[key(KeyCode::BackTab)],
        KeyCommand::PreviousPane,
        "previous pane",
    ),
    bind(
        Mode::Main,
        &[ch('1')],
        KeyCommand::SourcePane,
        "to the source",
    ),
    bind(
        Mode::Main,
        &[ch('2')],
        KeyCommand::ProbesPane,
        "to the probes",
    ),
    bind(
        Mode::Main,
        &[ch('3')],
        KeyCommand::EventsPane,
        "to the events",
    ),
    bind(
        Mode::Main,
        &[ch('4')],
        KeyCommand::ResultsPane,
        "to the results of the selected probe",
    ),
    bind(
        Mode::Main,
        &[ch('5')],
        KeyCommand::ProgramPane,
        "tracer run: to the program's output",
    ),
    bind(
        Mode::Main,
        &[ch('v')],
        KeyCommand::NextView,
        "results: show them, then the next view of them",
    ),
    bind(
        Mode::Main,
        &[ch('V')],
        KeyCommand::PreviousView,
        "results: the view before, or back",
    ),
    bind(
        Mode::Main,
        &[ch('=')],
        KeyCommand::Compare,
        "results: keep this number in the plots, or drop it",
    ),
    bind(
        Mode::Main,
        &[ch('L')],
        KeyCommand::LogScale,
        "results: bars on a logarithmic scale, or not",
    ),
    bind(
        Mode::Main,
        &[ch('+')],
        KeyCommand::Shorter,
        "results: plots of a shorter time",
    ),
    bind(
        Mode::Main,
        &[ch('-')],
        KeyCommand::Longer,
        "results: plots of a longer time",
    ),
    bind(
        Mode::Main,
        &[ch('r')],
        KeyCommand::StartProgram,
        "tracer run: start the program",
    ),
    bind(
        Mode::Main,
        &[ch('>')],
        KeyCommand::TypeToProgram,
        "tracer run: keys go to the program",
    ),
    bind(
        Mode::Main,
        &[ch('z')],
        KeyCommand::Zoom,
        "zoom this pane, or show all panes",
    ),
    bind(
        Mode::Main,
        ESCAPE,
        KeyCommand::Back,
        "clear search, filter and zoom",
    ),
    bind(
        Mode::Main,
        &[ch('?'), key(KeyCode::F(1))],
        KeyCommand::Help,
        "this help",
    ),
    bind(
        Mode::Main,
        &[ch('q'), ctrl('c')],
        KeyCommand::Quit,
        "quit; nothing stays in the target",
    ),
    bind(
        Mode::Picker,
        &[key(KeyCode::Up), ctrl('p'), ctrl('k')],
        KeyCommand::Up,
        "up",
    ),
    bind(
        Mode::Picker,
        &[key(KeyCode::Down), ctrl('n'), ctrl('j')],
        KeyCommand::Down,
        "down",
    ),
    bind(
        Mode::Picker,
        &[key(KeyCode::PageUp)],
        KeyCommand::PageUp,
        "a page up",
    ),
    bind(
        Mode::Picker,
        &[key(KeyCode::PageDown)],
        KeyCommand::PageDown,
        "a page down",
    ),
    bind(
        Mode::Picker,
        &[ctrl('a')],
        KeyCommand::AllFiles,
        "files of libraries and packages too",
    ),
    bind(
        Mode::Picker,
        &[ctrl('s')],
        KeyCommand::Sort,
        "processes: sort by the next column",
    ),
    bind(
        Mode::Picker,
        &[key(KeyCode::Tab)],
        KeyCommand::Complete,
        "processes: complete a selector",
    ),
    bind(Mode::Picker, ENTER, KeyCommand::Activate, "take it"),
    bind(Mode::Picker, ESCAPE, KeyCommand::Back, "leave it"),
    bind(Mode::Picker, &[ctrl('c')], KeyCommand::Quit, "quit"),
    bind(Mode::Prompt, ENTER, KeyCommand::Activate, "do it"),
    bind(
        Mode::Prompt,
        &[key(KeyCode::Tab)],
        KeyCommand::Complete,
        "complete the word, or take the next completion",
    ),
    bind(
        Mode::Prompt,
        &[key(KeyCode::BackTab)],
        KeyCommand::CompleteBack,
        "take the completion before",
    ),
    bind(
        Mode::Prompt,
        &[key(KeyCode::Up)],
        KeyCommand::Up,
        "previous input",
    ),
    bind(
        Mode::Prompt,
        &[key(KeyCode::Down)],
        KeyCommand::Down,
        "next input",
    ),
    bind(Mode::Prompt, ESCAPE, KeyCommand::Back, "leave it"),
    bind(Mode::Prompt, &[ctrl('c')], KeyCommand::Quit, "quit"),
    bind(Mode::Targets, UP, KeyCommand::Up, "up"),
    bind(Mode::Targets, DOWN, KeyCommand::Down, "down"),
    bind(Mode::Targets, PAGE_UP, KeyCommand::PageUp, "a page up"),
    bind(
        Mode::Targets,
        PAGE_DOWN,
        KeyCommand::PageDown,
        "a page down",
    ),
    bind(Mode::Targets, TOP, KeyCommand::Home, "to the top"),
    bind(Mode::Targets, BOTTOM, KeyCommand::End, "to the bottom"),
    bind(
        Mode::Targets,
        ENTER,
        KeyCommand::Activate,
        "show only the events of this process",
    ),
    bind(
        Mode::Targets,
        &[ch(' ')],
        KeyCommand::Toggle,
        "show this process's events too, or leave them out",
    ),
    bind(
        Mode::Targets,
        &[ch('o')],
        KeyCommand::Only,
        "show the events of all processes",
    ),
    bind(
        Mode::Targets,
        &[key(KeyCode::Esc), ch('q'), ch('T')],
        KeyCommand::Back,
        "back",
    ),
    bind(Mode::Targets, &[ctrl('c')], KeyCommand::Quit, "quit"),
    bind(Mode::Detail, UP, KeyCommand::Up, "up"),
    bind(Mode::Detail, DOWN, KeyCommand::Down, "down"),
    bind(Mode::Detail, PAGE_UP, KeyCommand::PageUp, "a page up"),
    bind(
        Mode::Detail,
        &[key(KeyCode::PageDown), ctrl('d'), ch(' ')],
        KeyCommand::PageDown,
        "a page down",
    ),
    bind(Mode::Detail, TOP, KeyCommand::Home, "to the top"),
    bind(Mode::Detail, BOTTOM, KeyCommand::End, "to the bottom"),
    bind(
        Mode::Detail,
        &[key(KeyCode::Esc), key(KeyCode::Enter), ch('q'), ch('i')],
        KeyCommand::Back,
        "back",
    ),
    bind(Mode::Detail, &[ctrl('c')], KeyCommand::Quit, "quit"),
    bind(
        Mode::Program,
        // A terminal sends the same byte for both.
        &[ctrl(']'), ctrl('5')],
        KeyCommand::LeaveProgram,
        "back to the panes; all other keys are the program's",
    ),
    bind(
        Mode::Leave,
        ENTER,
        KeyCommand::Activate,
        "quit, the program goes on",
    ),
    bind(
        Mode::Leave,
        &[ch('e')],
        KeyCommand::EndProgram,
        "quit, and ask the program to end (SIGTERM)",
    ),
    bind(Mode::Leave, ESCAPE, KeyCommand::Back, "stay"),
    bind(Mode::Help, UP, KeyCommand::Up, "up"),
    bind(Mode::Help, DOWN, KeyCommand::Down, "down"),
    bind(Mode::Help, PAGE_UP, KeyCommand::PageUp, "a page up"),
    bind(
        Mode::Help,
        &[key(KeyCode::PageDown), ctrl('d'), ch(' ')],
        KeyCommand::PageDown,
        "a page down",
    ),
    bind(Mode::Help, TOP, KeyCommand::Home, "to the top"),
    bind(Mode::Help, BOTTOM, KeyCommand::End, "to the bottom"),
    bind(
        Mode::Help,
        &[
            key(KeyCode::Esc),
            key(KeyCode::Enter),
            ch('q'),
            ch('?'),
            key(KeyCode::F(1)),
        ],
        KeyCommand::Back,
        "back",
    ),
    bind(Mode::Help, &[ctrl('c')], KeyCommand::Quit, "quit"),
];

/// Every key of every mode.
pub(super) fn bindings() -> impl Iterator<Item = &'static Binding> {
    BINDINGS
        .iter()
        .chain(event::BINDINGS)
        .chain(stepping::BINDINGS)
}

/// The mouse, for the help.
pub(super) const MOUSE: &[(&str, &str)] = &[
    ("wheel", "scroll the pane under the pointer"),
    ("click", "select a line, a probe, an event"),
    (
        "double click",
        "logpoint on or off; silence or wake; show in full",
    ),
];

impl Binding {
    /// Any of these keys.
    pub(super) fn keys(&self) -> &'static [KeyBinding] {
        remap::active().keys(self.mode, self.command)
    }
}

/// The command of a key, if any.
pub(super) fn command(mode: Mode, event: KeyEvent) -> Option<KeyCommand> {
    remap::active().command(mode, event)
}

/// Uses these keys from now on, in place of the usual ones. Only the first call has an effect.
pub(super) fn activate(keymap: Keymap) {
    remap::activate(keymap);
}

/// The name of a key that was pressed.
pub(super) fn name(event: KeyEvent) -> String {
    // The character, and the name of Shift-Tab, already show that Shift was down.
    let shows_shift = matches!(event.code, KeyCode::Char(_) | KeyCode::BackTab);
    let modifiers = match shows_shift {
        true => event.modifiers.difference(KeyModifiers::SHIFT),
        false => event.modifiers,
    };
    KeyBinding(event.code, modifiers).to_string()
}

/// The keys of a binding as the help shows them.
pub(super) fn label(keys: &[KeyBinding]) -> String {
    keys.iter()
        .map(KeyBinding::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// First key of a command in a mode, for hints.
pub(super) fn hint(mode: Mode, command: KeyCommand) -> String {
    let keys = remap::active().keys(mode, command);
    keys.first().map(KeyBinding::to_string).unwrap_or_default()
}

/// Hints for the foot of a frame: `Enter opens  ↑↓ choose`. Commands without a key are left out.
pub(super) fn foot(mode: Mode, hints: &[(&[KeyCommand], &str)]) -> String {
    let hints = hints.iter().filter_map(|(commands, what)| {
        let keys = commands.iter().map(|command| hint(mode, *command));
        let keys: Vec<String> = keys.filter(|key| !key.is_empty()).collect();
        let is_short = keys.iter().all(|key| key.chars().count() == 1);
        let keys = keys.join(if is_short { "" } else { "/" });
        (!keys.is_empty()).then(|| format!("{keys} {what}"))
    });
    hints.collect::<Vec<_>>().join("  ")
}
