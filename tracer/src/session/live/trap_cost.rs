//! The cost of traps on this machine, measured once and kept until it restarts.
//!
//! The numbers are in `/run`, which is empty after each start of the machine, under the boot's own
//! id, so that another kernel never gets the numbers of this one.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;

use crate::base::private::PrivateDirectory;
use crate::kernel::{KernelError, LoadOptions, Machine, TrapCost};
use crate::placement::SiteKind;

/// Directory of the numbers.
const DIRECTORY: &str = "/run/tracer";
/// Their file there.
const KEPT: &str = "trap-cost";
/// Bytes that are read of them: three numbers and an id.
const MAX_KEPT: u64 = 256;

/// The cost that was measured since the machine was started, if it was.
pub(in crate::session) fn known_trap_cost() -> Option<TrapCost> {
    // The directory belongs to root or to this user, so the numbers are from no other user.
    let directory = PrivateDirectory::open(Path::new(DIRECTORY), false, None).ok()?;
    let mut text = String::new();
    let file = directory.file(KEPT).ok()??;
    file.take(MAX_KEPT).read_to_string(&mut text).ok()?;
    parse(&text, &boot_id()?)
}

/// The known cost; measures it, with probes on a child of our own, when there is none.
///
/// # Errors
/// It could not be measured.
pub(in crate::session) fn trap_cost(machine: &Mutex<Machine>) -> Result<TrapCost, KernelError> {
    if let Some(known) = known_trap_cost() {
        return Ok(known);
    }
    let cost = TrapCost::measure(machine)?;
    if let Err(error) = keep(&cost) {
        // The next session measures again. The numbers themselves are fine.
        tracing::debug!(%error, path = DIRECTORY, "the cost of a trap is not kept");
    }
    tracing::debug!(?cost, "a trap's cost was measured");
    Ok(cost)
}

/// The known cost. Without one, measures it now if the kernel allows it.
#[must_use]
pub fn expected_trap_cost() -> Option<TrapCost> {
    let measured = || {
        // The programs send no records, so the smallest ring is enough.
        let options = LoadOptions {
            ring_bytes: 4096,
            ..LoadOptions::default()
        };
        let machine = Machine::load(&options).ok()?;
        trap_cost(&Mutex::new(machine)).ok()
    };
    known_trap_cost().or_else(measured)
}

/// The trap cost of one hit at an instruction of this kind, in ns.
#[must_use]
pub const fn trap_ns(cost: &TrapCost, kind: SiteKind) -> u64 {
    match kind {
        SiteKind::OneTrap => cost.one_trap_ns,
        SiteKind::TwoTraps => cost.two_traps_ns,
        SiteKind::Nop5 => cost.nop5_ns,
        // The second trap of two is the same exception, after a single step.
        SiteKind::Watchpoint => cost.two_traps_ns.saturating_sub(cost.one_trap_ns),
    }
}

fn keep(cost: &TrapCost) -> std::io::Result<()> {
    let boot = boot_id().ok_or(std::io::ErrorKind::NotFound)?;
    let directory = PrivateDirectory::open(Path::new(DIRECTORY), true, None)?;
    // Renamed into place: another session never reads half of it.
    let mut part = directory.create(KEPT)?;
    part.file.write_all(format(cost, &boot).as_bytes())?;
    // The numbers are no secret. Sessions of other users read them from here, too.
    part.file.set_permissions(Permissions::from_mode(0o644))?;
    part.keep()
}

fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

fn format(cost: &TrapCost, boot: &str) -> String {
    let TrapCost {
        one_trap_ns,
        two_traps_ns,
        nop5_ns,
    } = cost;
    format!("{boot} {one_trap_ns} {two_traps_ns} {nop5_ns}\n")
}

fn parse(text: &str, boot: &str) -> Option<TrapCost> {
    let mut words = text.strip_suffix('\n')?.split(' ');
    if words.next()? != boot {
        return None;
    }
    let mut number = || words.next()?.parse().ok();
    let cost = TrapCost {
        one_trap_ns: number()?,
        two_traps_ns: number()?,
        nop5_ns: number()?,
    };
    words.next().is_none().then_some(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: TrapCost = TrapCost {
        one_trap_ns: 450,
        two_traps_ns: 16_000,
        nop5_ns: 213,
    };

    #[test]
    fn kept_numbers_are_those_of_this_boot_alone() {
        let text = format(&COST, "boot-a");
        assert_eq!(parse(&text, "boot-a"), Some(COST));
        assert_eq!(parse(&text, "boot-b"), None);
    }

    #[test]
    fn watchpoint_costs_the_second_of_two_traps() {
        assert_eq!(trap_ns(&COST, SiteKind::Watchpoint), 15_550);
    }

    #[test]
    fn kept_numbers_that_make_no_sense_are_none() {
        for text in [
            "",
            "boot-a\n",
            "boot-a 1 2\n",
            "boot-a 1 2 3",
            "boot-a 1 2 3 4\n",
            "boot-a 1 2 x\n",
        ] {
            assert_eq!(parse(text, "boot-a"), None, "{text:?}");
        }
    }
}
