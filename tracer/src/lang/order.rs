//! Precedence of binary operators, which differs between Rust and C: `a & b == c` is `(a & b) == c` in
//! Rust and `a & (b == c)` in C.
//!
//! A probe is parsed before its sites are known, and may have sites in both languages. If the languages
//! differ, the tree keeps a chain of operands. [`ProbeSpec::ordered`] turns it into the tree of one
//! language.

use super::MAX_NESTING;
use super::ast::{
    Action, BinaryOp, ChainLink, Expr, ExprKind, ProbeSpec, Span, Syntax, TemplatePart,
};
use crate::base::diagnostic::Diagnostic;

/// Binary operators: text, operator, precedence in Rust, precedence in C.
pub(super) const OPERATORS: [(&str, BinaryOp, u8, u8); 18] = [
    ("||", BinaryOp::Or, 1, 1),
    ("&&", BinaryOp::And, 2, 2),
    ("==", BinaryOp::Eq, 3, 6),
    ("!=", BinaryOp::Ne, 3, 6),
    ("<", BinaryOp::Lt, 3, 7),
    ("<=", BinaryOp::Le, 3, 7),
    (">", BinaryOp::Gt, 3, 7),
    (">=", BinaryOp::Ge, 3, 7),
    ("|", BinaryOp::BitOr, 4, 3),
    ("^", BinaryOp::BitXor, 5, 4),
    ("&", BinaryOp::BitAnd, 6, 5),
    ("<<", BinaryOp::Shl, 8, 8),
    (">>", BinaryOp::Shr, 8, 8),
    ("+", BinaryOp::Add, 9, 9),
    ("-", BinaryOp::Sub, 9, 9),
    ("*", BinaryOp::Mul, 10, 10),
    ("/", BinaryOp::Div, 10, 10),
    ("%", BinaryOp::Rem, 10, 10),
];
/// One more than the highest precedence.
const STRENGTHS: usize = 11;

fn strength(op: BinaryOp, syntax: Syntax) -> u8 {
    let known = OPERATORS.iter().find(|(_, one, ..)| *one == op);
    known.map_or(0, |(.., rust, c)| match syntax {
        Syntax::Rust => *rust,
        Syntax::C => *c,
    })
}

fn is_comparison(op: BinaryOp) -> bool {
    is_equality(op)
        || matches!(
            op,
            BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge
        )
}

fn is_equality(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Eq | BinaryOp::Ne)
}

fn is_logical(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::And | BinaryOp::Or)
}

fn is_of_bits(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor)
}

/// Builds the tree of a row of operands, with a chain where it depends on the language.
///
/// # Errors
/// No language accepts the row, or the tree would be too deep.
pub(super) fn tree(first: Expr, links: Vec<ChainLink>) -> Result<Expr, Diagnostic> {
    let mut counts = [0; STRENGTHS];
    for link in &links {
        if let Some(count) = counts.get_mut(usize::from(strength(link.op, Syntax::Rust))) {
            *count += 1;
            // Each operator of the same precedence makes the tree one level deeper.
            if *count > MAX_NESTING {
                return Err(Diagnostic::at(
                    link.span.clone(),
                    format!("more than {MAX_NESTING} operators in a row"),
                ));
            }
        }
    }
    // `&&` and `||` have the lowest precedence in both languages, so the row is split there first.
    let (mut first, mut of_part) = (first, Vec::new());
    let mut logical: Vec<(Expr, BinaryOp, Span)> = Vec::new();
    for link in links {
        if is_logical(link.op) {
            let left = part(first, std::mem::take(&mut of_part))?;
            logical.push((left, link.op, link.span));
            first = link.right;
        } else {
            of_part.push(link);
        }
    }
    let mut right = part(first, of_part)?;
    let mut links = Vec::new();
    while let Some((left, op, span)) = logical.pop() {
        links.push(ChainLink { op, span, right });
        right = left;
    }
    links.reverse();
    fold(right, links, Syntax::C)
}

