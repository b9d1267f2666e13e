//! Features of the running kernel, and the privileges of this user.

pub(super) mod capabilities;
pub(super) mod layout;
pub(super) mod release;

use std::fs;
use std::path::Path;

use self::capabilities::{CAPABILITIES, SYS_ADMIN, has_capability};
use self::release::kernel_release;
use super::btf::KERNEL_BTF;
use super::machine::Machine;
use super::options::LoadOptions;

/// One thing that is needed or helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Name of the feature.
    pub name: String,
    /// It is there.
    pub present: bool,
    /// Nothing works without it.
    pub required: bool,
    /// Result of the check.
    pub found: String,
    /// Advice if it is missing.
    pub advice: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// The features, in the order in which to look at them.
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
        name: "no lockdown in confidentiality mode".into(),
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
    let options = LoadOptions {
        ring_bytes: 4096,
        ..LoadOptions::default()
    };
    let result = Machine::load(&options).and_then(|mut machine| {
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
