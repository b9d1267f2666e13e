//! Pages that are not in memory. A hit does not wait for them: it reports the missing page in its
//! record and to userspace. Also: several hits at once on one CPU.

#![expect(unsafe_code, reason = "maps files and memory")]

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::thread;

use tracer_common::op::{self, EncodedOp};
use tracer_common::record::{
    CHUNK_ABSENT, CHUNK_CUT, CHUNK_FAULT, CHUNK_OK, CHUNK_UNREAD, FLAG_FAULT, Miss,
};

use crate::support::rig::{RDI, RSI, Rig, UNLIMITED, Way, copy, emit, rounds, ways};
use crate::support::site::SITES;

const PAGE: usize = 4096;
/// Pages of one thread's file.
const PAGES: usize = 6;
const THREADS: u8 = 8;

/// A mapped file that repeats one byte.
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

    /// Unmaps its pages, and drops them from the page cache if the file is on a disk.
    fn forget(&self) {
        // SAFETY: our own mapping. Its bytes come back from the file.
        unsafe {
            let length = PAGES * PAGE;
            assert_eq!(
                libc::madvise(self.start.cast(), length, libc::MADV_DONTNEED),
                0
            );
            libc::posix_fadvise(self.file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED);
        }
    }

    /// Maps all its pages.
    fn bring_in(&self) {
        for page in 0..PAGES {
            // SAFETY: our own mapping.
            unsafe { self.start.add(page * PAGE).read_volatile() };
        }
    }

    /// True if its first page is in memory.
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
        // SAFETY: the mapping that `new` made. Nothing uses it any more.
        unsafe { libc::munmap(self.start.cast(), PAGES * PAGE) };
    }
}

/// A region of our own memory without a file.
fn region(pages: usize, protection: libc::c_int) -> u64 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), pages * PAGE, protection, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    start as u64
}

/// Fills a page with bytes other than zero, so that no string ends in it.
fn fill(address: u64) {
    // SAFETY: the callers' own writable memory.
    unsafe { (address as *mut [u8; PAGE]).write_volatile([0xA5; PAGE]) };
}

fn unmap(address: u64, pages: usize) {
    // SAFETY: the caller's own mapping, which nothing uses any more.
    assert_eq!(unsafe { libc::munmap(address as *mut _, pages * PAGE) }, 0);
}

#[test]
fn page_that_is_not_in_memory_is_told_of_and_left_alone() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, 1 << 20) else {
            return;
        };
        let [site, ..] = SITES;
        let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), vec![copy(1, RDI, 100)])]);
        let paged = Paged::new(0xA5);
        for _ in 0..20 {
            paged.forget();
            site.pass([paged.start as u64, 0, 0, 0, 0, 0]);
            assert!(!paged.resident(), "{way:?}: the hit left it as it was");
        }
        let miss = Miss {
            address: paged.start as u64,
            length: 100,
            process: std::process::id(),
        };
        assert_eq!(rig.misses(), [miss; 20], "{way:?}");
        for record in rig.records() {
            assert_eq!(
                u32::from(record.header.flags) & FLAG_FAULT,
                FLAG_FAULT,
                "{way:?}"
            );
            assert_eq!(record.chunks(), [(CHUNK_ABSENT, &[][..])], "{way:?}");
        }
        // SAFETY: our own mapping.
        assert_eq!(unsafe { paged.start.read_volatile() }, 0xA5);
        site.pass([paged.start as u64, 0, 0, 0, 0, 0]);
        let records = rig.records();
        assert_eq!(
            records[0].chunks(),
            [(CHUNK_OK, &[0xA5; 100][..])],
            "{way:?}"
        );
        assert_eq!(rig.misses(), [], "{way:?}");
        let counters = rig.counters(slot);
        assert_eq!((counters.events, counters.read_faults), (21, 20), "{way:?}");
        rig.remove(slot);
    }
}

/// A plan that runs one op on `rdi` and sends the result.
fn sends(op: EncodedOp) -> Vec<EncodedOp> {
    vec![EncodedOp {
        a: 1,
        src: RDI,
        ..op
    }]
}

