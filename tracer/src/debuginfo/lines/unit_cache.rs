//! A cache of recently used units: their code, their rows, the files of their line tables, and
//! the lines of a file. Units that share a line table share its rows.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::file_lines::FileLines;
use super::line_table::UnitLines;
use super::source_index::FilePaths;
use crate::base::address::LinkAddr;
use crate::debuginfo::budget::ReadBudget;
use crate::debuginfo::dwarf::units::{Unit, UnitId, UnitSpace};
use crate::debuginfo::files::Files;
use crate::debuginfo::functions::folded_functions::FoldedFunctions;
use crate::debuginfo::functions::unit_code::{FunctionName, UnitCode, function_name};
use crate::debuginfo::model::site::FileId;

/// Maximum bytes of the units that are kept.
const CACHE_BYTES: u64 = 100 << 20;

/// Share of a module's memory that kept units may take, as a divisor.
const CACHE_PART: u64 = 4;

/// Identifies a line table and the directory that its names are relative to.
#[derive(Clone, PartialEq, Eq, Hash)]
struct TableKey {
    /// Key of the file with the unit; see [`Unit::file_key`].
    file: u64,
    offset: Option<usize>,
    directory: Box<[u8]>,
}

impl TableKey {
    fn of(unit: &Unit<'_>) -> Self {
        let directory = unit.unit.comp_dir.map(|directory| directory.slice());
        Self {
            file: unit.file_key(),
            offset: unit.line_offset.map(|offset| offset.0),
            directory: directory.unwrap_or_default().into(),
        }
    }
}

/// Recently used units, and the functions that a linker folded.
#[derive(Default)]
pub(in crate::debuginfo) struct UnitCache {
    kept: Mutex<KeptUnits>,
    folded: OnceLock<FoldedFunctions>,
}

#[derive(Default)]
struct KeptUnits {
    code: HashMap<u64, Arc<UnitCode>>,
    /// Rows by table, because units may share a table.
    lines: HashMap<TableKey, Arc<UnitLines>>,
    files: HashMap<TableKey, Arc<FilePaths>>,
    lines_of_files: HashMap<(UnitId, FileId), Arc<FileLines>>,
    /// Keys by unit, to find a unit without reading its root again.
    code_of_units: HashMap<UnitId, u64>,
    lines_of_units: HashMap<UnitId, Arc<TableKey>>,
    order: VecDeque<(CacheKey, u64)>,
    bytes: u64,
}

#[derive(Clone)]
enum CacheKey {
    Code(u64),
    Lines(TableKey),
    Files(TableKey),
    LinesOfFile(UnitId, FileId),
}

impl KeptUnits {
    fn make_room(&mut self, budget: &ReadBudget, key: CacheKey, bytes: u64) {
        self.order.push_back((key, bytes));
        self.bytes += bytes;
        let most = CACHE_BYTES.min(budget.memory_limit() / CACHE_PART);
        while self.bytes > most && self.order.len() > 1 {
            let Some((key, bytes)) = self.order.pop_front() else {
                break;
            };
            self.bytes -= bytes;
            match key {
                CacheKey::Code(key) => drop(self.code.remove(&key)),
                CacheKey::Lines(key) => drop(self.lines.remove(&key)),
                CacheKey::Files(key) => drop(self.files.remove(&key)),
                CacheKey::LinesOfFile(unit, file) => {
                    drop(self.lines_of_files.remove(&(unit, file)));
                }
            }
        }
    }
}

impl UnitCache {
    fn cached(&self) -> MutexGuard<'_, KeptUnits> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the code and the line tables of a module's units, and keeps those of recently used
/// units.
#[derive(Clone, Copy)]
pub(in crate::debuginfo) struct CodeReader<'m> {
    /// Files that contain the units.
    pub(in crate::debuginfo) files: &'m Files,
    cache: &'m UnitCache,
}

impl<'m> CodeReader<'m> {
    /// Returns a reader for the units of a module's files.
    pub(in crate::debuginfo) const fn new(files: &'m Files, cache: &'m UnitCache) -> Self {
        Self { files, cache }
    }

    /// Returns the rows of a unit.
    pub(in crate::debuginfo) fn lines(self, id: UnitId) -> Option<Arc<UnitLines>> {
        let kept = || {
            let kept = self.cache.cached();
            kept.lines.get(&**kept.lines_of_units.get(&id)?).cloned()
        };
        if let Some(lines) = kept() {
            return Some(lines);
        }
        // The rows of a split unit are in its skeleton's file.
        let unit = self.files.unit_skeleton(id).ok()?;
        let lines = self.lines_of(&unit);
        let key = Arc::new(TableKey::of(&unit));
        self.cache.cached().lines_of_units.insert(id, key);
        Some(lines)
    }

    /// Returns the line of an address in the line table, or `None` if there is none or the
    /// compiler made the code.
    pub(in crate::debuginfo) fn line_at(self, address: LinkAddr) -> Option<u64> {
        let lines = self.lines(self.files.unit_at(address)?)?;
        let line = lines.row_at(address.0)?.line;
        (line != 0 && self.files.budget.is_open()).then_some(u64::from(line))
    }

