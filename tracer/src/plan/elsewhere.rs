//! Classes of C++ that other modules of the process define: found, and made into shapes.

use std::sync::Arc;

use super::build::Builder;
use super::limits;
use super::shape::Node;
use crate::address::Bias;
use crate::debuginfo::types::{Derived, Language, Type, TypeId, TypeSource};
use crate::debuginfo::{Identity, Module, Neighbour};

/// Where types come from.
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

    fn with_types<T>(
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

    /// The shape of a class that another module only declares, and that of the site defines.
    pub(super) fn defined_here(&mut self, ty: &Type, depth: u32) -> Option<Node> {
        let (source, bias) = self.own;
        let missing = ty.size.is_none()
            && ty.language == Language::Cpp
            && matches!(self.types, Types::Other(_));
        let id = missing.then(|| source.named(&ty.name)).flatten()?;
        let make = |builder: &mut Self| builder.node(id, depth);
        Some(self.with_types(Types::Own(source), bias, make))
    }
}
