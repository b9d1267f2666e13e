//! Programs that find modules in the list of a process's dynamic linker.
//!
//! The linker calls a function when it has mapped or unmapped libraries, at the start before the
//! constructors and `main`. A program there goes through the list and notes the places of modules for
//! the kernel side. So no hit comes before them.

use tracer_common::limits::MAX_STEPS;
use tracer_common::op::{INSTRUCTION_POINTER, alu, cond};
use tracer_common::places::{ModuleMark, NOT_LOADED, PLACED};

use crate::base::address::{LinkAddr, ModuleNumber};
use crate::debuginfo::Module as DebugModule;
use crate::program::{Op, Program, Stated, Target};

/// The variable of the linker with its list (`r_debug`): of glibc, and a pointer to it of musl.
const LIST: &str = "_r_debug";
const POINTER_TO_LIST: &str = "_dl_debug_addr";

/// Offsets in `r_debug`: the first entry, and the state, which is 0 if the list is complete.
const FIRST: i32 = 8;
const STATE: i32 = 24;
/// Offsets in an entry (`link_map`): bias, dynamic section, next entry.
const BIAS: i32 = 0;
const DYNAMIC: i32 = 16;
const NEXT: i32 = 24;

/// Ops for an entry, and for each module at an entry and before the first one.
const OF_ENTRY: u32 = 8;
const OF_MODULE: u32 = 6;
/// Ops besides.
const BESIDES: u32 = 32;

/// Registers of the program.
const LIST_AT: u8 = 0;
const ENTRY: u8 = 1;
const BIAS_OF: u8 = 2;
const DISTANCE: u8 = 3;
const WORD: u8 = 4;
const LEFT: u8 = 5;

/// A module that is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoughtModule {
    pub(super) number: ModuleNumber,
    pub(super) mark: ModuleMark,
    /// Its dynamic section.
    pub(super) dynamic: LinkAddr,
}

/// Where a dynamic linker has its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkerList {
    address: LinkAddr,
    /// The address has a pointer to it.
    is_behind: bool,
}

impl LinkerList {
    /// The list of a linker. `None` if it has none that is known.
    pub(super) fn of(linker: &DebugModule) -> Option<Self> {
        let find = |name, is_behind| {
            let symbol = linker.symbols_named(name).into_iter().next()?;
            Some(Self {
                address: symbol.address,
                is_behind,
            })
        };
        find(LIST, false).or_else(|| find(POINTER_TO_LIST, true))
    }
}

/// The program that notes the places of modules, at a site with this link address.
pub(super) fn walk(site: LinkAddr, list: LinkerList, modules: &[SoughtModule]) -> Program {
    Program::new(&ops_of_walk(site, list, modules), &Stated::default())
}

/// The ops of the program. All ways end at the last one.
fn ops_of_walk(site: LinkAddr, list: LinkerList, modules: &[SoughtModule]) -> Vec<Op> {
    let mut ops = Ops::default();
    let end = ops.label();
    let distance = list.address.0.wrapping_sub(site.0);
    ops.alu(alu::ADD, LIST_AT, INSTRUCTION_POINTER, distance);
    if list.is_behind {
        ops.load(LIST_AT, LIST_AT, 0, 8, end);
    }
    ops.load(WORD, LIST_AT, STATE, 4, end);
    ops.jump_if(WORD, cond::NE, 0, end);
    // A module that is not in the list of a new process is not loaded. A place that was found before
    // stays: the module may be found again below, and a hit notices if it is gone.
    ops.emit(Op::Const {
        dst: WORD,
        value: NOT_LOADED,
    });
    for module in modules {
        ops.place(module.number, WORD, true);
    }
    let count = u32::try_from(modules.len()).unwrap_or(u32::MAX);
    let most = longest_list(count);
    ops.emit(Op::Const {
        dst: LEFT,
        value: most.into(),
    });
    ops.load(ENTRY, LIST_AT, FIRST, 8, end);
    let (again, next) = (ops.label(), ops.label());
    ops.set(again);
    ops.jump_if(ENTRY, cond::EQ, 0, end);
    ops.jump_if(LEFT, cond::EQ, 0, end);
    ops.alu(alu::SUB, LEFT, LEFT, 1);
    ops.load(BIAS_OF, ENTRY, BIAS, 8, end);
    ops.load(DISTANCE, ENTRY, DYNAMIC, 8, end);
    ops.emit(Op::Alu {
        operation: alu::SUB,
        dst: DISTANCE,
        left: DISTANCE,
        right: BIAS_OF,
    });
    for module in modules {
        // Several modules may have it at the same link address.
        let other = ops.label();
        ops.jump_if(DISTANCE, cond::NE, module.dynamic.0, other);
        ops.alu(alu::ADD, WORD, BIAS_OF, module.mark.at);
        ops.load(WORD, WORD, 0, 8, other);
        ops.jump_if(WORD, cond::NE, module.mark.is, other);
        ops.alu(alu::OR, WORD, BIAS_OF, PLACED);
        ops.place(module.number, WORD, false);
        ops.set(other);
    }
    ops.set(next);
    ops.load(ENTRY, ENTRY, NEXT, 8, end);
    ops.jump(again);
    ops.set(end);
    // Nobody wants a record.
    ops.emit(Op::Reject);
    ops.resolved()
}

