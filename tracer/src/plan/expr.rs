//! Expressions of the user against the variables in scope: names, fields,
//! indexes, arithmetic, with the type of each step.
//!
//! Gives places and numbers; `condition` has what is true or false,
//! `capture` brings the results into the record.

mod arithmetic;
mod casts;
pub(super) mod conversions;
mod elements;
pub(super) mod floats;
mod owners;
mod pointers;

pub(super) use arithmetic::overflow;
pub(super) use pointers::is_address;
use pointers::is_owner;
use tracer_common::op::{ELAPSED, HIT, PID, TID};

use super::build::Builder;
use super::condition;
use super::ir::{Failure, Ir, Process, Spot, Spots, Test};
use super::returned::{self, Returned};
use super::{PlanError, bases, names, predicates, texts, wide};
use crate::debuginfo::types::{Language, Type, TypeId, TypeKind, Variant, VariantPart};
use crate::debuginfo::variable::Variable;
use crate::lang::ast::{Expr, ExprKind, Special};
use crate::unavailable::Unavailable;

/// Pointers that are followed on the way to a field.
const DEREFS: usize = 8;
/// Parts of an expression within each other.
const DEPTH: u32 = 64;

/// What an expression is.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// A value of the program, at a place.
    Place(Spots, TypeId),
    /// A number that is computed.
    Number(Number),
    /// Known to the record's header.
    Special(Special),
    /// A text in the probe.
    Text(String),
    /// `null`, `None`.
    Null,
    /// A name that is no variable: maybe a variant of an enum.
    Unknown(String, PlanError),
}

/// A number of at most 64 bits, extended to these by its sign.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) ir: Ir,
    /// Bytes of its type.
    pub(super) size: u8,
    pub(super) signed: bool,
    pub(super) kind: NumberKind,
}

/// A scalar of the program.
pub(super) struct Scalar {
    pub(super) spots: Spots,
    pub(super) ty: TypeId,
    /// Bytes.
    pub(super) size: u64,
    pub(super) signed: bool,
    pub(super) kind: NumberKind,
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberKind {
    Int,
    /// `int` or `unsigned int` of C++, of which debug information does not say which; below the
    /// end of both once something was computed with it.
    EitherInt,
    Bool,
    Char,
    Pointer,
    /// A time span in ns.
    Duration,
    /// Its bytes are IEEE.
    Float,
}

/// What names mean at one site.
pub(super) struct Scope<'a> {
    pub(super) process: Process,
    pub(super) variables: &'a [Variable],
    pub(super) statics: &'a dyn Fn(&str) -> Option<Variable>,
    pub(super) types: &'a dyn Fn(&str) -> Vec<TypeId>,
    /// What the source is written in.
    pub(super) language: Language,
    /// The probe's text, which the positions of expressions count in.
    pub(super) text: &'a str,
    /// At an exit of a function: what it returns.
    pub(super) returned: Option<Returned>,
    /// At the end of what is timed.
    pub(super) elapsed: bool,
}

/// Makes operands of expressions.
pub(super) struct Resolver<'a, 'b> {
    pub(super) builder: &'a Builder<'b>,
    pub(super) scope: &'a Scope<'a>,
    depth: u32,
}

impl<'a, 'b> Resolver<'a, 'b> {
    pub(super) fn new(builder: &'a Builder<'b>, scope: &'a Scope<'a>) -> Self {
        Self {
            builder,
            scope,
            depth: 0,
        }
    }

    /// What an expression is here.
    ///
    /// # Errors
    /// It makes no sense here; where and why, with names that would fit.
    pub(super) fn operand(&mut self, expr: &Expr) -> Result<Operand, PlanError> {
        if self.depth >= DEPTH {
            return Err(PlanError::at(expr, "expression nested too deeply"));
        }
        self.depth += 1;
        let operand = self.kind(expr);
        self.depth -= 1;
        let operand = operand?;
        let too_large = match &operand {
            Operand::Number(number) => number.ir.is_too_large(),
            Operand::Place(spots, _) => spots.is_too_large(),
            _ => false,
        };
        if too_large {
            return Err(PlanError::at(expr, "this takes too many steps to compute"));
        }
        Ok(operand)
    }

