//! Finds a module's debug information: in the file, in a separate debug file, or in a
//! supplementary file.
//!
//! Files are searched by build id, by `.gnu_debuglink`, by `.gnu_debugaltlink` and `.debug_sup`:
//! first in the target's own files, then in ours, then at the debuginfod servers that the user
//! has set. The finder records every place with its outcome. It refuses a file that belongs to
//! another build.
//!
//! [`crate::debuginfo::dwarf::split`] handles split units (`.dwo`, `.dwp`).

pub mod debuginfod;
mod roots;

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::image::FileImage;
use super::object::{FileIdentity, ObjectFile};
use crate::debuginfo::budget::ReadBudget;
use crate::debuginfo::error::DebugInfoError;
use crate::sources::SourcePlaces;
use debuginfod::Servers;
pub(in crate::debuginfo) use roots::TargetRoot;

/// Directory in which distributions install debug files.
const SYSTEM_DIRECTORY: &str = "/usr/lib/debug";

/// Places that are recorded for one module.
const MAX_LOOKED: usize = 256;

/// Maximum bytes of a separate debug file; a larger one is refused. Chromium's has 5 GB.
const MAX_FILE_BYTES: usize = 32 << 30;

/// Places to look for debug information that is not in the file itself.
#[derive(Clone, Debug, Default)]
pub struct DebugOptions {
    /// The debug file that the user names, if any.
    pub debug_file: Option<PathBuf>,
    /// Directories to search before the system's.
    pub debug_dirs: Vec<PathBuf>,
    /// Root of the target's files (`/proc/PID/root`), searched before the host's.
    pub root: Option<PathBuf>,
    /// Accepts a debug file of another build, which may show wrong values.
    pub ignore_build_id: bool,
    /// Servers to ask if no local file is found.
    pub debuginfod: Option<Servers>,
    /// Places of source files, in addition to the paths that debug information names.
    pub sources: SourcePlaces,
}

/// The kind of a wanted file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedFile {
    /// The file with the DWARF.
    DebugFile,
    /// The file with DWARF that several debug files share.
    Supplementary,
    /// The file with all split units (`.dwp`).
    Package,
    /// A file with split units (`.dwo`).
    Split,
}

impl fmt::Display for WantedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DebugFile => "debug file",
            Self::Supplementary => "supplementary file",
            Self::Package => "package of split units",
            Self::Split => "split unit",
        })
    }
}

/// The outcome in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupOutcome {
    /// The wanted file was found and is in use.
    Used,
    /// Nothing is there.
    Absent,
    /// The file is not used, for this reason.
    Refused(String),
}

/// One place where something was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugFileLookup {
    /// The kind of file that was looked for.
    pub wanted: WantedFile,
    /// A path, or the address of a server. A path is the target's view if `in_target`, else ours.
    pub place: PathBuf,
    /// The place is in the target's mount namespace.
    pub in_target: bool,
    /// The outcome.
    pub outcome: LookupOutcome,
}

/// The files that were found for a module, and the places that were searched.
#[derive(Default)]
pub(in crate::debuginfo) struct FoundFiles {
    pub(in crate::debuginfo) debug: Option<ObjectFile>,
    pub(in crate::debuginfo) supplementary: Option<ObjectFile>,
    pub(in crate::debuginfo) looked: Vec<DebugFileLookup>,
}

/// Looks for the files that `main` lacks.
///
/// # Errors
/// Fails if the debug file that the user named cannot be used.
pub(in crate::debuginfo) fn find(
    main: &ObjectFile,
    options: &DebugOptions,
) -> Result<FoundFiles, DebugInfoError> {
    let mut finder = DebugFileFinder::new(options);
    let mut debug = match &options.debug_file {
        Some(path) => Some(finder.named_by_user(main, path)?),
        None => None,
    };
    if debug.is_none() && main.has_dwarf() {
        finder.note(
            WantedFile::DebugFile,
            main.path(),
            options.root.is_some(),
            LookupOutcome::Used,
        );
    } else if debug.is_none() {
        debug = finder.debug_file(main);
    }
    let supplementary = finder.supplementary(debug.as_ref().unwrap_or(main));
    Ok(FoundFiles {
        debug,
        supplementary,
        looked: finder.looked,
    })
}

