//! Random probes are written, parsed, written and parsed again.
//!
//! Expressions are written with every parenthesis. So parsing must give the same tree, whatever the
//! precedence of operators is.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;

use super::super::ast::*;
use crate::actions::{line_of_probe, parse_probe};

const BINARY: [(BinaryOp, &str); 18] = [
    (BinaryOp::Add, "+"),
    (BinaryOp::Sub, "-"),
    (BinaryOp::Mul, "*"),
    (BinaryOp::Div, "/"),
    (BinaryOp::Rem, "%"),
    (BinaryOp::BitAnd, "&"),
    (BinaryOp::BitOr, "|"),
    (BinaryOp::BitXor, "^"),
    (BinaryOp::Shl, "<<"),
    (BinaryOp::Shr, ">>"),
    (BinaryOp::Eq, "=="),
    (BinaryOp::Ne, "!="),
    (BinaryOp::Lt, "<"),
    (BinaryOp::Le, "<="),
    (BinaryOp::Gt, ">"),
    (BinaryOp::Ge, ">="),
    (BinaryOp::And, "&&"),
    (BinaryOp::Or, "||"),
];
const UNARY: [(UnaryOp, &str); 5] = [
    (UnaryOp::Deref, "*"),
    (UnaryOp::AddressOf, "&"),
    (UnaryOp::Neg, "-"),
    (UnaryOp::Not, "!"),
    (UnaryOp::BitNot, "~"),
];
const SPECIALS: [(Special, &str); 7] = [
    (Special::Pid, "$pid"),
    (Special::Tid, "$tid"),
    (Special::Thread, "$thread"),
    (Special::Time, "$time"),
    (Special::Hit, "$hit"),
    (Special::Return, "$return"),
    (Special::Elapsed, "$elapsed"),
];
/// Values that no expression computes with.
const OF_PROCESS: [Special; 3] = [Special::Process, Special::Cgroup, Special::Container];
const ASKED: [Predicate; 5] = [
    Predicate::Some,
    Predicate::None,
    Predicate::Ok,
    Predicate::Err,
    Predicate::Null,
];
const TYPES: [&str; 6] = ["u8", "i64", "f64", "usize", "my::Type", "char"];

fn expr(kind: ExprKind) -> Expr {
    Expr { kind, span: 0..0 }
}

fn boxed(expr: Expr) -> Box<Expr> {
    Box::new(expr)
}

/// Names that are not words of the grammar.
fn name() -> impl Strategy<Value = String> {
    "v_[a-z0-9]{0,6}"
}

fn leaf() -> impl Strategy<Value = Expr> {
    let path = (name(), option::of(name())).prop_map(|(first, second)| match second {
        Some(second) => format!("{first}::{second}"),
        None => first,
    });
    let kinds = prop_oneof![
        4 => (path, 1..4_u32).prop_map(|(path, shadow)| ExprKind::Name { path, shadow }),
        2 => any::<u64>().prop_map(|value| ExprKind::Int(value.into())),
        1 => (0..1_000_000_u32).prop_map(|value| ExprKind::Float(f64::from(value) / 64.0)),
        1 => any::<String>().prop_map(ExprKind::Str),
        1 => any::<char>().prop_map(ExprKind::Char),
        1 => any::<bool>().prop_map(ExprKind::Bool),
        1 => Just(ExprKind::Null),
        1 => prop::sample::select(&SPECIALS[..]).prop_map(|(special, _)| ExprKind::Special(special)),
    ];
    kinds.prop_map(expr)
}

/// The expression of a hole.
fn hole() -> impl Strategy<Value = Expr> {
    let of_process = prop::sample::select(&OF_PROCESS[..]).prop_map(ExprKind::Special);
    prop_oneof![4 => tree(), 1 => of_process.prop_map(expr)]
}