    fn kind(&mut self, expr: &Expr) -> Result<Operand, PlanError> {
        match &expr.kind {
            ExprKind::Name { path, shadow } => Ok(self.name(expr, path, *shadow)),
            ExprKind::Special(special) => self.special(expr, *special),
            ExprKind::Int(value) => self.integer(expr, *value),
            ExprKind::Bool(value) => Ok(Operand::Number(Number::truth(Test::Known(*value)))),
            ExprKind::Char(c) => Ok(Operand::Number(Number {
                ir: Ir::Const(u64::from(u32::from(*c))),
                size: 4,
                signed: self.is_c(),
                kind: NumberKind::Char,
            })),
            ExprKind::Str(text) => Ok(Operand::Text(text.clone())),
            ExprKind::Null => Ok(self.null(expr)),
            ExprKind::Float(_) => Ok(Operand::Number(self.float_literal(expr))),
            ExprKind::Field(base, name) => {
                let base_operand = self.place(base.addressed().unwrap_or(base))?;
                self.field(expr, base_operand, name)
            }
            ExprKind::Arrow(base, name) => {
                if let Some(object) = base.addressed() {
                    let object = self.place(object)?;
                    return self.field(expr, object, name);
                }
                let (spots, ty) = self.place(base)?;
                let pointee = self.deref(base, &spots, ty)?;
                self.field(expr, pointee, name)
            }
            ExprKind::Index(base, index) => self.index(expr, base, index),
            ExprKind::Len(base) => {
                let (spots, ty) = self.place(base)?;
                let len = self.length(base, &spots, ty)?;
                Ok(Operand::Number(Number::unsigned(len, 8)))
            }
            ExprKind::Unary(op, inner) => self.unary(expr, *op, inner),
            ExprKind::Binary(op, left, right) => self.binary(expr, *op, left, right),
            ExprKind::Chain(..) => Err(PlanError::at(
                expr,
                "the order of these operators depends on the language",
            )),
            ExprKind::Cast(inner, ty) => self.cast(expr, inner, ty),
            ExprKind::IsEmpty(_)
            | ExprKind::Is(..)
            | ExprKind::StartsWith(..)
            | ExprKind::EndsWith(..)
            | ExprKind::Contains(..)
            | ExprKind::Matches(..) => {
                let test = condition::truth(self, expr)?;
                Ok(Operand::Number(Number::truth(test)))
            }
            ExprKind::Slice(base, ..) => {
                let error = PlanError::at(expr, "slices of a value cannot be shown");
                let base = self.typed(base);
                let hint = format!("`{{{base}}}` shows its first elements, `{{{base}[0]}}` one");
                Err(error.hint(Some(hint)))
            }
        }
    }

    /// What is known of the hit itself.
    fn special(&self, expr: &Expr, special: Special) -> Result<Operand, PlanError> {
        match special {
            Special::Return => match self.scope.returned {
                Some(returned @ Returned { ty: Some(ty), .. }) => {
                    let spots = returned::place(self.builder, ty, returned);
                    Ok(Operand::Place(spots, ty))
                }
                Some(Returned { unknown: true, .. }) => Err(PlanError::at(
                    expr,
                    "it is not known what the function returns",
                )),
                Some(_) => Err(PlanError::at(expr, "the function returns nothing")),
                None => Err(PlanError::at(expr, "`$return` is known at returns only")
                    .hint(Some("use the location `FUNCTION%return`".into()))),
            },
            Special::Elapsed if self.scope.elapsed => Ok(Operand::Number(Number {
                ir: Ir::Register(ELAPSED),
                size: 8,
                signed: true,
                kind: NumberKind::Duration,
            })),
            Special::Elapsed => {
                let error = PlanError::at(
                    expr,
                    "`$elapsed` is known only at the end of a `time` probe",
                );
                Err(error.hint(Some("`time FUNCTION` and `time A..B` measure it".into())))
            }
            special => Ok(Operand::Special(special)),
        }
    }