/// Entries of a list that fit into the steps of a hit. Those behind are found by the next look at the
/// process's mappings.
fn longest_list(modules: u32) -> u32 {
    let of_modules = modules.saturating_mul(OF_MODULE);
    let left = MAX_STEPS.saturating_sub(BESIDES.saturating_add(of_modules));
    left / OF_ENTRY.saturating_add(of_modules)
}

/// Ops with labels.
#[derive(Default)]
struct Ops {
    ops: Vec<Op>,
    labels: Vec<Target>,
    jumps: Vec<(usize, usize)>,
}

/// A jump target.
#[derive(Clone, Copy)]
struct JumpMark(usize);

impl Ops {
    fn label(&mut self) -> JumpMark {
        self.labels.push(0);
        JumpMark(self.labels.len() - 1)
    }

    fn set(&mut self, label: JumpMark) {
        let at = u32::try_from(self.ops.len()).unwrap_or(u32::MAX);
        if let Some(target) = self.labels.get_mut(label.0) {
            *target = at;
        }
    }

    fn emit(&mut self, op: Op) {
        self.ops.push(op);
    }

    fn emit_to(&mut self, op: Op, label: JumpMark) {
        self.jumps.push((self.ops.len(), label.0));
        self.ops.push(op);
    }

    fn alu(&mut self, operation: u32, dst: u8, left: u8, right: u64) {
        self.emit(Op::AluConst {
            operation,
            dst,
            left,
            right,
        });
    }

    fn load(&mut self, dst: u8, base: u8, offset: i32, size: u8, fault: JumpMark) {
        let op = Op::Load {
            dst,
            base,
            offset,
            size,
            signed: false,
            fault: 0,
        };
        self.emit_to(op, fault);
    }

    fn jump(&mut self, label: JumpMark) {
        self.emit_to(Op::Jump { to: 0 }, label);
    }

    fn jump_if(&mut self, left: u8, condition: u8, right: u64, label: JumpMark) {
        let op = Op::JumpIfConst {
            condition,
            left,
            right,
            to: 0,
        };
        self.emit_to(op, label);
    }

    fn place(&mut self, ModuleNumber(module): ModuleNumber, src: u8, only_first: bool) {
        self.emit(Op::Place {
            module,
            src,
            only_first,
        });
    }

