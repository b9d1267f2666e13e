//! Texts of the program: where their bytes are, and tests of them.

use std::sync::Arc;

use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{Language, StructType, Type, TypeId, TypeKind};
use crate::lang::ast::Expr;
use crate::plan::expr::enum_variants::variant_names;
use crate::plan::expr::resolver::Resolver;
use crate::plan::methods::optional::inner_value;
use crate::plan::methods::{lengths, regex};
use crate::plan::ops::ir::{Ir, Matcher, Test, TextTest};
use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::presenters::abi_string;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;

/// Most bytes of a text that a condition compares with.
const TEXT: usize = 256;

/// A question about a text, with a text or a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Question {
    Equal,
    StartsWith,
    EndsWith,
    Contains,
    Matches,
}

/// Where a text of the program is.
#[derive(Clone, Debug)]
pub(in crate::plan) struct TextParts {
    /// Its first byte.
    pub(in crate::plan) pointer: Ir,
    /// Its number of bytes. `None` if it ends at a zero byte.
    pub(in crate::plan) length: Option<Ir>,
    /// The most bytes of a text that ends at a zero byte. `None` if unlimited.
    pub(in crate::plan) most: Option<u64>,
}

/// The test of a text of the program against `text`. `expr` is the literal of the user.
///
/// # Errors
/// The literal or the pattern is too long, or the pattern is not a regular expression.
pub(in crate::plan) fn text_test(
    expr: &Expr,
    parts: TextParts,
    text: &str,
    question: Question,
) -> Result<Test, Diagnostic> {
    if question != Question::Matches && text.len() > TEXT {
        let message = format!(
            "the text has {} bytes; the limit for comparisons is {TEXT}",
            text.len()
        );
        return Err(Diagnostic::at(&expr.span, message));
    }
    let bytes = || text.as_bytes().to_vec();
    // A text up to a zero byte has no known end, so `ends_with` needs an automaton.
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
        Ok(Ok(automaton)) => Matcher::Automaton(Arc::new(automaton)),
        Ok(Err((error, hint))) => return Err(Diagnostic::at(&expr.span, error).maybe_hint(hint)),
    };
    Ok(Test::Text(TextTest {
        pointer: parts.pointer,
        length: parts.length,
        most: parts.most,
        matcher,
    }))
}

/// The text at a place, which is compared with `text`.
///
/// # Errors
/// The value is not a text, or its place is unknown.
pub(in crate::plan) fn text_of(
    resolver: &Resolver<'_, '_>,
    expr: &Expr,
    spots: &Spots,
    ty: TypeId,
    text: &str,
) -> Result<TextParts, Diagnostic> {
    text_parts(resolver.builder, spots, ty)
        .ok_or_else(|| {
            let declared = &resolver.builder.resolve(ty);
            if let Some(error) = only_declared(expr, declared) {
                return error;
            }
            let name = display_names::without_paths(&declared.name);
            let error = Diagnostic::at(&expr.span, format!("`{name}` is not a text"));
            let (_, ty) = resolver.behind_references(spots, ty);
            error.maybe_hint(instead_of_text(resolver, expr, ty, text))
        })?
        .map_err(|why| Diagnostic::at(&expr.span, why.to_string()))
}

/// A suggestion for a value that is not a text.
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
        return Some(format!("write its value: `{inner}`"));
    }
    let variant = same.or(variants.first())?;
    Some(format!("compare it with a variant: `{typed} == {variant}`"))
}

/// The error for a C++ class that the debug information only declares.
pub(in crate::plan) fn only_declared(expr: &Expr, ty: &Type) -> Option<Diagnostic> {
    let class = matches!(ty.kind, TypeKind::Struct(_)) && ty.language == Language::Cpp;
    // A string has a known layout even if its class is only declared.
    if !class || ty.size.is_some() || abi_string::is_named(ty) {
        return None;
    }
    let name = display_names::without_paths(&ty.name);
    let error = Diagnostic::at(
        &expr.span,
        format!("the debug information only declares `{name}`"),
    );
    Some(error.hint("compile with `-fstandalone-debug`"))
}

/// Pointer and length of a text. Looks through references.
pub(in crate::plan) fn text_parts(
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
                // A flexible array has no other end than its zero byte.
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

/// Offsets of the address and the length of a text in a string type of Rust or C++.
struct TextMembers {
    pointer: u64,
    /// Bytes from that address to the text.
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

/// `Rc<str>` and `Arc<str>`: the counters precede the text.
fn counted_text(builder: &Builder<'_>, ty: &Type, body: &StructType) -> Option<TextMembers> {
    let counted = matches!(
        display_names::path(&ty.name),
        "alloc::rc::Rc" | "alloc::sync::Arc"
    );
    if !counted || !display_names::arguments(&ty.name).first()?.eq(&"str") {
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
