//! Mistakes in expressions: the syntax of other languages.

use super::super::ast::Span;
use super::super::lexer::Cursor;
use super::{first_word, is_path};
use crate::arch::is_register_word;
use crate::base::diagnostic::Diagnostic;

/// Words that are operators in other languages, and the operators here.
const WORDS: [(&str, &str); 16] = [
    ("and", "&&"),
    ("AND", "&&"),
    ("or", "||"),
    ("OR", "||"),
    ("is", "=="),
    ("eq", "=="),
    ("equals", "=="),
    ("ne", "!="),
    ("gt", ">"),
    ("ge", ">="),
    ("lt", "<"),
    ("le", "<="),
    ("mod", "%"),
    ("xor", "^"),
    ("bitand", "&"),
    ("bitor", "|"),
];

/// Signs that are operators in other languages, and the operators here.
const SIGNS: [(&str, &str); 5] = [
    ("===", "=="),
    ("!==", "!="),
    ("<>", "!="),
    ("=>", ">="),
    ("=<", "<="),
];

/// A word or sign that is an operator in another language: its length in bytes, the message, the hint.
struct ForeignOperator {
    length: usize,
    message: String,
    hint: String,
}

impl ForeignOperator {
    /// A word that is not an operator.
    fn operator(word: &str, hint: String) -> Self {
        Self {
            length: word.len(),
            message: format!("`{word}` is not an operator"),
            hint,
        }
    }

    fn new(length: usize, message: &str, hint: String) -> Self {
        Self {
            length,
            message: message.to_owned(),
            hint,
        }
    }
}

/// The error for a word or sign after an operand that is not an operator here.
pub(in super::super) fn behind_operand(cursor: &Cursor<'_>, operand: &str) -> Option<Diagnostic> {
    let (rest, at) = (cursor.rest(), cursor.at());
    let found = foreign_sign(rest, operand);
    let found = found.or_else(|| foreign_word(cursor.peek_word()?, rest, operand))?;
    Some(Diagnostic::at(at..at + found.length, found.message).hint(found.hint))
}

fn foreign_sign(rest: &str, operand: &str) -> Option<ForeignOperator> {
    let assigned = rest.strip_prefix('=').map(str::trim_start);
    if assigned.is_some_and(|behind| behind.starts_with('}')) {
        let hint = format!("write `{operand} = {{{operand}}}`");
        return Some(ForeignOperator::new(1, "braces hold only a value", hint));
    }
    for (sign, not) in [("=~", ""), ("!~", "!")] {
        if let Some(behind) = rest.strip_prefix(sign) {
            let pattern = pattern_in(behind.trim());
            let hint = format!("write `{not}{operand}.matches({pattern})`");
            return Some(ForeignOperator::operator(sign, hint));
        }
    }
    if let Some((sign, written)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Some(ForeignOperator::operator(
            sign,
            format!("write `{written}`"),
        ));
    }
    let behind = rest.strip_prefix('?')?;
    let hint = match behind.is_empty() || behind.starts_with('.') {
        true => {
            format!("name the part: `{operand}.Some.0`, which is unavailable in another variant")
        }
        false => "write a condition without alternatives: `if x > 5`".to_owned(),
    };
    Some(ForeignOperator::new(1, "there is no `?`", hint))
}

fn foreign_word(word: &str, rest: &str, operand: &str) -> Option<ForeignOperator> {
    let behind = rest.get(word.len()..)?.trim();
    let number = operand.starts_with(|c: char| c.is_ascii_digit());
    if number && matches!(word, "ns" | "us" | "ms" | "s" | "m" | "h") {
        let message = "a unit follows its number without a space";
        let hint = format!("write `{operand}{word}`");
        return Some(ForeignOperator::new(word.len(), message, hint));
    }
    if let Some((_, written)) = WORDS.iter().find(|(known, _)| *known == word)
        && word != "is"
    {
        return Some(ForeignOperator::operator(
            word,
            format!("write `{written}`"),
        ));
    }
    let hint = match word {
        "is" | "not" => identity(word, behind),
        "matches" | "regex" | "rlike" => {
            format!("write `{operand}.matches({})`", pattern_in(behind))
        }
        "in" => match first_word(behind) {
            container if is_path(container) => {
                format!("for a text, write `{container}.contains({operand})`")
            }
            _ => "compare with each: `x == 1 || x == 2`".to_owned(),
        },
        _ => {
            let method = method_named(word)?;
            let inside = behind.strip_prefix('"');
            let text = inside.and_then(|inside| inside.split('"').next());
            let text = text.unwrap_or("…").trim_matches('%');
            format!("write `{operand}.{method}(\"{text}\")`")
        }
    };
    Some(ForeignOperator::operator(word, hint))
}

