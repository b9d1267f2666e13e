//! Units whose DWARF is in separate files (split DWARF): `.dwo` files, one for each unit, or a
//! `.dwp` package with all units.
//!
//! A file is opened when one of its units is first used, and then kept. If a file is not found or
//! belongs to another build, the skeleton is used: it has the lines of the unit and nothing else.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};

use gimli::DwoId;

use super::die_id::FileNumber;
use super::split_files::SplitUnits;
use super::unit_parser::{line_offset, parse_abbreviations, parse_unit};
use super::units::{Unit, UnitId, UnitSpace};
use crate::base::address::LinkAddr;
use crate::debuginfo::Slice;
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::error::DebugInfoError;
use crate::debuginfo::file::find::{DebugFileFinder, DebugFileLookup, WantedFile, real_path};
use crate::debuginfo::file::object::ObjectFile;
use crate::debuginfo::files::Files;

/// Total bytes of a module's `.dwo` files that are kept; units beyond it stay skeletons.
const MAX_KEPT_BYTES: u64 = 8 << 30;

/// Units of one `.dwo` file that are searched for the requested one.
const MAX_UNITS: usize = 1 << 16;

/// Steps to look for a file in one place.
const LOOK_STEPS: u64 = 20_000;

/// Places that are recorded for one module.
const MAX_LOOKED: usize = 256;

/// The names of a split file that the compiler wrote.
struct SplitFileNames<'n> {
    /// `DW_AT_dwo_name`.
    name: &'n Path,
    /// `DW_AT_comp_dir`.
    directory: &'n Path,
}

