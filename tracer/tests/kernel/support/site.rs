//! Instructions of this program that tests probe.

#![expect(unsafe_code, reason = "calls functions written in assembly")]

use std::arch::global_asm;
use std::fs;

use tracer::base::address::FileOffset;

/// Number of sites of the [`row`].
pub(crate) const ROW: usize = 1000;

// Each function has a `push`, which the kernel emulates in the trap, and the rest of a function.
global_asm!(
    ".pushsection .text.tracer_sites,\"ax\",@progbits",
    ".balign 64",
    ".irp name, a, b, c, d",
    ".globl tracer_site_\\name",
    ".type tracer_site_\\name, @function",
    "tracer_site_\\name:",
    "push rbp",
    "pop rbp",
    "ret",
    ".size tracer_site_\\name, . - tracer_site_\\name",
    ".balign 64",
    ".endr",
    ".globl tracer_site_row",
    ".type tracer_site_row, @function",
    "tracer_site_row:",
    ".rept 1000",
    "push rbp",
    "pop rbp",
    ".endr",
    "ret",
    ".size tracer_site_row, . - tracer_site_row",
    ".popsection",
);

unsafe extern "C" {
    fn tracer_site_a(rdi: u64, rsi: u64, rdx: u64, rcx: u64, r8: u64, r9: u64);
    fn tracer_site_b(rdi: u64, rsi: u64, rdx: u64, rcx: u64, r8: u64, r9: u64);
    fn tracer_site_c(rdi: u64, rsi: u64, rdx: u64, rcx: u64, r8: u64, r9: u64);
    fn tracer_site_d(rdi: u64, rsi: u64, rdx: u64, rcx: u64, r8: u64, r9: u64);
    fn tracer_site_row(rdi: u64, rsi: u64, rdx: u64, rcx: u64, r8: u64, r9: u64);
}

type Function = unsafe extern "C" fn(u64, u64, u64, u64, u64, u64);

/// A callable function whose first instruction can be probed.
#[derive(Clone, Copy)]
pub(crate) struct Site(Function);

/// Four functions with one site each.
pub(crate) const SITES: [Site; 4] = [
    Site(tracer_site_a),
    Site(tracer_site_b),
    Site(tracer_site_c),
    Site(tracer_site_d),
];

impl Site {
    /// Passes the site, with these values in `rdi`, `rsi`, `rdx`, `rcx`, `r8`, `r9`.
    pub(crate) fn pass(self, arguments: [u64; 6]) {
        let [a, b, c, d, e, f] = arguments;
        // SAFETY: the functions only use their own stack.
        unsafe { (self.0)(a, b, c, d, e, f) }
    }

    /// Address of the site.
    pub(crate) fn address(self) -> u64 {
        self.0 as usize as u64
    }

    /// The present first byte.
    pub(crate) fn byte(self) -> u8 {
        // SAFETY: the function's own first byte. The read is volatile because the kernel changes
        // it.
        unsafe { (self.0 as *const u8).read_volatile() }
    }

    /// Offset of the site in this program's file.
    pub(crate) fn offset(self) -> FileOffset {
        file_offset(self.address())
    }
}

/// A function with [`ROW`] sites, one after the other.
pub(crate) const fn row() -> Site {
    Site(tracer_site_row)
}

/// Address of each site of the row.
pub(crate) fn row_address(index: usize) -> u64 {
    // `push` and `pop` have one byte each.
    row().address() + 2 * index as u64
}

/// Offset of each site of the row in this program's file.
pub(crate) fn row_offset(index: usize) -> FileOffset {
    FileOffset(row().offset().0 + 2 * index as u64)
}

/// Offset of an address of this program in its file.
pub(crate) fn file_offset(address: u64) -> FileOffset {
    let maps = fs::read_to_string("/proc/self/maps").expect("own mappings");
    let hex = |text: &str| u64::from_str_radix(text, 16).expect("a number");
    let offset = maps.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let offset = fields.nth(1)?;
        let inside = (hex(start)..hex(end)).contains(&address);
        inside.then(|| address - hex(start) + hex(offset))
    });
    FileOffset(offset.expect("own code is mapped"))
}
