//! `cargo xtask pictures`: makes the pictures of the terminal UI in docs/pictures.
//!
//! The test `pictures` of the end-to-end suite does the work. As a test, it only checks that they are
//! there and shown on their pages.

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
    test.args(["--", "pictures::", "--nocapture"]);
    test.env("TRACER_REMAKE_PICTURES", "1");
    as_tests_need(&mut test);
    command::run(&mut test)
}
