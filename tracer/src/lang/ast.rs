//! The syntax tree of one probe.

use std::ops::Range;
use std::time::Duration;

/// Byte range in the text that the user typed.
pub type Span = Range<usize>;

/// One probe as the user wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeSpec {
    /// The text that all spans count in.
    pub text: String,
    /// What a hit does.
    pub action: Action,
    /// Where.
    pub location: Location,
    /// Second location of `time A..B`.
    pub until: Option<Location>,
    /// The message; `None`: every variable in scope.
    pub template: Option<Template>,
    /// Hits that fail it send nothing.
    pub condition: Option<Expr>,
    /// Limits and name.
    pub options: ProbeOptions,
}

/// What a hit does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// One event a hit.
    Log,
    /// Every variable in scope, and the stack.
    Snapshot,
    /// Hits, for each value of an expression when there is one.
    Count {
        /// What is counted by.
        by: Option<Expr>,
    },
    /// Histogram of an expression.
    Hist {
        /// A number.
        value: Expr,
        /// Width of a linear bucket; `None` is powers of two.
        step: Option<u64>,
    },
    /// Time from entry to return, or from one line to another.
    Time,
}

impl Action {
    /// The word for it in the probe language.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Snapshot => "snapshot",
            Self::Count { .. } => "count",
            Self::Hist { .. } => "hist",
            Self::Time => "time",
        }
    }
}

/// Where a probe is.
#[derive(Clone, Debug, PartialEq)]
pub struct Location {
    /// File name of the module (`libfoo.so!…`); `None` is any.
    pub module: Option<String>,
    /// What in it.
    pub kind: LocationKind,
    /// Where it stands in the text.
    pub span: Span,
}

/// What a location names.
#[derive(Clone, Debug, PartialEq)]
pub enum LocationKind {
    /// `FILE:LINE`; the file matches by path suffix.
    Line {
        /// As typed.
        file: String,
        /// From 1.
        line: u64,
    },
    /// A function by its demangled name or a suffix of its path, at its first statement.
    Function(String),
    /// Every return of a function.
    Return(String),
    /// Every return of a function to its caller, by the kernel's return trampoline.
    Trampoline(String),
    /// A link address.
    Address(u64),
}

/// Limits and name of a probe; `None` is the default of its action.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeOptions {
    /// `hits N`.
    pub hits: Option<u64>,
    /// `rate N/s`.
    pub rate: Option<u64>,
    /// `every DURATION`: at most one event in each.
    pub every: Option<Duration>,
    /// `for DURATION`: time to live.
    pub ttl: Option<Duration>,
    /// `depth N`: frames of call stack.
    pub depth: Option<u32>,
    /// `cpu N%`: CPUs that it may cost.
    pub cpu: Option<f64>,
    /// `trampoline`: returns are seen by the kernel's return trampoline.
    pub trampoline: bool,
    /// `as NAME`.
    pub name: Option<String>,
}

/// A message with holes.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// In order.
    pub parts: Vec<TemplatePart>,
}

impl Template {
    /// A hole is written as `{:#?}` does, on many lines.
    #[must_use]
    pub fn is_multiline(&self) -> bool {
        self.parts.iter().any(|part| match part {
            TemplatePart::Text(_) => false,
            TemplatePart::Hole { format, .. } => {
                format.alternate && matches!(format.style, Style::Debug)
            }
        })
    }
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum TemplatePart {
    /// Text as it is, escapes resolved.
    Text(String),
    /// `{expr}` or `{expr:format}`.
    Hole {
        /// What to show.
        expr: Expr,
        /// How.
        format: Format,
    },
}

/// How a value is written: Rust's format specifications, as far as they make sense here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// Display, Debug, hexadecimal, ….
    pub style: Style,
    /// `#`: prefixes, or many lines.
    pub alternate: bool,
    /// At least this many characters.
    pub width: Option<u16>,
    /// `0` before the width.
    pub zero: bool,
    /// `.N`.
    pub precision: Option<u16>,
    /// `<`, `^`, `>`.
    pub align: Option<Align>,
    /// What stands before `<`, `^` or `>`: fills the width, where spaces would.
    pub fill: Option<char>,
    /// `+`: positive numbers have a sign, too.
    pub plus: bool,
}

/// The letter of a format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Style {
    /// Text without quotes, all else as `{:?}` writes it.
    #[default]
    Display,
    Debug,
    LowerHex,
    UpperHex,
    Octal,
    Binary,
    LowerExp,
    /// `p`: the address of the value, or of what a pointer points to.
    Pointer,
}

/// Where a padded value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Align {
    Left,
    Center,
    Right,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands in the text.
    pub span: Span,
}

/// References to the parts of an expression, which can be changed where its kind can.
macro_rules! parts {
    ($kind:expr, $each:ident $(, $change:tt)?) => {{
        use ExprKind as E;
        match $kind {
            E::Name { .. }
            | E::Special(_)
            | E::Int(_)
            | E::Float(_)
            | E::Str(_)
            | E::Char(_)
            | E::Bool(_)
            | E::Null => Vec::new(),
            E::Field(a, _)
            | E::Arrow(a, _)
            | E::Len(a)
            | E::IsEmpty(a)
            | E::Is(_, a)
            | E::Unary(_, a)
            | E::Cast(a, _) => vec![a],
            E::Index(a, b)
            | E::StartsWith(a, b)
            | E::EndsWith(a, b)
            | E::Contains(a, b)
            | E::Matches(a, b)
            | E::Binary(_, a, b) => vec![a, b],
            E::Slice(base, from, to) => {
                let ends = from.$each().chain(to).map(|end| &$($change)? **end);
                std::iter::once(&$($change)? **base).chain(ends).collect()
            }
            E::Chain(first, links) => {
                let rights = links.$each().map(|link| &$($change)? link.right);
                std::iter::once(&$($change)? **first).chain(rights).collect()
            }
        }
    }};
}

