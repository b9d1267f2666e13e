//! The product's sources, parsed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A crate of the product: its name and source folder.
pub(super) const CRATES: [(&str, &str); 4] = [
    ("tracer", "tracer/src"),
    ("tracer_common", "tracer-common/src"),
    ("tracer_ebpf", "tracer-ebpf/src"),
    ("tracer_cpython", "cpython/src"),
];

/// Crates that build and test the product.
pub(super) const TOOLS: [(&str, &str); 6] = [
    ("xtask", "xtask/src"),
    ("end_to_end", "tracer/tests/end_to_end"),
    ("kernel", "tracer/tests/kernel"),
    ("fuzz", "tracer/fuzz/src"),
    ("build", "tracer/build"),
    ("target_app", "target-app/src"),
];

/// One file.
#[derive(Clone)]
pub(super) struct Source {
    /// Path from the project's root.
    pub(super) path: PathBuf,
    /// Module path, such as `tracer::plan::expr`.
    pub(super) module: String,
    pub(super) syntax: syn::File,
}

/// All files that are compiled into the product.
pub(super) struct Sources {
    pub(super) files: Vec<Source>,
}

impl Sources {
    pub(super) fn read() -> Self {
        Self::of(&CRATES)
    }

    /// The files of one of those crates.
    pub(super) fn of_crate(&self, name: &str) -> Self {
        let is_of = |file: &&Source| file.module.split("::").next() == Some(name);
        Self {
            files: self.files.iter().filter(is_of).cloned().collect(),
        }
    }

    /// The files of the crates that build and test the product.
    pub(super) fn tools() -> Self {
        Self::of(&TOOLS)
    }

    fn of(crates: &[(&str, &str)]) -> Self {
        let root = root();
        let mut files = Vec::new();
        for (name, folder) in crates {
            let start = root.join(folder);
            walk(&start, &mut |path| {
                let inside = path.strip_prefix(&start).expect("it was found there");
                let text = fs::read_to_string(path).expect("a source is readable");
                files.push(Source {
                    path: path.strip_prefix(root).expect("as above").to_owned(),
                    module: module_of(name, inside),
                    syntax: syn::parse_file(&text).expect("a source is Rust"),
                });
            });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }
}

/// The folder with the most files, and their number. Files of tests count.
pub(super) fn largest_folder(crates: &[(&str, &str)]) -> (PathBuf, usize) {
    let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (_, folder) in crates {
        walk_all(&root().join(folder), "rs", &mut |path| {
            let folder = path.parent().unwrap_or(Path::new(""));
            let folder = folder.strip_prefix(root()).unwrap_or(folder);
            *folders.entry(folder.to_owned()).or_default() += 1;
        });
    }
    let largest = folders.into_iter().max_by_key(|(_, files)| *files);
    largest.unwrap_or_default()
}

/// The project's root.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is in the project")
}

/// Files of the project with an extension, below a folder, tests included.
pub(super) fn walk_all(folder: &Path, extension: &str, found: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("as above").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            walk_all(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found(&path);
        }
    }
}

fn walk(folder: &Path, found: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("as above").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_test = name == "tests" || name == "tests.rs";
        if path.is_dir() && !is_test {
            walk(&path, found);
        } else if name.ends_with(".rs") && !is_test {
            found(&path);
        }
    }
}

fn module_of(name: &str, inside: &Path) -> String {
    let mut parts = vec![name.to_owned()];
    let stem = inside.with_extension("");
    parts.extend(stem.iter().map(|part| part.to_string_lossy().into_owned()));
    if matches!(
        parts.last().map(String::as_str),
        Some("lib" | "main" | "mod")
    ) {
        parts.pop();
    }
    parts.join("::")
}

/// Returns true if an item is compiled only for tests.
pub(super) fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}