/// The method for a word between two texts in other languages.
fn method_named(word: &str) -> Option<&'static str> {
    Some(match word {
        "contains" | "includes" | "has" | "like" | "LIKE" => "contains",
        "startswith" | "starts_with" | "startsWith" | "beginswith" => "starts_with",
        "endswith" | "ends_with" | "endsWith" => "ends_with",
        _ => return None,
    })
}

/// The regular expression at the start of a text, in the syntax of `matches`.
fn pattern_in(text: &str) -> String {
    let quote = text
        .chars()
        .next()
        .filter(|quote| matches!(quote, '"' | '\'' | '/'));
    let inside = quote.and_then(|quote| text.strip_prefix(quote)?.split_once(quote));
    match inside {
        Some((pattern, _)) if !pattern.contains('/') => format!("/{pattern}/"),
        _ => "/…/".to_owned(),
    }
}

/// The hint for `is`, `is not` and `not in`.
fn identity(word: &str, behind: &str) -> String {
    let (operator, operand) = match (word, behind.strip_prefix("not ")) {
        ("is", Some(operand)) => ("!=", operand),
        ("is", None) => ("==", behind),
        _ => return "write `!(…)` around the negated part".to_owned(),
    };
    match first_word(operand) {
        "" => format!("write `{operator}`"),
        operand => format!("write `{operator} {operand}`"),
    }
}

/// The error for syntax in the position of an operand: `not x`, `let Some(x) = y`.
pub(in super::super) fn no_operand(cursor: &Cursor<'_>) -> Option<Diagnostic> {
    let (rest, at) = (cursor.rest(), cursor.at());
    let word = cursor.peek_word()?;
    let behind = rest.get(word.len()..)?;
    let operand = behind.trim_start();
    let follows = |c: char| c.is_alphanumeric() || matches!(c, '_' | '(' | '$' | '*' | '!');
    let (message, hint) = match word {
        "not" if behind.starts_with(' ') && operand.starts_with(follows) => (
            "`not` is not an operator",
            format!("write `!{}`", first_word(operand)),
        ),
        "let" if operand.contains('=') => {
            let (pattern, value) = operand.split_once('=')?;
            let variant = pattern.split(['(', '{', ' ']).next()?;
            let value = first_word(value);
            (
                "expressions have no patterns",
                format!("write `{value} == {variant}`"),
            )
        }
        "matches" if behind.starts_with("!(") => {
            let inside = behind.get(2..)?.split(')').next()?;
            let (value, variant) = inside.split_once(',')?;
            let variant = variant.trim().split(['(', '{', ' ']).next()?;
            (
                "expressions have no macros",
                format!("write `{} == {variant}`", value.trim()),
            )
        }
        "sizeof" | "typeof" | "typeid" if operand.starts_with('(') => {
            let message = "expressions cannot use the size or name of a type";
            (
                message,
                "`tracer vars FILE:LINE` shows variables with their types".to_owned(),
            )
        }
        _ => return None,
    };
    Some(Diagnostic::at(at..at + word.len(), message).hint(hint))
}

/// The error for a call of an unknown function, or of an unknown method of `base`.
pub(in super::super) fn no_call(name: &str, base: &str, span: &Span) -> Diagnostic {
    let shown = name.escape_debug();
    let error = Diagnostic::at(
        span.clone(),
        format!("`{shown}` is not a function that can be called here"),
    );
    let base = if base.is_empty() { "x" } else { base };
    let part = name.rsplit("::").next().unwrap_or(name);
    let written = |text: &str| format!("write `{base}.{text}`");
    error.hint(match part {
        "unwrap" | "expect" | "unwrap_err" | "unwrap_or" | "unwrap_or_default" => format!(
            "name the part: `{base}.Some.0`, `{base}.Ok.0` or `{base}.Err.0`; it is unavailable in another variant"
        ),
        "value" => format!("write `*{base}` for the value of a `std::optional`"),
        "get" | "at" | "operator[]" => {
            format!("write `{base}[0]` for an element and `*{base}` for the target of a smart pointer; elements of maps are not supported")
        }
        "strcmp" | "strncmp" | "strcasecmp" | "memcmp" | "equals" | "eq" | "compare" => {
            "compare texts with `==`".to_owned()
        }
        "strlen" | "count" | "Len" | "length" | "size" => "write `x.len()` for the length".to_owned(),
        "strstr" | "includes" | "has" | "find" | "contains_key" => written("contains(\"…\")"),
        "startsWith" | "startswith" | "HasPrefix" => written("starts_with(\"…\")"),
        "endsWith" | "endswith" | "HasSuffix" => written("ends_with(\"…\")"),
        "isEmpty" | "IsEmpty" => written("is_empty()"),
        "isNull" | "is_nil" | "isnull" => written("is_null()"),
        "isSome" | "isPresent" | "isDefined" => written("is_some()"),
        "not" => "write `!x`".to_owned(),
        "regex" | "match" | "search" | "is_match" | "regex_match" => {
            format!("write `{base}.matches(/…/)` for a regular expression")
        }
        "as_str" | "as_ref" | "as_bytes" | "as_slice" | "as_deref" | "borrow" | "clone" | "c_str" | "str"
        | "String" | "to_string" | "to_owned" | "iter" | "lock" | "load" | "data" => {
            format!("leave it out: `{base}` is shown and compared as its value")
        }
        "Some" | "Ok" | "Err" => {
            format!("compare the value in it: `x.{part}.0 == …`, and the variant: `x == {part}`")
        }
        variant if variant.starts_with(char::is_uppercase) => {
            format!("compare the variant alone, `x == {variant}`, and its parts: `x.{variant}.0 == …`")
        }
        _ => {
            "there are `len()`, `is_empty()`, `starts_with(\"…\")`, `ends_with(\"…\")`, `contains(\"…\")`, \
             `matches(/…/)`, `is_some()`, `is_none()`, `is_ok()`, `is_err()` and `is_null()`; casts are `x as u32`, `(unsigned int)x`"
                .to_owned()
        }
    })
}

