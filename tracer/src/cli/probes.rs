//! The probes of the command line: those behind `-e`, then those of the files behind `-f`.

use std::collections::BTreeSet;
use std::path::Path;

use super::failure::Failure;
use crate::lang::ast::ProbeSpec;
use crate::lang::{parse_probe, parse_probe_file};

/// Bytes of a file of probes; a longer one is refused.
const MAX_FILE: u64 = 1 << 20;

/// A probe, and where it was written.
#[derive(Debug)]
pub(super) struct Written {
    /// What it says.
    pub(super) spec: ProbeSpec,
    /// File and line, for messages; `None`: on the command line.
    pub(super) place: Option<String>,
}

/// Reads all of them.
///
/// # Errors
/// Every mistake, in the order of the probes: nothing runs before all can be read.
pub(super) fn read(
    texts: &[String],
    files: &[impl AsRef<Path>],
) -> Result<Vec<Written>, Vec<Failure>> {
    let mut probes = Vec::new();
    let mut failures = Vec::new();
    for text in texts {
        match parse_probe(text) {
            Ok(spec) => probes.push(Written { spec, place: None }),
            Err(error) => failures.push(Failure::of_syntax(error, text)),
        }
    }
    for file in files {
        match read_file(file.as_ref()) {
            Ok(text) => of_file(file.as_ref(), &text, &mut probes, &mut failures),
            Err(failure) => failures.push(failure),
        }
    }
    let mut names = BTreeSet::new();
    for Written { spec, place } in &probes {
        if let Some(name) = &spec.options.name
            && !names.insert(name)
        {
            let failure = Failure::new(format!("two probes have the name `{name}`"));
            let hint = "output tells probes apart by their names".to_owned();
            failures.push(failure.hint(hint).at(place.as_deref()));
        }
    }
    if failures.is_empty() {
        Ok(probes)
    } else {
        Err(failures)
    }
}

fn read_file(path: &Path) -> Result<String, Failure> {
    let cannot = |why: String| Failure::new(format!("cannot read `{}`: {why}", path.display()));
    let length = std::fs::metadata(path)
        .map_err(|error| cannot(error.to_string()))?
        .len();
    if length > MAX_FILE {
        return Err(cannot(format!(
            "it has {length} bytes, and {MAX_FILE} are the most"
        )));
    }
    std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))
}

fn of_file(path: &Path, text: &str, probes: &mut Vec<Written>, failures: &mut Vec<Failure>) {
    for (line, probe) in parse_probe_file(text) {
        let place = format!("{}:{line}", path.display());
        match probe {
            Ok(spec) => probes.push(Written {
                spec,
                place: Some(place),
            }),
            Err(error) => {
                // Positions count from the first letter of the probe.
                let typed = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
                failures.push(Failure::of_syntax(error, typed.trim_start()).at(Some(&place)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_gives_probes_in_order_with_their_places() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("probes");
        std::fs::write(&file, "# one\n\nlog main.rs:2 # why\n").unwrap();
        let probes = read(&["log main.rs:1".into()], &[&file]).unwrap();
        let texts: Vec<&str> = probes.iter().map(|probe| probe.spec.text.trim()).collect();
        assert_eq!(texts[0], "log main.rs:1");
        assert!(texts[1].starts_with("log main.rs:2"), "{texts:?}");
        assert_eq!(probes[0].place, None);
        assert_eq!(probes[1].place, Some(format!("{}:3", file.display())));
    }

    #[test]
    fn read_refuses_two_probes_of_one_name() {
        let files: [&Path; 0] = [];
        let texts = |names: [&str; 2]| names.map(|name| format!("log main.rs:1 as {name}"));
        assert!(read(&texts(["a", "b"]), &files).is_ok());
        let failures = read(&texts(["a", "a"]), &files).unwrap_err();
        assert!(failures[0].message().contains("name `a`"), "{failures:?}");
    }

    #[test]
    fn read_tells_every_mistake() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("probes");
        std::fs::write(&file, "log main.rs:2\nlgo main.rs:3\n").unwrap();
        let missing = directory.path().join("none");
        let failures = read(&["log".into()], &[&file, &missing]).unwrap_err();
        let said: Vec<String> = failures
            .iter()
            .map(|failure| failure.render(false))
            .collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[1].contains("probes:2: "), "{said:?}");
        assert!(said[1].contains("  lgo main.rs:3\n  ^^^"), "{said:?}");
        assert!(said[2].contains("none"), "{said:?}");
    }
}
