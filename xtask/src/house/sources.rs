//! The product's sources, parsed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A crate of the product: its name and where its sources are.
const CRATES: [(&str, &str); 3] = [
    ("tracer", "tracer/src"),
    ("tracer_common", "tracer-common/src"),
    ("tracer_ebpf", "tracer-ebpf/src"),
];

/// One file.
pub(super) struct Source {
    /// From the project's root.
    pub(super) path: PathBuf,
    /// `tracer::plan::expr`.
    pub(super) module: String,
    pub(super) syntax: syn::File,
}

/// All files that are compiled into the product.
pub(super) struct Sources {
    pub(super) files: Vec<Source>,
}

impl Sources {
    pub(super) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask is in the project");
        let mut files = Vec::new();
        for (name, folder) in CRATES {
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

    /// The folder with the most files, and their number.
    pub(super) fn largest_folder(&self) -> (PathBuf, usize) {
        let mut folders: BTreeMap<&Path, usize> = BTreeMap::new();
        for file in &self.files {
            *folders
                .entry(file.path.parent().unwrap_or(Path::new("")))
                .or_default() += 1;
        }
        let largest = folders.into_iter().max_by_key(|(_, files)| *files);
        largest.map_or_else(Default::default, |(folder, files)| {
            (folder.to_owned(), files)
        })
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

/// Whether an item is compiled for tests alone.
pub(super) fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}
