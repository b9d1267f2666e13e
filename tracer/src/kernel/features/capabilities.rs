//! The capabilities of this process.

use std::fs;

/// Number of `CAP_SYS_ADMIN`.
pub(super) const SYS_ADMIN: u32 = 21;
/// Number of `CAP_CHECKPOINT_RESTORE`.
const CHECKPOINT_RESTORE: u32 = 40;
/// `CAP_…` numbers of linux/capability.h, each with its purpose.
pub(super) const CAPABILITIES: [(u32, &str, &str); 5] = [
    (39, "CAP_BPF", "loads eBPF programs and maps"),
    (
        38,
        "CAP_PERFMON",
        "attaches uprobes, reads memory from eBPF",
    ),
    (
        19,
        "CAP_SYS_PTRACE",
        "reads /proc of other users' processes",
    ),
    (
        CHECKPOINT_RESTORE,
        "CAP_CHECKPOINT_RESTORE",
        "opens libraries that were replaced since they were loaded; others are opened by path",
    ),
    (
        SYS_ADMIN,
        "CAP_SYS_ADMIN",
        "attaches perf-event uprobes, where there are no multi-uprobe links (before Linux 6.10) \
         and the kernel is of mid-2025 or newer; stands for CAP_BPF and CAP_PERFMON",
    ),
];

/// The capabilities that attaching needs and this process lacks, by name.
pub(in crate::kernel) fn missing_capabilities() -> Vec<&'static str> {
    let admin = has_capability(SYS_ADMIN);
    CAPABILITIES
        .iter()
        .filter(|(number, ..)| !matches!(*number, SYS_ADMIN | CHECKPOINT_RESTORE))
        .filter(|(number, ..)| !has_capability(*number))
        // CAP_SYS_ADMIN stands for these two, and not for the right to look at processes.
        .filter(|(_, name, _)| !(admin && matches!(*name, "CAP_BPF" | "CAP_PERFMON")))
        .map(|(_, name, _)| *name)
        .collect()
}

/// Advice on a refused perf-event uprobe, if the privilege for it is missing.
pub(in crate::kernel) fn perf_event_hint() -> Option<String> {
    let lacks = !has_capability(SYS_ADMIN);
    lacks.then(|| "perf-event uprobes need CAP_SYS_ADMIN on this kernel: run it with sudo, and `--perf-events`".into())
}

/// The effective set of this process has the capability.
pub(super) fn has_capability(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> number & 1 == 1)
}
