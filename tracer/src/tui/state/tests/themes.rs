//! Every screen in every theme: contrast, the selected row, and the styles themselves.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ratatui::buffer::Cell;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::super::super::theme::contrast::{illegible, own_themes};
use super::super::super::theme::{ColourDepth, TerminalColours, Theme};
use super::*;
use crate::session::playback::Extent;

/// The themes of a terminal with 24-bit colours, with their names.
fn themes() -> Vec<(&'static str, Theme)> {
    let terminal = TerminalColours::with_depth(ColourDepth::TrueColour);
    let all = ThemeChoice::ALL.into_iter().skip(1);
    all.map(|(name, choice)| (name, terminal.theme(choice)))
        .collect()
}

/// A busy session after these keys; `\n` is Enter.
fn after(size: (u16, u16), keys: &str) -> Desk {
    let mut desk = busy(size);
    type_keys(&mut desk, keys);
    desk
}

fn type_keys(desk: &mut Desk, keys: &str) {
    for key in keys.chars() {
        match key {
            '\n' => desk.press(KeyCode::Enter),
            key => desk.press(KeyCode::Char(key)),
        }
    }
}

/// Every kind of screen, with a name.
fn screens() -> Vec<(String, Desk)> {
    let mut screens = Vec::new();
    for size in [(80, 24), (120, 40), (200, 60)] {
        for keys in [
            "",
            "2",
            "2j",
            "3",
            "3kk",
            "3kkk\n",
            "3kk\n",
            "i",
            "T",
            "?",
            "f",
            "fmain",
            "x",
            "z",
            "2 ",
            "/report",
            "/report\n",
            "3/zzz",
            "3/p1\n",
            ":",
            ":log main.rs:18 \"{cur",
            ":log nowhere:1\n",
            "t{curent.x}\n",
            ":theme none\n",
            ":theme nonsense\n",
            "e",
            "g",
            "3p",
            "o",
            "3/nothing\n",
        ] {
            screens.push((
                format!("`{}` at {size:?}", keys.escape_debug()),
                after(size, keys),
            ));
        }
        for keys in ["3kk\n/last", "3kk\n/last\n", "3kk\n/nowhere\n", "3kk\n?"] {
            screens.push((
                format!("event, then `{}` at {size:?}", keys.escape_debug()),
                after(size, keys),
            ));
        }
        let mut all_files = Desk::new(size);
        all_files.press_with(KeyCode::Char('a'), KeyModifiers::CONTROL);
        all_files.keys("corepart1");
        screens.push((format!("all files at {size:?}"), all_files));
        let mut gone = busy(size);
        gone.act(UiAction::Notices(vec![Notice::TargetExited(Some(-9))]));
        screens.push((format!("target gone at {size:?}"), gone));
        let mut ended = busy(size);
        let target = ended.fake.targets().remove(0);
        ended.act(UiAction::Notices(vec![Notice::TargetLeft(target)]));
        ended.keys("T");
        screens.push((format!("target ended at {size:?}"), ended));
        let mut recording = busy(size);
        let extent = Extent {
            events: 1000,
            first_ns: 1_000_000_000,
            last_ns: 61_000_000_000,
        };
        let effects = recording.state.show_recording(extent);
        recording.answer(effects);
        recording.keys("3");
        screens.push((format!("recording at {size:?}"), recording));
        screens.push((format!("waiting program at {size:?}"), program::desk(size)));
        screens.push((format!("program at {size:?}"), program::busy(size)));
        for keys in [
            "", "<<<", "hhhhjj", "V", "v", "/x", "/x ==\n", "=1\n", "=1\nD", "=1\nDhh", "?", "\n",
            "q",
        ] {
            let mut steps = stepping::traced(size, &[1, 2]);
            type_keys(&mut steps, keys);
            screens.push((
                format!("steps `{}` at {size:?}", keys.escape_debug()),
                steps,
            ));
        }
        let mut leave = program::busy(size);
        leave.press_with(KeyCode::Char(']'), KeyModifiers::CONTROL);
        leave.keys("q");
        screens.push((format!("question at {size:?}"), leave));
    }
    screens
}

#[test]
fn every_screen_is_legible_in_every_theme() {
    for (screen, mut desk) in screens() {
        for (name, theme) in own_themes() {
            desk.state.theme = theme;
            let found = illegible(&desk.frame());
            assert_eq!(found, [""; 0], "{name}: {screen}\n{}", desk.screen());
        }
        check_terminal_colours(&screen, &mut desk);
        desk.state.theme = desk.state.theme.switched(ThemeChoice::None);
        for (place, cell) in cells(&desk.frame()) {
            let is_plain = cell.fg == Color::Reset && cell.bg == Color::Reset;
            assert!(is_plain, "{screen} {place:?}: {cell:?}");
        }
    }
}

/// No text may vanish on the background of some terminal.
fn check_terminal_colours(screen: &str, desk: &mut Desk) {
    let terminal = TerminalColours::with_depth(ColourDepth::Sixteen);
    desk.state.theme = terminal.theme(ThemeChoice::Terminal);
    // A program chooses the colours of its own output.
    let of_program = desk.state.regions().program;
    for (place, cell) in cells(&desk.frame()) {
        let hard = [
            Color::Blue,
            Color::Yellow,
            Color::DarkGray,
            Color::Gray,
            Color::White,
        ];
        let is_hard = hard.contains(&cell.fg) && !of_program.contains(place.into());
        // Beside one colour of the palette, the terminal's default may be the same.
        let is_half = cell.bg != Color::Reset && (cell.fg == Color::Reset || cell.fg == cell.bg);
        assert!(!is_hard && !is_half, "{screen} {place:?}: {cell:?}");
    }
}

