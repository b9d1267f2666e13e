//! The syntax tree of one probe.

use std::ops::Range;
use std::time::Duration;

/// Byte range in the text that the user typed.
pub type Span = Range<usize>;

/// One probe as the user wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeSpec {
    /// The text. All spans are positions in it.
    pub text: String,
    /// The action of a hit.
    pub action: Action,
    /// The location, or the first one of `time A..B` or `span A..B`. For `watch`, the place at which the object of the
    /// value is found.
    pub location: Location,
    /// The second location of `time A..B` or `span A..B`. For `watch`, the place at which the watch ends.
    pub until: Option<Location>,
    /// The message. `None` stands for every variable in scope.
    pub template: Option<Template>,
    /// The condition. Hits that fail it send nothing.
    pub condition: Option<Expr>,
    /// Limits and name.
    pub options: ProbeOptions,
}

/// The action of a hit, with its operands. Everything else about it is in `actions`.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Sends one event per hit.
    Log,
    /// Sends every variable in scope and the call stack.
    Snapshot,
    /// Counts hits, by the value of an expression if there is one.
    Count(CountAction),
    /// Counts the values of an expression in buckets.
    Hist(HistAction),
    /// Measures the time from entry to return, or from one location to another.
    Time,
    /// Makes each call a span, or each pass from one location to another.
    Span(SpanAction),
    /// Records calls line by line.
    Trace(TraceAction),
    /// Sends the accesses to a value.
    Watch(WatchAction),
}

/// `watch`, with its operands.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchAction {
    /// File name of the module that has the first name of the value. `None` stands for any module.
    pub module: Option<String>,
    /// The value.
    pub value: Expr,
    /// The accesses that are hits.
    pub on: WatchedAccess,
}

/// The accesses to a watched value that are hits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchedAccess {
    /// `on write`: writes, also those that do not change the value.
    #[default]
    Write,
    /// `on access`: reads and writes.
    Any,
}

/// `trace`, with its clauses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceAction {
    /// `with expr, …`: the values that each step shows. Empty for all variables in scope.
    pub watched: Vec<Expr>,
    /// `lines FILE:A..B`: the steps outside of these lines are left out.
    pub lines: Option<LineRange>,
    /// `into all`: the code of the standard library and of dependencies counts like the program's own.
    pub into_all: bool,
}

/// Lines of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct LineRange {
    /// As typed. It matches by path suffix. `None` for the file of the function.
    pub file: Option<String>,
    /// First line, from 1.
    pub first: u64,
    /// Last line, included.
    pub last: u64,
    /// Position in the text.
    pub span: Span,
}

/// `span`, with its clauses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanAction {
    /// `with key=expr, …`.
    pub attributes: Vec<SpanAttribute>,
    /// `parent expr`: a traceparent text, or trace id and span id. Empty if it is not given.
    pub parent: Vec<Expr>,
    /// `key expr`: spans with equal keys belong together.
    pub key: Option<Expr>,
    /// `error if expr`: the span has failed.
    pub error: Option<Expr>,
}

impl SpanAction {
    /// Every expression of the clauses.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let attributes = self.attributes.iter().map(|attribute| &attribute.value);
        attributes
            .chain(&self.parent)
            .chain(&self.key)
            .chain(&self.error)
    }

    /// Every expression of the clauses, mutable.
    pub(super) fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let attributes = self.attributes.iter_mut();
        attributes
            .map(|attribute| &mut attribute.value)
            .chain(&mut self.parent)
            .chain(&mut self.key)
            .chain(&mut self.error)
    }
}

/// An attribute of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanAttribute {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: Expr,
}

/// `count`, with its operand.
#[derive(Clone, Debug, PartialEq)]
pub struct CountAction {
    /// The expression to count by.
    pub by: Option<Expr>,
}

/// `hist`, with its operands.
#[derive(Clone, Debug, PartialEq)]
pub struct HistAction {
    /// The expression, which is a number.
    pub value: Expr,
    /// Width of a linear bucket. `None` stands for powers of two.
    pub step: Option<u64>,
}

/// A location in the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Location {
    /// File name of the module (`libfoo.so!…`). `None` stands for any module.
    pub module: Option<String>,
    /// The line, function or address.
    pub kind: LocationKind,
    /// Position in the text.
    pub span: Span,
}

