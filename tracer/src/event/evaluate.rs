//! Expressions of the probe language over the values that an event has recorded.
//!
//! Nothing is guessed: an operand that is not known makes the result unknown, with the reason. Only `&&` and `||`
//! have a result if one side decides alone.

mod operators;
mod parts;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use super::call::{is_absent, named};
use super::{Event, NamedValue};
use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::lang::ast::{BinaryOp, Expr, ExprKind, Special, Syntax, UnaryOp};
use crate::lang::parse_expr;
use crate::value::{Text, Value};

/// Why the value of an expression is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotKnown {
    /// The event has no value of this name.
    NotRecorded(String),
    /// The value could not be read at the hit.
    Unavailable {
        /// The expression.
        what: String,
        /// The reason.
        why: Unavailable,
    },
    /// The expression makes no sense for these values, or cannot be computed without the program.
    Unsupported(String),
}

impl fmt::Display for NotKnown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRecorded(what) => write!(f, "`{what}` is not recorded here"),
            Self::Unavailable { what, why } => write!(f, "`{what}` is unavailable: {why}"),
            Self::Unsupported(why) => f.write_str(why),
        }
    }
}

/// A result: a part of a recorded value, or a computed one.
type Computed<'v> = Result<Cow<'v, Value>, NotKnown>;

fn unsupported<T>(why: impl Into<String>) -> Result<T, NotKnown> {
    Err(NotKnown::Unsupported(why.into()))
}

/// An expression that is asked of recorded values.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedExpr {
    text: String,
    /// In the precedence of Rust, and in that of C.
    ordered: [Result<Expr, Diagnostic>; 2],
}

impl RecordedExpr {
    /// Parses a text that is one expression.
    ///
    /// # Errors
    /// The text is not an expression in any language.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let expr = parse_expr(text)?;
        let ordered = [Syntax::Rust, Syntax::C].map(|syntax| expr.ordered(syntax));
        match ordered {
            [Err(error), Err(_)] => Err(error),
            ordered => Ok(Self {
                text: text.to_owned(),
                ordered,
            }),
        }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value at an event.
    ///
    /// # Errors
    /// An operand is not known, or the expression makes no sense for the values.
    pub fn value(&self, event: &Event) -> Result<Value, NotKnown> {
        self.value_of(event, &event.values)
    }

    /// The value at an event, with other values than the event's own.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn value_of(&self, event: &Event, values: &[NamedValue]) -> Result<Value, NotKnown> {
        let syntax = syntax_of(event);
        let index = usize::from(syntax == Syntax::C);
        let evaluation = Evaluation {
            text: &self.text,
            event,
            values,
            syntax,
        };
        match &self.ordered[index] {
            Ok(expr) => evaluation.value(expr).map(Cow::into_owned),
            Err(error) => unsupported(error.message.clone()),
        }
    }

    /// Asks if the expression is true at an event.
    ///
    /// # Errors
    /// It is not known.
    pub fn holds(&self, event: &Event, values: &[NamedValue]) -> Result<bool, NotKnown> {
        let value = self.value_of(event, values)?;
        truth(&value).map_or_else(
            || {
                let shown = compact(&value);
                unsupported(format!("`{}` is {shown}, not true or false", self.text))
            },
            Ok,
        )
    }
}

/// The language of the line, by the name of its file.
fn syntax_of(event: &Event) -> Syntax {
    let extension = event.origin.file.extension();
    match extension.and_then(|extension| extension.to_str()) {
        Some("rs") | None => Syntax::Rust,
        Some(_) => Syntax::C,
    }
}

/// The truth of a value. `None` if the value cannot be a condition.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Int(value, _) => Some(*value != 0),
        Value::Uint(value) => Some(*value != 0),
        Value::Pointer(pointer) if pointer.transparent => truth(pointer.target.as_deref()?),
        Value::Pointer(pointer) => Some(pointer.address != 0),
        _ => None,
    }
}

/// A value in words that fit a message.
fn compact(value: &Value) -> String {
    /// Characters of a value in a message.
    const LENGTH: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The value of a literal.
fn literal(kind: &ExprKind) -> Value {
    match kind {
        ExprKind::Int(value) => operators::integer(*value),
        ExprKind::Float(value) => Value::Float64(*value),
        ExprKind::Str(text) => Value::Text(Text {
            bytes: text.clone().into_bytes(),
            cut: None,
        }),
        ExprKind::Char(c) => Value::Char(*c),
        ExprKind::Bool(value) => Value::Bool(*value),
        _ => Value::Unit,
    }
}

/// An expression, asked of one event.
struct Evaluation<'e> {
    text: &'e str,
    event: &'e Event,
    values: &'e [NamedValue],
    syntax: Syntax,
}

