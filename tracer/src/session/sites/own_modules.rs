//! Recognizes the program's own modules: its executable, and libraries that are not installed.
//!
//! Lists put them first, since users look for bugs there.

use crate::sources::is_installed;
use crate::target::MappedModule as MappedFile;

/// Returns true for the program's own modules: its executable, and libraries beside it.
pub(in crate::session) fn is_own_module(module: &MappedFile) -> bool {
    module.main || !is_installed(&module.path)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn own_modules_are_the_executable_and_libraries_beside_it() {
        let module = |path: &str, main| MappedFile {
            path: PathBuf::from(path),
            name: String::new(),
            open_path: PathBuf::from(path),
            main,
            replaced: false,
            identity: (0, 0),
            version: None,
            mappings: Vec::new(),
            zeroed: Vec::new(),
        };
        assert!(is_own_module(&module("/usr/sbin/nginx", true)));
        assert!(is_own_module(&module("/srv/app/libplugin.so", false)));
        assert!(!is_own_module(&module(
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
            false
        )));
    }
}
