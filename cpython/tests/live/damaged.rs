//! Real interpreters whose memory is damaged while it is read.

#[path = "../hostile/driver.rs"]
mod driver;

use std::time::{Duration, Instant};

use tracer_cpython::heap::Heap;
use tracer_cpython::memory::{CachedMemory, TargetMemory, Unreadable};
use tracer_cpython::value::{ReprStyle, ValueLimits, decode};

use crate::programs::all;

const PROGRAM: &str = r#"
import sys, threading, collections, decimal, datetime, json
class Node:
    def __init__(self, value):
        self.value = value
VALUES = [Node([1, {"a": (1.5, "b")}]), collections.OrderedDict(a=1), collections.deque([1, 2]), {1, 2, 3},
          decimal.Decimal("1.5"), datetime.datetime(2020, 1, 2), collections.Counter("abc"), json, Node, ValueError("x"),
          collections.namedtuple("P", "x y")(1, 2), collections.defaultdict(list), range(3), Node(1).__init__]
print("ready", flush=True)
print(*map(id, VALUES), flush=True)
sys.stdin.read()
"#;

/// Replaces some words, always the same ones.
struct Damaged<'a> {
    memory: &'a dyn TargetMemory,
    seed: u64,
    /// One word in so many.
    rarity: u64,
    /// Only words within some bytes of these addresses. All words if there are none.
    near: &'a [u64],
}

impl Damaged<'_> {
    fn is_near(&self, address: u64) -> bool {
        self.near.is_empty() || self.near.iter().any(|near| near.abs_diff(address) < 200)
    }

    fn noise(&self, word: u64) -> u64 {
        let mut noise = word ^ self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for _ in 0..3 {
            noise = (noise ^ noise >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        }
        noise ^ noise >> 32
    }
}

impl TargetMemory for Damaged<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        if self.read_prefix(address, into) == into.len() {
            return Ok(());
        }
        let length = into.len();
        Err(Unreadable { address, length })
    }

    fn read_prefix(&self, address: u64, into: &mut [u8]) -> usize {
        let length = self.memory.read_prefix(address, into);
        let mut at = 0;
        while at + 8 <= length {
            let noise = self.noise(address + at as u64);
            if noise.is_multiple_of(self.rarity) && self.is_near(address + at as u64) {
                let word: [u8; 8] = into[at..at + 8].try_into().unwrap();
                let word = u64::from_le_bytes(word);
                let changed = match noise >> 40 & 7 {
                    0 => 0,
                    1 => u64::MAX,
                    2 => word.wrapping_add(8),
                    3 => word ^ 1 << (noise >> 50 & 63),
                    4 => address,
                    5 => word.wrapping_sub(16),
                    6 => noise >> 44,
                    _ => word << 1,
                };
                into[at..at + 8].copy_from_slice(&changed.to_le_bytes());
            }
            at += 8;
        }
        length
    }
}

#[test]
fn a_damaged_heap_costs_bounded_time_and_no_panic() {
    let mut slowest = Duration::ZERO;
    for python in all() {
        let mut target = python.start(PROGRAM);
        let line = target.line();
        let objects: Vec<u64> = line.split(' ').map(|id| id.parse().unwrap()).collect();
        let found = target.interpreter();
        let memory = target.memory();
        // The cache makes each run read the same.
        let cache = CachedMemory::new(&memory);
        let seed = u64::from(python.minor);
        for rarity in [2000, 200] {
            let damaged = Damaged {
                memory: &cache,
                seed,
                rarity,
                near: &[],
            };
            let start = Instant::now();
            driver::ask(&damaged, &found, &objects);
            let _ = tracer_cpython::runtime::Interpreter::find_in(target.pid(), &damaged);
            slowest = slowest.max(start.elapsed());
        }
    }
    println!("slowest {slowest:?}");
    assert!(slowest < Duration::from_secs(60), "{slowest:?}");
}

#[test]
fn damaged_objects_are_decoded_without_panic() {
    for python in all() {
        let mut target = python.start(PROGRAM);
        let line = target.line();
        let objects: Vec<u64> = line.split(' ').map(|id| id.parse().unwrap()).collect();
        let found = target.interpreter();
        let memory = target.memory();
        let cache = CachedMemory::new(&memory);
        for seed in 0..60 {
            let damaged = Damaged {
                memory: &cache,
                seed,
                rarity: 4,
                near: &objects,
            };
            let heap = Heap::new(&damaged, &found);
            for object in &objects {
                let value = decode(&heap, *object, ValueLimits::default());
                assert!(value.to_text(ReprStyle::Fields).len() < 100_000);
            }
        }
    }
}
