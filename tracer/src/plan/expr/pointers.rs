//! Targets of pointers, references and smart pointers.

use tracer_common::op::cond;

use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{Language, PointerKind, Type, TypeId, TypeKind};
use crate::lang::ast::Expr;
use crate::plan::expr::resolver::{DEREFS, Resolver};
use crate::plan::methods::optional;
use crate::plan::ops::ir::{Ir, Test};
use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::presenters::cpp_parts;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;

impl Resolver<'_, '_> {
    /// The target of a pointer or smart pointer. `None` for other types.
    pub(super) fn pointee(
        &self,
        spots: &Spots,
        ty: TypeId,
    ) -> Result<Option<(Spots, TypeId)>, Unavailable> {
        let resolved = self.builder.resolve(ty);
        if let Some((engaged, value, inner)) = optional::optional(self.builder, &resolved) {
            let flag = spots.project(engaged, 1).number();
            let active = flag.map(|flag| Test::compare(cond::NE, flag, Ir::Const(0)));
            let place = self.while_active(spots, active, value, inner);
            return Ok(Some((place, inner)));
        }
        let (offset, addend, target) = match &resolved.kind {
            TypeKind::Pointer {
                target: Some(target),
                ..
            } => (0, 0, *target),
            TypeKind::Struct(_) => match smart(self.builder, &resolved) {
                Some(found) => found,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let size = self.builder.size(target).unwrap_or(0);
        let pointer = spots.project(offset, 8);
        if let [(8, Spot::Implicit(object, from))] = &pointer.0[..] {
            let from = from.checked_add_unsigned(addend);
            let Some(from) = from.and_then(|from| u64::try_from(from).ok()) else {
                return Err(Unavailable::OptimisedOut);
            };
            return Ok(Some((object.project(from, size), target)));
        }
        // A reference is never null. A null pointer fails with that reason, not with an unreadable
        // page 0.
        let may_be_null = match &resolved.kind {
            TypeKind::Pointer { kind, .. } => *kind == PointerKind::Raw,
            _ => resolved.language == Language::Cpp,
        };
        let spot = match pointer.number() {
            Ok(address) if may_be_null => Spot::Memory(Ir::NonNull(Box::new(address)).plus(addend)),
            Ok(address) => Spot::Memory(address.plus(addend)),
            Err(why) => Spot::Missing(why),
        };
        Ok(Some((Spots::whole(size, spot), target)))
    }

    /// The value behind references, `Box`, `Rc` and `Arc`. Raw pointers, and the smart pointers of
    /// C++, may be null, so they count as values of their own.
    pub(in crate::plan) fn behind_references(&self, spots: &Spots, ty: TypeId) -> (Spots, TypeId) {
        let (mut spots, mut ty) = (spots.clone(), ty);
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            let follows = match &resolved.kind {
                TypeKind::Pointer { .. } => !is_address(&resolved),
                _ => is_owner(&resolved),
            };
            match self.pointee(&spots, ty) {
                Ok(Some(next)) if follows => (spots, ty) = next,
                _ => break,
            }
        }
        (spots, ty)
    }

    /// The target of a C++ reference. Its name in an expression means the target.
    pub(super) fn referent(
        &self,
        expr: &Expr,
        mut spots: Spots,
        mut ty: TypeId,
    ) -> Result<(Spots, TypeId), Diagnostic> {
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            let pointer = matches!(resolved.kind, TypeKind::Pointer { .. });
            if !pointer || resolved.language == Language::Rust || is_address(&resolved) {
                break;
            }
            (spots, ty) = self.deref(expr, &spots, ty)?;
        }
        Ok((spots, ty))
    }

    pub(super) fn deref(
        &self,
        expr: &Expr,
        spots: &Spots,
        ty: TypeId,
    ) -> Result<(Spots, TypeId), Diagnostic> {
        match self.pointee(spots, ty) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => {
                let resolved = self.builder.resolve(ty);
                let name = display_names::without_paths(&resolved.name);
                let why = match resolved.kind {
                    TypeKind::Pointer { target: None, .. } => "has no known target type",
                    _ => "is not a pointer",
                };
                Err(Diagnostic::at(&expr.span, format!("`{name}` {why}")))
            }
            Err(why) => Err(Diagnostic::at(&expr.span, why.to_string())),
        }
    }

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

/// Returns true if a type is a smart pointer of Rust. These are never null.
pub(super) fn is_owner(ty: &Type) -> bool {
    matches!(
        display_names::path(&ty.name),
        "alloc::boxed::Box" | "alloc::rc::Rc" | "alloc::sync::Arc" | "core::pin::Pin"
    )
}

/// Returns true if a pointer is a value of its own rather than a reference to one.
pub(in crate::plan) fn is_address(pointer: &Type) -> bool {
    match (&pointer.kind, pointer.language) {
        (_, Language::Rust) => pointer.name.starts_with('*'),
        (TypeKind::Pointer { kind, .. }, _) => *kind == PointerKind::Raw,
        _ => false,
    }
}

/// A smart pointer's facts: the offset of the pointer in it, the offset of the value from where
/// that points, and the value's type.
fn smart(builder: &Builder<'_>, ty: &Type) -> Option<(u64, u64, TypeId)> {
    let TypeKind::Struct(body) = &ty.kind else {
        return None;
    };
    let path = display_names::path(&ty.name);
    let member = match path {
        "alloc::rc::Rc" | "alloc::sync::Arc" => &["ptr"][..],
        "alloc::boxed::Box" => &["__0"],
        "core::pin::Pin" => &["__pointer"],
        "core::ptr::non_null::NonNull" => &["pointer"],
        "std::unique_ptr" => &[],
        "std::shared_ptr" => &["_M_ptr"],
        _ => return None,
    };
    let (at, pointer) = match member {
        [] => cpp_parts::head(builder, body, 0, 0)?,
        path => builder.find(body, path)?,
    };
    let (more, pointer) = builder.peel(pointer);
    let TypeKind::Pointer {
        target: Some(target),
        ..
    } = builder.resolve(pointer).kind
    else {
        return None;
    };
    if !matches!(path, "alloc::rc::Rc" | "alloc::sync::Arc") {
        return Some((at + more, 0, target));
    }
    match &builder.resolve(target).kind {
        TypeKind::Struct(counts) => {
            let (offset, value) = builder
                .find(counts, &["value"])
                .or_else(|| builder.find(counts, &["data"]))?;
            Some((at + more, offset, value))
        }
        _ => None,
    }
}