/// Returns the path of the file itself, not of a link to it, as far as it can be resolved from
/// here. Files that are installed next to it are in its directory.
pub(in crate::debuginfo) fn real_path(path: &Path, root: Option<&Path>) -> PathBuf {
    match root {
        // The kernel has resolved the path in the target's namespace.
        Some(_) => path.to_owned(),
        None => std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
    }
}

/// Opens the candidates one after the other, and records each.
pub(in crate::debuginfo) struct DebugFileFinder<'o> {
    options: &'o DebugOptions,
    roots: Vec<TargetRoot>,
    pub(in crate::debuginfo) looked: Vec<DebugFileLookup>,
    /// Budget for reading the candidates. Without one, each candidate has its own.
    pub(in crate::debuginfo) budget: Option<Arc<ReadBudget>>,
}

/// The evidence that a file is the wanted one.
enum Proof<'p> {
    /// The build id.
    BuildId(&'p [u8]),
    /// The build id if both files have one, and the checksum of the file's bytes.
    Checksum(Option<&'p [u8]>, u32),
}

impl<'o> DebugFileFinder<'o> {
    pub(in crate::debuginfo) fn new(options: &'o DebugOptions) -> Self {
        let mut looked = Vec::new();
        let mut roots = Vec::new();
        if let Some(root) = &options.root {
            match TargetRoot::of_target(root) {
                Ok(root) => roots.push(root),
                Err(error) => looked.push(DebugFileLookup {
                    wanted: WantedFile::DebugFile,
                    place: root.clone(),
                    in_target: false,
                    outcome: LookupOutcome::Refused(error.to_string()),
                }),
            }
        }
        roots.push(TargetRoot::Host);
        Self {
            options,
            roots,
            looked,
            budget: None,
        }
    }

    pub(in crate::debuginfo) fn note(
        &mut self,
        wanted: WantedFile,
        path: &Path,
        in_target: bool,
        outcome: LookupOutcome,
    ) {
        // A directory that the target shares with us is listed once.
        let known = |looked: &DebugFileLookup| {
            looked.place == path && looked.wanted == wanted && looked.outcome == outcome
        };
        if self.looked.len() < MAX_LOOKED && !self.looked.iter().any(known) {
            self.looked.push(DebugFileLookup {
                wanted,
                place: path.to_owned(),
                in_target,
                outcome,
            });
        }
    }

    /// Opens one candidate, asks `accept`, and records the outcome.
    fn try_one(
        &mut self,
        wanted: WantedFile,
        root: usize,
        path: &Path,
        accept: impl FnOnce(&ObjectFile) -> Result<(), String>,
    ) -> Option<ObjectFile> {
        let root = self.roots.get(root)?;
        let in_target = root.is_target();
        let opened = open_in(root, path).and_then(|found| {
            let Some(mut object) = found else {
                return Ok(None);
            };
            if let Some(budget) = &self.budget {
                object.budget = Arc::clone(budget);
            }
            accept(&object).map(|()| Some(object))
        });
        let (object, outcome) = match opened {
            Ok(Some(object)) => (Some(object), LookupOutcome::Used),
            Ok(None) => (None, LookupOutcome::Absent),
            Err(why) => (None, LookupOutcome::Refused(why)),
        };
        self.note(wanted, path, in_target, outcome);
        object
    }

    /// Tries `paths` in each root, the target's first.
    pub(in crate::debuginfo) fn try_all(
        &mut self,
        wanted: WantedFile,
        paths: &[PathBuf],
        mut accept: impl FnMut(&ObjectFile) -> Result<(), String>,
    ) -> Option<ObjectFile> {
        (0..self.roots.len()).find_map(|root| {
            paths
                .iter()
                .find_map(|path| self.try_one(wanted, root, path, &mut accept))
        })
    }

    /// Tries `paths` among our own files only.
    pub(in crate::debuginfo) fn try_host(
        &mut self,
        wanted: WantedFile,
        paths: &[PathBuf],
        mut accept: impl FnMut(&ObjectFile) -> Result<(), String>,
    ) -> Option<ObjectFile> {
        let host = self.roots.iter().position(|root| !root.is_target())?;
        paths
            .iter()
            .find_map(|path| self.try_one(wanted, host, path, &mut accept))
    }

    fn named_by_user(
        &mut self,
        main: &ObjectFile,
        path: &Path,
    ) -> Result<ObjectFile, DebugInfoError> {
        let object = ObjectFile::open(path, path)?;
        if !object.has_dwarf() {
            return Err(DebugInfoError::NoDebugInfo {
                path: path.to_owned(),
            });
        }
        if !self.options.ignore_build_id {
            same_build(main.build_id(), object.build_id()).map_err(|what| {
                DebugInfoError::Mismatch {
                    path: path.to_owned(),
                    what,
                }
            })?;
        }
        self.note(WantedFile::DebugFile, path, false, LookupOutcome::Used);
        Ok(object)
    }

    fn debug_file(&mut self, main: &ObjectFile) -> Option<ObjectFile> {
        if let Some(id) = main.build_id()
            && let Some(found) = self.by_build_id(WantedFile::DebugFile, id)
        {
            return Some(found);
        }
        if let Some(found) = self.by_debug_link(main) {
            return Some(found);
        }
        self.by_server(WantedFile::DebugFile, main.build_id()?)
    }

    fn by_build_id(&mut self, wanted: WantedFile, id: &[u8]) -> Option<ObjectFile> {
        let name = build_id_path(id)?;
        let proof = Proof::BuildId(id);
        let ignore = self.options.ignore_build_id;
        let users: Vec<PathBuf> = self
            .options
            .debug_dirs
            .iter()
            .map(|directory| directory.join(&name))
            .collect();
        let system = [Path::new(SYSTEM_DIRECTORY).join(&name)];
        self.try_host(wanted, &users, |object| proof.accept(object, ignore))
            .or_else(|| self.try_all(wanted, &system, |object| proof.accept(object, ignore)))
    }

    fn by_debug_link(&mut self, main: &ObjectFile) -> Option<ObjectFile> {
        let (name, checksum) = main.debug_link()?;
        let path = real_path(main.path(), self.options.root.as_deref());
        let Some(name) = file_name(name) else {
            let outcome = LookupOutcome::Refused("`.gnu_debuglink` is not a file name".to_owned());
            self.note(WantedFile::DebugFile, &path, false, outcome);
            return None;
        };
        let directory = path.parent()?;
        let inside = directory.strip_prefix("/").unwrap_or(directory);
        let users: Vec<PathBuf> = self
            .options
            .debug_dirs
            .iter()
            .flat_map(|users| [users.join(inside).join(&name), users.join(&name)])
            .collect();
        let system = [
            directory.join(&name),
            directory.join(".debug").join(&name),
            Path::new(SYSTEM_DIRECTORY).join(inside).join(&name),
        ];
        let proof = Proof::Checksum(main.build_id(), checksum);
        let ignore = self.options.ignore_build_id;
        self.try_host(WantedFile::DebugFile, &users, |object| {
            proof.accept(object, ignore)
        })
        .or_else(|| {
            self.try_all(WantedFile::DebugFile, &system, |object| {
                proof.accept(object, ignore)
            })
        })
    }

    fn by_server(&mut self, wanted: WantedFile, id: &[u8]) -> Option<ObjectFile> {
        let servers = self.options.debuginfod.as_ref()?;
        let proof = Proof::BuildId(id);
        let (object, tried) = servers.fetch(id, |object| proof.accept(object, false));
        for (place, outcome) in tried {
            self.note(wanted, Path::new(&place), false, outcome);
        }
        object
    }

    /// Returns the supplementary file that `file` needs, if it needs one.
    fn supplementary(&mut self, file: &ObjectFile) -> Option<ObjectFile> {
        let (name, id) = match (file.alt_link(), file.sup()) {
            (Some((name, id)), _) => (name.to_owned(), id.to_vec()),
            (None, Some(sup)) if !sup.is_supplementary => (sup.name.clone(), sup.checksum.clone()),
            _ => return None,
        };
        let path = real_path(file.path(), self.options.root.as_deref());
        let name = PathBuf::from(OsString::from(name));
        let beside = path
            .parent()
            .map_or_else(|| name.clone(), |path| path.join(&name));
        let ignore = self.options.ignore_build_id;
        let users: Vec<PathBuf> = self
            .options
            .debug_dirs
            .iter()
            .filter_map(|directory| Some(directory.join(".dwz").join(name.file_name()?)))
            .collect();
        let accept = |object: &ObjectFile| accept_supplementary(object, &id, ignore);
        self.try_host(WantedFile::Supplementary, &users, accept)
            .or_else(|| self.try_all(WantedFile::Supplementary, &[beside], accept))
            .or_else(|| self.by_build_id(WantedFile::Supplementary, &id))
            .or_else(|| self.by_server(WantedFile::Supplementary, &id))
    }
}

/// Opens a regular file as ELF. Returns `None` if nothing is there.
fn open_in(root: &TargetRoot, path: &Path) -> Result<Option<ObjectFile>, String> {
    let file = match root.open(path) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let image = FileImage::of_open(&file, path).map_err(|error| error.to_string())?;
    if image.len() > MAX_FILE_BYTES {
        return Err(format!(
            "it has {} bytes, over the limit of {MAX_FILE_BYTES}",
            image.len()
        ));
    }
    let mut object = ObjectFile::of_image(image, path).map_err(|error| error.to_string())?;
    object.identity = file.metadata().ok().map(|metadata| FileIdentity {
        device: metadata.dev(),
        inode: metadata.ino(),
    });
    Ok(Some(object))
}

impl Proof<'_> {
    fn accept(&self, object: &ObjectFile, ignore: bool) -> Result<(), String> {
        if !object.has_dwarf() {
            return Err("it has no debug information".to_owned());
        }
        if ignore {
            return Ok(());
        }
        match *self {
            Self::BuildId(id) => same_build(Some(id), object.build_id()),
            Self::Checksum(id, wanted) => {
                if let (Some(_), Some(_)) = (id, object.build_id()) {
                    same_build(id, object.build_id())?;
                }
                let found = crc32fast::hash(object.bytes());
                if found == wanted {
                    Ok(())
                } else {
                    Err(format!(
                        "its checksum is {found:#010x}, wanted is {wanted:#010x}"
                    ))
                }
            }
        }
    }
}

