//! Finds and reads the configuration file.
//!
//! Under `sudo` the file is the invoking user's, who may be anyone. It is read like a file of a
//! stranger: nothing but a regular file of bounded size is opened. Neither the file nor its directory
//! may be a link, and nobody else may be able to write to the directories on the way.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::base::limits::CONFIG_BYTES;
use crate::base::private::PrivateDirectory;
use crate::base::users::{home_of, invoker};

/// The directory and the file, below the directory of all configurations.
const DIRECTORY: &str = "tracer";
const FILE: &str = "config.toml";

/// Everyone may write.
const OTHERS_WRITE: u32 = 0o002;

/// The place of the configuration file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConfigPlace {
    directory: PathBuf,
    /// The user who owns it, unless root does.
    owner: u32,
}

impl ConfigPlace {
    /// The place of the invoking user: that of `sudo`, or of this process.
    pub(super) fn of_environment() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        Self::new(variable, rustix::process::geteuid().as_raw())
    }

    fn new(variable: impl Fn(&str) -> Option<String>, user: u32) -> Option<Self> {
        let set = |name| variable(name).filter(|value| !value.trim().is_empty());
        let (configurations, owner) = match invoker(&variable, user == 0).ok()? {
            // The variables may be root's.
            Some(invoker) => (home_of(invoker)?.join(".config"), invoker),
            None => {
                let absolute = |path: PathBuf| path.is_absolute().then_some(path);
                let named = set("XDG_CONFIG_HOME").map(PathBuf::from).and_then(absolute);
                let home = || Some(Path::new(&set("HOME")?).join(".config"));
                (named.or_else(home)?, user)
            }
        };
        Some(Self {
            directory: configurations.join(DIRECTORY),
            owner,
        })
    }

    /// The path of the file.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// The text of the file. `None` if there is none.
    ///
    /// # Errors
    /// It is something else than a file of this user, others could have written it, or it is too
    /// large.
    pub(super) fn read(&self) -> io::Result<Option<String>> {
        let directory = match PrivateDirectory::open(&self.directory, false, Some(self.owner)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            directory => directory?,
        };
        let Some(file) = directory.file(FILE)? else {
            return Ok(None);
        };
        if file.metadata()?.mode() & OTHERS_WRITE != 0 {
            return Err(io::Error::other("everyone can write to it"));
        }
        text_of(file).map(Some)
    }
}

/// Reads a file that the user has named. Links are the user's own business.
///
/// # Errors
/// It is not a regular file, it is too large, or it cannot be read.
pub(super) fn read_named(path: &Path) -> io::Result<String> {
    // Check the type first, because opening a device can have an effect.
    let regular = |metadata: io::Result<std::fs::Metadata>| match metadata?.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    };
    regular(std::fs::metadata(path))?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(path)?;
    regular(file.metadata())?;
    text_of(file)
}

