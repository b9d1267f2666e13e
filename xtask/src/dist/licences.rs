//! Collects the licences of everything that is linked into the binary, as one text.
//!
//! cargo lists the crates, and each crate's package has its terms. A licence that is not on the
//! list fails the build, because somebody must read it first.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::toolchain::{Component, TARGET};
use crate::install::installation;
use crate::support::command::output;
use crate::support::failure::Failure;
use crate::support::workspace::{self, cargo};

/// Licences that only require their texts and the names of the sources.
const KNOWN: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "LLVM-exception",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "WTFPL",
    "Zlib",
];

/// Prefixes of the names of files with terms.
const FILES: &[&str] = &[
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];

/// Suffixes of the names of files that only mention licences.
const CODE: &[&str] = &[
    "c", "h", "html", "js", "json", "py", "rs", "sh", "toml", "yml",
];

/// The part of `cargo metadata` that is used.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    authors: Vec<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    /// `None` for a package of this repository.
    source: Option<String>,
    targets: Vec<CargoTarget>,
}

#[derive(Deserialize)]
struct CargoTarget {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// `None` for a linked dependency; else `dev` or `build`.
    kind: Option<String>,
}

/// The licence entry of one piece of software.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Notice {
    name: String,
    version: String,
    licence: String,
    from: String,
    texts: Vec<String>,
}

/// The whole text: a list, then each distinct text once.
///
/// # Errors
/// A package has no licence, an unknown one, or no file with its terms.
pub(super) fn collect(components: &[Component]) -> Result<String> {
    let mut notices = BTreeSet::new();
    for component in components {
        notices.insert(Notice {
            name: component.name.to_owned(),
            version: String::new(),
            licence: component.licence.to_owned(),
            from: String::new(),
            texts: vec![read(&component.text)?],
        });
    }
    for (directory, package) in [("", "tracer"), (crate::build::ebpf::TRACER, "tracer-ebpf")] {
        let metadata = metadata(directory)?;
        for package in linked(&metadata, package)? {
            notices.insert(notice(package)?);
        }
    }
    Ok(render(&notices))
}

fn metadata(directory: &str) -> Result<Metadata> {
    let mut command = cargo("metadata");
    command
        .current_dir(workspace::root().join(directory))
        .args([
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            TARGET,
        ]);
    serde_json::from_slice(&output(&mut command)?).context("cannot read cargo's metadata")
}

/// Foreign packages whose code is in a package's program, without macros and build scripts.
fn linked<'a>(metadata: &'a Metadata, root: &str) -> Result<Vec<&'a Package>> {
    let packages: HashMap<&str, &Package> = metadata
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package))
        .collect();
    let nodes: HashMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let start = metadata
        .packages
        .iter()
        .find(|package| package.name == root)
        .with_context(|| format!("cargo knows no package `{root}`"))?;
    let mut seen = BTreeSet::new();
    let mut waiting = vec![start.id.as_str()];
    while let Some(id) = waiting.pop() {
        let package = packages.get(id).context("cargo's metadata has a gap")?;
        if package.is_macro() || !seen.insert(id) {
            continue;
        }
        let node = nodes.get(id).context("cargo's metadata has a gap")?;
        let linked = node
            .deps
            .iter()
            .filter(|dependency| dependency.dep_kinds.iter().any(|one| one.kind.is_none()));
        waiting.extend(linked.map(|dependency| dependency.pkg.as_str()));
    }
    Ok(seen
        .iter()
        .filter_map(|id| packages.get(id).copied())
        .filter(|package| package.source.is_some())
        .collect())
}

impl Package {
    fn is_macro(&self) -> bool {
        let mut kinds = self.targets.iter().flat_map(|target| &target.kind);
        kinds.any(|kind| kind == "proc-macro")
    }
}

fn notice(package: &Package) -> Result<Notice> {
    let licence = package.license.clone().unwrap_or_default();
    if let Some(unknown) = unknown_licence(&licence) {
        return Err(Failure::new(format!(
            "the licence `{unknown}` of the crate `{}` is not one that is known here",
            package.name
        ))
        .hint("read it, then add it to `KNOWN` in xtask/src/dist/licences.rs, or do without the crate")
        .into());
    }
    Ok(Notice {
        name: package.name.clone(),
        version: package.version.clone(),
        texts: texts(package, &licence)?,
        licence,
        from: package.repository.clone().unwrap_or_default(),
    })
}

/// The first unknown name in a licence expression; empty if there is no expression.
fn unknown_licence(expression: &str) -> Option<&str> {
    let mut names = expression
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '/'))
        .filter(|word| !word.is_empty() && !matches!(*word, "OR" | "AND" | "WITH"))
        .peekable();
    if names.peek().is_none() {
        return Some("");
    }
    names.find(|name| !KNOWN.contains(name))
}

