//! `cargo xtask install`: installs the binary, its manual pages, completions and documents.
//!
//! The files are staged in the target directory and then copied, as root if the prefix needs it.

pub(crate) mod installation;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use self::installation::BINARY;
use crate::setup::machine::Need;
use crate::support::command::{as_root, run as run_command};
use crate::{build, setup, support::workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder that contains `bin` and `share`
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure(&[Need::Build])?;
    build::programs(true)?;
    let tracer = workspace::binary("tracer", true);
    let prefix = std::path::absolute(&args.prefix)
        .with_context(|| format!("cannot use the prefix `{}`", args.prefix.display()))?;

    let stage = workspace::target().join("install");
    installation::stage(&tracer, &stage)?;
    for file in installation::files(&stage)? {
        let mode = if file == Path::new(BINARY) {
            "755"
        } else {
            "644"
        };
        put(&stage.join(&file), &prefix.join(&file), mode)?;
    }
    println!("installed {}", prefix.join(BINARY).display());
    Ok(())
}

fn put(from: &Path, to: &Path, mode: &str) -> Result<()> {
    let mut install = if writable(to) {
        Command::new("install")
    } else {
        as_root("install", &format!("writing {}", to.display()))?
    };
    run_command(install.args(["-D", "-m", mode]).arg(from).arg(to))
}

/// Returns true if we may write the file, or create the first of its directories that is missing.
fn writable(file: &Path) -> bool {
    file.ancestors()
        .find(|path| path.exists())
        .is_some_and(|path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok())
}
