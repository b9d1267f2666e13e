//! Redacted values: the names on the way to a value, typed or not.
//!
//! The way to `login.code` may lead through a base class `Credentials`, and the static `value` may be
//! `secrets::value`. Each name on it counts, so that a value is redacted however it is written.

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::names::without_generics;
use crate::debuginfo::types::{Language, StructType, Type, TypeId, TypeKind};
use crate::debuginfo::variable::{Variable, VariableKind};
use crate::lang::ast::Expr;
use crate::plan::expr::enum_variants::having;
use crate::plan::expr::operand::Operand;
use crate::plan::expr::pointers::is_address;
use crate::plan::expr::resolver::{DEREFS, RedactedWay, Resolver};
use crate::plan::ops::spots::Spots;
use crate::plan::shape::display_names;
use crate::plan::shape::peel::is_tuple_struct;

/// Most levels of anonymous members and base classes.
const LEVELS: u32 = 8;

impl Resolver<'_, '_> {
    /// Returns true if the operand, which this resolver has compiled, is a redacted value. Redacted parts of a larger
    /// value are redacted when they are decoded.
    pub(in crate::plan) fn is_redacted(&self, operand: &Operand) -> bool {
        let way = self.way.get();
        way.before || way.within && !matches!(operand, Operand::Place(..))
    }

    /// Returns true if the compiled expressions depend on a redacted value.
    pub(in crate::plan) fn tells_redacted(&self) -> bool {
        let way = self.way.get();
        way.before || way.within
    }

    /// Refuses a compiled condition on a redacted value, where hits must not tell what is redacted.
    pub(in crate::plan) fn refuse_question(&self, condition: &Expr) -> Result<(), Diagnostic> {
        match self.builder.limits().confined && self.tells_redacted() {
            true => Err(Diagnostic::at(
                &condition.span,
                "a condition on a redacted value is not allowed here: hits would tell the value",
            )),
            false => Ok(()),
        }
    }

    /// The way leads through something redacted.
    pub(super) fn note_redacted(&self) {
        self.way.set(RedactedWay {
            before: true,
            ..self.way.get()
        });
    }

    /// The way leads through a name, or through a path of names.
    pub(super) fn note_name(&self, name: &str) {
        if self.scope.redactor.hides_expr(name) {
            self.note_redacted();
        }
    }

    /// The way begins at a variable. A static has the names of its namespaces, modules and classes as well.
    pub(super) fn note_variable(&self, variable: &Variable) {
        if variable.kind != VariableKind::Static {
            return self.note_name(&variable.name);
        }
        let mut names = segments(&variable.name);
        // The crate is the whole program or a library. Its name says nothing about one of its statics.
        if names.len() > 1 && self.builder.resolve(variable.ty).language == Language::Rust {
            names.remove(0);
        }
        let hides = |name: &&str| self.scope.redactor.hides(without_generics(name));
        if names.iter().any(hides) {
            self.note_redacted();
        }
    }

    /// The way leads to a member of a type by a name that leaves out base classes and variants.
    pub(super) fn note_member(&self, ty: &Type, name: &str) {
        if self.leads_through_redacted(ty, name, 0) == Some(true) {
            self.note_redacted();
        }
    }

    /// Returns true if a redacted name was left out on the way to a member. `None` if the type has no such member.
    fn leads_through_redacted(&self, ty: &Type, name: &str, level: u32) -> Option<bool> {
        let (TypeKind::Struct(body) | TypeKind::Union(body)) = &ty.kind else {
            return None;
        };
        if level > LEVELS {
            return None;
        }
        let is_named = |known: &str| display_names::field(known) == name || known == name;
        if body.members.iter().any(|member| is_named(&member.name)) {
            return Some(self.is_redacted_tuple(ty, body));
        }
        let hides = |name: &str| self.scope.redactor.hides(name);
        let anonymous = body.members.iter().filter(|one| one.name.is_empty());
        let anonymous = anonymous.map(|member| (false, member.ty));
        let bases = body.bases.iter().map(|base| {
            let class = self.builder.resolve(base.ty);
            (hides(display_names::short(&class.name)), base.ty)
        });
        let mut found = None;
        for (is_hidden, inner) in anonymous.chain(bases) {
            let inner = self.builder.resolve(inner);
            if let Some(deeper) = self.leads_through_redacted(&inner, name, level + 1) {
                found = Some(found == Some(true) || is_hidden || deeper);
            }
        }
        if found.is_some() {
            return found;
        }
        let part = body.variants.as_ref()?;
        if part.variants.iter().any(|variant| variant.name == name) {
            return Some(false);
        }
        let mut having = having(self.builder, part, name).peekable();
        having.peek()?;
        Some(having.any(|(variant, _)| hides(&variant.name)))
    }

    /// Returns true if the fields of a tuple struct are redacted by its name, which is the only one that they have.
    fn is_redacted_tuple(&self, ty: &Type, body: &StructType) -> bool {
        is_tuple_struct(ty, body) && self.scope.redactor.hides(display_names::short(&ty.name))
    }

    /// Notes a redacted part that is the only content of a value. Comparisons and arithmetic look through such types.
    pub(super) fn note_content(&self, spots: &Spots, ty: TypeId) {
        let (mut spots, mut ty) = (spots.clone(), ty);
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            let is_raw = matches!(resolved.kind, TypeKind::Pointer { .. }) && is_address(&resolved);
            if !is_raw && let Ok(Some(next)) = self.pointee(&spots, ty) {
                (spots, ty) = next;
                continue;
            }
            let TypeKind::Struct(body) = &resolved.kind else {
                return;
            };
            let Some(only) = self.builder.only_member(body) else {
                return;
            };
            let is_hidden = self.scope.redactor.hides(display_names::field(&only.name));
            if is_hidden || self.is_redacted_tuple(&resolved, body) {
                self.way.set(RedactedWay {
                    within: true,
                    ..self.way.get()
                });
                return;
            }
            let size = self.builder.size(only.ty).unwrap_or(0);
            (spots, ty) = (spots.project(only.offset, size), only.ty);
        }
    }
}

/// The names of a path. Those in angle brackets or parentheses are none of it.
fn segments(path: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut from, mut nested) = (0, 0u32);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' | b'{' => nested += 1,
            b'>' | b')' | b']' | b'}' => nested = nested.saturating_sub(1),
            b':' if nested == 0 => {
                found.extend(path.get(from..at).filter(|name| !name.is_empty()));
                from = at + 1;
            }
            _ => {}
        }
    }
    found.extend(path.get(from..).filter(|name| !name.is_empty()));
    found
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn path_has_names_outside_of_brackets_only() {
        for (path, wanted) in [
            ("pin", &["pin"][..]),
            ("secrets::pin", &["secrets", "pin"]),
            (
                "app::Map<secrets::Key>::size",
                &["app", "Map<secrets::Key>", "size"],
            ),
            (
                "(anonymous namespace)::pin",
                &["(anonymous namespace)", "pin"],
            ),
            ("a::{impl#0}::b", &["a", "{impl#0}", "b"]),
        ] {
            assert_eq!(segments(path), wanted, "{path}");
        }
    }
}
