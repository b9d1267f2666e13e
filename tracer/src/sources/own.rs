//! Distinguishes the program's own source files from those of libraries, packages and the
//! compiler.

use std::path::Path;

/// Directories with files that the system or a compiler installs.
const INSTALLED: [&str; 11] = [
    "/usr/include/",
    "/usr/lib/",
    "/usr/lib64/",
    "/usr/share/",
    "/usr/local/include/",
    "/usr/local/lib/",
    "/usr/src/rustc",
    "/lib/",
    "/lib64/",
    // Rust's own sources and the packages in its library, in the compiler's paths.
    "/rustc/",
    "/rust/deps/",
];

/// Directories in which package managers keep downloads.
const FETCHED: [&str; 7] = [
    "/cargo/registry/",
    "/.cargo/registry/",
    "/cargo/git/checkouts/",
    "/.cargo/git/checkouts/",
    "/lib/rustlib/",
    "/go/pkg/mod/",
    "/vcpkg_installed/",
];

/// Returns true if a source file is the program's own, by its path.
pub(crate) fn is_own_source(path: &Path) -> bool {
    let text = path.to_string_lossy();
    !is_installed(path) && !FETCHED.iter().any(|part| text.contains(part))
}

/// Returns true if the system or a compiler has installed a file, by its path.
pub(crate) fn is_installed(path: &Path) -> bool {
    let text = path.to_string_lossy();
    INSTALLED.iter().any(|root| text.starts_with(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_sources_are_not_installed_and_not_fetched() {
        for path in [
            "/home/dev/app/src/main.rs",
            "/usr/src/app/src/main.rs",
            "/build/nginx-1.22/src/core/nginx.c",
            "src/main.c",
        ] {
            assert!(is_own_source(Path::new(path)), "{path}");
        }
        for path in [
            "/usr/include/c++/12/vector",
            "/rustc/59807616e/library/std/src/io.rs",
            "/rust/deps/gimli-0.32.3/src/read/unit.rs",
            "/home/dev/.cargo/registry/src/serde-1.0/src/lib.rs",
            "/usr/local/cargo/registry/src/serde-1.0/src/lib.rs",
            "/home/dev/.rustup/toolchains/stable/lib/rustlib/src/rust/library/core/src/fmt.rs",
        ] {
            assert!(!is_own_source(Path::new(path)), "{path}");
        }
    }
}
