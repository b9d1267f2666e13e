//! Structs of one significant member.

use crate::debuginfo::types::{Language, StructMember, StructType, Type, TypeId, TypeKind};
use crate::plan::limits::NESTING;
use crate::plan::shape::builder::{Builder, FURTHEST};
use crate::plan::shape::display_names;

impl Builder<'_> {
    /// Unwraps structs of one significant member: offset and type of the innermost one.
    pub(in crate::plan) fn peel(&self, id: TypeId) -> (u64, TypeId) {
        self.peel_until(id, |_| false)
    }

    /// Unwraps structs like [`Builder::peel`], but stops at a type for which `last` is true.
    pub(in crate::plan) fn peel_until(
        &self,
        mut id: TypeId,
        last: impl Fn(&Type) -> bool,
    ) -> (u64, TypeId) {
        let mut offset = 0u64;
        for _ in 0..NESTING {
            let ty = self.resolve(id);
            let TypeKind::Struct(body) = &ty.kind else {
                break;
            };
            if last(&ty) {
                break;
            }
            let Some(only) = self.only_member(body) else {
                break;
            };
            offset = offset.saturating_add(only.offset);
            id = only.ty;
        }
        (offset, id)
    }

    /// The only member with content.
    pub(in crate::plan) fn only_member<'t>(
        &self,
        body: &'t StructType,
    ) -> Option<&'t StructMember> {
        let mut filled = (body.members.iter()).filter(|member| self.size(member.ty) != Some(0));
        match (filled.next(), filled.next(), &body.variants) {
            (Some(only), None, None) if body.bases.is_empty() && only.offset <= FURTHEST => {
                Some(only)
            }
            _ => None,
        }
    }
}

/// Returns true for a tuple struct of Rust. Its fields have numbers instead of names.
pub(in crate::plan) fn is_tuple_struct(ty: &Type, body: &StructType) -> bool {
    let is_number = |member: &StructMember| display_names::field(&member.name) != member.name;
    ty.language == Language::Rust
        && !ty.name.starts_with('(')
        && body.members.first().is_some_and(is_number)
}
