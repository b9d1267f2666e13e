//! C++ classes by their bases, each with its type information (`typeinfo for C`). That tells the
//! dynamic type of an object seen as a base.
//!
//! Classes with linkage are found by their names, classes in anonymous namespaces by their
//! virtual tables. Classes inside functions are not listed.

mod hidden;

use std::collections::HashSet;

use rayon::prelude::*;

use super::class_index::ClassIndex;
use crate::debuginfo::calls::imports;
use crate::debuginfo::file::symbols::SymbolKind;
use crate::debuginfo::model::types::{Derived, Language, Type, TypeId, TypeKind, TypeSource as _};
use crate::debuginfo::module::Module;

/// Classes with type information; if a module has more, none is used.
const MAX_CLASSES: usize = 1 << 14;
/// Levels of base classes.
const MAX_LEVELS: usize = 16;
/// Bases of one class on all levels.
const MAX_BASES: usize = 64;
/// Typedefs and qualifiers followed.
const MAX_ALIASES: usize = 16;
/// The name that stands for an anonymous namespace.
const ANONYMOUS: &str = "(anonymous namespace)";
/// The mangled name of an anonymous namespace.
const MANGLED_ANONYMOUS: &str = "_GLOBAL__N_1::";
/// Prefix of the mangled name of a class's type information.
const TYPE_INFO: &[u8] = b"_ZTI";

/// Reads all classes of a module that have type information.
pub(in crate::debuginfo) fn read_classes(module: &Module) -> ClassIndex {
    let mut found = Vec::new();
    for symbol in module.symbols() {
        let named = symbol.kind == SymbolKind::Object && symbol.name.starts_with(TYPE_INFO);
        if !named || !symbol.global {
            continue;
        }
        if found.len() >= MAX_CLASSES {
            return ClassIndex::default();
        }
        found.push((class_of(symbol.name), symbol.address));
    }
    let named = found.into_par_iter().filter_map(|(name, info)| {
        let ty = module.named(&name?)?;
        Some((ty, info))
    });
    let hidden = hidden::read(module).into_par_iter();
    // The order is kept, so that the same module always results in the same list.
    let read: Vec<_> = named
        .chain(hidden)
        .filter_map(|(ty, info)| Some((Derived { ty, info }, bases_of(module, ty)?)))
        .collect();
    let mut index = ClassIndex::default();
    // A symbol may have aliases.
    let mut known = HashSet::new();
    for (class, bases) in read {
        if known.insert(class.info) {
            index.add(class, bases);
        }
    }
    index
}

impl Module {
    /// Returns true if the module defines or uses type information of the class with this full
    /// name. Classes that derive from it need that. No debug entry is read.
    pub(crate) fn names_class(&self, class: &str) -> bool {
        if self.is_stripped() {
            return false;
        }
        let read = || {
            let named = imports::names(self).filter(|name| name.starts_with(TYPE_INFO));
            named.take(MAX_CLASSES).filter_map(class_of).collect()
        };
        self.caches.named_classes.get_or_init(read).contains(class)
    }
}

/// Returns the full names of all bases of a C++ class.
fn bases_of(module: &Module, ty: TypeId) -> Option<Vec<String>> {
    let class = module.type_of(ty);
    if class.size.is_none() || class.language != Language::Cpp {
        return None;
    }
    let mut bases = Vec::new();
    collect(module, &class, 0, &mut bases);
    Some(bases)
}

/// Adds the bases of one class, and their bases.
fn collect(module: &Module, class: &Type, level: usize, out: &mut Vec<String>) {
    let TypeKind::Struct(body) = &class.kind else {
        return;
    };
    for base in &body.bases {
        if level >= MAX_LEVELS || out.len() >= MAX_BASES {
            return;
        }
        let base = behind_aliases(module, base.ty);
        // Each base is visited once, because a class in damaged debug information may be its own
        // base.
        if !out.contains(&base.name) {
            out.push(base.name.clone());
            collect(module, &base, level + 1, out);
        }
    }
}

fn behind_aliases(module: &Module, id: TypeId) -> std::sync::Arc<Type> {
    let mut ty = module.type_of(id);
    for _ in 0..MAX_ALIASES {
        let TypeKind::Alias(next) = ty.kind else {
            break;
        };
        ty = module.type_of(next);
    }
    ty
}

/// Returns `C` for `typeinfo for C`, or `None` if several classes can have the name.
fn class_of(symbol: &[u8]) -> Option<String> {
    full_name(symbol).filter(|name| !name.contains(ANONYMOUS))
}

/// Returns `C` for `typeinfo for C`. Several units may have a class with this name.
fn full_name(symbol: &[u8]) -> Option<String> {
    let rest = symbol.strip_prefix(TYPE_INFO)?;
    // Without the prefix, the name is that of an ordinary entity in the class's scope, which the
    // demangler writes plainly.
    let mangled = [b"_Z".as_slice(), rest].concat();
    let name = crate::debuginfo::model::names::demangle(&mangled);
    let name = name.replace(MANGLED_ANONYMOUS, "(anonymous namespace)::");
    let plain = !name.starts_with("_Z") && !name.contains('{') && !name.contains("_GLOBAL__N");
    plain.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{class_of, full_name};

    #[test]
    fn class_of_type_information_is_its_full_name() {
        assert_eq!(class_of(b"_ZTI4Base").as_deref(), Some("Base"));
        assert_eq!(
            class_of(b"_ZTIN8geometry5ShapeE").as_deref(),
            Some("geometry::Shape")
        );
        assert_eq!(class_of(b"_ZTI3BoxIiLi3EE").as_deref(), Some("Box<int, 3>"));
        let hidden = b"_ZTIN12_GLOBAL__N_14ImplE";
        assert_eq!(class_of(hidden), None);
        let name = full_name(hidden);
        assert_eq!(name.as_deref(), Some("(anonymous namespace)::Impl"));
        assert_eq!(class_of(b"_ZTV4Base"), None);
    }
}
