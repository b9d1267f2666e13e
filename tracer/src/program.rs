//! Programs of the capture machine: the ops of one site, and what the compiler states about them.
//!
//! `plan` writes programs, `kernel` copies them into the maps, and `placement` asks what they read.
//! No code decodes ops to find out what a program does.

mod needs;
mod op;
#[doc(hidden)]
pub mod reference;

use tracer_common::control::{
    ADDS_UP, BEGINS, COUNTS, ENDS, FORGETS, Guard, NEEDS_TASK, NEEDS_THREAD_POINTER, STEPS, TURNS,
};
use tracer_common::fetch::{FETCH_BYTES, FETCHES, Fetch, Fetches};
use tracer_common::op::{COMM, EncodedOp, PID, THREAD_POINTER};
use tracer_common::record::RecordHeader;

pub use needs::{FLAGS, Needs, Read};
pub use op::{MemoryOperand, Op, Target};

/// Size of a machine word in bytes. Fetched chunks are padded to words.
const WORD: u32 = 8;
/// Flags that only the whole eBPF program implements.
const NOT_PLAIN: u32 = NEEDS_THREAD_POINTER | NEEDS_TASK | BEGINS | ENDS | FORGETS | TURNS | STEPS;

/// The program of one site: everything that a hit does.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Rejects most hits whose condition is false before any op runs.
    pub guard: Option<Guard>,
    /// Makes the record without running the ops.
    pub fetches: Option<Fetches>,
    /// The encoded ops.
    pub ops: Vec<EncodedOp>,
    /// Registers and memory that the ops read.
    pub reads: Needs,
    /// Flags of [`tracer_common::control`], such as `COUNTS`.
    pub flags: u32,
    /// Condition of the branch if the site is a branch ([`TURNS`]). See
    /// [`ALWAYS`](tracer_common::control::ALWAYS).
    pub turn_condition: u32,
    /// The eBPF program that runs the ops.
    pub runner: Runner,
    /// Hits are added up in maps, by key.
    pub tallies: bool,
    /// Numbers in the ops. Some may be addresses.
    pub constants: Vec<Constant>,
    /// Numbers of the modules whose places the ops need, without duplicates.
    pub modules: Vec<u32>,
}

/// A number in an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    /// The number.
    pub value: u64,
    /// The op loads the number into a register. Otherwise the number is an operand of arithmetic or
    /// of a comparison.
    pub is_loaded: bool,
}

/// The eBPF programs of the object. The verifier takes longer for a larger one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runner {
    /// Counts hits and makes records of fetches. Implements only the few ops of such plans.
    Plain,
    /// Implements all ops but the arithmetic of floats and of 128 bits.
    #[default]
    Whole,
    /// Implements all ops.
    Computing,
}

/// A chunk that the kernel side can make without the machine, and the equivalent ops.
#[derive(Clone, Copy, Debug)]
pub struct FetchedOps {
    /// The chunk.
    pub fetch: Fetch,
    /// Index of its first op.
    pub first: usize,
    /// Index after its last op.
    pub end: usize,
}

/// Facts that a compiler states besides the ops.
#[derive(Clone, Debug, Default)]
pub struct Stated {
    /// The first comparison of the condition, if it can reject a hit by itself, and the index of
    /// the op after it.
    pub guard: Option<(Guard, usize)>,
    /// Chunks, in order.
    pub fetches: Vec<FetchedOps>,
    /// Flags that do not follow from an op.
    pub flags: u32,
    /// See [`Program::turn_condition`].
    pub turn_condition: u32,
}

impl Program {
    /// Makes a program of these ops and of the compiler's facts.
    #[must_use]
    pub fn new(ops: &[Op], stated: &Stated) -> Self {
        let mut program = Self {
            guard: stated.guard.map(|(guard, _)| guard),
            flags: stated.flags,
            turn_condition: stated.turn_condition,
            tallies: ops.iter().any(|op| op.tallies()),
            constants: ops.iter().filter_map(Op::constant).collect(),
            modules: modules(ops),
            ops: ops.iter().map(Op::encode).collect(),
            ..Self::default()
        };
        program.flags |= register_flags(ops);
        program.reads = Needs::of(ops, program.flags);
        program.flags |= adding_up(ops, program.flags);
        program.fetches = fetches(ops, stated).filter(|_| program.flags == 0);
        program.runner = program.runner_of(ops);
        program
    }

    /// Makes a program of encoded ops without any facts, for tests of the machine.
    #[must_use]
    pub fn of_encoded(ops: Vec<EncodedOp>) -> Self {
        Self {
            ops,
            reads: Needs::fixed(),
            runner: Runner::Computing,
            tallies: true,
            ..Self::default()
        }
    }

    /// Frees the memory of the ops once they are in the kernel. The eBPF program and the flags
    /// stay, because attaching the site again needs them.
    pub fn drop_ops(&mut self) {
        self.ops = Vec::new();
        self.constants = Vec::new();
        self.reads = Needs::default();
    }

    /// A program that counts each hit and sends nothing.
    #[must_use]
    pub fn counting() -> Self {
        Self {
            flags: COUNTS,
            runner: Runner::Plain,
            ..Self::default()
        }
    }

