//! Measures the cost of a probe's trap on this machine, on a child process of the tracer.
//!
//! The child is a fork that calls three functions of this program, one for each kind of
//! instruction, and reports the time. First the functions have no probes, then a probe of the
//! loaded machine. The child never runs anything else and has none of the tracer's descriptors, so
//! no probe can outlive the tracer through it. It ends with the pipe on which it gets its orders.

use std::arch::naked_asm;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::{Mutex, PoisonError};

use tracer_common::control::ProbeControl;

use super::error::KernelError;
use super::machine::{Machine, SiteRequest};
use super::trigger::Trigger;
use crate::base::address::FileOffset;
use crate::program::Program;
use crate::target::parse_maps;

/// Calls of one measurement. With the most expensive hits it takes some milliseconds.
const CALLS: u32 = 256;
/// Number of measurements. The fastest one counts, since disturbances only make one slower.
const ROUNDS: u32 = 6;

/// Cost of a hit besides the eBPF program, in ns, with the code in the processor's caches.
///
/// Source: calls of a function of three kinds with a probe on it, minus the same calls without one
/// and minus the program's own time. A probe that is rarely hit costs about half as much again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrapCost {
    /// Cost at an instruction that the kernel emulates.
    pub one_trap_ns: u64,
    /// Cost at an instruction that the kernel steps out of line.
    pub two_traps_ns: u64,
    /// Cost at a 5-byte nop at a function's entry.
    pub nop5_ns: u64,
}

#[unsafe(naked)]
extern "C" fn one_trap() {
    naked_asm!("nop", "ret")
}

#[unsafe(naked)]
extern "C" fn two_traps() {
    naked_asm!("mov eax, eax", "ret")
}

#[unsafe(naked)]
extern "C" fn nop5() {
    naked_asm!(".byte 0x0f, 0x1f, 0x44, 0x00, 0x00", "ret")
}

const FUNCTIONS: [extern "C" fn(); 3] = [one_trap, two_traps, nop5];

impl TrapCost {
    /// Measures the cost. Takes 20 to 100 ms, and leaves the machine free for most of that time.
    ///
    /// # Errors
    /// The child could not be started, or the kernel refused the probes.
    pub fn measure(machine: &Mutex<Machine>) -> Result<Self, KernelError> {
        let machine = || machine.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |source| KernelError::call("measure what a trap costs", source);
        let mut child = Child::fork().map_err(failed)?;
        let mut slots = Vec::new();
        let mut costs: [Result<u64, KernelError>; FUNCTIONS.len()] = [Ok(0), Ok(0), Ok(0)];
        for (index, cost) in costs.iter_mut().enumerate() {
            *cost = child.time(index).map_err(failed).and_then(|without| {
                let slot = attach(&mut machine(), &child, index)?;
                slots.push(slot);
                let with = child.time(index).map_err(failed)?;
                machine().detach(slot);
                let counters = machine().counters(slot)?;
                let program = counters.bpf_ns.checked_div(counters.timed).unwrap_or(0);
                Ok(with.saturating_sub(without).saturating_sub(program))
            });
        }
        let mut machine = machine();
        for slot in &slots {
            machine.detach(*slot);
        }
        machine.wait_closed();
        for slot in slots {
            machine.forget(slot);
        }
        let [one_trap, two_traps, nop5] = costs;
        Ok(Self {
            one_trap_ns: one_trap?,
            two_traps_ns: two_traps?,
            nop5_ns: nop5?,
        })
    }
}

fn attach(machine: &mut Machine, child: &Child, index: usize) -> Result<u32, KernelError> {
    let failed = |source| KernelError::call("measure what a trap costs", source);
    let address = FUNCTIONS
        .get(index)
        .map_or(0, |function| *function as usize as u64);
    let requests = [SiteRequest {
        trigger: Trigger::at(
            format!("/proc/{}/exe", child.pid),
            file_offset(address).map_err(failed)?,
        ),
        program: Program::counting(),
        shift: 0,
        only_if: None,
        copies: Vec::new(),
        alone: false,
        begins_span: false,
    }];
    let control = ProbeControl {
        enabled: 1,
        ..ProbeControl::default()
    };
    let reserved = machine.reserve(&control, &requests)?;
    let slot = reserved.slot;
    machine.attach(child.pid.cast_unsigned(), reserved, &requests)?;
    Ok(slot)
}