/// A line, function or address of a module.
#[derive(Clone, Debug, PartialEq)]
pub enum LocationKind {
    /// `FILE:LINE`. The file matches by path suffix.
    Line {
        /// As typed.
        file: String,
        /// From 1.
        line: u64,
    },
    /// The first statement of a function, by its demangled name or a suffix of its path.
    Function(String),
    /// Every return of a function.
    Return(String),
    /// Every return of a function, observed by the kernel's return trampoline.
    Trampoline(String),
    /// A value that is watched, wherever it is accessed.
    Memory,
    /// A link address.
    Address(u64),
    /// `usdt:PROVIDER:NAME`: the places of a USDT probe.
    Usdt {
        /// As typed.
        provider: String,
        /// As typed.
        name: String,
    },
}

/// Limits and name of a probe. `None` stands for the default of its action.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeOptions {
    /// `hits N`.
    pub hits: Option<u64>,
    /// `rate N/s`.
    pub rate: Option<u64>,
    /// `every DURATION`: at most one event per duration.
    pub every: Option<Duration>,
    /// `for DURATION`: time to live.
    pub ttl: Option<Duration>,
    /// `depth N`: frames of call stack.
    pub depth: Option<u32>,
    /// `cpu N%`: CPU time that the probe may cost, in CPUs.
    pub cpu: Option<f64>,
    /// `per process`: the limits hold for each process by itself.
    pub per_process: bool,
    /// `trampoline`: returns are observed by the kernel's return trampoline.
    pub trampoline: bool,
    /// `as NAME`.
    pub name: Option<String>,
}

/// A message with expressions in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Texts and holes in order.
    pub parts: Vec<TemplatePart>,
}

impl Template {
    /// Returns true if a hole has the format `{:#?}`, which may write several lines.
    #[must_use]
    pub fn is_multiline(&self) -> bool {
        self.parts.iter().any(|part| match part {
            TemplatePart::Text(_) => false,
            TemplatePart::Hole { format, .. } => {
                format.alternate && matches!(format.style, FormatStyle::Debug)
            }
        })
    }
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum TemplatePart {
    /// Text, with escapes resolved.
    Text(String),
    /// `{expr}` or `{expr:format}`.
    Hole {
        /// The value to show.
        expr: Expr,
        /// The format of the value.
        format: Format,
    },
}

/// The format of a value: Rust's format specifications, as far as they make sense here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// The letter: display, debug, hexadecimal, ….
    pub style: FormatStyle,
    /// `#`: prefixes, or several lines.
    pub alternate: bool,
    /// The least number of characters.
    pub width: Option<u16>,
    /// `0` before the width.
    pub zero: bool,
    /// `.N`.
    pub precision: Option<u16>,
    /// `<`, `^`, `>`.
    pub align: Option<Align>,
    /// The character before `<`, `^` or `>`, which fills the width instead of spaces.
    pub fill: Option<char>,
    /// `+`: positive numbers have a sign too.
    pub plus: bool,
}

/// The letter of a format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FormatStyle {
    /// Text without quotes. Other values look as with `{:?}`.
    #[default]
    Display,
    Debug,
    LowerHex,
    UpperHex,
    Octal,
    Binary,
    LowerExp,
    /// `p`: the address of the value, or the target address of a pointer.
    Pointer,
}

/// Alignment of a padded value.
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
    /// The kind, with the operands.
    pub kind: ExprKind,
    /// Position in the text.
    pub span: Span,
}

/// References to the operands of an expression, mutable if the kind is.
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

    /// Returns true if the expression computes a number, which has no location in memory.
    #[must_use]
    pub const fn is_computed(&self) -> bool {
        match &self.kind {
            ExprKind::Unary(op, _) => !matches!(op, UnaryOp::Deref),
            ExprKind::Binary(..) | ExprKind::Chain(..) | ExprKind::Cast(..) => true,
            _ => false,
        }
    }

    /// The first part that is a special value of some kind.
    #[must_use]
    pub fn special(&self, is_wanted: &dyn Fn(Special) -> bool) -> Option<&Self> {
        match self.kind {
            ExprKind::Special(special) => is_wanted(special).then_some(self),
            _ => {
                let mut parts = self.parts().into_iter();
                parts.find_map(|part| part.special(is_wanted))
            }
        }
    }

    /// The operands.
    #[must_use]
    pub fn parts(&self) -> Vec<&Self> {
        parts!(&self.kind, iter)
    }

    /// The operands, mutable.
    pub(super) fn parts_mut(&mut self) -> Vec<&mut Self> {
        parts!(&mut self.kind, iter_mut, mut)
    }
}

