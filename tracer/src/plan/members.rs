//! The names that may follow an expression and a dot, for completion.

use super::expr::Resolver;
use super::expr::operand::Operand;
use super::{Compiler, PlanInput, scope};
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::Language;
use crate::lang::ast::Expr;
use crate::lang::parse_expr;

/// The most names of one expression.
pub const MEMBERS: usize = 256;
/// Methods that are asked about, with the types of their values.
const METHODS: [(&str, &str); 7] = [
    ("len()", "usize"),
    ("is_empty()", "bool"),
    ("is_some()", "bool"),
    ("is_none()", "bool"),
    ("is_ok()", "bool"),
    ("is_err()", "bool"),
    ("is_null()", "bool"),
];

/// A name that may follow an expression and a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberName {
    /// The name, as a probe writes it.
    pub name: String,
    /// The type, as the source writes it, without paths.
    pub ty: String,
    /// It is a method of the probe language.
    pub is_method: bool,
}

/// The members of the value of an expression at a site: its fields, those behind references and smart pointers, and
/// methods. There are none if the expression is no value of the program.
///
/// # Errors
/// The expression has no meaning at the site.
pub fn members(input: &PlanInput<'_>, expr: &Expr) -> Result<Vec<MemberName>, Diagnostic> {
    let scope = scope(input);
    let compiler = Compiler::new(input, &scope);
    let expr = expr.ordered(input.syntax())?;
    let mut resolver = Resolver::new(&compiler.builder, &scope);
    let Operand::Place(spots, ty) = resolver.operand(&expr)? else {
        return Ok(Vec::new());
    };
    let fields = resolver.fields_of(spots, ty, MEMBERS);
    let field = |(name, ty)| MemberName {
        name,
        ty,
        is_method: false,
    };
    let mut all: Vec<MemberName> = fields.into_iter().map(field).collect();
    let owner = resolver.typed(&expr).to_owned();
    let is_c = input.language == Language::C;
    for (method, ty) in METHODS {
        if is_c && method != "is_null()" {
            continue;
        }
        let call = parse_expr(&format!("({owner}).{method}"));
        let has_meaning = call.is_ok_and(|call| resolver.operand(&call).is_ok());
        if has_meaning && all.len() < MEMBERS {
            all.push(MemberName {
                name: method.to_owned(),
                ty: ty.to_owned(),
                is_method: true,
            });
        }
    }
    Ok(all)
}
