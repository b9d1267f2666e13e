//! Pages that come late or never, controlled by userfaultfd. No hit waits for them.
//!
//! A watchdog ends each registration after a while, so a hit that waits can continue, and its test
//! fails.

#![expect(unsafe_code, reason = "userfaultfd has no safe wrapper")]

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tracer_common::op::{self, EncodedOp};
use tracer_common::record::{CHUNK_ABSENT, CHUNK_OK, CHUNK_UNREAD};

use crate::support::rig::{RDI, Rig, UNLIMITED, Way, copy};
use crate::support::site::{SITES, Site};

const PAGE: usize = 4096;
/// No hit takes this long, not even in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(20);

const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
const UFFDIO_COPY: libc::c_ulong = 0xc028_aa03;
const UFFDIO_WRITEPROTECT: libc::c_ulong = 0xc018_aa06;
const UFFD_API: u64 = 0xaa;
const FEATURE_WRITE_PROTECT: u64 = 1;
const MODE_MISSING: u64 = 1;
const MODE_WRITE_PROTECT: u64 = 2;

/// A page of our own memory whose faults are reported to a descriptor.
struct Watched {
    faults: File,
    page: u64,
}

impl Watched {
    /// `None` if the kernel has no userfaultfd, or not this mode of it.
    fn new(mode: u64) -> Option<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, and system calls with numbers or a whole buffer of their size.
        unsafe {
            let page = libc::mmap(std::ptr::null_mut(), PAGE, access, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            let page = page as u64;
            let fd = libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC);
            if fd < 0 {
                return None;
            }
            let faults = File::from_raw_fd(i32::try_from(fd).expect("small"));
            let features = if mode == MODE_WRITE_PROTECT {
                FEATURE_WRITE_PROTECT
            } else {
                0
            };
            let mut api = [UFFD_API, features, 0];
            if libc::ioctl(faults.as_raw_fd(), UFFDIO_API, &raw mut api) != 0 {
                return None;
            }
            let mut register = [page, PAGE as u64, mode, 0];
            let registered = libc::ioctl(faults.as_raw_fd(), UFFDIO_REGISTER, &raw mut register);
            (registered == 0).then_some(Self { faults, page })
        }
    }

    /// Waits for the next fault and fills the page.
    fn serve(&self) {
        let mut message = [0; 32];
        (&self.faults).read_exact(&mut message).expect("a fault");
        let from = [0x5A_u8; PAGE];
        let mut copy = [self.page, from.as_ptr() as u64, PAGE as u64, 0, 0];
        // SAFETY: copies a whole page to our page.
        let copied = unsafe { libc::ioctl(self.faults.as_raw_fd(), UFFDIO_COPY, &raw mut copy) };
        assert_eq!(copied, 0, "{}", std::io::Error::last_os_error());
    }

    /// Passes the site with the page's address, in a thread of its own. Returns the time it took.
    fn pass(self, site: Site) -> (Self, Duration) {
        let (done, passed) = channel();
        let page = self.page;
        let started = Instant::now();
        let thread = thread::spawn(move || {
            site.pass([page, 0, 0, 0, 0, 0]);
            done.send(()).expect("somebody waits");
        });
        match passed.recv_timeout(PATIENCE) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => {
                // The end of the registration ends the wait.
                drop(self);
                thread.join().expect("it went on");
                panic!("the hit waited for the page");
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the thread panicked"),
        }
        thread.join().expect("it passed");
        (self, started.elapsed())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nothing uses any more.
        unsafe { libc::munmap(self.page as *mut _, PAGE) };
    }
}

fn watched(mode: u64) -> Option<Watched> {
    let watched = Watched::new(mode);
    if watched.is_none() {
        eprintln!("left out: this kernel has no userfaultfd of mode {mode}");
        assert!(
            std::env::var_os("REQUIRE_KERNEL").is_none(),
            "it is required"
        );
    }
    watched
}

