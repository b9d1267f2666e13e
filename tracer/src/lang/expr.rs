//! Expressions: operands, what stands before and behind them, and the operators between, which
//! `order` makes a tree of.

use super::ast::{Asked, Expr, ExprKind, Link, Span, Special, UnaryOp};
use super::lexer::{Cursor, Kind, Token};
use super::{MAX_NESTING, SyntaxError, mistakes, order};

/// Operators with two sides in one row; more are refused.
const MAX_OPERATORS: usize = 512;
/// Words of C's types: `(unsigned char)x` is a cast, `(x)` is not.
const TYPE_WORDS: [&str; 13] = [
    "unsigned", "signed", "char", "short", "int", "long", "float", "double", "struct", "union",
    "enum", "const", "__int128",
];

/// What may be asked of the probe itself.
const SPECIALS: [(&str, Special); 7] = [
    ("$pid", Special::Pid),
    ("$tid", Special::Tid),
    ("$thread", Special::Thread),
    ("$time", Special::Time),
    ("$hit", Special::Hit),
    ("$return", Special::Return),
    ("$elapsed", Special::Elapsed),
];

/// Operators that write, longest first.
const WRITES: [&str; 13] = [
    "<<=", ">>=", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "=",
];

fn nested<T>(
    cursor: &mut Cursor<'_>,
    parse: impl FnOnce(&mut Cursor<'_>) -> Result<T, SyntaxError>,
) -> Result<T, SyntaxError> {
    if cursor.depth >= MAX_NESTING {
        let at = cursor.at();
        return Err(SyntaxError::new(
            at..at,
            format!("nested more than {MAX_NESTING} levels deep"),
        ));
    }
    cursor.depth += 1;
    let result = parse(cursor);
    cursor.depth -= 1;
    result
}

fn spanned(kind: ExprKind, span: Span) -> Expr {
    Expr { kind, span }
}

/// Parses an expression as far as it goes.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Expr, SyntaxError> {
    let first = cast(cursor)?;
    let mut links = Vec::new();
    while let Ok(Token {
        kind: Kind::Punct(punct),
        span,
    }) = cursor.peek()
    {
        let Some(&(_, op, ..)) = order::OPERATORS.iter().find(|(text, ..)| *text == punct) else {
            break;
        };
        if links.len() >= MAX_OPERATORS {
            let message = format!("more than {MAX_OPERATORS} operators in a row");
            return Err(SyntaxError::new(span, message));
        }
        cursor.advance(punct.len());
        let right = nested(cursor, cast)?;
        links.push(Link { op, span, right });
    }
    order::tree(first, links)
}

/// Refuses one of these operators where it is next.
fn no_write(cursor: &Cursor<'_>, of: &[&str]) -> Result<(), SyntaxError> {
    let rest = cursor.rest();
    let at = cursor.at();
    let Some(found) = of.iter().find(|one| rest.starts_with(**one)) else {
        return Ok(());
    };
    if *found == "=" && rest.starts_with("==") {
        return Ok(());
    }
    let hint = match *found {
        "=" => "`==` compares".to_owned(),
        "++" => "`x + 1` is one more, and `x` stays".to_owned(),
        "--" => {
            "`x - 1` is one less, and `x` stays; two signs have a space between: `x - -y`".into()
        }
        other => format!(
            "`x {} y` is the result, and `x` stays",
            other.trim_end_matches('=')
        ),
    };
    let message = format!("`{found}` would write: expressions only read");
    Err(SyntaxError::new(at..at + found.len(), message).hint(hint))
}

fn cast(cursor: &mut Cursor<'_>) -> Result<Expr, SyntaxError> {
    let mut expr = unary(cursor)?;
    while cursor.peek_word() == Some("as") {
        // `as` is an option of probes, too: `… as NAME`. A type's name looks the same, so the
        // option wins at the end of an expression; parentheses make a cast of it.
        if option_follows(cursor) {
            break;
        }
        cursor.take_word("as");
        let ty = type_name(cursor)?;
        let span = expr.span.start..cursor.last();
        expr = spanned(ExprKind::Cast(Box::new(expr), ty), span);
    }
    Ok(expr)
}

/// Whether `as NAME` here ends the probe, so that it can be its option.
fn option_follows(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    ahead.take_word("as");
    let Some(word) = ahead.peek_word() else {
        return false;
    };
    if is_primitive(word) {
        return false;
    }
    let length = ahead.rest().find(|c| !super::probe::is_of_name(c));
    ahead.advance(length.unwrap_or(ahead.rest().len()));
    matches!(
        ahead.peek(),
        Ok(Token {
            kind: Kind::End,
            ..
        })
    ) || ahead
        .peek_word()
        .is_some_and(|word| super::probe::OPTIONS.contains(&word))
}

