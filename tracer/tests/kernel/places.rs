//! Places of modules: known, unknown, of a module that is not loaded, and wrong ones.

use tracer::base::address::{Bias, ModuleNumber};
use tracer_common::op::{self, EncodedOp};
use tracer_common::places::{ModuleMark, NOWHERE};
use tracer_common::record::{CHUNK_FAULT, CHUNK_OK, CHUNK_UNPLACED};

use crate::support::rig::{Record, Rig, UNLIMITED, emit, ways};
use crate::support::site::SITES;

/// Sends the bias of a module in chunk 1; or chunk 2, with the reason why it is unknown.
fn lookup(ModuleNumber(module): ModuleNumber, must_be_loaded: bool) -> Vec<EncodedOp> {
    let op = |code| EncodedOp {
        code,
        ..EncodedOp::default()
    };
    vec![
        EncodedOp {
            dst: 3,
            size: u8::from(must_be_loaded),
            a: 3,
            len: module,
            ..op(op::MODULE)
        },
        emit(1, 3),
        op(op::END),
        EncodedOp {
            a: 2,
            size: CHUNK_FAULT,
            ..op(op::MARK)
        },
    ]
}

/// The bias, or the reason.
fn answer(record: &Record) -> Result<u64, u8> {
    let chunks = record.chunks();
    let [(status, data)] = &chunks[..] else {
        panic!("one chunk: {chunks:?}");
    };
    match *status {
        CHUNK_OK => Ok(u64::from_le_bytes((*data).try_into().expect("8 bytes"))),
        why => Err(why),
    }
}

/// A page at a page's address, with the identity of a module in it.
struct Module(memmap2::MmapMut);

impl Module {
    const AT: usize = 40;
    const IS: u64 = 0x0123_4567_89ab_cdef;

    fn new() -> Self {
        let mut page = memmap2::MmapMut::map_anon(4096).expect("memory");
        page[Self::AT..][..8].copy_from_slice(&Self::IS.to_le_bytes());
        Self(page)
    }

    fn bias(&self) -> Bias {
        Bias(self.0.as_ptr() as u64)
    }

    const fn mark() -> ModuleMark {
        ModuleMark {
            at: Self::AT as u64,
            is: Self::IS,
        }
    }
}

#[test]
fn place_of_a_module_is_that_of_the_process_if_the_module_is_there() {
    let number = ModuleNumber(9);
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, 1 << 16) else {
            return;
        };
        let [site, ..] = SITES;
        let module = Module::new();
        let places = rig.machine.places();
        assert!(places.need(number, Module::mark()).expect("room"));
        assert!(!places.need(number, Module::mark()).expect("room"));
        let own = std::process::id();
        // An entry of another process is none of this one's.
        let put = places.put(own + 1, &[(number, Some(module.bias()))]);
        put.expect("room");
        let ask = |rig: &mut Rig| {
            [false, true].map(|must_be_loaded| {
                let ops = lookup(number, must_be_loaded);
                let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), ops)]);
                site.pass([0; 6]);
                let records = rig.records();
                let counters = rig.counters(slot);
                assert_eq!((counters.events, counters.read_faults), (1, 0), "{way:?}");
                rig.remove(slot);
                answer(&records[0])
            })
        };
        let unknown = Err(CHUNK_UNPLACED);
        assert_eq!(ask(&mut rig), [unknown, unknown], "{way:?}: no entry");
        let put = |rig: &mut Rig, bias| {
            let put = rig.machine.places().put(own, &[(number, bias)]);
            put.expect("room");
        };
        put(&mut rig, None);
        assert_eq!(ask(&mut rig), [Ok(NOWHERE), unknown], "{way:?}: not loaded");
        put(&mut rig, Some(module.bias()));
        let known = Ok(module.bias().0);
        assert_eq!(ask(&mut rig), [known, known], "{way:?}");
        // A look that has not seen it does not undo what the kernel side has found.
        put(&mut rig, None);
        assert_eq!(ask(&mut rig), [known, known], "{way:?}: known before");
        // Another module is there.
        let gone = [Ok(NOWHERE), unknown];
        let mut changed = Module::new();
        changed.0[Module::AT] ^= 1;
        put(&mut rig, Some(changed.bias()));
        assert_eq!(ask(&mut rig), gone, "{way:?}: another build");
        // Nothing is there any more.
        let bias = changed.bias();
        drop(changed);
        put(&mut rig, Some(bias));
        assert_eq!(ask(&mut rig), gone, "{way:?}: unmapped");
        rig.machine.places().forget(own);
        assert_eq!(ask(&mut rig), [unknown, unknown], "{way:?}: forgotten");
    }
}

#[test]
fn place_whose_page_is_not_in_memory_is_unknown_and_not_taken_for_gone() {
    let number = ModuleNumber(2);
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, 1 << 16) else {
            return;
        };
        let [site, ..] = SITES;
        // A page of zeroes that nobody has touched.
        let page = memmap2::MmapMut::map_anon(4096).expect("memory");
        let bias = Bias(page.as_ptr() as u64);
        let places = rig.machine.places();
        let mark = ModuleMark { at: 8, is: 0 };
        assert!(places.need(number, mark).expect("room"));
        let put = places.put(std::process::id(), &[(number, Some(bias))]);
        put.expect("room");
        let ops = lookup(number, false);
        let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), ops)]);
        site.pass([0; 6]);
        assert_eq!(answer(&rig.records()[0]), Err(CHUNK_UNPLACED), "{way:?}");
        let misses = rig.misses();
        assert_eq!(misses.len(), 1, "{way:?}: {misses:?}");
        assert_eq!(misses[0].address, bias.0 + 8, "{way:?}");
        assert_eq!(page[8], 0, "now it is in memory");
        site.pass([0; 6]);
        assert_eq!(answer(&rig.records()[0]), Ok(bias.0), "{way:?}");
        rig.remove(slot);
    }
}

#[test]
fn place_is_set_by_a_plan_and_the_first_one_stays_if_asked() {
    let number = ModuleNumber(0);
    let place = |src, only_first: bool| EncodedOp {
        code: op::PLACE,
        src,
        size: u8::from(only_first),
        len: number.0,
        ..EncodedOp::default()
    };
    let constant = |dst, value| {
        let op = EncodedOp {
            code: op::CONST,
            dst,
            ..EncodedOp::default()
        };
        op.with_wide(value)
    };
    for &way in ways() {
        let Some(mut rig) = Rig::load(way, 1 << 16) else {
            return;
        };
        let [site, ..] = SITES;
        let module = Module::new();
        let need = rig.machine.places().need(number, Module::mark());
        assert!(need.expect("room"));
        let known = module.bias().0 | 1;
        for (first, second, only_first, expected) in [
            (known, 2, true, Ok(module.bias().0)),
            (2, known, true, Ok(NOWHERE)),
            (2, known, false, Ok(module.bias().0)),
        ] {
            let mut ops = vec![
                constant(0, first),
                constant(1, second),
                place(0, false),
                place(1, only_first),
            ];
            let from = ops.len() as u32;
            ops.extend(lookup(number, false).into_iter().map(|mut op| {
                op.a += if op.code == op::MODULE { from } else { 0 };
                op
            }));
            let (slot, _) = rig.probe(&UNLIMITED, &[(site.offset(), ops)]);
            site.pass([0; 6]);
            let got = answer(&rig.records()[0]);
            assert_eq!(got, expected, "{way:?}, {first:#x}, {second:#x}");
            rig.remove(slot);
        }
    }
}
