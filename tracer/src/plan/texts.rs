//! Texts of the program: where their bytes are, and tests of them.

use std::rc::Rc;

use super::PlanError;
use super::build::Builder;
use super::condition::variant_names;
use super::expr::Resolver;
use super::ir::{Ir, Matcher, Spot, Spots, Test, TextTest};
use super::predicates::inner_value;
use super::present::abi_string;
use super::{lengths, names, regex};
use crate::debuginfo::types::{Language, StructType, Type, TypeId, TypeKind};
use crate::lang::ast::Expr;
use crate::unavailable::Unavailable;

/// Bytes of a text that a condition compares with.
const TEXT: usize = 256;

/// A question about a text, with a text or a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Equal,
    StartsWith,
    EndsWith,
    Contains,
    Matches,
}

/// Where a text of the program is.
#[derive(Clone, Debug)]
pub(super) struct TextParts {
    /// Its first byte.
    pub(super) pointer: Ir,
    /// Its bytes; `None`: up to a zero byte.
    pub(super) length: Option<Ir>,
    /// Of a text up to a zero byte: how many bytes there are without one. `None`: any number.
    pub(super) most: Option<u64>,
}

/// A test of a text of the program; `expr` is the text that the user wrote.
///
/// # Errors
/// The text or the pattern is too long, or the pattern is not a regular expression.
pub(super) fn text_test(
    expr: &Expr,
    parts: TextParts,
    text: &str,
    question: Question,
) -> Result<Test, PlanError> {
    if question != Question::Matches && text.len() > TEXT {
        let message = format!("text of {} bytes, at most {TEXT} are compared", text.len());
        return Err(PlanError::at(expr, message));
    }
    let bytes = || text.as_bytes().to_vec();
    // A text up to a zero byte has its end only where it is found.
    let found = match question {
        Question::Equal => Err(Matcher::Equal(bytes())),
        Question::StartsWith => Err(Matcher::StartsWith(bytes())),
        Question::EndsWith if parts.length.is_some() => Err(Matcher::EndsWith(bytes())),
        Question::EndsWith => Ok(regex::of_text(text, true)),
        Question::Contains => Ok(regex::of_text(text, false)),
        Question::Matches => Ok(regex::automaton(text)),
    };
    let matcher = match found {
        Err(matcher) => matcher,
        Ok(Ok(automaton)) => Matcher::Automaton(Rc::new(automaton)),
        Ok(Err((error, hint))) => return Err(PlanError::at(expr, error).hint(hint)),
    };
    Ok(Test::Text(TextTest {
        pointer: parts.pointer,
        length: parts.length,
        most: parts.most,
        matcher,
    }))
}

/// The text at a place that is compared with `text`.
///
/// # Errors
/// It is not a text, or it is not known where it is.
pub(super) fn text_of(
    resolver: &Resolver<'_, '_>,
    expr: &Expr,
    spots: &Spots,
    ty: TypeId,
    text: &str,
) -> Result<TextParts, PlanError> {
    text_parts(resolver.builder, spots, ty)
        .ok_or_else(|| {
            let declared = &resolver.builder.resolve(ty);
            if let Some(error) = only_declared(expr, declared) {
                return error;
            }
            let name = names::without_paths(&declared.name);
            let error = PlanError::at(expr, format!("`{name}` is not a text"));
            let (_, ty) = resolver.behind_references(spots, ty);
            error.hint(instead_of_text(resolver, expr, ty, text))
        })?
        .map_err(|why| PlanError::at(expr, why.to_string()))
}

/// What a value that is not a text can be compared with instead.
fn instead_of_text(
    resolver: &Resolver<'_, '_>,
    expr: &Expr,
    ty: TypeId,
    text: &str,
) -> Option<String> {
    let typed = resolver.typed(expr);
    let variants = variant_names(resolver.builder, ty);
    let same = variants.iter().find(|one| one.eq_ignore_ascii_case(text));
    if same.is_none()
        && let Some(inner) = inner_value(resolver.builder, typed, ty)
    {
        return Some(format!("ask the value in it: `{inner}`"));
    }
    let variant = same.or(variants.first())?;
    Some(format!("compare it with a variant: `{typed} == {variant}`"))
}

/// The error for a class of C++ of which the debug information has no more than its name.
pub(super) fn only_declared(expr: &Expr, ty: &Type) -> Option<PlanError> {
    let class = matches!(ty.kind, TypeKind::Struct(_)) && ty.language == Language::Cpp;
    // The layout of a string is known all the same.
    if !class || ty.size.is_some() || abi_string::is_named(ty) {
        return None;
    }
    let name = names::without_paths(&ty.name);
    let error = PlanError::at(
        expr,
        format!("the debug information only declares `{name}`"),
    );
    Some(error.hint(Some("compile with `-fstandalone-debug`".into())))
}