/// An operator of a chain, and the operand after it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainLink {
    /// The operator. It is never `&&` or `||`, which bind weakest in all languages.
    pub op: BinaryOp,
    /// Position of the operator in the text.
    pub span: Span,
    /// The operand after the operator.
    pub right: Expr,
}

/// The language that sets the precedence of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Rust, and any language that is not known.
    Rust,
    /// C and C++.
    C,
}

/// A method without arguments that is true or false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// `is_some()` of an `Option`, a pointer or a `std::optional`.
    Some,
    /// `is_none()` of the same types.
    None,
    /// `is_ok()` of a `Result` or a `std::expected`.
    Ok,
    /// `is_err()` of the same types.
    Err,
    /// `is_null()` of a pointer.
    Null,
}

impl Predicate {
    /// The method's name in Rust.
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

    /// The variant of an enum that makes it true.
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

/// The kinds of expressions, with their operands.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A variable, static, constant or enum variant: `x`, `config::LIMIT`, `State::Failed`. Also an
    /// argument of a USDT probe: `$arg1`.
    Name {
        /// The path as typed, with its `::`.
        path: String,
        /// N of `name#N`. 1 is the innermost variable.
        shadow: u32,
    },
    /// `$pid`, `$tid`, `$thread`, `$process` and the others of [`Special`].
    Special(Special),
    /// `42`, `0x2a`, `1_000`, and `5ms` in nanoseconds.
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
    /// `base[a..b]`. Either end may be open.
    Slice(Box<Expr>, Option<Box<Expr>>, Option<Box<Expr>>),
    /// `len(base)`, `base.len()`.
    Len(Box<Expr>),
    /// `base.is_empty()`.
    IsEmpty(Box<Expr>),
    /// `base.is_some()` and the other predicates.
    Is(Predicate, Box<Expr>),
    /// `starts_with(base, text)`, `base.starts_with(text)`.
    StartsWith(Box<Expr>, Box<Expr>),
    /// `ends_with(base, text)`, `base.ends_with(text)`.
    EndsWith(Box<Expr>, Box<Expr>),
    /// `contains(base, text)`, `base.contains(text)`.
    Contains(Box<Expr>, Box<Expr>),
    /// `matches(base, /regex/)`, `base.matches(/regex/)`. The second operand is an [`ExprKind::Str`].
    Matches(Box<Expr>, Box<Expr>),
    /// `*p`, `&x`, `-x`, `!x`, `~x`.
    Unary(UnaryOp, Box<Expr>),
    /// `a OP b`.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `a OP b OP c …`, where precedence depends on the language. [`ProbeSpec::ordered`] replaces it once
    /// the language is known.
    Chain(Box<Expr>, Vec<ChainLink>),
    /// `a as T`, `(T)a`.
    Cast(Box<Expr>, String),
}

/// Values of the hit, beside the program's own variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Special {
    Pid,
    Tid,
    Thread,
    /// The name of the process.
    Process,
    /// The path of the process's cgroup.
    Cgroup,
    /// The container of the process.
    Container,
    Time,
    Hit,
    Return,
    Elapsed,
}

impl Special {
    /// The name in the probe language.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pid => "$pid",
            Self::Tid => "$tid",
            Self::Thread => "$thread",
            Self::Process => "$process",
            Self::Cgroup => "$cgroup",
            Self::Container => "$container",
            Self::Time => "$time",
            Self::Hit => "$hit",
            Self::Return => "$return",
            Self::Elapsed => "$elapsed",
        }
    }

    /// Returns true if only userspace knows the value, by the id of the process.
    #[must_use]
    pub const fn is_of_process(self) -> bool {
        matches!(self, Self::Process | Self::Cgroup | Self::Container)
    }
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum UnaryOp {
    Deref,
    AddressOf,
    Neg,
    /// `!`: bitwise on Rust integers, logical on all other values.
    Not,
    /// `~`.
    BitNot,
}

/// Operators with two operands.
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
