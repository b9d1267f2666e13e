//! Members of structs, classes and the variants of enums, by name.

use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{Language, Type, TypeId, TypeKind, VariantPart, VariantType};
use crate::lang::ast::Expr;
use crate::plan::expr::enum_variants::{having, of_which_variant, variant_test};
use crate::plan::expr::operand::Operand;
use crate::plan::expr::resolver::{DEREFS, Resolver};
use crate::plan::expr::virtual_bases;
use crate::plan::ops::ir::{Failure, Ir, Test};
use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;

impl Resolver<'_, '_> {
    pub(super) fn field(
        &self,
        expr: &Expr,
        mut spots: Spots,
        mut ty: TypeId,
        name: &str,
    ) -> Result<Operand, Diagnostic> {
        self.note_name(name);
        let mut known: Vec<String> = Vec::new();
        let first = self.builder.resolve(ty);
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            if let Some((spots, ty)) = self.member(&spots, &resolved, name) {
                self.note_member(&resolved, name);
                return Ok(Operand::Place(spots, ty));
            }
            if let Some(hint) = of_which_variant(self.builder, &resolved, name) {
                let message = format!("field `{name}` is in more than one variant");
                return Err(Diagnostic::at(&expr.span, message).hint(hint));
            }
            known.extend(member_names(self.builder, &resolved));
            match self.pointee(&spots, ty) {
                Ok(Some(next)) => (spots, ty) = next,
                Ok(None) => break,
                Err(why) => return Err(Diagnostic::at(&expr.span, why.to_string())),
            }
        }
        if let Some(member) = self.static_member(&first, name) {
            return Ok(member);
        }
        let type_name = display_names::without_paths(&first.name);
        let error = Diagnostic::at(&expr.span, format!("no field `{name}` in `{type_name}`"));
        if is_method(name) {
            let hint = format!("a method has parentheses: `{}()`", self.typed(expr));
            return Err(error.hint(hint));
        }
        Err(error.maybe_hint(display_names::hint(name, known.iter().map(String::as_str))))
    }

    /// The fields of a value, and those behind references and smart pointers: at most `most` names, with their
    /// types. A name that a nearer type has hides others.
    pub(in crate::plan) fn fields_of(
        &self,
        mut spots: Spots,
        mut ty: TypeId,
        most: usize,
    ) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for _ in 0..DEREFS {
            // Classes of a hostile file may lend names in circles.
            let mut types = vec![ty];
            let mut seen = 0;
            while let Some(ty) = types.pop().filter(|_| seen < most && found.len() < most) {
                seen += 1;
                self.add_fields(&self.builder.resolve(ty), most, &mut found, &mut types);
            }
            match self.pointee(&spots, ty) {
                Ok(Some(next)) if found.len() < most => (spots, ty) = next,
                _ => break,
            }
        }
        found
    }

    /// Adds the fields of one type, and the types that lend it their names.
    fn add_fields(
        &self,
        ty: &Type,
        most: usize,
        found: &mut Vec<(String, String)>,
        types: &mut Vec<TypeId>,
    ) {
        let (TypeKind::Struct(body) | TypeKind::Union(body)) = &ty.kind else {
            return;
        };
        let short = |ty| display_names::without_paths(&self.builder.resolve(ty).name);
        let mut add = |name: &str, ty: String| {
            let name = display_names::field(name);
            let is_new = !name.is_empty() && found.iter().all(|(known, _)| known != name);
            if is_new && found.len() < most {
                found.push((name.to_owned(), ty));
            }
        };
        let members = body.members.iter().filter(|member| !member.artificial);
        for member in members.take(most) {
            add(&member.name, short(member.ty));
        }
        let variants = body.variants.iter().flat_map(|part| &part.variants);
        for variant in variants.take(most) {
            add(&variant.name, "variant".to_owned());
            let inner = self.builder.resolve(variant.ty);
            if let TypeKind::Struct(body) = &inner.kind {
                for member in body.members.iter().take(most) {
                    add(&member.name, short(member.ty));
                }
            }
        }
        // Unnamed members and base classes lend their names.
        let unnamed = body.members.iter().filter(|member| member.name.is_empty());
        let lent = unnamed.map(|member| member.ty);
        let lent = lent.chain(body.bases.iter().map(|base| base.ty));
        types.extend(lent.take(most));
    }

    /// A static member of a C++ class.
    fn static_member(&self, class: &Type, name: &str) -> Option<Operand> {
        let is_class = matches!(class.kind, TypeKind::Struct(_) | TypeKind::Union(_));
        if class.language != Language::Cpp || !is_class {
            return None;
        }
        let path = format!("{}::{name}", display_names::unqualified(&class.name));
        let found = (self.scope.statics)(&path).filter(|found| found.name == path);
        found.map(|variable| {
            self.note_variable(&variable);
            self.variable(&variable)
        })
    }

    /// A member of a struct, or of the only variant that has it.
    fn member(&self, spots: &Spots, ty: &Type, name: &str) -> Option<(Spots, TypeId)> {
        let (TypeKind::Struct(body) | TypeKind::Union(body)) = &ty.kind else {
            return None;
        };
        let tuple = format!("__{name}");
        let spelled = |body: &_| {
            self.builder
                .member(body, name, 0)
                .or_else(|| self.builder.member(body, &tuple, 0))
        };
        if let Some((offset, member)) = spelled(body) {
            let size = self.builder.size(member).unwrap_or(0);
            return Some((spots.project(offset, size), member));
        }
        if let Some(size) = ty.size
            && let Some(field) = self.builder.bit_member(body, name, 0)
        {
            return Some((field.spots(spots, size), field.ty));
        }
        if let Some(found) = virtual_bases::member(self.builder, spots, body, name, 0) {
            return Some(found);
        }
        let part = body.variants.as_ref()?;
        let mut named = part.variants.iter().filter(|one| one.name == name);
        // A variant without fields has no bytes to show. `==` asks whether it is active.
        let has_fields = |ty| match &self.builder.resolve(ty).kind {
            TypeKind::Struct(body) => !body.members.is_empty(),
            _ => false,
        };
        if let Some(variant) = named.find(|one| has_fields(one.ty)) {
            return Some((self.active(spots, part, variant, 0, variant.ty), variant.ty));
        }
        let mut having = having(self.builder, part, name);
        let (variant, (offset, member)) = having.next()?;
        if having.next().is_some() {
            return None;
        }
        let place = self.active(spots, part, variant, offset, member);
        Some((place, member))
    }

    /// The place `offset` bytes into an enum. It fails while another variant is active.
    fn active(
        &self,
        spots: &Spots,
        part: &VariantPart,
        variant: &VariantType,
        offset: u64,
        ty: TypeId,
    ) -> Spots {
        let active = variant_test(self.builder, spots, part, &variant.name);
        self.while_active(spots, active, offset, ty)
    }

    /// The place `offset` bytes into a value. It fails while `active` is false.
    pub(super) fn while_active(
        &self,
        spots: &Spots,
        active: Result<Test, Unavailable>,
        offset: u64,
        ty: TypeId,
    ) -> Spots {
        let whole = self.builder.size(ty).unwrap_or(0);
        let missing = |why| Spots::whole(whole, Spot::Missing(why));
        let place = spots.project(offset, whole);
        let active = match active {
            Ok(Test::Known(true)) => return place,
            Ok(Test::Known(false)) => return missing(Failure::Variant.reason()),
            Ok(test) => test,
            Err(why) => return missing(why),
        };
        let guard = |ir| Ir::Guard(Box::new(active.clone()), Failure::Variant, Box::new(ir));
        let guarded = place.0.into_iter().map(|(size, spot)| {
            let spot = match spot {
                Spot::Memory(address) => Spot::Memory(guard(address)),
                Spot::Number(number) => Spot::Number(guard(number)),
                Spot::Bits(number, bits) => Spot::Bits(guard(number), bits),
                Spot::Missing(why) => Spot::Missing(why),
                // A constant place becomes a guarded number, since only numbers can be guarded.
                known => match Spots::whole(size, known).number() {
                    Ok(number) => Spot::Number(guard(number)),
                    Err(why) => Spot::Missing(why),
                },
            };
            (size, spot)
        });
        Spots(guarded.collect())
    }
}

/// Names that may follow the `.` after a value.
pub(super) fn member_names(builder: &Builder<'_>, ty: &Type) -> Vec<String> {
    let (TypeKind::Struct(body) | TypeKind::Union(body)) = &ty.kind else {
        return Vec::new();
    };
    let own = body
        .members
        .iter()
        .map(|m| display_names::field(&m.name).to_owned());
    let mut all: Vec<String> = own.collect();
    for variant in body.variants.iter().flat_map(|part| &part.variants) {
        if let TypeKind::Struct(body) = &builder.resolve(variant.ty).kind {
            let inner = body
                .members
                .iter()
                .map(|m| display_names::field(&m.name).to_owned());
            all.extend(inner);
        }
    }
    all
}

/// Returns true if expressions have a method of this name.
fn is_method(name: &str) -> bool {
    matches!(
        name,
        "len"
            | "size"
            | "length"
            | "is_empty"
            | "empty"
            | "is_some"
            | "has_value"
            | "is_none"
            | "is_ok"
            | "is_err"
            | "is_null"
    )
}
