//! The keys of an event in full.

use crossterm::event::{KeyCode, KeyModifiers};

use super::{
    BOTTOM, Binding, DOWN, ENTER, ESCAPE, KeyBinding, KeyCommand, LEFT, Mode, PAGE_DOWN, PAGE_UP,
    RIGHT, TOP, UP, bind, ch, ctrl, key,
};

const fn shift(code: KeyCode) -> KeyBinding {
    KeyBinding(code, KeyModifiers::SHIFT)
}

const fn event(keys: &'static [KeyBinding], command: KeyCommand, help: &'static str) -> Binding {
    bind(Mode::Event, keys, command, help)
}

/// Every key.
pub(super) static BINDINGS: &[Binding] = &[
    event(UP, KeyCommand::Up, "up"),
    event(DOWN, KeyCommand::Down, "down"),
    event(PAGE_UP, KeyCommand::PageUp, "a page up"),
    event(PAGE_DOWN, KeyCommand::PageDown, "a page down"),
    event(TOP, KeyCommand::Home, "to the top"),
    event(BOTTOM, KeyCommand::End, "to the bottom"),
    event(
        ENTER,
        KeyCommand::Activate,
        "fold or unfold; on a frame's place: open the source",
    ),
    event(&[ch(' ')], KeyCommand::Toggle, "fold or unfold"),
    event(LEFT, KeyCommand::Left, "fold, or go to the part around it"),
    event(RIGHT, KeyCommand::Right, "unfold, or go into it"),
    event(&[ch('*')], KeyCommand::UnfoldAll, "unfold it and all below"),
    event(&[ch('-')], KeyCommand::FoldAll, "fold everything"),
    event(
        &[ch('['), shift(KeyCode::Left)],
        KeyCommand::PreviousEvent,
        "previous event",
    ),
    event(
        &[ch(']'), shift(KeyCode::Right)],
        KeyCommand::NextEvent,
        "next event",
    ),
    event(
        &[ch('s')],
        KeyCommand::StackTab,
        "the stack, with the variables of the callers",
    ),
    event(&[ch('v')], KeyCommand::ValuesTab, "the values"),
    event(
        &[ch('r')],
        KeyCommand::RawTab,
        "the JSON, as the output has it",
    ),
    event(&[key(KeyCode::Tab)], KeyCommand::NextPane, "next tab"),
    event(
        &[key(KeyCode::BackTab)],
        KeyCommand::PreviousPane,
        "previous tab",
    ),
    event(&[ch('x')], KeyCommand::Hex, "hexadecimal, or not"),
    event(&[ch('t')], KeyCommand::Types, "types in full, or short"),
    event(&[ch('/')], KeyCommand::Search, "search names and values"),
    event(&[ch('n')], KeyCommand::NextMatch, "next match"),
    event(&[ch('N')], KeyCommand::PreviousMatch, "previous match"),
    event(&[ch('y')], KeyCommand::Copy, "copy the value"),
    event(&[ch('Y')], KeyCommand::CopyAll, "copy the event as JSON"),
    event(
        &[ch('o')],
        KeyCommand::OpenSource,
        "show the place of the frame or event in the source",
    ),
    event(&[ch('a')], KeyCommand::Watch, "watch the value"),
    event(
        &[ch('E')],
        KeyCommand::EditSource,
        "open this place in $VISUAL or $EDITOR",
    ),
    event(
        &[ch('?'), key(KeyCode::F(1))],
        KeyCommand::Help,
        "the help, with these keys first",
    ),
    event(
        &[key(KeyCode::Esc), ch('q'), ch('i')],
        KeyCommand::Back,
        "back",
    ),
    event(&[ctrl('c')], KeyCommand::Quit, "quit"),
    bind(Mode::EventSearch, ENTER, KeyCommand::Activate, "search"),
    bind(Mode::EventSearch, ESCAPE, KeyCommand::Back, "leave it"),
    bind(Mode::EventSearch, &[ctrl('c')], KeyCommand::Quit, "quit"),
];
