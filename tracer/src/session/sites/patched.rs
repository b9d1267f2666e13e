//! Detects code whose memory differs from its file.
//!
//! The kernel takes the instruction to step from the file. If the code in memory was changed (by a
//! debugger, by the program itself, by relocations of the text), the kernel would step another
//! instruction than the target has there. In the end it would replace the target's instruction with
//! that of the file.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::arch::is_probed;
use crate::base::address::{Bias, LinkAddr};
use crate::debuginfo::Module as DebugModule;
use crate::placement::{instruction_bytes, instruction_text};

const PAGE: u64 = 4096;
/// Bits of an entry of `/proc/PID/pagemap`: the page is in memory, or in swap.
const PRESENT_OR_SWAPPED: u64 = 0b11 << 62;
/// Checks that the instruction at a place is the file's, as far as that can be seen.
///
/// # Errors
/// It is not, and no other probe of the kernel's explains that.
pub(in crate::session) fn check(
    pid: u32,
    debug: &DebugModule,
    bias: Bias,
    place: LinkAddr,
) -> Result<(), String> {
    let Some(own) = instruction_bytes(debug, place) else {
        return Ok(());
    };
    let Some(memory) = read(pid, bias.run(place).0, own.len()) else {
        return Ok(());
    };
    match compare(own, &memory) {
        Code::Same => Ok(()),
        Code::Breakpoint => match debugger(pid) {
            // Another session's, or another tracer's: the kernel shares it.
            None => Ok(()),
            Some(debugger) => Err(format!(
                "process {debugger} debugs the target and has a breakpoint at {place}, which a probe \
                 would remove"
            )),
        },
        Code::Other => Err(format!(
            "the code at {place} was changed in memory: the file has `{}` there, and the kernel \
             would execute that",
            instruction_text(debug, place)
        )),
    }
}

/// The code in memory, compared with an instruction of the file.
#[derive(Debug, PartialEq, Eq)]
enum Code {
    Same,
    /// A breakpoint, or an instruction that Linux turns into one.
    Breakpoint,
    Other,
}

fn compare(own: &[u8], memory: &[u8]) -> Code {
    if own == memory {
        return Code::Same;
    }
    if is_probed(own, memory) {
        return Code::Breakpoint;
    }
    Code::Other
}

/// Bytes of the target, where they are in memory: only these can differ from the file, and only
/// these can be read without waiting for anybody.
fn read(pid: u32, address: u64, length: usize) -> Option<Vec<u8>> {
    let map = File::open(format!("/proc/{pid}/pagemap")).ok()?;
    let last = address
        .checked_add(u64::try_from(length).ok()?)?
        .checked_sub(1)?;
    for page in [address / PAGE, last / PAGE] {
        let mut entry = [0; 8];
        map.read_exact_at(&mut entry, page.checked_mul(8)?).ok()?;
        if u64::from_le_bytes(entry) & PRESENT_OR_SWAPPED == 0 {
            return None;
        }
    }
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut bytes = vec![0; length];
    memory.read_exact_at(&mut bytes, address).ok()?;
    Some(bytes)
}

/// The process that debugs the target.
fn debugger(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"))?;
    tracer.trim().parse().ok().filter(|tracer| *tracer != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakpoint_is_told_from_other_changes() {
        let own = [0x48, 0x89, 0xe5];
        assert_eq!(compare(&own, &own), Code::Same);
        assert_eq!(compare(&own, &[0xcc, 0x89, 0xe5]), Code::Breakpoint);
        assert_eq!(compare(&own, &[0xcc, 0x90, 0x90]), Code::Other);
        assert_eq!(compare(&own, &[0x90, 0x90, 0x90]), Code::Other);
        assert_eq!(compare(&[0x55], &[0xcc]), Code::Breakpoint);
    }

    #[test]
    fn call_in_place_of_a_nop_is_the_kernels() {
        let nop = [0x0f, 0x1f, 0x44, 0, 0];
        assert_eq!(compare(&nop, &[0xe8, 1, 2, 3, 4]), Code::Breakpoint);
        assert_eq!(compare(&nop, &[0xcc, 1, 2, 3, 4]), Code::Breakpoint);
        assert_eq!(compare(&nop, &[0xe9, 1, 2, 3, 4]), Code::Other);
        // A `mov` of five bytes is no nop.
        assert_eq!(
            compare(&[0xb8, 1, 0, 0, 0], &[0xe8, 1, 2, 3, 4]),
            Code::Other
        );
    }
}
