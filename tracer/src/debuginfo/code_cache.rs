//! What is known of the units that were asked for last: their code, their rows, the files of
//! their line tables, and the lines of a file. Units that share a line table share its rows.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::Budget;
use super::code::UnitCode;
use super::index::FilePaths;
use super::lines::UnitLines;
use super::module::Module;
use super::site::FileId;
use super::starts::Lines;
use super::units::{Unit, UnitId};

/// Bytes of the units that are kept, at most.
const CACHE_BYTES: u64 = 100 << 20;

/// Part of a module's memory that the units may take which are kept, as a divisor.
const CACHE_PART: u64 = 4;

/// Names a line table with the directory that its names are relative to.
#[derive(Clone, PartialEq, Eq, Hash)]
struct TableKey {
    /// Of the file with the unit; see [`Unit::key`].
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

/// Units that were asked for last.
#[derive(Default)]
pub(super) struct CodeCache(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    code: HashMap<u64, Arc<UnitCode>>,
    /// Units may share a table.
    lines: HashMap<TableKey, Arc<UnitLines>>,
    files: HashMap<TableKey, Arc<FilePaths>>,
    lines_of_files: HashMap<(UnitId, FileId), Arc<Lines>>,
    /// What is known of a unit is found without reading its root again.
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

impl Cached {
    fn make_room(&mut self, budget: &Budget, key: CacheKey, bytes: u64) {
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

impl CodeCache {
    fn cached(&self) -> MutexGuard<'_, Cached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The code of a unit, while it is kept.
    pub(super) fn code_of(&self, id: UnitId) -> Option<Arc<UnitCode>> {
        let cached = self.cached();
        cached.code.get(cached.code_of_units.get(&id)?).cloned()
    }

    /// The rows of a unit, while they are kept.
    pub(super) fn lines_of(&self, id: UnitId) -> Option<Arc<UnitLines>> {
        let cached = self.cached();
        cached
            .lines
            .get(&**cached.lines_of_units.get(&id)?)
            .cloned()
    }

    /// Notes where what is kept of a unit is found.
    pub(super) fn note_code(&self, id: UnitId, unit: &Unit<'_>) {
        self.cached().code_of_units.insert(id, unit.key());
    }

    /// The same of its rows.
    pub(super) fn note_lines(&self, id: UnitId, unit: &Unit<'_>) {
        let key = Arc::new(TableKey::of(unit));
        self.cached().lines_of_units.insert(id, key);
    }

    /// The code of `unit`, read at most once while it is kept.
    pub(super) fn code(&self, module: &Module, unit: &Unit<'_>) -> Arc<UnitCode> {
        let key = unit.key();
        if let Some(code) = self.cached().code.get(&key) {
            return code.clone();
        }
        let code = Arc::new(UnitCode::read(module, unit));
        let mut cached = self.cached();
        if cached.code.insert(key, code.clone()).is_none() {
            cached.make_room(&module.budget, CacheKey::Code(key), code.bytes());
        }
        code
    }

    /// The rows of the line table of `unit`, read at most once while they are kept.
    pub(super) fn lines(&self, module: &Module, unit: &Unit<'_>) -> Arc<UnitLines> {
        let key = TableKey::of(unit);
        if let Some(lines) = self.cached().lines.get(&key) {
            return lines.clone();
        }
        let lines = Arc::new(UnitLines::read(module, unit));
        let mut cached = self.cached();
        if cached.lines.insert(key.clone(), lines.clone()).is_none() {
            cached.make_room(&module.budget, CacheKey::Lines(key), lines.bytes());
        }
        lines
    }

    /// The files of the line table of `unit`, read at most once while they are kept.
    pub(super) fn files(&self, module: &Module, unit: &Unit<'_>) -> Arc<FilePaths> {
        let key = TableKey::of(unit);
        if let Some(files) = self.cached().files.get(&key) {
            return files.clone();
        }
        let files = Arc::new(FilePaths::read(&module.budget, unit));
        let mut cached = self.cached();
        if cached.files.insert(key.clone(), files.clone()).is_none() {
            cached.make_room(&module.budget, CacheKey::Files(key), files.bytes());
        }
        files
    }

    /// The lines of a file in a unit, gathered at most once while they are kept.
    pub(super) fn lines_of_file(
        &self,
        budget: &Budget,
        unit: UnitId,
        file: FileId,
        gather: impl FnOnce() -> Lines,
    ) -> Arc<Lines> {
        let key = (unit, file);
        if let Some(lines) = self.cached().lines_of_files.get(&key) {
            return lines.clone();
        }
        let lines = Arc::new(gather());
        let mut cached = self.cached();
        if cached.lines_of_files.insert(key, lines.clone()).is_none() {
            let key = CacheKey::LinesOfFile(unit, file);
            cached.make_room(budget, key, lines.bytes());
        }
        lines
    }
}
