//! Files of our own in directories that others may have tampered with.
//!
//! A directory is used if only root and its owner can have put anything into it and into the
//! directories above it. The owner is this process's user, or another user that the caller names.
//! The directory itself must not be a link. New files are created exclusively and renamed into
//! place.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use super::users::user_of;

/// The most links on the way to a directory.
const LINKS: usize = 8;
/// Everyone may write.
const OTHERS_WRITE: u32 = 0o002;
/// The group may write.
const GROUP_WRITES: u32 = 0o020;
/// Only owners may rename and remove files in the directory.
const STICKY: u32 = 0o1000;

/// A directory whose files nobody else can have made.
#[derive(Debug)]
pub(crate) struct PrivateDirectory {
    fd: OwnedFd,
    owner: u32,
}

impl PrivateDirectory {
    /// Opens the directory at `path`. If `make` is set, makes the missing directories. The
    /// directory may belong to `owner` instead of this process's user.
    ///
    /// # Errors
    /// The directory is missing, or somebody else could have tampered with it.
    pub(crate) fn open(path: &Path, make: bool, owner: Option<u32>) -> io::Result<Self> {
        let owner = owner.unwrap_or_else(|| geteuid().as_raw());
        let mut ahead = names(&std::path::absolute(path)?);
        let mut passed = vec![open_directory(rustix::fs::CWD, OsStr::new("/"))?];
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                if passed.len() > 1 {
                    passed.pop();
                }
                continue;
            }
            let Some(here) = passed.last() else {
                return Err(Errno::NOENT.into());
            };
            let next = match open_path(here, &name) {
                Err(Errno::NOENT) if make => {
                    match rustix::fs::mkdirat(here, &*name, Mode::RWXU) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                    open_path(here, &name)?
                }
                other => other?,
            };
            let stat = fstat(&next)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::Symlink && !ahead.is_empty() {
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP.into());
                }
                is_trusted(&stat, owner)?;
                let target = rustix::fs::readlinkat(&next, "", Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    passed.truncate(1);
                }
                ahead.extend(names(&target));
                continue;
            }
            if kind != FileType::Directory {
                return Err(io::Error::other("it is not a directory"));
            }
            is_trusted(&stat, owner)?;
            passed.push(next);
        }
        let fd = passed.pop().ok_or(Errno::NOENT)?;
        Ok(Self { fd, owner })
    }

    /// A directory in this one. If `make` is set, a missing one is made.
    pub(crate) fn directory(&self, name: &str, make: bool) -> io::Result<Self> {
        let next = match open_path(&self.fd, OsStr::new(name)) {
            Err(Errno::NOENT) if make => {
                match rustix::fs::mkdirat(&self.fd, name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                open_path(&self.fd, OsStr::new(name))?
            }
            other => other?,
        };
        let stat = fstat(&next)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(io::Error::other("it is not a directory"));
        }
        is_trusted(&stat, self.owner)?;
        Ok(Self {
            fd: next,
            owner: self.owner,
        })
    }

    /// Opens a regular file in the directory. `None` if there is no such file.
    ///
    /// # Errors
    /// It is not a regular file, or it belongs to somebody else.
    pub(crate) fn file(&self, name: &str) -> io::Result<Option<File>> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // Check the type first, because opening a device can have an effect.
        let stat = match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        is_own_file(&stat, self.owner)?;
        let file = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        is_own_file(&fstat(&file)?, self.owner)?;
        Ok(Some(File::from(file)))
    }

    /// A new file, to be written and then kept under `name`.
    pub(crate) fn create(&self, name: &str) -> io::Result<PartialFile<'_>> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let part = format!("{name}.{}.{number}", std::process::id());
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, &*part, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(PartialFile {
            directory: self,
            part,
            name: name.to_owned(),
            file: File::from(file),
        })
    }
}

/// A file that is not complete yet. It is removed if it is dropped before it is kept.
pub(crate) struct PartialFile<'d> {
    directory: &'d PrivateDirectory,
    part: String,
    name: String,
    pub(crate) file: File,
}

impl PartialFile<'_> {
    /// Renames the file to its name, and replaces an existing file.
    pub(crate) fn keep(&self) -> io::Result<()> {
        let directory = &self.directory.fd;
        Ok(rustix::fs::renameat(
            directory,
            &*self.part,
            directory,
            &*self.name,
        )?)
    }
}

impl Drop for PartialFile<'_> {
    fn drop(&mut self) {
        // This fails if the file was kept, and should.
        let _ = rustix::fs::unlinkat(&self.directory.fd, &*self.part, AtFlags::empty());
    }
}

