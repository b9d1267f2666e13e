//! Reads everything of an interpreter that may be hostile.

use std::hint::black_box;

use tracer_cpython::code::{CodeIndex, line_table, sites};
use tracer_cpython::expr::{ObjectNames, evaluate, parse_expression};
use tracer_cpython::heap::{Heap, Read};
use tracer_cpython::memory::TargetMemory;
use tracer_cpython::runtime::Interpreter;
use tracer_cpython::scope::CodeNames;
use tracer_cpython::stack::{locals, stack, thread_names};
use tracer_cpython::threads::threads;
use tracer_cpython::value::{ReprStyle, ValueLimits, decode};

/// Any name is some object.
struct Anything(u64);

impl ObjectNames for Anything {
    fn object(&self, _: &str) -> Read<Option<u64>> {
        Ok(Some(self.0))
    }
}

/// Reads of each pass: fewer than for a user, so that a fuzzer gets on.
const READS: u64 = 200_000;

/// Limits of the values.
const LIMITS: ValueLimits = ValueLimits {
    depth: 6,
    elements: 20,
    text: 100,
    parts: 200,
};

/// Asks everything of a memory.
pub(crate) fn ask(memory: &dyn TargetMemory, python: &Interpreter, objects: &[u64]) {
    let index = CodeIndex::search_with_reads(memory, python, READS);
    let heap = Heap::with_reads(memory, python, READS);
    for code in index.codes.iter().take(50) {
        black_box(sites(&heap, code.address).is_ok());
        black_box(code.identity.holds(memory, code.address));
        black_box(heap.name_entry(code.globals, "name").is_ok());
    }
    for thread in threads(memory, python).iter().take(20) {
        black_box(
            python
                .thread_state
                .read(memory, thread.thread_pointer)
                .is_ok(),
        );
        for frame in stack(&heap, thread.state).iter().take(20) {
            black_box(locals(&heap, frame.address, LIMITS).is_ok());
        }
    }
    black_box(thread_names(&heap).is_ok());
    let expressions = [
        "x.name",
        "x[0]",
        "x['k'] == 1",
        "len(x) + 1",
        "x in x",
        "x < x",
        "not x.a.b",
        "x[x]",
        "x * x",
    ];
    let expressions = expressions.map(|text| parse_expression(text).expect("it is right"));
    for object in objects {
        let value = decode(&heap, *object, LIMITS);
        black_box(value.to_text(ReprStyle::Fields).len());
        black_box(value.is_partial());
        black_box(line_table(&heap, *object).is_ok());
        black_box(sites(&heap, *object).is_ok());
        black_box(CodeNames::of(&heap, *object).is_ok());
        for expression in &expressions {
            black_box(evaluate(&heap, &Anything(*object), expression).is_ok());
        }
    }
}
