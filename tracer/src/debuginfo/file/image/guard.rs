//! Memory maps that survive the truncation of their file: the `SIGBUS` guard.
#![expect(
    unsafe_code,
    reason = "mapping a file and handling its SIGBUS are system calls"
)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use memmap2::Mmap;

/// Maximum number of guarded maps at one time: one for each big module or debug file of one
/// target. Above it, opening another file fails.
const SLOTS: usize = 1024;

/// One guarded range of addresses; free when `taken` is false.
struct GuardSlot {
    taken: AtomicBool,
    start: AtomicUsize,
    end: AtomicUsize,
    cut: AtomicBool,
}

static GUARDED: [GuardSlot; SLOTS] = [const {
    GuardSlot {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        cut: AtomicBool::new(false),
    }
}; SLOTS];

static PAGE_BYTES: AtomicUsize = AtomicUsize::new(4096);

/// The previous signal action, for faults outside of our maps.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// A read-only private map of a whole file.
pub(super) struct GuardedMap {
    map: Mmap,
    slot: &'static GuardSlot,
}

impl GuardedMap {
    /// Maps `file`. Returns `None` if all slots are taken.
    pub(super) fn new(file: &File) -> io::Result<Option<Self>> {
        install()?;
        let Some(slot) = GUARDED.iter().find(|slot| {
            slot.taken
                .compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        }) else {
            return Ok(None);
        };
        // SAFETY: a map is unsound if the file changes under it. The guard keeps a shorter file
        // from being fatal. Parsers cope with changed bytes: they do not rely on a slice having
        // the same content from one read to the next, and text is copied before it is checked
        // (`sections::text`).
        let map = match unsafe { Mmap::map(file) } {
            Ok(map) => map,
            Err(error) => {
                slot.taken.store(false, Ordering::Release);
                return Err(error);
            }
        };
        let start = map.as_ptr() as usize;
        slot.cut.store(false, Ordering::Relaxed);
        slot.end.store(start + map.len(), Ordering::Relaxed);
        slot.start.store(start, Ordering::Release);
        Ok(Some(Self { map, slot }))
    }

    /// Gives the pages back to the kernel's cache. They come back when they are read.
    pub(super) fn release(&self) {
        use memmap2::UncheckedAdvice::DontNeed;
        // SAFETY: the map is read-only and of a file, so holders of a slice read the same bytes
        // of the file afterwards. If the handler had filled in zeros, either a page of the file
        // comes back or the handler runs again; `intact` stays false. If the kernel refuses, the
        // memory merely stays in use.
        let _ = unsafe { self.map.unchecked_advise(DontNeed) };
    }

    /// Returns true if the handler never had to fill in zeros.
    pub(super) fn intact(&self) -> bool {
        !self.slot.cut.load(Ordering::Relaxed)
    }
}

impl Deref for GuardedMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for GuardedMap {
    fn drop(&mut self) {
        // Nobody reads the map any more, and its addresses may soon belong to another map.
        self.slot.start.store(0, Ordering::Relaxed);
        self.slot.end.store(0, Ordering::Relaxed);
        self.slot.taken.store(false, Ordering::Release);
    }
}

fn install() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        // SAFETY: these are plain system calls on locals. The handler only does things that a
        // signal handler may do (see there).
        unsafe {
            let page = libc::sysconf(libc::_SC_PAGESIZE);
            if let Ok(page @ 1..) = usize::try_from(page) {
                PAGE_BYTES.store(page, Ordering::Relaxed);
            }
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut before) != 0 {
                return Err(*libc::__errno_location());
            }
            let _ = BEFORE.set(before);
            let mut action: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            if libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) != 0 {
                return Err(*libc::__errno_location());
            }
        }
        Ok(())
    });
    installed.map_err(io::Error::from_raw_os_error)
}

/// Fills in zeros for missing pages of a guarded file, and passes on every other fault.
extern "C" fn on_sigbus(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t` to a SA_SIGINFO handler.
    let address = unsafe { (*info).si_addr() } as usize;
    let page = address & !(PAGE_BYTES.load(Ordering::Relaxed) - 1);
    for slot in &GUARDED {
        let start = slot.start.load(Ordering::Acquire);
        let end = slot.end.load(Ordering::Relaxed);
        if start == 0 || address < start || address >= end {
            continue;
        }
        // SAFETY: `page..end` is inside one of our maps, which is alive because its slot is freed
        // before it is unmapped. `mmap` is a bare system call and changes only `errno`, which is
        // restored.
        unsafe {
            let errno = *libc::__errno_location();
            let zeros = libc::mmap(
                page as *mut libc::c_void,
                end - page,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE,
                -1,
                0,
            );
            *libc::__errno_location() = errno;
            if zeros != libc::MAP_FAILED {
                slot.cut.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
    hand_on(signal, info, context);
}

/// Handles the fault as if there were no guard.
fn hand_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: `BEFORE` is the previous action that the kernel returned. Either its handler is
    // called as the kernel would call it, or the default action is restored, so that the fault
    // repeats and ends the process.
    unsafe {
        match BEFORE.get() {
            Some(before)
                if before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN =>
            {
                if before.sa_flags & libc::SA_SIGINFO != 0 {
                    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                        std::mem::transmute(before.sa_sigaction);
                    handler(signal, info, context);
                } else {
                    let handler: extern "C" fn(i32) = std::mem::transmute(before.sa_sigaction);
                    handler(signal);
                }
            }
            _ => {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}
