//! Imports between files, circles among them, and the order of the rooms.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use super::sources::{Sources, is_test};

/// The rooms of `tracer`, lowest first. A room may import only rooms of earlier lines.
const FLOORS: [&[&str]; 15] = [
    &["base"],
    &["program"],
    &["arch", "target"],
    &["sources"],
    &["debuginfo", "kernel", "lang"],
    &["stack"],
    &["value"],
    &["event"],
    &["placement"],
    &["plan"],
    &["actions"],
    &["session"],
    &["sink"],
    &["mcp", "tui"],
    &["cli"],
];

/// Imported modules of each file.
fn imports(sources: &Sources) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<&str> = sources
        .files
        .iter()
        .map(|file| file.module.as_str())
        .collect();
    let mut all = BTreeMap::new();
    for file in &sources.files {
        let mut visitor = PathVisitor {
            module: &file.module,
            nested: 0,
            paths: Vec::new(),
        };
        visitor.visit_file(&file.syntax);
        let imported = visitor
            .paths
            .iter()
            .filter_map(|path| longest(&modules, path));
        let others = imported.filter(|module| *module != file.module);
        all.insert(file.module.clone(), others.map(str::to_owned).collect());
    }
    all
}

/// The file of a path: the longest prefix of it that is a file.
fn longest<'m>(modules: &BTreeSet<&'m str>, path: &[String]) -> Option<&'m str> {
    (1..=path.len())
        .rev()
        .find_map(|length| modules.get(path[..length].join("::").as_str()).copied())
}

struct PathVisitor<'a> {
    module: &'a str,
    /// Nesting depth of modules within the file.
    nested: usize,
    paths: Vec<Vec<String>>,
}

impl PathVisitor<'_> {
    /// The path from the crate's name. `None` if it belongs to another crate or is relative to this
    /// file.
    fn whole(&self, path: &[String]) -> Option<Vec<String>> {
        let mut own: Vec<String> = self.module.split("::").map(str::to_owned).collect();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                own.truncate(1);
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                let mut nested = self.nested;
                while rest.first().is_some_and(|part| part == "super") {
                    match nested {
                        0 => drop(own.pop()),
                        _ => nested -= 1,
                    }
                    rest = &rest[1..];
                }
            }
            "tracer_common" => own.clear(),
            _ => return None,
        }
        own.extend(rest.iter().cloned());
        Some(own)
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let mut path = before.to_vec();
        match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.tree(&path, &part.tree);
            }
            syn::UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.paths.extend(self.whole(&path));
            }
            syn::UseTree::Rename(name) => {
                path.push(name.ident.to_string());
                self.paths.extend(self.whole(&path));
            }
            syn::UseTree::Glob(_) => self.paths.extend(self.whole(&path)),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(&path, tree);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for PathVisitor<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            self.nested += 1;
            visit::visit_item_mod(self, item);
            self.nested -= 1;
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // A module's public names come from its children, so these do not count as imports.
        if matches!(item.vis, syn::Visibility::Inherited) {
            self.tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        if parts.len() > 1 {
            self.paths.extend(self.whole(&parts));
        }
        visit::visit_path(self, path);
    }
}

/// Groups of files that import each other, largest first.
pub(super) fn circles(sources: &Sources) -> Vec<Vec<String>> {
    let imports = imports(sources);
    let reached: BTreeMap<&str, BTreeSet<&str>> = imports
        .keys()
        .map(|module| (module.as_str(), reachable(&imports, module)))
        .collect();
    let mut circles: Vec<Vec<String>> = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (module, others) in &reached {
        if seen.contains(module) {
            continue;
        }
        let circle: Vec<&str> = others
            .iter()
            .copied()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(module)))
            .collect();
        if circle.len() > 1 {
            seen.extend(&circle);
            circles.push(circle.into_iter().map(str::to_owned).collect());
        }
    }
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}

fn reachable<'m>(
    imports: &'m BTreeMap<String, BTreeSet<String>>,
    from: &'m str,
) -> BTreeSet<&'m str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for next in imports.get(module).into_iter().flatten() {
            if reached.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    reached
}

/// Imports of a higher room.
pub(super) fn wrong_way(sources: &Sources) -> Vec<String> {
    let floor = |module: &str| {
        let mut parts = module.split("::");
        let room = (parts.next() == Some("tracer"))
            .then(|| parts.next())
            .flatten()?;
        Some((
            room.to_owned(),
            FLOORS.iter().position(|floor| floor.contains(&room)),
        ))
    };
    let mut wrong = Vec::new();
    for (module, imported) in imports(sources) {
        let Some((room, own)) = floor(&module) else {
            continue;
        };
        for other in imported {
            let Some((other_room, above)) = floor(&other) else {
                continue;
            };
            if room != other_room && own.zip(above).is_none_or(|(own, above)| above >= own) {
                wrong.push(format!("{module} -> {other}"));
            }
        }
    }
    wrong
}
