//! What the debug information knows of a function as a piece of code: its
//! ranges, its language, and where statements begin in it.

use std::path::Path;

use super::code::ScopeKind;
use super::module::Module;
use super::types::Language;
use crate::address::LinkAddr;

/// A function that has code of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionCode {
    /// Its entry.
    pub entry: LinkAddr,
    /// Beginning and end of each of its parts.
    pub ranges: Vec<(LinkAddr, LinkAddr)>,
    /// What it was compiled from.
    pub language: Language,
}

/// A place where a statement begins, by the line table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its first instruction.
    pub address: LinkAddr,
    /// Number of the file in its unit.
    pub file: u32,
    /// From 1; 0 is code of the compiler's own.
    pub line: u32,
}

impl Module {
    /// The function with the code at `address`, copies inlined into it included.
    #[must_use]
    pub fn function_code_at(&self, address: LinkAddr) -> Option<FunctionCode> {
        let code = self.unit_code(self.unit_at(address)?)?;
        let (_, function) = code
            .outwards(code.innermost(address))
            .find(|(_, scope)| scope.kind == ScopeKind::Function)?;
        let range = |&(begin, end): &(u64, u64)| (LinkAddr(begin), LinkAddr(end));
        Some(FunctionCode {
            entry: LinkAddr(function.entry),
            ranges: function.ranges.iter().map(range).collect(),
            language: code.language,
        })
    }

    /// Whether the function with the code at `address` has copies of others inlined into it: it is
    /// optimised then.
    #[must_use]
    pub fn has_inlined_code(&self, address: LinkAddr) -> bool {
        let code = self.unit_at(address).and_then(|id| self.unit_code(id));
        let (Some(code), Some(function)) = (code, self.function_code_at(address)) else {
            return false;
        };
        let inside = |entry: u64| {
            let mut ranges = function.ranges.iter();
            ranges.any(|(begin, end)| (begin.0..end.0).contains(&entry))
        };
        code.scopes
            .iter()
            .any(|scope| scope.kind == ScopeKind::Inlined && inside(scope.entry))
    }

    /// The statement that the code at `address` belongs to.
    #[must_use]
    pub fn statement_at(&self, address: LinkAddr) -> Option<Statement> {
        let lines = self.unit_lines(self.unit_at(address)?)?;
        let row = lines.row_at(address.0)?;
        Some(Statement {
            address: LinkAddr(row.address),
            file: row.file,
            line: row.line,
        })
    }

    /// The statements that begin from `begin` to `last`, both included, by address.
    #[must_use]
    pub fn statements_between(&self, begin: LinkAddr, last: LinkAddr) -> Vec<Statement> {
        let Some(lines) = self.unit_at(begin).and_then(|id| self.unit_lines(id)) else {
            return Vec::new();
        };
        lines
            .rows_from(begin.0)
            .iter()
            .take_while(|row| row.address <= last.0)
            .filter(|row| row.address >= begin.0 && row.statement)
            .map(|row| Statement {
                address: LinkAddr(row.address),
                file: row.file,
                line: row.line,
            })
            .collect()
    }

    /// The statements of a file that begin in a function's code.
    #[must_use]
    pub fn statements_of(&self, function: &FunctionCode, file: &Path) -> Vec<Statement> {
        let Some(unit) = self
            .unit_at(function.entry)
            .and_then(|id| self.unit_skeleton(id).ok())
        else {
            return Vec::new();
        };
        let numbers = self.code_cache().lines(self, &unit).numbers_of(file);
        function
            .ranges
            .iter()
            .filter_map(|(begin, end)| Some((*begin, LinkAddr(end.0.checked_sub(1)?))))
            .flat_map(|(begin, last)| self.statements_between(begin, last))
            .filter(|row| row.line != 0 && numbers.contains(&row.file))
            .collect()
    }
}
