//! Elements of arrays and collections: indexing with bounds checks, and lengths.

use tracer_common::op::{alu, cond};

use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{Language, StructType, Type, TypeId, TypeKind};
use crate::lang::ast::{Expr, ExprKind};
use crate::plan::expr::operand::{Number, NumberKind, Operand};
use crate::plan::expr::pointers::is_address;
use crate::plan::expr::resolver::{DEREFS, Resolver};
use crate::plan::methods::lengths;
use crate::plan::methods::lengths::Length;
use crate::plan::methods::{optional, texts};
use crate::plan::ops::ir::{Failure, Ir, Test, divide};
use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::presenters::abi_string;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;

impl Resolver<'_, '_> {
    pub(super) fn index(
        &mut self,
        expr: &Expr,
        base: &Expr,
        index: &Expr,
    ) -> Result<Operand, Diagnostic> {
        if let Some(element) = self.grid_element(expr, base, index)? {
            return Ok(element);
        }
        let (mut spots, mut ty) = self.place(base)?;
        let index = self.position(index)?;
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            if let Some(elements) = self.elements(&spots, &resolved) {
                let row = elements.map_err(|why| Diagnostic::at(&base.span, why.to_string()))?;
                if row.count.is_none() {
                    self.unconfined(expr, "indexes of arrays of unknown length")?;
                }
                return self.element(expr, row, index);
            }
            let pointer =
                matches!(resolved.kind, TypeKind::Pointer { .. }) && is_address(&resolved);
            let next = self
                .pointee(&spots, ty)
                .map_err(|why| Diagnostic::at(&base.span, why.to_string()))?;
            let Some((there, target)) = next else {
                break;
            };
            if pointer && resolved.language != Language::Rust {
                self.unconfined(expr, "indexes of pointers")?;
                // A pointer of C counts in elements. Their number is unknown.
                let row = ElementRow {
                    first: there,
                    element: target,
                    count: None,
                };
                return self.element(expr, row, index);
            }
            (spots, ty) = (there, target);
        }
        let name = display_names::without_paths(&self.builder.resolve(ty).name);
        Err(Diagnostic::at(
            &expr.span,
            format!("`{name}` has no elements"),
        ))
    }

    /// The number between the brackets.
    fn position(&mut self, index: &Expr) -> Result<Number, Diagnostic> {
        let operand = self.operand(index)?;
        if matches!(operand, Operand::Text(_)) {
            let error = Diagnostic::at(&index.span, "a text is not an index");
            let hint = "a map is shown whole; single entries cannot be looked up";
            return Err(error.hint(hint));
        }
        let number = self.computable_of(index, operand)?;
        if number.kind == NumberKind::Pointer {
            let error = Diagnostic::at(&index.span, "a pointer is not an index");
            return Err(error
                .hint("`*p` is its target, `p - q` the number of elements between two pointers"));
        }
        Ok(number)
    }

    /// An element of an array of several dimensions. All indexes are taken together because DWARF
    /// has no type for a row. `None` if `base` is not such an array, or lacks indexes.
    fn grid_element(
        &mut self,
        expr: &Expr,
        base: &Expr,
        index: &Expr,
    ) -> Result<Option<Operand>, Diagnostic> {
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
                None => {
                    self.unconfined(expr, "indexes of arrays of unknown length")?;
                    at.ir
                }
            };
            let rows = Ir::alu(alu::MUL, linear.ir, Ir::Const(count.unwrap_or(0)));
            linear.ir = Ir::alu(alu::ADD, rows, at);
        }
        // The indexes were checked one by one above.
        let row = ElementRow {
            first: spots,
            element,
            count: None,
        };
        self.element(expr, row, linear).map(Some)
    }

    /// The first element of a C array. C uses an array as a pointer to it.
    pub(super) fn first_of_array(
        &self,
        expr: &Expr,
        spots: &Spots,
        ty: TypeId,
    ) -> Result<Option<Operand>, Diagnostic> {
        let resolved = self.builder.resolve(ty);
        if resolved.language == Language::Rust || !matches!(resolved.kind, TypeKind::Array { .. }) {
            return Ok(None);
        }
        let Some(elements) = self.elements(spots, &resolved) else {
            return Ok(None);
        };
        let row = elements.map_err(|why| Diagnostic::at(&expr.span, why.to_string()))?;
        let index = Number::unsigned(Ir::Const(0), 8);
        self.element(expr, row, index).map(Some)
    }

    fn element(&self, expr: &Expr, row: ElementRow, index: Number) -> Result<Operand, Diagnostic> {
        let ElementRow {
            first: spots,
            element,
            count,
        } = row;
        let Some(stride) = self.builder.size(element) else {
            return Err(Diagnostic::at(&expr.span, "elements of unknown size"));
        };
        let index = match count {
            Some(Ir::Const(count)) => in_bounds(expr, index.ir, count)?,
            // `Within` evaluates the index once, so that it cannot change between the check and its
            // use.
            Some(count) => Ir::Within(Box::new([index.ir, count]), Failure::Bounds),
            None => index.ir,
        };
        let spots = match (&index, spots.address()) {
            (_, Some(address)) => {
                let offset = Ir::alu(alu::MUL, index.clone(), Ir::Const(stride));
                let address = Ir::alu(alu::ADD, address.clone(), offset);
                Spots::whole(stride, Spot::Memory(address))
            }
            (Ir::Const(index), None) => spots.project(index.saturating_mul(stride), stride),
            (_, None) => {
                let why = "a computed index needs elements in memory";
                return Err(Diagnostic::at(&expr.span, why));
            }
        };
        Ok(Operand::Place(spots, element))
    }

    /// The elements of an array or a collection. `None` if the type has none.
    fn elements(&self, spots: &Spots, ty: &Type) -> Option<Result<ElementRow, Unavailable>> {
        match &ty.kind {
            TypeKind::Array {
                element,
                dimensions,
            } if dimensions.len() == 1 => {
                let count = dimensions.first().copied().flatten().map(Ir::Const);
                Some(Ok(ElementRow {
                    first: spots.clone(),
                    element: *element,
                    count,
                }))
            }
            TypeKind::Struct(body) => {
                if let Some(found) = self.cpp_row(spots, ty, body) {
                    return Some(found);
                }
                let (pointer, len, element) = row_parts(self.builder, ty, body)?;
                let read = |offset| spots.project(offset, 8).number();
                Some(read(pointer).and_then(|address| {
                    let size = self.builder.size(element).unwrap_or(0);
                    Ok(ElementRow {
                        first: Spots::whole(size, Spot::Memory(address)),
                        element,
                        count: Some(read(len)?),
                    })
                }))
            }
            _ => None,
        }
    }

    /// The elements of `std::vector`, `std::array` and the strings of C++.
    fn cpp_row(
        &self,
        spots: &Spots,
        ty: &Type,
        body: &StructType,
    ) -> Option<Result<ElementRow, Unavailable>> {
        let plain = display_names::path(&ty.name).strip_prefix("std::")?;
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
            Ok(ElementRow {
                first: Spots::whole(size, Spot::Memory(address)),
                element,
                count: Some(count?),
            })
        }))
    }

    /// The elements of a string whose class is only declared in the debug information.
    fn abi_row(&self, spots: &Spots, ty: &Type) -> Option<Result<ElementRow, Unavailable>> {
        let element = abi_string::character(self.builder, ty)?;
        let size = self.builder.size(element)?;
        let read = |offset| spots.project(offset, 8).number();
        Some(read(abi_string::POINTER).and_then(|address| {
            Ok(ElementRow {
                first: Spots::whole(size, Spot::Memory(address)),
                element,
                count: Some(read(abi_string::LENGTH)?),
            })
        }))
    }

    /// The number of elements or bytes of a value.
    pub(in crate::plan) fn length(
        &self,
        expr: &Expr,
        spots: &Spots,
        ty: TypeId,
    ) -> Result<Ir, Diagnostic> {
        let wrong = |why: Unavailable| Diagnostic::at(&expr.span, why.to_string());
        match self.kept_length(spots, ty).map_err(wrong)? {
            Some(LengthSource::Known(length)) => Ok(length),
            Some(LengthSource::In(spots, Length::Count(offset))) => {
                spots.project(offset, 8).number().map_err(wrong)
            }
            Some(LengthSource::In(spots, Length::Between { first, end, stride })) => {
                let read = |offset| spots.project(offset, 8).number();
                let bytes = Ir::alu(
                    alu::SUB,
                    read(end).map_err(wrong)?,
                    read(first).map_err(wrong)?,
                );
                Ok(divide(alu::DIV, bytes, Ir::Const(stride), None))
            }
            Some(LengthSource::In(..)) => {
                let error =
                    Diagnostic::at(&expr.span, "its number of elements is not kept anywhere");
                Err(error.hint(format!("`{}.is_empty()` is known", self.typed(expr))))
            }
            None => Err(self.no_length(expr, spots, ty)),
        }
    }

    /// The test whether a collection is empty.
    pub(in crate::plan) fn emptiness(
        &self,
        expr: &Expr,
        spots: &Spots,
        ty: TypeId,
    ) -> Result<Test, Diagnostic> {
        let wrong = |why: Unavailable| Diagnostic::at(&expr.span, why.to_string());
        let pair = match self.kept_length(spots, ty).map_err(wrong)? {
            Some(LengthSource::In(spots, Length::Between { first, end, .. })) => {
                Some((spots, first, end))
            }
            Some(LengthSource::In(spots, Length::EmptyWhenSame(first, end))) => {
                Some((spots, first, end))
            }
            Some(LengthSource::In(spots, Length::EmptyWhenNull(pointer))) => {
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

    /// The length of a value, or where it is stored. Looks through references and smart pointers.
    fn kept_length(&self, spots: &Spots, ty: TypeId) -> Result<Option<LengthSource>, Unavailable> {
        let (mut spots, mut ty) = (spots.clone(), ty);
        for _ in 0..DEREFS {
            let resolved = self.builder.resolve(ty);
            match &resolved.kind {
                TypeKind::Array { dimensions, .. } => {
                    return Ok(match dimensions.first() {
                        Some(Some(count)) => Some(LengthSource::Known(Ir::Const(*count))),
                        _ => None,
                    });
                }
                TypeKind::Struct(body) => {
                    if let Some(row) = self.cpp_row(&spots, &resolved, body) {
                        return Ok(row?.count.map(LengthSource::Known));
                    }
                    if let Some(length) = lengths::of(self.builder, &resolved, body) {
                        return Ok(Some(LengthSource::In(spots, length)));
                    }
                }
                _ => {}
            }
            // The length of an optional value is not that of its content: it may have none.
            let optional = optional::optional(self.builder, &resolved).is_some();
            match self.pointee(&spots, ty) {
                Ok(Some(next)) if !optional => (spots, ty) = next,
                _ => break,
            }
        }
        Ok(None)
    }

    /// The error for a value without a length. It suggests an alternative.
    fn no_length(&self, expr: &Expr, spots: &Spots, ty: TypeId) -> Diagnostic {
        let declared = &self.builder.resolve(ty);
        if let Some(error) = texts::only_declared(expr, declared) {
            return error;
        }
        let name = display_names::without_paths(&declared.name);
        let typed = self.typed(expr);
        let (spots, ty) = &self.behind_references(spots, ty);
        let ty = *ty;
        let field = ["len", "length", "size", "count"]
            .into_iter()
            .find(|field| self.field(expr, spots.clone(), ty, field).is_ok());
        let hint = if texts::text_parts(self.builder, spots, ty).is_some() {
            Some(format!(
                "it ends at a zero byte; write `{typed}.is_empty()`"
            ))
        } else if let Some(field) = field {
            Some(format!("name its field: `{typed}.{field}`"))
        } else {
            optional::inner_value(self.builder, typed, ty)
                .map(|inner| format!("write its value: `{inner}`"))
        };
        Diagnostic::at(&expr.span, format!("`{name}` has no length")).maybe_hint(hint)
    }
}

/// The length of a collection.
enum LengthSource {
    /// A number that is known or computed.
    Known(Ir),
    /// Stored in members of the collection at this place.
    In(Spots, Length),
}

/// Elements that are next to each other in memory.
struct ElementRow {
    first: Spots,
    /// Type of an element.
    element: TypeId,
    /// `None`: unknown.
    count: Option<Ir>,
}

fn out_of_bounds(expr: &Expr, index: u64, count: u64) -> Diagnostic {
    // A number from the upper half was written as a negative index.
    let index = match index as i64 {
        below @ ..0 => below.to_string(),
        _ => index.to_string(),
    };
    Diagnostic::at(&expr.span, format!("index {index} of an array of {count}"))
}

/// An index with its bounds check. Two constants are checked now.
fn in_bounds(expr: &Expr, index: Ir, count: u64) -> Result<Ir, Diagnostic> {
    match index {
        Ir::Const(at) if at < count => Ok(index),
        Ir::Const(at) => Err(out_of_bounds(expr, at, count)),
        computed => Ok(computed.below(count, Failure::Bounds)),
    }
}

/// Offsets of pointer and length, and the element type, of Rust's slices and `Vec`.
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
    if display_names::path(&ty.name) == "alloc::vec::Vec" {
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