    fn integer(&self, expr: &Expr, value: u128) -> Result<Operand, PlanError> {
        match u64::try_from(value) {
            Ok(value) => {
                let text = self.scope.text.get(expr.span.clone()).unwrap_or_default();
                let (size, signed) = if self.is_c() {
                    conversions::literal_type(text, value)
                } else {
                    (8, i64::try_from(value).is_ok())
                };
                Ok(Operand::Number(Number {
                    ir: Ir::Const(value).extend(size, signed),
                    size,
                    signed,
                    kind: NumberKind::Int,
                }))
            }
            Err(_) => Err(wide::too_wide(expr, "numbers of more than 64 bits")),
        }
    }

    fn name(&self, expr: &Expr, path: &str, shadow: u32) -> Operand {
        let found = self
            .scope
            .variables
            .iter()
            .find(|variable| variable.name == path && variable.shadow == shadow.max(1));
        if found.is_none()
            && shadow <= 1
            && let Some(member) = self.own_member(expr, path)
        {
            return member;
        }
        let found = match found {
            Some(variable) => Some(variable.clone()),
            None if shadow <= 1 => (self.scope.statics)(path),
            None => None,
        };
        match found {
            Some(variable) => self.variable(&variable),
            None => Operand::Unknown(path.to_owned(), self.unknown_name(expr, path, shadow)),
        }
    }

    /// A member of the object that a method of C++ is called on, by its bare name.
    fn own_member(&self, expr: &Expr, name: &str) -> Option<Operand> {
        let this = self.scope.variables.iter().find(|one| one.name == "this")?;
        if self.builder.resolve(this.ty).language == Language::Rust {
            return None;
        }
        let Operand::Place(spots, ty) = self.variable(this) else {
            return None;
        };
        self.field(expr, (spots, ty), name).ok()
    }

    /// No pointer; or the variable of that name, where the word is one (`null` is no word of C's).
    fn null(&self, expr: &Expr) -> Operand {
        let word = self.scope.text.get(expr.span.clone()).unwrap_or_default();
        let variable = self.scope.variables.iter().find(|one| one.name == word);
        variable.map_or(Operand::Null, |variable| self.variable(variable))
    }

    /// Place and type of a variable.
    pub(super) fn variable(&self, variable: &Variable) -> Operand {
        let size = self.builder.size(variable.ty).unwrap_or(0);
        let spots = Spots::of(&variable.place, size, self.scope.process);
        Operand::Place(spots, variable.ty)
    }

    fn unknown_name(&self, expr: &Expr, path: &str, shadow: u32) -> PlanError {
        let same = self
            .scope
            .variables
            .iter()
            .filter(|v| v.name == path)
            .count();
        if shadow > 1 && same > 0 {
            let error = PlanError::at(expr, format!("no `{path}#{shadow}` in scope here"));
            let plural = if same == 1 { "is one" } else { "are that many" };
            return error.hint(Some(format!("there {plural} of that name: {same}")));
        }
        if self.scope.elapsed {
            let message = format!("`{path}` is known where the time begins, not where it ends");
            return PlanError::at(expr, message).hint(Some(
                "an expression has either variables or `$elapsed` and `$return`; `&&` joins conditions".into(),
            ));
        }
        if self.scope.returned.is_some() {
            let message = format!("`{path}` is no longer known at a return");
            return PlanError::at(expr, message)
                .hint(Some("there are `$return` and statics".into()));
        }
        let names = self.scope.variables.iter().map(|v| v.name.as_str());
        let hint = match written_here(path) {
            Some(written) => Some(format!("write `{written}`")),
            None => names::hint(path, names),
        };
        PlanError::at(expr, format!("no `{path}` in scope here")).hint(hint)
    }

