//! The users of this machine, as `/etc/passwd` lists them.

use std::path::PathBuf;

/// Where the list is.
const USERS: &str = "/etc/passwd";

/// A user's home directory; `None` when the list has none.
pub(crate) fn home_of(user: u32) -> Option<PathBuf> {
    home_in(&std::fs::read_to_string(USERS).ok()?, user)
}

fn home_in(users: &str, user: u32) -> Option<PathBuf> {
    let home = users.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        (fields.next()?.parse() == Ok(user)).then(|| fields.nth(2))?
    })?;
    home.starts_with('/').then(|| PathBuf::from(home))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_is_the_sixth_field_of_the_users_line() {
        let users =
            "root:x:0:0:root:/root:/bin/bash\nsam:x:1000:1000:Sam,,:/home/sam:/bin/sh\nbad\n";
        assert_eq!(home_in(users, 0), Some("/root".into()));
        assert_eq!(home_in(users, 1000), Some("/home/sam".into()));
        assert_eq!(home_in(users, 7), None);
        assert_eq!(home_in("x:x:5:5:::", 5), None);
    }
}
