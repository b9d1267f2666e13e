//! Parses expressions: operands with their prefixes and suffixes, and the operators between them, which
//! `order` turns into a tree.

use super::ast::{ChainLink, Expr, ExprKind, Predicate, Span, Special, UnaryOp};
use super::lexer::{Cursor, Token, TokenKind};
use super::{MAX_NESTING, mistakes, order, words};
use crate::base::diagnostic::Diagnostic;

/// Binary operators in one row. A longer row is refused.
const MAX_OPERATORS: usize = 512;
/// Words of C's types, which make a cast: `(unsigned char)x` is one, `(x)` is not.
const TYPE_WORDS: [&str; 13] = [
    "unsigned", "signed", "char", "short", "int", "long", "float", "double", "struct", "union",
    "enum", "const", "__int128",
];

/// Front of the names of a USDT probe's arguments.
const USDT_ARGUMENT: &str = "$arg";

/// Special names of the hit.
pub(crate) const SPECIALS: [Special; 10] = [
    Special::Pid,
    Special::Tid,
    Special::Thread,
    Special::Process,
    Special::Cgroup,
    Special::Container,
    Special::Time,
    Special::Hit,
    Special::Return,
    Special::Elapsed,
];

/// Operators that would write, longest first.
const WRITES: [&str; 13] = [
    "<<=", ">>=", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "=",
];

