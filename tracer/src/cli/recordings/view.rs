//! `tracer view`: the terminal UI on a recording.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;

use crate::base::causes;
use crate::base::visible::Visible;
use crate::cli::DONE;
use crate::cli::args::ViewArgs;
use crate::cli::failure::CommandFailure;
use crate::cli::output::{Colours, say};
use crate::cli::privileges::user_thread;
use crate::session::Control;
use crate::sink::recording::playback::RecordedSession;
use crate::sink::recording::reader::{OpenError, Recording};
use crate::tui;

/// Runs the command.
pub(in crate::cli) fn run(args: &ViewArgs, colours: Colours) -> Result<u8, CommandFailure> {
    let recording = open(&args.file)?;
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(CommandFailure::new("`tracer view` needs a terminal")
            .hint("`zstdcat FILE | jq` shows the lines of a recording elsewhere".to_owned()));
    }
    let options = tui::UiOptions {
        user: user_thread(),
        processes: recording.session().targets.len() > 1 || recording.session().selectors.is_some(),
        ..args.settings.screen(colours)
    };
    let problems = recording.problems();
    let session: Arc<dyn Control> = Arc::new(RecordedSession::new(recording));
    tui::run(session, None, &options)
        .map_err(|error| CommandFailure::new(causes::chain(&error)))?;
    for problem in problems {
        say!("warning: {}", Visible(&problem));
    }
    Ok(DONE)
}

/// Opens a recording.
pub(in crate::cli) fn open(path: &Path) -> Result<Recording, CommandFailure> {
    Recording::open(path).map_err(|error| {
        let failure = CommandFailure::new(causes::chain(&error));
        match error {
            OpenError::NotOne(_) => {
                failure.hint("`tracer record FILE` and `--record FILE` write recordings".to_owned())
            }
            OpenError::Version { .. } => {
                failure.hint("look at it with the version that wrote it, or a newer one".to_owned())
            }
            _ => failure,
        }
    })
}
