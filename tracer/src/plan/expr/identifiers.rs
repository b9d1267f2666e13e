//! Names in expressions: variables, statics and the members of C++'s `this`.

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::Language;
use crate::debuginfo::variable::Variable;
use crate::lang::ast::Expr;
use crate::plan::expr::operand::Operand;
use crate::plan::expr::resolver::Resolver;
use crate::plan::ops::spots::Spots;
use crate::plan::shape::display_names;
use crate::plan::watching;

impl Resolver<'_, '_> {
    pub(super) fn name(&self, expr: &Expr, path: &str, shadow: u32) -> Operand {
        if let Some(value) = self.scope.watched
            && shadow <= 1
            && let Some(operand) = watching::named(value, path)
        {
            if value.redacted && self.builder.limits().confined {
                let error = Diagnostic::at(&expr.span, "the watched value is redacted");
                return Operand::Unknown(path.to_owned(), error);
            }
            if value.redacted {
                self.note_redacted();
            }
            return operand;
        }
        let found = self
            .scope
            .variables
            .iter()
            .find(|variable| variable.name == path && variable.shadow == shadow.max(1));
        if found.is_none()
            && shadow <= 1
            && let Some(member) = self.own_member(expr, path)
        {
            return member;
        }
        let found = match found {
            Some(variable) => Some(variable.clone()),
            None if shadow <= 1 => (self.scope.statics)(path),
            None => None,
        };
        match found {
            Some(variable) => {
                self.note_variable(&variable);
                self.variable(&variable)
            }
            None => {
                self.note_name(path);
                Operand::Unknown(path.to_owned(), self.unknown_name(expr, path, shadow))
            }
        }
    }

    /// A member of `*this` by its bare name, in a method of C++.
    fn own_member(&self, expr: &Expr, name: &str) -> Option<Operand> {
        let this = self.scope.variables.iter().find(|one| one.name == "this")?;
        if self.builder.resolve(this.ty).language == Language::Rust {
            return None;
        }
        let Operand::Place(spots, ty) = self.variable(this) else {
            return None;
        };
        self.field(expr, spots, ty, name).ok()
    }

    /// A null pointer, unless a variable has that name (`null` is an ordinary identifier in C).
    pub(super) fn null(&self, expr: &Expr) -> Operand {
        let word = self.scope.text.get(expr.span.clone()).unwrap_or_default();
        let variable = self.scope.variables.iter().find(|one| one.name == word);
        variable.map_or(Operand::Null, |variable| self.variable(variable))
    }

    /// The place and the type of a variable.
    pub(in crate::plan) fn variable(&self, variable: &Variable) -> Operand {
        let size = self.builder.size(variable.ty).unwrap_or(0);
        let spots = Spots::of(&variable.place, size, self.scope.process);
        Operand::Place(spots, variable.ty)
    }

    /// The error for `$arg3` where no such argument is known.
    fn unknown_argument(&self, expr: &Expr, path: &str) -> Diagnostic {
        let arguments = self.scope.variables.iter();
        let count = arguments.filter(|one| one.name.starts_with('$')).count();
        let error = Diagnostic::at(&expr.span, format!("there is no `{path}` here"));
        error.hint(match count {
            0 => "USDT probes with arguments have it (`usdt:PROVIDER:NAME`); elsewhere, write the parameter's name in \
                  the source"
                .to_owned(),
            1 => "the probe has one argument, `$arg1`".to_owned(),
            _ => format!("the probe has {count} arguments, `$arg1` to `$arg{count}`"),
        })
    }

    fn unknown_name(&self, expr: &Expr, path: &str, shadow: u32) -> Diagnostic {
        let same = self
            .scope
            .variables
            .iter()
            .filter(|v| v.name == path)
            .count();
        if shadow > 1 && same > 0 {
            let error = Diagnostic::at(&expr.span, format!("no `{path}#{shadow}` in scope here"));
            return error.hint(match same {
                1 => "one variable has that name here".to_owned(),
                _ => format!("{same} variables have that name here"),
            });
        }
        if path.starts_with('$') {
            return self.unknown_argument(expr, path);
        }
        if self.scope.elapsed {
            let message = format!("`{path}` is known at the start of the time, not at its end");
            return Diagnostic::at(&expr.span, message).hint("use variables in one condition, `$elapsed` and `$return` in another, and join them by `&&`");
        }
        if self.scope.returned.is_some() {
            let message = format!("`{path}` is no longer known at a return");
            return Diagnostic::at(&expr.span, message).hint("`$return` and statics are known");
        }
        let names = self.scope.variables.iter().map(|v| v.name.as_str());
        let hint = match written_here(path) {
            Some(written) => Some(format!("write `{written}`")),
            None => display_names::hint(path, names),
        };
        Diagnostic::at(&expr.span, format!("no `{path}` in scope here")).maybe_hint(hint)
    }
}

/// The spelling here of a word from other languages or tools.
fn written_here(word: &str) -> Option<&'static str> {
    Some(match word {
        "True" | "TRUE" => "true",
        "False" | "FALSE" => "false",
        "nil" | "undefined" | "Null" | "none" => "null",
        "elapsed" => "$elapsed",
        "pid" => "$pid",
        "tid" => "$tid",
        "comm" | "thread" => "$thread",
        "process" => "$process",
        "cgroup" => "$cgroup",
        "container" => "$container",
        "ret" | "retval" => "$return",
        _ => return None,
    })
}