/// The terms in a package. If the authors forgot them, MIT's terms with the authors' names, or those of Apache 2.0.
fn texts(package: &Package, licence: &str) -> Result<Vec<String>> {
    let directory = package.manifest_path.parent().unwrap_or(Path::new(""));
    // Subfolders count too, because a crate may contain C sources of others.
    let files: Vec<PathBuf> = installation::files(directory)?
        .into_iter()
        .filter(|file| has_terms(file))
        .map(|file| directory.join(file))
        .collect();
    if !files.is_empty() {
        return files.iter().map(|file| read(file)).collect();
    }
    let is_under = |wanted| licence.split([' ', '/']).any(|name| name == wanted);
    if !is_under("MIT") && is_under("Apache-2.0") {
        // These terms name no owner.
        return Ok(vec![read(&workspace::root().join("LICENSE-APACHE"))?]);
    }
    if !is_under("MIT") {
        return Err(Failure::new(format!(
            "the package of the crate `{}` has no file with its licence `{licence}`",
            package.name
        ))
        .into());
    }
    let ours = read(&workspace::root().join("LICENSE-MIT"))?;
    let (_, terms) = ours
        .split_once("Permission is")
        .context("LICENSE-MIT has no terms")?;
    let owners = if package.authors.is_empty() {
        format!("the authors of {}", package.name)
    } else {
        package.authors.join(", ")
    };
    Ok(vec![format!(
        "MIT License\n\nCopyright (c) {owners}\n\nPermission is{terms}"
    )])
}

fn has_terms(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_uppercase();
    let extension = path.extension().unwrap_or_default();
    !CODE.iter().any(|code| extension == *code) && FILES.iter().any(|start| name.starts_with(start))
}

fn read(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    Ok(text.trim_matches('\n').trim_end().to_owned())
}

fn render(notices: &BTreeSet<Notice>) -> String {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut texts: Vec<&str> = Vec::new();
    let mut out = String::from(
        "The program `tracer` contains the software below. Each line has a name, a version, the\n\
         licence, and the numbers of its terms, which follow the list. A package of this name and\n\
         version at crates.io has the sources.\n\n",
    );
    for notice in notices {
        let refer: Vec<String> = notice
            .texts
            .iter()
            .map(|text| {
                let number = *numbers.entry(text).or_insert_with(|| {
                    texts.push(text);
                    texts.len()
                });
                format!("[{number}]")
            })
            .collect();
        let title = format!("{} {}", notice.name, notice.version);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{}: {} {}{}{}",
            title.trim_end(),
            notice.licence,
            refer.join(" "),
            if notice.from.is_empty() { "" } else { "  " },
            notice.from
        );
    }
    for (index, text) in texts.iter().enumerate() {
        let _ = write!(out, "\n{}\n[{}]\n\n{text}\n", "-".repeat(80), index + 1);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use std::path::Path;

    use super::{Notice, Package, has_terms, render, texts, unknown_licence};
    use crate::support::workspace;

    #[test]
    fn forgotten_terms_of_apache_are_those_of_the_licence() {
        let package = |licence: &str| Package {
            id: String::new(),
            name: "a".to_owned(),
            version: "1.0.0".to_owned(),
            license: Some(licence.to_owned()),
            authors: Vec::new(),
            repository: None,
            // No file there has terms.
            manifest_path: workspace::root().join("docs/Cargo.toml"),
            source: None,
            targets: Vec::new(),
        };
        let of = |licence| texts(&package(licence), licence);
        let made = of("Apache-2.0").expect("terms");
        assert!(made[0].contains("Apache License"), "{made:?}");
        assert!(of("MIT OR Apache-2.0").expect("terms")[0].starts_with("MIT License"));
        assert!(of("ISC").is_err());
    }

    #[test]
    fn terms_are_texts_by_their_usual_names() {
        for name in [
            "LICENSE",
            "c_src/mimalloc/LICENSE",
            "license-apache-2.0.txt",
            "COPYING.md",
        ] {
            assert!(has_terms(Path::new(name)), "{name}");
        }
        for name in ["src/license.rs", "README.md"] {
            assert!(!has_terms(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn known_licences_in_every_spelling_pass() {
        for expression in [
            "MIT",
            "MIT/Apache-2.0",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR MIT",
        ] {
            assert_eq!(unknown_licence(expression), None, "{expression}");
        }
    }

    #[test]
    fn unknown_or_missing_licence_is_named() {
        assert_eq!(
            unknown_licence("MIT AND GPL-3.0-only"),
            Some("GPL-3.0-only")
        );
        assert_eq!(unknown_licence(""), Some(""));
    }

    #[test]
    fn same_terms_are_printed_once() {
        let notice = |name: &str| Notice {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: "MIT".to_owned(),
            from: String::new(),
            texts: vec!["the terms".to_owned()],
        };
        let text = render(&BTreeSet::from([notice("a"), notice("b")]));
        assert_eq!(text.matches("the terms").count(), 1);
        assert!(
            text.contains("a 1.0.0: MIT [1]\nb 1.0.0: MIT [1]\n"),
            "{text}"
        );
    }
}
