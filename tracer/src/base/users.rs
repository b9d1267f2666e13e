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

#[cfg(test)]
mod tests {
    use super::*;

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