    /// An expression that is a value of the program.
    pub(super) fn place(&mut self, expr: &Expr) -> Result<(Spots, TypeId), PlanError> {
        match self.operand(expr)? {
            Operand::Place(spots, ty) => Ok((spots, ty)),
            Operand::Unknown(_, error) => Err(error),
            _ => Err(PlanError::at(expr, "this is not a value of the program")),
        }
    }

    fn field(&self, expr: &Expr, base: (Spots, TypeId), name: &str) -> Result<Operand, PlanError> {
        let (mut spots, mut ty) = base;
        let mut known: Vec<String> = Vec::new();
        let first = self.builder.resolve(ty);
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            if let Some((spots, ty)) = self.member(&spots, &resolved, name) {
                return Ok(Operand::Place(spots, ty));
            }
            if let Some(hint) = of_which_variant(self.builder, &resolved, name) {
                let message = format!("field `{name}` is in more than one variant");
                return Err(PlanError::at(expr, message).hint(Some(hint)));
            }
            known.extend(member_names(self.builder, &resolved));
            match self.pointee(&spots, ty) {
                Ok(Some(next)) => (spots, ty) = next,
                Ok(None) => break,
                Err(why) => return Err(PlanError::at(expr, why.to_string())),
            }
        }
        if let Some(member) = self.static_member(&first, name) {
            return Ok(member);
        }
        let type_name = names::without_paths(&first.name);
        let error = PlanError::at(expr, format!("no field `{name}` in `{type_name}`"));
        if is_method(name) {
            let hint = format!("a method has parentheses: `{}()`", self.typed(expr));
            return Err(error.hint(Some(hint)));
        }
        Err(error.hint(names::hint(name, known.iter().map(String::as_str))))
    }

    /// A static member of a class of C++.
    fn static_member(&self, class: &Type, name: &str) -> Option<Operand> {
        let is_class = matches!(class.kind, TypeKind::Struct(_) | TypeKind::Union(_));
        if class.language != Language::Cpp || !is_class {
            return None;
        }
        let path = format!("{}::{name}", names::unqualified(&class.name));
        let found = (self.scope.statics)(&path).filter(|found| found.name == path);
        found.map(|variable| self.variable(&variable))
    }

    /// A member of a struct, or of the one variant that has it.
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
        if let Some(found) = bases::member(self.builder, spots, body, name, 0) {
            return Some(found);
        }
        let part = body.variants.as_ref()?;
        let mut named = part.variants.iter().filter(|one| one.name == name);
        // One without fields has no bytes that could be asked for: `==` tells whether it is active.
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

    /// What lies `offset` bytes into an enum, as long as the variant is the active one.
    fn active(
        &self,
        spots: &Spots,
        part: &VariantPart,
        variant: &Variant,
        offset: u64,
        ty: TypeId,
    ) -> Spots {
        let active = condition::variant_test(self.builder, spots, part, &variant.name);
        self.while_active(spots, active, offset, ty)
    }

    /// What lies `offset` bytes into a value, as long as the test holds.
    fn while_active(
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
                // Known whatever is active: what it is then can be asked of numbers only.
                known => match Spots::whole(size, known).number() {
                    Ok(number) => Spot::Number(guard(number)),
                    Err(why) => Spot::Missing(why),
                },
            };
            (size, spot)
        });
        Spots(guarded.collect())
    }

    /// An expression that is a number.
    pub(super) fn number(&mut self, expr: &Expr) -> Result<Number, PlanError> {
        let operand = self.operand(expr)?;
        self.number_of(expr, operand)
    }

    pub(super) fn number_of(&self, expr: &Expr, operand: Operand) -> Result<Number, PlanError> {
        match operand {
            Operand::Number(number) => Ok(number),
            Operand::Place(spots, ty) => self.number_at(expr, &spots, ty),
            Operand::Null => Ok(Number::unsigned(Ir::Const(0), 8)),
            Operand::Unknown(_, error) => Err(error),
            Operand::Special(special) => match special_number(special) {
                Some(number) => Ok(number),
                None => Err(PlanError::at(
                    expr,
                    "this is known only when the event is shown",
                )),
            },
            Operand::Text(_) => Err(PlanError::at(expr, "a text is not a number")),
        }
    }

    /// The text of an expression, as the user typed it.
    pub(super) fn typed(&self, expr: &Expr) -> &str {
        self.scope.text.get(expr.span.clone()).unwrap_or_default()
    }

    /// The error for a value that must be a number, with the ways to make one of it.
    fn not_a_number(&self, expr: &Expr, spots: &Spots, ty: TypeId) -> PlanError {
        let name = names::without_paths(&self.builder.resolve(ty).name);
        let typed = self.typed(expr);
        let (spots, ty) = &self.behind_references(spots, ty);
        let (ty, resolved) = (*ty, self.builder.resolve(*ty));
        let hint = if texts::text_parts(self.builder, spots, ty).is_some() {
            Some(format!(
                "compare the text (`{typed} == \"…\"`), or its `{typed}.len()`"
            ))
        } else if let Some(inner) = predicates::optional_value(self.builder, typed, ty) {
            Some(format!("ask the value in it: `{inner}`"))
        } else if let Some(variant) = condition::variant_names(self.builder, ty)
            .into_iter()
            .next()
        {
            Some(format!("compare it with a variant: `{typed} == {variant}`"))
        } else {
            let fields = member_names(self.builder, &resolved);
            let field = fields.first();
            field.map(|field| format!("name one of its fields: `{typed}.{field}`"))
        };
        PlanError::at(expr, format!("`{name}` is not a number")).hint(hint)
    }

    /// The number that is the value at a place; references give theirs.
    pub(super) fn number_at(
        &self,
        expr: &Expr,
        spots: &Spots,
        ty: TypeId,
    ) -> Result<Number, PlanError> {
        let scalar = match self.scalar_at(spots, ty) {
            Some(Ok(scalar)) => scalar,
            Some(Err(_)) => return Err(self.not_a_number(expr, spots, ty)),
            None => return Err(PlanError::at(expr, "references nested too deeply")),
        };
        let Scalar {
            spots,
            size,
            signed,
            kind,
            ..
        } = scalar;
        if size > 8 {
            return Err(wide::too_wide(expr, &format!("numbers of {size} bytes")));
        }
        let ir = spots
            .number()
            .map_err(|why| PlanError::at(expr, why.to_string()))?
            .extend(size as u8, signed);
        Ok(Number {
            ir,
            size: size as u8,
            signed,
            kind,
        })
    }

    /// The scalar that is the value at a place, of any size; or the name of a type that is none.
    /// `None`: it is behind too many references.
    pub(super) fn scalar_at(&self, spots: &Spots, ty: TypeId) -> Option<Result<Scalar, String>> {
        let (mut spots, mut ty) = (spots.clone(), ty);
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            let (signed, kind) = match &resolved.kind {
                TypeKind::Int { signed } => (*signed, NumberKind::Int),
                TypeKind::Enum { signed, .. } => (*signed, NumberKind::Int),
                TypeKind::Bool => (false, NumberKind::Bool),
                TypeKind::Char { signed } => (*signed, NumberKind::Char),
                TypeKind::Float => (false, NumberKind::Float),
                TypeKind::Pointer { .. } if is_address(&resolved) => (false, NumberKind::Pointer),
                TypeKind::Pointer { .. } => match self.pointee(&spots, ty) {
                    Ok(Some(next)) => {
                        (spots, ty) = next;
                        continue;
                    }
                    _ => return Some(Err(resolved.name.clone())),
                },
                // The address in one is not its value.
                TypeKind::Struct(_) if is_owner(&resolved) => match self.pointee(&spots, ty) {
                    Ok(Some(next)) => {
                        (spots, ty) = next;
                        continue;
                    }
                    _ => return Some(Err(resolved.name.clone())),
                },
                TypeKind::Struct(_) => match self.builder.peel_until(ty, is_owner) {
                    (offset, inner) if inner != ty => {
                        let size = self.builder.size(inner).unwrap_or(0);
                        (spots, ty) = (spots.project(offset, size), inner);
                        continue;
                    }
                    _ => return Some(Err(resolved.name.clone())),
                },
                _ => return Some(Err(resolved.name.clone())),
            };
            return Some(Ok(Scalar {
                spots,
                ty,
                size: resolved.size.unwrap_or(0),
                signed,
                kind,
            }));
        }
        None
    }
}

