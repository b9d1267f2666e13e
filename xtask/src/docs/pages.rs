//! `cargo xtask pages`: runs the commands of docs/tutorial.md, docs/recipes.md, docs/recording.md and
//! docs/opentelemetry.md and the session of docs/assistants.md, and updates their outputs on the pages.
//!
//! The tests `pages` of the end-to-end suite does the work. As a test, it only compares.

use anyhow::Result;

use crate::setup::machine::Need;
use crate::test::privilege::as_tests_need;
use crate::{setup, support::command, support::workspace};

#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_: &Args) -> Result<()> {
    setup::ensure(&[Need::Build, Need::Tests])?;
    let mut test = workspace::cargo("test");
    test.args(["--workspace", "--locked", "--test", "end_to_end"]);
    test.args(["--", "pages::", "--nocapture"]);
    test.env("TRACER_REMAKE_PAGES", "1");
    as_tests_need(&mut test);
    command::run(&mut test)
}