#[test]
fn absent_page_is_told_from_memory_that_is_not_there() {
    let Some(mut rig) = Rig::load(Way::Best, 1 << 20) else {
        return;
    };
    // A page in memory, one that is not in memory yet, an unreadable one, and an unmapped one.
    let start = region(2, libc::PROT_READ | libc::PROT_WRITE);
    fill(start);
    let absent = start + PAGE as u64;
    let forbidden = region(1, libc::PROT_NONE);
    let gone = region(3, libc::PROT_READ | libc::PROT_WRITE);
    for page in 0..3 {
        fill(gone + page * PAGE as u64);
    }
    unmap(gone + PAGE as u64, 1);
    let of = |code| EncodedOp {
        code,
        len: 64,
        ..EncodedOp::default()
    };
    let appends = [
        emit(1, RDI),
        EncodedOp {
            code: op::APPEND_COPY,
            src: RDI,
            len: 64,
            ..EncodedOp::default()
        },
    ];
    let marks = [
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
            size: CHUNK_FAULT,
            a: 1,
            ..EncodedOp::default()
        },
    ];
    let plans = [
        sends(of(op::COPY)),
        sends(of(op::COPY_STRING)),
        appends.to_vec(),
        marks.to_vec(),
    ];
    let [site, ..] = SITES;
    for (kind, ops) in plans.into_iter().enumerate() {
        let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), ops)]);
        let cases = [
            (absent, CHUNK_ABSENT),
            (forbidden, CHUNK_FAULT),
            (gone + PAGE as u64, CHUNK_FAULT),
            (0, CHUNK_FAULT),
            (1 << 63, CHUNK_FAULT),
            // The second page is the missing one.
            (absent - 4, CHUNK_ABSENT),
            (gone + PAGE as u64 - 4, CHUNK_FAULT),
        ];
        for (address, status) in cases {
            site.pass([address, 0, 0, 0, 0, 0]);
            let records = rig.records();
            let chunks = records[0].chunks();
            assert_eq!(chunks, [(status, &[][..])], "plan {kind}, {address:#x}");
            let told = rig.misses();
            let pages = |miss: &Miss| [miss.address, miss.address + u64::from(miss.length) - 1];
            let told = told
                .first()
                .map(|miss| pages(miss).map(|at| at / PAGE as u64));
            let is_told = told.is_some_and(|pages| pages.contains(&(absent / PAGE as u64)));
            assert_eq!(
                is_told,
                status == CHUNK_ABSENT,
                "plan {kind}, {address:#x}: {told:?}"
            );
        }
        rig.remove(slot);
    }
    unmap(start, 2);
    unmap(forbidden, 1);
    unmap(gone, 1);
    unmap(gone + 2 * PAGE as u64, 1);
}

#[test]
fn what_can_be_read_of_two_pages_is_sent_and_the_other_told_of() {
    let Some(mut rig) = Rig::load(Way::Best, 1 << 20) else {
        return;
    };
    let start = region(2, libc::PROT_READ | libc::PROT_WRITE);
    fill(start);
    let [site, ..] = SITES;
    let ops = sends(EncodedOp {
        code: op::COPY_PARTIAL,
        len: 64,
        ..EncodedOp::default()
    });
    let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), ops)]);
    site.pass([start + PAGE as u64 - 4, 0, 0, 0, 0, 0]);
    let records = rig.records();
    assert_eq!(records[0].chunks(), [(CHUNK_CUT, &[0xA5; 4][..])]);
    assert_eq!(u32::from(records[0].header.flags) & FLAG_FAULT, 0);
    let told = rig.misses();
    assert_eq!((told[0].address, told[0].length), (start + PAGE as u64, 60));
    rig.remove(slot);
    unmap(start, 2);
}

