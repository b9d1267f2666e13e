use super::contrast::{LEAST, contrast, own_themes, rgb};
use super::*;

const ROLES: [Role; 14] = [
    Role::Plain,
    Role::Dim,
    Role::Heading,
    Role::Accent,
    Role::Good,
    Role::Warn,
    Role::Bad,
    Role::Value,
    Role::Changed,
    Role::Found,
    Role::Selected,
    Role::SelectedElsewhere,
    Role::CurrentLine,
    Role::Banner,
];

const HUES: [Hue; 8] = [
    Hue::Plain,
    Hue::Keyword,
    Hue::Type,
    Hue::Function,
    Hue::Text,
    Hue::Literal,
    Hue::Comment,
    Hue::Attribute,
];

fn of(choice: ThemeChoice) -> Theme {
    TerminalColours::with_depth(ColourDepth::TrueColour).theme(choice)
}

#[test]
fn contrast_is_that_of_wcag() {
    assert_eq!(contrast([0; 3], [255; 3]), 21.0);
    assert_eq!(contrast([119; 3], [119; 3]), 1.0);
    // The darkest grey that is too light on white, and the one before it.
    assert!(contrast([119; 3], [255; 3]) < LEAST && contrast([118; 3], [255; 3]) > LEAST);
}

#[test]
fn every_style_is_legible_on_every_background_of_its_theme() {
    for (name, theme) in own_themes() {
        let styles = ROLES.map(|role| theme.role(role));
        let styles = styles.into_iter().chain(HUES.map(|hue| theme.hue(hue)));
        let rows = [
            Role::Plain,
            Role::Selected,
            Role::SelectedElsewhere,
            Role::CurrentLine,
        ];
        let of_rows = |style| rows.map(|row| (style, row));
        for (style, row) in styles.flat_map(of_rows) {
            if style.bg.is_some() && row != Role::Plain {
                continue;
            }
            let mut buffer = Buffer::with_lines(["x"]);
            buffer.set_style(buffer.area, style.patch(theme.role(row)));
            theme.finish(&mut buffer);
            assert_eq!(contrast::illegible(&buffer), [""; 0], "{name} {row:?}");
        }
    }
}

#[test]
fn program_s_sixteen_colours_are_legible_on_the_theme_s_background() {
    for (name, theme) in own_themes() {
        let mut buffer = Buffer::with_lines(["x"]);
        theme.finish(&mut buffer);
        let background = rgb(buffer.content[0].bg).expect("it is known");
        for index in 0..16 {
            let colour = theme.program_colour(vt100::Color::Idx(index), true);
            let colour = colour.and_then(rgb).expect("it is known");
            assert!(contrast(colour, background) >= LEAST, "{name} {index}");
        }
    }
}

#[test]
fn terminal_s_own_theme_has_no_text_in_blue_or_yellow() {
    let theme = of(ThemeChoice::Terminal);
    let styles = ROLES.map(|role| theme.role(role));
    for style in styles.into_iter().chain(HUES.map(|hue| theme.hue(hue))) {
        let hard = [
            Color::Blue,
            Color::Yellow,
            Color::DarkGray,
            Color::Gray,
            Color::White,
        ];
        assert!(
            style.fg.is_none_or(|colour| !hard.contains(&colour)),
            "{style:?}"
        );
        // A background of a colour needs a text of a colour: the default may be the same.
        let has_background = style.bg.is_some_and(|colour| colour != Color::Reset);
        assert!(!has_background || style.fg.is_some_and(|colour| colour != Color::Reset));
    }
}

#[test]
fn theme_without_colours_has_attributes_alone() {
    let theme = of(ThemeChoice::None);
    let styles = ROLES.map(|role| theme.role(role));
    for style in styles.into_iter().chain(HUES.map(|hue| theme.hue(hue))) {
        let default = |colour: Option<Color>| colour.is_none_or(|one| one == Color::Reset);
        assert!(default(style.fg) && default(style.bg), "{style:?}");
    }
    assert_eq!(theme.program_colour(vt100::Color::Idx(1), true), None);
}

#[test]
fn selected_row_has_one_background_whatever_its_texts_were() {
    let themes = [ThemeChoice::Terminal, ThemeChoice::None].map(of);
    let own = own_themes().into_iter().map(|(_, theme)| theme);
    for theme in own.chain(themes) {
        let rows = ROLES.map(|role| {
            let style = theme.role(role).patch(theme.role(Role::Selected));
            let is_reversed = style.add_modifier.contains(Modifier::REVERSED);
            // Reversed, the colour of the text is that of the background.
            (
                style.bg,
                is_reversed,
                if is_reversed { style.fg } else { None },
            )
        });
        assert!(rows.iter().all(|row| *row == rows[0]), "{rows:?}");
    }
}
