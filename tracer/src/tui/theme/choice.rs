//! The choice of a theme, and what the terminal says about its colours.

use std::ffi::OsString;

use super::Theme;
use super::palette::{DARK, HIGH_CONTRAST, LIGHT};
use super::{OwnColours, ThemeKind};
use crate::base::suggestions::near_names;

/// A theme of the screen, by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThemeChoice {
    /// `dark` or `light` where the terminal says which it is, otherwise `terminal`.
    #[default]
    Auto,
    /// Light text on a dark background.
    Dark,
    /// Dark text on a light background.
    Light,
    /// Bright text on black.
    HighContrast,
    /// The terminal's own background and its sixteen colours.
    Terminal,
    /// No colours: bold, dim, underlined and reversed text.
    None,
}

impl ThemeChoice {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 6] = [
        ("auto", Self::Auto),
        ("dark", Self::Dark),
        ("light", Self::Light),
        ("high-contrast", Self::HighContrast),
        ("terminal", Self::Terminal),
        ("none", Self::None),
    ];

    /// The theme with this name.
    ///
    /// # Errors
    /// There is none. The text names a near one, or all.
    pub fn parse(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        if let Some((_, theme)) = all.find(|(other, _)| *other == name) {
            return Ok(theme);
        }
        let names = Self::ALL.map(|(name, _)| name);
        Err(match near_names(name, names).first() {
            Some(near) => format!("there is no theme `{name}`; did you mean `{near}`?"),
            None => format!("the themes are {}", names.join(", ")),
        })
    }
}

/// How many colours a terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum ColourDepth {
    /// The sixteen of its own palette.
    Sixteen,
    /// 256.
    Indexed,
    /// 24 bits.
    TrueColour,
}

/// The terminal, as the environment describes it. The terminal itself is not asked: not every one
/// answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) struct TerminalColours {
    pub(in crate::tui) depth: ColourDepth,
    /// Its background is light. `None` if that is not known.
    is_light: Option<bool>,
}

/// Terminals with 24-bit colours that may not say so in `COLORTERM`, which `ssh` does not pass on.
const TRUE_COLOUR_TERMS: [&str; 6] = [
    "xterm-kitty",
    "xterm-ghostty",
    "alacritty",
    "wezterm",
    "foot",
    "contour",
];

impl TerminalColours {
    /// Of the environment of this process.
    pub(in crate::tui) fn of_environment() -> Self {
        Self::new(|name| std::env::var_os(name))
    }

    fn new(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name| {
            let value: Option<OsString> = variable(name);
            value.map_or(String::new(), |value| value.to_string_lossy().into_owned())
        };
        let (term, colorterm) = (text("TERM"), text("COLORTERM"));
        let is_true = matches!(colorterm.as_str(), "truecolor" | "24bit")
            || term.ends_with("-direct")
            || TRUE_COLOUR_TERMS.iter().any(|name| term.starts_with(name));
        let is_poor = matches!(term.as_str(), "" | "linux" | "ansi" | "dumb")
            || term.starts_with("vt")
            || term.ends_with("-16color");
        let depth = match (is_true, is_poor) {
            (true, _) => ColourDepth::TrueColour,
            (false, true) => ColourDepth::Sixteen,
            (false, false) => ColourDepth::Indexed,
        };
        Self {
            depth,
            is_light: is_light(&text("COLORFGBG")),
        }
    }

    /// A terminal with so many colours, and an unknown background.
    #[cfg(test)]
    pub(in crate::tui) fn with_depth(depth: ColourDepth) -> Self {
        Self {
            depth,
            is_light: None,
        }
    }

