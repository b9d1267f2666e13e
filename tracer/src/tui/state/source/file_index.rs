//! The source files of the program, with an index for each key that looks one up.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::session::SourceFile;

/// Every source file. A path that several modules have stands behind all others from its second module on.
#[derive(Debug, Default)]
pub(in crate::tui) struct FileIndex {
    files: Vec<SourceFile>,
    /// The number of different paths. They stand first.
    once: usize,
    /// The first file of each path.
    by_path: HashMap<Arc<PathBuf>, usize>,
    /// The files of each file name.
    by_name: HashMap<OsString, Vec<usize>>,
    /// Name and path of each file in lower case, for searching.
    lowered: Vec<LoweredPath>,
}

#[derive(Debug)]
struct LoweredPath {
    name: String,
    path: String,
}

impl FileIndex {
    /// An index of these files.
    pub(in crate::tui) fn new(files: Vec<SourceFile>) -> Self {
        let mut seen = HashSet::new();
        let (mut files, again): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|file| seen.insert(Arc::clone(&file.path)));
        let once = files.len();
        files.extend(again);
        let (mut by_path, mut by_name) = (HashMap::new(), HashMap::new());
        for (index, file) in files.iter().enumerate() {
            by_path.entry(Arc::clone(&file.path)).or_insert(index);
            if let Some(name) = file.path.file_name() {
                let same: &mut Vec<usize> = by_name.entry(name.to_owned()).or_default();
                same.push(index);
            }
        }
        let lowered = |file: &SourceFile| LoweredPath {
            name: file
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase(),
            path: file.path.to_string_lossy().to_lowercase(),
        };
        Self {
            lowered: files.iter().map(lowered).collect(),
            files,
            once,
            by_path,
            by_name,
        }
    }

    /// A file by its number in the list.
    pub(in crate::tui) fn get(&self, index: usize) -> Option<&SourceFile> {
        self.files.get(index)
    }

    /// The first file of a path.
    pub(in crate::tui) fn find(&self, path: &PathBuf) -> Option<&SourceFile> {
        self.get(*self.by_path.get(path)?)
    }

    /// The paths of the files that are listed: the program's own, unless there are none or all are asked for. These
    /// stand first, so a path has the number of its file.
    pub(in crate::tui) fn listed(&self, all: bool) -> Vec<String> {
        let own = self.files.iter().take_while(|file| file.own).count();
        let listed = match all || own == 0 {
            true => self.once,
            false => own.min(self.once),
        };
        let listed = self.files.iter().take(listed);
        listed
            .map(|file| file.path.to_string_lossy().into_owned())
            .collect()
    }

    /// The files whose path has a text, whatever its case: those whose name begins with it first. Without a text,
    /// the program's own.
    pub(in crate::tui) fn with_text(&self, text: &str) -> impl Iterator<Item = &SourceFile> {
        let text = text.to_lowercase();
        let mut found = Vec::new();
        for (file, lowered) in self.files.iter().zip(&self.lowered) {
            let rank = match () {
                () if text.is_empty() && !file.own => continue,
                () if lowered.name.is_empty() => continue,
                () if lowered.name.starts_with(&text) => 0,
                () if lowered.name.contains(&text) => 1,
                () if lowered.path.contains(&text) => 2,
                () => continue,
            };
            found.push(((rank, !file.own), file));
        }
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, file)| file)
    }

    /// The shortest end of a file's path that no other path has, with its module where another one has the same path.
    pub(in crate::tui) fn short_location(&self, file: &SourceFile) -> String {
        let path = file.path.as_path();
        let parts: Vec<_> = path.iter().filter(|part| *part != "/").collect();
        let same_name: Vec<&SourceFile> = self.of_name(path).collect();
        let unique = |count: usize| {
            let suffix: PathBuf = parts.get(parts.len() - count..)?.iter().collect();
            let mut others = same_name.iter();
            let is_shared =
                others.any(|other| other.path != file.path && other.path.ends_with(&suffix));
            (!is_shared).then_some(suffix)
        };
        let shortest = (1..=parts.len())
            .find_map(unique)
            .unwrap_or_else(|| path.to_path_buf());
        let elsewhere = same_name
            .iter()
            .any(|other| other.path == file.path && other.module != file.module);
        if elsewhere && !file.module.is_empty() {
            format!("{}!{}", file.module, shortest.display())
        } else {
            shortest.display().to_string()
        }
    }

    /// The files with the name of a path.
    fn of_name(&self, path: &Path) -> impl Iterator<Item = &SourceFile> {
        let same = path.file_name().and_then(|name| self.by_name.get(name));
        let same = same.into_iter().flatten();
        same.filter_map(|index| self.files.get(*index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, module: &str, own: bool) -> SourceFile {
        SourceFile {
            path: Arc::new(path.into()),
            module: module.into(),
            on_disk: true,
            own,
        }
    }

    fn known() -> FileIndex {
        FileIndex::new(vec![
            file("/app/src/main.rs", "app", true),
            file("/app/src/net/mod.rs", "app", true),
            file("/app/src/net/mod.rs", "libnet.so", true),
            file("/app/src/disk/mod.rs", "app", true),
            file("/rust/library/core/src/net/mod.rs", "app", false),
        ])
    }

    #[test]
    fn files_are_found_by_path_and_listed_once() {
        let known = known();
        let found = known.find(&"/app/src/net/mod.rs".into());
        assert_eq!(found.map(|file| &*file.module), Some("app"));
        assert!(known.find(&"/app/src/net/other.rs".into()).is_none());
        assert_eq!(
            known.listed(false),
            [
                "/app/src/main.rs",
                "/app/src/net/mod.rs",
                "/app/src/disk/mod.rs"
            ]
        );
        assert_eq!(known.listed(true).len(), 4);
        for (index, path) in known.listed(true).iter().enumerate() {
            let same = known.get(index).map(|file| file.path.display().to_string());
            assert_eq!(same.as_ref(), Some(path));
        }
    }

    #[test]
    fn location_is_as_short_as_it_can_be() {
        let known = known();
        let short = |path: &str, module: &str| known.short_location(&file(path, module, true));
        assert_eq!(short("/app/src/main.rs", "app"), "main.rs");
        assert_eq!(short("/app/src/disk/mod.rs", "app"), "disk/mod.rs");
        assert_eq!(
            short("/app/src/net/mod.rs", "app"),
            "app!app/src/net/mod.rs"
        );
        let unknown = FileIndex::default();
        assert_eq!(unknown.short_location(&file("/a/b.c", "a", true)), "b.c");
    }

    #[test]
    fn files_with_a_text_come_in_the_order_of_their_fit() {
        let known = known();
        let of = |text: &str| {
            let found = known.with_text(text);
            let paths = found.map(|file| file.path.display().to_string());
            paths.collect::<Vec<_>>()
        };
        assert_eq!(of("MAIN"), ["/app/src/main.rs"]);
        assert_eq!(of("").len(), 4, "the program's own");
        assert_eq!(of("disk"), ["/app/src/disk/mod.rs"]);
        assert!(of("nothing").is_empty());
        let fits = FileIndex::new(vec![
            file("/mod/x.rs", "app", true),
            file("/a/a_mod.rs", "app", true),
            file("/library/mod.rs", "app", false),
            file("/a/mod.rs", "app", true),
        ]);
        let found = fits
            .with_text("mod")
            .map(|file| file.path.display().to_string());
        let order = ["/a/mod.rs", "/library/mod.rs", "/a/a_mod.rs", "/mod/x.rs"];
        assert_eq!(found.collect::<Vec<_>>(), order);
    }
}