fn accept_supplementary(object: &ObjectFile, id: &[u8], ignore: bool) -> Result<(), String> {
    if !object.has_dwarf() {
        return Err("it has no debug information".to_owned());
    }
    let own = object.sup().map(|sup| sup.checksum.as_slice());
    if ignore || own == Some(id) {
        return Ok(());
    }
    same_build(Some(id), object.build_id())
}

/// Fails if two build ids belong to different builds. Two files without build ids pass, because
/// nothing tells them apart.
fn same_build(wanted: Option<&[u8]>, found: Option<&[u8]>) -> Result<(), String> {
    if wanted == found {
        return Ok(());
    }
    let text = |id: Option<&[u8]>| id.map_or_else(|| "none".to_owned(), hex);
    Err(format!(
        "its build id is {}, wanted is {}",
        text(found),
        text(wanted)
    ))
}

/// Returns bytes as hexadecimal digits.
pub(in crate::debuginfo) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Returns `.build-id/xx/yyyy.debug` for a build id.
fn build_id_path(id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = id.split_first()?;
    if rest.is_empty() {
        return None;
    }
    Some(
        Path::new(".build-id")
            .join(hex(&[*first]))
            .join(format!("{}.debug", hex(rest))),
    )
}

/// Returns the name if it is a single component of a path.
fn file_name(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(OsString::from_vec(name.as_bytes().to_vec()));
    let mut components = path.components();
    let one =
        matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none();
    (one && !name.contains('/')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_id_path_first_byte_is_the_directory() {
        let path = build_id_path(&[0xab, 0x01, 0xcd]).expect("path");
        assert_eq!(path, Path::new(".build-id/ab/01cd.debug"));
        assert_eq!(build_id_path(&[0xab]), None);
        assert_eq!(build_id_path(&[]), None);
    }

    #[test]
    fn file_name_with_directories_is_refused() {
        assert_eq!(file_name("a.debug"), Some(PathBuf::from("a.debug")));
        for name in ["", ".", "..", "/etc/shadow", "../a", "a/b", "a/"] {
            assert_eq!(file_name(name), None, "{name}");
        }
    }

    #[test]
    fn same_build_missing_id_is_another_build() {
        assert!(same_build(None, None).is_ok());
        assert!(same_build(Some(&[1, 2]), Some(&[1, 2])).is_ok());
        assert!(same_build(Some(&[1, 2]), None).is_err());
        let why = same_build(Some(&[1, 2]), Some(&[1, 3])).expect_err("differ");
        assert_eq!(why, "its build id is 0103, wanted is 0102");
    }
}
