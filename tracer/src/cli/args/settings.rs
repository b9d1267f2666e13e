//! Options of the terminal UI's looks.

use clap::Args as ClapArgs;

use crate::cli::output::Colours;
use crate::tui::ThemeChoice;

/// How the terminal UI looks.
#[derive(ClapArgs, Debug, Default)]
#[command(next_help_heading = "Terminal UI")]
pub(in crate::cli) struct SettingsArgs {
    /// Colours of the terminal UI: auto, dark, light, high-contrast, terminal, none [default: auto]
    #[arg(
        long,
        value_name = "NAME",
        value_parser = ThemeChoice::parse,
        long_help = "Colours of the terminal UI. dark, light and high-contrast set the background too. terminal: the terminal's own background and sixteen colours. none: bold, underlined and reversed text only. auto: dark or light where COLORFGBG says which the terminal is, otherwise terminal, and none if NO_COLOR is set [default: auto]"
    )]
    theme: Option<ThemeChoice>,
}

impl SettingsArgs {
    /// The theme. The option counts more than `NO_COLOR` and `--color`.
    pub(in crate::cli) fn theme(&self, colours: Colours) -> ThemeChoice {
        match self.theme {
            Some(theme) => theme,
            None if !colours.stdout => ThemeChoice::None,
            None => ThemeChoice::Auto,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn theme_of_the_option_counts_more_than_no_colours() {
        let none = Colours {
            stdout: false,
            stderr: false,
        };
        let with = |theme| SettingsArgs { theme };
        assert_eq!(with(None).theme(none), ThemeChoice::None);
        let dark = with(Some(ThemeChoice::Dark));
        assert_eq!(dark.theme(none), ThemeChoice::Dark);
    }
}
