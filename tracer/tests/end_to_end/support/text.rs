//! The code of a process in memory, which reveals breakpoints.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use super::wait_for;

/// The executable mappings of one file in a process, before anything was attached.
pub(crate) struct Text {
    pid: u32,
    mappings: Vec<(u64, Vec<u8>)>,
}

impl Text {
    /// Reads the code of `pid` that comes from files whose path ends in `file`.
    #[track_caller]
    pub(crate) fn of(pid: u32, file: &str) -> Self {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process runs");
        let mut text = Self {
            pid,
            mappings: Vec::new(),
        };
        for line in maps.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [range, flags, _, _, _, path, ..] = fields[..] else {
                continue;
            };
            if !flags.contains('x') || !path.trim_end_matches(" (deleted)").ends_with(file) {
                continue;
            }
            let (start, end) = range.split_once('-').expect("a range");
            let start = u64::from_str_radix(start, 16).expect("hex");
            let end = u64::from_str_radix(end, 16).expect("hex");
            let bytes = text.read(start, usize::try_from(end - start).expect("64 bits"));
            text.mappings
                .push((start, bytes.expect("code is readable")));
        }
        assert!(!text.mappings.is_empty(), "{pid} has no code of `{file}`");
        text
    }

    /// The code of the program's own file.
    #[track_caller]
    pub(crate) fn of_exe(pid: u32) -> Self {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).expect("the process runs");
        Self::of(pid, exe.to_str().expect("test paths are UTF-8"))
    }

    /// This code in another process of the program, at its addresses there.
    #[track_caller]
    pub(crate) fn in_process(&self, pid: u32) -> Self {
        let mut there = Self::of_exe(pid);
        assert_eq!(there.mappings.len(), self.mappings.len());
        for (there, (_, before)) in there.mappings.iter_mut().zip(&self.mappings) {
            there.1.clone_from(before);
        }
        there
    }

    fn read(&self, start: u64, length: usize) -> Option<Vec<u8>> {
        let memory = File::open(format!("/proc/{}/mem", self.pid)).ok()?;
        let mut bytes = vec![0; length];
        memory.read_exact_at(&mut bytes, start).ok()?;
        Some(bytes)
    }

    /// Addresses of changed code.
    ///
    /// # Panics
    /// The process is gone.
    #[track_caller]
    pub(crate) fn changed(&self) -> Vec<u64> {
        let mut changed = Vec::new();
        for (start, before) in &self.mappings {
            let now = self.read(*start, before.len()).expect("the process runs");
            let pairs = before.iter().zip(&now).zip(*start..);
            changed.extend(pairs.filter(|((old, new), _)| old != new).map(|(_, at)| at));
        }
        changed
    }

    /// Waits until the code has at least `sites` breakpoints.
    #[track_caller]
    pub(crate) fn wait_probed(&self, sites: usize) {
        wait_for(&format!("{sites} breakpoints in the target"), || {
            (self.changed().len() >= sites).then_some(())
        });
    }

    /// Waits until exactly `sites` bytes of the code differ.
    #[track_caller]
    pub(crate) fn wait_changed(&self, sites: usize) {
        wait_for(&format!("{sites} breakpoints left in the target"), || {
            (self.changed().len() == sites).then_some(())
        });
    }

    /// Waits until the code is as before.
    #[track_caller]
    pub(crate) fn wait_restored(&self) {
        wait_for("the target's code to be as it was", || {
            self.changed().is_empty().then_some(())
        });
    }
}
