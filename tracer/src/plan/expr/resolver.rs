//! State of the compilation of expressions: the names at a site, and the shape builder, which knows
//! the types.

use std::cell::Cell;

use crate::debuginfo::types::{Language, TypeId};
use crate::debuginfo::variable::Variable;
use crate::lang::ast::Expr;
use crate::plan::expr::returned::Returned;
use crate::plan::ops::spots::ModuleAddresses;
use crate::plan::shape::builder::Builder;
use crate::plan::watching::WatchedOperand;
use crate::value::redact::Redactor;

/// Most pointers on the way to a field.
pub(super) const DEREFS: usize = 8;

/// The names at one site.
pub(in crate::plan) struct Scope<'a> {
    pub(in crate::plan) process: ModuleAddresses,
    pub(in crate::plan) variables: &'a [Variable],
    pub(in crate::plan) statics: &'a dyn Fn(&str) -> Option<Variable>,
    pub(in crate::plan) types: &'a dyn Fn(&str) -> Vec<TypeId>,
    /// Source language.
    pub(in crate::plan) language: Language,
    /// The probe's text. Spans of expressions are positions in it.
    pub(in crate::plan) text: &'a str,
    /// The returned value, at an exit of a function.
    pub(in crate::plan) returned: Option<Returned>,
    /// The site is the end of a timing.
    pub(in crate::plan) elapsed: bool,
    /// The value whose accesses the plan is for.
    pub(in crate::plan) watched: Option<WatchedOperand>,
    /// The names whose values are redacted.
    pub(in crate::plan) redactor: &'a Redactor,
}

/// The names on the way to the values of an expression.
#[derive(Clone, Copy, Default)]
pub(super) struct RedactedWay {
    /// One of them is redacted.
    pub(super) before: bool,
    /// A value has no content beside a redacted part. A number or a text made of it is that part.
    pub(super) within: bool,
}

/// Compiles expressions to operands.
pub(in crate::plan) struct Resolver<'a, 'b> {
    pub(in crate::plan) builder: &'a Builder<'b>,
    pub(in crate::plan) scope: &'a Scope<'a>,
    /// Nesting depth of the current expression.
    pub(super) depth: u32,
    /// The names on the way to the values so far.
    pub(super) way: Cell<RedactedWay>,
}

impl<'a, 'b> Resolver<'a, 'b> {
    pub(in crate::plan) fn new(builder: &'a Builder<'b>, scope: &'a Scope<'a>) -> Self {
        Self {
            builder,
            scope,
            depth: 0,
            way: Cell::default(),
        }
    }

    /// Returns true if the site is in C or C++.
    pub(in crate::plan) const fn is_c(&self) -> bool {
        self.scope.language.is_c()
    }

    /// The text of an expression, as the user typed it.
    pub(in crate::plan) fn typed(&self, expr: &Expr) -> &str {
        self.scope.text.get(expr.span.clone()).unwrap_or_default()
    }
}
