//! Plans that set places of modules and look them up.

use tracer::program::reference::Memory as _;
use tracer_common::op::{self, EncodedOp};
use tracer_common::places::{ModuleMark, NOT_LOADED, PLACED};
use tracer_common::record::CHUNK_FAULT;

use super::{Arena, OWN, constant, number, register};
use crate::support::random::Random;
use crate::support::rig::emit;

/// Modules whose plans look up places: the third is never where its place says.
pub(super) fn marks(arena: &Arena) -> Vec<ModuleMark> {
    let word = |at: u64| {
        let mut bytes = [0; 8];
        assert!(arena.regions.read(arena.map.address() + at, &mut bytes));
        u64::from_le_bytes(bytes)
    };
    let mark = |at, is| ModuleMark { at, is };
    vec![
        mark(512, word(512)),
        mark(4096 - 4, word(4096 - 4)),
        mark(512, !word(512)),
    ]
}

/// A plan that sets places of modules and looks them up, and sends all its registers. It first sets the
/// places that it looks up, so that it does not depend on others.
pub(super) fn placing(random: &mut Random, arena: &Arena) -> Vec<EncodedOp> {
    let place = |module, src, only_first: bool| EncodedOp {
        code: op::PLACE,
        src,
        size: u8::from(only_first),
        len: module,
        ..EncodedOp::default()
    };
    let start = arena.map.address();
    let some = |random: &mut Random| match random.below(8) {
        0 => 0,
        1 => NOT_LOADED,
        2 => (start + 4096) | PLACED,
        3 => arena.end() | PLACED,
        _ => start | PLACED,
    };
    let mut ops: Vec<EncodedOp> = (0..OWN)
        .map(|dst| constant(dst, number(random, arena)))
        .collect();
    for module in 0..4 {
        ops.push(constant(0, some(random)));
        ops.push(place(module, 0, false));
    }
    let steps = 1 + random.below(12);
    let end = ops.len() as u32 + steps as u32;
    for _ in 0..steps {
        let at = ops.len() as u32;
        let jump = at + 1 + random.below(u64::from(end - at)) as u32;
        ops.push(match random.below(6) {
            0 => constant(random.below(u64::from(OWN)) as u8, some(random)),
            1 => place(random.below(4) as u32, register(random), random.one_in(2)),
            2 => EncodedOp {
                code: op::MARK,
                size: CHUNK_FAULT,
                a: at,
                ..EncodedOp::default()
            },
            3 => EncodedOp {
                code: op::LOAD,
                dst: random.below(u64::from(OWN)) as u8,
                src: register(random),
                size: 8,
                a: jump,
                ..EncodedOp::default()
            },
            _ => EncodedOp {
                code: op::MODULE,
                dst: random.below(u64::from(OWN)) as u8,
                size: random.below(3) as u8,
                a: jump,
                // No program has placed the last two.
                len: random.pick(&[0, 0, 1, 2, 3, 5, u32::MAX]),
                ..EncodedOp::default()
            },
        });
    }
    ops.extend((0..OWN).map(|register| emit(u32::from(register), register)));
    ops
}