/// Offset in its file of the code at a run address of this process.
fn file_offset(address: u64) -> io::Result<FileOffset> {
    let maps = std::fs::read("/proc/self/maps")?;
    parse_maps(&maps)
        .iter()
        .find(|mapping| mapping.execute && (mapping.start..mapping.end).contains(&address))
        .map(|mapping| FileOffset(address - mapping.start + mapping.offset))
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A fork of this process that makes the requested calls.
struct Child {
    pid: libc::pid_t,
    orders: Option<File>,
    answers: File,
}

impl Child {
    fn fork() -> io::Result<Self> {
        let (listen, orders) = pipe()?;
        let (answers, answer) = pipe()?;
        #[expect(unsafe_code, reason = "fork has no safe wrapper")]
        // SAFETY: the child only calls `serve`, which allocates nothing, takes no lock and never
        // returns. It makes system calls that are safe after a fork of a process with threads, and
        // calls the three functions above.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => serve(listen.as_raw_fd(), answer.as_raw_fd()),
            pid => Ok(Self {
                pid,
                orders: Some(orders.into()),
                answers: answers.into(),
            }),
        }
    }

    /// Nanoseconds of one call of a function: of the fastest round.
    fn time(&mut self, function: usize) -> io::Result<u64> {
        let order = [u8::try_from(function).unwrap_or(u8::MAX)];
        self.orders
            .as_mut()
            .ok_or(io::ErrorKind::BrokenPipe)?
            .write_all(&order)?;
        let mut answer = [0; 8];
        self.answers.read_exact(&mut answer)?;
        Ok(u64::from_ne_bytes(answer) / u64::from(CALLS))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The child ends when its pipe is closed.
        self.orders = None;
        let mut status = 0;
        #[expect(unsafe_code, reason = "waits for a child that std did not make")]
        // SAFETY: `pid` is a child of ours that no other thread waits for, and `status` is
        // writable.
        unsafe {
            libc::waitpid(self.pid, &raw mut status, 0);
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    #[expect(unsafe_code, reason = "takes ownership of two new descriptors")]
    // SAFETY: `ends` has space for two numbers. On success the kernel made both for us.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// The child: answers each order with the time of its fastest round, until there are no more.
fn serve(orders: i32, answers: i32) -> ! {
    // The call is missing before Linux 5.9. Descriptors that stay open then are closed when the
    // child ends with the pipe.
    const HIGHEST: libc::c_uint = libc::c_uint::MAX;
    #[expect(unsafe_code, reason = "the child of a fork may only make system calls")]
    // SAFETY: the arguments are numbers, and pointers to locals of the given sizes. The closed
    // descriptors belong to this process alone, a copy. The two that stay are moved first.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::dup2(orders, 0);
        libc::dup2(answers, 1);
        libc::syscall(libc::SYS_close_range, 2 as libc::c_uint, HIGHEST, 0);
        let mut order = 0_u8;
        while libc::read(0, (&raw mut order).cast(), 1) == 1 {
            let mut best = u64::MAX;
            for _ in 0..ROUNDS {
                let started = now();
                for _ in 0..CALLS {
                    match order {
                        0 => one_trap(),
                        1 => two_traps(),
                        _ => nop5(),
                    }
                }
                best = best.min(now().wrapping_sub(started));
            }
            if libc::write(1, (&raw const best).cast(), 8) != 8 {
                break;
            }
        }
        libc::_exit(0)
    }
}

/// `CLOCK_MONOTONIC`, in ns, without anything that a fork could have broken.
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    #[expect(unsafe_code, reason = "std's clock may not be used after a fork")]
    // SAFETY: `time` is a whole `timespec`.
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
    }
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_times_each_function_and_ends_with_its_orders() {
        let mut child = Child::fork().unwrap();
        let pid = child.pid;
        for index in 0..FUNCTIONS.len() {
            child.time(index).expect("an answer");
        }
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn file_offset_leads_to_the_bytes_of_the_function() {
        use std::os::unix::fs::FileExt as _;
        let offset = file_offset(nop5 as *const () as usize as u64).unwrap();
        let mut bytes = [0; 6];
        File::open("/proc/self/exe")
            .unwrap()
            .read_exact_at(&mut bytes, offset.0)
            .unwrap();
        assert_eq!(bytes, [0x0f, 0x1f, 0x44, 0, 0, 0xc3]);
    }
}
