//! C++ classes that other modules of the process define.

use std::sync::Arc;

use crate::base::address::LinkAddr;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{Derived, Language, Type, TypeId, TypeKind, TypeSource};
use crate::debuginfo::{Identity, Neighbour};
use crate::plan::limits;
use crate::plan::ops::addresses::AddressBase;
use crate::plan::shape::Node;
use crate::plan::shape::builder::{Builder, Types};

/// A class of another module.
pub(in crate::plan) struct Elsewhere {
    pub(in crate::plan) ty: TypeId,
    /// Its type information in that module.
    pub(in crate::plan) info: LinkAddr,
    pub(in crate::plan) identity: Identity,
    pub(in crate::plan) neighbour: Neighbour,
}

impl<'a> Builder<'a> {
    /// Classes of other modules that derive from `class`. None if there are more than `most`.
    ///
    /// Modules without an identity are left out, since nobody would notice a replacement.
    pub(in crate::plan) fn derived_elsewhere(&self, class: &str, most: usize) -> Vec<Elsewhere> {
        let mut found = Vec::new();
        self.depends_on_process();
        for neighbour in (self.neighbours)() {
            let Some(identity) = neighbour.identity() else {
                continue;
            };
            if !neighbour.module.names_class(class) {
                continue;
            }
            let classes = neighbour.module.derived(class, limits::IMPLEMENTERS);
            found.extend(classes.into_iter().map(|Derived { ty, info }| Elsewhere {
                ty,
                info,
                identity,
                neighbour: neighbour.clone(),
            }));
            if found.len() > most {
                return Vec::new();
            }
        }
        found
    }

    /// Runs `make` with the types of another module.
    pub(in crate::plan) fn within<T>(
        &mut self,
        other: &Neighbour,
        make: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let types = Types::Other(Arc::clone(&other.module));
        self.with_types(types, Some(AddressBase::from(other.place)), make)
    }

    pub(in crate::plan) fn with_types<T>(
        &mut self,
        types: Types<'a>,
        elsewhere: Option<AddressBase>,
        make: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let types = std::mem::replace(&mut self.types, types);
        let elsewhere = std::mem::replace(&mut self.elsewhere, elsewhere);
        let made = make(self);
        (self.types, self.elsewhere) = (types, elsewhere);
        made
    }

    /// The shape of a C++ class that its unit only declares, from its definition in another unit or
    /// in another module.
    ///
    /// clang omits definitions that a library's debug information should have. That debug
    /// information is often not installed.
    pub(in crate::plan) fn defined_elsewhere(&mut self, ty: &Type, depth: u32) -> Option<Node> {
        if ty.size.is_some() || ty.language != Language::Cpp || ty.name.is_empty() {
            return None;
        }
        if !matches!(ty.kind, TypeKind::Struct(_) | TypeKind::Union(_)) {
            return None;
        }
        if let Some(id) = self.definition(&ty.name) {
            return Some(self.node(id, depth));
        }
        let (source, _) = self.own;
        if matches!(self.types, Types::Other(_))
            && let Some(id) = source.named(&ty.name)
        {
            let make = |builder: &mut Self| builder.node(id, depth);
            return Some(self.with_types(Types::Own(source), None, make));
        }
        if let Some(text) = self.presenters.present_declared(self, ty) {
            return Some(text);
        }
        let why = format!(
            "`{}` is only declared; compile with -fstandalone-debug",
            ty.name
        );
        Some(Node::Missing(Unavailable::Unsupported(why)))
    }

    /// The definition of a class in the current module.
    fn definition(&self, name: &str) -> Option<TypeId> {
        let key = (matches!(self.types, Types::Own(_)), name.to_owned());
        if let Some(known) = self.definitions.borrow().get(&key) {
            return *known;
        }
        let found = self.named(name);
        let found = found.filter(|id| self.declared_size(*id).is_some());
        self.definitions.borrow_mut().insert(key, found);
        found
    }

    /// Bytes of a class that its unit only declares.
    pub(in crate::plan) fn size_elsewhere(&self, ty: &Type) -> Option<u64> {
        let class = matches!(ty.kind, TypeKind::Struct(_)) && ty.language == Language::Cpp;
        if ty.size.is_some() || !class || ty.name.is_empty() {
            return ty.size;
        }
        let found = self.definition(&ty.name);
        found
            .and_then(|id| self.declared_size(id))
            .or_else(|| self.presenters.declared_size(self, ty))
    }
}
