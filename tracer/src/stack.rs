//! Call stacks from captured bytes: registers and a slice of stack memory into
//! the registers of each frame.
//!
//! Knows where modules are and what their call frame information says; names no
//! function and reads no process.

use std::ops::Range;
use std::sync::Arc;

use crate::address::{Bias, LinkAddr, RunAddr};
use crate::debuginfo::Module;
use crate::debuginfo::unwind::{Caller, RIP, RSP, Registers, UnwindError};

/// Bytes of one word of the stack.
const WORD: usize = 8;
/// Offsets in the `ucontext` that a signal frame begins with: start and size of the alternate stack.
const CONTEXT_STACK: u64 = 16;
const CONTEXT_STACK_SIZE: u64 = 32;

/// What a hit sent of its stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapturedStack {
    /// By DWARF number, `rip` last; `None` when the record had no room for them.
    pub registers: [Option<u64>; 17],
    /// From `rsp` up.
    pub memory: Vec<u8>,
    /// The memory ends where it could not be read on, and not at the limit of what is captured.
    pub ended: bool,
}

impl CapturedStack {
    /// Where the captured memory begins, in the target.
    #[must_use]
    pub fn start(&self) -> Option<u64> {
        self.registers.get(RSP).copied().flatten()
    }

    /// Bytes at a run address, when all of them were captured.
    #[must_use]
    pub fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(self.start()?)?).ok()?;
        self.memory.get(start..start.checked_add(length)?)
    }

    fn word(&self, address: u64) -> Option<u64> {
        let bytes = self.bytes(address, WORD)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

/// A module, and where it is in the process.
#[derive(Clone)]
pub struct Placed {
    /// Its file.
    pub module: Arc<Module>,
    /// Run address minus link address.
    pub bias: Bias,
}

/// One frame that has code of its own.
#[derive(Clone)]
pub struct RawFrame {
    /// The module of its code; `None` where no file is mapped.
    pub placed: Option<Placed>,
    /// Its next instruction; of all but the innermost the one behind a call.
    pub address: RunAddr,
    /// An address of the instruction that is under way, in the module: of the call.
    pub lookup: LinkAddr,
    /// Its registers.
    pub registers: Registers,
    /// The kernel's frame between a signal handler and the code that the signal interrupted.
    pub signal: bool,
    /// It was not left by a call: a hit or a signal is at its next instruction.
    pub interrupted: bool,
}

/// The frames of a stack, innermost first.
pub struct Walk {
    /// At most as many as were asked for.
    pub frames: Vec<RawFrame>,
    /// Why there are no more; `None`: as many as were asked for, or all.
    pub stopped: Option<String>,
}

/// Walks a captured stack.
#[must_use]
pub fn walk(stack: &CapturedStack, depth: usize, find: &dyn Fn(RunAddr) -> Option<Placed>) -> Walk {
    let mut walk = Walk {
        frames: Vec::new(),
        stopped: None,
    };
    let mut caller = Caller {
        registers: Registers(stack.registers),
        // The innermost frame's instruction is itself the one under way.
        signal: true,
    };
    while walk.frames.len() < depth {
        let Some(rip) = caller.registers.get(RIP) else {
            walk.stopped = Some("the registers were not captured".into());
            break;
        };
        let frame = frame(rip, &caller, find);
        let next = next(&frame, stack);
        walk.frames.push(frame);
        match next {
            Ok(next) => caller = next,
            Err(UnwindError::Outermost) => break,
            Err(error) => {
                let other = walk.frames.iter().rev().find(|frame| frame.signal);
                walk.stopped = Some(why(&error, stack, other));
                break;
            }
        }
    }
    walk
}

fn frame(rip: u64, caller: &Caller, find: &dyn Fn(RunAddr) -> Option<Placed>) -> RawFrame {
    // The instruction behind a call may belong to another line, or to another function.
    let under_way = RunAddr(if caller.signal {
        rip
    } else {
        rip.wrapping_sub(1)
    });
    let placed = find(under_way);
    let lookup = placed
        .as_ref()
        .map_or(LinkAddr(under_way.0), |placed| placed.bias.link(under_way));
    let is_signal = |placed: &Placed| {
        let here = placed.bias.link(RunAddr(rip));
        placed.module.is_signal_frame(here)
    };
    RawFrame {
        signal: placed.as_ref().is_some_and(is_signal),
        placed,
        address: RunAddr(rip),
        lookup,
        registers: caller.registers,
        interrupted: caller.signal,
    }
}

fn next(frame: &RawFrame, stack: &CapturedStack) -> Result<Caller, UnwindError> {
    let memory = |address| stack.word(address);
    match &frame.placed {
        Some(placed) if frame.signal => {
            let here = placed.bias.link(frame.address);
            placed.module.interrupted(here, &frame.registers, &memory)
        }
        Some(placed) => placed
            .module
            .caller(frame.lookup, &frame.registers, &memory),
        None => Err(UnwindError::NoRule {
            address: LinkAddr(frame.address.0),
        }),
    }
}

/// Why a walk ends at an error; `signal` is the last signal frame that it came through.
fn why(error: &UnwindError, stack: &CapturedStack, signal: Option<&RawFrame>) -> String {
    let UnwindError::Memory { address } = *error else {
        return error.to_string();
    };
    let alternate = signal.and_then(|frame| alternate_stack(frame, stack));
    let left_alternate = alternate.is_some_and(|range| !range.contains(&address));
    // Callers of a stack lie above what they call.
    let below = stack.start().is_some_and(|start| address < start);
    if left_alternate || below {
        return "the next frames are on another stack, which was not captured".to_owned();
    }
    if stack.ended {
        return error.to_string();
    }
    format!(
        "the stack beyond {} bytes was not captured",
        stack.memory.len()
    )
}

/// The alternate signal stack that a signal frame is on, by what the kernel wrote into the frame;
/// `None` when the frame is on the stack that the signal interrupted.
fn alternate_stack(frame: &RawFrame, stack: &CapturedStack) -> Option<Range<u64>> {
    let context = frame.registers.get(RSP)?;
    let start = stack.word(context.checked_add(CONTEXT_STACK)?)?;
    let size = stack.word(context.checked_add(CONTEXT_STACK_SIZE)?)?;
    let range = start..start.checked_add(size)?;
    range.contains(&context).then_some(range)
}