/// Reads of each kind, at the address in `rdi`.
fn plans() -> Vec<Vec<EncodedOp>> {
    let at_rdi = |code, len| EncodedOp {
        code,
        src: RDI,
        len,
        a: 1,
        ..EncodedOp::default()
    };
    vec![
        vec![copy(1, RDI, 64)],
        vec![at_rdi(op::COPY_STRING, 64)],
        vec![at_rdi(op::COPY_PARTIAL, 64)],
        vec![
            EncodedOp {
                code: op::LOAD,
                src: RDI,
                size: 8,
                a: 2,
                ..EncodedOp::default()
            },
            EncodedOp::default(),
            EncodedOp {
                code: op::MARK,
                size: tracer_common::record::CHUNK_FAULT,
                a: 1,
                ..EncodedOp::default()
            },
        ],
    ]
}

#[test]
fn hit_does_not_wait_for_a_page_that_nobody_brings() {
    let Some(mut rig) = Rig::load(Way::Best, 1 << 16) else {
        return;
    };
    let [site, ..] = SITES;
    for ops in plans() {
        let mut statuses = Vec::new();
        // The other tests are threads of this process. While one of them changes its mappings, the reason is not known.
        while statuses.iter().all(|&status| status == CHUNK_UNREAD) && statuses.len() < 50 {
            let Some(watched) = watched(MODE_MISSING) else {
                return;
            };
            let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), ops.clone())]);
            let (_watched, _) = watched.pass(site);
            statuses.push(rig.records()[0].chunks()[0].0);
            // The page is still missing, and closing the link must not take longer for that.
            rig.remove(slot);
        }
        assert_eq!(statuses.last(), Some(&CHUNK_ABSENT), "{statuses:?}");
    }
}

#[test]
fn hit_does_not_wait_for_a_handler_that_needs_its_thread() {
    let Some(mut rig) = Rig::load(Way::Best, 1 << 16) else {
        return;
    };
    let Some(watched) = watched(MODE_MISSING) else {
        return;
    };
    let [site, ..] = SITES;
    let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), vec![copy(1, RDI, 64)])]);
    // The hitting thread holds a lock that the handler needs to serve faults.
    let lock = Mutex::new(());
    let (lock, watched) = (&lock, &watched);
    let page = watched.page;
    thread::scope(|scope| {
        let held = lock.lock().expect("nobody panicked");
        let (served, is_served) = channel();
        let (started, has_started) = channel();
        let handler = scope.spawn(move || {
            started.send(()).expect("somebody waits");
            let _held = lock.lock().expect("nobody panicked");
            // This fault is from the program's own read below. The hit has not caused one.
            watched.serve();
            served.send(()).expect("somebody waits");
        });
        // The start of a thread maps memory. During that, a hit could not tell if the page is
        // mapped.
        has_started.recv_timeout(PATIENCE).expect("started");
        site.pass([page, 0, 0, 0, 0, 0]);
        drop(held);
        // SAFETY: our own page, which the handler fills.
        assert_eq!(unsafe { (page as *const u8).read_volatile() }, 0x5A);
        is_served.recv_timeout(PATIENCE).expect("served");
        handler.join().expect("it served");
        site.pass([page, 0, 0, 0, 0, 0]);
    });
    let records = rig.records();
    assert_eq!(records[0].chunks(), [(CHUNK_ABSENT, &[][..])]);
    assert_eq!(records[1].chunks(), [(CHUNK_OK, &[0x5A; 64][..])]);
    rig.remove(slot);
}

#[test]
fn page_that_waits_for_its_writer_is_read() {
    let Some(mut rig) = Rig::load(Way::Best, 1 << 16) else {
        return;
    };
    let Some(watched) = watched(MODE_WRITE_PROTECT) else {
        return;
    };
    let [site, ..] = SITES;
    let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), vec![copy(1, RDI, 64)])]);
    // SAFETY: our own page. Then write-protection by the kernel is turned on for it.
    unsafe {
        (watched.page as *mut [u8; PAGE]).write_volatile([0x3C; PAGE]);
        let mut protect = [watched.page, PAGE as u64, 1];
        let fd = watched.faults.as_raw_fd();
        assert_eq!(libc::ioctl(fd, UFFDIO_WRITEPROTECT, &raw mut protect), 0);
    }
    let (_watched, _) = watched.pass(site);
    let records = rig.records();
    assert_eq!(records[0].chunks(), [(CHUNK_OK, &[0x3C; 64][..])]);
    rig.remove(slot);
}
