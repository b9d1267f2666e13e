//! Values behind references and the library's owners of one value.

use super::super::ir::Spots;
use super::super::names;
use super::{DEREFS, Resolver};
use crate::debuginfo::types::{Language, PointerKind, TypeId, TypeKind};

impl Resolver<'_, '_> {
    /// The value that a reference or an owner of one value stands for; `None`: it is neither.
    pub(in super::super) fn owned(&self, spots: &Spots, ty: TypeId) -> Option<(Spots, TypeId)> {
        let mut found = self.stands_for(spots, ty)?;
        for _ in 0..DEREFS {
            match self.stands_for(&found.0, found.1) {
                Some(next) => found = next,
                None => return Some(found),
            }
        }
        None
    }

    fn stands_for(&self, spots: &Spots, ty: TypeId) -> Option<(Spots, TypeId)> {
        let resolved = self.builder.resolve(ty);
        let path = names::path(&resolved.name);
        let never_null = match &resolved.kind {
            TypeKind::Pointer { kind, .. } => {
                *kind == PointerKind::Reference || path == "alloc::boxed::Box"
            }
            // Owners of C++ may own nothing.
            _ => {
                let raw = path == "core::ptr::non_null::NonNull";
                resolved.language == Language::Rust && !raw
            }
        };
        let found = never_null.then(|| self.pointee(spots, ty).ok().flatten());
        found
            .flatten()
            .filter(|(_, ty)| self.builder.size(*ty).is_some())
    }
}