/// Creates or empties a file that the user names, for messages of our own.
///
/// A link that belongs neither to root nor to us is not followed, because anyone who may write to
/// the directory could have made it. A pipe without a reader is refused, so that nothing waits for
/// one.
///
/// # Errors
/// The file is not writable, or it is such a link.
pub(crate) fn create_named(path: &Path) -> io::Result<File> {
    let file = open_named(path, OFlags::empty(), Mode::from_raw_mode(0o644))?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::RegularFile {
        rustix::fs::ftruncate(&file, 0)?;
    }
    Ok(file)
}

/// Opens a file that the user names, to write behind its end. A new one is for its owner alone. Links are followed as
/// by [`create_named`].
///
/// # Errors
/// As of [`create_named`].
pub(crate) fn append_named(path: &Path) -> io::Result<File> {
    open_named(path, OFlags::APPEND, Mode::RUSR | Mode::WUSR)
}

/// Creates or opens a file that the user names, with the permissions `mode` if it is new.
fn open_named(path: &Path, more: OFlags, mode: Mode) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | more;
    match rustix::fs::open(path, flags | OFlags::CREATE | OFlags::EXCL, mode) {
        Err(Errno::EXIST) => {}
        created => return Ok(File::from(created?)),
    }
    let there = rustix::fs::open(
        path,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let stat = fstat(&there)?;
    let file = if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        is_trusted(&stat, geteuid().as_raw())?;
        rustix::fs::open(path, flags, Mode::empty())?
    } else {
        let again = format!("/proc/self/fd/{}", there.as_raw_fd());
        rustix::fs::open(again, flags, Mode::empty())?
    };
    Ok(File::from(file))
}

/// The components of a path, the first one last.
fn names(path: &Path) -> Vec<OsString> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().rev().filter_map(name).collect()
}

fn open_directory(at: impl std::os::fd::AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name.as_bytes(), flags, Mode::empty())
}

fn open_path(at: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name.as_bytes(), flags, Mode::empty())
}

/// Checks that nobody but root and `owner` can have made the file or can change its content.
fn is_trusted(stat: &Stat, owner: u32) -> io::Result<()> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    if stat.st_uid != 0 && stat.st_uid != owner {
        return Err(io::Error::other(format!(
            "it or a directory above it belongs to user {}",
            stat.st_uid
        )));
    }
    // The permission bits of a link do not matter. In a sticky directory nobody else can touch our
    // files.
    let is_trusted_group =
        |group| group == 0 || group == getegid().as_raw() || is_private_group(group, owner);
    let group = stat.st_mode & GROUP_WRITES != 0 && !is_trusted_group(stat.st_gid);
    let writable = group || stat.st_mode & OTHERS_WRITE != 0;
    if kind == FileType::Directory && writable && stat.st_mode & STICKY == 0 {
        return Err(io::Error::other(
            "others can write to it or to a directory above it",
        ));
    }
    Ok(())
}

/// Returns true for the group that many systems make for each user, with the user's number. By
/// convention it has no other member.
fn is_private_group(group: u32, owner: u32) -> bool {
    let user = user_of(owner);
    user.is_some_and(|user| user.gid == user.uid && user.gid == group)
}

