//! Styles of the screen.
//!
//! Three themes set a background of their own, so that the contrast of every text is known. The
//! fourth has the terminal's own background and sixteen colours, and the fifth has no colours. Colour
//! alone never carries a meaning. Each role has a sign or an attribute too, so that the whole screen
//! can be read with `NO_COLOR` set.

mod choice;
#[cfg(test)]
pub(super) mod contrast;
mod palette;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

pub use choice::ThemeChoice;
pub(super) use choice::{ColourDepth, TerminalColours};
use palette::{Palette, PaletteColour};

/// The role of a piece of text, which selects its style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Ordinary text.
    Plain,
    /// Less important text: rules, labels, old values.
    Dim,
    /// Name of a pane, heading of a column.
    Heading,
    /// The focus, and keys in hints.
    Accent,
    /// Alive, attached.
    Good,
    /// Worth a look: limited, silenced, paused.
    Warn,
    /// Wrong: errors, losses.
    Bad,
    /// The latest value next to its line.
    Value,
    /// A value that differs from the one before.
    Changed,
    /// A match of a search.
    Found,
    /// The selected row of the pane that has the focus.
    Selected,
    /// The selected row of another pane.
    SelectedElsewhere,
    /// The line of the cursor in the source. Its text keeps its colours.
    CurrentLine,
    /// A bar across the screen that must not be missed.
    Banner,
}

/// The syntactic kind of a piece of source text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hue {
    /// Anything else.
    Plain,
    /// `if`, `fn`, `static`.
    Keyword,
    /// Type names.
    Type,
    /// Names of functions and macros where they are defined or called.
    Function,
    /// Text and characters.
    Text,
    /// Numbers, `true`, `null`.
    Literal,
    /// Comments.
    Comment,
    /// Attributes, preprocessor.
    Attribute,
}

/// A theme, as far as this terminal can show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Theme {
    kind: ThemeKind,
    terminal: TerminalColours,
}

/// The kind of a theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ThemeKind {
    /// Colours of our own, the background too.
    Own(OwnColours),
    /// The terminal's own sixteen colours.
    Terminal,
    /// Attributes such as bold, no colours.
    Attributes,
}

/// The colours of a theme in the form that the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnColours {
    palette: &'static Palette,
    truecolor: bool,
}

impl Theme {
    /// The theme of a choice in the terminal of this process.
    pub(super) fn new(choice: ThemeChoice) -> Self {
        TerminalColours::of_environment().theme(choice)
    }

    /// Another theme in the same terminal.
    pub(super) fn switched(self, choice: ThemeChoice) -> Self {
        self.terminal.theme(choice)
    }

    /// The number of colours that the terminal has.
    pub(super) fn depth(self) -> ColourDepth {
        self.terminal.depth
    }

    /// The style of a role.
    pub(super) fn role(self, role: Role) -> Style {
        match self.kind {
            ThemeKind::Own(colours) => colours.role(role),
            ThemeKind::Terminal => terminal_role(role),
            ThemeKind::Attributes => attributes_of(role),
        }
    }

    /// The style of source text.
    pub(super) fn hue(self, hue: Hue) -> Style {
        match self.kind {
            ThemeKind::Own(colours) => colours.hue(hue),
            ThemeKind::Terminal => terminal_hue(hue),
            ThemeKind::Attributes => match hue {
                Hue::Keyword => Style::new().add_modifier(Modifier::BOLD),
                Hue::Comment => Style::new().add_modifier(Modifier::DIM),
                _ => Style::new(),
            },
        }
    }

    /// The colour of a character that a traced program has written.
    ///
    /// On a background of ours, its sixteen colours are those of the theme, which are legible there.
    pub(super) fn program_colour(
        self,
        colour: vt100::Color,
        on_own_background: bool,
    ) -> Option<Color> {
        match (self.kind, colour) {
            (ThemeKind::Attributes, _) | (_, vt100::Color::Default) => None,
            (ThemeKind::Own(colours), vt100::Color::Idx(index @ 0..16)) if on_own_background => {
                let named = colours.palette.program.get(usize::from(index % 8));
                named.map(|colour| colours.shown(*colour))
            }
            (_, vt100::Color::Idx(index)) => {
                let named = NAMED.get(usize::from(index)).copied();
                Some(named.unwrap_or(Color::Indexed(index)))
            }
            (_, vt100::Color::Rgb(red, green, blue)) => Some(Color::Rgb(red, green, blue)),
        }
    }

