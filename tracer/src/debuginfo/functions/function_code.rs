//! A function as a piece of code, as the debug information describes it: its ranges, its
//! language, and the beginnings of its statements.

use std::path::Path;

use super::unit_code::ScopeKind;
use crate::base::address::LinkAddr;
use crate::debuginfo::lines::unit_cache::CodeReader;
use crate::debuginfo::model::types::Language;
use crate::debuginfo::module::Module;

/// A function with code of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionCode {
    /// Address of its entry.
    pub entry: LinkAddr,
    /// Begin and end of each of its ranges.
    pub ranges: Vec<(LinkAddr, LinkAddr)>,
    /// Language of its source.
    pub language: Language,
}

/// The beginning of a statement in the line table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Address of its first instruction.
    pub address: LinkAddr,
    /// Number of the file in its unit.
    pub file: u32,
    /// Line number from 1; 0 is code that the compiler made.
    pub line: u32,
}

impl CodeReader<'_> {
    /// Returns the function with the code at `address`, including the copies inlined into it.
    pub(in crate::debuginfo) fn function_code_at(self, address: LinkAddr) -> Option<FunctionCode> {
        let code = self.code(self.files.unit_at(address)?)?;
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
}

impl Module {
    /// Returns the function with the code at `address`, including the copies inlined into it.
    #[must_use]
    pub fn function_code_at(&self, address: LinkAddr) -> Option<FunctionCode> {
        self.code().function_code_at(address)
    }

    /// Returns true if other functions are inlined into the function with the code at `address`.
    /// The function is optimised then.
    #[must_use]
    pub fn has_inlined_code(&self, address: LinkAddr) -> bool {
        let code = self.unit_at(address).and_then(|id| self.code().code(id));
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

    /// Returns the statement that the code at `address` belongs to.
    #[must_use]
    pub fn statement_at(&self, address: LinkAddr) -> Option<Statement> {
        let lines = self.code().lines(self.unit_at(address)?)?;
        let row = lines.row_at(address.0)?;
        Some(Statement {
            address: LinkAddr(row.address),
            file: row.file,
            line: row.line,
        })
    }

    /// Returns the statements that begin from `begin` to `last`, both included, by address.
    #[must_use]
    pub fn statements_between(&self, begin: LinkAddr, last: LinkAddr) -> Vec<Statement> {
        let Some(lines) = self.unit_at(begin).and_then(|id| self.code().lines(id)) else {
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

    /// Returns the statements of a file that begin in a function's code.
    #[must_use]
    pub fn statements_of(&self, function: &FunctionCode, file: &Path) -> Vec<Statement> {
        let Some(unit) = self
            .unit_at(function.entry)
            .and_then(|id| self.unit_skeleton(id).ok())
        else {
            return Vec::new();
        };
        let numbers = self.code().lines_of(&unit).numbers_of(file);
        function
            .ranges
            .iter()
            .filter_map(|(begin, end)| Some((*begin, LinkAddr(end.0.checked_sub(1)?))))
            .flat_map(|(begin, last)| self.statements_between(begin, last))
            .filter(|row| row.line != 0 && numbers.contains(&row.file))
            .collect()
    }
}
