//! Rows of line programs, and the lines of a file that have code.
//!
//! Leaves which of several rows are sites of a line to [`super::starts`].

use std::path::PathBuf;
use std::sync::Arc;

use super::index::file_paths;
use super::module::Module;
use super::units::Unit;
use crate::address::LinkAddr;

/// Rows kept of one unit; the biggest generated sources have some million.
const MAX_ROWS: usize = 16 << 20;

/// One row: an address at which a statement, or a part of one, begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) address: u64,
    /// Number in the line program.
    pub(super) file: u32,
    /// 0: made by the compiler, of no line.
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) statement: bool,
    pub(super) prologue_end: bool,
}

/// Rows of a piece of code without a gap.
#[derive(Clone, Debug)]
struct Sequence {
    begin: u64,
    end: u64,
    rows: Vec<Row>,
}

/// The rows of one unit, without those of code that the linker dropped.
pub(super) struct UnitLines {
    /// By address.
    sequences: Vec<Sequence>,
    pub(super) files: Vec<Arc<PathBuf>>,
}

impl UnitLines {
    /// Runs the line program of a unit; what comes after a mistake in it is not read.
    pub(super) fn read(module: &Module, unit: &Unit<'_>) -> Self {
        let mut lines = Self {
            sequences: Vec::new(),
            files: Vec::new(),
        };
        let Some(program) = unit.unit.line_program.clone() else {
            return lines;
        };
        lines.files = file_paths(&unit.dwarf, program.header(), unit.unit.comp_dir);
        let mut rows = program.rows();
        let mut count = 0_usize;
        let mut current: Vec<Row> = Vec::new();
        let mut live = false;
        while let Ok(Some((_, row))) = rows.next_row() {
            if row.end_sequence() {
                let rows = std::mem::take(&mut current);
                lines.add(rows, row.address());
                continue;
            }
            if current.is_empty() {
                // Dropped code has the address 0, -1 or -2, and may reach into
                // live code from there: so the first row decides for all.
                live = module.is_code(LinkAddr(row.address()));
            }
            count += 1;
            if count > MAX_ROWS {
                break;
            }
            let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            let row = Row {
                address: row.address(),
                file: small(row.file_index()),
                line: row.line().map_or(0, |line| small(line.get())),
                column: match row.column() {
                    gimli::ColumnType::LeftEdge => 0,
                    gimli::ColumnType::Column(column) => small(column.get()),
                },
                statement: row.is_stmt(),
                prologue_end: row.prologue_end(),
            };
            if live || current.is_empty() {
                current.push(row);
            }
        }
        lines
            .sequences
            .sort_unstable_by_key(|sequence| sequence.begin);
        lines
            .sequences
            .retain(|sequence| module.is_code(LinkAddr(sequence.begin)));
        lines
    }

    fn add(&mut self, mut rows: Vec<Row>, end: u64) {
        rows.sort_by_key(|row| row.address);
        rows.retain(|row| row.address < end);
        if let Some(first) = rows.first() {
            self.sequences.push(Sequence {
                begin: first.address,
                end,
                rows,
            });
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sequences
            .iter()
            .map(|sequence| sequence.rows.len())
            .sum()
    }

    /// All rows, by address.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sequences.iter().flat_map(|sequence| &sequence.rows)
    }

    /// The numbers that `path` has in this line program; several when it is named twice.
    pub(super) fn numbers_of(&self, path: &PathBuf) -> Vec<u32> {
        (0_u32..)
            .zip(&self.files)
            .filter(|(_, file)| ***file == *path)
            .map(|(number, _)| number)
            .collect()
    }

    /// Whether a statement of the file has code here.
    pub(super) fn has_statement_of(&self, path: &PathBuf) -> bool {
        let numbers = self.numbers_of(path);
        let is_of = |row: &Row| row.statement && row.line != 0 && numbers.contains(&row.file);
        !numbers.is_empty() && self.rows().any(is_of)
    }

    pub(super) fn file(&self, row: &Row) -> Option<&Arc<PathBuf>> {
        self.files.get(usize::try_from(row.file).ok()?)
    }

    /// Rows from the one that covers `address` on, to the end of its sequence.
    pub(super) fn rows_from(&self, address: u64) -> &[Row] {
        let after = self
            .sequences
            .partition_point(|sequence| sequence.begin <= address);
        let sequence = self
            .sequences
            .get(after.saturating_sub(8)..after)
            .unwrap_or_default()
            .iter()
            .rev()
            .find(|sequence| address < sequence.end);
        let Some(sequence) = sequence else {
            return &[];
        };
        let rows = &sequence.rows;
        let next = rows.partition_point(|row| row.address <= address);
        // Of several rows at one address, the last one has the code; but all are given.
        let Some(covering) = next.checked_sub(1).and_then(|index| rows.get(index)) else {
            return &[];
        };
        let first = rows.partition_point(|row| row.address < covering.address);
        rows.get(first..).unwrap_or_default()
    }

    /// The row that covers `address`.
    pub(super) fn row_at(&self, address: u64) -> Option<&Row> {
        let rows = self.rows_from(address);
        let first = rows.first()?.address;
        rows.iter().take_while(|row| row.address == first).last()
    }
}
