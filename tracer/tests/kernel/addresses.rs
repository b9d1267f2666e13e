//! Addresses relative to the site: wherever the probe is, and wherever the module is.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use tracer_common::op::{self, EncodedOp, cond};

use crate::support::needs;
use crate::support::rig::{Rig, UNLIMITED, Way, copy, emit, requests, ways};
use crate::support::site::{SITES, Site, row, row_address, row_offset};

/// Machine register with the address of the site.
const SITE: u8 = op::INSTRUCTION_POINTER;
/// Set for the child: the value of its [`STATIC`].
const CHILD: &str = "TRACER_TEST_VALUE_OF_THE_STATIC";

/// Read by the plans.
static STATIC: AtomicU64 = AtomicU64::new(0);

/// Distance of the static from an address of this program.
fn distance_from(address: u64) -> i32 {
    let distance = STATIC.as_ptr() as u64;
    let distance = distance.wrapping_sub(address).cast_signed();
    i32::try_from(distance).expect("within the program")
}

fn op(code: u8) -> EncodedOp {
    EncodedOp {
        code,
        ..EncodedOp::default()
    }
}

/// The plans of a site: the static by a fetch, by ops behind the site's address, and behind a guard
/// that rejects hits unless the static is 7.
fn plans(site: u64) -> [Vec<EncodedOp>; 3] {
    let offset = distance_from(site);
    let fetched = || EncodedOp {
        offset,
        ..copy(1, SITE, 8)
    };
    let number = EncodedOp {
        src: SITE,
        size: 8,
        offset,
        a: 5,
        ..op(op::LOAD)
    };
    let test = EncodedOp {
        size: cond::NE,
        a: 4,
        ..op(op::JUMP_IF_CONST)
    };
    [
        vec![fetched(), op(op::END)],
        vec![emit(0, SITE), fetched(), op(op::MARK), op(op::END)],
        vec![
            number,
            test.with_wide(7),
            fetched(),
            op(op::END),
            op(op::REJECT),
            op(op::FAULT),
        ],
    ]
}

#[test]
fn register_of_the_instruction_pointer_has_the_address_of_the_site() {
    const PLACE: usize = 500;
    for &way in ways() {
        for shift in [-14_i32, 0, 26] {
            let Some(mut rig) = Rig::load(way, 1 << 16) else {
                return;
            };
            let site = row_address(PLACE).wrapping_add_signed(shift.into());
            let sites = plans(site).map(|plan| (row_offset(PLACE), plan));
            for (index, plan) in sites.into_iter().enumerate() {
                let mut requests = requests(&[plan]);
                requests[0].shift = shift;
                let reserved = rig.machine.reserve(&UNLIMITED, &requests).expect("room");
                let slot = reserved.slot;
                let attached = rig.machine.attach(std::process::id(), reserved, &requests);
                assert_eq!(attached.expect("attached").len(), 0);
                let mut values = Vec::new();
                for value in [7_u64, 1 << 60] {
                    STATIC.store(value, Ordering::Relaxed);
                    row().pass([0; 6]);
                    for record in rig.records() {
                        let chunks = record.chunks();
                        let words = chunks.iter().filter(|(_, data)| data.len() == 8);
                        let word = |data: &[u8]| u64::from_le_bytes(data.try_into().expect("8"));
                        values.extend(words.map(|(_, data)| word(data)));
                    }
                }
                let expected = match index {
                    0 => vec![7, 1 << 60],
                    1 => vec![site, 7, site, 1 << 60],
                    _ => vec![7],
                };
                assert_eq!(values, expected, "{way:?}, {shift}, plan {index}");
                let counters = rig.counters(slot);
                assert_eq!((counters.hits, counters.faults), (2, 0), "{counters:?}");
                rig.remove(slot);
            }
        }
    }
}

/// A process that runs this program, at another address.
struct Started(Child);

impl Started {
    /// Its static has this value.
    fn new(value: u64) -> Self {
        let mut child = Command::new("/proc/self/exe")
            .args(["--exact", "addresses::child", "--nocapture"])
            .env(CHILD, value.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let is_ready = lines.any(|line| line.is_ok_and(|line| line.contains("ready")));
        assert!(is_ready, "the child ended");
        // A pipe that nobody reads would end the child's harness.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }

    /// The bias of its program.
    fn code(&self) -> String {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.0.id()));
        let maps = maps.expect("its mappings");
        maps.lines().next().expect("a mapping").to_owned()
    }

    /// Lets it pass the site, and waits for its end.
    fn pass(&mut self) {
        let mut input = self.0.stdin.take().expect("piped");
        input.write_all(b"pass\n").expect("it reads");
        drop(input);
        assert!(self.0.wait().expect("its end").success());
    }
}

/// The site that the children pass.
fn passed() -> Site {
    let [_, _, site, _] = SITES;
    site
}

/// Not a test of its own: it passes the site once.
#[test]
fn child() {
    let Ok(value) = std::env::var(CHILD) else {
        return;
    };
    STATIC.store(value.parse().expect("a number"), Ordering::Relaxed);
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("told");
    if !line.is_empty() {
        passed().pass([0; 6]);
    }
}

#[test]
fn one_plan_reads_the_static_of_each_process() {
    if !needs::kernel() {
        return;
    }
    for plan in [0, 1] {
        let Some(mut rig) = Rig::load(Way::Best, 1 << 16) else {
            return;
        };
        let mut children = [Started::new(11), Started::new(22)];
        let [first, second] = &children;
        assert_ne!(first.code(), second.code(), "the addresses differ");
        // Distances within the program, wherever it is.
        let plan = plans(passed().address())[plan].clone();
        let requests = requests(&[(passed().offset(), plan)]);
        for child in &children {
            let reserved = rig.machine.reserve(&UNLIMITED, &requests).expect("room");
            let failed = rig.machine.attach(child.0.id(), reserved, &requests);
            assert_eq!(failed.expect("attached").len(), 0);
        }
        for (child, value) in children.iter_mut().zip([11_u64, 22]) {
            child.pass();
            let records = rig.records();
            let [record] = &records[..] else {
                panic!("{} records", records.len());
            };
            let chunks = record.chunks();
            let read = chunks.iter().find(|(_, data)| data == &value.to_le_bytes());
            assert!(read.is_some(), "{chunks:?}");
        }
    }
}
