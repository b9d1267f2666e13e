//! Expressions of the user against the variables in scope: names, fields,
//! indexes, arithmetic, with the type of each step.
//!
//! Gives places and numbers; `condition` has what is true or false,
//! `capture` brings the results into the record.

use tracer_common::op::{ELAPSED, HIT, PID, TID, alu};

use super::build::Builder;
use super::condition;
use super::ir::{Failure, Ir, Process, Spot, Spots, Test, divide};
use super::returned::{self, Returned};
use super::{PlanError, bases, names};
use crate::debuginfo::types::{Language, PointerKind, Type, TypeId, TypeKind};
use crate::debuginfo::variable::Variable;
use crate::lang::ast::{BinaryOp, Expr, ExprKind, Special, UnaryOp};
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

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberKind {
    Int,
    Bool,
    Char,
    Pointer,
    /// A time span in ns.
    Duration,
    /// Its bytes are IEEE, not to be computed with.
    Float,
}

/// What names mean at one site.
pub(super) struct Scope<'a> {
    pub(super) process: Process,
    pub(super) variables: &'a [Variable],
    pub(super) statics: &'a dyn Fn(&str) -> Option<Variable>,
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
        operand
    }

    fn kind(&mut self, expr: &Expr) -> Result<Operand, PlanError> {
        match &expr.kind {
            ExprKind::Name { path, shadow } => Ok(self.name(expr, path, *shadow)),
            ExprKind::Special(Special::Return) => match self.scope.returned {
                Some(Returned {
                    ty: Some(ty),
                    by_jump,
                }) => {
                    let spots = returned::place(self.builder, ty, by_jump);
                    Ok(Operand::Place(spots, ty))
                }
                Some(_) => Err(PlanError::at(expr, "the function returns nothing")),
                None => Err(PlanError::at(expr, "`$return` is known at returns only")
                    .hint(Some("name them by `FUNCTION%return`".into()))),
            },
            ExprKind::Special(Special::Elapsed) if self.scope.elapsed => {
                Ok(Operand::Number(Number {
                    ir: Ir::Register(ELAPSED),
                    size: 8,
                    signed: true,
                    kind: NumberKind::Duration,
                }))
            }
            ExprKind::Special(Special::Elapsed) => {
                let error = PlanError::at(expr, "`$elapsed` is known only where a time ends");
                Err(error.hint(Some("`time FUNCTION` and `time A..B` measure it".into())))
            }
            ExprKind::Special(special) => Ok(Operand::Special(*special)),
            ExprKind::Int(value) => match u64::try_from(*value) {
                Ok(value) => Ok(Operand::Number(Number {
                    ir: Ir::Const(value),
                    size: 8,
                    signed: i64::try_from(value).is_ok(),
                    kind: NumberKind::Int,
                })),
                Err(_) => Err(PlanError::at(expr, "integer of more than 64 bits")),
            },
            ExprKind::Bool(value) => Ok(Operand::Number(Number::truth(Test::Known(*value)))),
            ExprKind::Char(c) => Ok(Operand::Number(Number {
                ir: Ir::Const(u64::from(u32::from(*c))),
                size: 4,
                signed: false,
                kind: NumberKind::Char,
            })),
            ExprKind::Str(text) => Ok(Operand::Text(text.clone())),
            ExprKind::Null => Ok(self.null(expr)),
            ExprKind::Float(_) => Err(PlanError::at(
                expr,
                "floats cannot be computed with in the kernel",
            )),
            ExprKind::Field(base, name) => {
                let base_operand = self.place(base)?;
                self.field(expr, base_operand, name)
            }
            ExprKind::Arrow(base, name) => {
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
            ExprKind::Cast(inner, ty) => self.cast(expr, inner, ty),
            ExprKind::StartsWith(..) | ExprKind::Contains(..) => {
                let test = condition::truth(self, expr)?;
                Ok(Operand::Number(Number::truth(test)))
            }
            ExprKind::Slice(..) => Err(PlanError::at(expr, "slices of a value cannot be shown")),
        }
    }

    fn name(&self, expr: &Expr, path: &str, shadow: u32) -> Operand {
        let found = self
            .scope
            .variables
            .iter()
            .find(|variable| variable.name == path && variable.shadow == shadow.max(1));
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
            let message = format!("`{path}` is not known any more at a return");
            return PlanError::at(expr, message)
                .hint(Some("there are `$return` and statics".into()));
        }
        let names = self.scope.variables.iter().map(|v| v.name.as_str());
        PlanError::at(expr, format!("no `{path}` in scope here")).hint(names::hint(path, names))
    }

    /// An expression that is a value of the program.
    pub(super) fn place(&mut self, expr: &Expr) -> Result<(Spots, TypeId), PlanError> {
        match self.operand(expr)? {
            Operand::Place(spots, ty) => Ok((spots, ty)),
            Operand::Unknown(_, error) => Err(error),
            _ => Err(PlanError::at(expr, "this is no value of the program")),
        }
    }

    /// What a pointer or smart pointer points to; `None` when it is none.
    fn pointee(&self, spots: &Spots, ty: TypeId) -> Result<Option<(Spots, TypeId)>, Unavailable> {
        let resolved = self.builder.resolve(ty);
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
        // A reference is never null; a pointer that is says so, rather than that page 0 cannot be read.
        let may_be_null = matches!(
            resolved.kind,
            TypeKind::Pointer {
                kind: PointerKind::Raw,
                ..
            }
        );
        let spot = match pointer.number() {
            Ok(address) if may_be_null => Spot::Memory(Ir::NonNull(Box::new(address)).plus(addend)),
            Ok(address) => Spot::Memory(address.plus(addend)),
            Err(why) => Spot::Missing(why),
        };
        Ok(Some((Spots::whole(size, spot), target)))
    }

    fn deref(&self, expr: &Expr, spots: &Spots, ty: TypeId) -> Result<(Spots, TypeId), PlanError> {
        match self.pointee(spots, ty) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => {
                let name = names::without_paths(&self.builder.resolve(ty).name);
                Err(PlanError::at(expr, format!("`{name}` is no pointer")))
            }
            Err(why) => Err(PlanError::at(expr, why.to_string())),
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
            known.extend(member_names(self.builder, &resolved));
            match self.pointee(&spots, ty) {
                Ok(Some(next)) => (spots, ty) = next,
                Ok(None) => break,
                Err(why) => return Err(PlanError::at(expr, why.to_string())),
            }
        }
        let type_name = names::without_paths(&first.name);
        let error = PlanError::at(expr, format!("no field `{name}` in `{type_name}`"));
        Err(error.hint(names::hint(name, known.iter().map(String::as_str))))
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
        if let Some(found) = bases::member(self.builder, spots, body, name, 0) {
            return Some(found);
        }
        let part = body.variants.as_ref()?;
        let mut having = part.variants.iter().filter_map(|variant| {
            match &self.builder.resolve(variant.ty).kind {
                TypeKind::Struct(body) => spelled(body).map(|found| (variant, found)),
                _ => None,
            }
        });
        let (variant, (offset, member)) = having.next()?;
        if having.next().is_some() {
            return None;
        }
        let size = self.builder.size(member).unwrap_or(0);
        let place = spots.project(offset, size);
        let active = match condition::variant_test(self.builder, spots, part, &variant.name) {
            Ok(Test::Known(true)) => return Some((place, member)),
            Ok(test) => test,
            Err(why) => return Some((Spots::whole(size, Spot::Missing(why)), member)),
        };
        let guarded = place.0.into_iter().map(|(size, spot)| {
            let guard = |ir| Ir::Guard(Box::new(active.clone()), Failure::Variant, Box::new(ir));
            let spot = match spot {
                Spot::Memory(address) => Spot::Memory(guard(address)),
                Spot::Number(number) => Spot::Number(guard(number)),
                spot => spot,
            };
            (size, spot)
        });
        Some((Spots(guarded.collect()), member))
    }

    fn index(&mut self, expr: &Expr, base: &Expr, index: &Expr) -> Result<Operand, PlanError> {
        if let Some(element) = self.grid_element(expr, base, index)? {
            return Ok(element);
        }
        let (mut spots, mut ty) = self.place(base)?;
        let index = self.number(index)?;
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            if let Some(elements) = self.elements(&spots, &resolved) {
                let (first, element, count) =
                    elements.map_err(|why| PlanError::at(base, why.to_string()))?;
                return self.element(expr, first, element, count, index);
            }
            let pointer = matches!(resolved.kind, TypeKind::Pointer { .. });
            let next = self
                .pointee(&spots, ty)
                .map_err(|why| PlanError::at(base, why.to_string()))?;
            let Some((there, target)) = next else {
                break;
            };
            if pointer && resolved.language != Language::Rust {
                // A C pointer counts in elements; how many there are is not known.
                let element = Elements::At(there);
                return self.element(expr, element, target, None, index);
            }
            (spots, ty) = (there, target);
        }
        let name = names::without_paths(&self.builder.resolve(ty).name);
        Err(PlanError::at(expr, format!("`{name}` has no elements")))
    }

    /// The element of an array of several dimensions, which takes its indexes together: debug
    /// information has no type for a row. `None` when it is something else.
    fn grid_element(
        &mut self,
        expr: &Expr,
        base: &Expr,
        index: &Expr,
    ) -> Result<Option<Operand>, PlanError> {
        let (mut root, mut indexes) = (base, vec![index]);
        while let ExprKind::Index(inner, index) = &root.kind {
            indexes.push(index);
            root = inner;
        }
        if indexes.len() < 2 {
            return Ok(None);
        }
        let (spots, ty) = self.place(root)?;
        let TypeKind::Array {
            element,
            dimensions,
        } = self.builder.resolve(ty).kind.clone()
        else {
            return Ok(None);
        };
        if dimensions.len() != indexes.len() {
            return Ok(None);
        }
        let mut linear = Number {
            ir: Ir::Const(0),
            size: 8,
            signed: false,
            kind: NumberKind::Int,
        };
        for (index, count) in indexes.into_iter().rev().zip(dimensions) {
            let at = self.number(index)?;
            let at = match count {
                Some(count) => in_bounds(index, at.ir, count)?,
                None => at.ir,
            };
            let rows = Ir::alu(alu::MUL, linear.ir, Ir::Const(count.unwrap_or(0)));
            linear.ir = Ir::alu(alu::ADD, rows, at);
        }
        self.element(expr, Elements::At(spots), element, None, linear)
            .map(Some)
    }

    fn element(
        &self,
        expr: &Expr,
        first: Elements,
        element: TypeId,
        count: Option<Ir>,
        index: Number,
    ) -> Result<Operand, PlanError> {
        let Some(stride) = self.builder.size(element) else {
            return Err(PlanError::at(expr, "elements of unknown size"));
        };
        let guard = |ir: Ir| match &count {
            Some(count) => {
                let test =
                    Test::compare(tracer_common::op::cond::LT, index.ir.clone(), count.clone());
                match test {
                    Test::Known(true) => ir,
                    test => Ir::Guard(Box::new(test), Failure::Bounds, Box::new(ir)),
                }
            }
            None => ir,
        };
        if let (Some(Ir::Const(count)), Ir::Const(index)) = (&count, &index.ir)
            && index >= count
        {
            let message = format!("index {index} of an array of {count}");
            return Err(PlanError::at(expr, message));
        }
        let Elements::At(spots) = first;
        let spots = match (&index.ir, spots.address()) {
            (_, Some(address)) => {
                let offset = Ir::alu(alu::MUL, index.ir.clone(), Ir::Const(stride));
                let address = guard(Ir::alu(alu::ADD, address.clone(), offset));
                Spots::whole(stride, Spot::Memory(address))
            }
            (Ir::Const(index), None) => spots.project(index.saturating_mul(stride), stride),
            (_, None) => {
                let why = "an index that is computed needs elements in memory";
                return Err(PlanError::at(expr, why));
            }
        };
        Ok(Operand::Place(spots, element))
    }

    /// First element, element type and number of elements of a collection.
    #[expect(clippy::type_complexity, reason = "three facts, used twice")]
    fn elements(
        &self,
        spots: &Spots,
        ty: &Type,
    ) -> Option<Result<(Elements, TypeId, Option<Ir>), Unavailable>> {
        match &ty.kind {
            TypeKind::Array {
                element,
                dimensions,
            } if dimensions.len() == 1 => {
                let count = dimensions.first().copied().flatten().map(Ir::Const);
                Some(Ok((Elements::At(spots.clone()), *element, count)))
            }
            TypeKind::Struct(body) => {
                let (pointer, len, element) = row_parts(self.builder, ty, body)?;
                let read = |offset| spots.project(offset, 8).number();
                Some(read(pointer).and_then(|address| {
                    let size = self.builder.size(element).unwrap_or(0);
                    let first = Spots::whole(size, Spot::Memory(address));
                    Ok((Elements::At(first), element, Some(read(len)?)))
                }))
            }
            _ => None,
        }
    }

    /// How many elements or bytes a value has.
    pub(super) fn length(&self, expr: &Expr, spots: &Spots, ty: TypeId) -> Result<Ir, PlanError> {
        let (mut spots, mut ty) = (spots.clone(), ty);
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            match &resolved.kind {
                TypeKind::Array { dimensions, .. } => {
                    if let Some(Some(count)) = dimensions.first() {
                        return Ok(Ir::Const(*count));
                    }
                }
                TypeKind::Struct(body) => {
                    const PATHS: [&[&str]; 9] = [
                        &["length"],
                        &["len"],
                        &["vec", "len"],
                        &["_M_string_length"],
                        &["_M_len"],
                        &["base", "table", "table", "items"],
                        &["base", "map", "table", "table", "items"],
                        &["map", "length"],
                        &["_M_h", "_M_element_count"],
                    ];
                    let found = PATHS.iter().find_map(|path| self.builder.find(body, path));
                    if let Some((offset, _)) = found {
                        return spots
                            .project(offset, 8)
                            .number()
                            .map_err(|why| PlanError::at(expr, why.to_string()));
                    }
                }
                _ => {}
            }
            match self.pointee(&spots, ty) {
                Ok(Some(next)) => (spots, ty) = next,
                _ => break,
            }
        }
        let name = names::without_paths(&self.builder.resolve(ty).name);
        Err(PlanError::at(expr, format!("`{name}` has no length")))
    }

    /// An expression that is a number.
    pub(super) fn number(&mut self, expr: &Expr) -> Result<Number, PlanError> {
        match self.operand(expr)? {
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
            Operand::Text(_) => Err(PlanError::at(expr, "a text is no number")),
        }
    }

    /// The number that is the value at a place; references give theirs.
    pub(super) fn number_at(
        &self,
        expr: &Expr,
        spots: &Spots,
        ty: TypeId,
    ) -> Result<Number, PlanError> {
        let (mut spots, mut ty) = (spots.clone(), ty);
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            let size = resolved.size.unwrap_or(0);
            let (signed, kind) = match &resolved.kind {
                TypeKind::Int { signed } => (*signed, NumberKind::Int),
                TypeKind::Enum { signed, .. } => (*signed, NumberKind::Int),
                TypeKind::Bool => (false, NumberKind::Bool),
                TypeKind::Char { signed } => (*signed, NumberKind::Char),
                TypeKind::Float => (false, NumberKind::Float),
                TypeKind::Pointer { .. }
                    if resolved.language != Language::Rust || resolved.name.starts_with('*') =>
                {
                    (false, NumberKind::Pointer)
                }
                TypeKind::Pointer { .. } => match self.pointee(&spots, ty) {
                    Ok(Some(next)) => {
                        (spots, ty) = next;
                        continue;
                    }
                    _ => break,
                },
                TypeKind::Struct(_) => match self.builder.peel(ty) {
                    (offset, inner) if inner != ty => {
                        let size = self.builder.size(inner).unwrap_or(0);
                        (spots, ty) = (spots.project(offset, size), inner);
                        continue;
                    }
                    _ => break,
                },
                _ => break,
            };
            if size > 8 {
                let message = format!("a number of {size} bytes cannot be computed with");
                return Err(PlanError::at(expr, message));
            }
            let ir = spots
                .number()
                .map_err(|why| PlanError::at(expr, why.to_string()))?
                .extend(size as u8, signed);
            return Ok(Number {
                ir,
                size: size as u8,
                signed,
                kind,
            });
        }
        let name = names::without_paths(&self.builder.resolve(ty).name);
        Err(PlanError::at(expr, format!("`{name}` is no number")))
    }

    fn unary(&mut self, expr: &Expr, op: UnaryOp, inner: &Expr) -> Result<Operand, PlanError> {
        match op {
            UnaryOp::Deref => {
                let (spots, ty) = self.place(inner)?;
                let (spots, ty) = self.deref(inner, &spots, ty)?;
                Ok(Operand::Place(spots, ty))
            }
            UnaryOp::AddressOf => {
                let (spots, _) = self.place(inner)?;
                match spots.address() {
                    Some(address) => Ok(Operand::Number(Number {
                        ir: address.clone(),
                        size: 8,
                        signed: false,
                        kind: NumberKind::Pointer,
                    })),
                    None => Err(PlanError::at(inner, "this has no address here")),
                }
            }
            UnaryOp::Neg => {
                let number = self.computable(inner)?;
                Ok(Operand::Number(Number {
                    ir: Ir::alu(alu::SUB, Ir::Const(0), number.ir).folded(),
                    size: 8,
                    signed: true,
                    kind: NumberKind::Int,
                }))
            }
            UnaryOp::Not => {
                if let Some(number) = self.rust_integer(inner)? {
                    return Ok(Operand::Number(self.bit_not(number)));
                }
                let test = condition::truth(self, expr)?;
                Ok(Operand::Number(Number::truth(test)))
            }
            UnaryOp::BitNot => {
                let number = self.computable(inner)?;
                Ok(Operand::Number(self.bit_not(number)))
            }
        }
    }

    /// All bits the other way round.
    #[expect(clippy::unused_self, reason = "a step of an expression as the others")]
    pub(super) fn bit_not(&self, number: Number) -> Number {
        let (size, signed) = (number.size, number.signed);
        let ir = Ir::alu(alu::XOR, number.ir, Ir::Const(u64::MAX));
        Number {
            ir: ir.extend(size, signed),
            size,
            signed,
            kind: NumberKind::Int,
        }
    }

    /// An integer of a Rust program, of which `!` turns the bits.
    pub(super) fn rust_integer(&mut self, expr: &Expr) -> Result<Option<Number>, PlanError> {
        let Operand::Place(spots, ty) = self.operand(expr)? else {
            return Ok(None);
        };
        let resolved = self.builder.resolve(ty);
        let integer = matches!(resolved.kind, TypeKind::Int { .. });
        if !integer || resolved.language != Language::Rust {
            return Ok(None);
        }
        self.number_at(expr, &spots, ty).map(Some)
    }

    /// A number that arithmetic makes sense for.
    fn computable(&mut self, expr: &Expr) -> Result<Number, PlanError> {
        let number = self.number(expr)?;
        if number.kind == NumberKind::Float {
            let error = PlanError::at(expr, "floats cannot be computed with in the kernel");
            return Err(error.hint(Some("they can be compared: `x > 1.5`".into())));
        }
        Ok(number)
    }

    fn binary(
        &mut self,
        expr: &Expr,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
    ) -> Result<Operand, PlanError> {
        if is_test(op) {
            let test = condition::truth(self, expr)?;
            return Ok(Operand::Number(Number::truth(test)));
        }
        let (a, b) = (self.computable(left)?, self.computable(right)?);
        let small = a.size < 8 && b.size < 8;
        // What one of them cannot hold as a signed number makes the result unsigned.
        let holds = |number: &Number| number.signed || number.size < 8;
        let mixed = (a.signed || b.signed) && holds(&a) && holds(&b);
        let signed = mixed || (small && op == BinaryOp::Sub);
        let ir = match op {
            BinaryOp::Add => Ir::alu(alu::ADD, a.ir, b.ir),
            BinaryOp::Sub => Ir::alu(alu::SUB, a.ir, b.ir),
            BinaryOp::Mul => Ir::alu(alu::MUL, a.ir, b.ir),
            BinaryOp::Div => divide(if signed { alu::SDIV } else { alu::DIV }, a.ir, b.ir),
            BinaryOp::Rem => divide(if signed { alu::SREM } else { alu::REM }, a.ir, b.ir),
            BinaryOp::BitAnd => Ir::alu(alu::AND, a.ir, b.ir),
            BinaryOp::BitOr => Ir::alu(alu::OR, a.ir, b.ir),
            BinaryOp::BitXor => Ir::alu(alu::XOR, a.ir, b.ir),
            BinaryOp::Shl => Ir::alu(alu::SHL, a.ir, b.ir),
            _ => Ir::alu(if a.signed { alu::SAR } else { alu::SHR }, a.ir, b.ir),
        };
        Ok(Operand::Number(Number {
            ir: ir.folded(),
            size: 8,
            signed,
            kind: NumberKind::Int,
        }))
    }

    fn cast(&mut self, expr: &Expr, inner: &Expr, ty: &str) -> Result<Operand, PlanError> {
        let (size, signed) = match ty {
            "u8" | "uint8_t" | "unsigned char" => (1, false),
            "i8" | "int8_t" | "signed char" | "char" => (1, true),
            "u16" | "uint16_t" | "unsigned short" => (2, false),
            "i16" | "int16_t" | "short" => (2, true),
            "u32" | "uint32_t" | "unsigned int" | "unsigned" => (4, false),
            "i32" | "int32_t" | "int" => (4, true),
            "u64" | "uint64_t" | "unsigned long" | "usize" | "size_t" => (8, false),
            "i64" | "int64_t" | "long" | "isize" | "ssize_t" => (8, true),
            _ => {
                let error = PlanError::at(expr, format!("no cast to `{ty}`"));
                return Err(error.hint(Some("casts are to integers: `i32`, `u64`, …".into())));
            }
        };
        let number = self.computable(inner)?;
        Ok(Operand::Number(Number {
            ir: number.ir.extend(size, signed),
            size,
            signed,
            kind: NumberKind::Int,
        }))
    }
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

