//! Rows of line programs, and the lines of a file that have code.
//!
//! Leaves which of several rows are sites of a line to [`super::starts`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::budget::{Kept, Reader};
use super::index::FilePaths;
use super::module::Module;
use super::units::Unit;
use crate::address::LinkAddr;

/// Steps to run the line program for one row.
const ROW_STEPS: u64 = 18;

/// Bytes of a row, with what a growing list has to spare.
const ROW_BYTES: u64 = 2 * size_of::<Row>() as u64;

/// Bytes of a sequence without its rows.
const SEQUENCE_BYTES: u64 = 2 * size_of::<Sequence>() as u64;

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
    files: Arc<FilePaths>,
    kept: Kept,
}

impl UnitLines {
    /// Runs the line program of a unit; what comes after a mistake in it is not read.
    pub(super) fn read(module: &Module, unit: &Unit<'_>) -> Self {
        let mut lines = Self {
            sequences: Vec::new(),
            files: module.code_cache().files(module, unit),
            kept: Kept::none(&module.budget),
        };
        let Some(program) = unit.line_program(&module.budget) else {
            return lines;
        };
        let mut meter = module.budget.meter(Reader::Lines);
        let mut rows = program.rows();
        let mut current: Vec<Row> = Vec::new();
        let mut live = false;
        while let Ok(Some((_, row))) = rows.next_row() {
            if !meter.take(ROW_STEPS) {
                break;
            }
            if row.end_sequence() {
                let rows = std::mem::take(&mut current);
                lines.add(rows, row.address());
                if !lines.kept.grow(Reader::Lines, SEQUENCE_BYTES) {
                    break;
                }
                continue;
            }
            if current.is_empty() {
                // Dropped code has the address 0, -1 or -2, and may reach into
                // live code from there: so the first row decides for all.
                live = module.is_code(LinkAddr(row.address()));
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
                if !lines.kept.grow(Reader::Lines, ROW_BYTES) {
                    break;
                }
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

    /// Bytes that are kept of it.
    pub(super) const fn bytes(&self) -> u64 {
        self.kept.bytes()
    }

    /// All rows, by address.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sequences.iter().flat_map(|sequence| &sequence.rows)
    }

    /// The numbers that `path` has in this line program; several when it is named twice.
    pub(super) fn numbers_of(&self, path: &Path) -> Vec<u32> {
        self.files.numbers_of(path)
    }

    /// Whether a statement of the file has code here.
    pub(super) fn has_statement_of(&self, path: &Path) -> bool {
        let numbers = self.numbers_of(path);
        let is_of = |row: &Row| row.statement && row.line != 0 && numbers.contains(&row.file);
        !numbers.is_empty() && self.rows().any(is_of)
    }

    pub(super) fn file(&self, row: &Row) -> Option<&Arc<PathBuf>> {
        self.files.get(row.file.into())
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
        // By address: a hostile table may have millions at one.
        let behind = rows.partition_point(|row| row.address <= first);
        rows.get(behind.checked_sub(1)?)
    }
}
