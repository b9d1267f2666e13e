//! Classes of C++ by what they derive from, each with its type information
//! (`typeinfo for C`), which tells what an object of a base really is.
//!
//! Those that are the same all over the module are known by their names, those of anonymous
//! namespaces by their virtual tables; those of functions are not listed.

mod hidden;

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::imports;
use super::module::Module;
use super::symbols::SymbolKind;
use super::types::{Derived, Language, Type, TypeId, TypeKind, TypeSource as _};

/// Classes with type information; of a module with more, none is known.
const MAX_CLASSES: usize = 1 << 14;
/// Levels of base classes.
const MAX_LEVELS: usize = 16;
/// Bases of one class, all levels together.
const MAX_BASES: usize = 64;
/// Typedefs and qualifiers followed.
const MAX_ALIASES: usize = 16;
/// What stands for the name of an anonymous namespace.
const ANONYMOUS: &str = "(anonymous namespace)";
/// How its name is mangled.
const MANGLED_ANONYMOUS: &str = "_GLOBAL__N_1::";
/// How the type information of a class is named.
const TYPE_INFO: &[u8] = b"_ZTI";

/// See the module.
#[derive(Default)]
pub(super) struct ClassIndex {
    /// By full name of the base.
    derived: HashMap<String, Vec<Derived>>,
}

impl ClassIndex {
    /// Reads all classes of a module that have type information.
    pub(super) fn read(module: &Module) -> Self {
        let mut found = Vec::new();
        for symbol in module.symbols() {
            let named = symbol.kind == SymbolKind::Object && symbol.name.starts_with(TYPE_INFO);
            if !named || !symbol.global {
                continue;
            }
            if found.len() >= MAX_CLASSES {
                return Self::default();
            }
            found.push((class_of(symbol.name), symbol.address));
        }
        let named = found.into_par_iter().filter_map(|(name, info)| {
            let ty = module.named(&name?)?;
            Some((ty, info))
        });
        let hidden = hidden::read(module).into_par_iter();
        // In order, so that the same module gives the same list.
        let read: Vec<_> = named
            .chain(hidden)
            .filter_map(|(ty, info)| Some((Derived { ty, info }, bases_of(module, ty)?)))
            .collect();
        let mut index = Self::default();
        // A symbol may have aliases.
        let mut known = HashSet::new();
        for (class, bases) in read {
            if known.insert(class.info) {
                index.add(class, bases);
            }
        }
        index
    }

    fn add(&mut self, class: Derived, bases: Vec<String>) {
        for base in bases {
            self.derived.entry(base).or_default().push(class);
        }
    }

    /// See [`super::types::TypeSource::derived`].
    pub(super) fn derived(&self, class: &str, most: usize) -> Vec<Derived> {
        let found = self.derived.get(class).map(Vec::as_slice);
        let few = found.filter(|found| found.len() <= most);
        few.unwrap_or_default().to_vec()
    }
}

impl Module {
    /// Whether it defines or uses type information of a class of that full name, which classes
    /// that derive from it need; told without reading any entry.
    pub(crate) fn names_class(&self, class: &str) -> bool {
        if self.is_stripped() {
            return false;
        }
        let read = || {
            let named = imports::names(self).filter(|name| name.starts_with(TYPE_INFO));
            named.take(MAX_CLASSES).filter_map(class_of).collect()
        };
        self.dies.named_classes.get_or_init(read).contains(class)
    }
}

/// Full names of all bases of a class of C++.
fn bases_of(module: &Module, ty: TypeId) -> Option<Vec<String>> {
    let class = module.type_of(ty);
    if class.size.is_none() || class.language != Language::Cpp {
        return None;
    }
    let mut bases = Vec::new();
    collect(module, &class, 0, &mut bases);
    Some(bases)
}

/// Those of one class, and of its bases.
fn collect(module: &Module, class: &Type, level: usize, out: &mut Vec<String>) {
    let TypeKind::Struct(body) = &class.kind else {
        return;
    };
    for base in &body.bases {
        if level >= MAX_LEVELS || out.len() >= MAX_BASES {
            return;
        }
        let base = behind_aliases(module, base.ty);
        // Once each: bases of damaged debug information may be their own.
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

/// `C` of `typeinfo for C`; `None` when it can mean several.
fn class_of(symbol: &[u8]) -> Option<String> {
    full_name(symbol).filter(|name| !name.contains(ANONYMOUS))
}

/// `C` of `typeinfo for C`, which several units may have.
fn full_name(symbol: &[u8]) -> Option<String> {
    let rest = symbol.strip_prefix(TYPE_INFO)?;
    // As the name of something in that scope, which the demangler writes without more.
    let mangled = [b"_Z".as_slice(), rest].concat();
    let name = super::names::demangle(&mangled);
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
