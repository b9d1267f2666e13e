//! Programs that find modules in the list of a process's dynamic linker.
//!
//! The linker calls a function when it has mapped or unmapped libraries, at the start before the
//! constructors and `main`. A program there goes through the list and notes the places of modules for
//! the kernel side. So no hit comes before them.

use tracer_common::limits::MAX_STEPS;
use tracer_common::op::{INSTRUCTION_POINTER, alu, cond};
use tracer_common::places::{NOT_LOADED, PLACED};

use crate::base::address::{LinkAddr, ModuleNumber};
use crate::debuginfo::Module as DebugModule;
use crate::program::{Op, Program, Stated, Target};
use crate::session::sites::module_numbers::NumberedModule;

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
pub(super) fn walk(site: LinkAddr, list: LinkerList, modules: &[NumberedModule]) -> Program {
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
        let Some(LinkAddr(dynamic)) = module.dynamic else {
            continue;
        };
        // Several modules may have it at the same link address.
        let other = ops.label();
        ops.jump_if(DISTANCE, cond::NE, dynamic, other);
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
    Program::new(&ops.resolved(), &Stated::default())
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
struct Label(usize);

impl Ops {
    fn label(&mut self) -> Label {
        self.labels.push(0);
        Label(self.labels.len() - 1)
    }

    fn set(&mut self, label: Label) {
        let at = u32::try_from(self.ops.len()).unwrap_or(u32::MAX);
        if let Some(target) = self.labels.get_mut(label.0) {
            *target = at;
        }
    }

    fn emit(&mut self, op: Op) {
        self.ops.push(op);
    }

    fn emit_to(&mut self, op: Op, label: Label) {
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

    fn load(&mut self, dst: u8, base: u8, offset: i32, size: u8, fault: Label) {
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

    fn jump(&mut self, label: Label) {
        self.emit_to(Op::Jump { to: 0 }, label);
    }

    fn jump_if(&mut self, left: u8, condition: u8, right: u64, label: Label) {
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