    fn resolved(mut self) -> Vec<Op> {
        for (at, label) in self.jumps {
            let place = self.labels.get(label).copied();
            let target = self.ops.get_mut(at).and_then(Op::target_mut);
            if let (Some(target), Some(place)) = (target, place) {
                *target = place;
            }
        }
        self.ops
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tracer_common::op::EncodedOp;
    use tracer_common::places::NOWHERE;

    use super::*;
    use crate::program::reference::{Outcome, ReferenceMachine, Regions};

    const SITE: LinkAddr = LinkAddr(0x1_1000);
    const LIST: LinkerList = LinkerList {
        address: LinkAddr(0x3_0000),
        is_behind: false,
    };
    /// Bias of the linker.
    const LINKER: u64 = 0x7f00_0000_0000;
    const DYNAMIC_SECTION: LinkAddr = LinkAddr(0x2e00);
    /// Two builds with the dynamic section at the same link address.
    const MODULES: [SoughtModule; 2] = [sought(5, 0x2c8, 77), sought(6, 0x308, 78)];

    const fn sought(number: u32, at: u64, is: u64) -> SoughtModule {
        SoughtModule {
            number: ModuleNumber(number),
            mark: ModuleMark { at, is },
            dynamic: DYNAMIC_SECTION,
        }
    }

    /// Memory of a process with modules at these biases, each with its number of the eight bytes that
    /// identify it, and where they are.
    fn process(state: u32, modules: &[(u64, u64, u64)]) -> Regions {
        let mut regions = BTreeMap::new();
        let entry = |index: usize| 0x5000_0000 + 0x100 * index as u64;
        let list: Vec<u8> = [1, entry(0), 0, state.into()]
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect();
        regions.insert(LINKER + LIST.address.0, list);
        for (index, &(bias, at, is)) in modules.iter().enumerate() {
            let last = index + 1 == modules.len();
            let next = if last { 0 } else { entry(index + 1) };
            let words = [bias, 0, bias + DYNAMIC_SECTION.0, next];
            let bytes = words.into_iter().flat_map(u64::to_le_bytes).collect();
            regions.insert(entry(index), bytes);
            regions.insert(bias + at, is.to_le_bytes().to_vec());
        }
        Regions(regions)
    }

    /// The biases of the modules after the walk. `None` if a place is unknown.
    fn walked(memory: &Regions, known: &[(u32, u64)], list: LinkerList) -> [Option<u64>; 2] {
        let mut ops = ops_of_walk(SITE, list, &MODULES);
        assert_eq!(ops.pop(), Some(Op::Reject));
        for (slot, module) in (0..).zip(MODULES) {
            let from = ops.len() as Target;
            let ModuleNumber(module) = module.number;
            ops.extend([
                Op::Module {
                    module,
                    dst: 9,
                    must_be_loaded: false,
                    unknown: from + 3,
                },
                Op::Emit {
                    slot,
                    dst: 31,
                    src: 9,
                    size: 8,
                },
                Op::Jump { to: from + 4 },
                Op::Mark { slot, status: 1 },
            ]);
        }
        ops.push(Op::End);
        let mut marks = vec![ModuleMark::default(); 7];
        for module in MODULES {
            marks[module.number.0 as usize] = module.mark;
        }
        let ops: Vec<EncodedOp> = ops.iter().map(Op::encode).collect();
        let machine = ReferenceMachine::new(memory).with_modules(&marks, known);
        let Outcome::Sent(record) = machine.with(16, LINKER + SITE.0).run(&ops) else {
            panic!("it sends a record");
        };
        let mut rest = &record[64..];
        MODULES.map(|_| {
            let length = usize::from(rest[4]);
            let data = rest[8..8 + length].try_into().ok();
            rest = &rest[8 + length..];
            data.map(u64::from_le_bytes)
        })
    }

    #[test]
    fn modules_are_found_in_the_list_by_their_build_ids() {
        let other = (0x6000_0000, 0x2c8, 1);
        let first = (0x6100_0000, 0x2c8, 77);
        let second = (0x6200_0000, 0x308, 78);
        let last = (0x6300_0000, 0x2c8, 2);
        let memory = process(0, &[other, first, second, last]);
        let both = [Some(first.0), Some(second.0)];
        assert_eq!(walked(&memory, &[], LIST), both);
        // Places from before are replaced.
        let known = [(5, 0x6000_0001), (6, NOT_LOADED)];
        assert_eq!(walked(&memory, &known, LIST), both);
    }

    #[test]
    fn module_that_is_not_in_the_list_is_not_loaded() {
        let first = (0x6100_0000, 0x2c8, 77);
        let memory = process(0, &[first]);
        let expected = [Some(first.0), Some(NOWHERE)];
        assert_eq!(walked(&memory, &[], LIST), expected);
        // It has left its place.
        assert_eq!(walked(&memory, &[(6, 0x6200_0001)], LIST), expected);
    }

    #[test]
    fn list_that_is_being_changed_or_cannot_be_read_says_nothing() {
        let first = (0x6100_0000, 0x2c8, 77);
        assert_eq!(walked(&process(1, &[first]), &[], LIST), [None, None]);
        assert_eq!(walked(&Regions::default(), &[], LIST), [None, None]);
    }

    #[test]
    fn list_may_be_behind_a_pointer() {
        let first = (0x6100_0000, 0x2c8, 77);
        let mut memory = process(0, &[first]);
        let behind = LinkerList {
            address: LinkAddr(0x3_8000),
            is_behind: true,
        };
        let pointer = LINKER + LIST.address.0;
        let at = LINKER + behind.address.0;
        memory.0.insert(at, pointer.to_le_bytes().to_vec());
        let expected = [Some(first.0), Some(NOWHERE)];
        assert_eq!(walked(&memory, &[], behind), expected);
    }

    #[test]
    fn list_without_an_end_uses_fewer_steps_than_a_hit_has() {
        let mut memory = process(0, &[(0x6000_0000, 0x2c8, 1)]);
        let entry = memory.0.get_mut(&0x5000_0000).expect("an entry");
        entry.splice(24..32, 0x5000_0000_u64.to_le_bytes());
        let ops = walk(SITE, LIST, &MODULES).ops;
        let machine = ReferenceMachine::new(&memory).with(16, LINKER + SITE.0);
        assert_eq!(machine.run(&ops), Outcome::Rejected);
        for modules in [0, 1, 7, 200, 1 << 10] {
            let steps = BESIDES
                + OF_MODULE * modules
                + longest_list(modules) * (OF_ENTRY + OF_MODULE * modules);
            assert!(
                steps <= MAX_STEPS || longest_list(modules) == 0,
                "{modules}"
            );
        }
    }

    #[test]
    fn linker_of_this_system_has_a_list() {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
        let is_linker = |path: &&str| path.contains("/ld-") || path.contains("/ld.so");
        let path = maps.split_whitespace().find(is_linker);
        let path = std::path::Path::new(path.expect("a dynamic linker"));
        let options = crate::debuginfo::DebugOptions::default();
        let linker = DebugModule::open_as(path, path, &options).expect("it opens");
        assert!(LinkerList::of(&linker).is_some());
    }
}
