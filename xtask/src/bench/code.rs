//! The code of a running process: file offsets of addresses, and whether there are breakpoints.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::support::failure::Failure;

/// Longest time for an observer to attach, or to remove its breakpoints.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks at the code.
const LOOK: Duration = Duration::from_micros(500);

/// A piece of a process's code before any observation.
pub(super) struct Code {
    pid: u32,
    memory: File,
    address: u64,
    before: Vec<u8>,
}

impl Code {
    /// Reads `length` bytes of code at an address.
    ///
    /// # Errors
    /// The process or the code is gone.
    pub(super) fn at(pid: u32, address: u64, length: usize) -> Result<Self> {
        let path = format!("/proc/{pid}/mem");
        let memory = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        let mut before = vec![0; length];
        memory
            .read_exact_at(&mut before, address)
            .with_context(|| format!("cannot read the code of process {pid}"))?;
        Ok(Self {
            pid,
            memory,
            address,
            before,
        })
    }

    /// Returns true if the code has changed.
    fn changed(&self) -> Result<bool> {
        let mut now = vec![0; self.before.len()];
        self.memory
            .read_exact_at(&mut now, self.address)
            .with_context(|| format!("process {} is gone", self.pid))?;
        Ok(now != self.before)
    }

    /// Waits until the code has a breakpoint, or `ended` gives the reason why there will be none.
    ///
    /// # Errors
    /// The breakpoint does not appear in time.
    pub(super) fn wait_probed(&self, mut ended: impl FnMut() -> Result<()>) -> Result<()> {
        self.wait("no probe came into the target's code", |changed| {
            ended()?;
            Ok(changed)
        })
    }

    /// Waits until the code is as before.
    ///
    /// # Errors
    /// The code stays changed.
    pub(super) fn wait_restored(&self) -> Result<()> {
        self.wait("a probe stays in the target's code", |changed| Ok(!changed))
    }

    fn wait(&self, failure: &str, mut done: impl FnMut(bool) -> Result<bool>) -> Result<()> {
        let started = Instant::now();
        while !done(self.changed()?)? {
            if started.elapsed() > PATIENCE {
                return Err(Failure::new(format!("{failure} in {PATIENCE:?}")).into());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// File offset of a process's address.
///
/// # Errors
/// The process is gone, or maps no file there.
pub(super) fn file_offset(pid: u32, address: u64) -> Result<u64> {
    let path = format!("/proc/{pid}/maps");
    let maps = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    maps.lines()
        .find_map(|line| offset_in(line, address))
        .ok_or_else(|| Failure::new(format!("process {pid} has no code at {address:#x}")).into())
}

/// The offset, if the mapping in a line of `maps` contains the address.
fn offset_in(line: &str, address: u64) -> Option<u64> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    let offset = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
    (start..end)
        .contains(&address)
        .then(|| address - start + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "55abce630000-55abce631000 r-xp 00001000 fe:00 1234   /tmp/target";

    #[test]
    fn address_in_a_mapping_has_its_file_offset() {
        assert_eq!(offset_in(LINE, 0x55ab_ce63_0480), Some(0x1480));
    }

    #[test]
    fn address_behind_a_mapping_has_none() {
        assert_eq!(offset_in(LINE, 0x55ab_ce63_1000), None);
    }

    #[test]
    fn code_of_a_function_of_ours_has_an_offset_and_is_unchanged() {
        let pid = std::process::id();
        let address = offset_in as *const () as u64;
        assert!(file_offset(pid, address).is_ok());
        let code = Code::at(pid, address, 16).unwrap();
        assert!(code.wait_restored().is_ok());
    }
}
