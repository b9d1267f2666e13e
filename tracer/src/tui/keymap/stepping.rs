//! The keys of a traced call that is looked at step by step.

use crossterm::event::{KeyCode, KeyModifiers};

use super::{
    BOTTOM, Binding, DOWN, ENTER, ESCAPE, KeyBinding, KeyCommand, LEFT, Mode, PAGE_DOWN, PAGE_UP,
    RIGHT, TOP, UP, bind, ch, ctrl, key,
};

const fn shift(code: KeyCode) -> KeyBinding {
    KeyBinding(code, KeyModifiers::SHIFT)
}

const fn steps(keys: &'static [KeyBinding], command: KeyCommand, help: &'static str) -> Binding {
    bind(Mode::Steps, keys, command, help)
}

/// Every key.
pub(super) static BINDINGS: &[Binding] = &[
    steps(RIGHT, KeyCommand::Right, "step forward"),
    steps(LEFT, KeyCommand::Left, "step back"),
    steps(
        &[ch('>'), shift(KeyCode::Right), key(KeyCode::F(10))],
        KeyCommand::StepOver,
        "forward, over the calls of this frame",
    ),
    steps(
        &[ch('<'), shift(KeyCode::Left)],
        KeyCommand::StepOverBack,
        "back, over the calls of this frame",
    ),
    steps(
        &[ch('i'), key(KeyCode::F(11))],
        KeyCommand::StepInto,
        "into the next call of this frame",
    ),
    steps(&[ch('I')], KeyCommand::StepIntoBack, "into the call before"),
    steps(
        &[ch('o'), key(KeyCode::F(12))],
        KeyCommand::StepOut,
        "out to the caller, after this call",
    ),
    steps(
        &[ch('O')],
        KeyCommand::StepOutBack,
        "out to the caller, before this call",
    ),
    steps(
        &[ch(']')],
        KeyCommand::NextPass,
        "next pass of this line in this frame",
    ),
    steps(
        &[ch('[')],
        KeyCommand::PreviousPass,
        "pass of this line before, in this frame",
    ),
    steps(
        &[ch('}')],
        KeyCommand::NextPassAnywhere,
        "next pass of this line in any frame",
    ),
    steps(
        &[ch('{')],
        KeyCommand::PreviousPassAnywhere,
        "pass of this line before, in any frame",
    ),
    steps(TOP, KeyCommand::Home, "to the first step"),
    steps(BOTTOM, KeyCommand::End, "to the last step"),
    steps(&[ch('g')], KeyCommand::GoTo, "go to a step by its number"),
    steps(UP, KeyCommand::Up, "select the variable above"),
    steps(DOWN, KeyCommand::Down, "select the variable below"),
    steps(PAGE_UP, KeyCommand::PageUp, "a page of variables up"),
    steps(PAGE_DOWN, KeyCommand::PageDown, "a page of variables down"),
    steps(
        &[ch('C'), ch('b')],
        KeyCommand::PreviousChange,
        "back to where the variable last changed",
    ),
    steps(
        &[ch('c')],
        KeyCommand::NextChange,
        "to where the variable changes next",
    ),
    steps(
        &[ch('v')],
        KeyCommand::NextView,
        "variables, then plot and table of the selected one",
    ),
    steps(&[ch('V')], KeyCommand::PreviousView, "the view before"),
    steps(
        &[ch('/')],
        KeyCommand::Search,
        "find where an expression holds",
    ),
    steps(&[ch('n')], KeyCommand::NextMatch, "the next such step"),
    steps(&[ch('N')], KeyCommand::PreviousMatch, "the one before"),
    steps(
        &[ch('=')],
        KeyCommand::Compare,
        "put another call of the probe beside, or end it",
    ),
    steps(
        &[ch('d')],
        KeyCommand::NextDifference,
        "next difference of the two calls",
    ),
    steps(
        &[ch('D')],
        KeyCommand::PreviousDifference,
        "difference before",
    ),
    steps(&[ch(')')], KeyCommand::NextCall, "next call of the probe"),
    steps(
        &[ch('(')],
        KeyCommand::PreviousCall,
        "call of the probe before",
    ),
    steps(ENTER, KeyCommand::Activate, "the step as an event in full"),
    steps(&[ch('y')], KeyCommand::Copy, "copy the variable"),
    steps(&[ch('a')], KeyCommand::Watch, "watch the variable"),
    steps(&[ch('Y')], KeyCommand::CopyAll, "copy the step as JSON"),
    steps(
        &[ch('E')],
        KeyCommand::EditSource,
        "open the line in $VISUAL or $EDITOR",
    ),
    steps(&[ch('?'), key(KeyCode::F(1))], KeyCommand::Help, "the help"),
    steps(
        &[key(KeyCode::Esc), ch('q')],
        KeyCommand::Back,
        "end the comparison or the plot, or leave",
    ),
    steps(&[ctrl('c')], KeyCommand::Quit, "quit"),
    bind(Mode::StepsPrompt, ENTER, KeyCommand::Activate, "do it"),
    bind(Mode::StepsPrompt, ESCAPE, KeyCommand::Back, "leave it"),
    bind(Mode::StepsPrompt, &[ctrl('c')], KeyCommand::Quit, "quit"),
];