    /// Returns the code of a unit.
    pub(in crate::debuginfo) fn code(self, id: UnitId) -> Option<Arc<UnitCode>> {
        let kept = || {
            let kept = self.cache.cached();
            kept.code.get(kept.code_of_units.get(&id)?).cloned()
        };
        if let Some(code) = kept() {
            return Some(code);
        }
        let unit = self.files.unit(id).ok()?;
        let code = self.code_of(&unit);
        self.cache.cached().code_of_units.insert(id, unit.key());
        Some(code)
    }

    /// Returns the code of `unit`. It is read at most once while it is kept.
    fn code_of(self, unit: &Unit<'_>) -> Arc<UnitCode> {
        let code = self.kept_or_read(unit);
        self.keep(unit, &code);
        code
    }

    /// Returns the code of `unit`. It is read if it is not kept, and then not kept either, so that a
    /// search through all units leaves the cache to those that are used.
    pub(in crate::debuginfo) fn kept_or_read(self, unit: &Unit<'_>) -> Arc<UnitCode> {
        let kept = self.cache.cached().code.get(&unit.key()).cloned();
        kept.unwrap_or_else(|| Arc::new(self.read_code(unit)))
    }

    /// Keeps the code of `unit`.
    pub(in crate::debuginfo) fn keep(self, unit: &Unit<'_>, code: &Arc<UnitCode>) {
        let key = unit.key();
        let mut cached = self.cache.cached();
        if cached.code.insert(key, code.clone()).is_none() {
            cached.make_room(&self.files.budget, CacheKey::Code(key), code.bytes());
        }
    }

    fn read_code(self, unit: &Unit<'_>) -> UnitCode {
        UnitCode::read(self.files, unit, self.paths_of(unit), |entry, size| {
            let folded = &self.cache.folded;
            let folded = folded.get_or_init(|| FoldedFunctions::read(self.files));
            folded.entry_of(self.files, unit, entry, size, || self.lines_behind(unit))
        })
    }

    /// Returns the rows for the code of a unit, which may be a split unit.
    fn lines_behind(self, unit: &Unit<'_>) -> Option<Arc<UnitLines>> {
        match UnitSpace::of(unit.key())?.0 {
            UnitSpace::Split(id) => self.lines(id),
            UnitSpace::Main => Some(self.lines_of(unit)),
            UnitSpace::Supplementary => None,
        }
    }

    /// Returns the rows of the line table of `unit`. They are read at most once while they are
    /// kept.
    pub(in crate::debuginfo) fn lines_of(self, unit: &Unit<'_>) -> Arc<UnitLines> {
        let key = TableKey::of(unit);
        if let Some(lines) = self.cache.cached().lines.get(&key) {
            return lines.clone();
        }
        let lines = Arc::new(UnitLines::read(self.files, unit, self.paths_of(unit)));
        let mut cached = self.cache.cached();
        if cached.lines.insert(key.clone(), lines.clone()).is_none() {
            cached.make_room(&self.files.budget, CacheKey::Lines(key), lines.bytes());
        }
        lines
    }

    /// Returns the paths of the files in the line table of `unit`. They are read at most once
    /// while they are kept.
    fn paths_of(self, unit: &Unit<'_>) -> Arc<FilePaths> {
        let key = TableKey::of(unit);
        if let Some(files) = self.cache.cached().files.get(&key) {
            return files.clone();
        }
        let files = Arc::new(FilePaths::read(&self.files.budget, unit));
        let mut cached = self.cache.cached();
        if cached.files.insert(key.clone(), files.clone()).is_none() {
            cached.make_room(&self.files.budget, CacheKey::Files(key), files.bytes());
        }
        files
    }

    /// Returns the lines of a file in a unit. They are gathered at most once while they are kept.
    pub(in crate::debuginfo) fn lines_of_file(
        self,
        unit: UnitId,
        file: FileId,
        gather: impl FnOnce() -> FileLines,
    ) -> Arc<FileLines> {
        let key = (unit, file);
        if let Some(lines) = self.cache.cached().lines_of_files.get(&key) {
            return lines.clone();
        }
        let lines = Arc::new(gather());
        let mut cached = self.cache.cached();
        if cached.lines_of_files.insert(key, lines.clone()).is_none() {
            let key = CacheKey::LinesOfFile(unit, file);
            cached.make_room(&self.files.budget, key, lines.bytes());
        }
        lines
    }

    /// Returns the name of the function of `die`. `code` is the code of a unit that refers to it.
    pub(in crate::debuginfo) fn function_name(self, code: &UnitCode, die: u64) -> FunctionName {
        function_name(code, die, |die| {
            let (unit, _) = self.files.unit_of_die(die).ok()?;
            Some(self.code_of(&unit))
        })
    }
}