/// The error for an unknown `$name`.
pub(in super::super) fn no_special(name: &str, span: Span) -> Diagnostic {
    let known = "there are $pid, $tid, $thread, $process, $cgroup, $container, $time, $hit, $return and $elapsed";
    let plain = name.trim_start_matches('$');
    let hint = match plain {
        "ret" | "retval" | "result" | "returned" => "write `$return`".to_owned(),
        "comm" | "name" | "threadname" => {
            "write `$thread` for the thread's name, `$process` for that of the process".to_owned()
        }
        "exe" | "program" | "app" | "processname" => "write `$process`".to_owned(),
        "unit" | "slice" => "write `$cgroup`, which ends with the unit".to_owned(),
        "pod" => "write `$container`".to_owned(),
        "time_ns" | "duration" | "latency" | "took" => "write `$elapsed`".to_owned(),
        _ if is_register_word(plain) => {
            format!("registers have no names here; write a variable without `$`; {known}")
        }
        "" => known.to_owned(),
        "arg0" => "the arguments of a USDT probe begin with `$arg1`".to_owned(),
        _ if plain.starts_with("arg") || plain.chars().all(|c| c.is_ascii_digit()) => {
            format!("write the parameter's name in the source; {known}")
        }
        _ => format!("write a variable without `$`: `{plain}`; {known}"),
    };
    Diagnostic::at(span, format!("there is no `{name}`")).hint(hint)
}

/// The error for text after the expression `expr` in a hole.
pub(in super::super) fn in_hole(rest: &str, at: usize, expr: &str) -> Option<Diagnostic> {
    let inside = rest.split('}').next().unwrap_or_default();
    let wrong = |message: &str, hint: String| Some(Diagnostic::at(at..at + 1, message).hint(hint));
    if let Some(conversion) = rest.strip_prefix('!') {
        let conversion = conversion.split('}').next().unwrap_or_default();
        let hint = match conversion {
            "r" | "a" => format!("write `{{{expr}:?}}`"),
            _ => format!("write `{{{expr}}}`"),
        };
        return wrong("a format goes after `:`", hint);
    }
    if rest.starts_with([',', ';']) || rest.starts_with(char::is_alphabetic) {
        let more = inside.split([',', ';', ' ']).filter(|one| !one.is_empty());
        let holes: String = more.map(|one| format!(" {{{one}}}")).collect();
        return wrong(
            "braces hold one value",
            format!("write `{{{expr}}}{holes}`"),
        );
    }
    None
}

/// The error for an unknown format.
pub(in super::super) fn no_format(text: &str, span: Span) -> Diagnostic {
    let known =
        "as in Rust: `?`, `#?`, `x`, `#x`, `X`, `o`, `b`, `e`, `p`, `>8`, `*^8`, `+`, `08x`, `.3`";
    let letter = text.trim_start_matches('%');
    let plain = letter.trim_end_matches(['d', 'i', 'u', 's', 'f', 'l', 'v', 'z']);
    let hint = match plain {
        _ if plain == text => known.to_owned(),
        "" => format!("numbers and texts need no format: leave `:{text}` out; {known}"),
        plain => format!("write `:{plain}`; {known}"),
    };
    let message = format!("`{}` is not a format", text.escape_debug());
    Diagnostic::at(span, message).hint(hint)
}

/// The error for a character that starts no token.
pub(in super::super) fn unreadable(first: char, span: Span) -> Diagnostic {
    let error = Diagnostic::at(span, format!("unexpected `{}`", first.escape_debug()));
    match first {
        '“' | '”' | '„' | '‘' | '’' => {
            error.hint("write text in plain double quotes: `\"`")
        }
        '`' => error.hint("write names without quotes, and text in double quotes"),
        ';' => error.hint("write one probe per `-e`, and one value per pair of braces"),
        '=' => error.hint("`==` compares"),
        '\\' => error.hint("`\\` has a meaning in texts only"),
        _ => error,
    }
}