fn tree() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(6, 24, 3, |inner| {
        let one = || inner.clone().prop_map(boxed);
        let kinds = Union::new(vec![
            (one(), name())
                .prop_map(|(base, name)| ExprKind::Field(base, name))
                .boxed(),
            (one(), 0..9_u8)
                .prop_map(|(base, index)| ExprKind::Field(base, index.to_string()))
                .boxed(),
            (one(), name())
                .prop_map(|(base, name)| ExprKind::Arrow(base, name))
                .boxed(),
            (one(), one())
                .prop_map(|(base, index)| ExprKind::Index(base, index))
                .boxed(),
            (one(), option::of(one()), option::of(one()))
                .prop_map(|(base, from, to)| ExprKind::Slice(base, from, to))
                .boxed(),
            one().prop_map(ExprKind::Len).boxed(),
            one().prop_map(ExprKind::IsEmpty).boxed(),
            (prop::sample::select(&ASKED[..]), one())
                .prop_map(|(asked, base)| ExprKind::Is(asked, base))
                .boxed(),
            (one(), one())
                .prop_map(|(a, b)| ExprKind::StartsWith(a, b))
                .boxed(),
            (one(), one())
                .prop_map(|(a, b)| ExprKind::EndsWith(a, b))
                .boxed(),
            (one(), one())
                .prop_map(|(a, b)| ExprKind::Contains(a, b))
                .boxed(),
            (one(), ".*")
                .prop_map(|(a, pattern)| {
                    let pattern = expr(ExprKind::Str(pattern));
                    ExprKind::Matches(a, Box::new(pattern))
                })
                .boxed(),
            (prop::sample::select(&UNARY[..]), one())
                .prop_map(|((operator, _), base)| ExprKind::Unary(operator, base))
                .boxed(),
            (prop::sample::select(&BINARY[..]), one(), one())
                .prop_map(|((operator, _), a, b)| ExprKind::Binary(operator, a, b))
                .boxed(),
            (one(), prop::sample::select(&TYPES[..]))
                .prop_map(|(base, ty)| ExprKind::Cast(base, ty.to_owned()))
                .boxed(),
        ]);
        kinds.prop_map(expr)
    })
}

/// Writes an expression with parentheses around everything that has operands.
fn write(expr: &Expr) -> String {
    let end = |end: &Option<Box<Expr>>| end.as_deref().map(write).unwrap_or_default();
    match &expr.kind {
        ExprKind::Name { path, shadow: 1 } => path.clone(),
        ExprKind::Name { path, shadow } => format!("{path}#{shadow}"),
        ExprKind::Special(special) if OF_PROCESS.contains(special) => special.name().to_owned(),
        ExprKind::Special(special) => {
            let of = SPECIALS.iter().find(|(one, _)| one == special);
            of.map(|(_, text)| (*text).to_owned()).unwrap()
        }
        ExprKind::Int(value) => value.to_string(),
        ExprKind::Float(value) => format!("{value:?}"),
        ExprKind::Str(text) => format!("\"{}\"", escaped(text)),
        ExprKind::Char(c) => format!("'{}'", escaped(&c.to_string())),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Null => "null".into(),
        ExprKind::Field(base, name) => format!("({}).{name}", write(base)),
        ExprKind::Arrow(base, name) => format!("({})->{name}", write(base)),
        ExprKind::Index(base, index) => format!("({})[{}]", write(base), write(index)),
        ExprKind::Slice(base, from, to) => {
            format!("({})[{}..{}]", write(base), end(from), end(to))
        }
        ExprKind::Len(base) => format!("({}).len()", write(base)),
        ExprKind::IsEmpty(base) => format!("({}).is_empty()", write(base)),
        ExprKind::Is(asked, base) => format!("({}).{}()", write(base), asked.method()),
        ExprKind::StartsWith(base, text) => {
            format!("({}).starts_with({})", write(base), write(text))
        }
        ExprKind::EndsWith(base, text) => format!("({}).ends_with({})", write(base), write(text)),
        ExprKind::Contains(base, text) => format!("({}).contains({})", write(base), write(text)),
        ExprKind::Matches(base, text) => match &text.kind {
            ExprKind::Str(pattern) if !pattern.contains('\\') => {
                format!(
                    "({}).matches(/{}/)",
                    write(base),
                    pattern.replace('/', "\\/")
                )
            }
            _ => format!("matches({}, {})", write(base), write(text)),
        },
        ExprKind::Unary(operator, base) => {
            let of = UNARY.iter().find(|(one, _)| one == operator);
            format!("({}({}))", of.unwrap().1, write(base))
        }
        ExprKind::Binary(operator, a, b) => {
            let of = BINARY.iter().find(|(one, _)| one == operator);
            format!("(({}) {} ({}))", write(a), of.unwrap().1, write(b))
        }
        ExprKind::Cast(base, ty) => format!("(({}) as {ty})", write(base)),
        ExprKind::Chain(..) => panic!("{expr:?} has an order"),
    }
}

