//! Writes the tables in `src/offsets` from the headers of CPython, or compares them.
//!
//! ```text
//! cargo run -p tracer-cpython --example offsets -- [--check] [--root DIR] INTERPRETER...
//! ```
//!
//! Each interpreter is a program such as `/usr/bin/python3.11`, of the minor version whose table is
//! to be written. It must have its headers installed, the internal ones included, as Debian's
//! `libpython3.11-dev` and pyenv install them. With `--root`, the interpreters behind it and their
//! headers are in this directory, and are run by chroot. `cc` must be there.

#[path = "offsets/generate.rs"]
mod generate;

use std::path::PathBuf;
use std::process::ExitCode;

use generate::Installation;

fn main() -> ExitCode {
    let mut check = false;
    let mut root = None;
    let mut failed = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--check" => check = true,
            "--root" => root = arguments.next().map(PathBuf::from),
            interpreter => {
                let installation = Installation {
                    interpreter: PathBuf::from(interpreter),
                    root: root.clone(),
                };
                failed |= !write(&installation, check);
            }
        }
    }
    ExitCode::from(u8::from(failed))
}

/// Writes or checks the table of one interpreter. Returns true if that is done.
fn write(installation: &Installation, check: bool) -> bool {
    let shown = installation.interpreter.display();
    let done = installation.table().and_then(|table| {
        let path = table.path();
        if check {
            let same = table.is_in(&std::fs::read_to_string(&path)?);
            return Ok(if same { "as it should be" } else { "different" });
        }
        std::fs::write(&path, &table.source)?;
        Ok("written")
    });
    match done {
        Ok(outcome) => {
            println!("{shown}: {outcome}");
            outcome != "different"
        }
        Err(error) => {
            eprintln!("{shown}: {error}");
            false
        }
    }
}
