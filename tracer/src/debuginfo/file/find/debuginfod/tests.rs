use std::collections::HashMap;

use super::*;

fn servers(variables: &[(&str, &str)]) -> Option<Servers> {
    named(variables, None, false)
}

fn named(variables: &[(&str, &str)], cache: Option<&Path>, is_root: bool) -> Option<Servers> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    let variable = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    Servers::of_variables(variable, cache, is_root)
}

#[test]
fn environment_without_urls_asks_nobody() {
    assert_eq!(servers(&[("HOME", "/home/a")]), None);
    assert_eq!(
        servers(&[("HOME", "/home/a"), ("DEBUGINFOD_URLS", " ")]),
        None
    );
    let other = [
        ("HOME", "/home/a"),
        ("DEBUGINFOD_URLS", "file:///etc ftp://b"),
    ];
    assert_eq!(servers(&other), None);
}

#[test]
fn environment_urls_cache_and_limits_are_read() {
    let found = servers(&[
        ("HOME", "/home/a"),
        ("DEBUGINFOD_URLS", "http://one/ https://two"),
        ("DEBUGINFOD_MAXSIZE", "100"),
        ("DEBUGINFOD_TIMEOUT", "7"),
        ("DEBUGINFOD_MAXTIME", "0"),
    ])
    .expect("servers");
    assert_eq!(found.urls, ["http://one", "https://two"]);
    assert_eq!(found.cache, Path::new("/home/a/.cache/debuginfod_client"));
    assert_eq!(found.file_bytes, 100);
    assert_eq!(found.answer_time, Duration::from_secs(7));
    assert_eq!(found.file_time, FILE_TIME);
    let xdg = [
        ("DEBUGINFOD_URLS", "http://one"),
        ("XDG_CACHE_HOME", "/cache"),
    ];
    assert_eq!(
        servers(&xdg).expect("servers").cache,
        Path::new("/cache/debuginfod_client")
    );
}

#[test]
fn environment_of_another_user_does_not_say_where_the_cache_of_root_is() {
    let by_sudo = [
        ("DEBUGINFOD_URLS", "http://one"),
        ("DEBUGINFOD_CACHE_PATH", "/home/a/cache"),
        ("XDG_CACHE_HOME", "/home/a/.cache"),
        ("HOME", "/home/a"),
        ("SUDO_UID", "1000"),
    ];
    let own = crate::base::users::home_of(0)
        .expect("root's home")
        .join(".cache/debuginfod_client");
    let found = named(&by_sudo, None, true).expect("servers");
    assert_eq!((found.cache, found.cache_owner), (own, None));
    let told = named(&by_sudo, Some(Path::new("/told")), true).expect("servers");
    assert_eq!(told.cache, Path::new("/told"));
    assert_eq!(told.cache_owner, Some(1000));
    // Without root's permissions, or as root alone, the variables are the user's own.
    for (variables, is_root) in [(&by_sudo[..], false), (&by_sudo[..4], true)] {
        let found = named(variables, None, is_root).expect("servers");
        assert_eq!(found.cache, Path::new("/home/a/cache"));
        assert_eq!(found.cache_owner, None);
    }
}