fn nested<T>(
    cursor: &mut Cursor<'_>,
    parse: impl FnOnce(&mut Cursor<'_>) -> Result<T, Diagnostic>,
) -> Result<T, Diagnostic> {
    if cursor.depth >= MAX_NESTING {
        let at = cursor.at();
        return Err(Diagnostic::at(
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
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Expr, Diagnostic> {
    let first = cast(cursor)?;
    let mut links = Vec::new();
    while let Ok(Token {
        kind: TokenKind::Punct(punct),
        span,
    }) = cursor.peek()
    {
        let Some(&(_, op, ..)) = order::OPERATORS.iter().find(|(text, ..)| *text == punct) else {
            break;
        };
        if links.len() >= MAX_OPERATORS {
            let message = format!("more than {MAX_OPERATORS} operators in a row");
            return Err(Diagnostic::at(span, message));
        }
        cursor.advance(punct.len());
        let right = nested(cursor, cast)?;
        links.push(ChainLink { op, span, right });
    }
    order::tree(first, links)
}

/// Fails if one of these operators is next.
fn no_write(cursor: &Cursor<'_>, of: &[&str]) -> Result<(), Diagnostic> {
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
    Err(Diagnostic::at(at..at + found.len(), message).hint(hint))
}

fn cast(cursor: &mut Cursor<'_>) -> Result<Expr, Diagnostic> {
    let mut expr = unary(cursor)?;
    while cursor.peek_word() == Some("as") {
        // `as NAME` is also an option of probes, and looks like a cast. At the end of an expression it
        // is the option; a cast needs parentheses there.
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

/// Returns true if `as NAME` is an option here: the probe ends after it, or another option follows.
fn option_follows(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    ahead.take_word("as");
    let Some(word) = ahead.peek_word() else {
        return false;
    };
    if is_primitive(word) {
        return false;
    }
    let length = ahead.rest().find(|c| !words::is_probe_name_char(c));
    ahead.advance(length.unwrap_or(ahead.rest().len()));
    matches!(
        ahead.peek(),
        Ok(Token {
            kind: TokenKind::End,
            ..
        })
    ) || ahead
        .peek_word()
        .is_some_and(|word| words::OPTIONS.contains(&word))
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

fn type_name(cursor: &mut Cursor<'_>) -> Result<String, Diagnostic> {
    let start = cursor.at();
    while cursor.take("*") || cursor.take("&") {
        if !cursor.take_word("const") {
            cursor.take_word("mut");
        }
    }
    loop {
        let token = cursor.next()?;
        if token.kind != TokenKind::Word {
            return Err(Diagnostic::at(
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
                TokenKind::Punct("<") => open += 1,
                TokenKind::Punct(">") => open -= 1,
                TokenKind::Punct(">>") => open -= 2,
                TokenKind::End => {
                    return Err(Diagnostic::at(
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

fn unary(cursor: &mut Cursor<'_>) -> Result<Expr, Diagnostic> {
    let start = cursor.at();
    // `--x` decrements in C, and readers of the probe would expect that.
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

/// Takes a cast such as `(unsigned char)` or `(struct point *)`, if one is next. Returns its type.
fn c_cast(cursor: &mut Cursor<'_>) -> Result<Option<String>, Diagnostic> {
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

fn postfix(cursor: &mut Cursor<'_>) -> Result<Expr, Diagnostic> {
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
            TokenKind::Punct("." | "[") => false,
            TokenKind::Punct("->") => true,
            TokenKind::Punct("(") => return Err(mistakes::no_call(operand, "", &expr.span)),
            _ => return Ok(expr),
        };
        steps += 1;
        if steps > MAX_NESTING {
            let at = cursor.at();
            return Err(Diagnostic::at(
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

/// Parses the rest of `base[index]` or `base[from..to]`, after the bracket.
fn index(cursor: &mut Cursor<'_>, base: Expr) -> Result<ExprKind, Diagnostic> {
    let base = Box::new(base);
    let open_end = |cursor: &Cursor<'_>| {
        matches!(
            cursor.peek(),
            Ok(Token {
                kind: TokenKind::Punct("]"),
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

/// Parses the rest of `base.member` or `base->member`, after the operator.
fn member(cursor: &mut Cursor<'_>, base: Expr, arrow: bool) -> Result<ExprKind, Diagnostic> {
    // Digits are taken without the lexer: `0.1` in `t.0.1` is not a float.
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
    if token.kind != TokenKind::Word {
        let found = cursor.found(&token);
        return Err(Diagnostic::at(
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

/// Parses the rest of `base.name(…)`, after the parenthesis.
fn method(
    cursor: &mut Cursor<'_>,
    base: Expr,
    name: &str,
    span: &Span,
) -> Result<ExprKind, Diagnostic> {
    let object = cursor.text(&base.span);
    let base = Box::new(base);
    let of_value: Option<fn(Box<Expr>) -> ExprKind> = match name {
        "len" | "size" | "length" => Some(ExprKind::Len),
        "is_empty" | "empty" => Some(ExprKind::IsEmpty),
        _ => None,
    };
    let predicate = predicate(name);
    if of_value.is_some() || predicate.is_some() {
        cursor.expect(")", "after the name: it takes no argument")?;
    }
    if let Some(predicate) = predicate {
        return Ok(ExprKind::Is(predicate, base));
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

/// Parses the argument of `matches`: `/…/`, `/…/i` or a text in quotes.
fn regex(cursor: &mut Cursor<'_>) -> Result<Expr, Diagnostic> {
    if let Some((pattern, span)) = cursor.regex()? {
        return Ok(spanned(ExprKind::Str(pattern), span));
    }
    let token = cursor.next()?;
    match token.kind {
        TokenKind::Str(pattern) => Ok(spanned(ExprKind::Str(pattern), token.span)),
        _ => {
            let found = cursor.found(&token);
            let error = format!("expected a regular expression{found}");
            Err(Diagnostic::at(token.span, error)
                .hint("write it between two `/`: `x.matches(/^GET /)`"))
        }
    }
}

/// The predicate of a method's name, in Rust's or C++'s library.
fn predicate(method: &str) -> Option<Predicate> {
    Some(match method {
        "is_some" | "has_value" => Predicate::Some,
        "is_none" => Predicate::None,
        "is_ok" => Predicate::Ok,
        "is_err" => Predicate::Err,
        "is_null" => Predicate::Null,
        _ => return None,
    })
}

fn primary(cursor: &mut Cursor<'_>) -> Result<Expr, Diagnostic> {
    if let Some(error) = mistakes::no_operand(cursor) {
        return Err(error);
    }
    let token = cursor.peek_operand()?;
    let span = token.span.clone();
    let kind = match token.kind {
        TokenKind::Int(value) => ExprKind::Int(value),
        TokenKind::Duration(ns) => ExprKind::Int(ns.into()),
        TokenKind::Float(value) => ExprKind::Float(value),
        TokenKind::Str(text) => ExprKind::Str(text),
        TokenKind::Char(c) => ExprKind::Char(c),
        TokenKind::Special => {
            let name = cursor.text(&span);
            if is_usdt_argument(name) {
                let path = name.to_owned();
                cursor.advance(span.len());
                return Ok(spanned(ExprKind::Name { path, shadow: 1 }, span));
            }
            let found = SPECIALS.iter().find(|special| special.name() == name);
            let special = found.ok_or_else(|| mistakes::no_special(name, span.clone()))?;
            ExprKind::Special(*special)
        }
        TokenKind::Punct("(") => {
            cursor.advance(1);
            let mut inner = nested(cursor, parse)?;
            cursor.expect(")", "to close the parenthesis")?;
            inner.span = span.start..cursor.last();
            return Ok(inner);
        }
        TokenKind::Word => return word(cursor),
        _ => {
            let found = cursor.found(&token);
            return Err(Diagnostic::at(
                span,
                format!("expected an expression{found}"),
            ));
        }
    };
    cursor.advance(span.len());
    Ok(spanned(kind, span))
}

/// Returns true for `$arg1`, `$arg2` and so on.
pub(crate) fn is_usdt_argument(name: &str) -> bool {
    let number = name.strip_prefix(USDT_ARGUMENT).unwrap_or_default();
    !number.starts_with('0') && number.parse::<u8>().is_ok()
}

/// Parses a name, a keyword, or `len(…)`.
fn word(cursor: &mut Cursor<'_>) -> Result<Expr, Diagnostic> {
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
        if part.kind != TokenKind::Word {
            let found = cursor.found(&part);
            return Err(Diagnostic::at(
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
            TokenKind::Int(value) if value > 0 => u32::try_from(value).unwrap_or(u32::MAX),
            _ => {
                return Err(Diagnostic::at(number.span, "expected a number after `#`")
                    .hint("`name#2` is the variable that the innermost `name` hides"));
            }
        };
    }
    Ok(spanned(
        ExprKind::Name { path, shadow },
        start..cursor.last(),
    ))
}

/// Parses the rest of `name(…)`, after the parenthesis.
fn function(cursor: &mut Cursor<'_>, name: &str, span: &Span) -> Result<ExprKind, Diagnostic> {
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
