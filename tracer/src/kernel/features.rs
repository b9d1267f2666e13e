//! What the running kernel and this user's privileges allow.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use tracer_common::control::{FS_BASE_SHIFT, NEEDS_FS_BASE};

use super::btf::{KernelBtf, member_offset, member_offsets, nested_offset};

/// The kernel's own BTF.
pub(super) const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";
/// The first Linux whose multi-uprobe links are used: before, their pid filter was wrong.
pub const MULTI_LINKS: (u32, u32) = (6, 10);
/// Number of `CAP_SYS_ADMIN`.
const SYS_ADMIN: u32 = 21;
/// Number of `CAP_CHECKPOINT_RESTORE`.
const CHECKPOINT_RESTORE: u32 = 40;
/// `CAP_…` numbers of linux/capability.h, and what each is for.
const CAPABILITIES: [(u32, &str, &str); 5] = [
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

/// One thing that is needed or helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What it is.
    pub name: String,
    /// It is there.
    pub present: bool,
    /// Nothing works without it.
    pub required: bool,
    /// What was found.
    pub found: String,
    /// What to do when it is missing.
    pub advice: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// In the order in which they should be looked at.
    pub features: Vec<Feature>,
}

impl Features {
    /// Looks at the running kernel and at this process's privileges.
    #[must_use]
    pub fn detect() -> Self {
        let mut features = vec![kernel(), btf(), lockdown()];
        features.extend(CAPABILITIES.map(|(number, name, use_)| capability(number, name, use_)));
        features.push(load());
        Self { features }
    }

    /// Everything that is required is there.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.features
            .iter()
            .all(|feature| feature.present || !feature.required)
    }
}

fn kernel() -> Feature {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Feature {
        name: "Linux 6.1 or newer".into(),
        present: kernel_release() >= (6, 1),
        required: true,
        found: format!("Linux {}", release.trim()),
        advice: Some("boot a newer kernel".into()),
    }
}

fn btf() -> Feature {
    let present = Path::new(KERNEL_BTF).exists();
    Feature {
        name: "BTF of the kernel".into(),
        present,
        required: true,
        found: if present {
            KERNEL_BTF.into()
        } else {
            format!("no {KERNEL_BTF}")
        },
        advice: Some("use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions do".into()),
    }
}

fn lockdown() -> Feature {
    // Without the security filesystem there is no lockdown to ask about.
    let text = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    let confidential = text.contains("[confidentiality]");
    Feature {
        name: "no lockdown of confidentiality".into(),
        present: !confidential,
        required: true,
        found: if text.is_empty() { "no lockdown".into() } else { text.trim().into() },
        advice: Some("this kernel forbids reading memory from eBPF; boot it without lockdown=confidentiality".into()),
    }
}

fn capability(number: u32, name: &str, purpose: &str) -> Feature {
    let present = has_capability(number);
    let advice = if number == SYS_ADMIN {
        "not needed where multi-uprobe links are loaded; else run it as root, with sudo".into()
    } else {
        format!("run it as root, with sudo, or give it {name} (see docs/troubleshooting.md)")
    };
    Feature {
        name: name.into(),
        present,
        required: false,
        found: format!("{purpose}: {}", if present { "yes" } else { "no" }),
        advice: Some(advice),
    }
}

fn load() -> Feature {
    let options = super::LoadOptions {
        ring_bytes: 4096,
        ..super::LoadOptions::default()
    };
    let result = super::Machine::load(&options).and_then(|mut machine| {
        machine.complete()?;
        Ok(machine)
    });
    let (present, found, advice) = match result {
        Ok(machine) if machine.has_multi_links() => (
            true,
            "loaded; multi-uprobe links: a thousand sites attach at once".into(),
            None,
        ),
        Ok(_) => (
            true,
            "loaded; perf-event uprobes: some 10 ms for each site".into(),
            None,
        ),
        Err(error) => (false, error.to_string(), error.hint_in_doctor()),
    };
    Feature {
        name: "the eBPF programs load".into(),
        present,
        required: true,
        found,
        advice,
    }
}

/// The capabilities that attaching needs and this process lacks, by name.
pub(super) fn missing_capabilities() -> Vec<&'static str> {
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

/// What a refused perf-event uprobe wants, when it is this.
pub(super) fn perf_event_hint() -> Option<String> {
    let lacks = !has_capability(SYS_ADMIN);
    lacks.then(|| "perf-event uprobes want CAP_SYS_ADMIN on this kernel: run it with sudo, and `--perf-events`".into())
}

/// The effective set of this process has the capability.
fn has_capability(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> number & 1 == 1)
}

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

/// What a site's flags need to carry besides: where the kernel keeps a thread's `fs_base`.
pub(super) fn site_flags(flags: u32) -> u32 {
    static OFFSET: OnceLock<u32> = OnceLock::new();
    if flags & NEEDS_FS_BASE == 0 {
        return 0;
    }
    // Read when the first thread-local is asked for: the kernel's BTF has some megabytes.
    let offset = OFFSET.get_or_init(|| {
        let btf = KernelBtf::open().ok();
        let member = |name, member| member_offset(btf.as_ref()?, name, member);
        let thread = member("task_struct", "thread");
        thread
            .zip(member("thread_struct", "fsbase"))
            .and_then(|(thread, base)| thread.checked_add(base))
            .unwrap_or(0)
    });
    offset << FS_BASE_SHIFT
}

/// Where structs of the running kernel have what the programs look at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KernelLayout {
    /// Of `task_struct`: `tgid`, `pid` and `comm`; `None` when the kernel's BTF does not say.
    pub(super) task: Option<[u32; 3]>,
    /// Of `vm_area_struct`: its flags; 0 when the kernel's BTF does not say.
    pub(super) vma_flags: u32,
}

impl KernelLayout {
    pub(super) fn read() -> Self {
        let Ok(btf) = KernelBtf::open() else {
            return Self::default();
        };
        Self {
            task: member_offsets(&btf, "task_struct", ["tgid", "pid", "comm"]),
            vma_flags: nested_offset(&btf, "vm_area_struct", "vm_flags").unwrap_or(0),
        }
    }
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
