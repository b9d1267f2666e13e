//! Text into expressions.

use super::error::SyntaxError;
use super::syntax::{ArithmeticOp, CompareOp, Expression, Literal, PyUnaryOp};
use super::token::{ExprToken, tokens};
use crate::limits::EXPRESSION_DEPTH;

/// Parses an expression.
///
/// # Errors
///
/// [`SyntaxError`] with the position of the mistake.
pub fn parse_expression(text: &str) -> Result<Expression, SyntaxError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        end: text.len(),
        depth: 0,
    };
    let expression = parser.tuple()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expression),
        Some(_) => Err(parser.unexpected()),
    }
}

struct Parser {
    tokens: Vec<(ExprToken, usize)>,
    at: usize,
    /// Length of the text.
    end: usize,
    depth: usize,
}

type Parsed = Result<Expression, SyntaxError>;

/// Operators by how tightly they bind, the loosest first.
const LEVELS: [&[(&str, ArithmeticOp)]; 6] = [
    &[("|", ArithmeticOp::Or)],
    &[("^", ArithmeticOp::Xor)],
    &[("&", ArithmeticOp::And)],
    &[
        ("<<", ArithmeticOp::ShiftLeft),
        (">>", ArithmeticOp::ShiftRight),
    ],
    &[("+", ArithmeticOp::Add), ("-", ArithmeticOp::Subtract)],
    &[
        ("*", ArithmeticOp::Multiply),
        ("/", ArithmeticOp::Divide),
        ("//", ArithmeticOp::FloorDivide),
        ("%", ArithmeticOp::Modulo),
    ],
];

const COMPARISONS: [(&str, CompareOp); 6] = [
    ("==", CompareOp::Equal),
    ("!=", CompareOp::NotEqual),
    ("<", CompareOp::Less),
    ("<=", CompareOp::LessOrEqual),
    (">", CompareOp::Greater),
    (">=", CompareOp::GreaterOrEqual),
];

const KEYWORDS: [&str; 12] = [
    "and", "or", "not", "in", "is", "if", "else", "lambda", "await", "yield", "for", "async",
];

impl Parser {
    fn mistake(&self, message: impl Into<String>) -> SyntaxError {
        let at = self.tokens.get(self.at).map_or(self.end, |(_, at)| *at);
        SyntaxError {
            at,
            message: message.into(),
        }
    }