/// Whether expressions have a method of this name.
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

/// How a word of other languages or tools is written, which no variable is named by.
fn written_here(word: &str) -> Option<&'static str> {
    Some(match word {
        "True" | "TRUE" => "true",
        "False" | "FALSE" => "false",
        "nil" | "undefined" | "Null" | "none" => "null",
        "elapsed" => "$elapsed",
        "pid" => "$pid",
        "tid" => "$tid",
        "comm" | "thread" => "$thread",
        "ret" | "retval" => "$return",
        _ => return None,
    })
}

/// The register of what the kernel side knows of a hit; `None`: it does not, or it is no number.
fn special_number(special: Special) -> Option<Number> {
    let (register, size) = match special {
        Special::Pid => (PID, 4),
        Special::Tid => (TID, 4),
        Special::Hit => (HIT, 8),
        _ => return None,
    };
    Some(Number::unsigned(Ir::Register(register), size))
}

impl Number {
    fn truth(test: Test) -> Self {
        let ir = match test {
            Test::Known(value) => Ir::Const(u64::from(value)),
            test => Ir::Truth(Box::new(test)),
        };
        Self {
            ir,
            size: 1,
            signed: false,
            kind: NumberKind::Bool,
        }
    }

    fn unsigned(ir: Ir, size: u8) -> Self {
        Self {
            ir,
            size,
            signed: false,
            kind: NumberKind::Int,
        }
    }
}

