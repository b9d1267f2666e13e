//! The users of this machine, as `/etc/passwd` lists them.

use std::path::PathBuf;

/// Path of the list.
const USERS: &str = "/etc/passwd";

/// A user of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The login name.
    pub(crate) name: String,
    /// The user's number.
    pub(crate) uid: u32,
    /// The number of the user's main group.
    pub(crate) gid: u32,
    /// Path of the home directory.
    pub(crate) home: String,
    /// Path of the login shell.
    pub(crate) shell: String,
}

impl User {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let mut fields = fields.skip(1);
        Some(Self {
            name,
            uid: fields.next()?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
            home: fields.nth(1)?.to_owned(),
            shell: fields.next().unwrap_or_default().to_owned(),
        })
    }
}

/// The user with this name. `None` if the list has no such user.
pub(crate) fn user_named(name: &str) -> Option<User> {
    find(&std::fs::read_to_string(USERS).ok()?, |user| {
        user.name == name
    })
}

/// The user with this number. `None` if the list has no such user.
pub(crate) fn user_of(uid: u32) -> Option<User> {
    find(&std::fs::read_to_string(USERS).ok()?, |user| {
        user.uid == uid
    })
}

fn find(users: &str, is_wanted: impl Fn(&User) -> bool) -> Option<User> {
    users.lines().filter_map(User::parse).find(is_wanted)
}

/// A user's home directory. `None` if the list has no such user.
pub(crate) fn home_of(user: u32) -> Option<PathBuf> {
    let home = user_of(user)?.home;
    home.starts_with('/').then(|| PathBuf::from(home))
}

/// A user's number. `None` if the list has no such user.
pub(crate) fn id_of(name: &str) -> Option<u32> {
    user_named(name).map(|user| user.uid)
}

/// The number of the user who had `sudo`, `pkexec` or `doas` run this process as root. `None` if nobody did, or root
/// itself.
///
/// # Errors
/// The name of a variable that means no user.
pub(crate) fn invoker(
    variable: impl Fn(&str) -> Option<String>,
    is_root: bool,
) -> Result<Option<u32>, &'static str> {
    if !is_root {
        return Ok(None);
    }
    for name in ["SUDO_UID", "PKEXEC_UID", "DOAS_USER"] {
        let Some(value) = variable(name).filter(|value| !value.trim().is_empty()) else {
            continue;
        };
        let value = value.trim();
        let number = match name {
            "DOAS_USER" => id_of(value),
            _ => value.parse().ok(),
        };
        let number = number.ok_or(name)?;
        return Ok((number != 0).then_some(number));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invoker_is_the_user_of_the_first_variable_that_is_set() {
        let invoker = |variables: &[(&str, &str)], is_root| {
            let value = |name: &str| {
                let found = variables.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            invoker(value, is_root)
        };
        assert_eq!(invoker(&[], true), Ok(None));
        assert_eq!(invoker(&[("SUDO_UID", "7")], true), Ok(Some(7)));
        assert_eq!(invoker(&[("SUDO_UID", "x")], true), Err("SUDO_UID"));
        // Whoever is not root was not made so.
        assert_eq!(invoker(&[("SUDO_UID", "x")], false), Ok(None));
        assert_eq!(invoker(&[("SUDO_UID", "0")], true), Ok(None));
        let both = [("SUDO_UID", " "), ("PKEXEC_UID", "8")];
        assert_eq!(invoker(&both, true), Ok(Some(8)));
        // A user of every Debian.
        assert_eq!(invoker(&[("DOAS_USER", "daemon")], true), Ok(Some(1)));
        let nobody = [("DOAS_USER", "no such user")];
        assert_eq!(invoker(&nobody, true), Err("DOAS_USER"));
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\n\
                     sam:x:1000:100:Sam,,:/home/sam:/bin/sh\nbad\nx:x:none:0:::\ny:x:5:6::\n";
        let sam = User {
            name: "sam".into(),
            uid: 1000,
            gid: 100,
            home: "/home/sam".into(),
            shell: "/bin/sh".into(),
        };
        assert_eq!(find(users, |user| user.uid == 1000), Some(sam.clone()));
        assert_eq!(find(users, |user| user.name == "sam"), Some(sam));
        for name in ["sa", "bad", "x", ""] {
            assert_eq!(find(users, |user| user.name == name), None, "{name}");
        }
        let short = find(users, |user| user.uid == 5);
        assert_eq!(short.map(|user| user.home), Some(String::new()));
    }
}