    fn unexpected(&self) -> SyntaxError {
        let token = self.tokens.get(self.at).map(|(token, _)| token);
        self.mistake(match token {
            None => "the expression is incomplete".to_owned(),
            Some(ExprToken::Symbol("(")) => "calls would have to run code".to_owned(),
            Some(ExprToken::Symbol(":")) => "slices are not supported".to_owned(),
            Some(ExprToken::Symbol(":=")) => "assignments are not possible".to_owned(),
            Some(ExprToken::Symbol(symbol)) => format!("unexpected `{symbol}`"),
            Some(ExprToken::Word(word)) => format!("unexpected `{word}`"),
            Some(ExprToken::Literal(_)) => "unexpected value".to_owned(),
        })
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.tokens.get(self.at), Some((ExprToken::Symbol(found), _)) if *found == symbol)
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some((ExprToken::Word(found), _)) if found == word)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), SyntaxError> {
        if self.take_symbol(symbol) {
            return Ok(());
        }
        if self.at < self.tokens.len() {
            return Err(self.unexpected());
        }
        Err(self.mistake(format!("expected `{symbol}`")))
    }

    /// Counts a level of nesting.
    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.depth >= EXPRESSION_DEPTH {
            return Err(self.mistake("the expression is nested too deeply"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// `a, b` without brackets is a tuple.
    fn tuple(&mut self) -> Parsed {
        let first = self.expression()?;
        if !self.is_symbol(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take_symbol(",") && self.begins_expression() {
            items.push(self.expression()?);
        }
        Ok(Expression::Tuple(items))
    }

    fn begins_expression(&self) -> bool {
        match self.tokens.get(self.at) {
            Some((ExprToken::Symbol(symbol), _)) => ["(", "[", "{", "-", "+", "~"].contains(symbol),
            Some(_) => true,
            None => false,
        }
    }

    fn expression(&mut self) -> Parsed {
        self.nested(|parser| {
            let then = parser.or()?;
            if !parser.take_word("if") {
                return Ok(then);
            }
            let condition = parser.or()?;
            if !parser.take_word("else") {
                return Err(parser.mistake("expected `else`"));
            }
            Ok(Expression::Conditional {
                condition: Box::new(condition),
                then: Box::new(then),
                otherwise: Box::new(parser.expression()?),
            })
        })
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        let mut count = 0;
        while self.take_word("or") {
            count = self.counted(count)?;
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.not()?;
        let mut count = 0;
        while self.take_word("and") {
            count = self.counted(count)?;
            left = Expression::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    /// Bounds a chain of operators, which is a tree as deep as the chain is long.
    fn counted(&self, count: usize) -> Result<usize, SyntaxError> {
        if count >= EXPRESSION_DEPTH {
            return Err(self.mistake("the expression has too many operators"));
        }
        Ok(count + 1)
    }

    fn not(&mut self) -> Parsed {
        if !self.take_word("not") {
            return self.comparison();
        }
        self.nested(|parser| {
            Ok(Expression::Unary {
                op: PyUnaryOp::Not,
                of: Box::new(parser.not()?),
            })
        })
    }

    fn comparison(&mut self) -> Parsed {
        let first = self.arithmetic(0)?;
        let mut rest = Vec::new();
        while let Some(op) = self.compare_op() {
            self.counted(rest.len())?;
            rest.push((op, self.arithmetic(0)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expression::Compare {
            first: Box::new(first),
            rest,
        })
    }

    fn compare_op(&mut self) -> Option<CompareOp> {
        if self.take_word("in") {
            return Some(CompareOp::In);
        }
        if self.take_word("is") {
            let negated = self.take_word("not");
            return Some(if negated {
                CompareOp::IsNot
            } else {
                CompareOp::Is
            });
        }
        if self.is_word(0, "not") && self.is_word(1, "in") {
            self.at += 2;
            return Some(CompareOp::NotIn);
        }
        let found = COMPARISONS
            .iter()
            .find(|(symbol, _)| self.is_symbol(symbol));
        found.map(|(_, op)| {
            self.at += 1;
            *op
        })
    }

    fn arithmetic(&mut self, level: usize) -> Parsed {
        let Some(ops) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.arithmetic(level + 1)?;
        let mut count = 0;
        while let Some((_, op)) = ops.iter().find(|(symbol, _)| self.is_symbol(symbol)) {
            self.at += 1;
            count = self.counted(count)?;
            left = Expression::Binary {
                op: *op,
                left: Box::new(left),
                right: Box::new(self.arithmetic(level + 1)?),
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        let ops = [
            ("-", PyUnaryOp::Minus),
            ("+", PyUnaryOp::Plus),
            ("~", PyUnaryOp::Invert),
        ];
        for (symbol, op) in ops {
            if self.take_symbol(symbol) {
                return self.nested(|parser| {
                    Ok(Expression::Unary {
                        op,
                        of: Box::new(parser.unary()?),
                    })
                });
            }
        }
        self.power()
    }

    fn power(&mut self) -> Parsed {
        let base = self.postfix()?;
        if !self.take_symbol("**") {
            return Ok(base);
        }
        self.nested(|parser| {
            Ok(Expression::Binary {
                op: ArithmeticOp::Power,
                left: Box::new(base),
                right: Box::new(parser.unary()?),
            })
        })
    }

    fn postfix(&mut self) -> Parsed {
        if self.is_word(0, "len")
            && matches!(
                self.tokens.get(self.at + 1),
                Some((ExprToken::Symbol("("), _))
            )
        {
            self.at += 2;
            let of = self.expression()?;
            self.expect(")")?;
            return self.postfix_of(Expression::Length(Box::new(of)));
        }
        let atom = self.atom()?;
        self.postfix_of(atom)
    }

    fn postfix_of(&mut self, mut of: Expression) -> Parsed {
        let mut count = 0;
        loop {
            if self.take_symbol(".") {
                let Some((ExprToken::Word(name), _)) = self.tokens.get(self.at).cloned() else {
                    return Err(self.mistake("expected the name of an attribute"));
                };
                self.at += 1;
                of = Expression::Attribute {
                    of: Box::new(of),
                    name,
                };
            } else if self.take_symbol("[") {
                let index = self.tuple()?;
                self.expect("]")?;
                of = Expression::Index {
                    of: Box::new(of),
                    index: Box::new(index),
                };
            } else if self.is_symbol("(") {
                return Err(self.unexpected());
            } else {
                return Ok(of);
            }
            count = self.counted(count)?;
        }
    }

    fn atom(&mut self) -> Parsed {
        let Some((token, _)) = self.tokens.get(self.at).cloned() else {
            return Err(self.unexpected());
        };
        match token {
            ExprToken::Literal(literal) => {
                self.at += 1;
                Ok(Expression::Literal(self.joined(literal)))
            }
            ExprToken::Word(word) if KEYWORDS.contains(&word.as_str()) => Err(self.unexpected()),
            ExprToken::Word(word) => {
                self.at += 1;
                Ok(match word.as_str() {
                    "None" => Expression::Literal(Literal::None),
                    "True" => Expression::Literal(Literal::Bool(true)),
                    "False" => Expression::Literal(Literal::Bool(false)),
                    _ => Expression::Name(word),
                })
            }
            ExprToken::Symbol("(") => {
                self.at += 1;
                if self.take_symbol(")") {
                    return Ok(Expression::Tuple(Vec::new()));
                }
                let inner = self.tuple()?;
                self.expect(")")?;
                Ok(inner)
            }
            ExprToken::Symbol("[") => self.display("]"),
            ExprToken::Symbol("{") => self.display("}"),
            ExprToken::Symbol(_) => Err(self.unexpected()),
        }
    }

    /// Texts beside each other are one.
    fn joined(&mut self, mut first: Literal) -> Literal {
        while let Literal::Str(text) = &mut first
            && let Some((ExprToken::Literal(Literal::Str(next)), _)) = self.tokens.get(self.at)
        {
            text.chars.extend(&next.chars);
            text.of += next.of;
            self.at += 1;
        }
        first
    }

    /// The elements of a list or set.
    fn display(&mut self, end: &'static str) -> Parsed {
        self.at += 1;
        let mut items = Vec::new();
        while !self.is_symbol(end) {
            items.push(self.expression()?);
            if !self.take_symbol(",") {
                break;
            }
        }
        self.expect(end)?;
        Ok(Expression::Tuple(items))
    }
}
