//! Options of the terminal UI's looks, and the configuration file.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::LimitArgs;
use super::config::Config;
use crate::cli::failure::CommandFailure;
use crate::cli::output::Colours;
use crate::tui::{Keymap, ThemeChoice, UiOptions};

/// How the terminal UI looks, and the file that says so.
#[derive(ClapArgs, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub(in crate::cli) struct SettingsArgs {
    /// Colours of the terminal UI: auto, dark, light, high-contrast, terminal, none [default: auto]
    #[arg(
        long,
        value_name = "NAME",
        value_parser = ThemeChoice::parse,
        long_help = "Colours of the terminal UI. dark, light and high-contrast set the background too. terminal: the terminal's own background and sixteen colours. none: bold, underlined and reversed text only. auto: dark or light where COLORFGBG says which the terminal is, otherwise terminal, and none if NO_COLOR is set [default: auto]"
    )]
    theme: Option<ThemeChoice>,
    /// Read settings from this file [default: `~/.config/tracer/config.toml`]
    #[arg(
        long,
        value_name = "FILE",
        long_help = "Read settings from this file: theme, keys, limits and names to redact. Options take precedence [default: `tracer/config.toml` in `$XDG_CONFIG_HOME` or in `~/.config`; with sudo, in `~/.config` of the user who called it]"
    )]
    config: Option<PathBuf>,
    /// The theme of the file.
    #[arg(skip)]
    configured: Option<ThemeChoice>,
    #[arg(skip)]
    keymap: Keymap,
    /// Remarks on the file.
    #[arg(skip)]
    notes: Vec<String>,
}

impl SettingsArgs {
    /// Reads the configuration file. Returns its limits and the names that it redacts.
    ///
    /// # Errors
    /// It has a mistake, or the named file cannot be read.
    pub(super) fn configure(&mut self) -> Result<(LimitArgs, Vec<String>), CommandFailure> {
        let config = Config::load(self.config.as_deref())?;
        self.configured = config.theme;
        self.keymap = config.keymap;
        self.notes = config.notes;
        Ok((config.limits, config.redact))
    }

    /// Remarks on the configuration file.
    pub(in crate::cli) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The options of the terminal UI.
    pub(in crate::cli) fn screen(&self, colours: Colours) -> UiOptions {
        UiOptions {
            theme: self.theme(colours),
            keymap: self.keymap.clone(),
            notes: self.notes.clone(),
            ..UiOptions::default()
        }
    }

    /// The theme. The option counts more than `NO_COLOR` and `--color`, which count more than the
    /// file.
    fn theme(&self, colours: Colours) -> ThemeChoice {
        match self.theme {
            Some(theme) => theme,
            None if !colours.stdout => ThemeChoice::None,
            None => self.configured.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn theme_is_the_option_s_then_none_then_the_file_s() {
        let colours = |stdout| Colours {
            stdout,
            stderr: stdout,
        };
        let theme = |theme, configured, stdout| {
            let settings = SettingsArgs {
                theme,
                configured,
                ..SettingsArgs::default()
            };
            settings.theme(colours(stdout))
        };
        let (dark, light) = (Some(ThemeChoice::Dark), Some(ThemeChoice::Light));
        assert_eq!(theme(dark, light, false), ThemeChoice::Dark);
        assert_eq!(theme(None, light, false), ThemeChoice::None);
        assert_eq!(theme(None, light, true), ThemeChoice::Light);
        assert_eq!(theme(None, None, true), ThemeChoice::Auto);
    }
}
