//! What must not be left when the sessions of a round have ended: breakpoints, eBPF objects,
//! processes, files.

mod bpf;
mod files;
mod processes;
pub(super) mod text;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

pub(super) use bpf::Objects;
pub(super) use files::shared_files;

use super::findings::{Class, Findings};
use super::target::Target;

/// What the kernel removes behind a session's end must be gone within this.
const GRACE: Duration = Duration::from_secs(30);
/// Between two looks: nobody tells when the kernel is done.
const LOOK: Duration = Duration::from_millis(5);

/// What was there before the soak began.
#[derive(Debug)]
pub(super) struct Before {
    objects: Objects,
    files: Vec<String>,
}

impl Before {
    /// Looks.
    ///
    /// # Errors
    /// The kernel does not list its eBPF objects.
    pub(super) fn look() -> Result<Self> {
        Ok(Self {
            objects: Objects::newest()?,
            files: shared_files(),
        })
    }
}

/// Repeats a look until it finds nothing, and notes what it still finds after the grace.
fn settle(class: Class, findings: &mut Findings, look: impl Fn() -> Vec<String>) {
    let end = Instant::now() + GRACE;
    loop {
        let left = look();
        if left.is_empty() {
            return;
        }
        if Instant::now() > end {
            for text in left {
                findings.add(class, text);
            }
            return;
        }
        std::thread::sleep(LOOK);
    }
}

/// Looks at a target that nothing is attached to any more.
pub(super) fn check_target(target: &Target, findings: &mut Findings) {
    findings.count("texts compared", 1);
    settle(Class::Residue, findings, || target.text.changed());
    let traced = processes::tracer_pid(target.pid());
    findings.check(Class::Residue, traced == Some(0), || {
        format!("a target has the TracerPid {traced:?}")
    });
}

/// Looks for what the sessions of a round left; all of its processes have ended.
pub(super) fn check_machine(
    before: &Before,
    marker: (&str, &str),
    home: &Path,
    findings: &mut Findings,
) {
    findings.count("looks for residue", 1);
    settle(Class::Residue, findings, || processes::marked(marker));
    settle(Class::Residue, findings, || before.objects.orphans());
    for file in files::left_in(home) {
        findings.add(Class::Residue, format!("a file is left: {file}"));
    }
    for file in shared_files() {
        findings.check(Class::Residue, before.files.contains(&file), || {
            format!("a file is left: {file}")
        });
    }
}
