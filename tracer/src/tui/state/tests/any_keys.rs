//! Any keys, at any size of the screen.

use proptest::prelude::*;

use super::*;

fn any_action() -> impl Strategy<Value = UiAction> {
    let codes = prop_oneof![
        (0x20u8..0x7f).prop_map(|byte| KeyCode::Char(char::from(byte))),
        Just(KeyCode::Enter),
        Just(KeyCode::Esc),
        Just(KeyCode::Tab),
        Just(KeyCode::BackTab),
        Just(KeyCode::Backspace),
        Just(KeyCode::Up),
        Just(KeyCode::Down),
        Just(KeyCode::Left),
        Just(KeyCode::Right),
        Just(KeyCode::PageUp),
        Just(KeyCode::PageDown),
        Just(KeyCode::Home),
        Just(KeyCode::End),
    ];
    prop_oneof![
        8 => codes.prop_map(|code| UiAction::Edit(KeyEvent::new(code, KeyModifiers::NONE))),
        1 => (0u16..220, 0u16..70).prop_map(|(x, y)| UiAction::Click { x, y }),
        1 => (0u16..220, 0u16..70, -5isize..6).prop_map(|(x, y, lines)| UiAction::Scroll { x, y, lines }),
        1 => (1u16..220, 1u16..70).prop_map(|(width, height)| UiAction::Resize(width, height)),
        1 => Just(()).prop_map(|()| UiAction::Tick),
        1 => ".*".prop_map(UiAction::Paste),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn state_after_any_keys_at_any_size_can_be_drawn(
        size in (1u16..220, 1u16..70),
        actions in proptest::collection::vec(any_action(), 1..60),
    ) {
        let mut desk = Desk::open(size);
        desk.press(KeyCode::Enter);
        for (step, action) in actions.into_iter().enumerate() {
            match action {
                // A key goes the usual way, since its command depends on the screen.
                UiAction::Edit(key) => desk.press(key.code),
                other => desk.act(other),
            }
            desk.now += Duration::from_millis(80);
            let hit = step as u64;
            desk.hit(1, hit + 1..=hit + 1, 18);
            if step % 7 == 0 {
                desk.draw();
            }
        }
        desk.draw();
        prop_assert!(desk.state.events.kept() <= 50);
        prop_assert!(desk.now > desk.start);
    }

    #[test]
    fn busy_screen_at_any_size_can_be_drawn(width in 1u16..60, height in 1u16..30) {
        let mut desk = Desk::open((width, height));
        desk.press(KeyCode::Enter);
        desk.hit(1, 1..=5, 18);
        for keys in ["", "2", "3", "z", "?", "f", ":", "t", "i", "/"] {
            desk.press(KeyCode::Esc);
            desk.keys(keys);
            desk.draw();
        }
    }
}
