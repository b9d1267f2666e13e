//! The lines of one file that have code in one unit.

use std::collections::BTreeMap;

use super::line_table::LineRow;
use crate::debuginfo::budget::KeptMemory;

/// The code of one line in one unit.
#[derive(Default)]
pub(in crate::debuginfo) struct LineCode {
    /// Statement rows of the line.
    pub(super) rows: Vec<LineRow>,
    /// Scopes of the inlined copies that the line calls.
    pub(super) calls: Vec<u32>,
}

impl LineCode {
    pub(in crate::debuginfo) fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }
}

/// The lines of one file that have code in one unit.
#[derive(Default)]
pub(in crate::debuginfo) struct FileLines {
    pub(super) by_number: BTreeMap<u64, LineCode>,
    pub(super) kept: Option<KeptMemory>,
}

impl FileLines {
    /// Returns the code of a line.
    pub(in crate::debuginfo) fn get(&self, line: u64) -> Option<&LineCode> {
        self.by_number.get(&line)
    }

    /// Returns true if no line has code.
    pub(in crate::debuginfo) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// Returns all lines.
    pub(in crate::debuginfo) fn iter(&self) -> impl Iterator<Item = (u64, &LineCode)> {
        self.by_number.iter().map(|(line, code)| (*line, code))
    }

    /// Returns the first line at or after `line`.
    pub(in crate::debuginfo) fn first_from(&self, line: u64) -> Option<u64> {
        let mut rest = self.by_number.range(line..);
        rest.next().map(|(line, _)| *line)
    }

    /// Returns the last line before `line` that has rows.
    pub(in crate::debuginfo) fn last_before(&self, line: u64) -> Option<u64> {
        let mut before = self.by_number.range(..line).rev();
        before
            .find(|(_, code)| code.has_rows())
            .map(|(line, _)| *line)
    }

    /// Returns the number of bytes that are kept of the lines.
    pub(in crate::debuginfo) fn bytes(&self) -> u64 {
        self.kept.as_ref().map_or(0, KeptMemory::bytes)
    }
}
