//! The contrast of text as WCAG 2 defines it, for tests of whole screens.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::{ColourDepth, TerminalColours, Theme, ThemeChoice};

/// The least contrast of ordinary text (WCAG 2, level AA).
pub(in crate::tui) const LEAST: f64 = 4.5;

/// The themes that know their background, in both forms of their colours.
pub(in crate::tui) fn own_themes() -> Vec<(String, Theme)> {
    let choices = [
        ("dark", ThemeChoice::Dark),
        ("light", ThemeChoice::Light),
        ("high-contrast", ThemeChoice::HighContrast),
    ];
    let of_depth = |(name, depth)| {
        let terminal = TerminalColours::with_depth(depth);
        choices.map(|(choice, theme)| (format!("{choice}, {name}"), terminal.theme(theme)))
    };
    let depths = [
        ("24 bits", ColourDepth::TrueColour),
        ("256 colours", ColourDepth::Indexed),
    ];
    depths.into_iter().flat_map(of_depth).collect()
}

/// The texts of a screen that are hard to read, with their place and colours.
pub(in crate::tui) fn illegible(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width).max(1);
    let cells = buffer.content.iter().enumerate();
    let with_text = cells.filter(|(_, cell)| !cell.symbol().trim().is_empty());
    let mistake = |(at, cell): (usize, &Cell)| {
        let why = hardly_legible(cell)?;
        Some(format!(
            "`{}` at {},{}: {why}",
            cell.symbol(),
            at % width,
            at / width
        ))
    };
    with_text.filter_map(mistake).collect()
}

/// Why a cell's text is hard to read, if it is.
fn hardly_legible(cell: &Cell) -> Option<String> {
    if cell.modifier.contains(Modifier::DIM) || cell.modifier.contains(Modifier::HIDDEN) {
        return Some("its colour is not known, because it is dim or hidden".into());
    }
    let (Some(text), Some(background)) = (rgb(cell.fg), rgb(cell.bg)) else {
        return Some(format!("{:?} on {:?} is not known", cell.fg, cell.bg));
    };
    let contrast = contrast(text, background);
    (contrast < LEAST).then(|| format!("{:?} on {:?} is {contrast:.2}:1", cell.fg, cell.bg))
}

/// The contrast of two colours, from 1 to 21.
pub(in crate::tui) fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(colour: [u8; 3]) -> f64 {
    let [red, green, blue] = colour.map(|part| {
        let part = f64::from(part) / 255.0;
        match part {
            part if part <= 0.04045 => part / 12.92,
            part => ((part + 0.055) / 1.055).powf(2.4),
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// Red, green and blue. `None` for the colours that each terminal defines in its own way.
pub(in crate::tui) fn rgb(colour: Color) -> Option<[u8; 3]> {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    match colour {
        Color::Rgb(red, green, blue) => Some([red, green, blue]),
        Color::Indexed(index @ 16..=231) => {
            let level = |part: u8| LEVELS[usize::from(part % 6)];
            let index = index - 16;
            Some([level(index / 36), level(index / 6), level(index)])
        }
        Color::Indexed(index @ 232..) => Some([8 + 10 * (index - 232); 3]),
        _ => None,
    }
}
