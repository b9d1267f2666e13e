//! Hits that page faults interrupt: pages that are not resident, several hits at once on one CPU.

#![expect(unsafe_code, reason = "maps a file")]

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::thread;

use tracer_common::record::{CHUNK_OK, FLAG_FAULT};

use crate::support::rig::{RDI, RSI, Rig, UNLIMITED, copy, emit, rounds, ways};
use crate::support::site::SITES;

const PAGE: usize = 4096;
/// Pages of one thread's file.
const PAGES: usize = 6;
const THREADS: u8 = 8;

/// A file of one byte value, mapped.
struct Paged {
    file: File,
    start: *mut u8,
}

impl Paged {
    fn new(fill: u8) -> Self {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[fill; PAGES * PAGE]).expect("written");
        file.sync_all().expect("on disk");
        // SAFETY: a new mapping of our own file.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGES * PAGE,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        Self {
            file,
            start: start.cast(),
        }
    }

    /// Unmaps its pages from memory, and drops them from the page cache where there is a disk.
    fn forget(&self) {
        // SAFETY: our own mapping; its bytes come back from the file.
        unsafe {
            let length = PAGES * PAGE;
            assert_eq!(
                libc::madvise(self.start.cast(), length, libc::MADV_DONTNEED),
                0
            );
            libc::posix_fadvise(self.file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED);
        }
    }

    /// Whether its first page is mapped.
    fn resident(&self) -> bool {
        let map = File::open("/proc/self/pagemap").expect("own page map");
        let mut entry = [0; 8];
        let at = self.start as u64 / PAGE as u64 * 8;
        std::os::unix::fs::FileExt::read_exact_at(&map, &mut entry, at).expect("an entry");
        u64::from_le_bytes(entry) >> 63 == 1
    }
}

impl Drop for Paged {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made.
        unsafe { libc::munmap(self.start.cast(), PAGES * PAGE) };
    }
}

#[test]
fn page_that_is_not_resident_is_brought_in() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, 1 << 20) else {
            return;
        };
        let [site, ..] = SITES;
        let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), vec![copy(1, RDI, 100)])]);
        let paged = Paged::new(0xA5);
        for _ in 0..20 {
            paged.forget();
            assert!(!paged.resident());
            site.pass([paged.start as u64, 0, 0, 0, 0, 0]);
            assert!(paged.resident(), "{way:?}: the hit brought it in");
        }
        let records = rig.records();
        assert_eq!(records.len(), 20, "{way:?}");
        for record in records {
            assert_eq!(record.header.flags & FLAG_FAULT, 0, "{way:?}");
            assert_eq!(record.bytes[66], CHUNK_OK, "{way:?}");
            assert_eq!(record.bytes[72..172], [0xA5; 100], "{way:?}");
        }
        rig.remove(slot);
    }
}

fn pin_to_cpu_0() {
    let mut set = rustix::thread::CpuSet::new();
    set.set(0);
    rustix::thread::sched_setaffinity(None, &set).expect("pinned");
}

#[test]
fn hits_that_sleep_and_preempt_each_other_on_one_cpu_do_not_mix() {
    let total = rounds(300);
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, 1 << 26) else {
            return;
        };
        // Who, then page after page of what only this thread has.
        let mut ops = vec![emit(1, RSI)];
        ops.extend([copy(2, RDI, 4096); PAGES]);
        for (page, op) in (0..).zip(&mut ops[1..]) {
            op.offset = page * PAGE as i32;
        }
        let [first, second, ..] = SITES;
        let (one, _) = rig.probe(&UNLIMITED, &[(first.offset(), ops.clone())]);
        let (two, _) = rig.probe(&UNLIMITED, &[(second.offset(), ops)]);
        thread::scope(|scope| {
            for fill in 1..=THREADS {
                scope.spawn(move || {
                    pin_to_cpu_0();
                    let paged = Paged::new(fill);
                    let site = if fill % 2 == 0 { first } else { second };
                    for _ in 0..total {
                        paged.forget();
                        site.pass([paged.start as u64, u64::from(fill), 0, 0, 0, 0]);
                    }
                });
            }
        });
        let records = rig.records();
        for record in &records {
            let who = record.bytes[72];
            assert!((1..=THREADS).contains(&who));
            let probe = if who % 2 == 0 { one } else { two };
            assert_eq!(record.header.probe, probe, "{way:?}");
            assert_eq!(record.bytes.len(), 64 + 16 + PAGES * (8 + PAGE), "{way:?}");
            for chunk in record.bytes[80..].chunks(8 + PAGE) {
                let torn = chunk[8..].iter().any(|&byte| byte != who);
                assert!(
                    !torn,
                    "{way:?}: a record of thread {who} has another's bytes"
                );
            }
        }
        let counters = [rig.counters(one), rig.counters(two)];
        let hits = u64::from(THREADS) * total;
        assert_eq!(counters[0].hits + counters[1].hits, hits, "{way:?}");
        let sent = counters[0].events + counters[1].events;
        assert_eq!(records.len() as u64, sent, "{way:?}");
        // Half of the threads find a scratch area even when all hit at once.
        assert!(sent >= hits / 4, "{way:?}: {counters:?}");
        eprintln!("{way:?}: {sent} of {hits} hits sent, the others found no scratch area");
    }
}
