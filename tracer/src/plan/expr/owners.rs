//! Values behind references and owning pointers.

use crate::debuginfo::types::{Language, PointerKind, TypeId, TypeKind};
use crate::plan::expr::resolver::{DEREFS, Resolver};
use crate::plan::ops::spots::Spots;
use crate::plan::shape::display_names;

impl Resolver<'_, '_> {
    /// The value that a reference or an owner stands for. `None` for other types.
    pub(in crate::plan) fn owned(&self, spots: &Spots, ty: TypeId) -> Option<(Spots, TypeId)> {
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
        let path = display_names::path(&resolved.name);
        let never_null = match &resolved.kind {
            TypeKind::Pointer { kind, .. } => {
                *kind == PointerKind::Reference || path == "alloc::boxed::Box"
            }
            // An owner of C++ may be empty.
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