    /// Gives every cell without a colour the theme's own, as the last step of a frame.
    pub(super) fn finish(self, buffer: &mut Buffer) {
        let ThemeKind::Own(colours) = self.kind else {
            return;
        };
        let text = colours.shown(colours.palette.text);
        let background = colours.shown(colours.palette.background);
        for cell in &mut buffer.content {
            if cell.fg == Color::Reset {
                cell.fg = text;
            }
            if cell.bg == Color::Reset {
                cell.bg = background;
            }
        }
    }
}

/// The terminal's own colours, by number.
const NAMED: [Color; 16] = [
    Color::Black,
    Color::Red,
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::Magenta,
    Color::Cyan,
    Color::Gray,
    Color::DarkGray,
    Color::LightRed,
    Color::LightGreen,
    Color::LightYellow,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::White,
];

impl OwnColours {
    fn shown(self, colour: PaletteColour) -> Color {
        colour.shown(self.truecolor)
    }

    fn role(self, role: Role) -> Style {
        let Self { palette, .. } = self;
        let behind = |colour| Style::new().bg(self.shown(colour));
        let colour = match role {
            Role::Plain => return Style::new(),
            Role::CurrentLine | Role::SelectedElsewhere => return behind(palette.quiet),
            Role::Selected => {
                let style = behind(palette.selection);
                return match palette.selected_text {
                    Some(text) => style.fg(self.shown(text)),
                    None => style,
                };
            }
            Role::Banner => {
                let style = behind(palette.banner).fg(self.shown(palette.banner_text));
                return style.add_modifier(Modifier::BOLD);
            }
            Role::Heading => palette.text,
            Role::Dim => palette.dim,
            Role::Accent => palette.accent,
            Role::Good => palette.good,
            Role::Warn => palette.warn,
            Role::Bad => palette.bad,
            Role::Value => palette.value,
            Role::Changed => palette.changed,
            Role::Found => palette.found,
        };
        // Faint text has a colour of its own, because DIM is another one in each terminal.
        attributes_of(role)
            .remove_modifier(Modifier::DIM)
            .fg(self.shown(colour))
    }

    fn hue(self, hue: Hue) -> Style {
        let Self { palette, .. } = self;
        let colour = match hue {
            Hue::Plain => return Style::new(),
            Hue::Keyword => palette.keyword,
            Hue::Type => palette.type_name,
            Hue::Function => palette.function,
            Hue::Text => palette.string,
            Hue::Literal => palette.literal,
            Hue::Comment => palette.comment,
            Hue::Attribute => palette.attribute,
        };
        let style = Style::new().fg(self.shown(colour));
        match hue {
            Hue::Comment => style.add_modifier(Modifier::ITALIC),
            _ => style,
        }
    }
}

/// A role without colours.
fn attributes_of(role: Role) -> Style {
    let attributes = match role {
        Role::Plain | Role::Good | Role::Warn | Role::Value | Role::CurrentLine => {
            Modifier::empty()
        }
        Role::Dim => Modifier::DIM,
        Role::Heading | Role::Accent | Role::Bad | Role::Changed => Modifier::BOLD,
        Role::SelectedElsewhere => {
            let style = Style::new().add_modifier(Modifier::BOLD);
            return style.remove_modifier(Modifier::DIM);
        }
        Role::Found => Modifier::BOLD.union(Modifier::UNDERLINED),
        Role::Selected => return reversed(),
        Role::Banner => Modifier::BOLD.union(Modifier::REVERSED),
    };
    Style::new().add_modifier(attributes)
}

/// Text and background exchanged, whatever colours the text had: a row of one colour.
fn reversed() -> Style {
    Style::new()
        .fg(Color::Reset)
        .bg(Color::Reset)
        .add_modifier(Modifier::REVERSED)
        .remove_modifier(Modifier::DIM)
}

/// A role in the terminal's own colours. Blue is hard to read on black, and yellow on white, so no
/// text is in one of them.
fn terminal_role(role: Role) -> Style {
    let colour = match role {
        Role::Accent => Color::Cyan,
        Role::Good | Role::Value => Color::Green,
        Role::Warn | Role::Changed | Role::Found => Color::Magenta,
        Role::Bad => Color::Red,
        Role::Banner => return Style::new().fg(Color::Black).bg(Color::Yellow),
        _ => return attributes_of(role),
    };
    attributes_of(role).fg(colour)
}

fn terminal_hue(hue: Hue) -> Style {
    match hue {
        Hue::Plain => Style::new(),
        Hue::Keyword | Hue::Attribute => Style::new().fg(Color::Magenta),
        Hue::Type | Hue::Literal => Style::new().fg(Color::Cyan),
        Hue::Function => Style::new().add_modifier(Modifier::BOLD),
        Hue::Text => Style::new().fg(Color::Green),
        Hue::Comment => Style::new().add_modifier(Modifier::DIM.union(Modifier::ITALIC)),
    }
}

#[cfg(test)]
mod tests;
