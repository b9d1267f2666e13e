//! Checks that the sessions of a round left nothing: breakpoints, eBPF objects, processes, files.

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
use super::target::{Marker, SoakTarget};

/// Grace for things that the kernel removes after the end of a session.
const GRACE: Duration = Duration::from_secs(30);
/// Time between two looks. Nothing notifies us when the kernel is done.
const LOOK: Duration = Duration::from_millis(5);

/// The state before the soak.
#[derive(Debug)]
pub(super) struct Before {
    objects: Objects,
    files: Vec<String>,
}

impl Before {
    /// Reads the state.
    ///
    /// # Errors
    /// Fails if the kernel does not list its eBPF objects.
    pub(super) fn look() -> Result<Self> {
        Ok(Self {
            objects: Objects::newest()?,
            files: shared_files(),
        })
    }
}

/// Repeats a look until it finds nothing, and notes the findings after the grace.
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

/// Checks a target without any attached probe.
pub(super) fn check_target(target: &SoakTarget, findings: &mut Findings) {
    findings.count("texts compared", 1);
    settle(Class::Residue, findings, || target.text.changed());
    let traced = processes::tracer_pid(target.pid());
    findings.check(Class::Residue, traced == Some(0), || {
        format!("a target has the TracerPid {traced:?}")
    });
}

/// Checks for leftovers of a round's sessions. All of its processes have ended.
pub(super) fn check_machine(
    before: &Before,
    marker: &Marker,
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
