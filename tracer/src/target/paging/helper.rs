//! The helper process, which reads one byte of each requested page.
//!
//! It is this program under another name. It has its two pipes and no other open file, only the
//! capabilities for reading, and it ends with the tracer.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_name};

use super::limits::WARMED_PAGES;
use super::places::{PageAccess, ReadablePlaces};
use super::{BATCH, PAGE, REQUEST, Request};

/// Name under which the program acts as the helper.
pub(super) const NAME: &str = "tracer-pager";

/// Capabilities for reading another process's memory, and for listing its mapped files.
pub(super) const NEEDED: CapabilitySet = CapabilitySet::SYS_PTRACE
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::CHECKPOINT_RESTORE);

/// Number of pages per system call.
const VECTOR: usize = 64;
/// Reading a list of mappings holds a lock of the process, so it may take only a tenth of the time.
const PAUSES: u32 = 9;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Acts as the helper if the program was started as one. Returns `None` if it was not.
#[must_use]
pub(crate) fn run(arguments: &[OsString]) -> Option<ExitCode> {
    let [name, parent] = arguments else {
        return None;
    };
    if name != OsStr::new(NAME) {
        return None;
    }
    let parent = parent.to_str().and_then(|text| text.parse().ok());
    let served = prepare(parent).and_then(|()| serve());
    Some(served.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

/// Closes everything, and makes the helper die with the tracer.
fn prepare(parent: Option<i32>) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_name(c"tracer-pager")?;
    // The tracer may have died before that call.
    let now = getppid().map(|pid| pid.as_raw_nonzero().get());
    if now.is_none() || now != parent {
        return Err(io::ErrorKind::NotConnected.into());
    }
    #[expect(unsafe_code, reason = "close_range has no safe wrapper")]
    // SAFETY: nothing in this process uses a descriptor above the standard ones.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
    }
    let now = capabilities(None)?;
    let sets = CapabilitySets {
        effective: now.effective & NEEDED,
        permitted: now.permitted & NEEDED,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, sets)?)
}

/// Serves requests until nobody can send any more.
fn serve() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut buffer = [0_u8; BATCH * REQUEST];
    loop {
        let length = input.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let requests: Vec<Request> = buffer
            .get(..length)
            .unwrap_or_default()
            .chunks_exact(REQUEST)
            .map(bytemuck::pod_read_unaligned)
            .collect();
        let mut pause = Duration::ZERO;
        for of_process in requests.chunk_by(|a, b| a.process == b.process) {
            let started = Instant::now();
            let Some(mut memory) = of_process
                .first()
                .and_then(|request| ProcessMemory::of(request.process))
            else {
                answer(&mut output, of_process)?;
                continue;
            };
            pause += started.elapsed() * PAUSES;
            for request in of_process {
                memory.bring_in(request);
                answer(&mut output, std::slice::from_ref(request))?;
            }
        }
        thread::sleep(pause.min(LONGEST_PAUSE));
    }
}

/// Reports these requests as done, if an answer was requested.
fn answer(output: &mut impl io::Write, requests: &[Request]) -> io::Result<()> {
    for request in requests.iter().filter(|request| request.token != 0) {
        output.write_all(&request.token.to_ne_bytes())?;
        output.flush()?;
    }
    Ok(())
}

/// The memory of a process at this time.
struct ProcessMemory {
    process: libc::pid_t,
    places: ReadablePlaces,
    memory: Option<File>,
}

impl ProcessMemory {
    /// Opens the memory of a process. Returns `None` if the process is gone, or may not be read.
    fn of(process: u32) -> Option<Self> {
        Some(Self {
            process: libc::pid_t::try_from(process).ok()?,
            places: ReadablePlaces::of(process).ok()?,
            memory: File::open(format!("/proc/{process}/mem")).ok(),
        })
    }

    /// Reads one byte of each page.
    fn bring_in(&mut self, request: &Request) {
        let started = Instant::now();
        let most = Duration::from_millis(request.most_ms.into());
        let first = request.address / PAGE;
        let last = request.address.saturating_add(request.length.max(1) - 1) / PAGE;
        let pages: Vec<u64> = (first..=last)
            .take(usize::try_from(WARMED_PAGES).unwrap_or(usize::MAX))
            .map(|page| page * PAGE)
            .collect();
        for pages in pages.chunks(VECTOR) {
            if request.most_ms != 0 && started.elapsed() > most {
                return;
            }
            let mut vector = Vec::with_capacity(VECTOR);
            for &page in pages {
                match self.places.access(page) {
                    Some(PageAccess::Vector) => vector.push(page),
                    Some(PageAccess::Memory) => self.read_memory(page),
                    None => {}
                }
            }
            self.read_vector(&vector);
        }
    }

    fn read_memory(&self, page: u64) {
        if let Some(memory) = &self.memory {
            // Unreadable pages are skipped.
            let _ = memory.read_at(&mut [0], page);
        }
    }

    fn read_vector(&self, pages: &[u64]) {
        let mut rest = pages;
        while !rest.is_empty() {
            let mut bytes = [0_u8; VECTOR];
            let local = libc::iovec {
                iov_base: bytes.as_mut_ptr().cast(),
                iov_len: rest.len().min(VECTOR),
            };
            let remote: Vec<libc::iovec> = rest
                .iter()
                .map(|&page| libc::iovec {
                    iov_base: page as *mut libc::c_void,
                    iov_len: 1,
                })
                .collect();
            #[expect(unsafe_code, reason = "process_vm_readv has no safe wrapper")]
            // SAFETY: the kernel writes at most as many bytes as there are pages, for which there is room;
            // the addresses are the other process's, and may be anything.
            let read = unsafe {
                libc::process_vm_readv(
                    self.process,
                    &raw const local,
                    1,
                    remote.as_ptr(),
                    remote.len() as libc::c_ulong,
                    0,
                )
            };
            // The call ends at the first unreadable page, which is skipped.
            let done = usize::try_from(read).unwrap_or(0) + 1;
            rest = rest.get(done..).unwrap_or_default();
        }
    }
}
