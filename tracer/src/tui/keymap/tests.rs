//! The table of keys.

use super::*;

#[test]
fn bindings_of_one_mode_never_share_a_key() {
    for mode in Mode::ALL {
        let mut seen: Vec<KeyBinding> = Vec::new();
        for key in bindings()
            .filter(|binding| binding.mode == mode)
            .flat_map(|binding| binding.usual)
        {
            assert!(!seen.contains(key), "{mode:?} {key}");
            seen.push(*key);
        }
    }
}

#[test]
fn help_of_every_binding_fits_80_columns() {
    for binding in bindings() {
        assert!(
            label(binding.usual).chars().count() <= 17,
            "{}",
            binding.help
        );
        assert!(binding.help.chars().count() <= 53, "{}", binding.help);
    }
}

#[test]
fn command_with_shift_in_the_modifiers_is_the_capital_letter() {
    let shifted = KeyEvent::new(KeyCode::Char('N'), KeyModifiers::SHIFT);
    assert_eq!(
        command(Mode::Main, shifted),
        Some(KeyCommand::PreviousMatch)
    );
    let back = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
    assert_eq!(command(Mode::Main, back), Some(KeyCommand::PreviousPane));
}

#[test]
fn command_in_the_prompt_leaves_letters_to_the_editor() {
    for c in ('a'..='z').chain('A'..='Z') {
        let event = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
        assert_eq!(command(Mode::Prompt, event), None);
        assert_eq!(command(Mode::Picker, event), None);
    }
}
