//! Limits of selectors: unit, reason, and effect of each

/// Selectors of one command. More are refused.
pub(super) const SELECTORS: usize = 1024;

/// Bytes of a name, pattern or path in a selector. A longer one is refused.
///
/// The kernel has no longer paths.
pub(super) const SELECTOR_BYTES: usize = 4096;

/// Bytes of a file in `/proc`: a process's cgroups, its arguments, the list of mounts. The rest is not
/// read.
pub(super) const PROC_BYTES: u64 = 1 << 20;

/// Bytes of a state file of a container runtime. A larger one is not read, and a container that is
/// described there has no name.
pub(super) const STATE_BYTES: u64 = 16 << 20;

/// Containers whose state files are read. Further ones have no name.
pub(super) const CONTAINERS: usize = 20_000;

/// Hexadecimal digits of a container's id in a selector, at the least. Fewer are only looked up as a
/// name.
pub(super) const CONTAINER_PREFIX: usize = 4;

/// Directories of cgroup v2 that are read for the selected cgroups. Cgroups in further ones are found by
/// their processes alone, at the start.
pub(super) const CGROUPS_READ: usize = 10_000;

/// Names that a link of systemd leads through to the unit's own name. Further ones are not followed.
pub(super) const UNIT_ALIASES: usize = 8;
