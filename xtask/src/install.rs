//! `cargo xtask install`: the binary, its manual page and shell completions.
//!
//! The tracer prints page and completions itself; they are staged in the target
//! directory and then copied, as root where the prefix asks for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{as_root, output, run as run_command};
use crate::machine::Need;
use crate::{build, setup, workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where `bin` and `share` are
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
}

/// What goes where, below the prefix: the tracer's arguments that print it, and the file.
const PRINTED: &[(&[&str], &str)] = &[
    (&["man"], "share/man/man1/tracer.1"),
    (
        &["completions", "bash"],
        "share/bash-completion/completions/tracer",
    ),
    (&["completions", "zsh"], "share/zsh/site-functions/_tracer"),
    (
        &["completions", "fish"],
        "share/fish/vendor_completions.d/tracer.fish",
    ),
];

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure(&[Need::Build])?;
    build::programs(true)?;
    let tracer = workspace::binary("tracer", true);
    let prefix = std::path::absolute(&args.prefix)
        .with_context(|| format!("cannot use the prefix `{}`", args.prefix.display()))?;

    put(&tracer, &prefix.join("bin/tracer"), "755")?;
    let stage = workspace::target().join("install");
    std::fs::create_dir_all(&stage).with_context(|| format!("cannot make {}", stage.display()))?;
    for (arguments, file) in PRINTED {
        let printed = output(Command::new(&tracer).args(*arguments))?;
        let staged = stage.join(file.replace('/', "-"));
        std::fs::write(&staged, printed)
            .with_context(|| format!("cannot write {}", staged.display()))?;
        put(&staged, &prefix.join(file), "644")?;
    }
    println!("installed {}", prefix.join("bin/tracer").display());
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

/// Whether we may write the file, or make the first of its directories that is missing.
fn writable(file: &Path) -> bool {
    file.ancestors()
        .find(|path| path.exists())
        .is_some_and(|path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok())
}