/// Pointer and length of a text, through references.
pub(super) fn text_parts(
    builder: &Builder<'_>,
    spots: &Spots,
    ty: TypeId,
) -> Option<Result<TextParts, Unavailable>> {
    let (mut spots, mut ty) = (spots.clone(), ty);
    for _ in 0..4 {
        let resolved = builder.resolve(ty);
        match &resolved.kind {
            TypeKind::Struct(body) => {
                let text = text_members(builder, &resolved, body)?;
                let pointer = spots.project(text.pointer, 8).number();
                let len = spots.project(text.length, 8).number();
                return Some(pointer.and_then(|pointer| {
                    Ok(TextParts {
                        pointer: pointer.plus(text.addend),
                        length: Some(len?),
                        most: None,
                    })
                }));
            }
            TypeKind::Array {
                element,
                dimensions,
            } => {
                matches!(builder.resolve(*element).kind, TypeKind::Char { .. }).then_some(())?;
                // A flexible array ends at its zero byte alone.
                let most = match dimensions.as_slice() {
                    [most] => most.filter(|most| *most > 0),
                    _ => None,
                };
                return Some(Ok(TextParts {
                    pointer: spots.address()?.clone(),
                    length: None,
                    most,
                }));
            }
            TypeKind::Pointer {
                target: Some(target),
                ..
            } => {
                let pointer = spots.project(0, 8).number();
                if matches!(builder.resolve(*target).kind, TypeKind::Char { .. }) {
                    return Some(pointer.map(|pointer| TextParts {
                        pointer,
                        length: None,
                        most: None,
                    }));
                }
                let spot = pointer.map_or_else(Spot::Missing, Spot::Memory);
                spots = Spots::whole(builder.size(*target).unwrap_or(0), spot);
                ty = *target;
            }
            _ => return None,
        }
    }
    None
}

/// Where a text of Rust's or C++'s library has its address and its length in bytes.
struct TextMembers {
    pointer: u64,
    /// Bytes between the address and the text.
    addend: u64,
    length: u64,
}

fn text_members(builder: &Builder<'_>, ty: &Type, body: &StructType) -> Option<TextMembers> {
    let path = |path: &[&str]| builder.find(body, path);
    if let Some(text) = counted_text(builder, ty, body) {
        return Some(text);
    }
    if let Some(unit) = abi_string::unit(builder, ty) {
        return (unit == 1).then_some(TextMembers {
            pointer: abi_string::POINTER,
            addend: 0,
            length: abi_string::LENGTH,
        });
    }
    let (pointer, len) = if lengths::is_fat(ty, body) {
        (path(&["data_ptr"])?, path(&["length"])?)
    } else {
        match lengths::path(&ty.name).as_str() {
            "alloc::string::String" => {
                let inner = path(&["vec", "buf", "inner", "ptr"]);
                let pointer = inner.or_else(|| path(&["vec", "buf", "ptr"]))?;
                (pointer, path(&["vec", "len"])?)
            }
            "std::basic_string" | "std::string" => (
                path(&["_M_dataplus", "_M_p"])?,
                path(&["_M_string_length"])?,
            ),
            "std::basic_string_view" | "std::string_view" => {
                (path(&["_M_str"])?, path(&["_M_len"])?)
            }
            _ => return None,
        }
    };
    let (more, address) = builder.peel(pointer.1);
    let TypeKind::Pointer {
        target: Some(unit), ..
    } = builder.resolve(address).kind
    else {
        return None;
    };
    let unit = builder.resolve(unit);
    let is_text = matches!(
        unit.kind,
        TypeKind::Char { .. } | TypeKind::Int { signed: false }
    );
    (is_text && unit.size == Some(1)).then_some(TextMembers {
        pointer: pointer.0.checked_add(more)?,
        addend: 0,
        length: len.0,
    })
}

/// `Rc<str>`, `Arc<str>`: the counts stand before the text.
fn counted_text(builder: &Builder<'_>, ty: &Type, body: &StructType) -> Option<TextMembers> {
    let counted = matches!(names::path(&ty.name), "alloc::rc::Rc" | "alloc::sync::Arc");
    if !counted || !names::arguments(&ty.name).first()?.eq(&"str") {
        return None;
    }
    let (pointer, counts) = builder.find(body, &["ptr", "pointer", "data_ptr"])?;
    let (length, _) = builder.find(body, &["ptr", "pointer", "length"])?;
    let TypeKind::Pointer {
        target: Some(counts),
        ..
    } = builder.resolve(counts).kind
    else {
        return None;
    };
    let counts = builder.resolve(counts);
    let TypeKind::Struct(counts) = &counts.kind else {
        return None;
    };
    let value = builder.find(counts, &["value"]);
    let (addend, _) = value.or_else(|| builder.find(counts, &["data"]))?;
    Some(TextMembers {
        pointer,
        addend,
        length,
    })
}
