//! The source files of a module, named in the headers of its line programs.
//!
//! The index reads only the root DIE of each unit, on all processors. [`super::line_table`] reads
//! rows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use gimli::AttributeValue;
use rayon::prelude::*;

use crate::debuginfo::Slice;
use crate::debuginfo::budget::{KeptMemory, ReadBudget, ReaderKind};
use crate::debuginfo::dwarf::unit_parser::{bounded_line_string, line_program};
use crate::debuginfo::dwarf::units::{Unit, UnitId};
use crate::debuginfo::files::Files;
use crate::debuginfo::limits::NAME_BYTES;
use crate::debuginfo::model::site::FileId;

/// Steps to read one name of a file, and to put a path together.
const NAME_STEPS: u64 = 80;
const PATH_STEPS: u64 = 600;

/// Bytes that are kept of one path without its text, and of one unit that names it.
const PATH_BYTES: u64 = 160;
const NAMED_BYTES: u64 = 16;
/// Bytes that are kept of a path that is not put together yet.
const RAW_BYTES: u64 = 160;

/// One source file that the debug information names.
#[derive(Clone, Debug)]
pub struct SourceFileInfo {
    /// Its number.
    pub id: FileId,
    /// Path. It is absolute if the compiler recorded the directory that it ran in.
    pub path: Arc<PathBuf>,
    /// Units whose line tables name it. Not all of them have code from it.
    pub units: Vec<UnitId>,
}

/// All source files of a module, by path.
pub(in crate::debuginfo) struct SourceIndex {
    pub(super) files: Vec<SourceFileInfo>,
    pub(super) by_path: HashMap<Arc<PathBuf>, FileId>,
}

/// The files that some units name.
struct NamedFiles<'a> {
    names: HashMap<RawPath<'a>, Vec<UnitId>>,
    _kept: KeptMemory,
}

/// The parts of a path in a line table.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct RawPath<'a> {
    start: &'a [u8],
    directory: &'a [u8],
    name: &'a [u8],
}

impl RawPath<'_> {
    /// Returns the number of bytes of all parts.
    const fn len(&self) -> u64 {
        (self.start.len() + self.directory.len() + self.name.len()) as u64
    }

    /// Joins the parts and resolves `.` and `..`.
    fn join(self) -> PathBuf {
        let part = |bytes: &[u8]| -> PathBuf {
            let bytes = bytes.get(..NAME_BYTES).unwrap_or(bytes);
            OsString::from_vec(bytes.to_vec()).into()
        };
        let whole = part(self.start)
            .join(part(self.directory))
            .join(part(self.name));
        normalise(&whole)
    }
}

pub(super) fn normalise(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                let last = clean.components().next_back();
                match last {
                    Some(Component::Normal(_)) => {
                        clean.pop();
                    }
                    Some(Component::RootDir) => {}
                    _ => clean.push(".."),
                }
            }
            other => clean.push(other),
        }
    }
    clean
}

/// Calls `found` with the number and the path of each file in a line program's header, until it
/// returns that this is enough.
fn each_file<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    header: &gimli::LineProgramHeader<Slice<'a>>,
    comp_dir: Option<Slice<'a>>,
    mut found: impl FnMut(usize, RawPath<'a>) -> bool,
) {
    let string = |value: AttributeValue<Slice<'a>>| {
        bounded_line_string(dwarf, value, NAME_BYTES)
            .map(|name| name.slice())
            .unwrap_or_default()
    };
    let start = comp_dir.map(|name| name.slice()).unwrap_or_default();
    let first = usize::from(header.version() <= 4);
    for (index, file) in header.file_names().iter().enumerate() {
        let directory = file.directory(header).map(string).unwrap_or_default();
        let path = RawPath {
            start,
            directory,
            name: string(file.path_name()),
        };
        if !found(index + first, path) {
            return;
        }
    }
}

/// The paths of a line program's files, by their number in it.
pub(in crate::debuginfo) struct FilePaths {
    paths: Vec<Arc<PathBuf>>,
    kept: KeptMemory,
}

impl FilePaths {
    /// Reads the paths of a unit's line program. If the budget is used up, the remaining paths
    /// are missing.
    pub(in crate::debuginfo) fn read(budget: &Arc<ReadBudget>, unit: &Unit<'_>) -> Self {
        let mut files = Self {
            paths: Vec::new(),
            kept: KeptMemory::none(budget),
        };
        let Some(program) = unit.line_program(budget) else {
            return files;
        };
        let mut meter = budget.meter(ReaderKind::SourceFiles);
        let (paths, kept) = (&mut files.paths, &mut files.kept);
        each_file(
            &unit.dwarf,
            program.header(),
            unit.unit.comp_dir,
            |index, path| {
                paths.resize(index, Arc::new(PathBuf::new()));
                paths.push(Arc::new(path.join()));
                meter.take(PATH_STEPS + path.len())
                    && kept.grow(ReaderKind::SourceFiles, PATH_BYTES + path.len())
            },
        );
        files
    }

