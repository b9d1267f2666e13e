//! Exports, read by the tools that people use: DuckDB, Perfetto's own definitions, pprof, and a receiver of OTLP.

mod collector;
mod live;
mod made;
mod recordings;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::build::source;

/// The account that `read_export.py` gives of a file.
#[track_caller]
fn read(tools: &Path, format: &str, file: &Path) -> Value {
    let mut python = Command::new(tools.join("bin/python"));
    python.arg(source("read_export.py")).arg(format).arg(file);
    let output = python.output().expect("it is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The report of pprof on a file.
#[track_caller]
fn pprof(tools: &Path, file: &Path, arguments: &[&str]) -> String {
    let mut pprof = Command::new(tools.join("bin/pprof"));
    pprof.args(arguments).arg(file);
    let output = pprof.output().expect("it is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
