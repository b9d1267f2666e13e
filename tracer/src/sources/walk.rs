//! Looks a path up below a root directory, one component at a time.
//!
//! Each directory on the way is held open. Links are read and followed here, and `..` goes back
//! to a directory that was passed, so nothing that is renamed or linked meanwhile leads out of
//! the root. Nothing is opened for reading.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, fstatfs};
use rustix::io::Errno;

use super::SourceError;
use super::reader::{READ, SEARCH, SourceReader};
use crate::limits::{SOURCE_BYTES, SOURCE_COMPONENTS, SOURCE_LINKS};

/// Directories of the root that have no sources.
const NO_SOURCES: [&[u8]; 3] = [b"proc", b"sys", b"dev"];

/// File systems that have no files but those that the kernel makes up, by the numbers that
/// `statfs` gives (`include/uapi/linux/magic.h` of Linux, and the file systems themselves).
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

/// Where a look-up begins, and for whom.
pub(super) struct Start<'s> {
    /// Nothing above it is reached.
    pub(super) root: OwnedFd,
    /// Names without a leading `/` begin here.
    pub(super) directory: &'s Path,
    /// For whom it is read.
    pub(super) readers: Readers<'s>,
}

/// For whom a file is read.
#[derive(Clone, Copy)]
pub(super) enum Readers<'s> {
    /// One of them must be allowed all of it.
    Of(&'s [SourceReader]),
    /// The user has named the root, and may read everything there.
    User,
}

/// Looks up one path after the other.
pub(super) struct Walker<'s> {
    directory: &'s Path,
    root: Way<'s>,
    /// Of our own devices; `None`: it is no file system of its own.
    devices: Option<u64>,
    /// The directory of the last path: sources that follow each other mostly share it.
    last: Option<(PathBuf, Result<Way<'s>, Refused>)>,
}

/// A directory on the way.
struct Step {
    fd: OwnedFd,
    device: u64,
}

/// The directories that were passed, and who was allowed all of them.
#[derive(Clone)]
struct Way<'s> {
    steps: Vec<Rc<Step>>,
    /// `None`: nobody's permission counts.
    readers: Option<Vec<&'s SourceReader>>,
    links: usize,
    passed: usize,
}

/// Why a directory is not passed.
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
    /// The root says nothing of itself.
    pub(super) fn new(start: Start<'s>) -> Result<Self, SourceError> {
        let device = fstat(&start.root)?.st_dev;
        let step = Rc::new(Step {
            fd: start.root,
            device,
        });
        Ok(Self {
            directory: start.directory,
            root: Way {
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

    /// A file that may be shown, opened for nothing yet.
    ///
    /// # Errors
    /// It may not be shown, or is not there.
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

    /// The way to a directory.
    fn parent(&mut self, path: &Path) -> Result<Way<'s>, Refused> {
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

    /// Goes along a path: `Some` is the file at its end, which is no directory.
    fn follow(&self, way: &mut Way<'s>, path: &[u8]) -> Result<Option<(OwnedFd, Stat)>, Refused> {
        let mut ahead: Vec<Vec<u8>> = Vec::new();
        way.expect(path, &mut ahead)?;
        while let Some(name) = ahead.pop() {
            if name == b".." {
                // Above the root is the root.
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
                    way.steps.push(Rc::new(Step {
                        fd: next,
                        device: stat.st_dev,
                    }));
                }
                // A file has nothing below it.
                _ if !ahead.is_empty() => return Err(Refused::Absent),
                _ => {
                    self.enter(&here, &next, &stat)?;
                    return Ok(Some((next, stat)));
                }
            }
        }
        Ok(None)
    }

    /// Refuses a file system without sources. A mount may be on a file, too.
    fn enter(&self, from: &Step, into: &OwnedFd, stat: &Stat) -> Result<(), Refused> {
        if stat.st_dev == from.device {
            return Ok(());
        }
        if self.devices == Some(stat.st_dev) || is_made_up(into)? {
            return Err(Refused::Kernel);
        }
        Ok(())
    }
}

impl Way<'_> {
    /// Puts the components of a path before those that are ahead, the last of which comes first.
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

    /// Leaves those readers that are allowed `wanted`.
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

/// The file is in a file system that the kernel makes up.
pub(super) fn is_made_up(file: &OwnedFd) -> Result<bool, Errno> {
    let kind = fstatfs(file)?.f_type;
    Ok(u32::try_from(kind).is_ok_and(|kind| MADE_UP.contains(&kind)))
}

/// The file system of our devices: that type of file system has the number of tmpfs.
fn own_devices() -> Option<u64> {
    let device = |path| rustix::fs::stat(path).ok().map(|stat| stat.st_dev);
    device("/dev").filter(|devices| Some(*devices) != device("/"))
}
