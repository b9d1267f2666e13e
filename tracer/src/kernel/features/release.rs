//! The version of the running kernel.

use std::fs;

/// The first Linux whose multi-uprobe links are used: before, their pid filter was wrong.
pub const MULTI_LINKS: (u32, u32) = (6, 10);

/// Major and minor number of the running kernel.
#[must_use]
pub fn kernel_release() -> (u32, u32) {
    release_of(&fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default())
}

/// `6.18.44-cloud` as numbers.
fn release_of(text: &str) -> (u32, u32) {
    let mut numbers = text
        .trim()
        .split(['.', '-', '+'])
        .map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_are_read_as_numbers() {
        assert_eq!(release_of("6.18.44-fc-v782\n"), (6, 18));
        assert_eq!(release_of("6.1-rc3"), (6, 1));
        assert_eq!(release_of("6.1+"), (6, 1));
        assert_eq!(release_of("x"), (0, 0));
    }
}
