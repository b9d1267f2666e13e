//! Tests of probes that users type.

mod mistakes;
mod round_trip;

use std::time::Duration;

use super::ast::*;
use super::*;
use crate::actions::{parse_probe, parse_probe_file};
use crate::base::diagnostic::Diagnostic;

fn probe(text: &str) -> ProbeSpec {
    parse_probe(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn wrong(text: &str) -> (String, String, Option<String>) {
    let error = parse_probe(text).expect_err(text);
    (
        error.message,
        text.get(error.span.unwrap()).unwrap().to_owned(),
        error.hint,
    )
}

/// Shows the tree of an expression with all its parentheses.
fn shown(text: &str) -> String {
    shown_in(text, Syntax::Rust).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// Like [`shown`], with the precedence of a language.
fn shown_in(text: &str, syntax: Syntax) -> Result<String, Diagnostic> {
    fn show(expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Name { path, shadow: 1 } => path.clone(),
            ExprKind::Name { path, shadow } => format!("{path}#{shadow}"),
            ExprKind::Int(value) => value.to_string(),
            ExprKind::Field(base, name) => format!("{}.{name}", show(base)),
            ExprKind::Arrow(base, name) => format!("{}->{name}", show(base)),
            ExprKind::Index(base, index) => format!("{}[{}]", show(base), show(index)),
            ExprKind::Unary(operator, base) => format!("({operator:?} {})", show(base)),
            ExprKind::Binary(operator, left, right) => {
                format!("({} {operator:?} {})", show(left), show(right))
            }
            ExprKind::Cast(base, ty) => format!("({} as {ty})", show(base)),
            ExprKind::Len(base) => format!("{}.len()", show(base)),
            ExprKind::IsEmpty(base) => format!("{}.is_empty()", show(base)),
            ExprKind::Is(asked, base) => format!("{}.{}()", show(base), asked.method()),
            other => format!("{other:?}"),
        }
    }
    let spec = parse_probe(&format!("log f if ({text})"))?;
    Ok(show(&spec.ordered(syntax)?.condition.expect("one")))
}

#[test]
fn name_ends_a_probe_behind_any_expression() {
    for text in [
        "count f by n % 2 as small-ones",
        "log f \"x\" if n > 3 as small-ones",
        "log f if a && b.c[1] == d as small-ones rate 3/s",
        "hist f -n as small-ones",
        "hist f n as u8 as small-ones",
    ] {
        let spec = probe(text);
        assert_eq!(spec.options.name.as_deref(), Some("small-ones"), "{text}");
    }
    assert_eq!(probe("hist f n + 1 as u8").options.name, None);
    assert_eq!(probe("hist f n + 1 as size_t").options.name, None);
    assert_eq!(shown("a + b as Thing > 3"), "((a Add (b as Thing)) Gt 3)");
}

#[test]
fn formats_have_fill_and_sign() {
    let format = |text: &str| match &parse_template(text).unwrap().parts[0] {
        TemplatePart::Hole { format, .. } => *format,
        other => panic!("{other:?}"),
    };
    let filled = format("{x:-^+#8}");
    assert_eq!(
        (filled.fill, filled.align),
        (Some('-'), Some(Align::Center))
    );
    assert!(filled.plus && filled.alternate && filled.width == Some(8));
    assert_eq!(format("{x:é<3}").fill, Some('é'));
    assert_eq!(format("{x:<3}").fill, None);
    assert_eq!(format("{x:<<3}").fill, Some('<'));
}

#[test]
fn two_places_are_for_times_only() {
    let (message, at, hint) = wrong("log db.rs:30..db.rs:52");
    assert!(message.contains("two locations"), "{message}");
    assert_eq!(at, "db.rs:30..db.rs:52");
    assert!(hint.is_some_and(|hint| hint.contains("`time db.rs:30..db.rs:52`")));
}

#[test]
fn texts_may_stand_in_holes() {
    let spec = probe(r#"log f "is {s == "a}\"b"} {c == '"'} {{\"" if t == "{" as named"#);
    assert_eq!(spec.options.name.as_deref(), Some("named"));
    let parts = spec.template.expect("a template").parts;
    assert_eq!(parts.len(), 5);
    assert_eq!(parts[4], TemplatePart::Text(" {\"".into()));
    let file = "log f \"{s.contains(\" # \")}\" # a comment\n";
    let probes = parse_probe_file(file);
    assert!(probes[0].1.is_ok(), "{probes:?}");
}

#[test]
fn lines_of_targets_are_no_probes() {
    let file = "target --unit a # why\n\n  target\nlog f\ntargets x\n# target --pid 1\n";
    let probes: Vec<_> = crate::lang::lines_of_probes(file).collect();
    assert_eq!(probes, [(4, "log f"), (5, "targets x")]);
    let targets: Vec<_> = crate::lang::lines_of_targets(file).collect();
    assert_eq!(targets, [(1, "--unit a"), (3, "")]);
}

#[test]
fn operators_that_write_and_calls_are_refused() {
    for (text, wanted, place, hinted) in [
        (
            "log f if *p++",
            "`++` would write: expressions only read",
            "++",
            "`x + 1`",
        ),
        (
            "log f if x++ > 1",
            "`++` would write: expressions only read",
            "++",
            "`x + 1`",
        ),
        (
            "log f if ++x > 1",
            "`++` would write: expressions only read",
            "++",
            "`x + 1`",
        ),
        (
            "log f if x-- > 1",
            "`--` would write: expressions only read",
            "--",
            "`x - 1`",
        ),
        (
            "log f if --x",
            "`--` would write: expressions only read",
            "--",
            "`x - -y`",
        ),
        (
            "log f if a--b",
            "`--` would write: expressions only read",
            "--",
            "`x - -y`",
        ),
        (
            "log f if x = 1",
            "`=` would write: expressions only read",
            "=",
            "`==` compares",
        ),
        (
            "log f if x=1",
            "`=` would write: expressions only read",
            "=",
            "`==` compares",
        ),
        (
            "log f \"{x += 2}\"",
            "`+=` would write: expressions only read",
            "+=",
            "`x + y`",
        ),
        (
            "log f \"{a[i -= 1]}\"",
            "`-=` would write: expressions only read",
            "-=",
            "`x - y`",
        ),
        (
            "log f \"{x <<= 1}\"",
            "`<<=` would write: expressions only read",
            "<<=",
            "`x << y`",
        ),
        (
            "log f if f(x)",
            "`f` is not a function that can be called here",
            "f",
            "len()",
        ),
        (
            "log f if a::f(x)",
            "`a::f` is not a function that can be called here",
            "a::f",
            "len()",
        ),
        (
            "log f if a->f(x)",
            "`f` is not a function that can be called here",
            "f",
            "len()",
        ),
        (
            "log f if a.f(x)",
            "`f` is not a function that can be called here",
            "f",
            "len()",
        ),
        (
            "log f if (*f)(x)",
            "`(*f)` is not a function that can be called here",
            "(*f)",
            "len()",
        ),
        (
            "log f if a[0](x)",
            "`a[0]` is not a function that can be called here",
            "a[0]",
            "len()",
        ),
        (
            "log f if int(x)",
            "`int` is not a function that can be called here",
            "int",
            "`(unsigned int)x`",
        ),
    ] {
        let (message, at, hint) = wrong(text);
        assert_eq!(message, format!("{wanted}"), "{text}");
        assert_eq!(at, place, "{text}");
        assert!(hint.is_some_and(|hint| hint.contains(hinted)), "{text}");
    }
    assert_eq!(shown("a - -b"), "(a Sub (Neg b))");
    assert_eq!(shown("- -a"), "(Neg (Neg a))");
    assert_eq!(shown("a==-b"), "(a Eq (Neg b))");
    assert_eq!(shown("a<=-b"), "(a Le (Neg b))");
    assert_eq!(shown("(int)(x)"), "(x as int)");
}

#[test]
fn hexadecimal_floats_have_an_exponent() {
    assert_eq!(shown("0x1.8p3"), shown("12.0"));
    assert_eq!(shown("0X.8P-1f + 1"), shown("0.25 + 1"));
    assert_eq!(shown("0x10p0 * 0x1f"), shown("16.0 * 31"));
    let (message, at, hint) = wrong("log f if x > 0x1p3L");
    assert_eq!(message, "a `long double` of C");
    assert_eq!(at, "0x1p3L");
    assert!(hint.is_some_and(|hint| hint.starts_with("`0x1p3` is a `double`")));
}

#[test]
fn numbers_may_have_suffixes_and_no_leading_zero() {
    assert_eq!(
        shown("1u8 + 0x1fUL + 2_i64 + 5LL"),
        "(((1 Add 31) Add 2) Add 5)"
    );
    assert_eq!(parse_expr("1.5f").unwrap(), {
        let mut same = parse_expr("1.5").unwrap();
        same.span = 0..4;
        same
    });
    let float = |text: &str| match parse_expr(text).expect(text).kind {
        ExprKind::Float(value) => value,
        other => panic!("{text}: {other:?}"),
    };
    for (text, wanted) in [
        ("5.", 5.0),
        (".5", 0.5),
        ("5.f", 5.0),
        ("2.F", 2.0),
        ("5.e-1", 0.5),
        (".5e1F", 5.0),
        ("2f32", 2.0),
        ("1_0_f64", 10.0),
    ] {
        assert_eq!(float(text).to_bits(), f64::to_bits(wanted), "{text}");
    }
    assert_eq!(shown("t.0.f + t.1.0"), "(t.0.f Add t.1.0)");
    assert_eq!(shown("5. + .5"), "(Float(5.0) Add Float(0.5))");
    let (message, at, _) = wrong("log f if x > 1.5L");
    assert_eq!(
        (message.as_str(), at.as_str()),
        ("a `long double` of C", "1.5L")
    );
    let (message, at, hint) = wrong("log f if mode == 0644");
    assert!(message.contains("octal"), "{message}");
    assert_eq!(
        (at.as_str(), hint.as_deref()),
        ("0644", Some("write `0o644`, or `644`"))
    );
}

#[test]
fn log_with_template_condition_and_rate_is_read() {
    let spec = probe(
        "log src/main.rs:57 \"x {last.x} -> {current.x:#x}\" if current.x != last.x rate 100/s as moved",
    );
    assert_eq!(spec.action, Action::Log);
    assert_eq!(
        spec.location.kind,
        LocationKind::Line {
            file: "src/main.rs".into(),
            line: 57
        }
    );
    let parts = spec.template.unwrap().parts;
    assert_eq!(parts.len(), 4);
    let TemplatePart::Hole { format, expr } = &parts[3] else {
        panic!("{parts:?}")
    };
    assert_eq!(
        (format.style, format.alternate),
        (FormatStyle::LowerHex, true)
    );
    assert_eq!(&spec.text[expr.span.clone()], "current.x");
    assert!(matches!(
        spec.condition.unwrap().kind,
        ExprKind::Binary(BinaryOp::Ne, ..)
    ));
    assert_eq!(
        (spec.options.rate, spec.options.name.as_deref()),
        (Some(100), Some("moved"))
    );
}

#[test]
fn each_action_of_the_contract_is_read() {
    assert_eq!(
        probe("snapshot worker.rs:88 if job.state == State::Failed hits 3")
            .options
            .hits,
        Some(3)
    );
    assert!(matches!(
        probe("count router.rs:120 by request.method").action,
        Action::Count(CountAction { by: Some(_) })
    ));
    assert!(matches!(
        probe("hist cache.rs:41 entry.bytes.len() step 10").action,
        Action::Hist(HistAction { step: Some(10), .. })
    ));
    assert_eq!(
        probe("time handle_request").location.kind,
        LocationKind::Function("handle_request".into())
    );
    let range = probe("time db.rs:30..db.rs:52 for 10m");
    assert_eq!(
        range.until.unwrap().kind,
        LocationKind::Line {
            file: "db.rs".into(),
            line: 52
        }
    );
    assert_eq!(range.options.ttl, Some(Duration::from_secs(600)));
}

#[test]
fn condition_behind_the_options_is_told_where_it_belongs() {
    let (_, at, hint) = wrong("log main.rs:1 as x if y > 1");
    assert_eq!(
        (&*at, hint.as_deref()),
        (
            "if",
            Some("move `if` and the condition before the first option")
        )
    );
}

#[test]
fn share_of_a_cpu_is_a_percentage() {
    let share = |text: &str| probe(text).options.cpu;
    assert_eq!(share("log main.rs:1 cpu 5%"), Some(0.05));
    assert_eq!(share("log main.rs:1 cpu 0.5% as x"), Some(0.005));
    for text in [
        "cpu",
        "cpu 5",
        "cpu 0%",
        "cpu x%",
        "cpu nan%",
        "cpu 5% cpu 6%",
    ] {
        let error = parse_probe(&format!("log main.rs:1 {text}")).unwrap_err();
        assert!(
            error.span.as_ref().unwrap().start >= 14,
            "{text}: {error:?}"
        );
    }
}

#[test]
fn locations_of_each_kind_are_read() {
    let kind = |text: &str| parse_location(text).unwrap().kind;
    assert_eq!(kind("0x401136"), LocationKind::Address(0x40_1136));
    assert_eq!(kind("parse%return"), LocationKind::Return("parse".into()));
    assert_eq!(kind("a::b::f"), LocationKind::Function("a::b::f".into()));
    assert_eq!(
        kind("<Foo as Bar<u8>>::f"),
        LocationKind::Function("<Foo as Bar<u8>>::f".into())
    );
    assert_eq!(
        kind("\"my file.c\":3"),
        LocationKind::Line {
            file: "my file.c".into(),
            line: 3
        }
    );
    let library = parse_location("libfoo.so!foo.c:7").unwrap();
    assert_eq!(library.module.as_deref(), Some("libfoo.so"));
}

#[test]
fn usdt_probes_are_told_from_files_and_functions() {
    let usdt = |provider: &str, name: &str| LocationKind::Usdt {
        provider: provider.into(),
        name: name.into(),
    };
    for (text, module, kind) in [
        ("usdt:python:gc__start", None, usdt("python", "gc__start")),
        (
            "libc.so.6!usdt:libc:setjmp",
            Some("libc.so.6"),
            usdt("libc", "setjmp"),
        ),
        ("usdt:p:12", None, usdt("p", "12")),
        ("usdt:p:a:b", None, usdt("p", "a:b")),
        ("usdt:p:a!b", None, usdt("p", "a!b")),
        ("usdt:p:f.c", None, usdt("p", "f.c")),
        ("usdt:p:a%return", None, usdt("p", "a%return")),
        ("\"usdt:p:a b\"", None, usdt("p", "a b")),
        (
            "usdt::fire",
            None,
            LocationKind::Function("usdt::fire".into()),
        ),
        ("usdt", None, LocationKind::Function("usdt".into())),
        (
            "usdt:12",
            None,
            LocationKind::Line {
                file: "usdt".into(),
                line: 12,
            },
        ),
    ] {
        let location = parse_location(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            (location.module.as_deref(), location.kind),
            (module, kind),
            "{text}"
        );
    }
    let both = probe("time usdt:p:start..usdt:p:done");
    assert_eq!(both.location.kind, usdt("p", "start"));
    assert_eq!(both.until.unwrap().kind, usdt("p", "done"));
}

#[test]
fn arguments_of_usdt_probes_are_names() {
    let name = |text: &str| match probe(&format!("log f if {text} > 0"))
        .condition
        .unwrap()
        .kind
    {
        ExprKind::Binary(_, left, _) => left.kind,
        ExprKind::Chain(left, _) => left.kind,
        other => panic!("{other:?}"),
    };
    for number in [1, 2, 12, 255] {
        let path = format!("$arg{number}");
        assert_eq!(name(&path), ExprKind::Name { path, shadow: 1 });
    }
    for text in ["$arg0", "$arg", "$arg01", "$arg256", "$args1", "$arg1x"] {
        let (message, at, _) = wrong(&format!("log f \"{{{text}}}\""));
        assert_eq!(
            (at.as_str(), message),
            (text, format!("there is no `{text}`"))
        );
    }
}

#[test]
fn operators_and_what_stands_around_them_are_read() {
    assert_eq!(
        shown("a + b * c == d && !e || f"),
        "((((a Add (b Mul c)) Eq d) And (Not e)) Or f)"
    );
    assert_eq!(
        shown("*p.x[1].0.1 - -2"),
        "((Deref p.x[1].0.1) Sub (Neg 2))"
    );
    assert_eq!(
        shown("(a as u8) << 2 | b & 3"),
        "(((a as u8) Shl 2) BitOr (b Mul 3))".replace("b Mul 3", "b BitAnd 3")
    );
    assert_eq!(
        shown("(unsigned char)p->n % 2"),
        "((p->n as unsigned char) Rem 2)"
    );
    assert_eq!(
        shown("x#2 + len(v) + w.len()"),
        "((x#2 Add v.len()) Add w.len())"
    );
    assert_eq!(shown("(a < b) == (c < d)"), "((a Lt b) Eq (c Lt d))");
}

#[test]
fn operators_bind_as_in_the_language_of_the_site() {
    for (text, rust, c) in [
        ("a & b == c", "((a BitAnd b) Eq c)", "(a BitAnd (b Eq c))"),
        (
            "a == b | c ^ d",
            "(a Eq (b BitOr (c BitXor d)))",
            "((a Eq b) BitOr (c BitXor d))",
        ),
        (
            "!a & b != 0 && c",
            "((((Not a) BitAnd b) Ne 0) And c)",
            "(((Not a) BitAnd (b Ne 0)) And c)",
        ),
        (
            "a | b < c << 1 + d",
            "((a BitOr b) Lt (c Shl (1 Add d)))",
            "(a BitOr (b Lt (c Shl (1 Add d))))",
        ),
        (
            "a || b & (c ^ d == e) == f && g",
            "(a Or (((b BitAnd ((c BitXor d) Eq e)) Eq f) And g))",
            "(a Or ((b BitAnd ((c BitXor (d Eq e)) Eq f)) And g))",
        ),
        (
            "v[a & b == c] + len(a == b & c)",
            "(v[((a BitAnd b) Eq c)] Add (a Eq (b BitAnd c)).len())",
            "(v[(a BitAnd (b Eq c))] Add ((a Eq b) BitAnd c).len())",
        ),
        (
            "-a as u8 & (unsigned char)b == c as u16",
            "((((Neg a) as u8) BitAnd (b as unsigned char)) Eq (c as u16))",
            "(((Neg a) as u8) BitAnd ((b as unsigned char) Eq (c as u16)))",
        ),
        // Both languages have the same tree, without a chain.
        (
            "a - b - c * d % e",
            "((a Sub b) Sub ((c Mul d) Rem e))",
            "((a Sub b) Sub ((c Mul d) Rem e))",
        ),
        (
            "a | b & c ^ d",
            "(a BitOr ((b BitAnd c) BitXor d))",
            "(a BitOr ((b BitAnd c) BitXor d))",
        ),
    ] {
        assert_eq!(shown_in(text, Syntax::Rust).unwrap(), rust, "{text}");
        assert_eq!(shown_in(text, Syntax::C).unwrap(), c, "{text}");
    }
    let spec = probe("log f \"{a & b == c}\" if n ^ m == 1");
    let c = spec.ordered(Syntax::C).unwrap();
    assert_ne!(c.template, spec.ordered(Syntax::Rust).unwrap().template);
    let ExprKind::Binary(BinaryOp::BitXor, n, right) = c.condition.unwrap().kind else {
        panic!("n ^ (m == 1)")
    };
    assert_eq!(&spec.text[n.span], "n");
    assert_eq!(&spec.text[right.span], "m == 1");
    for action in ["count f by a & b == c", "hist f a & b == c"] {
        let (Action::Count(CountAction { by: Some(value) })
        | Action::Hist(HistAction { value, .. })) = probe(action).action
        else {
            panic!("{action} has an operand");
        };
        assert_ne!(value.ordered(Syntax::Rust), value.ordered(Syntax::C));
    }
}

#[test]
fn comparisons_of_comparisons_are_read_where_the_language_has_them() {
    for (text, c) in [
        ("a == b < c", "(a Eq (b Lt c))"),
        ("a < b == c >= d", "((a Lt b) Eq (c Ge d))"),
        ("a == b & c == d", "((a Eq b) BitAnd (c Eq d))"),
        ("a < b | c < d", "((a Lt b) BitOr (c Lt d))"),
    ] {
        assert_eq!(shown_in(text, Syntax::C).unwrap(), c, "{text}");
        let error = shown_in(text, Syntax::Rust).expect_err(text);
        assert_eq!(error.message, "comparisons cannot be chained", "{text}");
    }
    // No language accepts it, or none with the intended meaning.
    for (text, at, hint) in [
        ("a < b <= c", "<=", "write `a < b && b < c`, or brackets"),
        ("a == b != c", "!=", "write `a == b && b == c`, or brackets"),
        (
            "a == b < c == d",
            "==",
            "write `a == b && b == c`, or brackets",
        ),
        ("a | b < c < d", "<", "write `a < b && b < c`, or brackets"),
    ] {
        let wanted = ("comparisons cannot be chained", at, Some(hint));
        let (message, place, found) = wrong(&format!("log f if {text}"));
        assert_eq!((&*message, &*place, found.as_deref()), wanted, "{text}");
    }
    let error = probe("log f if a == b < c")
        .ordered(Syntax::Rust)
        .unwrap_err();
    assert_eq!(error.span, Some(16..17));
}

#[test]
fn slices_open_at_either_end_are_read() {
    for (text, from, to) in [
        ("v[..]", false, false),
        ("v[1..]", true, false),
        ("v[..2]", false, true),
        ("v[1..2]", true, true),
    ] {
        let ExprKind::Slice(_, start, end) = parse_expr(text).unwrap().kind else {
            panic!("{text}")
        };
        assert_eq!((start.is_some(), end.is_some()), (from, to), "{text}");
    }
}

#[test]
fn braces_and_escapes_in_a_template_are_text() {
    let spec = probe(r#"log f "{{a}} \"q\" \t{x}""#);
    let parts = spec.template.unwrap().parts;
    assert_eq!(parts[0], TemplatePart::Text("{a} \"q\" \t".into()));
    assert_eq!(parts.len(), 2);
}

#[test]
fn mistakes_are_told_where_they_are() {
    assert_eq!(wrong("lgo f").2.as_deref(), Some("did you mean `log`?"));
    assert_eq!(wrong("log f \"a {x\"").1, "{");
    assert_eq!(wrong("log f \"a } b\"").1, "}");
    assert_eq!(wrong("log f \"abc").0, "this quote is never closed");
    assert_eq!(wrong("log main.rs").0, "the line number is missing");
    assert_eq!(wrong("log main.rs:0").1, "main.rs:0");
    assert_eq!(
        wrong("log f rat 5/s").2.as_deref(),
        Some("did you mean `rate`?")
    );
    assert_eq!(wrong("log f rate 5").2.as_deref(), Some("write `rate 5/s`"));
    assert_eq!(wrong("log f for 5 parsecs").1, "5");
    assert_eq!(
        wrong("log f if a < b < c").0,
        "comparisons cannot be chained"
    );
    assert_eq!(wrong("log f if g(1)").1, "g");
    assert_eq!(wrong("log f \"{x:q}\"").1, "q");
    assert_eq!(wrong("log f hits 1 hits 2").0, "`hits` is given twice");
    assert_eq!(wrong("log").0, "the location is missing");
    assert_eq!(wrong("").0, "a probe is missing");
    assert_eq!(wrong("log f if $foo").1, "$foo");
}

#[test]
fn cast_to_a_name_ends_a_hole_and_not_a_probe() {
    let of_hole = |text: &str| {
        let spec = parse_probe(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        match spec.template.expect("one").parts.remove(0) {
            TemplatePart::Hole { expr, .. } => match expr.kind {
                ExprKind::Cast(_, ty) => ty,
                kind => panic!("{kind:?}"),
            },
            part => panic!("{part:?}"),
        }
    };
    assert_eq!(of_hole("log f \"{n as State}\""), "State");
    assert_eq!(of_hole("log f \"{n as State:?}\" as p"), "State");
    let spec = parse_probe("log f if n as State").expect("parses");
    assert_eq!(spec.options.name.as_deref(), Some("State"));
}

#[test]
fn nesting_beyond_the_limit_is_refused() {
    for text in [
        format!("{}x", "(".repeat(5000)),
        format!("{}x", "-".repeat(5000)),
        format!("x{}", "[0]".repeat(5000)),
        format!("x{}", " + x".repeat(5000)),
        format!("x{}", " + x".repeat(65)),
        format!("x{}", " && x == x * x".repeat(400)),
    ] {
        assert!(parse_expr(&text).is_err());
    }
    let row = format!("x{}", " && x == x * x".repeat(64));
    assert!(parse_expr(&row).is_ok());
}

#[test]
fn probe_file_skips_comments_and_keeps_line_numbers() {
    let file = "# first\n\nlog a.c:1 \"# no comment\" # comment\nnonsense\n";
    let probes = parse_probe_file(file);
    assert_eq!(
        probes.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [3, 4]
    );
    assert!(probes[0].1.is_ok() && probes[1].1.is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,60}") {
        let _ = parse_probe(&text);
        let _ = parse_expr(&text);
        if let Err(error) = parse_probe(&format!("log f {text}")) {
            proptest::prop_assert!(error.span.unwrap().end <= text.len() + 6);
        }
    }
}

#[test]
fn durations_in_expressions_are_nanoseconds() {
    for (text, understood) in [
        ("$elapsed > 5ms", "(Special(Elapsed) Gt 5000000)"),
        ("1.5us + 2s", "(1500 Add 2000000000)"),
        ("x - 1ns", "(x Sub 1)"),
        ("5", "5"),
        ("t.0.1", "t.0.1"),
    ] {
        assert_eq!(shown(text), understood);
    }
    // There is no unit, or the number is not one that any option takes.
    assert!(parse_expr("5msx").is_err());
    let (message, at, _) = wrong("log f hits 5s");
    assert!(message.contains("expected a number"), "{message}");
    assert_eq!(at, "5s");
}

#[test]
fn methods_of_values_have_the_names_of_rust_and_cpp() {
    let same = |one: &str, other: &str| assert_eq!(shown(one), shown(other), "{one}");
    assert_eq!(shown("x.is_empty()"), "x.is_empty()");
    assert_eq!(shown("p->x.is_some()"), "p->x.is_some()");
    same("x.empty()", "x.is_empty()");
    same("x.size()", "x.len()");
    same("x.length()", "x.len()");
    same("x.has_value()", "x.is_some()");
    same("p->size()", "(*p).len()");
    same("p->is_null()", "(*p).is_null()");
    same("x == nullopt", "x == None");
    same("x == std::nullopt", "x == null");
    let (message, ..) = wrong("log f if x.is_some(1)");
    assert!(message.contains("takes no argument"), "{message}");
}
