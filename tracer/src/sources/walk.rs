//! Looks a path up below a root directory, one component at a time.
//!
//! Each directory on the way is held open. Links are read and followed here, and `..` returns to a
//! directory that was passed. So a rename or a new link in the meantime cannot lead out of the
//! root. No file is opened for reading.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, fstatfs};
use rustix::io::Errno;

use super::SourceError;
use super::reader::{READ, SEARCH, SourceReader};
use crate::base::limits::{SOURCE_BYTES, SOURCE_COMPONENTS, SOURCE_LINKS};

/// Directories of the root without sources.
const NO_SOURCES: [&[u8]; 3] = [b"proc", b"sys", b"dev"];

/// Virtual file systems of the kernel, by the magic numbers of `statfs`
/// (`include/uapi/linux/magic.h` of Linux, and the file systems themselves).
const MADE_UP: [u32; 31] = [
    0x9fa0,      // procfs
    0x6265_6572, // sysfs
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0x5a3c_69f0, // apparmorfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x0776_5821, // resctrl
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x9584_58f6, // hugetlbfs
    0x1cd1,      // devpts
    0x1980_0202, // mqueue
    0x4249_4e4d, // binfmt_misc
    0x6265_6570, // configfs
    0x6e73_6673, // nsfs
    0x5049_5045, // pipefs
    0x534f_434b, // sockfs
    0x6573_5543, // fusectl
    0x6c6f_6f70, // binderfs
    0xabba_1974, // xenfs
    0x9fa2,      // usbfs
    0x454d_444d, // devmem
    0x5049_4446, // pidfs
    0x0904_1934, // anonymous inodes
    0x6759_6969, // rpc_pipefs
    0x0187,      // autofs
];

/// The start of a look-up, and the users who may read.
pub(super) struct WalkStart<'s> {
    /// The root, which the look-up cannot leave.
    pub(super) root: OwnedFd,
    /// The folder for names without a leading `/`.
    pub(super) directory: &'s Path,
    /// The users who may read.
    pub(super) readers: Readers<'s>,
}

/// The users for whom a file is read.
#[derive(Clone, Copy)]
pub(super) enum Readers<'s> {
    /// One of these users must have all permissions.
    Of(&'s [SourceReader]),
    /// The user has named the root, and may read everything there.
    User,
}

/// Looks up paths.
pub(super) struct Walker<'s> {
    directory: &'s Path,
    root: WalkPath<'s>,
    /// Device of our `/dev`; `None` if it is not a separate file system.
    devices: Option<u64>,
    /// The directory of the last path. Consecutive sources mostly share it.
    last: Option<(PathBuf, Result<WalkPath<'s>, Refused>)>,
}

/// A directory on the way.
struct WalkStep {
    fd: OwnedFd,
    device: u64,
}

/// The directories that were passed, and the users who may pass all of them.
#[derive(Clone)]
struct WalkPath<'s> {
    steps: Vec<Rc<WalkStep>>,
    /// Users who may pass all directories; `None` if permissions do not matter.
    readers: Option<Vec<&'s SourceReader>>,
    links: usize,
    passed: usize,
}

/// The reason why a directory cannot be passed.
#[derive(Clone, Copy)]
enum Refused {
    Absent,
    NotRegular,
    Kernel,
    Forbidden { root: bool },
    TooLong,
    System(Errno),
}

impl From<Errno> for Refused {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR => Self::Absent,
            Errno::LOOP | Errno::NAMETOOLONG => Self::TooLong,
            error => Self::System(error),
        }
    }
}

impl From<Refused> for SourceError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Absent => Self::Absent,
            Refused::NotRegular => Self::NotRegular,
            Refused::Kernel => Self::Kernel,
            Refused::Forbidden { root } => Self::Forbidden { root },
            Refused::TooLong => Self::TooLong,
            Refused::System(error) => Self::System(error.into()),
        }
    }
}

impl<'s> Walker<'s> {
    /// # Errors
    /// Fails if the root cannot be looked at. The permissions of the root itself do not matter.
    pub(super) fn new(start: WalkStart<'s>) -> Result<Self, SourceError> {
        let device = fstat(&start.root)?.st_dev;
        let step = Rc::new(WalkStep {
            fd: start.root,
            device,
        });
        Ok(Self {
            directory: start.directory,
            root: WalkPath {
                steps: vec![step],
                readers: match start.readers {
                    Readers::Of(readers) => Some(readers.iter().collect()),
                    Readers::User => None,
                },
                links: 0,
                passed: 0,
            },
            devices: own_devices(),
            last: None,
        })
    }

