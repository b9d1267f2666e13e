//! Classes of C++ that other modules of the process define: found, and made into shapes.

use std::sync::Arc;

use super::build::Builder;
use super::limits;
use super::present::abi_string;
use super::shape::Node;
use crate::address::Bias;
use crate::debuginfo::types::{Derived, Language, Type, TypeId, TypeKind, TypeSource};
use crate::debuginfo::{Identity, Module, Neighbour};
use crate::unavailable::Unavailable;

/// Where types come from.
#[derive(Clone)]
pub(super) enum Types<'a> {
    /// The module of the site.
    Own(&'a dyn TypeSource),
    /// Another one of the process.
    Other(Arc<Module>),
}

/// A class of another module.
pub(super) struct Elsewhere {
    pub(super) ty: TypeId,
    /// Run address of its type information.
    pub(super) info: u64,
    pub(super) identity: Identity,
    pub(super) neighbour: Neighbour,
}

impl<'a> Builder<'a> {
    /// Classes of other modules that derive from one: at most `most`, or none when there are more.
    ///
    /// Of modules that cannot be told from what may replace them there are none.
    pub(super) fn derived_elsewhere(&self, class: &str, most: usize) -> Vec<Elsewhere> {
        let mut found = Vec::new();
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
                info: neighbour.bias.run(info).0,
                identity,
                neighbour: neighbour.clone(),
            }));
            if found.len() > most {
                return Vec::new();
            }
        }
        found
    }

    /// Makes something of the types of another module.
    pub(super) fn within<T>(&mut self, other: &Neighbour, make: impl FnOnce(&mut Self) -> T) -> T {
        let types = Types::Other(Arc::clone(&other.module));
        self.with_types(types, other.bias, make)
    }

    pub(super) fn with_types<T>(
        &mut self,
        types: Types<'a>,
        bias: Bias,
        make: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let types = std::mem::replace(&mut self.types, types);
        let bias = std::mem::replace(&mut self.bias, bias);
        let made = make(self);
        (self.types, self.bias) = (types, bias);
        made
    }

    /// The shape of a class of C++ that its unit only declares: of its definition in another unit,
    /// in the module of the site, or in another one of the process.
    ///
    /// clang leaves out what is sure to be in a library's debug information, which is often not there.
    pub(super) fn defined_elsewhere(&mut self, ty: &Type, depth: u32) -> Option<Node> {
        if ty.size.is_some() || ty.language != Language::Cpp || ty.name.is_empty() {
            return None;
        }
        if !matches!(ty.kind, TypeKind::Struct(_) | TypeKind::Union(_)) {
            return None;
        }
        if let Some(id) = self.definition(&ty.name) {
            return Some(self.node(id, depth));
        }
        let (source, bias) = self.own;
        if matches!(self.types, Types::Other(_))
            && let Some(id) = source.named(&ty.name)
        {
            let make = |builder: &mut Self| builder.node(id, depth);
            return Some(self.with_types(Types::Own(source), bias, make));
        }
        if let Some(text) = abi_string::node(self, ty) {
            return Some(text);
        }
        let why = format!(
            "`{}` is only declared; compile with -fstandalone-debug",
            ty.name
        );
        Some(Node::Missing(Unavailable::Unsupported(why)))
    }

    /// The definition of a class in the module whose types are looked at.
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
    pub(super) fn size_elsewhere(&self, ty: &Type) -> Option<u64> {
        let class = matches!(ty.kind, TypeKind::Struct(_)) && ty.language == Language::Cpp;
        if ty.size.is_some() || !class || ty.name.is_empty() {
            return ty.size;
        }
        let found = self.definition(&ty.name);
        found
            .and_then(|id| self.declared_size(id))
            .or_else(|| abi_string::unit(self, ty).map(|_| abi_string::STRING))
    }
}