#[test]
fn condition_on_an_absent_page_is_counted_and_told_of() {
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, 1 << 20) else {
            return;
        };
        let absent = region(1, libc::PROT_READ);
        let ops = vec![
            EncodedOp {
                code: op::LOAD,
                dst: 0,
                src: RDI,
                size: 4,
                a: 4,
                ..EncodedOp::default()
            },
            EncodedOp {
                code: op::JUMP_IF_CONST,
                dst: 0,
                size: op::cond::NE,
                a: 3,
                ..EncodedOp::default()
            },
            EncodedOp {
                code: op::REJECT,
                ..EncodedOp::default()
            },
            emit(1, RDI),
            EncodedOp {
                code: op::FAULT,
                ..EncodedOp::default()
            },
        ];
        let [site, ..] = SITES;
        let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), ops)]);
        site.pass([absent, 0, 0, 0, 0, 0]);
        assert_eq!(rig.counters(slot).faults, 1, "{way:?}");
        let told = rig.misses();
        assert_eq!((told.len(), told[0].address), (1, absent), "{way:?}");
        rig.remove(slot);
        unmap(absent, 1);
    }
}

#[test]
fn flood_of_misses_is_bounded_and_every_hit_is_counted() {
    let Some(mut rig) = Rig::load(Way::Best, 1 << 24) else {
        return;
    };
    let absent = region(1, libc::PROT_READ);
    let [site, ..] = SITES;
    let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), vec![copy(1, RDI, 8)])]);
    let hits = rounds(5000);
    for _ in 0..hits {
        site.pass([absent, 0, 0, 0, 0, 0]);
    }
    let told = rig.misses();
    // With its header in the ring each miss takes 24 bytes.
    let room = tracer_common::limits::MISSES_BYTES as usize / 24;
    assert!((room - 1..=room).contains(&told.len()), "{}", told.len());
    let counters = rig.counters(slot);
    assert_eq!((counters.events, counters.read_faults), (hits, hits));
    site.pass([absent, 0, 0, 0, 0, 0]);
    assert_eq!(rig.misses().len(), 1, "there is room again");
    rig.remove(slot);
    unmap(absent, 1);
}

fn pin_to_cpu_0() {
    let mut set = rustix::thread::CpuSet::new();
    set.set(0);
    rustix::thread::sched_setaffinity(None, &set).expect("pinned");
}

#[test]
fn hits_that_preempt_each_other_on_one_cpu_do_not_mix() {
    let total = rounds(300);
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, 1 << 26) else {
            return;
        };
        // The thread's number, then page after page of its own memory.
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
                    for round in 0..total {
                        // Pages in memory, and pages that are not.
                        match round % 4 {
                            0 => paged.forget(),
                            _ => paged.bring_in(),
                        }
                        site.pass([paged.start as u64, u64::from(fill), 0, 0, 0, 0]);
                    }
                });
            }
        });
        let records = rig.records();
        let (mut whole, mut absent) = (0, 0);
        for record in &records {
            let who = record.bytes[72];
            assert!((1..=THREADS).contains(&who));
            let probe = if who % 2 == 0 { one } else { two };
            assert_eq!(u32::from(record.header.probe), probe, "{way:?}");
            let chunks = record.chunks();
            assert_eq!(chunks.len(), 1 + PAGES, "{way:?}");
            for (status, data) in &chunks[1..] {
                match *status {
                    // Other threads change mappings in the meantime.
                    CHUNK_ABSENT | CHUNK_UNREAD => absent += 1,
                    CHUNK_OK => {
                        whole += 1;
                        assert_eq!(data.len(), PAGE, "{way:?}");
                    }
                    other => panic!("{way:?}: status {other}"),
                }
                let torn = data.iter().any(|&byte| byte != who);
                assert!(
                    !torn,
                    "{way:?}: a record of thread {who} has another's bytes"
                );
            }
        }
        assert!(whole > absent && absent > 0, "{way:?}: {whole}, {absent}");
        let counters = [rig.counters(one), rig.counters(two)];
        let hits = u64::from(THREADS) * total;
        assert_eq!(counters[0].hits + counters[1].hits, hits, "{way:?}");
        let sent = counters[0].events + counters[1].events;
        assert_eq!(records.len() as u64, sent, "{way:?}");
        // Half of the threads find a scratch area even if all hit at once.
        assert!(sent >= hits / 4, "{way:?}: {counters:?}");
        eprintln!("{way:?}: {sent} of {hits} hits sent, the others found no scratch area");
    }
}
