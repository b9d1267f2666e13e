//! The user that a program runs as.

use std::ffi::{CString, OsStr, OsString};
use std::io;

use super::error::LaunchError;
use crate::base::users::{User, invoker, user_named, user_of};

/// Groups of a user. Further ones are left out.
///
/// The kernel takes no more (`NGROUPS_MAX`).
const GROUPS: usize = 65_536;

/// Variables in which `sudo` says who called it.
const SUDO: [&str; 5] = [
    "SUDO_UID",
    "SUDO_GID",
    "SUDO_USER",
    "SUDO_COMMAND",
    "SUDO_HOME",
];

/// A user that a program runs as, if it is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchUser {
    /// The name, or the number if there is none.
    pub name: String,
    /// Number of the user.
    pub uid: u32,
    /// Number of the user's main group.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
    home: Option<OsString>,
    shell: Option<OsString>,
}

impl LaunchUser {
    /// Returns the user who called `sudo`, if that is how this process runs as root.
    ///
    /// # Errors
    /// The variables of `sudo` are no numbers: whom they mean is unknown, and root it is not.
    pub fn of_sudo() -> Result<Option<Self>, LaunchError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let Some(uid) = sudo_number("SUDO_UID")?.filter(|&uid| uid != 0) else {
            return Ok(None);
        };
        let known = user_of(uid);
        let gid = sudo_number("SUDO_GID")?.or(known.as_ref().map(|user| user.gid));
        let named = std::env::var("SUDO_USER").ok();
        let home = std::env::var_os("SUDO_HOME");
        let user = known.unwrap_or_else(|| User {
            name: named.unwrap_or_else(|| uid.to_string()),
            uid,
            gid: uid,
            home: home.unwrap_or_default().to_string_lossy().into_owned(),
            shell: String::new(),
        });
        Ok(Some(Self::new(User {
            gid: gid.unwrap_or(user.gid),
            ..user
        })))
    }

    /// Returns the user who called `sudo`, `pkexec` or `doas`, if that is how this process runs as root.
    ///
    /// # Errors
    /// A variable of theirs means no user.
    pub fn of_invoker() -> Result<Option<Self>, LaunchError> {
        if let Some(user) = Self::of_sudo()? {
            return Ok(Some(user));
        }
        let value = |name: &str| std::env::var(name).ok();
        let is_root = rustix::process::geteuid().is_root();
        let invoker = invoker(value, is_root).map_err(|variable| LaunchError::BadSudo {
            variable,
            value: value(variable).unwrap_or_default(),
        })?;
        invoker.map(|uid| Self::named(&uid.to_string())).transpose()
    }

    /// Returns the home directory.
    #[must_use]
    pub fn home(&self) -> Option<&OsStr> {
        self.home.as_deref()
    }

    /// Returns a user by name or number.
    ///
    /// # Errors
    /// There is none.
    pub fn named(text: &str) -> Result<Self, LaunchError> {
        let user = user_named(text).or_else(|| user_of(text.parse().ok()?));
        let user = user.ok_or_else(|| LaunchError::NoSuchUser(text.to_owned()))?;
        Ok(Self::new(user))
    }

    fn new(user: User) -> Self {
        let text = |text: String| (!text.is_empty()).then(|| OsString::from(text));
        Self {
            groups: groups(&user.name, user.gid),
            home: text(user.home),
            shell: text(user.shell),
            name: user.name,
            uid: user.uid,
            gid: user.gid,
        }
    }

    /// Returns true if this process is that user already.
    pub(super) fn is_own(&self) -> bool {
        rustix::process::geteuid().as_raw() == self.uid
            && rustix::process::getegid().as_raw() == self.gid
    }

    /// Makes an environment that of the user: `sudo` changed these variables for root.
    pub(super) fn change(&self, environment: &mut Vec<(OsString, OsString)>) {
        environment.retain(|(name, _)| !SUDO.iter().any(|sudo| name == sudo));
        let mail = OsString::from(format!("/var/mail/{}", self.name));
        let name = OsString::from(&self.name);
        for (variable, value, always) in [
            ("HOME", self.home.as_ref(), true),
            ("USER", Some(&name), true),
            ("LOGNAME", Some(&name), true),
            ("SHELL", self.shell.as_ref(), false),
            ("MAIL", Some(&mail), false),
        ] {
            let is_set = environment.iter().any(|(name, _)| name == variable);
            environment.retain(|(name, _)| name != variable);
            if let Some(value) = value.filter(|_| always || is_set) {
                environment.push((OsString::from(variable), value.clone()));
            }
        }
    }
}

fn sudo_number(variable: &'static str) -> Result<Option<u32>, LaunchError> {
    let Some(value) = std::env::var_os(variable) else {
        return Ok(None);
    };
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| LaunchError::BadSudo {
        variable,
        value: OsStr::to_string_lossy(&value).into_owned(),
    })
}

/// The groups of a user, as the system's directory services know them.
fn groups(name: &str, gid: u32) -> Vec<u32> {
    let only_main = || vec![gid];
    let Ok(name) = CString::new(name) else {
        return only_main();
    };
    let mut room = 64;
    while room <= GROUPS {
        let mut groups: Vec<libc::gid_t> = vec![0; room];
        let Ok(mut count) = i32::try_from(room) else {
            break;
        };
        #[expect(unsafe_code, reason = "the C library knows the directory services")]
        // SAFETY: the name ends with a zero, and there is room for `count` groups.
        let found =
            unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
        if found >= 0 {
            groups.truncate(usize::try_from(count).unwrap_or_default());
            return groups;
        }
        room *= 4;
    }
    tracing::debug!(error = %io::Error::last_os_error(), "groups of the user are unknown");
    only_main()
}