    fn runner_of(&self, ops: &[Op]) -> Runner {
        let makes_no_record = self.flags & COUNTS != 0;
        let is_plain = self.flags & NOT_PLAIN == 0
            && ops.iter().all(Op::is_plain)
            && (makes_no_record || self.fetches.is_some());
        if is_plain {
            Runner::Plain
        } else if ops.iter().any(Op::computes) {
            Runner::Computing
        } else {
            Runner::Whole
        }
    }
}

/// The modules whose places ops need.
fn modules(ops: &[Op]) -> Vec<u32> {
    let mut modules: Vec<u32> = ops.iter().filter_map(Op::module).collect();
    modules.sort_unstable();
    modules.dedup();
    modules
}

/// Flags for registers that the machine fills only on request.
fn register_flags(ops: &[Op]) -> u32 {
    let mut flags = 0;
    for register in ops.iter().flat_map(Op::reads) {
        match register {
            THREAD_POINTER => flags |= NEEDS_THREAD_POINTER,
            PID..=LAST_OF_TASK => flags |= NEEDS_TASK,
            _ => {}
        }
    }
    flags
}

/// The second register of the thread's name.
const LAST_OF_TASK: u8 = COMM + 1;

/// [`ADDS_UP`] if a hit is added up and no op uses its time.
fn adding_up(ops: &[Op], flags: u32) -> u32 {
    // A beginning reads the clock last of all.
    let begins = flags & (BEGINS | FORGETS) != 0;
    let adds_up = ops.iter().any(Op::adds_up) && !ops.iter().any(Op::takes_time);
    if begins || adds_up { ADDS_UP } else { 0 }
}

/// The fetches of a program whose ops after the guard do nothing else.
///
/// Null checks of pointers do not count, because the kernel side leaves a null pointer to the ops.
fn fetches(ops: &[Op], stated: &Stated) -> Option<Fetches> {
    let mut at = stated.guard.map_or(0, |(_, behind)| behind);
    for chunk in &stated.fetches {
        if chunk.first != at {
            return None;
        }
        at = chunk.end;
    }
    if !matches!(ops.get(at), None | Some(Op::End)) {
        return None;
    }
    let chunks = &stated.fetches;
    let is_short = |chunk: &FetchedOps| u32::from(chunk.fetch.length) <= WORD;
    if chunks.is_empty()
        || chunks.len() > FETCHES
        || (chunks.len() > 1 && !chunks.iter().all(is_short))
        || chunks
            .iter()
            .any(|chunk| u32::from(chunk.fetch.length) > FETCH_BYTES)
    {
        return None;
    }
    let mut fetches = Fetches {
        count: chunks.len() as u32,
        ..Fetches::default()
    };
    fetches.words = size_of::<RecordHeader>() as u32 / WORD;
    for (place, chunk) in fetches.chunks.iter_mut().zip(chunks) {
        *place = chunk.fetch;
        fetches.words += 1 + u32::from(chunk.fetch.length).div_ceil(WORD);
    }
    Some(fetches)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RDI: u8 = tracer_common::op::TARGET_REGISTERS + 5;

    fn emit(slot: u16, src: u8) -> Op {
        let (dst, size) = (31, 8);
        Op::Emit {
            slot,
            dst,
            src,
            size,
        }
    }

    fn fetched(first: usize, length: u8) -> FetchedOps {
        let fetch = Fetch {
            length,
            ..Fetch::default()
        };
        let end = first + 1;
        FetchedOps { fetch, first, end }
    }

    fn stated(fetches: Vec<FetchedOps>) -> Stated {
        Stated {
            fetches,
            ..Stated::default()
        }
    }

    #[test]
    fn program_that_only_fetches_is_plain() {
        let ops = [emit(0, RDI), emit(1, RDI), Op::End, Op::Kept];
        let both = stated(vec![fetched(0, 4), fetched(1, 8)]);
        let program = Program::new(&ops[..3], &both);
        let fetches = program.fetches.expect("fetches");
        // A header, and two chunks of two words.
        assert_eq!((fetches.count, fetches.words), (2, 8 + 2 * 2));
        assert_eq!(program.runner, Runner::Plain);
        // An op after the end can be the target of a jump, and the plain program does not implement
        // this one.
        let program = Program::new(&ops, &both);
        assert!(program.fetches.is_some());
        assert_eq!(program.runner, Runner::Whole);
    }

    #[test]
    fn program_that_does_more_than_it_fetches_has_no_fetches() {
        let ops = [emit(0, RDI), emit(1, RDI), Op::End];
        for fetches in [
            vec![],
            vec![fetched(0, 8)],
            vec![fetched(1, 8)],
            // Each of several chunks has one word.
            vec![fetched(0, 9), fetched(1, 8)],
        ] {
            assert!(Program::new(&ops, &stated(fetches)).fetches.is_none());
        }
        let task = [emit(0, PID), Op::End];
        let program = Program::new(&task, &stated(vec![fetched(0, 8)]));
        assert!(program.fetches.is_none());
        assert_eq!(program.flags, NEEDS_TASK);
    }

    #[test]
    fn program_without_its_ops_is_still_run_by_the_same_ebpf_program() {
        let float = Op::Float {
            operation: 0,
            dst: 0,
            left: RDI,
            right: RDI,
            no_result: 0,
        };
        let mut program = Program::new(&[float, emit(0, 0)], &Stated::default());
        program.drop_ops();
        assert_eq!(program.runner, Runner::Computing);
        assert!(program.ops.is_empty());
    }
}