fn text_of(file: File) -> io::Result<String> {
    let mut text = Vec::new();
    file.take(CONFIG_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > CONFIG_BYTES {
        let why = format!("it has more than {CONFIG_BYTES} bytes");
        return Err(io::Error::other(why));
    }
    String::from_utf8(text).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// The place of the file with these variables.
    fn place(variables: &[(&str, &str)], user: u32) -> Option<String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let place = ConfigPlace::new(variable, user)?;
        Some(format!("{} of {}", place.path().display(), place.owner))
    }

    #[test]
    fn place_is_below_xdg_config_home_or_home() {
        let home = ("HOME", "/home/sam");
        let own = Some("/home/sam/.config/tracer/config.toml of 1000".to_owned());
        assert_eq!(place(&[home], 1000), own);
        assert_eq!(place(&[home, ("XDG_CONFIG_HOME", "")], 1000), own);
        // The specification has relative ones ignored.
        assert_eq!(place(&[home, ("XDG_CONFIG_HOME", "etc")], 1000), own);
        let named = place(&[home, ("XDG_CONFIG_HOME", "/etc/sam")], 1000);
        assert_eq!(
            named.as_deref(),
            Some("/etc/sam/tracer/config.toml of 1000")
        );
        assert_eq!(place(&[], 1000), None);
    }

    #[test]
    fn place_under_sudo_is_the_invoking_user_s() {
        // A user of every Debian.
        let home = home_of(1).expect("a user `daemon`");
        let of_sudo = |uid| {
            [
                ("HOME", "/root"),
                ("XDG_CONFIG_HOME", "/root/x"),
                ("SUDO_UID", uid),
            ]
        };
        let theirs = format!("{}/.config/tracer/config.toml of 1", home.display());
        assert_eq!(place(&of_sudo("1"), 0), Some(theirs.clone()));
        assert_eq!(place(&[("DOAS_USER", "daemon")], 0), Some(theirs));
        // Whoever is not root was not made so by `sudo`.
        let own = Some("/root/x/tracer/config.toml of 5".to_owned());
        assert_eq!(place(&of_sudo("1"), 5), own);
        assert_eq!(place(&of_sudo("nobody"), 5), own);
        let root = Some("/root/x/tracer/config.toml of 0".to_owned());
        assert_eq!(place(&of_sudo("0"), 0), root);
        assert_eq!(place(&of_sudo("nobody"), 0), None);
        assert_eq!(place(&of_sudo("4123456789"), 0), None);
    }

    /// A directory of configurations with a file, and its place.
    fn made(text: &str) -> (tempfile::TempDir, ConfigPlace) {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join(DIRECTORY);
        fs::create_dir(&directory).expect("made");
        fs::write(directory.join(FILE), text).expect("written");
        let owner = rustix::process::geteuid().as_raw();
        (home, ConfigPlace { directory, owner })
    }

    fn refused(place: &ConfigPlace) -> String {
        place.read().expect_err("it is refused").to_string()
    }

    #[test]
    fn file_is_read_and_a_missing_one_is_none() {
        let (home, place) = made("theme = \"dark\"\n");
        assert_eq!(place.read().unwrap().as_deref(), Some("theme = \"dark\"\n"));
        fs::remove_file(place.path()).unwrap();
        assert_eq!(place.read().unwrap(), None);
        fs::remove_dir(home.path().join(DIRECTORY)).unwrap();
        assert_eq!(place.read().unwrap(), None);
    }

    #[test]
    fn file_that_others_could_have_written_is_refused() {
        let (_home, place) = made("");
        fs::set_permissions(place.path(), Permissions::from_mode(0o666)).unwrap();
        assert_eq!(refused(&place), "everyone can write to it");
        fs::set_permissions(place.path(), Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(&place.directory, Permissions::from_mode(0o777)).unwrap();
        assert!(refused(&place).starts_with("others can write to it"));
        fs::set_permissions(&place.directory, Permissions::from_mode(0o755)).unwrap();
        let theirs = ConfigPlace { owner: 1, ..place };
        if rustix::process::geteuid().is_root() {
            // Root's files are trusted by all.
            assert_eq!(theirs.read().unwrap().as_deref(), Some(""));
            std::os::unix::fs::chown(theirs.path(), Some(2), None).unwrap();
            assert_eq!(refused(&theirs), "it belongs to user 2");
        }
    }

    #[test]
    fn link_directory_and_pipe_in_place_of_the_file_are_refused() {
        let (home, place) = made("");
        let secret = home.path().join("secret");
        fs::write(&secret, "theme = 1").unwrap();
        let replace = |with: &dyn Fn(&Path)| {
            let path = place.path();
            let _ = fs::remove_file(&path);
            let _ = fs::remove_dir(&path);
            with(&path);
            assert_eq!(refused(&place), "it is not a regular file");
        };
        replace(&|path| symlink(&secret, path).unwrap());
        replace(&|path| fs::create_dir(path).unwrap());
        replace(&|path| {
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        });
    }

    #[test]
    fn file_that_is_too_large_or_no_text_is_refused() {
        let (_home, place) = made("");
        fs::write(place.path(), "#".repeat(CONFIG_BYTES as usize)).unwrap();
        assert!(place.read().is_ok());
        fs::write(place.path(), "#".repeat(CONFIG_BYTES as usize + 1)).unwrap();
        assert_eq!(refused(&place), "it has more than 65536 bytes");
        fs::write(place.path(), b"# \xff").unwrap();
        assert_eq!(refused(&place), "it is not UTF-8 text");
    }

    #[test]
    fn named_file_may_be_a_link_but_no_device() {
        let (home, place) = made("redact = []");
        let link = home.path().join("link");
        symlink(place.path(), &link).unwrap();
        assert_eq!(read_named(&link).unwrap(), "redact = []");
        for path in ["/dev/tty", "/dev/zero", "/"] {
            let error = read_named(Path::new(path)).expect_err(path);
            assert_eq!(error.to_string(), "it is not a regular file");
        }
        assert!(read_named(&home.path().join("missing")).is_err());
    }
}
