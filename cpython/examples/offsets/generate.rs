//! One version's table, from an installed CPython.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tracer_cpython::offsets::FIELDS;

/// An interpreter with its headers.
pub(crate) struct Installation {
    /// The program, as seen from the root.
    pub(crate) interpreter: PathBuf,
    /// The directory that it is run in by chroot.
    pub(crate) root: Option<PathBuf>,
}

/// A generated table.
pub(crate) struct Table {
    /// Minor version.
    pub(crate) minor: u8,
    /// The file's text.
    pub(crate) source: String,
}

impl Table {
    /// The file that the table belongs to.
    pub(crate) fn path(&self) -> PathBuf {
        package().join(format!("src/offsets/v3_{}.rs", self.minor))
    }

    /// Returns true if a file has the same numbers, perhaps from another patch release.
    pub(crate) fn is_in(&self, file: &str) -> bool {
        let numbers = |text: &str| text.split_once('\n').map(|(_, rest)| rest.to_owned());
        numbers(file) == numbers(&self.source)
    }
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Installation {
    /// Makes the table.
    pub(crate) fn table(&self) -> io::Result<Table> {
        let include = self.python("import sysconfig; print(sysconfig.get_path('include'))")?;
        let opcodes = std::fs::read_to_string(package().join("offsets/opcodes.py"))?;
        let opcodes = self.python(&opcodes)?;
        let probed = self.probe(include.trim())?;
        let mut lines = opcodes.lines();
        let (Some(classes), Some(caches)) = (lines.next(), lines.next()) else {
            return Err(io::Error::other("opcodes.py printed something else"));
        };
        render(&probed, classes, caches).map_err(io::Error::other)
    }

    fn python(&self, code: &str) -> io::Result<String> {
        let mut command = match &self.root {
            Some(root) => {
                let mut command = Command::new("chroot");
                command.arg(root).arg(&self.interpreter);
                command
            }
            None => Command::new(&self.interpreter),
        };
        output(command.arg("-c").arg(code))
    }

    /// Compiles and runs `probe.c` against the headers.
    fn probe(&self, include: &str) -> io::Result<String> {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        let inside = |path: &str| root.join(path.trim_start_matches('/'));
        let program = tempfile::NamedTempFile::new()?.into_temp_path();
        let mut compile = Command::new("cc");
        compile.arg("-w").arg("-I").arg(inside(include));
        compile.arg("-I").arg(inside(include).join("internal"));
        if self.root.is_some() {
            compile.arg("-I").arg(inside("usr/include"));
            compile
                .arg("-I")
                .arg(inside("usr/include/x86_64-linux-gnu"));
        }
        compile.arg(package().join("offsets/probe.c"));
        output(compile.arg("-o").arg(&*program))?;
        output(&mut Command::new(&*program))
    }
}

/// Runs a command. An error has its messages.
fn output(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// The source of a table, from the lines of `probe.c` and `opcodes.py`.
fn render(probed: &str, classes: &str, caches: &str) -> Result<Table, String> {
    let mut values: BTreeMap<&str, u64> = BTreeMap::new();
    let mut debug = Vec::new();
    for line in probed.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().map_err(|error| error.to_string());
        match words.as_slice() {
            ["debug", name, value] => debug.push((*name, number(value)?)),
            [name, value] => {
                values.insert(name, number(value)?);
            }
            _ => return Err(format!("`{line}` is no line of probe.c")),
        }
    }
    let version = *values.get("hexversion").ok_or("no version")?;
    let minor = (version >> 16 & 0xff) as u8;
    let release = version >> 8 & 0xff;
    let mut source = format!(
        "//! CPython 3.{minor}, from the headers of 3.{minor}.{release}.\n//!\n\
         //! Written by `cargo run -p tracer-cpython --example offsets`.\n\n\
         use super::{{DebugField, Offsets, VersionTable}};\n\n\
         pub(super) static TABLE: VersionTable = VersionTable {{\n    minor: {minor},\n    offsets: Offsets {{\n"
    );
    if debug.is_empty() {
        source = source.replace("DebugField, ", "");
    }
    // Writing to a string cannot fail.
    for (name, optional) in FIELDS {
        let _ = match (values.get(name), optional) {
            (Some(value), false) => writeln!(source, "        {name}: {value},"),
            (Some(value), true) => writeln!(source, "        {name}: Some({value}),"),
            (None, true) => writeln!(source, "        {name}: None,"),
            (None, false) => return Err(format!("no {name}")),
        };
    }
    source.push_str("    },\n");
    if debug.is_empty() {
        source.push_str("    debug: &[],\n");
    } else {
        source.push_str("    debug: &[\n");
        for (name, at) in debug {
            let _ = writeln!(
                source,
                "        DebugField {{\n            at: {at},\n            name: \"{name}\",\n        }},"
            );
        }
        source.push_str("    ],\n");
    }
    for (field, text) in [("op_classes", classes), ("op_caches", caches)] {
        if text.len() != 256 {
            return Err(format!("{} opcodes", text.len()));
        }
        let _ = writeln!(source, "    {field}: b\"\\");
        for row in 0..4 {
            let end = if row == 3 { "\"," } else { "\\" };
            let _ = writeln!(source, "        {}{end}", &text[row * 64..row * 64 + 64]);
        }
    }
    source.push_str("};\n");
    Ok(Table { minor, source })
}
