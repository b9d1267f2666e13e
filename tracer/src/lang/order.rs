//! The order of the operators with two sides, which Rust and C do not agree on: `a & b == c` is
//! `(a & b) == c` in Rust and `a & (b == c)` in C.
//!
//! A probe is read before it is known where it goes, and may have places in units of both. So
//! where the languages differ the tree keeps a chain of operands, and [`ProbeSpec::ordered`] makes
//! the tree of one language of it.

use super::ast::{Action, BinaryOp, Expr, ExprKind, Link, ProbeSpec, Span, Syntax, TemplatePart};
use super::{MAX_NESTING, SyntaxError};

/// Operators with two sides: text, operator, and how strongly it binds in Rust and in C.
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
/// One more than the strongest binds.
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

/// The tree of operands in a row, with a chain wherever it depends on the language.
///
/// # Errors
/// No language reads it, or the tree would be too deep.
pub(super) fn tree(first: Expr, links: Vec<Link>) -> Result<Expr, SyntaxError> {
    let mut counts = [0; STRENGTHS];
    for link in &links {
        if let Some(count) = counts.get_mut(usize::from(strength(link.op, Syntax::Rust))) {
            *count += 1;
            // Each of one strength makes the tree one level deeper.
            if *count > MAX_NESTING {
                return Err(SyntaxError::new(
                    link.span.clone(),
                    format!("more than {MAX_NESTING} operators in a row"),
                ));
            }
        }
    }
    // `&&` and `||` bind weakest in both.
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
        links.push(Link { op, span, right });
        right = left;
    }
    links.reverse();
    fold(right, links, Syntax::C)
}

/// What stands between `&&` and `||`.
fn part(first: Expr, links: Vec<Link>) -> Result<Expr, SyntaxError> {
    let count = |is: fn(BinaryOp) -> bool| links.iter().filter(|link| is(link.op)).count();
    let comparisons = count(is_comparison);
    let same = comparisons == 0 || comparisons == 1 && count(is_of_bits) == 0;
    if same {
        return fold(first, links, Syntax::C);
    }
    // C reads all that Rust reads: what it does not read is wrong wherever the probe goes.
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

/// The tree that a language makes of operands in a row.
fn fold(first: Expr, links: Vec<Link>, syntax: Syntax) -> Result<Expr, SyntaxError> {
    // The left sides that still wait for their right ones, each binding stronger than the last.
    let mut waiting: Vec<(Expr, BinaryOp)> = Vec::new();
    let mut last = first;
    for Link { op, span, right } in links {
        while let Some((left, before)) =
            waiting.pop_if(|(_, before)| strength(*before, syntax) >= strength(op, syntax))
        {
            let alike = strength(before, syntax) == strength(op, syntax);
            if alike && is_comparison(op) {
                let joined = if is_equality(op) { "==" } else { "<" };
                return Err(SyntaxError::new(span, "comparisons cannot be chained")
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
    /// The same probe as a language reads it: without [`ExprKind::Chain`].
    ///
    /// # Errors
    /// The language does not: Rust has no `a < b == c`.
    pub fn ordered(&self, syntax: Syntax) -> Result<Self, SyntaxError> {
        let mut spec = self.clone();
        match &mut spec.action {
            Action::Count { by: Some(expr) } | Action::Hist { value: expr, .. } => {
                expr.order(syntax)?;
            }
            Action::Count { by: None } | Action::Log | Action::Snapshot | Action::Time => {}
        }
        for part in spec.template.iter_mut().flat_map(|one| &mut one.parts) {
            if let TemplatePart::Hole { expr, .. } = part {
                expr.order(syntax)?;
            }
        }
        if let Some(condition) = &mut spec.condition {
            condition.order(syntax)?;
        }
        Ok(spec)
    }
}

impl Expr {
    fn order(&mut self, syntax: Syntax) -> Result<(), SyntaxError> {
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
            // Brackets around it are part of its place.
            let bits = links.iter().any(|link| is_of_bits(link.op));
            let ordered = fold(first, std::mem::take(links), syntax);
            self.kind = ordered
                .map_err(|error| match bits {
                    true => {
                        error.hint("`&&` and `||` join conditions; brackets say what else is meant")
                    }
                    false => error,
                })?
                .kind;
        }
        Ok(())
    }
}