#[test]
fn selected_row_has_one_background_from_its_first_column_to_its_last() {
    let size = (120, 40);
    let inside = |area: Rect| Rect {
        x: area.x + 2,
        width: area.width - 4,
        ..area
    };
    for (keys, is_overlay) in [
        ("2", false),
        ("3k", false),
        ("3kkkk", false),
        ("T", true),
        ("fpo", true),
    ] {
        let mut desk = after(size, keys);
        for (name, theme) in themes() {
            desk.state.theme = theme;
            let drawn = desk.frame();
            let area = match (is_overlay, desk.state.focus) {
                (true, _) => inside(super::super::overlay_area::overlay_area(&desk.state)),
                (false, Pane::Probes) => desk.state.regions().probes,
                (false, _) => desk.state.regions().events,
            };
            let selected = row_look(&drawn, area, theme.role(Role::Selected));
            assert_eq!(selected, 1, "{name} `{keys}`\n{}", desk.screen());
        }
    }
}

/// The number of rows that look like a style all over.
fn row_look(buffer: &Buffer, area: Rect, style: ratatui::style::Style) -> usize {
    let looks = |cell: &Cell| {
        let is_reversed = style.add_modifier.contains(Modifier::REVERSED);
        let background = style.bg.unwrap_or(Color::Reset);
        cell.bg == background
            && cell.modifier.contains(Modifier::REVERSED) == is_reversed
            && (!is_reversed || cell.fg == Color::Reset)
    };
    let is_whole =
        |y: &u16| (area.x..area.right()).all(|x| buffer.cell((x, *y)).is_some_and(looks));
    (area.y..area.bottom()).filter(is_whole).count()
}

fn cells(buffer: &Buffer) -> impl Iterator<Item = ((u16, u16), &Cell)> {
    let area = buffer.area;
    let places = (0..area.height).flat_map(move |y| (0..area.width).map(move |x| (x, y)));
    places.zip(&buffer.content)
}

// The styles of a screen: a letter for each cell, the same grid for all themes, and what the letter
// is in each.

#[test]
fn styles_of_a_busy_session_at_80x24() {
    insta::assert_snapshot!(styles(&mut busy((80, 24))));
}

#[test]
fn styles_of_a_busy_session_at_120x40() {
    insta::assert_snapshot!(styles(&mut after((120, 40), "3kkkk")));
}

#[test]
fn styles_of_a_busy_session_at_200x60() {
    insta::assert_snapshot!(styles(&mut after((200, 60), "2j")));
}

#[test]
fn styles_of_an_event_in_full() {
    insta::assert_snapshot!(styles(&mut after((80, 24), "3kk\n")));
}

#[test]
fn styles_of_the_file_picker() {
    insta::assert_snapshot!(styles(&mut after((80, 24), "fpo")));
}

fn styles(desk: &mut Desk) -> String {
    let themes = themes();
    let drawn: Vec<Buffer> = themes
        .iter()
        .map(|(_, theme)| {
            desk.state.theme = *theme;
            desk.frame()
        })
        .collect();
    let Size { width, height } = desk.state.size;
    let mut letters: BTreeMap<Vec<String>, char> = BTreeMap::new();
    let mut names = ('a'..='z').chain('A'..='Z').chain('0'..='9');
    let mut grid = String::new();
    for y in 0..height {
        for x in 0..width {
            let look = drawn
                .iter()
                .map(|buffer| look(buffer.cell((x, y)).expect("it is inside")));
            let letter = letters
                .entry(look.collect())
                .or_insert_with(|| names.next().expect("a screen has few styles"));
            grid.push(*letter);
        }
        grid.push('\n');
    }
    let mut legend: Vec<(&char, &Vec<String>)> = letters
        .iter()
        .map(|(looks, letter)| (letter, looks))
        .collect();
    legend.sort_by_key(|(letter, _)| grid.find(**letter));
    for (letter, looks) in legend {
        let _ = writeln!(grid, "\n{letter}");
        for ((name, _), look) in themes.iter().zip(looks) {
            let _ = writeln!(grid, "  {name:<13} {look}");
        }
    }
    grid
}

/// The colours and attributes of a cell, as far as they are seen.
fn look(cell: &Cell) -> String {
    let named = |colour: Color| match colour {
        Color::Reset => "default".to_owned(),
        colour => colour.to_string().to_lowercase(),
    };
    let (mut look, seen) = match cell.symbol() {
        " " => (
            format!("on {}", named(cell.bg)),
            Modifier::UNDERLINED.union(Modifier::REVERSED),
        ),
        _ => (
            format!("{} on {}", named(cell.fg), named(cell.bg)),
            Modifier::all(),
        ),
    };
    for (name, _) in cell.modifier.intersection(seen).iter_names() {
        let _ = write!(look, " {}", name.to_lowercase());
    }
    look
}