/// Where the first element of a collection is.
enum Elements {
    At(Spots),
}

/// An index that is checked against the number of elements, now where both are known.
fn in_bounds(expr: &Expr, index: Ir, count: u64) -> Result<Ir, PlanError> {
    match index {
        Ir::Const(at) if at < count => Ok(index),
        Ir::Const(at) => Err(PlanError::at(
            expr,
            format!("index {at} of an array of {count}"),
        )),
        computed => {
            let test = Test::compare(
                tracer_common::op::cond::LT,
                computed.clone(),
                Ir::Const(count),
            );
            Ok(Ir::Guard(
                Box::new(test),
                Failure::Bounds,
                Box::new(computed),
            ))
        }
    }
}

fn is_test(op: BinaryOp) -> bool {
    use BinaryOp as B;
    matches!(
        op,
        B::Eq | B::Ne | B::Lt | B::Le | B::Gt | B::Ge | B::And | B::Or
    )
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

/// Offset of the pointer, of its target from where it points, and the target's
/// type, of a smart pointer.
fn smart(builder: &Builder<'_>, ty: &Type) -> Option<(u64, u64, TypeId)> {
    let TypeKind::Struct(body) = &ty.kind else {
        return None;
    };
    let path = names::path(&ty.name);
    let member = match path {
        "alloc::rc::Rc" | "alloc::sync::Arc" => &["ptr"][..],
        "alloc::boxed::Box" => &["__0"],
        "core::pin::Pin" => &["__pointer"],
        "core::ptr::non_null::NonNull" => &["pointer"],
        "std::unique_ptr" => &["_M_t", "_M_t", "_M_head_impl"],
        "std::shared_ptr" => &["_M_ptr"],
        _ => return None,
    };
    let (at, pointer) = builder.find(body, member)?;
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

/// Offsets of pointer and length, and the element type, of slices and vectors.
fn row_parts(
    builder: &Builder<'_>,
    ty: &Type,
    body: &crate::debuginfo::types::StructType,
) -> Option<(u64, u64, TypeId)> {
    if let (Some((pointer, data)), Some((len, _))) = (
        builder.find(body, &["data_ptr"]),
        builder.find(body, &["length"]),
    ) {
        let TypeKind::Pointer {
            target: Some(element),
            ..
        } = builder.resolve(data).kind
        else {
            return None;
        };
        return Some((pointer, len, element));
    }
    if names::path(&ty.name) == "alloc::vec::Vec" {
        let (len, _) = builder.find(body, &["len"])?;
        let (at, pointer) = builder
            .find(body, &["buf", "inner", "ptr"])
            .or_else(|| builder.find(body, &["buf", "ptr"]))?;
        let (more, _) = builder.peel(pointer);
        let element = body.type_arguments.iter().find(|(name, _)| name == "T")?;
        return Some((at + more, len, element.1));
    }
    None
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