/// Builds the tree of a row without `&&` and `||`.
fn part(first: Expr, links: Vec<ChainLink>) -> Result<Expr, Diagnostic> {
    let count = |is: fn(BinaryOp) -> bool| links.iter().filter(|link| is(link.op)).count();
    let comparisons = count(is_comparison);
    let same = comparisons == 0 || comparisons == 1 && count(is_of_bits) == 0;
    if same {
        return fold(first, links, Syntax::C);
    }
    // C accepts everything that Rust accepts. So a row that C refuses is wrong in every language.
    fold(first.clone(), links.clone(), Syntax::C)?;
    let span = first.span.start
        ..links
            .last()
            .map_or(first.span.end, |link| link.right.span.end);
    Ok(Expr {
        kind: ExprKind::Chain(Box::new(first), links),
        span,
    })
}

/// Builds the tree of a row of operands in one language.
fn fold(first: Expr, links: Vec<ChainLink>, syntax: Syntax) -> Result<Expr, Diagnostic> {
    // Left operands that wait for their right ones, by increasing precedence.
    let mut waiting: Vec<(Expr, BinaryOp)> = Vec::new();
    let mut last = first;
    for ChainLink { op, span, right } in links {
        while let Some((left, before)) =
            waiting.pop_if(|(_, before)| strength(*before, syntax) >= strength(op, syntax))
        {
            let alike = strength(before, syntax) == strength(op, syntax);
            if alike && is_comparison(op) {
                let joined = if is_equality(op) { "==" } else { "<" };
                return Err(Diagnostic::at(span, "comparisons cannot be chained")
                    .hint(format!("write `a {joined} b && b {joined} c`, or brackets")));
            }
            last = binary(left, before, last);
        }
        waiting.push((last, op));
        last = right;
    }
    while let Some((left, op)) = waiting.pop() {
        last = binary(left, op, last);
    }
    Ok(last)
}

fn binary(left: Expr, op: BinaryOp, right: Expr) -> Expr {
    let span = left.span.start..right.span.end;
    Expr {
        kind: ExprKind::Binary(op, Box::new(left), Box::new(right)),
        span,
    }
}

impl ProbeSpec {
    /// Applies the precedence of a language to the message, the condition and the clauses, which then have no
    /// [`ExprKind::Chain`].
    ///
    /// # Errors
    /// The language does not accept an expression: Rust has no `a < b == c`.
    pub fn ordered(&self, syntax: Syntax) -> Result<Self, Diagnostic> {
        let mut spec = self.clone();
        for part in spec.template.iter_mut().flat_map(|one| &mut one.parts) {
            if let TemplatePart::Hole { expr, .. } = part {
                expr.order(syntax)?;
            }
        }
        if let Some(condition) = &mut spec.condition {
            condition.order(syntax)?;
        }
        if let Action::Span(span) = &mut spec.action {
            span.exprs_mut().try_for_each(|expr| expr.order(syntax))?;
        }
        Ok(spec)
    }
}

impl Expr {
    /// Applies the precedence of a language: the result has no [`ExprKind::Chain`].
    ///
    /// # Errors
    /// The language does not accept the expression.
    pub fn ordered(&self, syntax: Syntax) -> Result<Self, Diagnostic> {
        let mut expr = self.clone();
        expr.order(syntax)?;
        Ok(expr)
    }

    fn order(&mut self, syntax: Syntax) -> Result<(), Diagnostic> {
        self.parts_mut()
            .into_iter()
            .try_for_each(|part| part.order(syntax))?;
        if let ExprKind::Chain(first, links) = &mut self.kind {
            let first = std::mem::replace(
                &mut **first,
                Self {
                    kind: ExprKind::Null,
                    span: 0..0,
                },
            );
            // Only the kind changes: the span may include brackets.
            let bits = links.iter().any(|link| is_of_bits(link.op));
            let ordered = fold(first, std::mem::take(links), syntax);
            self.kind = ordered
                .map_err(|error| match bits {
                    true => {
                        error.hint("`&&` and `||` join conditions; use brackets for anything else")
                    }
                    false => error,
                })?
                .kind;
        }
        Ok(())
    }
}
