//! Which modules are the program's own: its executable, and libraries that are not installed.
//!
//! Lists put them first, since a bug is looked for there.

use crate::sources::is_installed;
use crate::target::Module as MappedFile;

/// Whether a module is the program's own: its executable, or a library beside it.
pub(super) fn is_own_module(module: &MappedFile) -> bool {
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