impl Expr {
    /// `x` of `&x`.
    #[must_use]
    pub fn addressed(&self) -> Option<&Self> {
        match &self.kind {
            ExprKind::Unary(UnaryOp::AddressOf, object) => Some(object),
            _ => None,
        }
    }

    /// Whether it is a number, whatever it is a number of: nothing that has a place.
    #[must_use]
    pub const fn is_computed(&self) -> bool {
        match &self.kind {
            ExprKind::Unary(op, _) => !matches!(op, UnaryOp::Deref),
            ExprKind::Binary(..) | ExprKind::Chain(..) | ExprKind::Cast(..) => true,
            _ => false,
        }
    }

    /// The expressions that it is made of.
    #[must_use]
    pub fn parts(&self) -> Vec<&Self> {
        parts!(&self.kind, iter)
    }

    /// The expressions that it is made of.
    pub(super) fn parts_mut(&mut self) -> Vec<&mut Self> {
        parts!(&mut self.kind, iter_mut, mut)
    }
}

/// An operator of a chain, and what stands behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Never `&&` or `||`, which bind weakest in all languages.
    pub op: BinaryOp,
    /// Where the operator stands in the text.
    pub span: Span,
    /// The operand behind it.
    pub right: Expr,
}

/// The language whose order of operators holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// And any that is not known.
    Rust,
    /// And C++.
    C,
}

/// The question of a method without arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `is_some()`: of an `Option`, a pointer or a `std::optional`.
    Some,
    /// `is_none()`.
    None,
    /// `is_ok()`: of a `Result` or a `std::expected`.
    Ok,
    /// `is_err()`.
    Err,
    /// `is_null()`: of a pointer.
    Null,
}

impl Asked {
    /// The method that asks it, as Rust names it.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Some => "is_some",
            Self::None => "is_none",
            Self::Ok => "is_ok",
            Self::Err => "is_err",
            Self::Null => "is_null",
        }
    }

    /// The variant of an enum that it asks for.
    #[must_use]
    pub const fn variant(self) -> Option<&'static str> {
        Some(match self {
            Self::Some => "Some",
            Self::None => "None",
            Self::Ok => "Ok",
            Self::Err => "Err",
            Self::Null => return None,
        })
    }
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A variable, static, constant or enum variant: `x`, `config::LIMIT`, `State::Failed`.
    Name {
        /// With `::` as typed.
        path: String,
        /// N of `name#N`; 1 is the innermost.
        shadow: u32,
    },
    /// `$pid`, `$tid`, `$thread`, `$time`, `$hit`, `$return`, `$elapsed`.
    Special(Special),
    /// `42`, `0x2a`, `1_000`; `5ms` in ns.
    Int(u128),
    /// `1.5`.
    Float(f64),
    /// `"text"`.
    Str(String),
    /// `'c'`.
    Char(char),
    /// `true`, `false`.
    Bool(bool),
    /// `null`, `None`, `nullptr`, `NULL`, `nullopt`.
    Null,
    /// `base.name`, `base.0`.
    Field(Box<Expr>, String),
    /// `base->name`.
    Arrow(Box<Expr>, String),
    /// `base[index]`.
    Index(Box<Expr>, Box<Expr>),
    /// `base[a..b]`, either end open.
    Slice(Box<Expr>, Option<Box<Expr>>, Option<Box<Expr>>),
    /// `len(base)`, `base.len()`.
    Len(Box<Expr>),
    /// `base.is_empty()`.
    IsEmpty(Box<Expr>),
    /// `base.is_some()` and its like.
    Is(Asked, Box<Expr>),
    /// `starts_with(base, text)`, `base.starts_with(text)`.
    StartsWith(Box<Expr>, Box<Expr>),
    /// `ends_with(base, text)`, `base.ends_with(text)`.
    EndsWith(Box<Expr>, Box<Expr>),
    /// `contains(base, text)`, `base.contains(text)`.
    Contains(Box<Expr>, Box<Expr>),
    /// `matches(base, /regex/)`, `base.matches(/regex/)`; the second is an [`ExprKind::Str`].
    Matches(Box<Expr>, Box<Expr>),
    /// `*p`, `&x`, `-x`, `!x`, `~x`.
    Unary(UnaryOp, Box<Expr>),
    /// `a OP b`.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `a OP b OP c …`, whose order depends on the language; gone once that is known, see
    /// [`ProbeSpec::ordered`].
    Chain(Box<Expr>, Vec<Link>),
    /// `a as T`, `(T)a`.
    Cast(Box<Expr>, String),
}

/// What the probe knows beside the program's own variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Special {
    Pid,
    Tid,
    Thread,
    Time,
    Hit,
    Return,
    Elapsed,
}

/// One-operand operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum UnaryOp {
    Deref,
    AddressOf,
    Neg,
    /// Logical on bool and C truth values; `!` on Rust integers is bitwise.
    Not,
    /// `~`.
    BitNot,
}

/// Two-operand operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    BitAnd,
    BitOr,
    BitXor,
    Shl,
    Shr,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
}
