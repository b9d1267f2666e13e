use std::collections::HashMap;

use super::*;

fn servers(variables: &[(&str, &str)]) -> Option<Servers> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    Servers::of_variables(|name| variables.get(name).map(|value| (*value).to_owned()))
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