/// The variants that have a field of that name, with its offset and type.
fn having<'v>(
    builder: &Builder<'_>,
    part: &'v VariantPart,
    name: &str,
) -> impl Iterator<Item = (&'v Variant, (u64, TypeId))> {
    let tuple = format!("__{name}");
    part.variants
        .iter()
        .filter_map(move |variant| match &builder.resolve(variant.ty).kind {
            TypeKind::Struct(body) => builder
                .member(body, name, 0)
                .or_else(|| builder.member(body, &tuple, 0))
                .map(|found| (variant, found)),
            _ => None,
        })
}

/// What to write where several variants have the field.
fn of_which_variant(builder: &Builder<'_>, ty: &Type, name: &str) -> Option<String> {
    let TypeKind::Struct(body) = &ty.kind else {
        return None;
    };
    let having = having(builder, body.variants.as_ref()?, name);
    let names: Vec<String> = having
        .take(4)
        .map(|(variant, _)| format!("`{}.{name}`", variant.name))
        .collect();
    (names.len() > 1).then(|| format!("name the variant: {}", names.join(", ")))
}

/// Names that `.` could be followed by.
fn member_names(builder: &Builder<'_>, ty: &Type) -> Vec<String> {
    let (TypeKind::Struct(body) | TypeKind::Union(body)) = &ty.kind else {
        return Vec::new();
    };
    let own = body
        .members
        .iter()
        .map(|m| names::field(&m.name).to_owned());
    let mut all: Vec<String> = own.collect();
    for variant in body.variants.iter().flat_map(|part| &part.variants) {
        if let TypeKind::Struct(body) = &builder.resolve(variant.ty).kind {
            let inner = body
                .members
                .iter()
                .map(|m| names::field(&m.name).to_owned());
            all.extend(inner);
        }
    }
    all
}