    /// Returns a file that may be shown. It is not opened for reading.
    ///
    /// # Errors
    /// Fails with the reason why the file may not be shown.
    pub(super) fn file(&mut self, path: &Path) -> Result<OwnedFd, SourceError> {
        let path = self.directory.join(path);
        let name = path.file_name().ok_or(Refused::NotRegular)?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        let mut way = self.parent(parent)?;
        let found = self.follow(&mut way, name.as_bytes())?;
        let (file, stat) = found.ok_or(Refused::NotRegular)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(SourceError::NotRegular);
        }
        way.allow(READ, &stat)?;
        let bytes = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if bytes > SOURCE_BYTES {
            return Err(SourceError::TooLarge { bytes });
        }
        Ok(file)
    }

    /// Returns the path to a directory.
    fn parent(&mut self, path: &Path) -> Result<WalkPath<'s>, Refused> {
        if let Some((last, way)) = &self.last
            && last == path
        {
            return way.clone();
        }
        let mut way = self.root.clone();
        let found = self.follow(&mut way, path.as_os_str().as_bytes());
        let result = match found {
            Ok(None) => Ok(way),
            Ok(Some(_)) => Err(Refused::Absent),
            Err(refused) => Err(refused),
        };
        self.last = Some((path.to_owned(), result.clone()));
        result
    }

    /// Follows a path. `Some` is the file at its end, which is not a directory.
    fn follow(
        &self,
        way: &mut WalkPath<'s>,
        path: &[u8],
    ) -> Result<Option<(OwnedFd, Stat)>, Refused> {
        let mut ahead: Vec<Vec<u8>> = Vec::new();
        way.expect(path, &mut ahead)?;
        while let Some(name) = ahead.pop() {
            if name == b".." {
                // The parent of the root is the root.
                if way.steps.len() > 1 {
                    way.steps.pop();
                }
                continue;
            }
            let Some(here) = way.steps.last().cloned() else {
                return Err(Refused::Absent);
            };
            way.allow(SEARCH, &fstat(&here.fd)?)?;
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next =
                rustix::fs::openat(&here.fd, OsStr::from_bytes(&name), flags, Mode::empty())?;
            let stat = fstat(&next)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => {
                    let target = rustix::fs::readlinkat(&next, "", Vec::new())?;
                    way.links += 1;
                    if way.links > SOURCE_LINKS {
                        return Err(Refused::TooLong);
                    }
                    way.expect(target.to_bytes(), &mut ahead)?;
                }
                FileType::Directory => {
                    if way.steps.len() == 1
                        && way.readers.is_some()
                        && NO_SOURCES.contains(&name.as_slice())
                    {
                        return Err(Refused::Kernel);
                    }
                    self.enter(&here, &next, &stat)?;
                    way.steps.push(Rc::new(WalkStep {
                        fd: next,
                        device: stat.st_dev,
                    }));
                }
                // A file has no entries.
                _ if !ahead.is_empty() => return Err(Refused::Absent),
                _ => {
                    self.enter(&here, &next, &stat)?;
                    return Ok(Some((next, stat)));
                }
            }
        }
        Ok(None)
    }

    /// Refuses a file system without sources. A file can be a mount point too.
    fn enter(&self, from: &WalkStep, into: &OwnedFd, stat: &Stat) -> Result<(), Refused> {
        if stat.st_dev == from.device {
            return Ok(());
        }
        if self.devices == Some(stat.st_dev) || is_made_up(into)? {
            return Err(Refused::Kernel);
        }
        Ok(())
    }
}

impl WalkPath<'_> {
    /// Puts the components of a path before the remaining ones. The last element is the next
    /// component.
    fn expect(&mut self, path: &[u8], ahead: &mut Vec<Vec<u8>>) -> Result<(), Refused> {
        if path.starts_with(b"/") {
            self.steps.truncate(1);
        }
        let names = path.rsplit(|byte| *byte == b'/');
        for name in names.filter(|name| !name.is_empty() && *name != b".") {
            self.passed += 1;
            if self.passed > SOURCE_COMPONENTS {
                return Err(Refused::TooLong);
            }
            ahead.push(name.to_vec());
        }
        Ok(())
    }

    /// Keeps the readers that have the permission `wanted`.
    fn allow(&mut self, wanted: u32, stat: &Stat) -> Result<(), Refused> {
        let Some(readers) = &mut self.readers else {
            return Ok(());
        };
        let root = readers.iter().any(|reader| reader.user == 0);
        readers.retain(|reader| reader.may(wanted, stat));
        match readers.is_empty() {
            true => Err(Refused::Forbidden { root }),
            false => Ok(()),
        }
    }
}

/// Returns true if the file is in a virtual file system of the kernel.
pub(super) fn is_made_up(file: &OwnedFd) -> Result<bool, Errno> {
    let kind = fstatfs(file)?.f_type;
    Ok(u32::try_from(kind).is_ok_and(|kind| MADE_UP.contains(&kind)))
}

/// Returns the file system of our devices, whose type has the magic number of tmpfs.
fn own_devices() -> Option<u64> {
    let device = |path| rustix::fs::stat(path).ok().map(|stat| stat.st_dev);
    device("/dev").filter(|devices| Some(*devices) != device("/"))
}