impl Files {
    /// Reads a split unit. Returns `None` if its file cannot be found.
    ///
    /// # Errors
    /// [`DebugInfoError::BadDwarf`].
    pub(in crate::debuginfo) fn split_unit(
        &self,
        id: UnitId,
    ) -> Result<Option<Unit<'_>>, DebugInfoError> {
        let info = self.unit_info(id)?;
        let Some((name, dwo)) = &info.split else {
            return Ok(None);
        };
        let parent = self.dwarf();
        let names = SplitFileNames {
            name,
            directory: &info.directory,
        };
        let Some(dwarf) = self.split_dwarf(id, &names, *dwo, &parent)? else {
            return Ok(None);
        };
        let skeleton = self.read_unit(FileNumber::Main, &parent, info.offset)?;
        let Some(unit) = self.unit_of_id(id, &dwarf, *dwo) else {
            return Ok(None);
        };
        Ok(Some(joined(dwarf, unit, &parent, skeleton, id)))
    }

    /// Returns the sections of the split file of a unit, together with its parent's.
    fn split_dwarf<'a>(
        &'a self,
        id: UnitId,
        names: &SplitFileNames<'_>,
        dwo: DwoId,
        parent: &gimli::Dwarf<Slice<'a>>,
    ) -> Result<Option<gimli::Dwarf<Slice<'a>>>, DebugInfoError> {
        let package = self.splits.package.get_or_init(|| self.open_package());
        if let Some(package) = package.as_ref().and_then(ObjectFile::package)
            && let Some(dwarf) = package.find_cu(dwo, parent)?
        {
            return Ok(Some(dwarf));
        }
        let files = self
            .splits
            .files
            .get_or_init(|| self.units().iter().map(|_| OnceLock::new()).collect());
        let index = usize::try_from(id.0).unwrap_or(usize::MAX);
        let Some(slot) = files.get(index) else {
            return Ok(None);
        };
        let file = slot.get_or_init(|| self.open_split(names, dwo));
        Ok(file.as_ref().map(|file| {
            let mut dwarf = file.dwarf();
            dwarf.make_dwo(parent);
            dwarf
        }))
    }

    /// Returns the unit with this number in the split file of a unit.
    fn unit_of_id<'a>(
        &self,
        number: UnitId,
        dwarf: &gimli::Dwarf<Slice<'a>>,
        id: DwoId,
    ) -> Option<gimli::Unit<Slice<'a>>> {
        let read = |header| self.read_unit_of(FileNumber::Split(number.0), dwarf, header);
        let mut units = dwarf.units();
        for _ in 0..MAX_UNITS {
            let header = units.next().ok()??;
            match header.type_() {
                gimli::UnitType::SplitCompilation(own) if own == id => {
                    return read(header).ok();
                }
                // DWARF 4 has the number in the root.
                gimli::UnitType::Compilation => {
                    let unit = read(header).ok()?;
                    if unit.dwo_id == Some(id) {
                        return Some(unit);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn open_package(&self) -> Option<ObjectFile> {
        let root = self.options.root.as_deref();
        let with_suffix = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(".dwp");
            PathBuf::from(name)
        };
        let files = [Some(&self.main), self.debug.as_ref()];
        let paths: Vec<PathBuf> = files
            .into_iter()
            .flatten()
            .map(|file| with_suffix(&real_path(file.path(), root)))
            .collect();
        let users = self.in_users_directories(paths.first().map(PathBuf::as_path));
        self.look(WantedFile::Package, &paths, &users, |file| {
            match file.package() {
                Some(_) => Ok(()),
                None => Err("it is not a package of split units".to_owned()),
            }
        })
    }

    fn open_split(&self, names: &SplitFileNames<'_>, dwo: DwoId) -> Option<ObjectFile> {
        if self.splits.kept_bytes.load(Ordering::Relaxed) > MAX_KEPT_BYTES {
            return None;
        }
        let mut paths = vec![names.directory.join(names.name)];
        let main = real_path(self.main.path(), self.options.root.as_deref());
        // Build trees may be moved, and `.dwo` files copied next to the program.
        if let (Some(directory), Some(name)) = (main.parent(), names.name.file_name()) {
            paths.push(directory.join(name));
        }
        let users = self.in_users_directories(Some(names.name));
        let file = self.look(WantedFile::Split, &paths, &users, |file| {
            match has_unit(file, dwo) {
                true => Ok(()),
                false => Err(format!("it has no unit {:#018x}", dwo.0)),
            }
        })?;
        let bytes = u64::try_from(file.bytes().len()).unwrap_or(u64::MAX);
        self.splits.kept_bytes.fetch_add(bytes, Ordering::Relaxed);
        Some(file)
    }

    /// Returns the paths of the file's name in each directory that the user gave.
    fn in_users_directories(&self, path: Option<&Path>) -> Vec<PathBuf> {
        let Some(name) = path.and_then(Path::file_name) else {
            return Vec::new();
        };
        let directories = self.options.debug_dirs.iter();
        directories.map(|directory| directory.join(name)).collect()
    }

    fn look(
        &self,
        wanted: WantedFile,
        paths: &[PathBuf],
        users: &[PathBuf],
        accept: impl Fn(&ObjectFile) -> Result<(), String>,
    ) -> Option<ObjectFile> {
        let places = (paths.len() + users.len()) as u64;
        let steps = places.saturating_mul(LOOK_STEPS);
        if !self.budget.spend(ReaderKind::SplitFiles, steps, 1) {
            return None;
        }
        let mut finder = DebugFileFinder::new(&self.options);
        finder.budget = Some(Arc::clone(&self.budget));
        let found = finder
            .try_host(wanted, users, &accept)
            .or_else(|| finder.try_all(wanted, paths, &accept));
        let mut looked = self
            .splits
            .looked
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for place in finder.looked {
            if looked.len() < MAX_LOOKED {
                looked.push(place);
            }
        }
        drop(looked);
        if let Some(file) = &found {
            self.allow_for(file);
        }
        found
    }

    /// Raises the budget for the work on a file. It does so once a file, because many units may
    /// name it.
    fn allow_for(&self, file: &ObjectFile) {
        let counted = self.splits.counted.lock();
        let mut counted = counted.unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = file.identity
            && counted.insert(identity)
        {
            self.budget.add_file(file.bytes().len() as u64);
        }
    }

    /// Returns the places where files of split units were looked for so far, with the outcomes.
    #[must_use]
    pub fn looked_for_split_units(&self) -> Vec<DebugFileLookup> {
        let looked = self.splits.looked.lock();
        looked.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the file that should have the variables of the code at `address`, if that file is
    /// missing.
    #[must_use]
    pub fn missing_split_file(&self, address: LinkAddr) -> Option<PathBuf> {
        let id = self.unit_at(address)?;
        let info = self.unit_info(id).ok()?;
        let (name, _) = info.split.as_ref()?;
        let found = matches!(self.split_unit(id), Ok(Some(_)));
        (!found).then(|| info.directory.join(name))
    }

    /// Looks for the files of all split units.
    #[must_use]
    pub fn split_units(&self) -> SplitUnits {
        let mut found = SplitUnits::default();
        let mut missing = HashSet::new();
        for (id, info) in (0_u32..).zip(self.units()) {
            let Some((name, _)) = &info.split else {
                continue;
            };
            found.units += 1;
            if !matches!(self.split_unit(UnitId(id)), Ok(Some(_))) {
                found.missing += 1;
                missing.insert(info.directory.join(name));
            }
        }
        found.missing_files = missing.into_iter().collect();
        found.missing_files.sort_unstable();
        found
    }
}

/// Returns true if a `.dwo` file has the unit with this number.
fn has_unit(file: &ObjectFile, id: DwoId) -> bool {
    let dwarf = file.dwarf();
    let mut units = dwarf.units();
    let mut next = || units.next().ok().flatten();
    std::iter::from_fn(&mut next)
        .take(MAX_UNITS)
        .any(|header| match header.type_() {
            gimli::UnitType::SplitCompilation(own) => own == id,
            // DWARF 4 has the number in the root.
            gimli::UnitType::Compilation => {
                let offset = header.debug_abbrev_offset();
                let table = parse_abbreviations(&file.budget, &dwarf, offset);
                let unit = table.map(|table| {
                    let abbreviations = table.parsed;
                    parse_unit(&file.budget, &dwarf, header, abbreviations)
                });
                matches!(unit, Some(Ok(unit)) if unit.dwo_id == Some(id))
            }
            _ => false,
        })
}

/// Returns a split unit, completed with the addresses and the line program of its skeleton.
fn joined<'a>(
    mut dwarf: gimli::Dwarf<Slice<'a>>,
    mut unit: gimli::Unit<Slice<'a>>,
    parent: &gimli::Dwarf<Slice<'a>>,
    skeleton: gimli::Unit<Slice<'a>>,
    id: UnitId,
) -> Unit<'a> {
    unit.copy_relocated_attributes(&skeleton);
    let lines = line_offset(&skeleton);
    if lines.is_some() {
        // File numbers refer to the skeleton's line program, whose names are in the parent file.
        dwarf.debug_line_str = parent.debug_line_str;
        dwarf.debug_line = parent.debug_line;
    }
    unit.comp_dir = unit.comp_dir.or(skeleton.comp_dir);
    unit.name = unit.name.or(skeleton.name);
    let mut unit = Unit::new(dwarf, unit, UnitSpace::Split(id));
    unit.line_offset = lines.or(unit.line_offset);
    unit
}
