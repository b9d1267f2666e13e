//! The configuration file: theme, keys, limits, and names to redact.
//!
//! The command line takes precedence over the file. Names to redact add up, so that the file can only
//! hide more.

mod file;
mod text;

use std::path::{Path, PathBuf};

use super::LimitArgs;
use crate::cli::failure::CommandFailure;
use crate::tui::{Keymap, ThemeChoice};

use file::ConfigPlace;

/// The settings of a file, or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Config {
    pub(super) theme: Option<ThemeChoice>,
    pub(super) keymap: Keymap,
    pub(super) limits: LimitArgs,
    /// Names whose values are redacted, beside the usual ones.
    pub(super) redact: Vec<String>,
    /// Why a file was ignored.
    pub(super) notes: Vec<String>,
}

/// The configuration file of the invoking user, for `tracer doctor`.
#[derive(Debug)]
pub(in crate::cli) struct ConfigReport {
    /// Its place.
    pub(in crate::cli) path: PathBuf,
    /// Its state: absent, used, or ignored for a reason.
    pub(in crate::cli) state: ConfigState,
}

/// The state of a configuration file.
#[derive(Debug)]
pub(in crate::cli) enum ConfigState {
    /// The file does not exist.
    Absent,
    /// The file is used.
    Used,
    /// The file is not used, and why.
    Ignored(String),
    /// The file has a mistake, which ends every session.
    Mistaken(CommandFailure),
}

impl ConfigReport {
    /// Looks at the file. `None` if the environment names no place for it.
    pub(in crate::cli) fn look() -> Option<Self> {
        let place = ConfigPlace::of_environment()?;
        let path = place.path();
        let state = match place.read() {
            Ok(None) => ConfigState::Absent,
            Ok(Some(text)) => match text::parse(&text, &path) {
                Ok(_) => ConfigState::Used,
                Err(failure) => ConfigState::Mistaken(failure),
            },
            Err(error) => ConfigState::Ignored(error.to_string()),
        };
        Some(Self { path, state })
    }
}

impl Config {
    /// Reads the file that the user names, or that of the invoking user if there is one.
    ///
    /// # Errors
    /// The named file cannot be read, or a file has a mistake. A file that others may have tampered
    /// with is no error: it is ignored, with a note.
    pub(super) fn load(named: Option<&Path>) -> Result<Self, CommandFailure> {
        if let Some(path) = named {
            let cannot =
                |why| CommandFailure::new(format!("cannot read `{}`: {why}", path.display()));
            let text = file::read_named(path).map_err(|error| cannot(error.to_string()))?;
            return text::parse(&text, path);
        }
        let Some(place) = ConfigPlace::of_environment() else {
            return Ok(Self::default());
        };
        match place.read() {
            Ok(Some(text)) => text::parse(&text, &place.path()),
            Ok(None) => Ok(Self::default()),
            Err(error) => Ok(Self {
                notes: vec![format!(
                    "the configuration is ignored, because {error}: `{}`; `--config FILE` reads any file",
                    place.path().display()
                )],
                ..Self::default()
            }),
        }
    }
}
