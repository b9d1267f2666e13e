//! Rows of line programs, and the lines of a file that have code. [`super::line_starts`] chooses
//! the rows that are sites of a line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::source_index::FilePaths;
use crate::base::address::LinkAddr;
use crate::debuginfo::budget::{KeptMemory, ReaderKind};
use crate::debuginfo::dwarf::units::Unit;
use crate::debuginfo::files::Files;

/// Steps to run the line program for one row.
const ROW_STEPS: u64 = 18;

/// Bytes of a row, including the spare capacity of a growing list.
const ROW_BYTES: u64 = 2 * size_of::<LineRow>() as u64;

/// Bytes of a sequence without its rows.
const SEQUENCE_BYTES: u64 = 2 * size_of::<RowSequence>() as u64;

/// A row of the line table: an address at which a statement, or a part of one, begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::debuginfo) struct LineRow {
    pub(in crate::debuginfo) address: u64,
    /// Number of the file in the line program.
    pub(in crate::debuginfo) file: u32,
    /// Line number; 0 is code that the compiler made for no line.
    pub(in crate::debuginfo) line: u32,
    pub(in crate::debuginfo) column: u32,
    pub(in crate::debuginfo) statement: bool,
    pub(in crate::debuginfo) prologue_end: bool,
}

/// The rows of a piece of code without gaps.
#[derive(Clone, Debug)]
struct RowSequence {
    begin: u64,
    end: u64,
    rows: Vec<LineRow>,
}

/// The rows of one unit, except for code that the linker dropped.
pub(in crate::debuginfo) struct UnitLines {
    /// Sequences by address.
    sequences: Vec<RowSequence>,
    files: Arc<FilePaths>,
    kept: KeptMemory,
}

impl UnitLines {
    /// Runs the line program of a unit. Rows after a mistake in the program are not read.
    pub(in crate::debuginfo) fn read(
        files: &Files,
        unit: &Unit<'_>,
        paths: Arc<FilePaths>,
    ) -> Self {
        let mut lines = Self {
            sequences: Vec::new(),
            files: paths,
            kept: KeptMemory::none(&files.budget),
        };
        let Some(program) = unit.line_program(&files.budget) else {
            return lines;
        };
        let mut meter = files.budget.meter(ReaderKind::Lines);
        let mut rows = program.rows();
        let mut current: Vec<LineRow> = Vec::new();
        let mut live = false;
        while let Ok(Some((_, row))) = rows.next_row() {
            if !meter.take(ROW_STEPS) {
                break;
            }
            if row.end_sequence() {
                let rows = std::mem::take(&mut current);
                lines.add(rows, row.address());
                if !lines.kept.grow(ReaderKind::Lines, SEQUENCE_BYTES) {
                    break;
                }
                continue;
            }
            if current.is_empty() {
                // Dropped code has the address 0, -1 or -2, and its rows may reach into live code
                // from there. So the first row decides for the whole sequence.
                live = files.is_code(LinkAddr(row.address()));
            }
            let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            let row = LineRow {
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
                if !lines.kept.grow(ReaderKind::Lines, ROW_BYTES) {
                    break;
                }
            }
        }
        lines
            .sequences
            .sort_unstable_by_key(|sequence| sequence.begin);
        lines
            .sequences
            .retain(|sequence| files.is_code(LinkAddr(sequence.begin)));
        lines
    }

    fn add(&mut self, mut rows: Vec<LineRow>, end: u64) {
        rows.sort_by_key(|row| row.address);
        rows.retain(|row| row.address < end);
        if let Some(first) = rows.first() {
            self.sequences.push(RowSequence {
                begin: first.address,
                end,
                rows,
            });
        }
    }

    /// Returns the number of bytes that are kept of the rows.
    pub(in crate::debuginfo) const fn bytes(&self) -> u64 {
        self.kept.bytes()
    }

    /// Returns all rows, by address.
    pub(in crate::debuginfo) fn rows(&self) -> impl Iterator<Item = &LineRow> {
        self.sequences.iter().flat_map(|sequence| &sequence.rows)
    }

    /// Returns the numbers of `path` in this line program. There are several if the program names
    /// it twice.
    pub(in crate::debuginfo) fn numbers_of(&self, path: &Path) -> Vec<u32> {
        self.files.numbers_of(path)
    }

    /// Returns true if a statement of the file has code in this unit.
    pub(in crate::debuginfo) fn has_statement_of(&self, path: &Path) -> bool {
        let numbers = self.numbers_of(path);
        let is_of = |row: &LineRow| row.statement && row.line != 0 && numbers.contains(&row.file);
        !numbers.is_empty() && self.rows().any(is_of)
    }

    pub(in crate::debuginfo) fn file(&self, row: &LineRow) -> Option<&Arc<PathBuf>> {
        self.files.get(row.file.into())
    }

    /// Returns the rows from the one that covers `address` to the end of its sequence.
    pub(in crate::debuginfo) fn rows_from(&self, address: u64) -> &[LineRow] {
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
        // The last of several rows at one address has the code, but all are returned.
        let Some(covering) = next.checked_sub(1).and_then(|index| rows.get(index)) else {
            return &[];
        };
        let first = rows.partition_point(|row| row.address < covering.address);
        rows.get(first..).unwrap_or_default()
    }

    /// Returns the rows at the addresses from `begin` up to `end`.
    pub(in crate::debuginfo) fn rows_between(
        &self,
        begin: u64,
        end: u64,
    ) -> impl Iterator<Item = &LineRow> {
        // A range can have rows of several sequences. These may overlap, so the first sequence
        // that could reach the range is not known by its address.
        let upto = self
            .sequences
            .partition_point(|sequence| sequence.begin < end);
        let near = self.sequences.get(..upto).unwrap_or_default().iter();
        near.filter(move |sequence| sequence.end > begin)
            .flat_map(move |sequence| {
                let rows = &sequence.rows;
                let first = rows.partition_point(|row| row.address < begin);
                let last = rows.partition_point(|row| row.address < end);
                rows.get(first..last).unwrap_or_default()
            })
    }

    /// Returns the row that covers `address`.
    pub(in crate::debuginfo) fn row_at(&self, address: u64) -> Option<&LineRow> {
        let rows = self.rows_from(address);
        let first = rows.first()?.address;
        // The search goes by address, because a hostile table may have millions of rows at one
        // address.
        let behind = rows.partition_point(|row| row.address <= first);
        rows.get(behind.checked_sub(1)?)
    }
}
