//! Names of source files: in a server's address and in the cache.

use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The longest name of a file that file systems take.
const NAME_BYTES: usize = 255;
/// What a name in the cache begins with; files of other tools do not.
const PREFIX: &str = "tracer-source-";

/// The end of a source's address; `None`: servers know only absolute paths.
pub(super) fn address(path: &Path) -> Option<String> {
    let path = path.is_absolute().then(|| path.as_os_str().as_bytes())?;
    Some(format!("source{}", escaped(path, b"/-._~+")))
}

/// The name of a source in the cache; `None`: it is too long to be kept.
pub(super) fn name(path: &Path) -> Option<String> {
    let name = format!("{PREFIX}{}", escaped(path.as_os_str().as_bytes(), b"-._+"));
    (name.len() <= NAME_BYTES).then_some(name)
}

/// With `%` and two hexadecimal digits for all bytes but letters, digits, and those of `kept`.
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

/// A source's text.
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