fn is_primitive(word: &str) -> bool {
    const RUST: [&str; 17] = [
        "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize",
        "f32", "f64", "bool", "char", "str",
    ];
    const C: [&str; 13] = [
        "int8_t",
        "int16_t",
        "int32_t",
        "int64_t",
        "uint8_t",
        "uint16_t",
        "uint32_t",
        "uint64_t",
        "size_t",
        "ssize_t",
        "intptr_t",
        "uintptr_t",
        "ptrdiff_t",
    ];
    RUST.contains(&word) || TYPE_WORDS.contains(&word) || C.contains(&word)
}

fn type_name(cursor: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    let start = cursor.at();
    while cursor.take("*") || cursor.take("&") {
        if !cursor.take_word("const") {
            cursor.take_word("mut");
        }
    }
    loop {
        let token = cursor.next()?;
        if token.kind != Kind::Word {
            return Err(SyntaxError::new(
                token.span.clone(),
                format!("expected a type{}", cursor.found(&token)),
            ));
        }
        if cursor.take("::") {
            continue;
        }
        // `unsigned long`, `struct point`.
        let more = TYPE_WORDS.contains(&cursor.text(&token.span))
            && cursor.peek_word().is_some_and(|word| {
                TYPE_WORDS.contains(&word)
                    || matches!(
                        cursor.text(&token.span),
                        "struct" | "union" | "enum" | "const"
                    )
            });
        if !more {
            break;
        }
    }
    if cursor.take("<") {
        let mut open = 1;
        while open > 0 {
            let token = cursor.next()?;
            match token.kind {
                Kind::Punct("<") => open += 1,
                Kind::Punct(">") => open -= 1,
                Kind::Punct(">>") => open -= 2,
                Kind::End => {
                    return Err(SyntaxError::new(
                        token.span,
                        "the `<` of this type is never closed",
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(cursor.text(&(start..cursor.last())).to_owned())
}

fn unary(cursor: &mut Cursor<'_>) -> Result<Expr, SyntaxError> {
    let start = cursor.at();
    // C takes two signs for one operator, and so would whoever reads the probe.
    no_write(cursor, &["++", "--"])?;
    let operators = [
        ("*", UnaryOp::Deref),
        ("&", UnaryOp::AddressOf),
        ("-", UnaryOp::Neg),
        ("!", UnaryOp::Not),
        ("~", UnaryOp::BitNot),
    ];
    if cursor.take("&&") {
        return nested(cursor, |cursor| {
            let operand = unary(cursor)?;
            let span = start..operand.span.end;
            let inner = spanned(
                ExprKind::Unary(UnaryOp::AddressOf, Box::new(operand)),
                start + 1..span.end,
            );
            Ok(spanned(
                ExprKind::Unary(UnaryOp::AddressOf, Box::new(inner)),
                span,
            ))
        });
    }
    for (punct, operator) in operators {
        if cursor.take(punct) {
            let operand = nested(cursor, unary)?;
            let span = start..operand.span.end;
            return Ok(spanned(ExprKind::Unary(operator, Box::new(operand)), span));
        }
    }
    if let Some(ty) = c_cast(cursor)? {
        let operand = nested(cursor, unary)?;
        let span = start..operand.span.end;
        return Ok(spanned(ExprKind::Cast(Box::new(operand), ty), span));
    }
    postfix(cursor)
}

/// `(unsigned char)` and `(struct point *)` in front of an operand.
fn c_cast(cursor: &mut Cursor<'_>) -> Result<Option<String>, SyntaxError> {
    let mut ahead = cursor.clone();
    if !ahead.take("(") {
        return Ok(None);
    }
    let Some(word) = ahead.peek_word() else {
        return Ok(None);
    };
    let start = ahead.at();
    let keyword = TYPE_WORDS.contains(&word) || is_primitive(word);
    let mut end = start;
    while let Some(word) = ahead.peek_word() {
        ahead.advance(word.len());
        end = ahead.last();
        while ahead.take("::") {}
    }
    let mut stars = false;
    while ahead.take("*") {
        stars = true;
        end = ahead.last();
    }
    if !ahead.take(")") || !(keyword || stars) {
        return Ok(None);
    }
    let ty = cursor.text(&(start..end)).to_owned();
    *cursor = ahead;
    Ok(Some(ty))
}

fn postfix(cursor: &mut Cursor<'_>) -> Result<Expr, SyntaxError> {
    let mut expr = primary(cursor)?;
    let start = expr.span.start;
    let mut steps = 0;
    loop {
        let operand = cursor.text(&expr.span);
        if let Some(error) = mistakes::behind_operand(cursor, operand) {
            return Err(error);
        }
        no_write(cursor, &WRITES)?;
        let arrow = match cursor.peek()?.kind {
            Kind::Punct("." | "[") => false,
            Kind::Punct("->") => true,
            Kind::Punct("(") => return Err(mistakes::no_call(operand, "", &expr.span)),
            _ => return Ok(expr),
        };
        steps += 1;
        if steps > MAX_NESTING {
            let at = cursor.at();
            return Err(SyntaxError::new(
                at..at + 1,
                format!("more than {MAX_NESTING} steps in a row"),
            ));
        }
        let kind = if cursor.take("[") {
            index(cursor, expr)?
        } else {
            cursor.advance(if arrow { 2 } else { 1 });
            member(cursor, expr, arrow)?
        };
        expr = spanned(kind, start..cursor.last());
    }
}

/// What stands behind `base[`.
fn index(cursor: &mut Cursor<'_>, base: Expr) -> Result<ExprKind, SyntaxError> {
    let base = Box::new(base);
    let open_end = |cursor: &Cursor<'_>| {
        matches!(
            cursor.peek(),
            Ok(Token {
                kind: Kind::Punct("]"),
                ..
            })
        )
    };
    let kind = nested(cursor, |cursor| {
        if cursor.take("..") {
            let end = if open_end(cursor) {
                None
            } else {
                Some(Box::new(parse(cursor)?))
            };
            return Ok(ExprKind::Slice(base, None, end));
        }
        let first = Box::new(parse(cursor)?);
        if cursor.take("..") {
            let end = if open_end(cursor) {
                None
            } else {
                Some(Box::new(parse(cursor)?))
            };
            return Ok(ExprKind::Slice(base, Some(first), end));
        }
        Ok(ExprKind::Index(base, first))
    })?;
    cursor.expect("]", "after the index")?;
    Ok(kind)
}

/// What stands behind `base.` or `base->`.
fn member(cursor: &mut Cursor<'_>, base: Expr, arrow: bool) -> Result<ExprKind, SyntaxError> {
    // `t.0.1` has no floats in it.
    let rest = cursor.rest();
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    if digits > 0 {
        let name = rest.get(..digits).unwrap_or_default().to_owned();
        cursor.advance(digits);
        return Ok(ExprKind::Field(Box::new(base), name));
    }
    let token = cursor.next()?;
    if token.kind != Kind::Word {
        let found = cursor.found(&token);
        return Err(SyntaxError::new(
            token.span,
            format!("expected the name of a field{found}"),
        ));
    }
    let name = cursor.text(&token.span).to_owned();
    if cursor.take("(") {
        let span = base.span.clone();
        let object = match arrow {
            true => spanned(ExprKind::Unary(UnaryOp::Deref, Box::new(base)), span),
            false => base,
        };
        return method(cursor, object, &name, &token.span);
    }
    let base = Box::new(base);
    Ok(if arrow {
        ExprKind::Arrow(base, name)
    } else {
        ExprKind::Field(base, name)
    })
}

/// What stands behind `base.name(`.
fn method(
    cursor: &mut Cursor<'_>,
    base: Expr,
    name: &str,
    span: &Span,
) -> Result<ExprKind, SyntaxError> {
    let object = cursor.text(&base.span);
    let base = Box::new(base);
    let of_value: Option<fn(Box<Expr>) -> ExprKind> = match name {
        "len" | "size" | "length" => Some(ExprKind::Len),
        "is_empty" | "empty" => Some(ExprKind::IsEmpty),
        _ => None,
    };
    let asked = asked(name);
    if of_value.is_some() || asked.is_some() {
        cursor.expect(")", "after the name: it takes no argument")?;
    }
    if let Some(asked) = asked {
        return Ok(ExprKind::Is(asked, base));
    }
    if let Some(of_value) = of_value {
        return Ok(of_value(base));
    }
    let kind = match name {
        "starts_with" => ExprKind::StartsWith(base, Box::new(nested(cursor, parse)?)),
        "ends_with" => ExprKind::EndsWith(base, Box::new(nested(cursor, parse)?)),
        "contains" => ExprKind::Contains(base, Box::new(nested(cursor, parse)?)),
        "matches" => ExprKind::Matches(base, Box::new(regex(cursor)?)),
        _ => return Err(mistakes::no_call(name, object, span)),
    };
    cursor.expect(")", "after the argument")?;
    Ok(kind)
}

/// The regular expression that `matches` takes: `/…/`, `/…/i` or a text in quotes.
fn regex(cursor: &mut Cursor<'_>) -> Result<Expr, SyntaxError> {
    if let Some((pattern, span)) = cursor.regex()? {
        return Ok(spanned(ExprKind::Str(pattern), span));
    }
    let token = cursor.next()?;
    match token.kind {
        Kind::Str(pattern) => Ok(spanned(ExprKind::Str(pattern), token.span)),
        _ => {
            let found = cursor.found(&token);
            let error = format!("expected a regular expression{found}");
            Err(SyntaxError::new(token.span, error)
                .hint("write it between two `/`: `x.matches(/^GET /)`"))
        }
    }
}

/// The question of a method of Rust's or C++'s library.
fn asked(method: &str) -> Option<Asked> {
    Some(match method {
        "is_some" | "has_value" => Asked::Some,
        "is_none" => Asked::None,
        "is_ok" => Asked::Ok,
        "is_err" => Asked::Err,
        "is_null" => Asked::Null,
        _ => return None,
    })
}

fn primary(cursor: &mut Cursor<'_>) -> Result<Expr, SyntaxError> {
    if let Some(error) = mistakes::no_operand(cursor) {
        return Err(error);
    }
    let token = cursor.peek_operand()?;
    let span = token.span.clone();
    let kind = match token.kind {
        Kind::Int(value) => ExprKind::Int(value),
        Kind::Duration(ns) => ExprKind::Int(ns.into()),
        Kind::Float(value) => ExprKind::Float(value),
        Kind::Str(text) => ExprKind::Str(text),
        Kind::Char(c) => ExprKind::Char(c),
        Kind::Special => {
            let name = cursor.text(&span);
            let found = SPECIALS.iter().find(|(text, _)| *text == name);
            let (_, special) = found.ok_or_else(|| mistakes::no_special(name, span.clone()))?;
            ExprKind::Special(*special)
        }
        Kind::Punct("(") => {
            cursor.advance(1);
            let mut inner = nested(cursor, parse)?;
            cursor.expect(")", "to close the parenthesis")?;
            inner.span = span.start..cursor.last();
            return Ok(inner);
        }
        Kind::Word => return word(cursor),
        _ => {
            let found = cursor.found(&token);
            return Err(SyntaxError::new(
                span,
                format!("expected an expression{found}"),
            ));
        }
    };
    cursor.advance(span.len());
    Ok(spanned(kind, span))
}

/// A name, a keyword, or `len(…)`.
fn word(cursor: &mut Cursor<'_>) -> Result<Expr, SyntaxError> {
    let start = cursor.at();
    let first = cursor.next()?;
    let name = cursor.text(&first.span);
    let constant = match name {
        "true" => Some(ExprKind::Bool(true)),
        "false" => Some(ExprKind::Bool(false)),
        "null" | "nullptr" | "NULL" | "None" | "nullopt" => Some(ExprKind::Null),
        _ => None,
    };
    if let Some(kind) = constant {
        return Ok(spanned(kind, first.span));
    }
    if cursor.take("(") {
        let kind = function(cursor, name, &first.span)?;
        cursor.expect(")", "after the arguments")?;
        return Ok(spanned(kind, start..cursor.last()));
    }
    while cursor.take("::") {
        let part = cursor.next()?;
        if part.kind != Kind::Word {
            let found = cursor.found(&part);
            return Err(SyntaxError::new(
                part.span,
                format!("expected a name after `::`{found}"),
            ));
        }
    }
    let path = cursor.text(&(start..cursor.last())).to_owned();
    if path == "std::nullopt" {
        return Ok(spanned(ExprKind::Null, start..cursor.last()));
    }
    let mut shadow = 1;
    if cursor.take("#") {
        let number = cursor.next()?;
        shadow = match number.kind {
            Kind::Int(value) if value > 0 => u32::try_from(value).unwrap_or(u32::MAX),
            _ => {
                return Err(SyntaxError::new(number.span, "expected a number after `#`")
                    .hint("`name#2` is the variable that the innermost `name` hides"));
            }
        };
    }
    Ok(spanned(
        ExprKind::Name { path, shadow },
        start..cursor.last(),
    ))
}

/// What stands behind `name(`.
fn function(cursor: &mut Cursor<'_>, name: &str, span: &Span) -> Result<ExprKind, SyntaxError> {
    let two = |cursor: &mut Cursor<'_>| {
        let base = nested(cursor, parse)?;
        cursor.expect(",", "between the arguments")?;
        Ok((Box::new(base), Box::new(nested(cursor, parse)?)))
    };
    match name {
        "len" => Ok(ExprKind::Len(Box::new(nested(cursor, parse)?))),
        "starts_with" => two(cursor).map(|(base, text)| ExprKind::StartsWith(base, text)),
        "ends_with" => two(cursor).map(|(base, text)| ExprKind::EndsWith(base, text)),
        "contains" => two(cursor).map(|(base, text)| ExprKind::Contains(base, text)),
        "matches" => {
            let base = nested(cursor, parse)?;
            cursor.expect(",", "between the arguments")?;
            Ok(ExprKind::Matches(Box::new(base), Box::new(regex(cursor)?)))
        }
        _ => Err(mistakes::no_call(name, "", span)),
    }
}
