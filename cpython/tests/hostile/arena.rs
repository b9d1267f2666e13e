//! Memory that is made of any bytes, with an interpreter in it.

use tracer_cpython::memory::{TargetMemory, Unreadable};
use tracer_cpython::native::KnownObjects;
use tracer_cpython::runtime::Interpreter;

use super::driver::ask;

/// First address of the made-up memory.
const BASE: u64 = 0x10_0000;
/// Size of a made-up type, at most.
const TYPE: u64 = 1024;
/// `ob_type` and `tp_flags` of a type, in all versions.
const METATYPE: usize = 8;
const FLAGS: usize = 168;
/// Types that are given a place.
const KNOWN: u64 = 48;

/// Memory of some bytes, repeated up to a length, with an interpreter in it.
struct Arena {
    bytes: Vec<u8>,
    length: u64,
}

impl TargetMemory for Arena {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let start = address.checked_sub(BASE);
        let end = start.and_then(|start| start.checked_add(into.len() as u64));
        let (Some(start), Some(_)) = (start, end.filter(|end| *end <= self.length)) else {
            let length = into.len();
            return Err(Unreadable { address, length });
        };
        for (at, byte) in (start..).zip(into) {
            let index = at % self.bytes.len().max(1) as u64;
            *byte = self.bytes.get(index as usize).copied().unwrap_or(0);
        }
        Ok(())
    }
}

impl Arena {
    /// Makes memory of the input: each two bytes are a word, most often a pointer.
    ///
    /// Small numbers, pointers to anywhere, pointers to types, flags and anything else: random
    /// words alone would hardly ever have the shape of an object.
    fn new(input: &[u8]) -> Self {
        let (pairs, _) = input.as_chunks::<2>();
        let size = (pairs.len() as u64 * 8).max(8);
        let word = |(at, [kind, value]): (usize, &[u8; 2])| {
            let number = u64::from(*value);
            match kind % 8 {
                0 => number,
                1 => number << 3,
                2 => BASE + number * 8 % size,
                3 => BASE + (number * 251 + at as u64) * 8 % size,
                4 => BASE + number % KNOWN * TYPE,
                // Flags of types: that of subclasses of built-in types.
                5 => 1 << 31 | 1 << (number % 64) | 1 << 9 | (number % 4) << 2,
                6 => number.wrapping_mul(0x0101_0101_0101_0101),
                _ => u64::from(*kind) << 56 | number << 24,
            }
        };
        let words = pairs.iter().enumerate().map(word);
        let pattern: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        let length = size.max(KNOWN * TYPE) * 2;
        let mut bytes: Vec<u8> = pattern.into_iter().cycle().take(length as usize).collect();
        bytes.resize(length as usize, 0);
        // Types are known by their flags: without these, hardly any object would be looked into.
        for at in 0..KNOWN {
            let flags = 1u64 << 31 | u64::from(input.get(at as usize).copied().unwrap_or(0)) << 24;
            for (offset, word) in [(METATYPE, BASE), (FLAGS, flags)] {
                let place = (at * TYPE) as usize + offset;
                bytes[place..place + 8].copy_from_slice(&word.to_le_bytes());
            }
        }
        Self { bytes, length }
    }

    fn interpreter(&self, minor: u8) -> Interpreter {
        let mut next = 0;
        let known = KnownObjects::by_symbols(|_| {
            next += 1;
            Some(BASE + next % KNOWN * TYPE)
        });
        Interpreter::assume(minor, BASE, known).expect("a known version")
    }
}

/// A whole case: the first byte is the version.
pub(crate) fn case(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let arena = Arena::new(rest);
    let python = arena.interpreter(8 + first % 8);
    let objects: Vec<u64> = (0..100).map(|at| BASE + at * 37 * 8).collect();
    ask(&arena, &python, &objects);
}