fn is_own_file(stat: &Stat, owner: u32) -> io::Result<()> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is not a regular file"));
    }
    if stat.st_uid != 0 && stat.st_uid != owner {
        return Err(io::Error::other(format!(
            "it belongs to user {}",
            stat.st_uid
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    }

    fn write(directory: &PrivateDirectory, name: &str, text: &str) {
        let mut part = directory.create(name).expect("a new file");
        part.file.write_all(text.as_bytes()).expect("written");
        part.keep().expect("renamed");
    }

    fn read(directory: &PrivateDirectory, name: &str) -> io::Result<Option<String>> {
        let Some(mut file) = directory.file(name)? else {
            return Ok(None);
        };
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(Some(text))
    }

    #[test]
    fn directories_are_made_for_us_alone_and_files_replaced_at_once() {
        let outside = tempfile::tempdir().expect("a directory");
        let path = outside.path().join("a/b");
        assert!(PrivateDirectory::open(&path, false, None).is_err());
        let directory = PrivateDirectory::open(&path, true, None).expect("made");
        let below = directory.directory("c", true).expect("made");
        let bits = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((bits(&path), bits(&path.join("c"))), (0o700, 0o700));
        assert_eq!(read(&below, "file").expect("nothing"), None);
        write(&below, "file", "one");
        write(&below, "file", "two");
        assert_eq!(
            read(&below, "file").expect("a file").as_deref(),
            Some("two")
        );
        drop(below.create("file").expect("a part"));
        assert_eq!(
            fs::read_dir(path.join("c")).expect("it is there").count(),
            1
        );
    }

    #[test]
    fn links_at_the_end_are_refused_and_never_written_through() {
        let outside = tempfile::tempdir().expect("a directory");
        let victim = outside.path().join("victim");
        fs::write(&victim, "precious").expect("a file");
        let path = outside.path().join("cache");
        let directory = PrivateDirectory::open(&path, true, None).expect("made");
        symlink(&victim, path.join("file")).expect("a link");
        assert!(directory.file("file").is_err());
        write(&directory, "file", "ours");
        assert_eq!(fs::read_to_string(&victim).expect("a file"), "precious");
        assert_eq!(
            read(&directory, "file").expect("ours").as_deref(),
            Some("ours")
        );
        let elsewhere = outside.path().join("elsewhere");
        symlink(&path, &elsewhere).expect("a link");
        assert!(PrivateDirectory::open(&elsewhere, true, None).is_err());
        symlink(outside.path(), path.join("id")).expect("a link");
        assert!(directory.directory("id", true).is_err());
        // A link of our own is followed on the way to the directory.
        let through = elsewhere.join("deeper");
        assert!(PrivateDirectory::open(&through, true, None).is_ok());
        assert!(path.join("deeper").is_dir());
    }

    #[test]
    fn directory_that_others_can_write_to_is_refused() {
        let outside = tempfile::tempdir().expect("a directory");
        let path = outside.path().join("open/cache");
        fs::create_dir_all(&path).expect("directories");
        let open = || PrivateDirectory::open(&path, true, None);
        mode(&outside.path().join("open"), 0o777);
        assert!(open().is_err());
        mode(&outside.path().join("open"), 0o1777);
        assert!(open().is_ok());
        mode(&path, 0o707);
        assert!(open().is_err());
        mode(&path, 0o700);
        assert!(open().is_ok());
    }

    #[test]
    fn directories_and_files_of_others_are_refused() {
        let outside = tempfile::tempdir().expect("a directory");
        let path = outside.path().join("cache");
        let directory = PrivateDirectory::open(&path, true, None).expect("made");
        fs::write(path.join("file"), "").expect("a file");
        let give = |path: &Path| std::os::unix::fs::chown(path, Some(65_534), None);
        if give(&path.join("file")).is_err() {
            eprintln!("skipped: only root can give files away");
            return;
        }
        assert!(directory.file("file").is_err());
        give(&path).expect("given");
        assert!(PrivateDirectory::open(&path, true, None).is_err());
        let theirs =
            PrivateDirectory::open(&path, true, Some(65_534)).expect("named by the caller");
        assert!(theirs.file("file").expect("theirs").is_some());
    }

    #[test]
    fn pipe_in_place_of_a_file_does_not_hold_us_up() {
        let outside = tempfile::tempdir().expect("a directory");
        let directory = PrivateDirectory::open(outside.path(), false, None).expect("there");
        let made = std::process::Command::new("mkfifo")
            .arg(outside.path().join("file"))
            .status();
        assert!(made.expect("mkfifo").success());
        assert!(directory.file("file").is_err());
    }

    #[test]
    fn named_file_is_made_emptied_and_not_written_through_links_of_others() {
        let outside = tempfile::tempdir().expect("a directory");
        let at = |name: &str| outside.path().join(name);
        let write = |name: &str, text: &str| {
            let mut file = create_named(&at(name))?;
            file.write_all(text.as_bytes())
        };
        write("log", "a long text").expect("made");
        write("log", "short").expect("emptied");
        assert_eq!(fs::read_to_string(at("log")).expect("a file"), "short");
        symlink("log", at("own")).expect("a link");
        write("own", "through").expect("a link of ours");
        assert_eq!(fs::read_to_string(at("log")).expect("a file"), "through");
        let made = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status();
        assert!(made.expect("mkfifo").success());
        assert!(write("pipe", "nobody reads").is_err());
        if std::os::unix::fs::lchown(at("own"), Some(65_534), None).is_ok() {
            assert!(write("own", "theirs").is_err());
            assert_eq!(fs::read_to_string(at("log")).expect("a file"), "through");
        }
    }
}