    /// Returns the path with this number.
    pub(in crate::debuginfo) fn get(&self, number: u64) -> Option<&Arc<PathBuf>> {
        self.paths.get(usize::try_from(number).ok()?)
    }

    /// Returns the numbers of `path`. There are several if it is named twice.
    pub(in crate::debuginfo) fn numbers_of(&self, path: &Path) -> Vec<u32> {
        let bytes = path.as_os_str();
        (0_u32..)
            .zip(&self.paths)
            .filter(|(_, file)| file.as_os_str() == bytes)
            .map(|(number, _)| number)
            .collect()
    }

    /// Returns the number of bytes that are kept of the paths.
    pub(in crate::debuginfo) const fn bytes(&self) -> u64 {
        self.kept.bytes()
    }
}

impl SourceIndex {
    /// Reads the headers of all line programs.
    pub(in crate::debuginfo) fn read(files: &Files) -> Self {
        let programs = distinct_programs(files);
        let dwarf = files.dwarf();
        let chunk = programs.len().div_ceil(rayon::current_num_threads() * 4);
        let parts: Vec<NamedFiles<'_>> = programs
            .par_chunks(chunk.max(1))
            .map(|programs| {
                let mut names: HashMap<RawPath<'_>, Vec<UnitId>> = HashMap::new();
                let mut meter = files.budget.meter(ReaderKind::SourceFiles);
                let mut kept = KeptMemory::none(&files.budget);
                for &(offset, id) in programs {
                    let Ok(unit) = files.unit_info(id) else {
                        continue;
                    };
                    let offset = gimli::DebugLineOffset(offset);
                    let Some(program) = line_program(&files.budget, &dwarf, offset, None) else {
                        continue;
                    };
                    let start =
                        Slice::new(unit.directory.as_os_str().as_bytes(), gimli::LittleEndian);
                    each_file(&dwarf, program.header(), Some(start), |_, path| {
                        let steps = NAME_STEPS + path.len() / 2;
                        let bytes = match names.entry(path) {
                            Entry::Occupied(mut known) => {
                                known.get_mut().push(id);
                                NAMED_BYTES
                            }
                            Entry::Vacant(new) => {
                                new.insert(vec![id]);
                                RAW_BYTES
                            }
                        };
                        meter.take(steps) && kept.grow(ReaderKind::SourceFiles, bytes)
                    });
                }
                files.release();
                NamedFiles { names, _kept: kept }
            })
            .collect();
        let index = Self::merge(&files.budget, parts);
        files.release();
        index
    }

    fn merge(budget: &ReadBudget, parts: Vec<NamedFiles<'_>>) -> Self {
        let mut all: HashMap<PathBuf, Vec<UnitId>> = HashMap::new();
        let mut meter = budget.meter(ReaderKind::SourceFiles);
        'parts: for part in parts {
            for (raw, units) in part.names {
                let bytes = 2 * PATH_BYTES + raw.len() + units.len() as u64 * NAMED_BYTES;
                if !meter.take(2 * PATH_STEPS + raw.len())
                    || !budget.hold(ReaderKind::SourceFiles, bytes)
                {
                    break 'parts;
                }
                let path = raw.join();
                if !path.as_os_str().is_empty() {
                    all.entry(path).or_default().extend(units);
                }
            }
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable();
        let mut index = Self {
            files: Vec::with_capacity(all.len()),
            by_path: HashMap::with_capacity(all.len()),
        };
        for (number, (path, mut units)) in (0_u32..).zip(all) {
            units.sort_unstable();
            units.dedup();
            let path = Arc::new(path);
            index.by_path.insert(path.clone(), FileId(number));
            index.files.push(SourceFileInfo {
                id: FileId(number),
                path,
                units,
            });
        }
        index
    }
}

/// Returns the distinct line programs, each with the first unit that has it.
fn distinct_programs(files: &Files) -> Vec<(usize, UnitId)> {
    let mut programs: Vec<(usize, UnitId)> = (0_u32..)
        .zip(files.units())
        .filter_map(|(index, unit)| {
            let offset = usize::try_from(unit.line_program?).ok()?;
            Some((offset, UnitId(index)))
        })
        .collect();
    programs.sort_unstable();
    programs.dedup_by_key(|(offset, _)| *offset);
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalise_dots_are_taken_out() {
        let clean = |path: &str| normalise(Path::new(path)).display().to_string();
        assert_eq!(clean("/a/./b/../c.rs"), "/a/c.rs");
        assert_eq!(clean("/../a"), "/a");
        assert_eq!(clean("../a/../../b"), "../../b");
        assert_eq!(clean("./main.rs"), "main.rs");
    }
}
