//! The fuzz targets, as functions of their input.
//!
//! One function for each parser of foreign bytes: the file of a module, its lines, its
//! variables, its unwind information, its code, its USDT probes, one location expression, the memory of the
//! target, the memory of a Python, a record of the kernel, a recording, and text. `fuzz_targets/` hands them
//! to libFuzzer, for `cargo xtask fuzz`. `tracer/tests/fuzz_corpus.rs` replays `corpus/` with the stable
//! compiler, and `tracer/examples/damage.rs` damages whole programs: both have this file as
//! a module of theirs.

pub mod bombs;
mod bytes;
mod cpython;
mod dwarf;
mod elf_file;
mod memory;
mod module;
pub mod programs;
mod recordings;

use std::hint::black_box;

use tracer::actions::{parse_probe, parse_probe_file};
use tracer::base::address::{Bias, LinkAddr, RunAddr};
use tracer::debuginfo::unwind::Registers;
use tracer::lang::{parse_expr, parse_location, parse_template};
use tracer::placement::{CodeMap, Needs, PlacementRules};
use tracer::stack::{CapturedStack, PlacedModule, walk};

use self::bytes::Bytes;
use self::memory::Made;

/// A target: its name and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 15] = [
    ("elf", elf),
    ("lines", lines),
    ("variables", variables),
    ("code", code),
    ("unwind", unwind),
    ("location", location),
    ("values", values),
    ("record", record),
    ("probe", probe),
    ("plan", plan),
    ("names", names),
    ("maps", maps),
    ("recording", recording),
    ("usdt", usdt),
    ("cpython", cpython),
];

/// Frames of one stack.
const FRAMES: usize = 64;

/// An ELF file: its headers, sections, segments, symbols and relocations.
pub fn elf(bytes: &[u8]) {
    if let Some(module) = module::open(bytes) {
        module::ask_file(&module);
    }
}

/// Memory with a CPython in it: objects, code, line tables, frames.
pub fn cpython(bytes: &[u8]) {
    cpython::arena::case(bytes);
}

/// Notes on USDT probes, in a file whose code is all nops.
pub fn usdt(bytes: &[u8]) {
    if let Some(module) = module::open(&elf_file::with_notes(bytes)) {
        module::ask_usdt(&module);
    }
}

/// An ELF file: its line table and its functions.
pub fn lines(bytes: &[u8]) {
    if let Some(module) = module::open(bytes) {
        module::ask_lines(&module);
    }
}

/// An ELF file: its scopes, variables, locations and types.
pub fn variables(bytes: &[u8]) {
    if let Some(module) = module::open(bytes) {
        module::ask_variables(&module);
    }
}

/// Asks everything that a session asks of a module, within the same budget.
pub fn ask_all(module: &tracer::debuginfo::Module) {
    module::ask_file(module);
    module::ask_lines(module);
    module::ask_variables(module);
}

/// Opens the bytes of a file as a module.
pub fn open(bytes: &[u8]) -> Option<tracer::debuginfo::Module> {
    module::open(bytes)
}

/// Machine code: places a probe at each of its instructions.
pub fn code(bytes: &[u8]) {
    let Some(module) = module::open(&dwarf::with_code(bytes)) else {
        return;
    };
    let map = CodeMap::default();
    for distance in (0..bytes.len().min(64) as u64).step_by(3) {
        let (begin, site) = (dwarf::FUNCTION, dwarf::FUNCTION.add(distance));
        black_box(CodeMap::kind(&module, site, true));
        black_box(module.always_passes(&[begin], site));
        black_box(module.leads_back(begin, site, begin..=site));
        for needs in [Needs::nothing(), Needs::default()] {
            black_box(map.place(
                &module,
                site,
                &needs,
                &PlacementRules {
                    calls: true,
                    rewrites_nops: true,
                    passable: &|_, _| true,
                    free: &|_| true,
                },
            ));
        }
    }
}

/// Call frame information, with registers and a stack to apply it to.
pub fn unwind(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let flags = bytes.byte();
    let (in_debug_frame, interrupted) = (flags & 1 != 0, flags & 2 != 0);
    let at = LinkAddr(elf_file::CODE.0 + u64::from(bytes.byte()));
    let stack = bytes.split();
    let Some(module) = module::open(&elf_file::with_frames(in_debug_frame, bytes.0)) else {
        return;
    };
    let made = Made(stack);
    let mut registers = [None; 17];
    for (number, register) in registers.iter_mut().enumerate() {
        *register = Some(made.word(number as u64));
    }
    registers[16] = Some(at.0);
    black_box(module.cfa_at(at)).ok();
    black_box(module.landing_pads(&[(elf_file::CODE.0, elf_file::CODE.0 + 256)]));
    black_box(
        module.caller(at, interrupted, &Registers(registers), &|address| {
            Some(made.word(address))
        }),
    )
    .ok();
    let placed = PlacedModule {
        module: std::sync::Arc::new(module),
        bias: Bias(0),
    };
    let captured = CapturedStack {
        registers,
        memory: stack.to_vec(),
        ended: false,
    };
    black_box(walk(&captured, FRAMES, &|_: RunAddr| Some(placed.clone())));
}

/// Location expressions of a variable, a frame and a call site, and the reads that a plan makes of
/// them.
pub fn location(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let parts = dwarf::Parts {
        frame_base: bytes.split(),
        passed: bytes.split(),
        count: bytes.split(),
        location: bytes.0,
    };
    let Some(module) = module::open(&dwarf::with_locations(&parts)) else {
        return;
    };
    for at in [dwarf::FUNCTION, dwarf::INSIDE] {
        black_box(module.find_variable(at, "parameter", 1)).ok();
        for plan in programs::plans_at(&module, at) {
            programs::run(&plan, &Made(parts.location), &module);
        }
    }
}

/// Memory and registers of a target, read for the variables of real programs.
pub fn values(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let number = usize::from(bytes.byte()) << 8 | usize::from(bytes.byte());
    if let Some((module, plan)) = programs::plan(number) {
        programs::run(plan, &Made(bytes.0), module);
    }
}

/// A record, as if the kernel had sent it.
pub fn record(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let number = usize::from(bytes.byte()) << 8 | usize::from(bytes.byte());
    if let Some((module, plan)) = programs::plan(number) {
        programs::show(plan, bytes.0, module);
    }
}

/// A recording from a stranger. The first byte says whether the rest is the file, or the lines of its only block,
/// which is then exported in each format.
pub fn recording(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    match bytes.byte() % 2 {
        0 => recordings::open(bytes.0),
        _ => recordings::export(bytes.0),
    }
}

/// The text of probes.
pub fn probe(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    black_box(parse_probe(&text)).ok();
    black_box(parse_location(&text)).ok();
    black_box(parse_expr(&text)).ok();
    black_box(parse_template(&text)).ok();
    black_box(parse_probe_file(&text));
}

/// The text of a probe, compiled for a site of a real program.
pub fn plan(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let number = usize::from(bytes.byte());
    programs::compile_text(number, &String::from_utf8_lossy(bytes.0));
}

/// The names of symbols.
pub fn names(bytes: &[u8]) {
    let name = tracer::debuginfo::names::demangle(bytes);
    let pattern = tracer::debuginfo::names::NamePattern::new(&name);
    black_box(pattern.matches(&name));
    black_box(tracer::debuginfo::names::without_generics(&name));
    black_box(tracer::base::suggestions::near_names(
        &name,
        [name.as_str(), "main"],
    ));
}

/// `/proc/PID/maps`.
pub fn maps(bytes: &[u8]) {
    black_box(tracer::target::parse_maps(bytes));
}
