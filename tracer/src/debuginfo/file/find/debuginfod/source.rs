//! Names of source files in a server's address and in the cache.

use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The longest file name that file systems accept.
const NAME_BYTES: usize = 255;
/// Prefix of names in the cache; other tools' files have another prefix.
const PREFIX: &str = "tracer-source-";

/// Returns the end of a source's address. Returns `None` for a relative path, because servers
/// know only absolute paths.
pub(super) fn address(path: &Path) -> Option<String> {
    let path = path.is_absolute().then(|| path.as_os_str().as_bytes())?;
    Some(format!("source{}", escaped(path, b"/-._~+")))
}

/// Returns the name of a source in the cache, or `None` if it is too long to be kept.
pub(super) fn name(path: &Path) -> Option<String> {
    let name = format!("{PREFIX}{}", escaped(path.as_os_str().as_bytes(), b"-._+"));
    (name.len() <= NAME_BYTES).then_some(name)
}

/// Replaces all bytes but letters, digits and those in `kept` with `%` and two hexadecimal
/// digits.
fn escaped(bytes: &[u8], kept: &[u8]) -> String {
    let escape = |&byte: &u8| {
        let is_plain = byte.is_ascii_alphanumeric() || kept.contains(&byte);
        match is_plain {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        }
    };
    bytes.iter().map(escape).collect()
}

/// Reads the text of a source.
pub(super) fn read(file: &File) -> Result<String, String> {
    let mut file = file;
    crate::sources::text(&mut file).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_so_that_no_two_paths_share_one() {
        let path = Path::new("/usr/src/a b/c++%2F.c");
        assert_eq!(
            address(path).as_deref(),
            Some("source/usr/src/a%20b/c++%252F.c")
        );
        assert_eq!(
            name(path).as_deref(),
            Some("tracer-source-%2Fusr%2Fsrc%2Fa%20b%2Fc++%252F.c")
        );
        assert_eq!(address(Path::new("src/a.c")), None);
        assert_eq!(name(Path::new(&"x".repeat(250))), None);
    }
}
