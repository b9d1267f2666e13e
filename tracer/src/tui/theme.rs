//! How things look: the terminal's own sixteen colours, or none at all.
//!
//! Nothing is told by colour alone: each role has a sign or an attribute too,
//! so that all of it can be read with `NO_COLOR` set.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text is, for choosing how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Ordinary text.
    Plain,
    /// Of less weight: rules, labels, old values.
    Dim,
    /// Name of a pane, heading of a column.
    Heading,
    /// What has the focus; keys in hints.
    Accent,
    /// Alive, attached.
    Good,
    /// Worth a look: limited, silenced, paused.
    Warn,
    /// Wrong: errors, losses.
    Bad,
    /// The latest value beside its line.
    Value,
    /// A value that differs from the one before.
    Changed,
    /// What a search found.
    Found,
    /// The selected row of the pane that has the focus.
    Selected,
    /// The selected row of another pane.
    SelectedElsewhere,
    /// A bar across the screen that must not be missed.
    Banner,
}

/// What a piece of source text is.
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
    /// With the terminal's colours, or with attributes only.
    pub(super) fn new(colours: bool) -> Self {
        Self { colours }
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