    /// The theme of a choice. With sixteen colours, there is only the terminal's own palette.
    pub(in crate::tui) fn theme(self, choice: ThemeChoice) -> Theme {
        let choice = match (choice, self.is_light) {
            (ThemeChoice::Auto, Some(true)) => ThemeChoice::Light,
            (ThemeChoice::Auto, Some(false)) => ThemeChoice::Dark,
            (ThemeChoice::Auto, None) => ThemeChoice::Terminal,
            (choice, _) => choice,
        };
        let own = match choice {
            ThemeChoice::Dark => Some(&DARK),
            ThemeChoice::Light => Some(&LIGHT),
            ThemeChoice::HighContrast => Some(&HIGH_CONTRAST),
            _ => None,
        };
        let kind = match (own, self.depth) {
            _ if choice == ThemeChoice::None => ThemeKind::Attributes,
            (None, _) | (_, ColourDepth::Sixteen) => ThemeKind::Terminal,
            (Some(palette), depth) => ThemeKind::Own(OwnColours {
                palette,
                truecolor: depth == ColourDepth::TrueColour,
            }),
        };
        Theme {
            kind,
            terminal: self,
        }
    }
}

/// Returns true if the background is light, by `COLORFGBG`: the numbers of the text's and the background's
/// colour, such as `15;0` or `0;default;15`.
fn is_light(colorfgbg: &str) -> Option<bool> {
    let (_, background) = colorfgbg.rsplit_once(';')?;
    match background.parse::<u8>().ok()? {
        0..=6 | 8 => Some(false),
        7 | 9..=15 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(variables: &[(&str, &str)]) -> TerminalColours {
        TerminalColours::new(|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn terminal_s_colours_follow_its_variables() {
        for (term, colorterm, depth) in [
            ("xterm-256color", "", ColourDepth::Indexed),
            ("xterm-256color", "truecolor", ColourDepth::TrueColour),
            ("tmux-256color", "24bit", ColourDepth::TrueColour),
            ("xterm", "", ColourDepth::Indexed),
            ("xterm-kitty", "", ColourDepth::TrueColour),
            ("alacritty-direct", "", ColourDepth::TrueColour),
            ("linux", "", ColourDepth::Sixteen),
            ("vt220", "", ColourDepth::Sixteen),
            ("xterm-16color", "", ColourDepth::Sixteen),
            ("dumb", "", ColourDepth::Sixteen),
            ("", "", ColourDepth::Sixteen),
        ] {
            let terminal = terminal(&[("TERM", term), ("COLORTERM", colorterm)]);
            assert_eq!(terminal.depth, depth, "{term} {colorterm}");
        }
    }

    #[test]
    fn auto_is_the_terminal_s_own_theme_unless_its_background_is_known() {
        for (colorfgbg, theme) in [
            ("15;0", ThemeChoice::Dark),
            ("0;15", ThemeChoice::Light),
            ("0;default;15", ThemeChoice::Light),
            ("7;8", ThemeChoice::Dark),
            ("15;default", ThemeChoice::Terminal),
            ("15;99", ThemeChoice::Terminal),
            ("nonsense", ThemeChoice::Terminal),
            ("", ThemeChoice::Terminal),
        ] {
            let terminal = terminal(&[("TERM", "xterm-256color"), ("COLORFGBG", colorfgbg)]);
            let auto = terminal.theme(ThemeChoice::Auto);
            assert_eq!(auto, terminal.theme(theme), "{colorfgbg}");
        }
    }

    #[test]
    fn sixteen_colours_have_the_terminal_s_own_theme_only() {
        let terminal = terminal(&[("TERM", "linux")]);
        let own = terminal.theme(ThemeChoice::Terminal);
        assert_eq!(terminal.theme(ThemeChoice::Dark), own);
        assert_ne!(terminal.theme(ThemeChoice::None), own);
    }

    #[test]
    fn names_of_themes_lead_to_them() {
        for (name, theme) in ThemeChoice::ALL {
            assert_eq!(ThemeChoice::parse(name), Ok(theme));
        }
        let near = ThemeChoice::parse("ligth").unwrap_err();
        assert_eq!(near, "there is no theme `ligth`; did you mean `light`?");
        let all = "the themes are auto, dark, light, high-contrast, terminal, none";
        assert_eq!(ThemeChoice::parse("solarized"), Err(all.into()));
    }
}
