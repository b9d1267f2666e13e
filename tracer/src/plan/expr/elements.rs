//! Elements of arrays and collections: by index, in bounds, and how many there are.

use tracer_common::op::{alu, cond};

use super::super::build::Builder;
use super::super::ir::{Failure, Ir, Spot, Spots, Test, divide};
use super::super::lengths::{self, Length};
use super::super::present::abi_string;
use super::super::{PlanError, names, predicates, texts};
use super::{DEREFS, Number, NumberKind, Operand, Resolver, is_address};
use crate::debuginfo::types::{Language, StructType, Type, TypeId, TypeKind};
use crate::lang::ast::{Expr, ExprKind};
use crate::unavailable::Unavailable;

impl Resolver<'_, '_> {
    pub(super) fn index(
        &mut self,
        expr: &Expr,
        base: &Expr,
        index: &Expr,
    ) -> Result<Operand, PlanError> {
        if let Some(element) = self.grid_element(expr, base, index)? {
            return Ok(element);
        }
        let (mut spots, mut ty) = self.place(base)?;
        let index = self.position(index)?;
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            if let Some(elements) = self.elements(&spots, &resolved) {
                let (first, element, count) =
                    elements.map_err(|why| PlanError::at(base, why.to_string()))?;
                return self.element(expr, first, element, count, index);
            }
            let pointer =
                matches!(resolved.kind, TypeKind::Pointer { .. }) && is_address(&resolved);
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

    /// What stands between the brackets.
    fn position(&mut self, index: &Expr) -> Result<Number, PlanError> {
        let operand = self.operand(index)?;
        if matches!(operand, Operand::Text(_)) {
            let error = PlanError::at(index, "a text is not an index");
            let hint = "a map is shown whole; single entries cannot be looked up";
            return Err(error.hint(Some(hint.into())));
        }
        let number = self.computable_of(index, operand)?;
        if number.kind == NumberKind::Pointer {
            let error = PlanError::at(index, "a pointer is not an index");
            return Err(error.hint(Some(
                "`*p` is what it points to, `p - q` how many elements are between two".into(),
            )));
        }
        Ok(number)
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
            let at = self.position(index)?;
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

    /// What an array of C is where a pointer is meant: its first element.
    pub(super) fn first_of_array(
        &self,
        expr: &Expr,
        spots: &Spots,
        ty: TypeId,
    ) -> Result<Option<Operand>, PlanError> {
        let resolved = self.builder.resolve(ty);
        if resolved.language == Language::Rust || !matches!(resolved.kind, TypeKind::Array { .. }) {
            return Ok(None);
        }
        let Some(elements) = self.elements(spots, &resolved) else {
            return Ok(None);
        };
        let (first, element, count) =
            elements.map_err(|why| PlanError::at(expr, why.to_string()))?;
        let index = Number::unsigned(Ir::Const(0), 8);
        self.element(expr, first, element, count, index).map(Some)
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
        let index = match count {
            Some(Ir::Const(count)) => in_bounds(expr, index.ir, count)?,
            // Looked at once, so that it cannot change between the test and its use.
            Some(count) => Ir::Within(Box::new([index.ir, count]), Failure::Bounds),
            None => index.ir,
        };
        let Elements::At(spots) = first;
        let spots = match (&index, spots.address()) {
            (_, Some(address)) => {
                let offset = Ir::alu(alu::MUL, index.clone(), Ir::Const(stride));
                let address = Ir::alu(alu::ADD, address.clone(), offset);
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
                if let Some(found) = self.cpp_row(spots, ty, body) {
                    return Some(found);
                }
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

    /// The same of `std::vector`, `std::array` and the strings of C++.
    #[expect(clippy::type_complexity, reason = "three facts, as above")]
    fn cpp_row(
        &self,
        spots: &Spots,
        ty: &Type,
        body: &StructType,
    ) -> Option<Result<(Elements, TypeId, Option<Ir>), Unavailable>> {
        let plain = names::path(&ty.name).strip_prefix("std::")?;
        let plain = plain.strip_prefix("__cxx11::").unwrap_or(plain);
        if abi_string::unit(self.builder, ty).is_some() {
            return self.abi_row(spots, ty);
        }
        let find = |path| self.builder.find(body, path);
        let (start, pointer) = match plain {
            "vector" => find(&["_M_impl", "_M_start"])?,
            "basic_string" | "string" => find(&["_M_dataplus", "_M_p"])?,
            "basic_string_view" | "string_view" => find(&["_M_str"])?,
            "array" => {
                let (offset, elements) = find(&["_M_elems"])?;
                let elements = self.builder.resolve(elements);
                let size = elements.size.unwrap_or(0);
                return match elements.kind {
                    TypeKind::Array { .. } => {
                        self.elements(&spots.project(offset, size), &elements)
                    }
                    _ => None,
                };
            }
            _ => return None,
        };
        let TypeKind::Pointer {
            target: Some(element),
            ..
        } = self.builder.resolve(pointer).kind
        else {
            return None;
        };
        let size = self.builder.size(element).filter(|size| *size > 0)?;
        let read = |offset| spots.project(offset, 8).number();
        let count = match plain {
            "vector" => {
                let (finish, _) = find(&["_M_impl", "_M_finish"])?;
                read(finish).and_then(|finish| {
                    let bytes = Ir::alu(alu::SUB, finish, read(start)?);
                    Ok(divide(alu::DIV, bytes, Ir::Const(size), None))
                })
            }
            "basic_string" | "string" => read(find(&["_M_string_length"])?.0),
            _ => read(find(&["_M_len"])?.0),
        };
        Some(read(start).and_then(|address| {
            let first = Spots::whole(size, Spot::Memory(address));
            Ok((Elements::At(first), element, Some(count?)))
        }))
    }

    /// The same of a string that the debug information does not describe whole.
    #[expect(clippy::type_complexity, reason = "three facts, as above")]
    fn abi_row(
        &self,
        spots: &Spots,
        ty: &Type,
    ) -> Option<Result<(Elements, TypeId, Option<Ir>), Unavailable>> {
        let element = abi_string::character(self.builder, ty)?;
        let size = self.builder.size(element)?;
        let read = |offset| spots.project(offset, 8).number();
        Some(read(abi_string::POINTER).and_then(|address| {
            let first = Spots::whole(size, Spot::Memory(address));
            let count = read(abi_string::LENGTH)?;
            Ok((Elements::At(first), element, Some(count)))
        }))
    }

    /// How many elements or bytes a value has.
    pub(in crate::plan) fn length(
        &self,
        expr: &Expr,
        spots: &Spots,
        ty: TypeId,
    ) -> Result<Ir, PlanError> {
        let wrong = |why: Unavailable| PlanError::at(expr, why.to_string());
        match self.kept_length(spots, ty).map_err(wrong)? {
            Some(Kept::Known(length)) => Ok(length),
            Some(Kept::In(spots, Length::Count(offset))) => {
                spots.project(offset, 8).number().map_err(wrong)
            }
            Some(Kept::In(spots, Length::Between { first, end, stride })) => {
                let read = |offset| spots.project(offset, 8).number();
                let bytes = Ir::alu(
                    alu::SUB,
                    read(end).map_err(wrong)?,
                    read(first).map_err(wrong)?,
                );
                Ok(divide(alu::DIV, bytes, Ir::Const(stride), None))
            }
            Some(Kept::In(..)) => {
                let error = PlanError::at(expr, "its number of elements is not kept anywhere");
                Err(error.hint(Some(format!("`{}.is_empty()` is known", self.typed(expr)))))
            }
            None => Err(self.no_length(expr, spots, ty)),
        }
    }

    /// Whether a collection is empty.
    pub(in crate::plan) fn emptiness(
        &self,
        expr: &Expr,
        spots: &Spots,
        ty: TypeId,
    ) -> Result<Test, PlanError> {
        let wrong = |why: Unavailable| PlanError::at(expr, why.to_string());
        let pair = match self.kept_length(spots, ty).map_err(wrong)? {
            Some(Kept::In(spots, Length::Between { first, end, .. })) => Some((spots, first, end)),
            Some(Kept::In(spots, Length::EmptyWhenSame(first, end))) => Some((spots, first, end)),
            Some(Kept::In(spots, Length::EmptyWhenNull(pointer))) => {
                let pointer = spots.project(pointer, 8).number().map_err(wrong)?;
                return Ok(Test::compare(cond::EQ, pointer, Ir::Const(0)));
            }
            _ => None,
        };
        if let Some((spots, first, end)) = pair {
            let read = |offset| spots.project(offset, 8).number().map_err(wrong);
            return Ok(Test::compare(cond::EQ, read(first)?, read(end)?));
        }
        let length = self.length(expr, spots, ty)?;
        Ok(Test::compare(cond::EQ, length, Ir::Const(0)))
    }

    /// The length of a value, or where it is kept, through references and smart pointers.
    fn kept_length(&self, spots: &Spots, ty: TypeId) -> Result<Option<Kept>, Unavailable> {
        let (mut spots, mut ty) = (spots.clone(), ty);
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            match &resolved.kind {
                TypeKind::Array { dimensions, .. } => {
                    return Ok(match dimensions.first() {
                        Some(Some(count)) => Some(Kept::Known(Ir::Const(*count))),
                        _ => None,
                    });
                }
                TypeKind::Struct(body) => {
                    if let Some(row) = self.cpp_row(&spots, &resolved, body) {
                        let (_, _, count) = row?;
                        return Ok(count.map(Kept::Known));
                    }
                    if let Some(length) = lengths::of(self.builder, &resolved, body) {
                        return Ok(Some(Kept::In(spots, length)));
                    }
                }
                _ => {}
            }
            // An optional value is not what is in it: it may be none.
            let optional = predicates::optional(self.builder, &resolved).is_some();
            match self.pointee(&spots, ty) {
                Ok(Some(next)) if !optional => (spots, ty) = next,
                _ => break,
            }
        }
        Ok(None)
    }

    /// The error for a value that has no length, with what it has instead.
    fn no_length(&self, expr: &Expr, spots: &Spots, ty: TypeId) -> PlanError {
        let declared = &self.builder.resolve(ty);
        if let Some(error) = texts::only_declared(expr, declared) {
            return error;
        }
        let name = names::without_paths(&declared.name);
        let typed = self.typed(expr);
        let (spots, ty) = &self.behind_references(spots, ty);
        let ty = *ty;
        let field = ["len", "length", "size", "count"]
            .into_iter()
            .find(|field| self.field(expr, (spots.clone(), ty), field).is_ok());
        let hint = if texts::text_parts(self.builder, spots, ty).is_some() {
            Some(format!("it ends at a zero byte: ask `{typed}.is_empty()`"))
        } else if let Some(field) = field {
            Some(format!("name its field: `{typed}.{field}`"))
        } else {
            predicates::inner_value(self.builder, typed, ty)
                .map(|inner| format!("ask the value in it: `{inner}`"))
        };
        PlanError::at(expr, format!("`{name}` has no length")).hint(hint)
    }
}

/// The length of a collection.
enum Kept {
    /// As a number.
    Known(Ir),
    /// In members of the collection at this place.
    In(Spots, Length),
}

/// Where the first element of a collection is.
enum Elements {
    At(Spots),
}

fn out_of_bounds(expr: &Expr, index: u64, count: u64) -> PlanError {
    // One from below zero is meant as that.
    let index = match index as i64 {
        below @ ..0 => below.to_string(),
        _ => index.to_string(),
    };
    PlanError::at(expr, format!("index {index} of an array of {count}"))
}

/// An index that is checked against the number of elements, now where both are known.
fn in_bounds(expr: &Expr, index: Ir, count: u64) -> Result<Ir, PlanError> {
    match index {
        Ir::Const(at) if at < count => Ok(index),
        Ir::Const(at) => Err(out_of_bounds(expr, at, count)),
        computed => Ok(computed.below(count, Failure::Bounds)),
    }
}

/// Offsets of pointer and length, and the element type, of slices and vectors.
fn row_parts(
    builder: &Builder<'_>,
    ty: &Type,
    body: &crate::debuginfo::types::StructType,
) -> Option<(u64, u64, TypeId)> {
    if lengths::is_fat(ty, body)
        && let (Some((pointer, data)), Some((len, _))) = (
            builder.find(body, &["data_ptr"]),
            builder.find(body, &["length"]),
        )
    {
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