/// Operators of each language by increasing precedence, from its reference. Rust's comparisons cannot be
/// chained.
const RUST: [&[&str]; 9] = [
    &["||"],
    &["&&"],
    &["==", "!=", "<", "<=", ">", ">="],
    &["|"],
    &["^"],
    &["&"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];
const C: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", "<=", ">", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

/// Writes an expression with only the parentheses that a language needs.
fn write_sparsely(expr: &Expr, levels: &[&[&str]]) -> String {
    let sign = |operator: &BinaryOp| BINARY.iter().find(|(one, _)| one == operator).unwrap().1;
    let level = |sign: &str| {
        levels
            .iter()
            .position(|level| level.contains(&sign))
            .unwrap()
    };
    let ExprKind::Binary(operator, a, b) = &expr.kind else {
        return write(expr);
    };
    let own = sign(operator);
    let side = |side: &Expr, is_right: bool| {
        let text = write_sparsely(side, levels);
        let ExprKind::Binary(inner, ..) = &side.kind else {
            return text;
        };
        let inner = level(sign(inner));
        let chained = levels[inner].iter().any(|sign| ["==", "<"].contains(sign));
        let alike = inner == level(own) && (is_right || chained);
        if inner < level(own) || alike {
            format!("({text})")
        } else {
            text
        }
    };
    format!("{} {own} {}", side(a, false), side(b, true))
}

fn row() -> impl Strategy<Value = Expr> {
    let leaf = name().prop_map(|path| expr(ExprKind::Name { path, shadow: 1 }));
    leaf.prop_recursive(5, 20, 2, |inner| {
        let sides = (prop::sample::select(&BINARY[..]), inner.clone(), inner);
        sides.prop_map(|((op, _), a, b)| expr(ExprKind::Binary(op, boxed(a), boxed(b))))
    })
}

/// Writes a text in quotes of either kind, or in a template.
fn escaped(text: &str) -> String {
    let one = |c: char| match c {
        '"' | '\'' | '\\' => format!("\\{c}"),
        '\n' => "\\n".into(),
        c if c.is_control() || c == '\u{2028}' || c == '\u{2029}' => {
            format!("\\u{{{:x}}}", u32::from(c))
        }
        c => c.to_string(),
    };
    text.chars().map(one).collect()
}

/// The tree without its positions in the text.
fn bare(mut expr: Expr) -> Expr {
    expr.span = 0..0;
    let one = |inner: Box<Expr>| boxed(bare(*inner));
    expr.kind = match expr.kind {
        ExprKind::Field(a, name) => ExprKind::Field(one(a), name),
        ExprKind::Arrow(a, name) => ExprKind::Arrow(one(a), name),
        ExprKind::Index(a, b) => ExprKind::Index(one(a), one(b)),
        ExprKind::Slice(a, from, to) => ExprKind::Slice(one(a), from.map(one), to.map(one)),
        ExprKind::Len(a) => ExprKind::Len(one(a)),
        ExprKind::IsEmpty(a) => ExprKind::IsEmpty(one(a)),
        ExprKind::Is(asked, a) => ExprKind::Is(asked, one(a)),
        ExprKind::StartsWith(a, b) => ExprKind::StartsWith(one(a), one(b)),
        ExprKind::EndsWith(a, b) => ExprKind::EndsWith(one(a), one(b)),
        ExprKind::Contains(a, b) => ExprKind::Contains(one(a), one(b)),
        ExprKind::Matches(a, b) => ExprKind::Matches(one(a), one(b)),
        ExprKind::Unary(operator, a) => ExprKind::Unary(operator, one(a)),
        ExprKind::Binary(operator, a, b) => ExprKind::Binary(operator, one(a), one(b)),
        ExprKind::Cast(a, ty) => ExprKind::Cast(one(a), ty),
        leaf => leaf,
    };
    expr
}

#[test]
fn line_break_in_a_message_does_not_become_a_blank() {
    assert_eq!(line_of_probe("log main.rs:1 \"a\nb\""), None);
    let line = line_of_probe("log main.rs:1\n\t\"a # b\"\r\nas x ");
    assert_eq!(line.as_deref(), Some("log main.rs:1 \t\"a # b\"  as x"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn expression_is_read_as_it_was_written(condition in tree()) {
        let text = format!("log main.rs:1 if {}", write(&condition));
        let read = parse_probe(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error:?}")))?;
        let read = bare(read.condition.expect("a condition"));
        prop_assert_eq!(&read, &condition, "{}", text);
        // Write and parse the result again.
        prop_assert_eq!(write(&read), write(&condition));
    }

    #[test]
    fn order_of_operators_is_that_of_the_language(tree in row()) {
        for (syntax, levels) in [(Syntax::Rust, &RUST[..]), (Syntax::C, &C[..])] {
            let text = format!("log main.rs:1 if {}", write_sparsely(&tree, levels));
            let read = parse_probe(&text).and_then(|spec| spec.ordered(syntax));
            let read = read.map_err(|error| TestCaseError::fail(format!("{text}: {error:?}")))?;
            let condition = read.condition.expect("a condition");
            prop_assert_eq!(condition.span.clone(), 17..text.len());
            prop_assert_eq!(&bare(condition), &tree, "{}", text);
        }
    }

    #[test]
    fn probe_is_read_as_it_was_written(
        module in option::of("lib[a-z]{1,8}\\.so"),
        line in 1_u64..100_000,
        message in option::of(vec(("[^{}\"\\\\\\p{C}]{0,8}", hole()), 0..3)),
        hits in option::of(1_u64..1_000),
        rate in option::of(1_u64..1_000_000),
        every in option::of(1_u64..100_000),
        depth in option::of(1_u32..64),
        percent in option::of(1_u32..400),
        per_process in any::<bool>(),
        named in option::of("[a-z]{1,8}"),
    ) {
        let mut text = "log ".to_owned();
        if let Some(module) = &module {
            text += &format!("{module}!");
        }
        text += &format!("src/main.rs:{line}");
        if let Some(parts) = &message {
            let part = |(plain, hole): &(String, Expr)| format!("{plain}{{{}}}", write(hole));
            let parts: String = parts.iter().map(part).collect();
            text += &format!(" \"{}\"", parts.replace('"', "\\\""));
        }
        let options = [
            hits.map(|hits| format!(" hits {hits}")),
            rate.map(|rate| format!(" rate {rate}/s")),
            every.map(|every| format!(" every {every}us")),
            depth.map(|depth| format!(" depth {depth}")),
            percent.map(|percent| format!(" cpu {percent}%")),
            per_process.then(|| " per process".to_owned()),
            named.as_ref().map(|name| format!(" as {name}")),
        ];
        text.extend(options.into_iter().flatten());
        // Texts inside a template would need their escapes twice; other tests cover that.
        prop_assume!(!text.contains('\\'));
        let read = parse_probe(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error:?}")))?;
        // A file of probes has it on one line.
        let written = line_of_probe(&format!("  {text}\n"));
        prop_assert_eq!(written.as_ref(), Some(&text));
        let broken = line_of_probe(&text.replacen(' ', "\n", 1));
        prop_assert_eq!(broken.as_ref(), Some(&text));
        prop_assert_eq!(read.location.module, module);
        prop_assert_eq!(
            read.location.kind,
            LocationKind::Line { file: "src/main.rs".into(), line }
        );
        prop_assert_eq!(read.options.hits, hits);
        prop_assert_eq!(read.options.rate, rate);
        prop_assert_eq!(read.options.every, every.map(std::time::Duration::from_micros));
        prop_assert_eq!(read.options.depth, depth);
        prop_assert_eq!(read.options.per_process, per_process);
        let cpu = read.options.cpu.map(|cpu| (cpu * 100.0).round() as u32);
        prop_assert_eq!(cpu, percent);
        prop_assert_eq!(read.options.name, named);
        let holes = |parts: Vec<TemplatePart>| -> Vec<Expr> {
            let hole = |part| match part {
                TemplatePart::Hole { expr, .. } => Some(bare(expr)),
                TemplatePart::Text(_) => None,
            };
            parts.into_iter().filter_map(hole).collect()
        };
        let read = read.template.map(|template| holes(template.parts));
        let written = message.map(|parts| parts.into_iter().map(|(_, hole)| hole).collect());
        prop_assert_eq!(read, written, "{}", text);
    }
}
