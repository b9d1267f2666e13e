//! Styles of the screen: the terminal's own sixteen colours, or no colours.
//!
//! Colour alone never carries a meaning. Each role has a sign or an attribute too, so that the
//! whole screen can be read with `NO_COLOR` set.

use ratatui::style::{Color, Modifier, Style};

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

/// Colours or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    colours: bool,
}

impl Theme {
    /// A theme of the terminal's colours, or of attributes only.
    pub(super) fn new(colours: bool) -> Self {
        Self { colours }
    }

    /// Returns true if there are colours.
    pub(super) fn has_colours(self) -> bool {
        self.colours
    }

    /// The style of a role.
    pub(super) fn role(self, role: Role) -> Style {
        let (colour, attributes) = match role {
            Role::Plain => (None, Modifier::empty()),
            Role::Dim => (None, Modifier::DIM),
            Role::Heading => (None, Modifier::BOLD),
            Role::Accent => (Some(Color::Cyan), Modifier::BOLD),
            Role::Good => (Some(Color::Green), Modifier::empty()),
            Role::Warn => (Some(Color::Yellow), Modifier::empty()),
            Role::Bad => (Some(Color::Red), Modifier::BOLD),
            Role::Value => (Some(Color::Green), Modifier::empty()),
            Role::Changed => (Some(Color::Yellow), Modifier::BOLD),
            Role::Found => (
                Some(Color::Yellow),
                Modifier::BOLD.union(Modifier::UNDERLINED),
            ),
            Role::Selected => (None, Modifier::REVERSED),
            Role::SelectedElsewhere => (None, Modifier::BOLD),
            Role::Banner => (
                Some(Color::Yellow),
                Modifier::BOLD.union(Modifier::REVERSED),
            ),
        };
        let style = Style::new().add_modifier(attributes);
        match colour {
            Some(colour) if self.colours => style.fg(colour),
            _ => style,
        }
    }

    /// The style of source text.
    pub(super) fn hue(self, hue: Hue) -> Style {
        if !self.colours {
            return match hue {
                Hue::Keyword => Style::new().add_modifier(Modifier::BOLD),
                Hue::Comment => Style::new().add_modifier(Modifier::DIM),
                _ => Style::new(),
            };
        }
        match hue {
            Hue::Plain => Style::new(),
            Hue::Keyword => Style::new().fg(Color::Magenta),
            Hue::Type => Style::new().fg(Color::Cyan),
            Hue::Function => Style::new().fg(Color::Blue),
            Hue::Text => Style::new().fg(Color::Green),
            Hue::Literal => Style::new().fg(Color::Yellow),
            Hue::Comment => Style::new().add_modifier(Modifier::DIM.union(Modifier::ITALIC)),
            Hue::Attribute => Style::new().fg(Color::Yellow).add_modifier(Modifier::DIM),
        }
    }
}