impl<'e> Evaluation<'e> {
    /// The text of a part of the expression.
    fn text_of(&self, expr: &Expr) -> &'e str {
        self.text.get(expr.span.clone()).unwrap_or_default().trim()
    }

    /// The value of an expression. It is never unavailable.
    fn value(&self, expr: &Expr) -> Computed<'e> {
        let value = match self.recorded(self.text_of(expr)) {
            Some(value) => Cow::Borrowed(&value.value),
            None => self.computed(expr)?,
        };
        self.available(expr, value)
    }

    /// A value that is recorded under this very text: a variable, or an expression of `with`.
    fn recorded(&self, text: &str) -> Option<&'e NamedValue> {
        named(self.values, text)
    }

    fn available(&self, expr: &Expr, value: Cow<'e, Value>) -> Computed<'e> {
        match &*value {
            Value::Unavailable(why) => Err(NotKnown::Unavailable {
                what: self.text_of(expr).to_owned(),
                why: why.clone(),
            }),
            _ => Ok(value),
        }
    }

    fn computed(&self, expr: &Expr) -> Computed<'e> {
        let owned = |value: Value| Ok(Cow::Owned(value));
        match &expr.kind {
            ExprKind::Name { path, shadow } => self.name(path, *shadow),
            ExprKind::Special(special) => self.special(*special),
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Str(_)
            | ExprKind::Char(_)
            | ExprKind::Bool(_) => owned(literal(&expr.kind)),
            ExprKind::Null => unsupported("`null` and `None` can only be compared with"),
            ExprKind::Field(base, name) | ExprKind::Arrow(base, name) => {
                let value = self.value(base)?;
                let part = parts::field(value, name);
                part.map_err(|missing| missing.of(self.text_of(base), name))
            }
            ExprKind::Index(base, index) => self.element(base, index),
            ExprKind::Len(base) => owned(self.length(base)?),
            ExprKind::IsEmpty(base) => {
                let length = self.length(base)?;
                owned(Value::Bool(operators::whole(&length) == Some(0)))
            }
            ExprKind::Is(predicate, base) => {
                let value = self.value(base)?;
                match parts::is(&value, *predicate) {
                    Some(is) => owned(Value::Bool(is)),
                    None => {
                        let (what, method) = (self.text_of(base), predicate.method());
                        unsupported(format!("`{what}` has no `{method}()`"))
                    }
                }
            }
            ExprKind::StartsWith(base, text)
            | ExprKind::EndsWith(base, text)
            | ExprKind::Contains(base, text) => self.search(expr, base, text),
            ExprKind::Unary(op, operand) => self.unary(*op, operand),
            ExprKind::Binary(op @ (BinaryOp::And | BinaryOp::Or), left, right) => {
                let is = self.logical(*op == BinaryOp::Or, left, right)?;
                owned(Value::Bool(is))
            }
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right),
            ExprKind::Cast(base, ty) => {
                let value = self.value(base)?;
                operators::cast(parts::plain(&value), ty).map(Cow::Owned)
            }
            ExprKind::Slice(..) => {
                unsupported("a range of elements is not taken of recorded values")
            }
            ExprKind::Matches(..) => unsupported(
                "recorded values are not matched: use `contains`, `starts_with`, `ends_with`",
            ),
            ExprKind::Chain(..) => unsupported("brackets are needed: languages differ here"),
        }
    }

    fn element(&self, base: &Expr, index: &Expr) -> Computed<'e> {
        let value = self.value(base)?;
        let at = operators::whole(&*self.value(index)?);
        let Some(at) = at else {
            return unsupported(format!("`{}` is no index", self.text_of(index)));
        };
        parts::element(value, at)
            .map_err(|missing| missing.of(self.text_of(base), &format!("[{at}]")))
    }

    fn name(&self, path: &str, shadow: u32) -> Computed<'e> {
        // The innermost variable has its bare name.
        let name = match shadow {
            0 | 1 => path.to_owned(),
            shadow => format!("{path}#{shadow}"),
        };
        if let Some(value) = self.recorded(&name) {
            return Ok(Cow::Borrowed(&value.value));
        }
        // A member of the object of a method.
        let this = self.recorded("this").map(|this| Cow::Borrowed(&this.value));
        if let Some(Ok(member)) = this.map(|this| parts::field(this, path)) {
            return Ok(member);
        }
        let is_elsewhere = self
            .values
            .iter()
            .any(|value| *value.expr == *name && is_absent(value));
        Err(match is_elsewhere {
            true => NotKnown::Unavailable {
                what: name,
                why: Unavailable::OutOfScope,
            },
            false => NotKnown::NotRecorded(name),
        })
    }

    fn special(&self, special: Special) -> Computed<'e> {
        let event = self.event;
        let value = match special {
            Special::Pid => Value::Uint(event.pid.into()),
            Special::Tid => Value::Uint(event.tid.into()),
            Special::Hit => Value::Uint(event.hit.into()),
            Special::Time => Value::Uint(event.time_ns.into()),
            Special::Thread => Value::Text(Text {
                bytes: event.thread.clone().into_bytes(),
                cut: None,
            }),
            Special::Process
            | Special::Cgroup
            | Special::Container
            | Special::Return
            | Special::Elapsed => return Err(NotKnown::NotRecorded(special.name().to_owned())),
        };
        Ok(Cow::Owned(value))
    }

    fn length(&self, base: &Expr) -> Result<Value, NotKnown> {
        let value = self.value(base)?;
        match parts::length(&value) {
            Some(Some(length)) => Ok(Value::Uint(length.into())),
            Some(None) => unsupported(format!(
                "`{}` is cut, and its length is not recorded",
                self.text_of(base)
            )),
            None => unsupported(format!("`{}` has no length", self.text_of(base))),
        }
    }

    fn search(&self, expr: &Expr, base: &Expr, text: &Expr) -> Computed<'e> {
        let (value, wanted) = (self.value(base)?, self.value(text)?);
        let (Value::Text(value), Value::Text(wanted)) =
            (parts::plain(&value), parts::plain(&wanted))
        else {
            return unsupported(format!("`{}` is no text", self.text_of(base)));
        };
        let found = match &expr.kind {
            ExprKind::StartsWith(..) => operators::starts_with(value, wanted),
            ExprKind::EndsWith(..) => operators::ends_with(value, wanted),
            _ => operators::contains(value, wanted),
        };
        match found {
            Some(found) => Ok(Cow::Owned(Value::Bool(found))),
            None => unsupported(format!("the text of `{}` is cut", self.text_of(base))),
        }
    }

    fn unary(&self, op: UnaryOp, operand: &Expr) -> Computed<'e> {
        if op == UnaryOp::AddressOf {
            return unsupported("addresses of variables are not recorded");
        }
        let value = self.value(operand)?;
        if op == UnaryOp::Deref {
            let target = parts::target(value);
            return target.map_err(|missing| missing.of("*", self.text_of(operand)));
        }
        let is_rust = self.syntax == Syntax::Rust;
        operators::unary(op, parts::plain(&value), is_rust).map(Cow::Owned)
    }

    /// `a && b`, `a || b`: one side can decide alone, also if the other one is not known.
    fn logical(&self, is_or: bool, left: &Expr, right: &Expr) -> Result<bool, NotKnown> {
        let side = |expr: &Expr| {
            let value = self.value(expr)?;
            match truth(&value) {
                Some(is) => Ok(is),
                None => unsupported(format!("`{}` is not true or false", self.text_of(expr))),
            }
        };
        match (side(left), side(right)) {
            (Ok(one), _) if one == is_or => Ok(one),
            (_, Ok(two)) if two == is_or => Ok(two),
            (Err(why), _) | (_, Err(why)) => Err(why),
            (Ok(_), Ok(two)) => Ok(two),
        }
    }

    fn binary(&self, op: BinaryOp, left: &Expr, right: &Expr) -> Computed<'e> {
        if let BinaryOp::Eq | BinaryOp::Ne = op {
            let is_ne = op == BinaryOp::Ne;
            if let Some(equal) = self.special_equality(left, right)? {
                return Ok(Cow::Owned(Value::Bool(equal != is_ne)));
            }
        }
        let (one, two) = (self.value(left)?, self.value(right)?);
        operators::binary(op, &one, &two).map(Cow::Owned)
    }

    /// Equality with `null`, `None` or the name of an enum's variant. `None` if it is neither.
    fn special_equality(&self, left: &Expr, right: &Expr) -> Result<Option<bool>, NotKnown> {
        for (value, other) in [(left, right), (right, left)] {
            match &other.kind {
                ExprKind::Null => {
                    let value_of = self.value(value)?;
                    return match parts::is_nothing(&value_of) {
                        Some(is) => Ok(Some(is)),
                        None => unsupported(format!("`{}` is never null", self.text_of(value))),
                    };
                }
                ExprKind::Name { path, .. } if self.name(path, 0).is_err() => {
                    let Ok(known) = self.value(value) else {
                        continue;
                    };
                    if let Some(is) = parts::is_variant(&known, path) {
                        return Ok(Some(is));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }
}
